package nemesis

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// Mix is what a plan draws from, in an order that the draws depend on.
type Mix []Choice

// Choice is one kind of fault in a mix. Of each list one is drawn; an empty list stands for the kind's default.
type Choice struct {
	Kind       Kind
	Weight     int // how often in a round; 0: once
	Targets    []Target
	Recoveries []Recovery // of kinds that stop nodes
	For        *Range     // how long the fault lasts; nil: as the timing says
	Low, High  Params     // figures are drawn from Low to High; words, and figures that are not larger in High, are Low's
}

// Range is a time from From to To, both included.
type Range struct{ From, To time.Duration }

// Timing is how a plan is spread over time.
type Timing struct {
	Length time.Duration // from the begin of the schedule to the end of the final quiet phase
	Quiet  Range         // between the end of a fault and the next one; From is also the shortest final phase
	For    Range         // how long a fault lasts, where the mix does not say
}

// Plan draws a schedule: faults one after another, with quiet phases between them and at the end. No kind strikes twice in a row
// where the mix has another, and each gets its turn: a round has every choice as often as its weight. The same numbers of rng give the
// same schedule always. Mix and timing must be valid. The schedule is empty when no fault fits.
func Plan(rng *rand.Rand, mix Mix, t Timing) Schedule {
	var s Schedule
	turns := &bag{rng: rng, mix: mix, wait: make([]int, len(mix))}
	for at := time.Duration(0); ; {
		f := mix[turns.draw()].fault(rng, t)
		f.At = at
		if at+f.For > t.Length-t.Quiet.From {
			return s
		}
		s = append(s, f)
		at += f.For + t.Quiet.draw(rng)
	}
}

// bag holds the choices that still wait for their turn in this round.
type bag struct {
	rng  *rand.Rand
	mix  Mix
	wait []int // how often each choice of mix still waits
	last Kind
}

// draw takes a choice out, of another kind than the last one if the mix has any. When nothing but the last kind waits, the next round
// begins beside what is left of this one.
func (b *bag) draw() int {
	other := func(k Kind) bool { return k != b.last }
	if !slices.ContainsFunc(b.mix, func(c Choice) bool { return other(c.Kind) }) {
		other = func(Kind) bool { return true }
	}
	if b.waiting(other) == 0 {
		for i, c := range b.mix {
			b.wait[i] += max(c.Weight, 1)
		}
	}
	chosen := b.nth(b.rng.IntN(b.waiting(other)), other)
	b.wait[chosen]--
	b.last = b.mix[chosen].Kind
	return chosen
}

// waiting counts the turns that wait, of the kinds that fit.
func (b *bag) waiting(fits func(Kind) bool) int {
	n := 0
	for i, c := range b.mix {
		if fits(c.Kind) {
			n += b.wait[i]
		}
	}
	return n
}

// nth returns the choice that has turn n of those that wait and fit, n < waiting.
func (b *bag) nth(n int, fits func(Kind) bool) int {
	for i, c := range b.mix {
		if !fits(c.Kind) {
			continue
		}
		if n < b.wait[i] {
			return i
		}
		n -= b.wait[i]
	}
	panic("nemesis: a turn beyond those that wait")
}

// fault draws one fault of the choice, at 0.
func (c Choice) fault(rng *rand.Rand, t Timing) Fault {
	f := Fault{Kind: c.Kind, Target: oneOf(rng, c.Targets), Recovery: oneOf(rng, c.Recoveries), For: c.lasts(t).draw(rng)}
	f.Params = c.Low.upTo(rng, c.High)
	f.Seed = rng.Uint64() >> 1 // histories hold integers below 2^63
	return f.WithDefaults()
}

func (c Choice) lasts(t Timing) Range {
	if c.For != nil {
		return *c.For
	}
	return t.For
}

func oneOf[T ~string](rng *rand.Rand, from []T) T {
	if len(from) == 0 {
		return ""
	}
	return from[rng.IntN(len(from))]
}

// upTo draws each figure between that of p and that of high.
func (p Params) upTo(rng *rand.Rand, high Params) Params {
	p.Percent = drawDecimal(rng, p.Percent, high.Percent)
	p.Delay = Range{p.Delay, high.Delay}.draw(rng)
	p.Jitter = Range{p.Jitter, high.Jitter}.draw(rng)
	p.Rate = drawInteger(rng, p.Rate, high.Rate)
	p.Times = int(drawInteger(rng, int64(p.Times), int64(high.Times)))
	p.Bytes = drawInteger(rng, p.Bytes, high.Bytes)
	p.PPM = drawDecimal(rng, p.PPM, high.PPM)
	p.Survive.Percent = int(drawInteger(rng, int64(p.Survive.Percent), int64(high.Survive.Percent)))
	return p
}

// draw returns a time of the range: of whole milliseconds after From where the range is wide enough, so that schedules can be read.
func (r Range) draw(rng *rand.Rand) time.Duration {
	unit := time.Millisecond
	if r.To-r.From < 10*unit {
		unit = 1
	}
	return r.From + unit*time.Duration(drawInteger(rng, 0, int64((r.To-r.From)/unit)))
}

