package scenarios

import (
	"slices"
	"time"

	"holdfast/checker/history"
	"holdfast/reports/result"
)

// phaseNames are the phases of a trial by its first fault. It heals from its end until that was verified.
var phaseNames = []string{"before", "during", "healing", "after"}

// phases counts acknowledgements and deliveries by the phase of the first fault in which they were sent, or delivered; without a fault
// all is before. What was sent before the fault began and answered while it was in force belongs to neither, nor does what was sent
// before it was over and answered later. nil: the fault was not healed.
func phases(h *history.History) []result.Phase {
	if h == nil || len(h.Faults) > 0 && h.Faults[0].Heal < 0 {
		return nil
	}
	begins, ends := []int64{0}, []int64{history.Never}
	if len(h.Faults) > 0 {
		first := &h.Faults[0]
		begins = []int64{0, max(first.Start, first.Down), over(first), first.Heal}
		ends = []int64{first.Start, over(first), first.Heal, history.Never}
	}
	all := make([]result.Phase, len(begins))
	for p := range all {
		all[p] = result.Phase{Name: phaseNames[p], Statuses: statusTimes(h, begins[p], ends[p])}
		all[p].Delivered, all[p].GapMS = deliveries(h, begins[p], ends[p])
	}
	return all
}

// statusTimes counts what was sent and answered in [begin, end).
func statusTimes(h *history.History, begin, end int64) map[string]result.StatusTime {
	took := map[string][]int64{}
	all := map[string]result.StatusTime{}
	for i := range h.Sends {
		op := &h.Sends[i]
		if op.Type != history.OK || op.Invoke < begin || op.Return >= end {
			continue
		}
		status := h.Statuses[op.Status]
		took[status] = append(took[status], op.Return-op.Invoke)
		s := all[status]
		at := nsToMS(op.Return - begin)
		if s.Count == 0 || at < s.FirstMS {
			s.FirstMS = at
		}
		s.LastMS = max(s.LastMS, at)
		s.Count++
		all[status] = s
	}
	for status, times := range took {
		slices.Sort(times)
		s := all[status]
		s.MedianMS, s.MaxMS = nsToMS(times[len(times)/2]), nsToMS(times[len(times)-1])
		all[status] = s
	}
	return all
}

// deliveries counts what consumers got in [begin, end), and how long in it one of them got nothing at most: from the begin to the first, from
// one to the next and, where the phase has an end, from the last to it.
func deliveries(h *history.History, begin, end int64) (messages int64, gapMS float64) {
	last := map[int32]int64{} // by client
	gap := int64(0)
	for i := range h.Fetches { // by Return
		f := &h.Fetches[i]
		if f.F != history.Poll {
			continue
		}
		if _, known := last[f.P]; !known {
			last[f.P] = begin
		}
		n := h.Msgs(f).Len()
		if n == 0 || f.Return < begin || f.Return >= end {
			continue
		}
		messages += int64(n)
		gap, last[f.P] = max(gap, f.Return-last[f.P]), f.Return
	}
	if end != history.Never {
		for _, at := range last {
			gap = max(gap, end-at)
		}
	}
	return messages, nsToMS(gap)
}

// earlyReadMin is how long before its acknowledgement a message must be read to count as early: whoever records both is late at times.
const earlyReadMin = 50 * time.Millisecond

// readTimes holds the first delivery of each acknowledged message against its acknowledgement; nil without any.
func readTimes(h *history.History) *result.ReadTimes {
	if h == nil {
		return nil
	}
	first := map[uint64]int64{}
	for i := range h.Fetches { // by Return
		f := &h.Fetches[i]
		if f.F != history.Poll {
			continue
		}
		msgs := h.Msgs(f)
		for j := range msgs.Len() {
			if value := msgs.Value(j); !msgs.Corrupt(j) && first[value] == 0 {
				first[value] = f.Return
			}
		}
	}
	var after []int64
	r := &result.ReadTimes{}
	for i := range h.Sends {
		op := &h.Sends[i]
		if at, read := first[op.Value]; read && op.Type == history.OK {
			after = append(after, at-op.Return)
			if op.Return-at > int64(earlyReadMin) {
				r.Early++
			}
		}
	}
	if len(after) == 0 {
		return nil
	}
	slices.Sort(after)
	r.Count, r.EarliestMS, r.MedianMS = int64(len(after)), nsToMS(after[0]), nsToMS(after[len(after)/2])
	return r
}

// over is when a fault has ended by itself, before its heal was verified: a stopped node starts again, a paused one goes on.
func over(f *history.FaultOp) int64 {
	switch ms := f.Effect["ms"]; {
	case f.Restart >= 0:
		return f.Restart
	case ms > 0:
		return min(f.Start+ms*int64(time.Millisecond), f.Heal)
	}
	return f.Heal
}

// phaseCounts sums a phase up over the trials of a cell: acknowledgements by status, and what was delivered.
func phaseCounts(trials []result.Trial, name string) (statuses map[string]int64, delivered int64) {
	statuses = map[string]int64{}
	for _, t := range trials {
		for _, p := range t.Phases {
			if p.Name != name {
				continue
			}
			delivered += p.Delivered
			for status, s := range p.Statuses {
				statuses[status] += s.Count
			}
		}
	}
	return statuses, delivered
}
