// Package clock skews the wall clock of a node that has a seam for it: the reference broker. The node's process gets the path of
// a page of memory in the environment variable HOLDFAST_CLOCK, maps it, and reads from it for each event by how much its wall
// clock is off; and it writes there what it made of that, so that a skew is measured, not assumed. The monotonic clock, and with it
// every timeout, stays as it is. Other systems have no such seam: time namespaces shift the monotonic clock alone, and only that of
// processes not yet started.
//
// The words of the page are described where they are read, in package server of the broker; a test of the whole program holds
// the two against each other.
package clock

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"holdfast/nemesis"
)

// Env names the environment variable that gives a node's process the path of its page.
const Env = "HOLDFAST_CLOCK"

// ErrDrift is returned for a drift outside (-1e6, 1e6] ppm: a clock that stands, runs backwards, or at more than twice its speed.
var ErrDrift = errors.New("clock: drift outside (-1e6, 1e6] ppm")

// Words of the page, of 8 bytes.
const (
	magic    = 0x314b434f4c434648 // "HFCLOCK1" on a little-endian machine
	words    = 16
	setting  = 1 // how many settings there were; the present one is in slot setting%2
	slots    = 2
	slotSize = 3 // since (Unix ns), skew at that time (ns), drift (ppm, float64)
	seen     = 8 // the setting that the node's last reading was under
	last     = 9 // skew of the node's last reading (ms)
	readings = 10
)

// Clock is the page of one node. It outlives the node's restarts. Its methods may be called by several goroutines.
type Clock struct {
	path string
	now  func() int64 // Unix ns of the real wall clock

	mu   sync.Mutex // orders changes, and keeps the page mapped while one of us reads it
	mem  []byte     // nil once closed
	page *[words]atomic.Uint64
}

// Create makes a page at path that says: no skew. A directory in memory is best: then no write-back of the page can make
// a node wait. The file is the caller's to remove, after Close.
func Create(path string) (*Clock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("clock: %w", err)
	}
	defer f.Close()
	size := os.Getpagesize()
	if err := f.Truncate(int64(size)); err != nil {
		return nil, fmt.Errorf("clock: %w", err)
	}
	mem, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("clock: mmap %s: %w", path, err)
	}
	page := (*[words]atomic.Uint64)(unsafe.Pointer(&mem[0])) // a mapping begins at a page, so every word is aligned
	c := &Clock{path: path, now: func() int64 { return time.Now().UnixNano() }, mem: mem, page: page}
	c.page[0].Store(magic)
	return c, nil
}

// Env returns what the node's process needs in its environment to read this clock.
func (c *Clock) Env() string { return Env + "=" + c.path }

// Jump moves the node's wall clock by d, forwards or backwards, on top of what was set before. It goes on at its speed.
func (c *Clock) Jump(d time.Duration) error {
	return c.set(func(s skew) skew { return skew{s.since, s.base + d, s.ppm} })
}

// Drift lets the node's wall clock go faster from now on by ppm parts per million, or slower by a negative number; 0 ends the
// drift and leaves the clock where that has brought it. It errs with ErrDrift.
func (c *Clock) Drift(ppm float64) error {
	if !(ppm > -1e6 && ppm <= 1e6) {
		return fmt.Errorf("%w: %g", ErrDrift, ppm)
	}
	return c.set(func(s skew) skew { return skew{s.since, s.base, ppm} })
}

// Reset sets the node's wall clock right again.
func (c *Clock) Reset() error {
	return c.set(func(s skew) skew { return skew{since: s.since} })
}

// Skew returns by how much the node's wall clock was measured to be off when the node last looked at it, to 1 ms; positive: it
// was ahead. It is 0 as long as the node has not looked, and what it was before when the node has not looked since the last
// change: see Await and Readings. It is 0 after Close.
func (c *Clock) Skew() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mem == nil {
		return 0
	}
	return time.Duration(int64(c.page[last].Load())) * time.Millisecond
}

// Readings returns how often the node has looked since the last change: 0 means that the change has had no effect. It is 0 after
// Close.
func (c *Clock) Readings() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mem == nil || c.page[seen].Load() != c.page[setting].Load() {
		return 0
	}
	return int64(c.page[readings].Load())
}

// Effect is the last change in the units of the history's fault lines: ms by which the node's wall clock was off, in either
// direction, when it last looked; 0 when it has not looked since the change, which then has done nothing. Take it before Reset.
func (c *Clock) Effect() nemesis.Impact {
	if c.Readings() == 0 {
		return nemesis.Impact{"ms": 0}
	}
	return nemesis.Impact{"ms": c.Skew().Abs().Milliseconds()}
}

// awaitPoll is how often Await looks; a node without load looks at its clock some times a second.
const awaitPoll = time.Millisecond

// Await returns when the node has looked at its clock since the last change.
func (c *Clock) Await(ctx context.Context) error {
	tick := time.NewTicker(awaitPoll)
	defer tick.Stop()
	for c.Readings() == 0 {
		select {
		case <-ctx.Done():
			return fmt.Errorf("clock: the node has not looked at %s: %w", c.path, ctx.Err())
		case <-tick.C:
		}
	}
	return nil
}

// Close gives the page up; a node that runs keeps the last setting. Changes after it err with os.ErrClosed.
func (c *Clock) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mem == nil {
		return nil
	}
	mem := c.mem
	c.mem, c.page = nil, nil
	if err := unix.Munmap(mem); err != nil {
		return fmt.Errorf("clock: munmap %s: %w", c.path, err)
	}
	return nil
}

// skew is a setting: the wall clock is off by base at since (Unix ns of the real one), and from then on by ppm more.
type skew struct {
	since int64
	base  time.Duration
	ppm   float64
}

// at returns the skew at some time (Unix ns).
func (s skew) at(now int64) time.Duration {
	if s.ppm == 0 {
		return s.base
	}
	return s.base + time.Duration(float64(now-s.since)*s.ppm/1e6)
}

// set replaces the present setting by what change makes of it, moved to the present. The slot is written before the count that
// points to it, so that the node never reads half a setting, even if this process dies here.
func (c *Clock) set(change func(skew) skew) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mem == nil {
		return fmt.Errorf("clock: %s: %w", c.path, os.ErrClosed)
	}
	n, now := c.page[setting].Load(), c.now()
	slot := slots + n%2*slotSize
	was := skew{int64(c.page[slot].Load()), time.Duration(c.page[slot+1].Load()), math.Float64frombits(c.page[slot+2].Load())}
	s := change(skew{now, was.at(now), was.ppm})
	slot = slots + (n+1)%2*slotSize
	c.page[slot].Store(uint64(s.since))
	c.page[slot+1].Store(uint64(s.base))
	c.page[slot+2].Store(math.Float64bits(s.ppm))
	c.page[setting].Store(n + 1)
	return nil
}
