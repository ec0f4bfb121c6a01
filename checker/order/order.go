// Package order checks what stood at the offsets of each queue: one value an offset, one offset a value, nothing that
// was never sent. Whether the order agrees with real time is for checker/linear.
// Source: contracts.md sections 3 and 5.
package order

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"holdfast/checker/anomaly"
	"holdfast/checker/evidence"
	"holdfast/checker/history"
)

// Result is what is wrong with the contents.
type Result struct {
	anomaly.Report
	Copies  int64           // of messages beyond their first
	Invalid map[string]bool // queues whose contents no log can have had
}

// Check finds what is wrong with the contents of all queues.
func Check(ev *evidence.Evidence) *Result {
	r := &Result{Invalid: map[string]bool{}}
	places := map[uint32][]place{}
	for _, q := range ev.Queues {
		r.strange(ev, q)
		r.inconsistent(ev, q)
		r.below(ev, q)
		r.beyond(ev, q)
		for i := range q.Extra {
			x := &q.Extra[i]
			places[x.Send] = append(places[x.Send], place{q, x.Offset, ev.H.Fetches[x.Fetch].Op})
		}
	}
	r.duplicates(ev, places)
	return r
}

// strange reports messages that no node may return.
func (r *Result) strange(ev *evidence.Evidence, q *evidence.Queue) {
	corrupt := map[int64]bool{}
	for _, s := range q.Strange {
		if s.Why == anomaly.RealtimeOrder || s.Why == anomaly.Corrupt && corrupt[s.Offset] {
			continue
		}
		f := &ev.H.Fetches[s.Fetch]
		node := ev.NodeOf(q, f)
		finding := anomaly.Finding{Queue: q.Name, Ops: []uint64{f.Op}}
		switch s.Why {
		case anomaly.Corrupt:
			corrupt[s.Offset] = true
			finding.Explain = fmt.Sprintf("the message at offset %d that %s returned fails its checksum", s.Offset, node)
		case anomaly.Phantom:
			finding.Explain = fmt.Sprintf("message %d, which %s returned at offset %d, was never sent to this queue", s.Value, node, s.Offset)
		case anomaly.AbortedRead:
			finding.Ops = append(finding.Ops, ev.H.Sends[s.Send].Op)
			finding.Explain = fmt.Sprintf("message %d, which %s returned at offset %d, was refused when it was sent", s.Value, node, s.Offset)
		case anomaly.InconsistentOffsets:
			send := &ev.H.Sends[s.Send]
			finding.Ops = append(finding.Ops, send.Op)
			finding.Explain = fmt.Sprintf("message %d, which %s returned at offset %d, was acknowledged in %s", s.Value, node, s.Offset, ev.H.Name(send.Queue))
		}
		if s.Why != anomaly.Corrupt {
			r.Invalid[q.Name] = true
		}
		r.Add(s.Why, 1, anomaly.Violation, func() anomaly.Finding { return finding })
	}
}

// inconsistent reports offsets at which one node had two values within an epoch.
func (r *Result) inconsistent(ev *evidence.Evidence, q *evidence.Queue) {
	stands := ev.Stands(q)
	for from := 0; from < len(stands); {
		to := from
		for to < len(stands) && stands[to].Offset == stands[from].Offset {
			to++
		}
		values := map[uint64]bool{}
		for i := from; i < to; i++ {
			for k := from; k < i; k++ {
				a, b := &stands[k], &stands[i]
				if a.Acked && b.Acked && a.Value != b.Value && a.Span.Definite() && a.Span == b.Span {
					r.Invalid[q.Name] = true // of two nodes, too, where checker/replicas judges it
				}
				if a.Value == b.Value || values[a.Value] && values[b.Value] || !clash(ev, a, b) {
					continue
				}
				values[a.Value], values[b.Value] = true, true
				r.Invalid[q.Name] = true
				r.Add(anomaly.InconsistentOffsets, 1, anomaly.Violation, func() anomaly.Finding {
					return anomaly.Finding{Queue: q.Name, Ops: []uint64{a.Op, b.Op}, Explain: fmt.Sprintf(
						"%s had message %d at offset %d (known at %d ns) and message %d (known at %d ns) within one epoch",
						a.Node, a.Value, a.Offset, a.At, b.Value, b.At)}
				})
			}
		}
		from = to
	}
}

