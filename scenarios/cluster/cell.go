package cluster

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"holdfast/loadgen"
	"holdfast/loadgen/driver"
	"holdfast/loadgen/driver/rocketmq"
	"holdfast/reports/result"
	"holdfast/scenarios"
)

// startLimit bounds how long a cluster may take to start or to serve again; a JVM on a busy machine needs most of it.
const startLimit = 120 * time.Second

// cell is a running cluster with what a world adds to a group.
type cell struct {
	*Group             // that faults strike
	beside    []*Group // others under its name server
	dir       string
	clock     scenarios.MachineClock
	system    driver.System
	others    map[string]System // for rolling upgrades, by version
	disks     *disks            // nil: the real disk
	hosts     *hosts            // nil: 127.0.0.1
	clocks    *clocks           // nil: nobody sets the clock
	elections *elections        // nil: the operator decides, or no fault struck yet
	down      map[string]bool   // nodes that a fault has taken down and not brought back
	dark      []string          // of them those whose host has no power
}

// open starts a group for spec and the driver that speaks to it. On an error the caller closes what the world has added.
func open(ctx context.Context, sys System, spec scenarios.Spec, c *cell) (*cell, error) {
	opt := Options{
		Dir: spec.Dir, Brokers: spec.Site.Brokers, Topics: []Topic{{Name: spec.Topic, Queues: spec.Queues}},
		Settings: settingsOf(spec.Site.Settings), Brief: spec.Faulty, Mode: spec.Site.Mode, Short: spec.Site.Short,
		Metrics: spec.Site.Metrics,
	}
	for _, name := range slices.Sorted(maps.Keys(spec.Topics)) {
		opt.Topics = append(opt.Topics, Topic{Name: name, Queues: spec.Topics[name]})
	}
	if c.disks != nil {
		opt.Mounts = c.disks.mounts
	}
	if c.hosts != nil {
		opt.Site = c.hosts
	}
	if c.clocks != nil {
		opt.Env = c.clocks.env
	}
	c.down, c.clock = map[string]bool{}, scenarios.MachineClock{Start: time.Now()}
	var err error
	if c.Group, err = New(sys, spec.Contract, opt); err != nil {
		return nil, err
	}
	starting, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	if err := c.layOut(sys, spec, opt); err != nil {
		return nil, err
	}
	if err := c.startGroups(starting); err != nil {
		return nil, err
	}
	c.system, err = rocketmq.New(rocketmq.Config{
		NameServers: []string{c.NameServer()}, Groups: groupNames(spec.Site), Nodes: c.addresses(), Quorum: spec.Site.Mode == DLedger,
	})
	if err != nil {
		return nil, errors.Join(err, c.closeGroups())
	}
	return c, nil
}

// settingsOf puts settings in the order of their keys.
func settingsOf(byKey map[string]string) Settings {
	var s Settings
	for key, value := range byKey {
		s = append(s, Setting{key, value})
	}
	slices.SortFunc(s, func(a, b Setting) int { return strings.Compare(a.Key, b.Key) })
	return s
}

// brokersOf is how many brokers a site asks for.
func brokersOf(site scenarios.Site) int {
	if site.Brokers == 0 {
		return brokersDefault
	}
	return site.Brokers
}

// Clock is the machine's.
func (c *cell) Clock() scenarios.Clock { return c.clock }

// Stage is threads.
func (c *cell) Stage() loadgen.Stage { return nil }

// Driver returns the cluster as its clients see it.
func (c *cell) Driver() driver.System { return c.system }

// QueueGroup returns the broker name.
func (c *cell) QueueGroup() string { return c.Name }

// Nodes lists the brokers, the master of the start first.
func (c *cell) Nodes() []string { return namesOf(c.Brokers()) }

// Master is the node that serves the group now.
func (c *cell) Master() string {
	c.follow()
	return c.Group.Master().Name
}

