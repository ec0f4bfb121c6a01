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
	"holdfast/nemesis/power"
	"holdfast/scenarios"
)

// commitLog is where the brokers of both systems keep their commit log, below the store directory.
const commitLog = "commitlog"

// logOf is where the broker with that id keeps its commit log. Source: DLedgerConfig.getDataStorePath (DLedger 0.3).
func logOf(mode string, id int) string {
	if mode == DLedger {
		return fmt.Sprintf("dledger-n%d/data", id)
	}
	return commitLog
}

// syncLimit bounds the wait for an fsync of the commit log: above the 10 s after which RocketMQ flushes whatever there is.
const syncLimit = 15 * time.Second

// disks are the lossy disks of one cluster's brokers, served by one process so that one instant cuts them all.
type disks struct {
	disk   *disk.Client
	dir    string            // backing directories and mount points
	mounts map[string]string // by node
	logs   map[string]string // likewise: where the commit log is, below the store directory
	names  vfs.NamesModel
	forget func() error // that dir is to be removed should this run be killed
}

func newDisks(ctx context.Context, spec scenarios.Spec, line *power.Line) (*disks, error) {
	dir, err := filepath.Abs(spec.Dir)
	if err != nil {
		return nil, err
	}
	cfg := disk.Config{Power: line, BackingSync: "none"}
	if spec.Site.RealFsync {
		cfg.BackingSync = "real"
	}
	if spec.Site.Posix {
		cfg.Names = vfs.Posix
	}
	// The disks outlive ctx: an interrupt ends the nodes first.
	client, err := disk.Start(context.WithoutCancel(ctx), cfg)
	if err != nil {
		return nil, err
	}
	d := &disks{disk: client, dir: filepath.Join(dir, "disks"), mounts: map[string]string{}, logs: map[string]string{}, names: cfg.Names}
	for _, b := range placesOf(spec.Site) {
		d.mounts[b.name] = filepath.Join(d.dir, "mnt", b.name)
		d.logs[b.name] = logOf(spec.Site.Mode, b.id)
	}
	if d.forget, err = leftover.Note(d.dir); err != nil {
		return nil, errors.Join(err, client.Close())
	}
	return d, nil
}

func (d *disks) backing(node string) string { return filepath.Join(d.dir, "backing", node) }

// mount gives every broker of g its disk, with what its store must hold before its first start.
func (d *disks) mount(g *Group) error {
	for _, n := range g.Brokers() {
		if err := g.Seed(d.backing(n.Name)); err != nil {
			return err
		}
		if err := d.disk.Mount(n.Name, d.backing(n.Name), d.mounts[n.Name], n.outlet); err != nil {
			return err
		}
	}
	return nil
}

// remount makes the disk of a node that was cut, or whose disk was detached, ready, and gives it power.
func (d *disks) remount(node string) error {
	if err := d.disk.Remount(node); err != nil {
		return err
	}
	return d.disk.Restore(node)
}

// erase empties the disk of a node that does not run.
func (d *disks) erase(g *Group, node string) (files, bytes int64, err error) {
	if err := d.disk.Detach(node); err != nil {
		return 0, 0, err
	}
	gone, err := d.disk.Erase(node)
	if err != nil {
		return 0, 0, err
	}
	return gone.FilesLost, gone.BytesLost, g.Seed(d.backing(node))
}

// aim waits until the instant of a cut. Under SYNC_FLUSH the window reaches from one fsync to the next.
func (d *disks) aim(ctx context.Context, node string, aim scenarios.Aim) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, max(syncLimit, 2*aim.Window))
	defer cancel()
	sync, err := d.disk.WaitSync(ctx, node, d.logs[node], 0)
	if err != nil {
		return 0, fmt.Errorf("no fsync of the commit log of %s within %v: %w", node, syncLimit, err)
	}
	window := aim.Window
	if aim.Synchronous {
		next, err := d.disk.WaitSync(ctx, node, d.logs[node], sync.Seq)
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
	if last, err := d.disk.LastSync(node, d.logs[node]); err == nil && last != nil {
		sync = last
	}
	return time.Since(sync.Ended), nil
}

// begin does a fault to the disks of nodes and returns what ends it.
func (d *disks) begin(f nemesis.Fault, nodes []*Node) (func(context.Context) (nemesis.Impact, error), error) {
	spec, err := disk.SpecOf(f.Kind, f.Params)
	if err != nil {
		return nil, err
	}
	if f.Kind == nemesis.DiskFull {
		spec.Path = f.Params.Path // by default it is full for every file, not for the commit log alone
	}
	set := 0
	undo := func(context.Context) (nemesis.Impact, error) {
		effect := nemesis.Impact{}
		var errs []error
		for _, n := range nodes[:set] {
			affected, err := d.disk.Clear(n.Name, f.Kind)
			errs = append(errs, err)
			for unit, count := range affected.Effect() {
				effect[unit] += count
			}
		}
		return effect, errors.Join(errs...)
	}
	for _, n := range nodes {
		if err := d.disk.SetFault(n.Name, spec); err != nil {
			_, cleared := undo(nil)
			return nil, errors.Join(err, cleared)
		}
		set++
	}
	return undo, nil
}

// flip flips bits on the disk of a node that does not run, and returns how many bytes that changed.
func (d *disks) flip(node string, f nemesis.Fault) (int64, error) {
	if err := d.disk.Detach(node); err != nil {
		return 0, err
	}
	prefix := f.Params.Path
	if prefix == "" {
		prefix = d.logs[node]
	}
	flips, err := d.disk.FlipBits(node, prefix, int(max(f.Params.Bytes, 1)), f.Seed)
	return int64(len(flips)), err
}

// close ends the disk process, which unmounts, and removes what lay on the disks.
func (d *disks) close() error {
	return errors.Join(d.disk.Close(), os.RemoveAll(d.dir), d.forget())
}
