// Package power is the one switch that takes the power of nodes: a word of memory that the lossy disk and the packet switch
// share. Whoever cuts sets the bits of all nodes in one store; from that instant on the disk applies and acknowledges nothing
// of these nodes, and the switch carries no packet from or to them.
package power

import (
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Outlets is how many nodes one line can supply.
const Outlets = 64

// Line is a power line. Its methods may be called by several goroutines and processes at once.
type Line struct {
	file *os.File
	mem  []byte
	off  *atomic.Uint64 // bit n: the node at outlet n has no power
}

// New makes a line on which every outlet has power.
func New() (*Line, error) {
	fd, err := unix.MemfdCreate("holdfast-power", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("power: %w", err)
	}
	if err := unix.Ftruncate(fd, int64(os.Getpagesize())); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("power: %w", err)
	}
	return Inherit(os.NewFile(uintptr(fd), "power"))
}

// Inherit opens a line that another process has made and passed on as f, which it takes over.
func Inherit(f *os.File) (*Line, error) {
	mem, err := unix.Mmap(int(f.Fd()), 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("power: %w", err)
	}
	return &Line{file: f, mem: mem, off: (*atomic.Uint64)(unsafe.Pointer(&mem[0]))}, nil
}

// File is what to pass to a child process, which calls Inherit on it.
func (l *Line) File() *os.File { return l.file }

// Off reports whether the outlet, in [0, Outlets), has no power.
func (l *Line) Off(outlet int) bool { return l.off.Load()&(1<<outlet) != 0 }

// AnyOff reports whether one of the outlets of the mask has no power: one atomic load.
func (l *Line) AnyOff(mask uint64) bool { return l.off.Load()&mask != 0 }

// Mask returns the set of outlets, for Cut and Restore.
func Mask(outlets ...int) uint64 {
	var mask uint64
	for _, o := range outlets {
		mask |= 1 << o
	}
	return mask
}

// Cut takes the power of all outlets of the mask at one instant.
func (l *Line) Cut(mask uint64) { l.off.Or(mask) }

// Restore gives it back.
func (l *Line) Restore(mask uint64) { l.off.And(^mask) }

// Close gives up the memory; the line of other processes stays.
func (l *Line) Close() error {
	if err := unix.Munmap(l.mem); err != nil {
		return fmt.Errorf("power: %w", err)
	}
	return l.file.Close()
}
