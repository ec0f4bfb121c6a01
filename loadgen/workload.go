package loadgen

import "math/rand/v2"

// Op is what a worker is to do next.
type Op struct {
	Queue     int32 // queue number, or driver.AnyQueue
	BodyBytes int
}

// Workload says what is sent. It is pure: what it returns depends on its own state and rng, which is seeded per worker.
type Workload interface {
	Next(rng *rand.Rand) Op
}

// RoundRobin sends to one queue after the other, bodies of uniformly drawn size. The queue is the client's choice and
// stands on the invoke, so that an unknown send can be held against the one queue that it may have reached.
type RoundRobin struct {
	Queues int32 // at least 1
	First  int32 // queue of the next operation
	Body   BodyBytes
}

// Next returns the next operation.
func (w *RoundRobin) Next(rng *rand.Rand) Op {
	op := Op{Queue: w.First, BodyBytes: w.Body.Min}
	if w.First++; w.First >= w.Queues {
		w.First = 0
	}
	if spread := w.Body.Max - w.Body.Min; spread > 0 {
		op.BodyBytes += int(rng.Uint64N(uint64(spread) + 1))
	}
	return op
}
