package disk

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"holdfast/nemesis"
)

// FaultSpec is what is wrong with a node's disk until it is cleared. A node has at most one of each kind.
type FaultSpec struct {
	// Kind is one of
	//
	//   - FsyncError: fsyncs (fdatasync, msync, O_DSYNC writes) fail with EIO.
	//   - FsyncSlow: fsyncs take longer by Delay.
	//   - WriteError: writes fail with EIO and are not done. Pages changed through a mapping fail when the kernel brings
	//     them, which the next msync reports; they are clean and readable then, and not on the disk, as on ext4.
	//   - ReadError: reads that reach the disk fail with EIO, faults on mapped pages with SIGBUS. What the kernel has cached
	//     does not reach the disk: so SetFault has it forget what it holds of the files, and each open does so again. Pages
	//     written or read since are served from memory, as by a machine with a bad disk.
	//   - DiskFull: the disk has FreeBytes left for the files; what needs more fails with ENOSPC.
	Kind nemesis.Kind
	// Path is the prefix of the files' paths below the volume's root, such as "commitlog"; empty: all files.
	Path string
	// Times is how many calls are struck; 0: all until Clear. The kernel asks twice for the first page that it could not
	// read ahead: that counts once, and where it did not read ahead the next read of that page fails, too. DiskFull has none.
	Times int
	// Delay is FsyncSlow's, > 0.
	Delay time.Duration
	// Pages is what becomes of the pages of an fsync that fails: Drop by default.
	Pages Persist
	// FreeBytes is DiskFull's budget, >= 0. Pages of 4 KiB that are allocated take from it, those that are given back by
	// removals and truncations add to it. A new name needs a free page and takes none.
	FreeBytes int64
}

// Affected is what a fault has struck since it was set.
type Affected struct {
	Calls int64 // that failed, or were delayed
	Bytes int64 // fsyncs: of dirty pages they were to cover; writes, reads: asked for; DiskFull: refused
}

// Effect returns it in the units of the history's fault lines.
func (a Affected) Effect() nemesis.Impact { return nemesis.Impact{"calls": a.Calls, "bytes": a.Bytes} }

// Persist says what becomes of the pages of an fsync that failed.
type Persist string

const (
	// Drop leaves them clean and readable but not on the platter, as ext4 does: a retry that succeeds covers only
	// pages written since.
	Drop Persist = "drop"
	// Keep leaves them dirty: a retry that succeeds covers them.
	Keep Persist = "keep"
)

// defaultPath is the prefix that a fault of a schedule has when it names none.
const defaultPath = "commitlog"

// SpecOf returns the fault of the disk that a schedule's fault asks for. It errs for kinds that are no lasting fault of a
// disk; see Client.FlipBits for BitFlip and Client.Erase for DiskLost.
func SpecOf(kind nemesis.Kind, p nemesis.Params) (FaultSpec, error) {
	spec := FaultSpec{Kind: kind, Path: p.Path, Times: p.Times, Delay: p.Delay, Pages: Persist(p.Pages), FreeBytes: p.Bytes}
	if spec.Path == "" {
		spec.Path = defaultPath
	}
	return spec, spec.Validate()
}

// Validate names the field that is out of range.
func (s FaultSpec) Validate() error {
	if _, err := kindBit(s.Kind); err != nil {
		return err
	}
	switch {
	case s.Times < 0:
		return fmt.Errorf("disk: Times %d: want 0 or more", s.Times)
	case s.Kind == nemesis.DiskFull && s.Times > 0:
		return errors.New("disk: Times: a full disk has none")
	case (s.Kind == nemesis.FsyncSlow) != (s.Delay > 0) || s.Delay < 0:
		return fmt.Errorf("disk: Delay %v of %s: want one above 0 for %s, none for others", s.Delay, s.Kind, nemesis.FsyncSlow)
	case s.Pages != "" && (s.Kind != nemesis.FsyncError || s.Pages != Drop && s.Pages != Keep):
		return fmt.Errorf("disk: Pages %q of %s: want %s or %s for %s, none for others", s.Pages, s.Kind, Drop, Keep, nemesis.FsyncError)
	case s.FreeBytes < 0 || s.FreeBytes > 0 && s.Kind != nemesis.DiskFull:
		return fmt.Errorf("disk: FreeBytes %d of %s: want 0 or more for %s, none for others", s.FreeBytes, s.Kind, nemesis.DiskFull)
	}
	return nil
}

// kindBit returns a bit for each kind that SetFault takes.
func kindBit(kind nemesis.Kind) (uint32, error) {
	for i, k := range []nemesis.Kind{nemesis.FsyncError, nemesis.FsyncSlow, nemesis.WriteError, nemesis.ReadError, nemesis.DiskFull} {
		if k == kind {
			return 1 << i, nil
		}
	}
	return 0, fmt.Errorf("disk: %q is no fault of a running disk", kind)
}

// fault is one that is set.
type fault struct {
	FaultSpec
	bit      uint32
	struck   int
	free     int64 // DiskFull
	affected Affected
}

// faults are those of a volume. They outlast cuts and mounts.
type faults struct {
	armed atomic.Uint32 // bits of the kinds that are set, so that a healthy disk pays one load a call
	mu    sync.Mutex
	all   []*fault
}

// set sets or replaces the fault of its kind.
func (f *faults) set(s FaultSpec) error {
	if err := s.Validate(); err != nil {
		return err
	}
	bit, _ := kindBit(s.Kind) // validated
	f.mu.Lock()
	defer f.mu.Unlock()
	f.remove(bit)
	f.all = append(f.all, &fault{FaultSpec: s, bit: bit, free: s.FreeBytes})
	f.armed.Or(bit)
	return nil
}

// remove forgets the fault of a kind and returns it, nil if none is set. Caller holds mu.
func (f *faults) remove(bit uint32) *fault {
	for i, x := range f.all {
		if x.bit == bit {
			f.all = append(f.all[:i:i], f.all[i+1:]...)
			f.armed.And(^bit)
			return x
		}
	}
	return nil
}

// affected returns what the fault of a kind has struck; with clear it ends the fault.
func (f *faults) affected(kind nemesis.Kind, clear bool) (Affected, error) {
	bit, err := kindBit(kind)
	if err != nil {
		return Affected{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, x := range f.all {
		if x.bit == bit {
			if clear {
				f.remove(bit)
			}
			return x.affected, nil
		}
	}
	return Affected{}, fmt.Errorf("no %s is set", kind)
}

// is reports whether a fault of the kind is set. It is free of locks.
func (f *faults) is(kind nemesis.Kind) bool {
	armed := f.armed.Load()
	if armed == 0 {
		return false
	}
	bit, err := kindBit(kind)
	return err == nil && armed&bit != 0
}

// on returns the fault of a kind for the file at path, nil if there is none. Caller holds mu.
func (f *faults) on(kind nemesis.Kind, path string) *fault {
	for _, x := range f.all {
		if x.Kind == kind && strings.HasPrefix(path, x.Path) {
			return x
		}
	}
	return nil
}

// strike reports whether a call of so many bytes on the file at path is struck by the fault of a kind, and by which; it
// counts it then.
func (f *faults) strike(kind nemesis.Kind, path string, bytes int64) (FaultSpec, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	x := f.on(kind, path)
	if x == nil || x.Times > 0 && x.struck >= x.Times {
		return FaultSpec{}, false
	}
	x.struck++
	x.affected.Calls++
	x.affected.Bytes += bytes
	return x.FaultSpec, true
}

// pathOf returns the latest path of n.
func (v *volume) pathOf(n *inode) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return n.path()
}
