package process

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"syscall"
	"time"

	"holdfast/broker/vfs"
	"holdfast/nemesis"
	"holdfast/nemesis/disk"
)

// CutOptions says how a power cut goes.
type CutOptions struct {
	Seed uint64   // of what survives; each node draws from its own stream
	Loss vfs.Loss // what survives
	// Off makes the cut a rehearsal that touches nothing: the twin of a control. Its effect is empty, so that whoever
	// judges the run finds a fault without an effect.
	Off bool
	// Start is called before anything is done, Down when every process has gone and the disks hold what survived. Both
	// may be nil.
	Start func()
	Down  func(Cut)
}

// Cut is what a power cut was measured to have done.
type Cut struct {
	At        time.Time              // the instant of all disks; zero when Off
	Processes int                    // alive at the cut and ended by its SIGKILL
	Killing   time.Duration          // from the cut of the disks to the last SIGKILL sent
	Disks     map[string]disk.Impact // by node
}

// Effect sums the cut up in the units of the history's fault lines.
func (c Cut) Effect() nemesis.Impact {
	effect := nemesis.Impact{}
	for _, d := range c.Disks {
		for unit, n := range d.Effect() {
			effect[unit] += n
		}
	}
	effect["processes"] = int64(c.Processes)
	return effect
}

// PowerCut takes the power of the nodes of procs at one instant: their disks are cut together, so that nothing that is
// not durable is durable, or acknowledged as such, any more; then every process gets SIGKILL, the disks let their held
// calls go, the processes are waited for, the disks detached, and what survives is chosen. The caller restarts the
// nodes after Client.Remount.
//
// When it errs the nodes may be anything between alive and gone.
func PowerCut(ctx context.Context, disks *disk.Client, procs map[string]Process, opt CutOptions) (Cut, error) {
	if opt.Start != nil {
		opt.Start()
	}
	if opt.Off {
		if opt.Down != nil {
			opt.Down(Cut{})
		}
		return Cut{}, nil
	}
	nodes := slices.Sorted(maps.Keys(procs))
	cut, err := strike(ctx, disks, nodes, procs)
	if err != nil {
		return cut, fmt.Errorf("power cut of %v: %w", nodes, err)
	}
	cut.Disks = map[string]disk.Impact{}
	for i, node := range nodes {
		if err := disks.Detach(node); err != nil {
			return cut, fmt.Errorf("power cut of %s: %w", node, err)
		}
		impact, err := disks.Survive(node, opt.Seed+uint64(i), opt.Loss)
		if err != nil {
			return cut, fmt.Errorf("power cut of %s: %w", node, err)
		}
		cut.Disks[node] = impact
	}
	if opt.Down != nil {
		opt.Down(cut)
	}
	return cut, nil
}

// strike cuts the disks, kills, and returns when every process has gone.
func strike(ctx context.Context, disks *disk.Client, nodes []string, procs map[string]Process) (Cut, error) {
	alive := map[string]bool{}
	for _, node := range nodes {
		alive[node] = Alive(procs[node])
	}
	at, err := disks.Cut(nodes...)
	if err != nil {
		return Cut{}, err
	}
	cut := Cut{At: at}
	var errs []error
	for _, node := range nodes {
		errs = append(errs, signal(procs[node], syscall.SIGKILL))
	}
	cut.Killing = time.Since(at)
	// Only now: whoever returns from a held call has its SIGKILL pending and never sees the answer.
	errs = append(errs, disks.Release(nodes...))
	for _, node := range nodes {
		if err := wait(ctx, procs[node]); err != nil {
			errs = append(errs, err)
		} else if alive[node] {
			cut.Processes++
		}
	}
	return cut, errors.Join(errs...)
}
