package network

import (
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// The rule table decides what becomes of each packet. It is pure: time comes in as an argument, chance from the seeds of
// the rules, and nothing else is read. Each rule has a stream of random numbers of its own for each (from, to), and draws
// the same numbers for every packet it matches, whatever other rules do: so the n-th packet from a to b meets the same
// fate in every run of the seed, however packets of other hosts fall between.

// table holds the rules in force and what they have done.
type table struct {
	nextID RuleID
	rules  []*ruleState // in the order of their ids
	flows  []*flow
}

// ruleState is a rule in force.
type ruleState struct {
	Rule
	id       RuleID
	counters Counters
	free     time.Duration // Rate: when all that was let through before has passed
}

// flow is the way from one host to another, and the rules upon it.
type flow struct {
	from, to string
	streams  []stream

	// The queue's own, see queue.go.
	arrived uint64        // packets so far
	passed  uint64        // the highest number of those that have gone
	last    time.Duration // when the youngest packet in order is due
	waiting int           // parcels in the queue and on their way out of it, those held excluded
	held    []*parcel     // oldest first. Invariant: none, unless clogged()
}

// stream is one rule as it applies to one flow.
type stream struct {
	rule *ruleState
	rng  *rand.PCG
}

// verdict is what becomes of one packet.
type verdict struct {
	drop   bool
	hold   bool
	copies int
	wait   time.Duration // before it goes
	late   *ruleState    // the rule for which others may overtake it; nil: it keeps its place
}

// addFlow makes the way from one host to another.
func (t *table) addFlow(from, to string) *flow {
	f := &flow{from: from, to: to}
	for _, r := range t.rules {
		f.attach(r)
	}
	t.flows = append(t.flows, f)
	return f
}

// removeHost forgets the flows of a host.
func (t *table) removeHost(name string) {
	t.flows = slices.DeleteFunc(t.flows, func(f *flow) bool { return f.from == name || f.to == name })
}

// set puts a valid rule in force.
func (t *table) set(r Rule) RuleID {
	t.nextID++
	state := &ruleState{Rule: r, id: t.nextID}
	t.rules = append(t.rules, state)
	for _, f := range t.flows {
		f.attach(state)
	}
	return state.id
}

// clear ends a rule, and returns it, or nil when there is no such rule.
func (t *table) clear(id RuleID) *ruleState {
	r := t.rule(id)
	if r == nil {
		return nil
	}
	t.rules = slices.DeleteFunc(t.rules, func(o *ruleState) bool { return o == r })
	for _, f := range t.flows {
		f.streams = slices.DeleteFunc(f.streams, func(s stream) bool { return s.rule == r })
	}
	return r
}

// rule returns the rule in force with that id, or nil.
func (t *table) rule(id RuleID) *ruleState {
	i := slices.IndexFunc(t.rules, func(r *ruleState) bool { return r.id == id })
	if i < 0 {
		return nil
	}
	return t.rules[i]
}

// single reports whether the packets that a host sends must be as a wire carries them.
func (t *table) single(from string) bool {
	return slices.ContainsFunc(t.flows, func(f *flow) bool {
		return f.from == from && slices.ContainsFunc(f.streams, func(s stream) bool { return s.rule.Single() })
	})
}

func (f *flow) attach(r *ruleState) {
	if !r.Matches(f.from, f.to) {
		return
	}
	h := fnv.New64a()
	h.Write([]byte(f.from + "\x00" + f.to))
	f.streams = append(f.streams, stream{rule: r, rng: rand.NewPCG(r.Seed, h.Sum64())})
}

// clogged reports whether a rule holds the flow's packets.
func (f *flow) clogged() bool {
	return slices.ContainsFunc(f.streams, func(s stream) bool { return s.rule.Clog })
}

// decide says what becomes of a packet of size bytes that arrives now.
func (f *flow) decide(now time.Duration, size int) verdict {
	v := verdict{copies: 1}
	for i := range f.streams {
		f.streams[i].apply(now, size, &v)
	}
	return v
}

// apply adds one rule's part to the verdict, unless an earlier rule has dropped the packet.
func (s *stream) apply(now time.Duration, size int, v *verdict) {
	r, c := s.rule, &s.rule.counters
	fate := s.draw()
	c.Matched++
	if v.drop {
		return
	}
	changed := false
	switch {
	case r.Drop || fate.lost:
		v.drop = true
	case r.Rate > 0:
		wait, full := r.admit(now, size)
		if v.drop = full; full {
			break
		}
		if wait > 0 {
			v.wait += wait
			c.Limited++
			changed = true
		}
	}
	if v.drop {
		c.Dropped++
		c.change(size)
		return
	}
	if r.Clog {
		v.hold = true
		c.Held++
		changed = true
	}
	if fate.twice {
		v.copies++
		c.Duplicated++
		changed = true
	}
	if fate.delay > 0 {
		v.wait += fate.delay
		if fate.late { // counted when it has been overtaken
			v.late = r
		} else {
			c.Delayed++
			changed = true
		}
	}
	if changed {
		c.change(size)
	}
}

func (c *Counters) change(size int) {
	c.Changed++
	c.Bytes += int64(size)
}

// overtaken counts a packet that another one of its flow has really overtaken.
func (r *ruleState) overtaken(size int) {
	r.counters.Reordered++
	r.counters.change(size)
}

// fate is what chance alone decides about a packet.
type fate struct {
	lost, twice, late bool
	delay             time.Duration
}

// draw takes the same number of random numbers for every packet of a rule.
func (s *stream) draw() fate {
	r := s.rule
	var f fate
	if r.Loss > 0 {
		f.lost = s.percent(r.Loss)
	}
	if r.Duplicate > 0 {
		f.twice = s.percent(r.Duplicate)
	}
	if r.Reorder > 0 {
		f.late = s.percent(r.Reorder)
	}
	f.delay = r.Delay
	if r.Jitter > 0 {
		f.delay = max(0, r.Delay+time.Duration(float64(r.Jitter)*s.deviation(r.Distribution)))
	}
	if r.Reorder > 0 && !f.late {
		f.delay = 0
	}
	return f
}

// percent is true in p of 100 cases.
func (s *stream) percent(p float64) bool { return s.unit()*100 < p }

// unit returns a number in [0, 1).
func (s *stream) unit() float64 { return float64(s.rng.Uint64()>>11) / (1 << 53) }

// deviation returns a number whose mean is 0: uniform in [-1, 1), or with deviation 1. The tail of pareto (shape 3) is
// cut at 20 deviations, which one packet in 200,000 would exceed.
func (s *stream) deviation(distribution string) float64 {
	u, w := s.unit(), s.unit()
	switch distribution {
	case "normal": // Box and Muller; 1-u is never 0
		return math.Sqrt(-2*math.Log(1-u)) * math.Cos(2*math.Pi*w)
	case "pareto":
		const mean, deviation = 1.5, 0.8660254
		return min(20, (math.Pow(1-u, -1.0/3)-mean)/deviation)
	}
	return 2*u - 1
}

// The token bucket of Rate: a burst that passes at once after a pause, and the queue before it, beyond which packets are
// dropped. Both have a floor, so that a small rate still lets whole packets through.
const (
	burstTime = 5 * time.Millisecond
	queueTime = 200 * time.Millisecond
	burstMin  = 2 * mtu
	queueMin  = 64 << 10
)

// admit says how long a packet waits for the rate, or that the queue is full.
func (r *ruleState) admit(now time.Duration, size int) (wait time.Duration, full bool) {
	burst := max(burstTime, r.passing(burstMin))
	free := max(r.free, now-burst)
	if free-now > max(queueTime, r.passing(queueMin)) {
		return 0, true
	}
	r.free = free + r.passing(size)
	return max(0, free-now), false
}

// passing returns how long n bytes take at the rate.
func (r *ruleState) passing(n int) time.Duration {
	return time.Duration(float64(n) / float64(r.Rate) * float64(time.Second))
}
