package sim

import "time"

// epoch is the wall clock's time (Unix ms) at the start of every run.
const epoch = 1_700_000_000_000

// wallClock is a host's: it may stand wrong and run fast or slow.
type wallClock struct {
	offset time.Duration // what jumps added
	ppm    int64         // drift, from since on
	since  time.Duration
}

// wall returns Unix ms at an instant of the loop.
func (c *wallClock) wall(now time.Duration) int64 {
	drift := time.Duration(int64(now-c.since) / 1_000_000 * c.ppm)
	return epoch + (now + c.offset + drift).Milliseconds()
}

// skew is how far the clock is off, in ms without sign.
func (c *wallClock) skew(now time.Duration) int64 {
	off := c.wall(now) - (epoch + now.Milliseconds())
	return max(off, -off)
}

// run changes the drift from now on; what has come of it so far stays.
func (c *wallClock) run(now time.Duration, ppm int64) {
	c.offset += time.Duration(int64(now-c.since) / 1_000_000 * c.ppm)
	c.since, c.ppm = now, ppm
}
