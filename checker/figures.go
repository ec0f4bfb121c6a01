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
		f.RTO, f.DeliveryRTO = recovery(ev.H), delivery(ev.H)
	}
	return f
}

// service gathers, for each queue group and fault, when the group first did something that began after the fault.
type service struct {
	h       *history.History
	groupOf map[history.Sym]string
	first   map[string][]int64 // by fault
}

func newService(h *history.History) *service {
	return &service{h: h, groupOf: map[history.Sym]string{}, first: map[string][]int64{}}
}

// saw notes an answer about a queue.
func (s *service) saw(queue history.Sym, invoke, back int64) {
	if invoke < s.h.Faults[0].Start {
		return
	}
	group, known := s.groupOf[queue]
	if !known {
		group, _, _ = strings.Cut(s.h.Name(queue), "/")
		s.groupOf[queue] = group
	}
	times := s.first[group]
	if times == nil {
		times = make([]int64, len(s.h.Faults))
		for k := range times {
			times[k] = math.MaxInt64
		}
		s.first[group] = times
	}
	for k := range s.h.Faults {
		// Between start and down the fault is being done: what is answered then has not been through it.
		if invoke >= max(s.h.Faults[k].Start, s.h.Faults[k].Down) && back < times[k] {
			times[k] = back
		}
	}
}

// longest returns, by queue group, the longest time in ns from a fault's start to the first answer after it. A group that did
// not answer after some fault has none.
func (s *service) longest() map[string]int64 {
	out := map[string]int64{}
	for group, times := range s.first {
		longest := int64(0)
		for k, t := range times {
			if t == math.MaxInt64 {
				longest = -1
				break
			}
			longest = max(longest, t-s.h.Faults[k].Start)
		}
		if longest >= 0 {
			out[group] = longest
		}
	}
	return out
}

// recovery returns, by queue group, the longest time in ns from a fault's start to the first OK send invoked after it.
func recovery(h *history.History) map[string]int64 {
	s := newService(h)
	for i := range h.Sends {
		if op := &h.Sends[i]; op.Type == history.OK {
			s.saw(op.Queue, op.Invoke, op.Return)
		}
	}
	return s.longest()
}

// delivery is recovery for the first poll that brought a message.
func delivery(h *history.History) map[string]int64 {
	s := newService(h)
	for i := range h.Fetches {
		f := &h.Fetches[i]
		if msgs := h.Msgs(f); f.F == history.Poll && msgs.Len() > 0 {
			s.saw(f.Queue, f.Invoke, f.Return)
		}
	}
	return s.longest()
}
