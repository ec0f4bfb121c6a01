package linear

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sort"

	"holdfast/checker/anomaly"
	"holdfast/checker/evidence"
)

// hole is offsets [from, to) that must exist and that nothing known fills: an unknown send invoked by the deadline
// must have.
type hole struct {
	q        *evidence.Queue
	from, to int64
	deadline int64
	op       uint64 // that claims they exist
}

// matcher gives holes to unknown sends that nobody saw: each queue's to those that name it, what is left of all queues
// to those that name none. Deadlines ascend, so taking the earliest unused send each time is exact.
type matcher struct {
	ev   *evidence.Evidence
	seen map[uint32]int // first send of a value -> copies beyond the acknowledged ones
	left []hole
}

func newMatcher(ev *evidence.Evidence) *matcher {
	m := &matcher{ev: ev, seen: map[uint32]int{}}
	for _, q := range ev.Queues {
		for i := range q.Extra {
			m.seen[q.Extra[i].Send]++
		}
	}
	return m
}

// unseen returns the invokes of those sends that may have appended something that nobody saw, ascending. Of a value
// whose copies were seen, as many sends less; the earlier ones stay, since they accuse least.
func (m *matcher) unseen(sends []uint32) []int64 {
	h := m.ev.H
	byValue := map[uint32][]int64{}
	var out []int64
	for _, i := range sends {
		first, _ := m.ev.First(h.Sends[i].Value)
		if m.seen[first] == 0 {
			out = append(out, h.Sends[i].Invoke)
		} else if m.ev.Again(first) {
			byValue[first] = append(byValue[first], h.Sends[i].Invoke)
		}
	}
	for first, invokes := range byValue {
		slices.Sort(invokes)
		out = append(out, invokes[:max(0, len(invokes)-m.seen[first])]...)
	}
	slices.Sort(out)
	return out
}

// queue finds the holes of one queue and gives them to the sends that name it.
func (m *matcher) queue(c *checker) {
	holes := c.holes()
	if len(holes) == 0 {
		return
	}
	m.left = append(m.left, fill(holes, m.unseen(c.q.Chosen))...)
}

// finish gives the rest to the sends that name no queue; what is left then is wrong.
func (m *matcher) finish(r *Result) {
	if len(m.left) == 0 {
		return
	}
	for _, l := range fill(m.left, m.unseen(m.ev.Unrouted)) {
		r.Invalid[l.q.Name] = true
		r.Add(anomaly.Hole, l.to-l.from, anomaly.Violation, func() anomaly.Finding {
			return anomaly.Finding{Queue: l.q.Name, Ops: []uint64{l.op}, Explain: fmt.Sprintf(
				"operation %d shows that offsets [%d, %d) exist, but no send can have filled them by %d ns", l.op, l.from, l.to, l.deadline)}
		})
	}
}

// fill gives each offset of the holes the earliest unused invoke by its deadline, and returns what is left over.
func fill(holes []hole, invokes []int64) (left []hole) {
	slices.SortStableFunc(holes, func(a, b hole) int { return cmp.Compare(a.deadline, b.deadline) })
	next := 0
	for _, l := range holes {
		for l.from < l.to && next < len(invokes) && invokes[next] <= l.deadline {
			next++
			l.from++
		}
		if l.from < l.to {
			left = append(left, l)
		}
	}
	return left
}

// claim says that all offsets below reach existed by ret.
type claim struct {
	reach, ret int64
	op         uint64
}

// holes returns the offsets of a queue that must exist in some epoch and that nothing known fills. What an epoch
// inherited was filled before.
func (c *checker) holes() []hole {
	var out []hole
	var inherited []hole // gaps of earlier epochs, ascending
	for e := range c.epochs {
		if low := c.epochs[e].low; e > 0 && low >= 0 {
			inherited = below(inherited, low)
		}
		gaps := c.gaps(e)
		for _, g := range gaps {
			for _, l := range subtract(g, inherited) {
				out = append(out, c.deadlines(e, l)...)
				inherited = append(inherited, l)
			}
		}
		slices.SortFunc(inherited, func(a, b hole) int { return cmp.Compare(a.from, b.from) })
	}
	return out
}

// below returns what of the gaps lies below an offset.
func below(gaps []hole, low int64) []hole {
	var out []hole
	for _, g := range gaps {
		if g.to = min(g.to, low); g.from < g.to {
			out = append(out, g)
		}
	}
	return out
}

// subtract returns what of g is not among gaps, which ascend.
func subtract(g hole, gaps []hole) []hole {
	var out []hole
	for _, b := range gaps {
		from, to := max(b.from, g.from), min(b.to, g.to)
		if from >= to {
			continue
		}
		if g.from < from {
			out = append(out, hole{q: g.q, from: g.from, to: from})
		}
		g.from = to
	}
	if g.from < g.to {
		out = append(out, g)
	}
	return out
}

