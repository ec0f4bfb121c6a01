package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"holdfast/checker/history"
	"holdfast/loadgen/driver"
	"holdfast/loadgen/driver/rocketmq"
	"holdfast/nemesis"
	"holdfast/scenarios"
)

// startLimit bounds how long a cluster may take to start or to serve again; a JVM on a busy machine needs most of it.
const startLimit = 120 * time.Second

// Loopback is the world of real processes on 127.0.0.1 and the real disk: performance, and kills.
type Loopback struct {
	System  System
	Instead error // why this is not the sandbox; nil: it was asked for
}

// Name returns loopback.
func (Loopback) Name() string { return "loopback" }

// Possible refuses what needs a disk of our own.
func (w Loopback) Possible(f nemesis.Fault) error {
	switch {
	case f.Kind == "kill":
		return nil
	case w.Instead != nil:
		return fmt.Errorf("%s needs the sandbox: %w", f.Kind, w.Instead)
	}
	return fmt.Errorf("%s needs the sandbox, and the world is loopback", f.Kind)
}

// Open starts a cluster with its stores in directories below spec.Dir, on a file system that has nothing left to do: the
// removal of an earlier cluster's stores is committed, and what it discards is discarded, before the first fsync of this one.
func (w Loopback) Open(ctx context.Context, spec scenarios.Spec) (scenarios.Cluster, error) {
	if err := os.MkdirAll(spec.Dir, 0o755); err != nil {
		return nil, err
	}
	if err := settle(spec.Dir); err != nil {
		return nil, err
	}
	return open(ctx, w.System, spec, &cell{dir: spec.Dir}, nil)
}

// settle returns when the file system of dir has written everything.
func settle(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		return fmt.Errorf("sync the file system of %s: %w", dir, err)
	}
	return nil
}

// cell is a running cluster with what a world adds to a group.
type cell struct {
	*Group
	dir    string
	system driver.System
	power  *lossyDisks // nil: the real disk
}

// open starts a group for spec and the driver that speaks to it. mounts are the store directories that are mounts.
func open(ctx context.Context, sys System, spec scenarios.Spec, c *cell, mounts map[string]string) (_ *cell, err error) {
	c.Group, err = New(sys, spec.Contract, Options{
		Dir: spec.Dir, Brokers: spec.Replicas, Topics: []Topic{{Name: spec.Topic, Queues: spec.Queues}}, Mounts: mounts,
	})
	if err != nil {
		return nil, err
	}
	starting, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	if c.power != nil {
		if err := c.power.mount(c.Group, mounts); err != nil {
			return nil, err
		}
	}
	if err := c.Group.Start(starting); err != nil {
		return nil, err
	}
	c.system, err = rocketmq.New(rocketmq.Config{
		NameServers: []string{c.NameServer()}, Groups: []string{c.Name}, Nodes: c.Addresses(),
	})
	if err != nil {
		return nil, errors.Join(err, c.Group.Close())
	}
	return c, nil
}

// Driver returns the cluster as its clients see it.
func (c *cell) Driver() driver.System { return c.system }

// QueueGroup returns the broker name.
func (c *cell) QueueGroup() string { return c.Name }

// Nodes lists the brokers, the master of the start first.
func (c *cell) Nodes() []string {
	var names []string
	for _, n := range c.Brokers() {
		names = append(names, n.Name)
	}
	return names
}

// Master is the node that serves the group now.
func (c *cell) Master() string { return c.Group.Master().Name }

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

