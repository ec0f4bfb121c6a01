package scenarios

import (
	"slices"

	"holdfast/checker/history"
	"holdfast/reports/result"
)

// availability says what senders saw from the first fault on: how long none of their sends succeeded at most, and how many messages
// were not acknowledged by any of their sends. nil: no fault began.
func availability(h *history.History) *result.Availability {
	if h == nil || len(h.Faults) == 0 || h.Faults[0].Start < 0 {
		return nil
	}
	from := h.Faults[0].Start
	var acks []int64
	fates := map[uint64]history.Type{} // of messages; OK wins over Info, Info over Fail
	for i := range h.Sends {
		op := &h.Sends[i]
		if op.Type == history.OK && op.Return >= from {
			acks = append(acks, op.Return)
		}
		known, seen := fates[op.Value]
		switch fate := fateTypeOf(op); {
		case !seen, fate == history.OK, fate == history.Info && known == history.Fail:
			fates[op.Value] = fate
		}
	}
	a := &result.Availability{GapMS: nsToMS(longestGap(acks, from, h.LastSend))}
	for _, fate := range fates {
		switch fate {
		case history.Fail:
			a.Failed++
		case history.Info:
			a.Unknown++
		}
	}
	return a
}

// fateTypeOf is what is known of a send; one that never ended is unknown.
func fateTypeOf(op *history.SendOp) history.Type {
	switch op.Type {
	case history.OK, history.Fail:
		return op.Type
	}
	return history.Info
}

// longestGap returns the longest time in [from, to] without one of the instants.
func longestGap(at []int64, from, to int64) int64 {
	slices.Sort(at)
	longest, last := int64(0), from
	for _, t := range at {
		longest, last = max(longest, t-last), t
	}
	return max(longest, to-last)
}
