// Package replicas compares what the nodes of a group hold at the end, and what two masters acknowledged for one offset.
// Source: contracts.md sections 3 and 5.
package replicas

import (
	"fmt"
	"maps"
	"slices"

	"holdfast/checker/anomaly"
	"holdfast/checker/evidence"
	"holdfast/checker/history"
	"holdfast/checker/promise"
)

// Check finds offsets at which two nodes differ.
func Check(ev *evidence.Evidence) *anomaly.Report {
	r := &anomaly.Report{}
	for _, q := range ev.Queues {
		masters(r, ev, q)
		final := ev.Final(q)
		nodes := slices.Sorted(maps.Keys(final))
		seen := map[int64]bool{}
		for i, a := range nodes {
			for _, b := range nodes[:i] {
				compare(r, ev, q, copyOf(ev, final[a], a), copyOf(ev, final[b], b), seen)
			}
		}
	}
	return r
}

// replica is what one node holds, by its last read.
type replica struct {
	node string
	op   uint64
	msgs history.Msgs
}

func copyOf(ev *evidence.Evidence, reads []uint32, node string) replica {
	f := &ev.H.Fetches[reads[len(reads)-1]]
	return replica{node, f.Op, ev.H.Msgs(f)}
}

// compare walks two replicas by offset. An offset that was found to differ is not counted again.
func compare(r *anomaly.Report, ev *evidence.Evidence, q *evidence.Queue, a, b replica, seen map[int64]bool) {
	i, k := 0, 0
	for i < a.msgs.Len() && k < b.msgs.Len() {
		o, p := a.msgs.Offset(i), b.msgs.Offset(k)
		if o < p {
			i++
			continue
		}
		if p < o {
			k++
			continue
		}
		x, y := a.msgs.Value(i), b.msgs.Value(k)
		if x != y && !a.msgs.Corrupt(i) && !b.msgs.Corrupt(k) && o >= q.Base && !seen[o] {
			seen[o] = true
			class, why := judge(ev, q, o, [2]string{a.node, b.node}, [2]uint64{x, y})
			r.Add(anomaly.Divergence, 1, class, func() anomaly.Finding {
				return anomaly.Finding{Queue: q.Name, Ops: []uint64{a.op, b.op}, Explain: fmt.Sprintf(
					"offset %d holds message %d on %s and message %d on %s%s", o, x, a.node, y, b.node, why)}
			})
		}
		i++
		k++
	}
}

// judge says how much it weighs that two nodes hold two values at offset o: a violation where one of the messages was
// acknowledged there and its promised copy on the other node lives.
func judge(ev *evidence.Evidence, q *evidence.Queue, o int64, nodes [2]string, values [2]uint64) (anomaly.Class, string) {
	for side := range 2 {
		other := nodes[1-side]
		for _, i := range q.AcksAt(o) {
			if ev.H.Sends[i].Value == values[side] && covers(ev, q, i, other) {
				return anomaly.Violation, fmt.Sprintf("; a copy of message %d on %s was promised, and no fault destroyed it", values[side], other)
			}
		}
	}
	return anomaly.Reported, ""
}

// covers says that a copy of an acknowledged message on node was promised and lives, whoever acknowledged it.
func covers(ev *evidence.Evidence, q *evidence.Queue, send uint32, node string) bool {
	s := &ev.H.Sends[send]
	p, listed := ev.Court.Set.Status(ev.H.Statuses[s.Status])
	for _, acker := range ev.Ackers(q, s) {
		if !ev.Court.Covers(q.Group, promise.Ack{Promise: p, Listed: listed, Acker: acker, At: s.Return}, node, history.Never) {
			return false
		}
	}
	return true
}

// masters finds offsets that two nodes acknowledged for two messages in one epoch.
func masters(r *anomaly.Report, ev *evidence.Evidence, q *evidence.Queue) {
	for _, o := range q.Contested {
		acks := q.AcksAt(o)
		for i := 1; i < len(acks); i++ {
			a, b := &ev.H.Sends[acks[i-1]], &ev.H.Sends[acks[i]]
			span := q.Span(a)
			x, y := ev.Ackers(q, a), ev.Ackers(q, b)
			if a.Value == b.Value || !span.Definite() || span != q.Span(b) || x[0] == y[0] {
				continue
			}
			class := anomaly.Reported
			if covers(ev, q, acks[i-1], y[0]) || covers(ev, q, acks[i], x[0]) {
				class = anomaly.Violation
			}
			r.Add(anomaly.Divergence, 1, class, func() anomaly.Finding {
				return anomaly.Finding{Queue: q.Name, Ops: []uint64{a.Op, b.Op}, Explain: fmt.Sprintf(
					"in one epoch %s acknowledged offset %d for message %d and %s for message %d", x[0], o, a.Value, y[0], b.Value)}
			})
		}
	}
}
