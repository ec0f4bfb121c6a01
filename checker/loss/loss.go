// Package loss decides which acknowledged messages are gone, how much of that the contract allowed, and what else the
// same copies decide: messages that were delivered and then gone, and offsets that were given twice.
// Source: contracts.md sections 3 and 5.
package loss

import (
	"fmt"
	"math"
	"sort"

	"holdfast/checker/anomaly"
	"holdfast/checker/evidence"
	"holdfast/checker/history"
)

// Result is what was acknowledged and what of it is gone.
type Result struct {
	anomaly.Report
	Acked  map[string]int64 // messages, by the status of their first acknowledgement
	Lost   map[string]int64 // of these
	Causes map[string]int64 // of the lost ones
	// First and Last are when the first and the last of the lost messages were acknowledged, in ns; -1: nothing is lost.
	First, Last int64
	// Unread are the queues whose final master gave no complete read although something was acknowledged.
	Unread []string
}

// Causes of death that a history can show.
const (
	ReplicaOnly = "replica-only"   // another node holds it
	Corrupted   = "corrupt"        // it is there, damaged
	Overwritten = "overwritten"    // another message has its offset
	CutOff      = "beyond-the-end" // the log ends below its offset
	Missing     = "missing"        // the log goes on beyond it, without it
)

// Check finds the losses of a history.
func Check(ev *evidence.Evidence) *Result {
	r := &Result{Acked: map[string]int64{}, Lost: map[string]int64{}, Causes: map[string]int64{}, First: -1, Last: -1}
	c := &checker{ev: ev, r: r, judge: NewJudge(ev)}
	c.acked()
	for _, q := range ev.Queues {
		if q.Complete != nil {
			c.absent(q)
			c.dirty(q)
		} else if len(q.Acks) > 0 {
			c.unread(q)
		}
		c.reuse(q)
	}
	return r
}

type checker struct {
	ev    *evidence.Evidence
	r     *Result
	judge *Judge
}

// acked counts the messages by their first acknowledgement.
func (c *checker) acked() {
	h := c.ev.H
	counts := make([]int64, len(h.Statuses))
	for i := range h.Sends {
		if s := &h.Sends[i]; s.Type == history.OK && c.ev.FirstAck(uint32(i)) {
			counts[s.Status]++
		}
	}
	for status, n := range counts {
		if n > 0 {
			c.r.Acked[h.Statuses[status]] += n
		}
	}
}

// extent is the range of surviving acknowledged offsets of an epoch.
type extent struct{ min, max int64 }

// absent finds the acknowledged messages that the complete read left out.
func (c *checker) absent(q *evidence.Queue) {
	h := c.ev.H
	survivors := make([]extent, q.Group.Epochs())
	for e := range survivors {
		survivors[e] = extent{math.MaxInt64, -1}
	}
	var lost []uint32
	for k, i := range q.Acks {
		s := &q.Rows[k]
		switch {
		case c.ev.Has(i, evidence.Survived):
			x := &survivors[q.Group.SpanOf(s.Invoke, s.Return).Hi]
			x.min, x.max = min(x.min, s.Offset), max(x.max, s.Offset)
		case s.Offset >= q.Complete.First && s.Offset >= q.Base && c.ev.FirstAck(i):
			lost = append(lost, i)
		}
	}
	for _, i := range lost {
		x := survivors[q.Span(&h.Sends[i]).Hi]
		kind := anomaly.LostMiddle
		switch o := h.Sends[i].Offset; {
		case o >= x.max:
			kind = anomaly.LostSuffix
		case o <= x.min:
			kind = anomaly.LostPrefix
		}
		c.lose(q, i, kind)
	}
}

