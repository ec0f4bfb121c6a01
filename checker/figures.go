package checker

import (
	"math"
	"strings"

	"holdfast/checker/evidence"
	"holdfast/checker/history"
	"holdfast/checker/loss"
)

// figures measures what the loss and the faults tell.
func figures(ev *evidence.Evidence, lost *loss.Result) Figures {
	var f Figures
	if len(lost.Causes) > 0 {
		f.Causes = lost.Causes
	}
	if lost.First >= 0 {
		window := float64(lost.Last-lost.First) / 1e6
		f.LostWindow = &window
		for i := range ev.H.Faults {
			if start := ev.H.Faults[i].Start; start >= lost.First {
				before := float64(start-lost.First) / 1e6
				f.LostBefore = &before
				break
			}
		}
	}
	if len(ev.H.Faults) > 0 {
		f.RTO = recovery(ev.H)
	}
	return f
}

// recovery returns, by queue group, the longest time in ns from a fault's start to the first OK send invoked after it.
// A group that accepted nothing after some fault has none.
func recovery(h *history.History) map[string]int64 {
	groupOf := map[history.Sym]string{}
	first := map[string][]int64{} // by fault
	for i := range h.Sends {
		s := &h.Sends[i]
		if s.Type != history.OK || s.Invoke < h.Faults[0].Start {
			continue
		}
		group, known := groupOf[s.Queue]
		if !known {
			group, _, _ = strings.Cut(h.Name(s.Queue), "/")
			groupOf[s.Queue] = group
		}
		times := first[group]
		if times == nil {
			times = make([]int64, len(h.Faults))
			for k := range times {
				times[k] = math.MaxInt64
			}
			first[group] = times
		}
		for k := range h.Faults {
			// Between start and down the fault is being done: what is answered then has not been through it.
			if s.Invoke >= max(h.Faults[k].Start, h.Faults[k].Down) && s.Return < times[k] {
				times[k] = s.Return
			}
		}
	}
	out := map[string]int64{}
	for group, times := range first {
		longest := int64(0)
		for k, t := range times {
			if t == math.MaxInt64 {
				longest = -1
				break
			}
			longest = max(longest, t-h.Faults[k].Start)
		}
		if longest >= 0 {
			out[group] = longest
		}
	}
	return out
}
