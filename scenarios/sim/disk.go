package sim

import (
	"strings"
	"time"

	"holdfast/broker/vfs"
	"holdfast/nemesis"
)

// platter is a node's disk: in memory, losing on a power cut what no sync covered, with the faults that are in force.
type platter struct {
	l      *loop
	mem    *vfs.Mem
	fs     *vfs.Faulty
	size   int64 // bytes for which there is room; 0: any
	room   room
	faults []*diskFault
	late   time.Duration // what slow calls added since it was last asked
	synced time.Duration // when an fsync of the commit log ended last
	syncs  int           // how many did
}

// diskFault is one that is in force.
type diskFault struct {
	kind   nemesis.Kind
	path   string
	left   int // calls that are yet to be struck; below 0: all
	free   int64
	delay  time.Duration
	keep   bool
	calls  int64
	refuse int64
}

func newPlatter(l *loop) *platter {
	p := &platter{l: l}
	p.use(vfs.NewMem())
	return p
}

// use makes mem what is on the disk.
func (p *platter) use(mem *vfs.Mem) {
	p.mem = mem
	p.mem.SetTime(p.l.now)
	p.fs = vfs.NewFaulty(mem, p.rule, func(d time.Duration) { p.late += d })
}

// struckBy says which kind of fault strikes a call.
var struckBy = map[vfs.Op][]nemesis.Kind{
	vfs.OpSync:   {nemesis.FsyncError, nemesis.FsyncSlow},
	vfs.OpWrite:  {nemesis.WriteError, nemesis.DiskFull},
	vfs.OpRead:   {nemesis.ReadError},
	vfs.OpCreate: {nemesis.DiskFull},
}

// rule decides what becomes of a call.
func (p *platter) rule(c vfs.Call) vfs.Effect {
	var all vfs.Effect
	if c.Op == vfs.OpCreate && p.size > 0 && p.used(".")+c.Size > p.size {
		all.Err = vfs.ErrNoSpace
	}
	for _, f := range p.faults {
		for _, kind := range struckBy[c.Op] {
			if f.kind == kind && strings.HasPrefix(c.Name, f.path) && f.left != 0 {
				f.strike(c, &all)
			}
		}
	}
	return all
}

// strike adds the fault's effect on a call.
func (f *diskFault) strike(c vfs.Call, e *vfs.Effect) {
	switch f.kind {
	case nemesis.DiskFull:
		if f.free -= int64(c.Len); f.free >= 0 {
			return
		}
		f.free = 0
		e.Err = vfs.ErrNoSpace
		f.refuse += int64(c.Len)
	case nemesis.FsyncSlow:
		e.Delay += f.delay
	default:
		e.Err, e.Keep = vfs.ErrIO, f.keep
	}
	f.calls++
	if f.left > 0 {
		f.left--
	}
}

// spoil puts a fault in force, and returns what ends it and what it has struck.
func (p *platter) spoil(f nemesis.Fault) (clear func() (calls, bytes int64)) {
	in := &diskFault{kind: f.Kind, path: f.Params.Path, left: f.Params.Times, free: f.Params.Bytes, delay: f.Params.Delay, keep: f.Params.Pages == "keep"}
	if in.left == 0 {
		in.left = -1
	}
	if in.path == "" && f.Kind != nemesis.DiskFull {
		in.path = "commitlog"
	}
	p.faults = append(p.faults, in)
	return func() (int64, int64) {
		for i, other := range p.faults {
			if other == in {
				p.faults = append(p.faults[:i:i], p.faults[i+1:]...)
			}
		}
		return in.calls, in.refuse
	}
}

// lateness takes what slow calls have added.
func (p *platter) lateness() time.Duration {
	d := p.late
	p.late = 0
	return d
}

// flip changes n bits of what a prefix of paths holds, and returns how many bytes that changed.
func (p *platter) flip(prefix string, n int, pick func(n int64) int64) (int64, error) {
	names, err := p.mem.List(prefix)
	if err != nil || len(names) == 0 {
		return 0, err
	}
	flipped := int64(0)
	for range n {
		name := prefix + "/" + names[pick(int64(len(names)))]
		f, err := p.mem.Open(name)
		if err != nil {
			return flipped, err
		}
		at, found, err := used(f, pick)
		if err == nil && found {
			var b [1]byte
			if _, err = f.ReadAt(b[:], at); err == nil {
				b[0] ^= 1 << pick(8)
				_, err = f.WriteAt(b[:], at)
				flipped++
			}
		}
		if err == nil {
			err = f.Sync()
		}
		f.Close()
		if err != nil {
			return flipped, err
		}
	}
	return flipped, nil
}

// used draws a byte of what was written of a file.
func used(f vfs.File, pick func(n int64) int64) (at int64, found bool, err error) {
	size, err := f.Size()
	if err != nil || size == 0 {
		return 0, false, err
	}
	b := make([]byte, size)
	if _, err := f.ReadAt(b, 0); err != nil {
		return 0, false, err
	}
	last := len(b) - 1
	for last > 0 && b[last] == 0 {
		last--
	}
	return pick(int64(last) + 1), true, nil
}