// targets are the nodes that a fault strikes.
func (c *cell) targets(t nemesis.Target) []*Node {
	var nodes []*Node
	for _, n := range c.Brokers() {
		if t == nemesis.All || t == nemesis.Master && n.Role == Master || t == nemesis.Slave && n.Role == Slave {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// CPUSeconds returns the processor time of each process so far.
func (c *cell) CPUSeconds() map[string]float64 {
	seconds := map[string]float64{}
	for name, u := range c.Usage() {
		seconds[name] = u.CPUSeconds
	}
	if c.power != nil {
		if s, err := c.power.disk.Stats(c.Master()); err == nil { // the whole disk process; it may have ended
			seconds["disk"] = s.CPU.Seconds()
		}
	}
	return seconds
}

// Close ends every process and removes the stores, but not the logs.
func (c *cell) Close() error {
	var errs []error
	if c.system != nil {
		errs = append(errs, c.system.Close())
	}
	errs = append(errs, c.Group.Close())
	if c.power != nil {
		errs = append(errs, c.power.close())
	}
	return errors.Join(append(errs, os.RemoveAll(filepath.Join(c.dir, "stores")))...)
}

// Aim needs a disk that says when it was synced.
func (c *cell) Aim(ctx context.Context, aim scenarios.Aim) (time.Duration, error) {
	if c.power == nil {
		return 0, errors.New("only the lossy disk of the world sandbox says when it was synced")
	}
	return c.power.aim(ctx, c.Master(), aim)
}

// Strike does a fault.
func (c *cell) Strike(ctx context.Context, f nemesis.Fault, stamps scenarios.Stamps) error {
	nodes := c.targets(f.Target)
	names := namesOf(nodes)
	stamps.Fault(history.FaultStep{Name: string(f.Kind), Nodes: names, Phase: "start"})
	effect, err := c.strike(ctx, f, nodes)
	if err != nil {
		return err
	}
	stamps.Fault(history.FaultStep{Name: string(f.Kind), Nodes: names, Phase: "down", Effect: effect})
	return nil
}

func (c *cell) strike(ctx context.Context, f nemesis.Fault, nodes []*Node) (nemesis.Impact, error) {
	switch {
	case f.Kind == "kill":
		return kill(ctx, nodes, f.Off)
	case f.Kind == "power" && c.power != nil:
		return c.power.cut(ctx, nodes, f)
	}
	return nil, fmt.Errorf("%s is not possible here", f.Kind)
}

// kill ends the nodes' processes by SIGKILL and counts those that ran before and are gone after.
func kill(ctx context.Context, nodes []*Node, off bool) (nemesis.Impact, error) {
	ended := int64(0)
	if off {
		nodes = nil
	}
	for _, n := range nodes {
		ran := n.Running()
		if err := n.Kill(ctx); err != nil {
			return nil, err
		}
		if ran && !n.Running() {
			ended++
		}
	}
	return nemesis.Impact{"processes": ended}, nil
}

// Recover starts the struck nodes again, or promotes the one that was spared.
func (c *cell) Recover(ctx context.Context, f nemesis.Fault, stamps scenarios.Stamps) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	struck := c.targets(f.Target) // before a promotion changes the roles
	names := namesOf(struck)
	var err error
	switch f.Recovery {
	case nemesis.Returns:
		stamps.Fault(history.FaultStep{Name: string(f.Kind), Nodes: names, Phase: "restart"})
		err = c.restart(ctx, f, struck)
	case nemesis.Promoted:
		slaves := c.targets(nemesis.Slave)
		if len(slaves) != 1 || !slaves[0].Running() {
			return errors.New("no running slave to promote")
		}
		stamps.Role(c.Name, slaves[0].Name)
		err = c.Promote(ctx, slaves[0].Name, nil)
	default:
		return fmt.Errorf("recovery %q is unknown", f.Recovery)
	}
	if err != nil {
		return err
	}
	stamps.Fault(history.FaultStep{Name: string(f.Kind), Nodes: names, Phase: "heal"})
	return nil
}

func (c *cell) restart(ctx context.Context, f nemesis.Fault, struck []*Node) error {
	for _, n := range struck {
		if n.Running() {
			continue // the fault was off
		}
		if f.Kind == "power" {
			if err := c.power.disk.Remount(n.Name); err != nil {
				return err
			}
		}
		if err := c.StartNode(ctx, n.Name); err != nil {
			return err
		}
	}
	return c.AwaitMaster(ctx)
}

func namesOf(nodes []*Node) []string {
	names := make([]string, len(nodes))
	for i, n := range nodes {
		names[i] = n.Name
	}
	return names
}
