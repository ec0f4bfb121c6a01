// Package offsets checks what consumers were given against what they asked for: answers below their offset, answers that
// leave messages out, messages that a group was given again.
// Source: contracts.md sections 3 and 5.
package offsets

import (
	"cmp"
	"fmt"
	"slices"
	"sort"

	"holdfast/checker/anomaly"
	"holdfast/checker/evidence"
	"holdfast/checker/history"
	"holdfast/checker/loss"
)

// Check finds what is wrong with the answers to polls. It counts answers; of redeliveries, messages.
func Check(ev *evidence.Evidence) *anomaly.Report {
	c := &checker{ev: ev, judge: loss.NewJudge(ev)}
	for _, q := range ev.Queues {
		c.queue(q)
	}
	return &c.r
}

type checker struct {
	r     anomaly.Report
	ev    *evidence.Evidence
	judge *loss.Judge

	// Of the queue: the lowest offset that any read says is still there, and when each client was answered, ascending.
	first    int64
	answered map[int32][]int64
}

// queue judges the polls of one queue in the order in which they were asked.
func (c *checker) queue(q *evidence.Queue) {
	h := c.ev.H
	var polls []uint32
	c.first = q.Base
	for _, i := range q.Fetches {
		f := &h.Fetches[i]
		c.first = max(c.first, f.First)
		if f.F == history.Poll {
			polls = append(polls, i)
		}
	}
	groups := map[history.Sym]*deliveries{}
	c.answered = map[int32][]int64{}
	for _, i := range polls {
		f := &h.Fetches[i]
		c.answered[f.P] = append(c.answered[f.P], f.Return)
		msgs := h.Msgs(f)
		if msgs.Len() == 0 {
			continue
		}
		if f.Group != 0 {
			g := groups[f.Group]
			if g == nil {
				g = &deliveries{}
				groups[f.Group] = g
			}
			c.again(q, f, msgs, g)
		}
		if msgs.Dense() && (f.From < 0 || msgs.Offset(0) == f.From) {
			continue
		}
		if backwards(f, msgs) {
			c.nonmonotonic(q, f)
		} else if !f.Filter {
			c.skips(q, f, msgs)
		}
	}
}

// backwards says that an answer is below what was asked for, or not in order.
func backwards(f *history.FetchOp, msgs history.Msgs) bool {
	for i := range msgs.Len() {
		if o := msgs.Offset(i); o < f.From || i > 0 && o <= msgs.Offset(i-1) {
			return true
		}
	}
	return false
}

// nonmonotonic judges an answer that goes back. Over an epoch's end it may be what a loss leaves: then the messages that
// the client had been given before decide.
func (c *checker) nonmonotonic(q *evidence.Queue, f *history.FetchOp) {
	h := c.ev.H
	span := q.Group.SpanOf(f.Invoke, f.Return)
	class, why := anomaly.Violation, "within one epoch"
	at := int64(-1) // when the client was last answered before
	times := c.answered[f.P]
	if n := sort.Search(len(times), func(i int) bool { return times[i] > f.Invoke }); n > 0 {
		at = times[n-1]
	} else if span.Lo > 0 {
		at = q.Group.EpochEnd(span.Lo-1) - 1
	}
	if at >= 0 && q.Group.EpochAt(at) < span.Hi {
		var excused bool
		excused, why = c.judge.Evidence(q, q.Group.MasterAt(at), at, c.ev.NodeOf(q, f), f.Return)
		if excused {
			class = anomaly.Excused
		}
	} else if !span.Definite() {
		class, why = anomaly.Excused, "its epoch ended meanwhile"
	}
	c.r.Add(anomaly.NonmonotonicPoll, 1, class, func() anomaly.Finding {
		return anomaly.Finding{Queue: q.Name, Ops: []uint64{f.Op}, Explain: fmt.Sprintf(
			"client %d asked from offset %d and was given offset %d (%s)", f.P, f.From, h.Msgs(f).Offset(0), why)}
	})
}

// skips judges the offsets that an answer leaves out between what was asked for and its last.
func (c *checker) skips(q *evidence.Queue, f *history.FetchOp, msgs history.Msgs) {
	next := f.From
	if next < 0 {
		next = msgs.Offset(0)
	}
	worst, at, why := anomaly.Reported, int64(-1), ""
	for i := range msgs.Len() {
		o := msgs.Offset(i)
		if from := max(next, c.first); from < o {
			if class, missing, because := c.gap(q, f, from, o); class > worst {
				worst, at, why = class, missing, because
			}
		}
		next = o + 1
	}
	if worst == anomaly.Reported {
		return
	}
	c.r.Add(anomaly.PollSkip, 1, worst, func() anomaly.Finding {
		return anomaly.Finding{Queue: q.Name, Ops: []uint64{f.Op}, Explain: fmt.Sprintf(
			"client %d asked from offset %d and was given up to offset %d without offset %d: %s",
			f.P, f.From, msgs.Offset(msgs.Len()-1), at, why)}
	})
}

