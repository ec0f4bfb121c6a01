package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"holdfast/broker/vfs"
	"holdfast/nemesis"
	"holdfast/nemesis/disk"
	"holdfast/nemesis/leftover"
	"holdfast/nemesis/process"
	"holdfast/scenarios"
)

// Sandbox is the world of real processes whose stores lie on lossy disks: kills and power cuts. It needs to run inside
// the namespaces that package sandbox makes.
type Sandbox struct {
	System System
	Loss   vfs.Loss // what a cut leaves; the zero value: nothing that no fsync covered
}

// Name returns sandbox.
func (Sandbox) Name() string { return "sandbox" }

// Possible refuses faults that are not built.
func (Sandbox) Possible(f nemesis.Fault) error {
	if f.Kind == "kill" || f.Kind == "power" {
		return nil
	}
	return fmt.Errorf("no injector for %s", f.Kind)
}

// SelfTest proves that a cut of the lossy disk loses what it must and keeps what it must, by write and by mmap, on the file
// system of dir. Without it no cut of a run would prove anything.
func (Sandbox) SelfTest(ctx context.Context, dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	client, err := disk.Start(ctx, disk.Config{})
	if err != nil {
		return err
	}
	return errors.Join(disk.SelfTest(ctx, client, dir), client.Close())
}

// Open starts a cluster whose brokers each have a lossy disk.
func (w Sandbox) Open(ctx context.Context, spec scenarios.Spec) (_ scenarios.Cluster, err error) {
	power, err := newLossyDisks(ctx, spec.Dir, w.Loss)
	if err != nil {
		return nil, err
	}
	mounts := map[string]string{}
	for id := range spec.Replicas {
		node := fmt.Sprintf("%s-%d", groupName, id)
		mounts[node] = filepath.Join(power.dir, "mnt", node)
	}
	c, err := open(ctx, w.System, spec, &cell{dir: spec.Dir, power: power}, mounts)
	if err != nil {
		return nil, errors.Join(err, power.close())
	}
	return c, nil
}

// commitLog is where the brokers of both systems keep their commit log, below the store directory.
const commitLog = "commitlog"

// syncLimit bounds the wait for an fsync of the commit log: above the 10 s after which RocketMQ flushes whatever there is.
const syncLimit = 15 * time.Second

// lossyDisks are the disks of one cluster's brokers, served by one process so that one instant cuts them all.
type lossyDisks struct {
	disk   *disk.Client
	dir    string // backing directories and mount points
	loss   vfs.Loss
	forget func() error // that dir is to be removed should this run be killed
}

func newLossyDisks(ctx context.Context, dir string, loss vfs.Loss) (*lossyDisks, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	// The disks outlive ctx: an interrupt ends the nodes first.
	client, err := disk.Start(context.WithoutCancel(ctx), disk.Config{})
	if err != nil {
		return nil, err
	}
	d := &lossyDisks{disk: client, dir: filepath.Join(dir, "disks"), loss: loss}
	if d.forget, err = leftover.Note(d.dir); err != nil {
		return nil, errors.Join(err, client.Close())
	}
	return d, nil
}

func (d *lossyDisks) backing(node string) string { return filepath.Join(d.dir, "backing", node) }

// mount gives every broker of g its disk, with what its store must hold before its first start.
func (d *lossyDisks) mount(g *Group, mounts map[string]string) error {
	for _, n := range g.Brokers() {
		if err := g.Seed(d.backing(n.Name)); err != nil {
			return err
		}
		if err := d.disk.Mount(n.Name, d.backing(n.Name), mounts[n.Name], -1); err != nil {
			return err
		}
	}
	return nil
}

// aim waits until the instant of a cut. Under SYNC_FLUSH the window reaches from one fsync to the next.
func (d *lossyDisks) aim(ctx context.Context, node string, aim scenarios.Aim) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, syncLimit)
	defer cancel()
	sync, err := d.disk.WaitSync(ctx, node, commitLog, 0)
	if err != nil {
		return 0, fmt.Errorf("no fsync of the commit log of %s within %v: %w", node, syncLimit, err)
	}
	window := aim.Window
	if aim.Synchronous {
		next, err := d.disk.WaitSync(ctx, node, commitLog, sync.Seq)
		if err != nil {
			return 0, fmt.Errorf("no second fsync of the commit log of %s within %v: %w", node, syncLimit, err)
		}
		window, sync = next.Ended.Sub(sync.Ended), next
	}
	timer := time.NewTimer(time.Until(sync.Ended.Add(scenarios.Phase(aim.Stratum, aim.Of, aim.U, window))))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	if last, err := d.disk.LastSync(node, commitLog); err == nil && last != nil {
		sync = last
	}
	return time.Since(sync.Ended), nil
}

// cut takes the power of the nodes at one instant and returns what it was measured to have done.
func (d *lossyDisks) cut(ctx context.Context, nodes []*Node, f nemesis.Fault) (nemesis.Impact, error) {
	procs := map[string]process.Process{}
	for _, n := range nodes {
		procs[n.Name] = n.Process()
	}
	cut, err := process.PowerCut(ctx, d.disk, procs, process.CutOptions{Seed: f.Seed, Loss: d.loss, Off: f.Off})
	if err != nil {
		return nil, err
	}
	return cut.Effect(), nil
}

// close ends the disk process, which unmounts, and removes what lay on the disks.
func (d *lossyDisks) close() error {
	return errors.Join(d.disk.Close(), os.RemoveAll(d.dir), d.forget())
}
