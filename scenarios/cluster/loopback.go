package cluster

import (
	"context"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"holdfast/nemesis"
	"holdfast/scenarios"
)

// Loopback is the world of real processes on 127.0.0.1 and the real disk: performance, and what can be done to processes.
type Loopback struct {
	System  System
	Others  map[string]System // prepared, by version, for rolling upgrades
	Instead error             // why this is not the sandbox; nil: it was asked for
}

// Name returns loopback.
func (Loopback) Name() string { return "loopback" }

// Possible refuses what needs a disk or a network of our own.
func (w Loopback) Possible(f nemesis.Fault) error {
	switch {
	case f.Kind.OfNetwork(), f.Kind.OfDisk(), f.Kind == nemesis.Power, f.Kind == nemesis.BitFlip:
		if w.Instead != nil {
			return fmt.Errorf("%s needs the sandbox: %w", f.Kind, w.Instead)
		}
		return fmt.Errorf("%s needs the sandbox, and the world is loopback", f.Kind)
	}
	return w.System.possible(f, w.Others)
}

// possible refuses what a system cannot have done to it, wherever it runs.
func (s System) possible(f nemesis.Fault, others map[string]System) error {
	switch {
	case f.Kind.OfClock() && s.Name != Reference:
		return fmt.Errorf("%s: only the reference broker has a clock that can be set: time namespaces do not shift the wall clock", f.Kind)
	case f.Kind == nemesis.Upgrade && f.Params.Version != "":
		if _, prepared := others[f.Params.Version]; !prepared {
			return fmt.Errorf("%s: version %q of %s is not prepared", f.Kind, f.Params.Version, s.Name)
		}
	}
	return nil
}

// Open starts a cluster with its stores in directories below spec.Dir, on a file system that has nothing left to do: the
// removal of an earlier cluster's stores is committed, and what it discards is discarded, before the first fsync of this one.
func (w Loopback) Open(ctx context.Context, spec scenarios.Spec) (scenarios.Cluster, error) {
	spec.Site = w.System.site(spec)
	if err := os.MkdirAll(spec.Dir, 0o755); err != nil {
		return nil, err
	}
	if err := settle(spec.Dir); err != nil {
		return nil, err
	}
	c, err := open(ctx, w.System, spec, &cell{dir: spec.Dir, others: w.Others})
	if err != nil {
		return nil, err
	}
	if !spec.Faulty {
		c.yield()
	}
	return c, nil
}

// nodeNice is the nice value of nodes whose speed is measured. The generator would be on a machine of its own; where it shares the cores
// of the nodes, a sender that is not woken in time would make its own lateness their latency.
const nodeNice = 10

// yield lets the generator go before the nodes where they share cores. Threads that start later inherit it from those that start them.
func (c *cell) yield() {
	for _, n := range c.Group.Nodes() {
		threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", n.process.PID()))
		if err != nil {
			continue // the process has ended: the load will tell
		}
		for _, t := range threads {
			if id, err := strconv.Atoi(t.Name()); err == nil {
				_ = unix.Setpriority(unix.PRIO_PROCESS, id, nodeNice) // a thread that has ended needs none
			}
		}
	}
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
