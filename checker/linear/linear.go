// Package linear decides exactly, in linear time, whether the appends and reads of each queue agree with real time. It
// takes for granted that checker/order has judged the contents.
//
// The append at offset o has the position 2o+1, a read that saw the log end h the position 2h. The legal order is the
// order of positions, so a queue is linearizable within an epoch iff no operation returned before an operation of a
// lower position was invoked: walking positions upward, the largest invoke so far may not exceed any return.
// Source: contracts.md section 6.
package linear

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sort"

	"holdfast/checker/anomaly"
	"holdfast/checker/evidence"
	"holdfast/checker/history"
)

// Result is what disagrees with real time.
type Result struct {
	anomaly.Report
	Invalid map[string]bool // queues that are not linearizable in what is promised
}

// Check decides for all queues.
func Check(ev *evidence.Evidence) *Result {
	r := &Result{Invalid: map[string]bool{}}
	m := newMatcher(ev)
	for _, q := range ev.Queues {
		c := &checker{ev: ev, q: q, r: r, reads: ev.Court.Set.Reads.Linearizable, accused: map[uint32]bool{}}
		c.split()
		for e := range c.epochs {
			c.sweep(&c.epochs[e])
		}
		c.early()
		if !ev.H.Header.Sparse {
			m.queue(c)
		}
	}
	m.finish(r)
	return r
}

// checker checks one queue.
type checker struct {
	ev      *evidence.Evidence
	q       *evidence.Queue
	r       *Result
	reads   bool // reads are promised linearizable
	epochs  []epoch
	accused map[uint32]bool // fetches
}

// epoch is what certainly belongs to one epoch of a queue.
type epoch struct {
	acks    []uint32       // by offset
	rows    []evidence.Row // of acks
	appends []observed     // unknown ones that were observed, by offset
	fetches []uint32       // of the master
	low     int64          // lowest new offset; -1: none is known
	claims  []claim        // see checker.claims
}

// observed is an unknown append that was observed: it may have returned whenever it liked.
type observed struct {
	offset, invoke int64
	op             uint64
	value          uint64
	epoch          int
	seen           evidence.Span
}

// split hands the operations to the epochs. Those that span a boundary constrain nobody.
func (c *checker) split() {
	q, h := c.q, c.ev.H
	c.epochs = make([]epoch, q.Group.Epochs())
	if len(c.epochs) == 1 {
		c.epochs[0].acks, c.epochs[0].rows = q.Acks, q.Rows
	} else {
		for k, i := range q.Acks {
			if span := q.Group.SpanOf(q.Rows[k].Invoke, q.Rows[k].Return); span.Definite() {
				x := &c.epochs[span.Lo]
				x.acks, x.rows = append(x.acks, i), append(x.rows, q.Rows[k])
			}
		}
	}
	for e := range c.epochs {
		x := &c.epochs[e]
		x.low = -1
		if e == 0 {
			x.low = q.Base
		} else if len(x.acks) > 0 {
			x.low = x.rows[0].Offset
		}
	}
	for _, i := range q.Fetches {
		f := &h.Fetches[i]
		span := q.Group.SpanOf(f.Invoke, f.Return)
		if !span.Definite() || !c.ev.Master(q, f) {
			continue
		}
		x := &c.epochs[span.Lo]
		x.fetches = append(x.fetches, i)
		if c.reads && f.End >= 0 && (x.low < 0 || f.End < x.low) {
			x.low = f.End // what was inherited was there for this read, too
		}
	}
	for i := range q.Extra {
		x := &q.Extra[i]
		a := observed{offset: x.Offset, invoke: c.ev.EarliestInvoke(x.Send), op: h.Sends[x.Send].Op, value: x.Value, seen: x.Span}
		a.epoch = c.assign(a)
		c.epochs[a.epoch].appends = append(c.epochs[a.epoch].appends, a)
	}
}

// assign gives an observed unknown append the first epoch that it reaches and in which its offset was observed or could
// be appended: there it accuses least.
func (c *checker) assign(a observed) int {
	last := a.seen.Hi
	for e := min(c.q.Group.EpochAt(a.invoke), last); e < last; e++ {
		if c.appendable(e, last, a) {
			return e
		}
	}
	return last
}

// appendable says that a may have been appended in epoch e and inherited until it was seen in epoch last.
func (c *checker) appendable(e, last int, a observed) bool {
	if low := c.epochs[e].low; low > a.offset && c.taken(e, a) {
		return false // it would have cut what the epoch inherited
	}
	for later := e + 1; later <= last; later++ {
		if low := c.epochs[later].low; low >= 0 && low <= a.offset {
			return false
		}
	}
	here := evidence.Span{Lo: e, Hi: e}
	for _, i := range c.q.AcksAt(a.offset) {
		if s := &c.ev.H.Sends[i]; s.Value != a.value && c.q.Span(s) == here {
			return false
		}
	}
	from := sort.Search(len(c.q.Extra), func(i int) bool { return c.q.Extra[i].Offset >= a.offset })
	for _, x := range c.q.Extra[from:] {
		if x.Offset != a.offset {
			break
		}
		if x.Value != a.value && x.Span == here {
			return false
		}
	}
	return true
}

