package evidence

import (
	"cmp"
	"slices"

	"holdfast/checker/anomaly"
	"holdfast/checker/history"
)

// complete finds the complete read of the queue's final master: two reads that agree on the end, asked for after the
// last line of every send and the last heal, from the first offset on. Of several pairs the last counts.
func (ev *Evidence) complete(q *Queue) {
	node := q.Group.Final()
	if node == "" {
		return
	}
	ends := map[int64]bool{}
	end := int64(-1)
	for _, i := range q.Fetches {
		f := &ev.H.Fetches[i]
		if !ev.final(f) || f.End < 0 || f.From < 0 || f.From > max(f.First, q.Base) || ev.H.Nodes[f.Node] != node {
			continue
		}
		if ends[f.End] {
			end = f.End
		}
		ends[f.End] = true
	}
	if end < 0 {
		return
	}
	c := &Complete{Node: node, End: end}
	for _, i := range q.Fetches {
		f := &ev.H.Fetches[i]
		if ev.final(f) && f.End == end && f.From >= 0 && f.From <= max(f.First, q.Base) && ev.H.Nodes[f.Node] == node {
			c.Reads = append(c.Reads, i)
			c.First = max(c.First, f.First)
		}
	}
	q.Complete = c
}

// final says whether f is a read that was asked for when nothing could change any more.
func (ev *Evidence) final(f *history.FetchOp) bool {
	return f.F == history.Read && f.Invoke >= ev.H.LastSend && f.Invoke >= ev.LastHeal
}

// Final returns the reads of each node that were asked for when nothing could change any more.
func (ev *Evidence) Final(q *Queue) map[string][]uint32 {
	byNode := map[string][]uint32{}
	for _, i := range q.Fetches {
		if f := &ev.H.Fetches[i]; ev.final(f) {
			node := ev.H.Nodes[f.Node]
			byNode[node] = append(byNode[node], i)
		}
	}
	return byNode
}

// sight walks every message that was returned, once.
func (ev *Evidence) sight(q *Queue) {
	strange := map[Strange]bool{}
	for _, i := range q.Fetches {
		f := &ev.H.Fetches[i]
		msgs := ev.H.Msgs(f)
		m := ev.marksOf(q, f, i)
		master := ev.Master(q, f)
		retried := len(ev.values.again) > 0
		for k := range msgs.Len() {
			o, v := msgs.Offset(k), msgs.Value(k)
			if o < q.Base {
				continue
			}
			if from, to := q.at(o); to-from == 1 && !msgs.Corrupt(k) {
				if s := &q.Rows[from]; s.Value == v && s.Invoke <= f.Return {
					send := q.Acks[from]
					if retried {
						send = ev.head(send)
					}
					ev.marks[send] |= m
					continue
				}
			}
			why, send := ev.sighting(q, f, o, v, msgs.Corrupt(k))
			if why != "" {
				key := Strange{Why: why, Offset: o, Value: v}
				if !strange[key] {
					strange[key] = true
					q.Strange = append(q.Strange, Strange{why, o, v, i, send})
				}
				if why != anomaly.RealtimeOrder {
					continue
				}
			}
			if !master && m&Delivered != 0 && ev.marks[send]&Delivered == 0 {
				q.Foreign = append(q.Foreign, send)
			}
			ev.marks[send] |= m
			if master && !q.acked(o, v) {
				q.extra(Sighting{Offset: o, Value: v, Send: send, Fetch: i, Span: q.Group.SpanOf(f.Invoke, f.Return)})
			}
		}
	}
	slices.SortStableFunc(q.Extra, func(a, b Sighting) int { return cmp.Compare(a.Offset, b.Offset) })
	q.extraSet = nil
}

// marksOf returns what an answer makes of its messages.
func (ev *Evidence) marksOf(q *Queue, f *history.FetchOp, i uint32) mark {
	m := Seen
	if f.F == history.Poll {
		m |= Delivered
	} else if ev.H.Nodes[f.Node] != q.Group.Final() {
		m |= Replica
	}
	if q.Complete != nil {
		if _, found := slices.BinarySearch(q.Complete.Reads, i); found {
			m |= Survived
		}
	}
	return m
}