// below reports acknowledgements of offsets that were inherited: another message stands there.
func (r *Result) below(ev *evidence.Evidence, q *evidence.Queue) {
	for _, i := range q.Acks[:q.Rank(q.Base)] {
		s := &ev.H.Sends[i]
		r.Invalid[q.Name] = true
		r.Add(anomaly.InconsistentOffsets, 1, anomaly.Violation, func() anomaly.Finding {
			return anomaly.Finding{Queue: q.Name, Ops: []uint64{s.Op}, Explain: fmt.Sprintf(
				"message %d was acknowledged at offset %d, below the base %d of the queue", s.Value, s.Offset, q.Base)}
		})
	}
}

// clash says that one node had both at one offset while nothing could change it.
func clash(ev *evidence.Evidence, a, b *evidence.Stand) bool {
	if a.Node != b.Node || !a.Span.Definite() || a.Span != b.Span {
		return false
	}
	if a.Master && b.Master {
		return true
	}
	from, to := min(a.At, b.At), max(a.At, b.At)
	for i := range ev.H.Faults { // a replica that restarted may have been given another log
		f := &ev.H.Faults[i]
		if f.Start <= to && (f.Restart < 0 || f.Restart >= from) && slices.Contains(f.Nodes, a.Node) {
			return false
		}
	}
	return true
}

// beyond reports answers with messages at or beyond the end that they state themselves. A prefix read may have been
// given an end that was true a moment before.
func (r *Result) beyond(ev *evidence.Evidence, q *evidence.Queue) {
	for _, i := range q.Fetches {
		f := &ev.H.Fetches[i]
		if f.End < 0 || f.F == history.Poll && !ev.Court.Set.Reads.Linearizable {
			continue
		}
		msgs := ev.H.Msgs(f)
		if n := msgs.Len(); n == 0 || msgs.Offset(n-1) < f.End {
			continue
		}
		r.Invalid[q.Name] = true
		r.Add(anomaly.InconsistentOffsets, 1, anomaly.Violation, func() anomaly.Finding {
			return anomaly.Finding{Queue: q.Name, Ops: []uint64{f.Op}, Explain: fmt.Sprintf(
				"an answer that ends at %d has a message at offset %d", f.End, msgs.Offset(msgs.Len()-1))}
		})
	}
}

// place is where a value stood.
type place struct {
	q      *evidence.Queue
	offset int64
	op     uint64
}

// duplicates reports values at more than one offset. places are those at which they were not acknowledged.
func (r *Result) duplicates(ev *evidence.Evidence, places map[uint32][]place) {
	queues := map[history.Sym]*evidence.Queue{}
	for _, q := range ev.Queues {
		queues[q.Sym] = q
	}
	for _, first := range ev.Repeated() { // it may be acknowledged twice
		if places[first] == nil {
			places[first] = []place{}
		}
	}
	for _, send := range slices.Sorted(maps.Keys(places)) {
		all := places[send]
		attempts := ev.Attempts(send)
		var acked *history.SendOp
		for _, i := range attempts {
			if s := &ev.H.Sends[i]; s.Type == history.OK {
				acked = s
				all = append(all, place{queues[s.Queue], s.Offset, s.Op})
			}
		}
		slices.SortStableFunc(all, func(a, b place) int { return cmp.Or(cmp.Compare(a.q.Name, b.q.Name), cmp.Compare(a.offset, b.offset)) })
		all = slices.CompactFunc(all, func(a, b place) bool { return a.q == b.q && a.offset == b.offset })
		if len(all) < 2 {
			continue
		}
		r.Copies += int64(len(all) - 1)
		name, class := anomaly.Duplicate, anomaly.Reported
		if len(attempts) == 1 && acked != nil && !acked.Retry {
			class = anomaly.Violation
			q := queues[acked.Queue]
			r.Invalid[q.Name] = true
			if _, taken := slices.BinarySearch(q.Contested, acked.Offset); taken {
				name = anomaly.InconsistentOffsets
			}
		}
		r.Add(name, 1, class, func() anomaly.Finding {
			f := anomaly.Finding{Queue: all[0].q.Name, Explain: fmt.Sprintf("message %d stood at", ev.H.Sends[send].Value)}
			for i, p := range all[:min(len(all), 4)] {
				f.Ops = append(f.Ops, p.op)
				f.Explain += fmt.Sprintf("%s offset %d of %s", []string{"", " and"}[min(i, 1)], p.offset, p.q.Name)
			}
			return f
		})
	}
}
