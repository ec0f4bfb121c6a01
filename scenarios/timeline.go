package scenarios

import (
	"slices"

	"holdfast/checker/history"
	"holdfast/reports/result"
)

// timelineOps bounds the operations of a timeline: enough to see a window, few enough for a page.
const timelineOps = 1500

// seriesBucket is the width of a bucket of a series.
const seriesBucket = 100 // ms

// timeline samples the sends of a history for the page, with the phases of its faults, and counts them over time.
func timeline(h *history.History) (*result.Timeline, *result.Series) {
	final := finalValues(h)
	t := &result.Timeline{Of: int64(len(h.Sends))}
	s := &result.Series{BucketMS: seriesBucket}
	ops := make([]result.Op, 0, len(h.Sends))
	for i := range h.Sends {
		op := &h.Sends[i]
		at, took := nsToMS(op.Invoke), float64(0)
		if op.Return != history.Never {
			took = nsToMS(op.Return - op.Invoke)
		}
		fate := fateOf(op, final)
		ops = append(ops, result.Op{T: at, MS: took, Fate: fate})
		count(s, fate, at+took)
	}
	t.Ops = result.Sample(ops, timelineOps)
	for i := range h.Faults {
		t.Marks = append(t.Marks, marks(&h.Faults[i])...)
	}
	slices.SortFunc(t.Marks, func(a, b result.Mark) int { return int(a.T*1000) - int(b.T*1000) })
	t.EndMS = nsToMS(max(h.LastSend, 0))
	return t, s
}

// finalValues are the values in the last complete reads of the node that serves each group at the end.
func finalValues(h *history.History) map[uint64]bool {
	final := map[uint64]bool{}
	for i := range h.Fetches {
		f := &h.Fetches[i]
		if f.F != history.Read {
			continue
		}
		if node := h.Nodes[f.Node]; f.Node != 0 && !servesAtEnd(h, node) {
			continue
		}
		msgs := h.Msgs(f)
		for m := range msgs.Len() {
			if !msgs.Corrupt(m) {
				final[msgs.Value(m)] = true
			}
		}
	}
	return final
}

// servesAtEnd says whether node serves a queue group when the history ends.
func servesAtEnd(h *history.History, node string) bool {
	for group, master := range h.Header.Masters {
		for _, role := range h.Roles {
			if role.Group == group && role.Role == "master" {
				master = role.Node
			}
		}
		if master == node {
			return true
		}
	}
	return false
}

func fateOf(op *history.SendOp, final map[uint64]bool) result.Fate {
	switch {
	case op.Type == history.Fail:
		return result.FateFailed
	case op.Type != history.OK:
		return result.FateUnknown
	case final[op.Value]:
		return result.FateKept
	}
	return result.FateLost
}

func count(s *result.Series, fate result.Fate, at float64) {
	series := &s.Acked
	switch fate {
	case result.FateFailed:
		series = &s.Failed
	case result.FateUnknown:
		series = &s.Unknown
	}
	bucket := int(at) / seriesBucket
	for len(*series) <= bucket {
		*series = append(*series, 0)
	}
	(*series)[bucket]++
}

func marks(f *history.FaultOp) []result.Mark {
	var out []result.Mark
	for _, m := range []struct {
		phase string
		t     int64
	}{{"start", f.Start}, {"down", f.Down}, {"restart", f.Restart}, {"heal", f.Heal}} {
		if m.t >= 0 {
			out = append(out, result.Mark{T: nsToMS(m.t), Phase: m.phase, Name: f.Name, Nodes: f.Nodes})
		}
	}
	return out
}

func nsToMS(ns int64) float64 { return float64(ns) / 1e6 }