// lose notes that the message whose first acknowledgement is send is gone.
func (c *checker) lose(q *evidence.Queue, send uint32, kind string) {
	s := &c.ev.H.Sends[send]
	c.r.Lost[c.ev.H.Statuses[s.Status]]++
	if c.r.First < 0 || s.Return < c.r.First {
		c.r.First = s.Return
	}
	c.r.Last = max(c.r.Last, s.Return)
	cause := c.cause(q, send)
	c.r.Causes[cause]++
	f := q.Group.Final()
	excused, why := c.judge.Message(q, send, f, history.Never)
	class := anomaly.Violation
	if excused {
		class = anomaly.Excused
	}
	explain := func() anomaly.Finding {
		return anomaly.Finding{Queue: q.Name, Ops: []uint64{s.Op}, Explain: fmt.Sprintf(
			"message %d, acknowledged with %s at offset %d at %d ns, is not in the log of %s (%s): %s",
			s.Value, c.ev.H.Statuses[s.Status], s.Offset, s.Return, f, cause, why)}
	}
	c.r.Add(anomaly.LostWrite, 1, class, explain)
	c.r.Add(kind, 1, class, explain)
}

// cause says what the history tells about the death of a message.
func (c *checker) cause(q *evidence.Queue, send uint32) string {
	o := c.ev.H.Sends[send].Offset
	if c.ev.Has(send, evidence.Replica) {
		return ReplicaOnly
	}
	for i := range q.Strange {
		if x := &q.Strange[i]; x.Why == anomaly.Corrupt && x.Offset == o {
			return Corrupted
		}
	}
	for _, i := range q.AcksAt(o) {
		if i != send && c.ev.H.Sends[i].Value != c.ev.H.Sends[send].Value && c.ev.Has(i, evidence.Survived) {
			return Overwritten
		}
	}
	for i := sort.Search(len(q.Extra), func(i int) bool { return q.Extra[i].Offset >= o }); i < len(q.Extra) && q.Extra[i].Offset == o; i++ {
		if c.ev.Has(q.Extra[i].Send, evidence.Survived) {
			return Overwritten
		}
	}
	if q.Complete != nil && o >= q.Complete.End {
		return CutOff
	}
	return Missing
}

// unread counts what nobody saw of a queue that its final master did not give completely, and what is lost for
// certain: offsets that hold another message in the last epoch.
func (c *checker) unread(q *evidence.Queue) {
	c.r.Unread = append(c.r.Unread, q.Name)
	gone := map[uint32]bool{}
	last := q.Group.Epochs() - 1
	for _, same := range offsets(c.ev.Stands(q)) {
		for _, v := range same {
			if !v.Acked || v.Span.Hi == last || !c.ev.FirstAck(v.Send) {
				continue
			}
			for _, w := range same {
				if w.Value != v.Value && w.Master && w.Span == (evidence.Span{Lo: last, Hi: last}) && w.Node == q.Group.Final() {
					gone[v.Send] = true
				}
			}
		}
	}
	var unseen []uint32
	for _, i := range q.Acks {
		switch {
		case gone[i]:
			c.lose(q, i, anomaly.LostSuffix)
		case !c.ev.Has(i, evidence.Seen) && c.ev.FirstAck(i):
			unseen = append(unseen, i)
		}
	}
	if len(unseen) > 0 {
		c.r.Add(anomaly.Unseen, int64(len(unseen)), anomaly.Reported, func() anomaly.Finding {
			s := &c.ev.H.Sends[unseen[0]]
			return anomaly.Finding{Queue: q.Name, Ops: []uint64{s.Op}, Explain: fmt.Sprintf(
				"%d acknowledged messages were never returned, and %s gave no complete read that tells whether they are there; the first is %d at offset %d",
				len(unseen), q.Group.Final(), s.Value, s.Offset)}
		})
	}
}

// offsets cuts stands, sorted by offset, into those of one offset each.
func offsets(stands []evidence.Stand) [][]evidence.Stand {
	var out [][]evidence.Stand
	for from := 0; from < len(stands); {
		to := from
		for to < len(stands) && stands[to].Offset == stands[from].Offset {
			to++
		}
		out = append(out, stands[from:to])
		from = to
	}
	return out
}