// taken says that something else is known at a's offset in epoch e or before.
func (c *checker) taken(e int, a observed) bool {
	for _, i := range c.q.AcksAt(a.offset) {
		if c.q.Span(&c.ev.H.Sends[i]).Lo <= e {
			return true
		}
	}
	from := sort.Search(len(c.q.Extra), func(i int) bool { return c.q.Extra[i].Offset >= a.offset })
	for _, x := range c.q.Extra[from:] {
		if x.Offset != a.offset {
			break
		}
		if x.Value != a.value && x.Span.Lo <= e {
			return true
		}
	}
	return false
}

// reach returns the end of the log as an answer shows it; -1: it shows nothing.
func reach(f *history.FetchOp, msgs history.Msgs) int64 {
	h := f.End
	if n := msgs.Len(); n > 0 {
		h = max(h, after(msgs.Offset(n-1)))
	}
	return h
}

// after returns the offset after o; the largest of all has none.
func after(o int64) int64 { return min(o, math.MaxInt64-1) + 1 }

// sweep checks one epoch.
func (c *checker) sweep(x *epoch) {
	h := c.ev.H
	unknown := ascending(len(x.appends), func(i int) int64 { return x.appends[i].invoke })
	highest := make([]int64, len(x.acks)) // largest invoke of acks[:i+1]
	below, most := int64(-1), int64(-1)   // of lower offsets; of all so far
	u := 0
	offset := int64(-1)
	for i, k := range x.acks {
		s := &x.rows[i]
		if s.Offset != offset {
			below, offset = most, s.Offset
			for u < len(x.appends) && x.appends[u].offset < offset {
				u++
			}
		}
		bound := below
		if u > 0 {
			bound = max(bound, unknown[u-1])
		}
		if s.Return < bound {
			c.disorder(x, k, bound)
		}
		most = max(most, s.Invoke)
		highest[i] = most
	}
	for _, k := range x.fetches {
		f := &h.Fetches[k]
		end := reach(f, h.Msgs(f))
		bound := int64(-1)
		if n := c.rank(x, end); n > 0 {
			bound = highest[n-1]
		}
		if n := sort.Search(len(x.appends), func(i int) bool { return x.appends[i].offset >= end }); n > 0 {
			bound = max(bound, unknown[n-1])
		}
		if f.Return < bound {
			c.tooEarly(x, k, end, bound)
		}
	}
	if c.reads {
		c.stale(x)
	}
	if c.r.Count(anomaly.RealtimeOrder) > 0 {
		c.clients(x)
	}
}

// ascending returns the running maximum of n values.
func ascending(n int, value func(int) int64) []int64 {
	out := make([]int64, n)
	most := int64(-1)
	for i := range out {
		most = max(most, value(i))
		out[i] = most
	}
	return out
}

// rank returns how many acknowledged appends of x have an offset below end.
func (c *checker) rank(x *epoch, end int64) int {
	if len(c.epochs) == 1 {
		return c.q.Rank(end)
	}
	return sort.Search(len(x.acks), func(i int) bool { return x.rows[i].Offset >= end })
}

// byReach returns the fetches of x by a figure of theirs; those without it, -1, are left out.
func (c *checker) byReach(x *epoch, figure func(*history.FetchOp) int64) (fetches []uint32, figures []int64) {
	for _, k := range x.fetches {
		if n := figure(&c.ev.H.Fetches[k]); n >= 0 {
			fetches, figures = append(fetches, k), append(figures, n)
		}
	}
	if !slices.IsSorted(figures) {
		order := make([]int, len(figures))
		for i := range order {
			order[i] = i
		}
		slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(figures[a], figures[b]) })
		f, n := slices.Clone(fetches), slices.Clone(figures)
		for i, k := range order {
			fetches[i], figures[i] = f[k], n[k]
		}
	}
	return fetches, figures
}