// drawInteger returns a number of [low, high]; low, without a draw, when high is not above it.
func drawInteger(rng *rand.Rand, low, high int64) int64 {
	if high <= low {
		return low
	}
	return low + rng.Int64N(high-low+1)
}

// thousandth is the step of drawn decimals: an integer is drawn, so that every machine draws the same.
const thousandth = 1000

func drawDecimal(rng *rand.Rand, low, high float64) float64 {
	if high <= low {
		return low
	}
	from, to := int64(math.Ceil(low*thousandth)), int64(math.Floor(high*thousandth))
	if to < from {
		return low
	}
	return float64(drawInteger(rng, from, to)) / thousandth
}

// WeightMax bounds the weight of a choice, ChoicesMax the choices of a mix, FaultsMax the faults of a schedule.
const (
	WeightMax  = 100
	ChoicesMax = 100
	FaultsMax  = 1000
)

// Validate returns nil, or which choice is wrong, counted from 1, and why; a *FieldError is wrapped. Every fault that a valid choice
// can be drawn as is valid.
func (m Mix) Validate(t Timing) error {
	if len(m) == 0 || len(m) > ChoicesMax {
		return &FieldError{"mix", fmt.Sprintf("%d choices", len(m)), fmt.Sprintf("1 to %d choices", ChoicesMax)}
	}
	for i, c := range m {
		if err := c.Validate(t); err != nil {
			return fmt.Errorf("choice %d: %w", i+1, err)
		}
	}
	return nil
}

// Validate returns nil, or a *FieldError that names the first bad field of the choice under a timing.
func (c Choice) Validate(t Timing) error {
	if c.Kind == None {
		return &FieldError{"kind", string(None), "a kind that does something"}
	}
	if c.Weight < 0 || c.Weight > WeightMax {
		return &FieldError{"weight", fmt.Sprint(c.Weight), fmt.Sprintf("1 to %d", WeightMax)}
	}
	lasts := c.lasts(t)
	if err := lasts.validate("for", 0); err != nil {
		return err
	}
	for _, target := range orDefault(c.Targets) {
		for _, recovery := range orDefault(c.Recoveries) {
			for _, end := range []Fault{
				{Kind: c.Kind, Target: target, Recovery: recovery, For: lasts.From, Params: c.Low},
				{Kind: c.Kind, Target: target, Recovery: recovery, For: lasts.To, Params: c.Low.highest(c.High)},
			} {
				if err := Validate(end.WithDefaults()); err != nil {
					return err
				}
			}
		}
	}
	return c.crossesZero()
}

// crossesZero errs when a figure that must not be 0 could be drawn as 0.
func (c Choice) crossesZero() error {
	switch {
	case c.Kind == ClockJump && c.Low.Delay < 0 && c.High.Delay >= 0:
		return &FieldError{"delay", fmt.Sprintf("%s to %s", short(c.Low.Delay), short(c.High.Delay)), "a range without 0s"}
	case c.Kind == ClockDrift && c.Low.PPM < 0 && c.High.PPM >= 0:
		return &FieldError{"ppm", decimal(c.Low.PPM) + " to " + decimal(c.High.PPM), "a range without 0"}
	}
	return nil
}

func orDefault[T ~string](given []T) []T {
	if len(given) == 0 {
		return []T{""}
	}
	return given
}

// highest returns p with the figures that are larger in high.
func (p Params) highest(high Params) Params {
	p.Percent, p.PPM = max(p.Percent, high.Percent), max(p.PPM, high.PPM)
	p.Delay, p.Jitter = max(p.Delay, high.Delay), max(p.Jitter, high.Jitter)
	p.Rate, p.Bytes, p.Times = max(p.Rate, high.Rate), max(p.Bytes, high.Bytes), max(p.Times, high.Times)
	p.Survive.Percent = max(p.Survive.Percent, high.Survive.Percent)
	return p
}

func (r Range) validate(field string, least time.Duration) error {
	if r.From < least || r.To < r.From || r.To > LengthMax {
		return &FieldError{field, fmt.Sprintf("%s to %s", short(r.From), short(r.To)), fmt.Sprintf("from %s to %s, the smaller first", short(least), short(LengthMax))}
	}
	return nil
}

// Validate returns nil, or a *FieldError that names the first bad field of the timing. The shortest quiet phase is 1 ms, and a plan may
// not come to more than FaultsMax faults.
func (t Timing) Validate() error {
	if t.Length <= 0 || t.Length > LengthMax {
		return &FieldError{"length", short(t.Length), "above 0s to " + short(LengthMax)}
	}
	if err := t.Quiet.validate("quiet", time.Millisecond); err != nil {
		return err
	}
	if t.Length/t.Quiet.From > FaultsMax {
		return &FieldError{"quiet", short(t.Quiet.From), fmt.Sprintf("a %dth of the length or more", FaultsMax)}
	}
	return t.For.validate("for", 0)
}