// reuse finds acknowledged offsets that a later epoch gave to another message. The copy that had to prevent that is
// the one on the node that gave the offset again.
func (c *checker) reuse(q *evidence.Queue) {
	for _, same := range offsets(c.ev.Stands(q)) {
		done := map[uint64]bool{}
		for _, v := range same {
			if !v.Acked || done[v.Value] {
				continue
			}
			var by *evidence.Stand
			excused, why := true, ""
			for k := range same {
				w := &same[k]
				if w.Value == v.Value || !w.Master || !later(&v, w) {
					continue
				}
				ok, because := c.judge.Ack(q, v.Send, w.Node, w.At)
				if by == nil || excused && !ok {
					by, excused, why = w, ok, because
				}
			}
			if by == nil {
				continue
			}
			done[v.Value] = true
			class := anomaly.Violation
			if excused {
				class = anomaly.Excused
			}
			c.r.Add(anomaly.OffsetReuse, 1, class, func() anomaly.Finding {
				return anomaly.Finding{Queue: q.Name, Ops: []uint64{v.Op, by.Op}, Explain: fmt.Sprintf(
					"offset %d, acknowledged for message %d at %d ns, was given to message %d by %s: %s",
					v.Offset, v.Value, v.At, by.Value, by.Node, why)}
			})
		}
	}
}

// later says that w stood at the offset of v, which was acknowledged, in a later epoch, or may have.
func later(v, w *evidence.Stand) bool {
	if v.Span.Definite() && v.Span == w.Span {
		return false
	}
	if w.Acked {
		switch {
		case v.Span.Lo != w.Span.Lo:
			return v.Span.Lo < w.Span.Lo
		case v.Span.Hi != w.Span.Hi:
			return v.Span.Hi < w.Span.Hi
		}
		return v.At < w.At || v.At == w.At && v.Value < w.Value
	}
	return w.Span.Hi > v.Span.Lo
}

// dirty finds messages that were delivered and are not in the complete read.
func (c *checker) dirty(q *evidence.Queue) {
	h := c.ev.H
	gone := func(send uint32) bool {
		return c.ev.Has(send, evidence.Delivered) && !c.ev.Has(send, evidence.Survived)
	}
	any := false
	for _, i := range q.Acks {
		any = any || gone(i)
	}
	for i := range q.Extra {
		any = any || gone(q.Extra[i].Send)
	}
	for _, send := range q.Foreign {
		any = any || gone(send)
	}
	if !any {
		return
	}
	type delivery struct {
		fetch   uint32
		excused bool
		why     string
	}
	worst := map[uint32]delivery{}
	var order []uint32
	for _, i := range q.Fetches {
		f := &h.Fetches[i]
		if f.F != history.Poll {
			continue
		}
		msgs := h.Msgs(f)
		for k := range msgs.Len() {
			if o := msgs.Offset(k); msgs.Corrupt(k) || o < q.Base || o < q.Complete.First {
				continue
			}
			send, found := c.ev.First(msgs.Value(k))
			if !found || !gone(send) {
				continue
			}
			d, known := worst[send]
			if known && !d.excused {
				continue
			}
			excused, why := c.judge.Delivery(q, f)
			if !known {
				order = append(order, send)
			}
			if !known || !excused {
				worst[send] = delivery{i, excused, why}
			}
		}
	}
	for _, send := range order {
		d := worst[send]
		class := anomaly.Violation
		if d.excused {
			class = anomaly.Excused
		}
		c.r.Add(anomaly.DirtyRead, 1, class, func() anomaly.Finding {
			f := &h.Fetches[d.fetch]
			return anomaly.Finding{Queue: q.Name, Ops: []uint64{h.Sends[send].Op, f.Op}, Explain: fmt.Sprintf(
				"message %d was delivered by %s at %d ns and is not in the log of %s: %s",
				h.Sends[send].Value, c.ev.NodeOf(q, f), f.Return, q.Group.Final(), d.why)}
		})
	}
}
