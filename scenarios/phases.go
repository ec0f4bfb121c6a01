package scenarios

import (
	"slices"
	"time"

	"holdfast/checker/history"
	"holdfast/reports/result"
)

// phaseNames are the phases of a trial by its first fault.
var phaseNames = []string{"before", "during", "after"}

// phases counts acknowledgements by status and by the phase in which they were sent; nil without a fault. What was sent before the
// fault began and answered while it was in force belongs to neither, nor does what was sent before it was over and answered later.
func phases(h *history.History) []result.Phase {
	if h == nil || len(h.Faults) == 0 || h.Faults[0].Heal < 0 {
		return nil
	}
	first := &h.Faults[0]
	begins := []int64{0, max(first.Start, first.Down), first.Heal}
	ends := []int64{first.Start, over(first), history.Never}
	took := make([]map[string][]int64, len(phaseNames))
	all := make([]result.Phase, len(phaseNames))
	for i, name := range phaseNames {
		took[i] = map[string][]int64{}
		all[i] = result.Phase{Name: name, Statuses: map[string]result.StatusTime{}}
	}
	for i := range h.Sends {
		op := &h.Sends[i]
		if op.Type != history.OK {
			continue
		}
		for p := range phaseNames {
			if op.Invoke >= begins[p] && op.Return < ends[p] {
				status := h.Statuses[op.Status]
				took[p][status] = append(took[p][status], op.Return-op.Invoke)
				s := all[p].Statuses[status]
				at := nsToMS(op.Return - begins[p])
				if s.Count == 0 || at < s.FirstMS {
					s.FirstMS = at
				}
				s.LastMS = max(s.LastMS, at)
				s.Count++
				all[p].Statuses[status] = s
			}
		}
	}
	for p := range all {
		for status, times := range took[p] {
			slices.Sort(times)
			s := all[p].Statuses[status]
			s.MedianMS, s.MaxMS = nsToMS(times[len(times)/2]), nsToMS(times[len(times)-1])
			all[p].Statuses[status] = s
		}
	}
	return all
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

// phaseCounts sums a phase up over the trials of a cell.
func phaseCounts(trials []result.Trial, name string) map[string]int64 {
	sum := map[string]int64{}
	for _, t := range trials {
		for _, p := range t.Phases {
			if p.Name != name {
				continue
			}
			for status, s := range p.Statuses {
				sum[status] += s.Count
			}
		}
	}
	return sum
}
