package loadgen

import (
	"math/bits"
	"math/rand/v2"
	"slices"
	"time"
)

// Pacer says when operations are meant to start, whatever the system does.
type Pacer interface {
	// At returns the intended start of operation n, counted from the start of the load; false: there is no such
	// operation. It is a closed form of n: a late operation delays no other, and nothing drifts. It never decreases with n.
	At(n uint64) (time.Duration, bool)
}

// PacerFunc is a Pacer made of one function.
type PacerFunc func(n uint64) (time.Duration, bool)

// At calls f.
func (f PacerFunc) At(n uint64) (time.Duration, bool) { return f(n) }

// Constant starts Rate operations a second at equal intervals, exact to the nanosecond for ever: operation n at n/Rate seconds.
type Constant struct {
	Rate uint64 // operations a second, at least 1
}

// At returns n/Rate seconds, rounded down.
func (c Constant) At(n uint64) (time.Duration, bool) {
	hi, lo := bits.Mul64(n%c.Rate, uint64(time.Second))
	part, _ := bits.Div64(hi, lo, c.Rate)
	return time.Duration(n/c.Rate)*time.Second + time.Duration(part), true
}

// poissonBlock is the number of arrivals whose sum of intervals is fixed; see Poisson.
const poissonBlock = 256

// Poisson starts operations as a Poisson process does within windows of 256 arrivals: given their number, the arrivals of
// a window are independent and uniform. So it needs no running sum, keeps the mean rate exactly, and bursts as independent
// clients would. It remembers one window, so it is for one worker at a time.
type Poisson struct {
	Rate uint64 // operations a second, at least 1
	Seed uint64

	block  uint64 // window that is in starts, plus one
	starts [poissonBlock]time.Duration
}

// At returns the intended start of operation n.
func (p *Poisson) At(n uint64) (time.Duration, bool) {
	if block := n / poissonBlock; p.block != block+1 {
		p.fill(block)
	}
	return p.starts[n%poissonBlock], true
}

func (p *Poisson) fill(block uint64) {
	p.block = block + 1
	even := Constant{p.Rate}
	from, _ := even.At(block * poissonBlock)
	to, _ := even.At((block + 1) * poissonBlock)
	rng := rand.New(rand.NewPCG(p.Seed, block))
	for i := range p.starts {
		p.starts[i] = from + time.Duration(rng.Uint64N(uint64(max(to-from, 1))))
	}
	slices.Sort(p.starts[:])
}
