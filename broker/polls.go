package broker

import (
	"time"

	"holdfast/broker/durability"
	"holdfast/broker/remoting"
	"holdfast/broker/store"
)

// poll is one pull while it is served or parked.
type poll struct {
	conn     ConnID
	opaque   int32
	form     remoting.Form
	queue    *queue
	from     int64 // queue offset asked for
	want     store.Want
	deadline time.Duration // when an empty answer must leave; 0: at once
	parked   bool
	to       *outflow // counts what it gets
}

// pollTable is the parked pulls by deadline, a binary heap; each is also in the list of its queue.
type pollTable struct {
	heap    []*poll
	loading []loading // pulls that wait for consume queue units from a file
}

type loading struct {
	job  *store.LoadJob
	poll *poll
}

func (t *pollTable) deadline() time.Duration {
	if len(t.heap) == 0 {
		return 0
	}
	return t.heap[0].deadline
}

// park adds p, which leaves with its queue's next message or at its deadline.
func (t *pollTable) park(p *poll) {
	p.parked = true
	p.queue.polls = append(p.queue.polls, p)
	t.heap = append(t.heap, p)
	for i := len(t.heap) - 1; i > 0 && t.heap[i].deadline < t.heap[(i-1)/2].deadline; i = (i - 1) / 2 {
		t.heap[i], t.heap[(i-1)/2] = t.heap[(i-1)/2], t.heap[i]
	}
}

// pop removes the poll with the earliest deadline from the heap.
func (t *pollTable) pop() *poll {
	p := t.heap[0]
	last := len(t.heap) - 1
	t.heap[0], t.heap[last] = t.heap[last], nil
	t.heap = t.heap[:last]
	for i := 0; ; {
		child := 2*i + 1
		if child+1 < last && t.heap[child+1].deadline < t.heap[child].deadline {
			child++
		}
		if child >= last || t.heap[i].deadline <= t.heap[child].deadline {
			return p
		}
		t.heap[i], t.heap[child] = t.heap[child], t.heap[i]
		i = child
	}
}

// unpark takes p off its queue. It stays in the heap, marked, until it comes up or there are too many such.
func (t *pollTable) unpark(p *poll) {
	p.parked = false
	list := p.queue.polls
	for i, e := range list {
		if e == p {
			p.queue.polls = append(list[:i], list[i+1:]...)
			return
		}
	}
}

// sweep drops the polls at the top of the heap that are no longer parked, so that they cost no wake-up.
func (t *pollTable) sweep() {
	for len(t.heap) > 0 && !t.heap[0].parked {
		t.pop()
	}
}

// drop forgets the pulls of a connection that is gone.
func (t *pollTable) drop(c ConnID) {
	for _, p := range t.heap {
		if p.parked && p.conn == c {
			t.unpark(p)
		}
	}
	t.sweep()
}

// arrivals remembers which queues with parked pulls got messages that nobody may read yet: a queue of ends that rise.
type arrivals struct {
	items []arrival
	head  int
}

type arrival struct {
	queue *queue
	end   durability.Offset
}

// arrived notes that q got messages up to physical offset end.
func (n *Node) arrived(q *queue, end durability.Offset) {
	if len(q.polls) > 0 {
		n.arrivals.items = append(n.arrivals.items, arrival{q, end})
	}
}

// wakePolls serves the parked pulls whose queue has something to read below the read level.
func (n *Node) wakePolls(out *Output) {
	mark := n.contract.Readable(&n.marks)
	if mark == n.readMark {
		return
	}
	n.readMark = mark
	if n.role == roleSlave {
		n.wakeAll(out)
		return
	}
	a := &n.arrivals
	for ; a.head < len(a.items) && a.items[a.head].end <= mark; a.head++ {
		n.wakeQueue(a.items[a.head].queue, out)
		a.items[a.head] = arrival{}
	}
	if a.head == len(a.items) {
		a.items, a.head = a.items[:0], 0
	}
}

// wakeAll looks at every parked pull: a slave's log does not tell which queues its bytes belong to.
func (n *Node) wakeAll(out *Output) {
	for _, p := range append([]*poll(nil), n.polls.heap...) {
		if p.parked {
			n.wake(p, out)
		}
	}
	n.polls.sweep()
}

func (n *Node) wakeQueue(q *queue, out *Output) {
	if len(q.polls) == 0 {
		return
	}
	for _, p := range append([]*poll(nil), q.polls...) {
		n.wake(p, out)
	}
	n.polls.sweep()
}

// wake serves p if there is something for it, else leaves it parked.
func (n *Node) wake(p *poll, out *Output) {
	if n.visible(p.queue) <= p.from {
		return
	}
	if ranges, found := n.store.Lookup(p.queue.store, p.from, n.wanted(p), nil); found.Count > 0 || found.Load != nil {
		n.polls.unpark(p)
		p.deadline = 0
		n.deliver(p, ranges, found, out)
	}
}

// expirePolls answers the parked pulls whose time is over, with what there is, which may be nothing.
func (n *Node) expirePolls(out *Output) {
	for len(n.polls.heap) > 0 && n.polls.heap[0].deadline <= n.now.Mono {
		if p := n.polls.pop(); p.parked {
			n.polls.unpark(p)
			p.deadline = 0
			n.serve(p, out)
		}
	}
	n.polls.sweep()
}

// expel answers all parked pulls of a queue that is going away.
func (n *Node) expel(q *queue, out *Output) {
	if q == nil {
		return
	}
	for _, p := range append([]*poll(nil), q.polls...) {
		n.polls.unpark(p)
		p.deadline = 0
		n.serve(p, out)
	}
	n.polls.sweep()
}

// Parked returns how many pulls wait for messages.
func (n *Node) Parked() int { return len(n.polls.heap) }
