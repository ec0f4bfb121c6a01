package cluster

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"holdfast/nemesis"
	"holdfast/nemesis/disk"
	"holdfast/nemesis/network"
	"holdfast/nemesis/power"
	"holdfast/scenarios"
)

// Sandbox is the world of real processes whose stores lie on lossy disks and whose hosts are joined by a packet switch: every
// fault. It needs to run inside the namespaces that package sandbox makes.
type Sandbox struct {
	System System
	Others map[string]System // prepared, by version, for rolling upgrades
	// NoNetwork is why there is no packet switch here: the nodes then share 127.0.0.1, and a power cut shows to their peers as
	// the end of a process does. nil: there is one.
	NoNetwork error
}

// Name returns sandbox.
func (Sandbox) Name() string { return "sandbox" }

// Possible refuses what this machine or the system cannot have.
func (w Sandbox) Possible(f nemesis.Fault) error {
	if f.Kind.OfNetwork() && w.NoNetwork != nil {
		return fmt.Errorf("%s needs the packet switch: %w", f.Kind, w.NoNetwork)
	}
	return w.System.possible(f, w.Others)
}

// SelfTest proves that a cut of the lossy disk loses what it must and keeps what it must, by write and by mmap, on the file
// system of dir, and that the switch drops what a rule says and nothing else. Without it no fault of a run would prove anything.
func (w Sandbox) SelfTest(ctx context.Context, dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	client, err := disk.Start(ctx, disk.Config{})
	if err != nil {
		return err
	}
	if err := errors.Join(disk.SelfTest(ctx, client, dir), client.Close()); err != nil {
		return fmt.Errorf("the lossy disk: %w", err)
	}
	if w.NoNetwork != nil {
		return nil
	}
	packets, err := network.Start(ctx, network.Config{})
	if err != nil {
		return err
	}
	if err := errors.Join(network.SelfTest(ctx, packets), packets.Close()); err != nil {
		return fmt.Errorf("the packet switch: %w", err)
	}
	return nil
}

// Open starts a cluster whose brokers each have a lossy disk and a host of their own.
func (w Sandbox) Open(ctx context.Context, spec scenarios.Spec) (_ scenarios.Cluster, err error) {
	spec.Site = w.System.site(spec)
	c := &cell{dir: spec.Dir, others: w.Others}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.closeWorld())
		}
	}()
	line, err := power.New()
	if err != nil {
		return nil, err
	}
	if c.disks, err = newDisks(ctx, spec, line); err != nil {
		return nil, err
	}
	if w.NoNetwork == nil {
		if c.hosts, err = newHosts(ctx, spec, line); err != nil {
			return nil, err
		}
	}
	if w.System.Name == Reference {
		if c.clocks, err = newClocks(spec); err != nil {
			return nil, err
		}
	}
	opened, err := open(ctx, w.System, spec, c)
	if err != nil {
		return nil, err
	}
	return opened, nil
}
