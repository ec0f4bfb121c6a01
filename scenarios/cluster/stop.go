package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"holdfast/nemesis"
	"holdfast/nemesis/process"
	"holdfast/scenarios"
)

// stop does a fault that stops processes, and measures it.
func (s *struck) stop(ctx context.Context, stamps scenarios.Stamps) (nemesis.Impact, error) {
	c := s.c
	switch s.fault.Kind {
	case nemesis.Kill:
		return kill(ctx, s.nodes, s.fault.Off)
	case nemesis.Stop, nemesis.Promote:
		return s.graceful(ctx)
	case nemesis.Restart, nemesis.Upgrade:
		return s.rolling(ctx)
	case nemesis.DiskLost:
		return s.loseDisk(ctx)
	case nemesis.Power:
		if c.disks != nil {
			return c.cutPower(ctx, s.nodes, s.fault)
		}
	case nemesis.BitFlip:
		if c.disks != nil {
			return s.flipBits(ctx, stamps)
		}
	}
	return nil, fmt.Errorf("%s is not possible here", s.fault.Kind)
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

// graceful asks the nodes to end. A slave that is to be promoted beside its master strikes nobody: Promote of the slave.
func (s *struck) graceful(ctx context.Context) (nemesis.Impact, error) {
	ended := int64(0)
	for _, n := range s.nodes {
		if s.fault.Off || s.beside() {
			continue
		}
		ran := n.Running()
		if err := n.Stop(ctx); err != nil {
			return nil, err
		}
		if ran {
			ended++
		}
	}
	return nemesis.Impact{"processes": ended}, nil
}

// rolling stops and starts one node after the other, slaves first, each caught up before the next: a rolling restart, or
// an upgrade when another version is named.
func (s *struck) rolling(ctx context.Context) (nemesis.Impact, error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	ended := int64(0)
	if s.fault.Off {
		return nemesis.Impact{"processes": 0}, nil
	}
	var order []*Node
	for _, role := range []Role{Slave, Master} {
		for _, n := range s.nodes {
			if n.Role == role {
				order = append(order, n)
			}
		}
	}
	for _, n := range order {
		if err := n.Stop(ctx); err != nil {
			return nil, err
		}
		if s.fault.Kind == nemesis.Upgrade {
			other, prepared := s.c.others[s.fault.Params.Version]
			if !prepared {
				return nil, fmt.Errorf("version %q is not prepared", s.fault.Params.Version)
			}
			n.System = other
		}
		if err := s.c.StartNode(ctx, n.Name); err != nil {
			return nil, err
		}
		ended++
		if err := s.c.AwaitMaster(ctx); err != nil {
			return nil, err
		}
		if _, err := s.c.CatchUp(ctx); err != nil {
			return nil, err
		}
	}
	return nemesis.Impact{"processes": ended}, nil
}

// pause stops the nodes' processes until it is undone. The effect is the shortest time that one of them stood still.
func pause(ctx context.Context, nodes []*Node) (func(context.Context) (nemesis.Impact, error), error) {
	var still []*process.Paused
	undo := func(context.Context) (nemesis.Impact, error) {
		effect := nemesis.Impact{}
		var errs []error
		for i, p := range still {
			d, err := p.Resume()
			errs = append(errs, err)
			if ms := d.Milliseconds(); i == 0 || ms < effect["ms"] {
				effect["ms"] = ms
			}
		}
		return effect, errors.Join(errs...)
	}
	for _, n := range nodes {
		p, err := process.Pause(ctx, n.Process())
		if err != nil {
			_, resumed := undo(ctx)
			return nil, errors.Join(err, resumed)
		}
		still = append(still, p)
	}
	return undo, nil
}

// loseDisk kills the nodes and empties their disks.
func (s *struck) loseDisk(ctx context.Context) (nemesis.Impact, error) {
	effect, err := kill(ctx, s.nodes, s.fault.Off)
	if err != nil || s.fault.Off {
		return effect, err
	}
	for _, n := range s.nodes {
		files, bytes, err := s.c.erase(n)
		if err != nil {
			return nil, err
		}
		effect["files"] += files
		effect["bytesLost"] += bytes
	}
	return effect, nil
}

// erase empties the disk of a node that does not run, and puts there what a new one needs to start.
func (c *cell) erase(n *Node) (files, bytes int64, err error) {
	if c.disks != nil {
		return c.disks.erase(c.Group, n.Name)
	}
	err = filepath.WalkDir(n.Store, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		files, bytes = files+1, bytes+info.Size()
		return nil
	})
	if err == nil {
		err = os.RemoveAll(n.Store)
	}
	return files, bytes, errors.Join(err, c.Seed(n.Store))
}

// flipBits kills the nodes and flips bits of what their disks held as durable. Two faults in one: each with its lines.
func (s *struck) flipBits(ctx context.Context, stamps scenarios.Stamps) (nemesis.Impact, error) {
	stamps.Fault(s.step(nemesis.Kill, "start", nil))
	killed, err := kill(ctx, s.nodes, s.fault.Off)
	if err != nil {
		return nil, err
	}
	stamps.Fault(s.step(nemesis.Kill, "down", killed))
	effect := nemesis.Impact{"bytes": 0}
	for _, n := range s.nodes {
		if s.fault.Off {
			break
		}
		flipped, err := s.c.disks.flip(n.Name, s.fault)
		if err != nil {
			return nil, err
		}
		effect["bytes"] += flipped
	}
	return effect, nil
}

// restart starts the struck nodes that do not run, on the disks that they have by now, on hosts that were switched on again.
func (s *struck) restart(ctx context.Context) error {
	for _, n := range s.nodes {
		if n.Running() {
			continue // the fault was off
		}
		if err := s.c.reboot(n, s.fault); err != nil {
			return err
		}
	}
	for _, n := range s.nodes {
		if n.Running() {
			continue
		}
		if err := s.c.StartNode(ctx, n.Name); err != nil {
			return refusedToStart(n, err)
		}
	}
	return s.c.AwaitMaster(ctx)
}

// refusedToStart is the error of a node that did not start after a fault: one that ended by itself has refused what it found, which is
// an answer of the system and no trouble of the harness.
func refusedToStart(n *Node, err error) error {
	if n.Running() || n.Process() == nil {
		return err
	}
	return &scenarios.Unfit{Reason: fmt.Sprintf("%s refuses to start: %s", n.Name, lastLine(n.Log))}
}

// lastLine is the last line of a node's log, as far as it fits a reason.
func lastLine(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	last := lines[len(lines)-1]
	return last[:min(len(last), 300)]
}