// Serving lists the brokers that are up, the master first.
func (c *cell) Serving() []string {
	names := []string{c.Master()}
	for _, n := range c.Brokers() {
		if n.Name != names[0] && n.Running() {
			names = append(names, n.Name)
		}
	}
	return names
}

// Dark lists the nodes whose hosts have no power.
func (c *cell) Dark() []string { return c.dark }

// LogEnd asks the master.
func (c *cell) LogEnd(ctx context.Context) (int64, error) {
	c.follow()
	return logEnd(ctx, c.Group.Master().Addr.String())
}

// CatchUp compares ends, not contents: a slave that is longer than its master counts as one that holds all of it.
func (c *cell) CatchUp(ctx context.Context) (held []string, err error) {
	end, err := c.LogEnd(ctx)
	if err != nil {
		return nil, err
	}
	m := c.Group.Master()
	for _, n := range c.Brokers() {
		if !n.follows() {
			continue
		}
		if err = n.await(ctx, pollGroup, "caught up", func(ctx context.Context) error { return c.holds(ctx, m, n, end) }); err != nil {
			return held, err
		}
		held = append(held, n.Name)
	}
	return held, nil
}

// Processes returns the nodes that run.
func (c *cell) Processes() map[string]scenarios.Process {
	all := map[string]scenarios.Process{}
	for _, n := range c.Group.Nodes() {
		if n.Running() {
			all[n.Name] = scenarios.Process{PID: n.process.PID(), Store: n.Store, Metrics: c.metrics(n)}
		}
	}
	return all
}

// CPUSeconds returns the processor time of each process so far.
func (c *cell) CPUSeconds() map[string]float64 {
	seconds := map[string]float64{}
	for name, u := range c.Usage() {
		seconds[name] = u.CPUSeconds
	}
	for name, p := range c.Harness() {
		seconds[name] = p.CPUSeconds
	}
	return seconds
}

// Memory returns what each node keeps resident now.
func (c *cell) Memory() map[string]result.Memory {
	all := map[string]result.Memory{}
	for name, u := range c.Usage() {
		all[name] = result.Memory{Anonymous: u.AnonymousBytes, File: u.FileBytes}
	}
	return all
}

// Harness measures the disk and the switch; one that has ended is left out.
func (c *cell) Harness() map[string]result.Process {
	all := map[string]result.Process{}
	if c.disks != nil {
		if s, err := c.disks.disk.Stats(c.Master()); err == nil {
			all["disk"] = result.Process{CPUSeconds: s.CPU.Seconds(), StallMS: milliseconds(s.Stall)}
		}
	}
	if c.hosts != nil {
		if s, err := c.hosts.packets.Stats(); err == nil {
			all["switch"] = result.Process{CPUSeconds: s.CPU.Seconds(), StallMS: milliseconds(s.Stall)}
		}
	}
	return all
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// Close ends every process and removes the stores, but not the logs.
func (c *cell) Close() error {
	var errs []error
	c.endElections()
	if c.system != nil {
		errs = append(errs, c.system.Close())
	}
	errs = append(errs, c.closeGroups(), c.closeWorld())
	return errors.Join(append(errs, os.RemoveAll(filepath.Join(c.dir, "stores")))...)
}

// closeWorld ends what the world has added to the group, whose processes have ended.
func (c *cell) closeWorld() error {
	var errs []error
	if c.disks != nil {
		errs = append(errs, c.disks.close())
	}
	if c.hosts != nil {
		errs = append(errs, c.hosts.close())
	}
	if c.clocks != nil {
		errs = append(errs, c.clocks.close())
	}
	return errors.Join(errs...)
}

// Aim needs a disk that says when it was synced.
func (c *cell) Aim(ctx context.Context, aim scenarios.Aim) (time.Duration, error) {
	if c.disks == nil {
		return 0, errors.New("only the lossy disk of the world sandbox says when it was synced")
	}
	return c.disks.aim(ctx, c.Master(), aim)
}

func namesOf(nodes []*Node) []string {
	names := make([]string, len(nodes))
	for i, n := range nodes {
		names[i] = n.Name
	}
	return names
}