// sighting says what is strange about a message that was returned, and which its first send is.
func (ev *Evidence) sighting(q *Queue, f *history.FetchOp, o int64, v uint64, corrupt bool) (why string, send uint32) {
	if corrupt {
		return anomaly.Corrupt, 0
	}
	send, found := ev.values.first(v)
	if !found {
		return anomaly.Phantom, 0
	}
	failed, here, acked := true, false, false
	for _, i := range ev.Attempts(send) {
		s := &ev.H.Sends[i]
		if s.Type == history.Fail {
			continue
		}
		failed = false
		here = here || s.Queue == 0 || s.Queue == q.Sym
		acked = acked || s.Type == history.OK
	}
	switch {
	case failed:
		return anomaly.AbortedRead, send
	case !here && acked:
		return anomaly.InconsistentOffsets, send
	case !here:
		return anomaly.Phantom, send
	case ev.EarliestInvoke(send) > f.Return:
		return anomaly.RealtimeOrder, send
	}
	return "", send
}

// acked says whether value was acknowledged at offset o.
func (q *Queue) acked(o int64, value uint64) bool {
	for _, i := range q.AcksAt(o) {
		if q.sends[i].Value == value {
			return true
		}
	}
	return false
}

// extra keeps a sighting: of equal ones the first that lies in one epoch.
func (q *Queue) extra(s Sighting) {
	key := extraKey{s.Offset, s.Value}
	i, found := q.extraSet[key]
	switch {
	case !found:
		q.extraSet[key] = len(q.Extra)
		q.Extra = append(q.Extra, s)
	case !q.Extra[i].Span.Definite() && s.Span.Definite():
		q.Extra[i] = s
	}
}

// contested finds the offsets at which more than one value stood.
func (ev *Evidence) contested(q *Queue) {
	for i := 1; i < len(q.Rows) && !q.Unique; i++ {
		a, b := &q.Rows[i-1], &q.Rows[i]
		if a.Offset == b.Offset && a.Value != b.Value {
			q.Contested = append(q.Contested, a.Offset)
		}
	}
	for i := range q.Extra {
		x := &q.Extra[i]
		if len(q.AcksAt(x.Offset)) > 0 || i > 0 && q.Extra[i-1].Offset == x.Offset {
			q.Contested = append(q.Contested, x.Offset)
		}
	}
	slices.Sort(q.Contested)
	q.Contested = slices.Compact(q.Contested)
}

// Stand is one piece of evidence that a value stood at an offset.
type Stand struct {
	Offset int64
	Value  uint64
	Send   uint32 // of an acknowledgement, that one; else the first of the value
	Op     uint64 // the operation that says so
	Node   string
	At     int64 // when it was known
	Span   Span
	Acked  bool
	Master bool // said by the node that served the queue
}

// Stands returns all evidence about the contested offsets, by offset, acknowledgements first, then by time.
func (ev *Evidence) Stands(q *Queue) []Stand {
	var out []Stand
	for _, o := range q.Contested {
		for _, i := range q.AcksAt(o) {
			s := &ev.H.Sends[i]
			for _, node := range ev.Ackers(q, s)[:1] {
				out = append(out, Stand{o, s.Value, i, s.Op, node, s.Return, q.Span(s), true, true})
			}
		}
	}
	if len(q.Contested) == 0 {
		return nil
	}
	for _, i := range q.Fetches {
		f := &ev.H.Fetches[i]
		msgs := ev.H.Msgs(f)
		for k := range msgs.Len() {
			o := msgs.Offset(k)
			if _, found := slices.BinarySearch(q.Contested, o); !found || msgs.Corrupt(k) {
				continue
			}
			if send, ok := ev.values.first(msgs.Value(k)); ok {
				out = append(out, Stand{o, msgs.Value(k), send, f.Op, ev.NodeOf(q, f), f.Return, q.Group.SpanOf(f.Invoke, f.Return), false, ev.Master(q, f)})
			}
		}
	}
	slices.SortStableFunc(out, func(a, b Stand) int { return cmp.Compare(a.Offset, b.Offset) })
	return out
}