// gap judges the offsets [from, to), which an answer left out: the worst of them, which, and why. Reported: nothing is
// known to exist there.
func (c *checker) gap(q *evidence.Queue, f *history.FetchOp, from, to int64) (worst anomaly.Class, at int64, why string) {
	h := c.ev.H
	span := q.Group.SpanOf(f.Invoke, f.Return)
	known := int64(0)
	note := func(class anomaly.Class, o int64, because string) {
		if class > worst {
			worst, at, why = class, o, because
		}
	}
	last := int64(-1)
	for _, i := range q.Acks[q.Rank(from):q.Rank(to)] {
		s := &h.Sends[i]
		if s.Offset != last {
			known, last = known+1, s.Offset
		}
		switch own := q.Span(s); {
		case own.Lo > span.Lo || s.Invoke > f.Return: // it may not have been there yet
		case own.Definite() && span.Definite() && own == span:
			note(anomaly.Violation, s.Offset, fmt.Sprintf("message %d was acknowledged there in this epoch", s.Value))
		case !span.Definite() || !own.Definite():
			note(anomaly.Excused, s.Offset, "an epoch ended meanwhile")
		default:
			excused, because := c.judge.Ack(q, i, c.ev.NodeOf(q, f), f.Return)
			class := anomaly.Violation
			if excused {
				class = anomaly.Excused
			}
			note(class, s.Offset, because)
		}
	}
	first, _ := slices.BinarySearchFunc(q.Extra, from, func(x evidence.Sighting, o int64) int { return cmp.Compare(x.Offset, o) })
	for _, x := range q.Extra[first:] {
		if x.Offset >= to {
			break
		}
		if x.Offset != last && len(q.AcksAt(x.Offset)) == 0 {
			known, last = known+1, x.Offset
		}
		if x.Span.Definite() && x.Span == span {
			note(anomaly.Violation, x.Offset, fmt.Sprintf("message %d was returned there in this epoch", x.Value))
		}
	}
	if !h.Header.Sparse && known < to-from && span == (evidence.Span{}) {
		note(anomaly.Violation, from, "offsets have no gaps in this system")
	}
	return worst, at, why
}

// deliveries are the offsets that a group was given.
type deliveries struct {
	given, twice ranges
}

// again counts the messages that a group is given again. What is below the own offset is another anomaly.
func (c *checker) again(q *evidence.Queue, f *history.FetchOp, msgs history.Msgs, g *deliveries) {
	for i := 0; i < msgs.Len(); {
		from := msgs.Offset(i)
		k := i + 1
		for k < msgs.Len() && msgs.Offset(k) == from+int64(k-i) {
			k++
		}
		to := from + int64(k-i)
		i = k
		if from = max(from, f.From); from >= to {
			continue
		}
		n := int64(0)
		for _, r := range g.given.add(from, to) {
			n += r.to - r.from
			for _, seen := range g.twice.add(r.from, r.to) {
				n -= seen.to - seen.from
			}
		}
		c.r.Add(anomaly.Redelivery, n, anomaly.Reported, func() anomaly.Finding {
			return anomaly.Finding{Queue: q.Name, Ops: []uint64{f.Op}, Explain: fmt.Sprintf(
				"group %s was given offsets again within [%d, %d) by client %d", c.ev.H.Name(f.Group), from, to, f.P)}
		})
	}
}

// span is the offsets [from, to).
type span struct{ from, to int64 }

// ranges are sets of offsets: disjoint, not touching, ascending.
type ranges []span

// add adds [from, to) and returns what of it was there already.
func (r *ranges) add(from, to int64) []span {
	if n := len(*r); n > 0 && (*r)[n-1].to == from { // the usual case
		(*r)[n-1].to = to
		return nil
	}
	i, _ := slices.BinarySearchFunc(*r, from, func(s span, o int64) int { return cmp.Compare(s.to, o) })
	k := i
	var had []span
	whole := span{from, to}
	for k < len(*r) && (*r)[k].from <= to {
		s := (*r)[k]
		if f, t := max(s.from, from), min(s.to, to); f < t {
			had = append(had, span{f, t})
		}
		whole = span{min(whole.from, s.from), max(whole.to, s.to)}
		k++
	}
	*r = slices.Replace(*r, i, k, whole)
	return had
}
