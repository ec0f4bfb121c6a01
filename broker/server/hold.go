package server

import (
	"math/bits"
	"time"
)

// Hold is for how long the server's lock was held for a request of a client: the hold of a burst over its requests. Sends and pulls of
// other connections wait for it.
type Hold struct {
	Requests  uint64
	Mean, P99 time.Duration // P99 is exact to an eighth
}

// holds counts holds by length: eight steps to a doubling.
type holds struct {
	requests uint64
	nanos    uint64
	byLength [64 * holdSteps]uint64 // requests
}

const holdSteps = 8

// add counts the hold of a burst of requests.
func (h *holds) add(held time.Duration, requests int) {
	each := uint64(max(held, 1)) / uint64(requests)
	h.requests += uint64(requests)
	h.nanos += uint64(held)
	h.byLength[holdStep(each)] += uint64(requests)
}

// holdStep is the step of a length of n ns.
func holdStep(n uint64) int {
	if n < holdSteps {
		return int(n)
	}
	log := bits.Len64(n) - 1
	return (log-2)*holdSteps + int(n>>(log-3)&(holdSteps-1))
}

// holdLimit is the length in ns below which those of a step lie.
func holdLimit(step int) uint64 {
	if step < holdSteps {
		return uint64(step) + 1
	}
	log := step/holdSteps + 2
	return 1<<log + uint64(step%holdSteps+1)<<(log-3)
}

// Hold returns for how long the lock was held for requests so far.
func (s *Server) Hold() Hold {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := &s.holds
	if h.requests == 0 {
		return Hold{}
	}
	out := Hold{Requests: h.requests, Mean: time.Duration(h.nanos / h.requests)}
	over := h.requests / 100 // so many may have been longer
	for step := len(h.byLength) - 1; step >= 0; step-- {
		if n := h.byLength[step]; n > over {
			out.P99 = time.Duration(holdLimit(step))
			break
		} else {
			over -= n
		}
	}
	return out
}