// stale finds reads whose end is too small: something beyond it had returned before they were invoked.
func (c *checker) stale(x *epoch) {
	h := c.ev.H
	reads, ends := c.byReach(x, func(f *history.FetchOp) int64 { return f.End })
	shown, reaches := c.byReach(x, func(f *history.FetchOp) int64 { return reach(f, h.Msgs(f)) })
	a, b := len(x.acks)-1, len(shown)-1
	earliest, who := int64(math.MaxInt64), uint64(0)
	note := func(t int64, op uint64) {
		if t < earliest {
			earliest, who = t, op
		}
	}
	for i := len(reads) - 1; i >= 0; i-- {
		for ; a >= 0 && x.rows[a].Offset >= ends[i]; a-- {
			if x.rows[a].Return < earliest {
				note(x.rows[a].Return, h.Sends[x.acks[a]].Op)
			}
		}
		for ; b >= 0 && reaches[b] > ends[i]; b-- {
			note(h.Fetches[shown[b]].Return, h.Fetches[shown[b]].Op)
		}
		f := &h.Fetches[reads[i]]
		if earliest >= f.Invoke {
			continue
		}
		c.r.Invalid[c.q.Name] = true
		c.r.Add(anomaly.StaleRead, 1, anomaly.Violation, func() anomaly.Finding {
			return anomaly.Finding{Queue: c.q.Name, Ops: []uint64{f.Op, who}, Explain: fmt.Sprintf(
				"operation %d asked at %d ns and saw the log end at %d, although operation %d had returned beyond it at %d ns",
				f.Op, f.Invoke, ends[i], who, earliest)}
		})
	}
}

// disorder reports an append that returned before one at a lower offset was invoked.
func (c *checker) disorder(x *epoch, send uint32, bound int64) {
	s := &c.ev.H.Sends[send]
	c.r.Invalid[c.q.Name] = true
	c.r.Add(anomaly.RealtimeOrder, 1, anomaly.Violation, func() anomaly.Finding {
		op, value, offset := c.witness(x, s.Offset, bound)
		return anomaly.Finding{Queue: c.q.Name, Ops: []uint64{s.Op, op}, Explain: fmt.Sprintf(
			"message %d was acknowledged at offset %d at %d ns, but message %d at the lower offset %d was sent only at %d ns",
			s.Value, s.Offset, s.Return, value, offset, bound)}
	})
}

// tooEarly reports an answer that shows an append that was not yet invoked, or one after it.
func (c *checker) tooEarly(x *epoch, fetch uint32, end, bound int64) {
	f := &c.ev.H.Fetches[fetch]
	c.accused[fetch] = true
	c.r.Invalid[c.q.Name] = true
	c.r.Add(anomaly.RealtimeOrder, 1, anomaly.Violation, func() anomaly.Finding {
		op, value, offset := c.witness(x, end, bound)
		return anomaly.Finding{Queue: c.q.Name, Ops: []uint64{f.Op, op}, Explain: fmt.Sprintf(
			"operation %d saw the log up to %d at %d ns, but message %d at offset %d was sent only at %d ns",
			f.Op, end, f.Return, value, offset, bound)}
	})
}

// witness finds the append below an offset that was invoked at bound.
func (c *checker) witness(x *epoch, below, bound int64) (op, value uint64, offset int64) {
	for _, k := range x.acks {
		if s := &c.ev.H.Sends[k]; s.Offset < below && s.Invoke == bound {
			return s.Op, s.Value, s.Offset
		}
	}
	for _, a := range x.appends {
		if a.offset < below && a.invoke == bound {
			return a.op, a.value, a.offset
		}
	}
	panic("linear: a bound without an append")
}

// clients finds sends of one client that are out of order: the second was invoked after the first had been acknowledged.
func (c *checker) clients(x *epoch) {
	type latest struct {
		invoke int64
		send   uint32
	}
	highest := map[int32]latest{}
	for _, k := range x.acks {
		s := &c.ev.H.Sends[k]
		l, found := highest[s.P]
		if found && s.Return < l.invoke && c.ev.H.Sends[l.send].Offset < s.Offset {
			c.r.Add(anomaly.NonmonotonicSend, 1, anomaly.Violation, func() anomaly.Finding {
				p := &c.ev.H.Sends[l.send]
				return anomaly.Finding{Queue: c.q.Name, Ops: []uint64{s.Op, p.Op}, Explain: fmt.Sprintf(
					"client %d sent message %d after message %d had been acknowledged, but it has the lower offset: %d, %d",
					s.P, p.Value, s.Value, p.Offset, s.Offset)}
			})
		}
		if !found || s.Invoke > l.invoke {
			highest[s.P] = latest{s.Invoke, k}
		}
	}
}

// early reports what was returned before it was sent, by answers that no epoch's sweep judges: a replica's, or one that
// spans a boundary.
func (c *checker) early() {
	for _, s := range c.q.Strange {
		if s.Why != anomaly.RealtimeOrder || c.accused[s.Fetch] {
			continue
		}
		f, send := &c.ev.H.Fetches[s.Fetch], &c.ev.H.Sends[s.Send]
		c.r.Invalid[c.q.Name] = true
		c.r.Add(anomaly.RealtimeOrder, 1, anomaly.Violation, func() anomaly.Finding {
			return anomaly.Finding{Queue: c.q.Name, Ops: []uint64{f.Op, send.Op}, Explain: fmt.Sprintf(
				"message %d was returned at offset %d at %d ns, before it was sent at %d ns", s.Value, s.Offset, f.Return, send.Invoke)}
		})
	}
}