// gaps returns the offsets below the known end of the log in epoch e at which nothing is known, ascending.
func (c *checker) gaps(e int) []hole {
	q, h := c.q, c.ev.H
	x := &c.epochs[e]
	limit := int64(0)
	if n := len(x.acks); n > 0 {
		limit = after(h.Sends[x.acks[n-1]].Offset)
	}
	for _, k := range x.fetches {
		f := &h.Fetches[k]
		limit = max(limit, reach(f, h.Msgs(f)))
	}
	low := c.begin()
	if len(c.epochs) == 1 && q.Unique && int64(len(q.Acks)-q.Rank(low)) == limit-low && len(q.Extra)+len(q.Strange) == 0 {
		return nil // as many acknowledged as there are offsets
	}
	var out []hole
	next := low
	step := func(o int64) {
		if o > next && next < limit {
			out = append(out, hole{q: q, from: next, to: min(o, limit)})
		}
		next = max(next, after(o))
	}
	appends := c.appendsBy(e)
	u := 0
	for _, i := range q.Acks {
		s := &h.Sends[i]
		if len(c.epochs) > 1 && !c.fills(e, q.Span(s), s.Offset) {
			continue
		}
		for ; u < len(appends) && appends[u] <= s.Offset; u++ {
			step(appends[u])
		}
		step(s.Offset)
	}
	for ; u < len(appends); u++ {
		step(appends[u])
	}
	step(max(limit, next))
	return out
}

// begin returns the lowest offset that must be filled: the queue's base; or, when all that is known lies above what a
// read said to be the first that is kept, that one.
func (c *checker) begin() int64 {
	first := int64(0)
	for _, i := range c.q.Fetches {
		first = max(first, c.ev.H.Fetches[i].First)
	}
	if first > c.q.Base && c.q.Rank(first) == c.q.Rank(c.q.Base) && (len(c.q.Extra) == 0 || c.q.Extra[0].Offset >= first) {
		return first
	}
	return c.q.Base
}

// fills says that an append with this span occupies its offset in epoch e: its own, or inherited.
func (c *checker) fills(e int, span evidence.Span, offset int64) bool {
	if low := c.epochs[e].low; low >= 0 && offset >= low {
		return span.Lo <= e && e <= span.Hi
	}
	return span.Lo <= e
}

// appendsBy returns the offsets that observed unknown appends occupy in epoch e, ascending. A message that was never
// sent, or is corrupt, is wrong, but its offset is no hole.
func (c *checker) appendsBy(e int) []int64 {
	var out []int64
	for k := range c.epochs[:e+1] {
		for _, a := range c.epochs[k].appends {
			if c.fills(e, evidence.Span{Lo: k, Hi: max(k, a.seen.Hi)}, a.offset) {
				out = append(out, a.offset)
			}
		}
	}
	for i := range c.q.Strange {
		out = append(out, c.q.Strange[i].Offset)
	}
	slices.Sort(out)
	return out
}

// deadlines cuts a gap where the first return of anything after it changes.
func (c *checker) deadlines(e int, gap hole) []hole {
	claims := c.claims(e)
	var out []hole
	for gap.from < gap.to {
		i := sort.Search(len(claims), func(i int) bool { return claims[i].reach > gap.from })
		if i == len(claims) {
			panic("linear: a gap that nothing claims")
		}
		piece := gap
		piece.to = min(gap.to, claims[i].reach)
		piece.deadline, piece.op = claims[i].ret, claims[i].op
		if n := len(out); n > 0 && out[n-1].deadline == piece.deadline {
			out[n-1].to = piece.to
		} else {
			out = append(out, piece)
		}
		gap.from = piece.to
	}
	return out
}

// claims returns what claims that offsets exist in epoch e, by reach, each with the earliest return of it and all later.
func (c *checker) claims(e int) []claim {
	h := c.ev.H
	x := &c.epochs[e]
	if x.claims != nil {
		return x.claims
	}
	for _, i := range x.acks {
		s := &h.Sends[i]
		x.claims = append(x.claims, claim{s.Offset, s.Return, s.Op})
	}
	for _, i := range x.fetches {
		f := &h.Fetches[i]
		x.claims = append(x.claims, claim{reach(f, h.Msgs(f)), f.Return, f.Op})
	}
	slices.SortFunc(x.claims, func(a, b claim) int { return cmp.Compare(a.reach, b.reach) })
	least := claim{ret: math.MaxInt64}
	for i := len(x.claims) - 1; i >= 0; i-- {
		if x.claims[i].ret < least.ret {
			least = x.claims[i]
		}
		x.claims[i].ret, x.claims[i].op = least.ret, least.op
	}
	return x.claims
}
