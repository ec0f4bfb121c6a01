package network

import (
	"cmp"
	"container/heap"
	"slices"
	"time"
)

// The queue holds the packets that are not to go at once. Like the table it is pure. Within a flow packets leave in the
// order in which they arrived, whatever their delays (jitter is a path whose length varies, not many paths), but for
// those that a rule has chosen to be overtaken.

// parcel is a packet in the queue.
type parcel struct {
	flow   *flow
	packet *packet
	due    time.Duration
	seq    uint64 // order among parcels that are due at one instant
	number uint64 // within the flow
	wait   time.Duration
	copies int
	late   *ruleState
}

// queueBytes is how much memory the packets of a queue may take.
const queueBytes = 256 << 20

// queue is the packets of all flows that wait.
type queue struct {
	due   dueHeap
	seq   uint64
	bytes int64 // of memory, held ones included
	limit int64
}

func newQueue() *queue { return &queue{limit: queueBytes} }

// add takes over a packet that arrives now; false: there is no room, and the packet is the caller's still.
func (q *queue) add(now time.Duration, f *flow, v verdict, p *packet) bool {
	if q.bytes+p.memory() > q.limit {
		return false
	}
	q.bytes += p.memory()
	f.arrived++
	e := &parcel{flow: f, packet: p, number: f.arrived, wait: v.wait, copies: v.copies, late: v.late}
	if v.hold {
		f.held = append(f.held, e)
		return true
	}
	q.schedule(now, e)
	return true
}

func (q *queue) schedule(now time.Duration, e *parcel) {
	f := e.flow
	e.due = now + e.wait
	if e.late == nil {
		e.due = max(e.due, f.last)
		f.last = e.due
	}
	q.seq++
	e.seq = q.seq
	f.waiting++
	heap.Push(&q.due, e)
}

// straight notes that a packet of a flow passed without waiting.
func (f *flow) straight() {
	f.arrived++
	f.passed = f.arrived
}

// next returns when the first parcel is due.
func (q *queue) next() (time.Duration, bool) {
	if len(q.due) == 0 {
		return 0, false
	}
	return q.due[0].due, true
}

// pop appends to out parcels that are due, in order, at most as many as it has room for. Each is to be given back by done
// when it has gone.
func (q *queue) pop(now time.Duration, out []*parcel) []*parcel {
	for len(out) < cap(out) && len(q.due) > 0 && q.due[0].due <= now {
		e := heap.Pop(&q.due).(*parcel)
		q.bytes -= e.packet.memory()
		out = append(out, e)
		if e.late != nil && e.flow.passed > e.number {
			e.late.overtaken(e.packet.size())
		}
		e.flow.passed = max(e.flow.passed, e.number)
	}
	return out
}

// done notes that a popped parcel has gone: only now a younger one may pass straight.
func (e *parcel) done() { e.flow.waiting-- }

// release lets the packets go that nothing holds any more.
func (q *queue) release(now time.Duration, f *flow) {
	if f.clogged() {
		return
	}
	for _, e := range f.held {
		q.schedule(now, e)
	}
	f.held = nil
}

// discard forgets all packets from and to a host and returns them.
func (q *queue) discard(host string, flows []*flow) []*packet {
	var gone []*packet
	drop := func(e *parcel) {
		q.bytes -= e.packet.memory()
		gone = append(gone, e.packet)
	}
	for _, f := range flows {
		if f.from != host && f.to != host {
			continue
		}
		for _, e := range f.held {
			drop(e)
		}
		f.held = nil
		f.last = 0
	}
	q.due = slices.DeleteFunc(q.due, func(e *parcel) bool {
		if e.flow.from != host && e.flow.to != host {
			return false
		}
		e.flow.waiting--
		drop(e)
		return true
	})
	heap.Init(&q.due)
	return gone
}

// dueHeap orders parcels by the instant at which they are due, then by their arrival.
type dueHeap []*parcel

func (h dueHeap) Len() int { return len(h) }
func (h dueHeap) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(h[i].due, h[j].due), cmp.Compare(h[i].seq, h[j].seq)) < 0
}
func (h dueHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *dueHeap) Push(x any)   { *h = append(*h, x.(*parcel)) }
func (h *dueHeap) Pop() any {
	old := *h
	n := len(old) - 1
	e := old[n]
	old[n] = nil
	*h = old[:n]
	return e
}
