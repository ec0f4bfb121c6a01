package broker

import (
	"cmp"
	"slices"
	"time"

	"holdfast/broker/durability"
	"holdfast/broker/remoting"
	"holdfast/broker/store"
)

// poll is one pull while it is served or parked.
type poll struct {
	group    *group
	conn     ConnID
	opaque   int32
	form     remoting.Form
	queue    *queue
	from     int64 // queue offset asked for
	passed   int64 // queue offset up to which its filter refuses all, as far as it was looked while it was parked
	want     store.Want
	deadline time.Duration // when an empty answer must leave; 0: at once. It never changes while the pull is in the heap
	parked   bool
	answered bool     // it has been parked: it is answered now, whatever there is
	to       *outflow // counts what it gets
}

// pollTable is the parked pulls by deadline, a binary heap; each is also in the list of its queue.
type pollTable struct {
	heap    []*poll
	live    int       // of the heap, that are parked
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
	t.live++
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

// unpark marks p as no longer parked. It stays in the list of its queue until half of that has left, and in the heap until it comes
// up: taking each out at once takes a time that grows with the square of their number.
func (t *pollTable) unpark(p *poll) {
	p.parked, p.answered = false, true
	t.live--
	q := p.queue
	if q.left++; 2*q.left > len(q.polls) && !q.walked {
		q.polls = slices.DeleteFunc(q.polls, func(e *poll) bool { return !e.parked })
		q.left = 0
	}
}

// each calls f with every pull that is parked at q when it begins and still when it comes up.
func (t *pollTable) each(q *queue, f func(*poll)) {
	q.walked = true
	for _, p := range q.polls {
		if p.parked {
			f(p)
		}
	}
	q.walked = false
	if q.left > 0 {
		q.polls = slices.DeleteFunc(q.polls, func(e *poll) bool { return !e.parked })
		q.left = 0
	}
}

// sweep drops the polls at the top of the heap that are no longer parked, so that they cost no wake-up, and all such when they are
// most of it: a client may ask for a deadline that is far away.
func (t *pollTable) sweep() {
	if len(t.heap) > 64 && 2*t.live < len(t.heap) {
		t.heap = slices.DeleteFunc(t.heap, func(p *poll) bool { return !p.parked })
		slices.SortStableFunc(t.heap, func(a, b *poll) int { return cmp.Compare(a.deadline, b.deadline) }) // a heap, too
	}
	for len(t.heap) > 0 && !t.heap[0].parked {
		t.pop()
	}
}

// drop forgets the pulls of a connection that is gone.
func (t *pollTable) drop(c ConnID) {
	if t.live == 0 {
		return
	}
	for _, p := range t.heap {
		if p.parked && p.conn == c {
			t.unpark(p)
		}
	}
	t.sweep()
}

// arrivals are the queues with parked pulls that have messages which nobody may read yet, each once, by what must be readable for the
// first of those.
type arrivals struct {
	items []arrival // by end
	head  int
}

type arrival struct {
	queue *queue
	end   durability.Offset
}

func (a *arrivals) add(q *queue, end durability.Offset) {
	at := len(a.items)
	for at > a.head && a.items[at-1].end > end {
		at--
	}
	a.items = slices.Insert(a.items, at, arrival{q, end})
	q.noted = true
}

// take returns the next queue of which something is below mark, nil without any.
func (a *arrivals) take(mark durability.Offset) *queue {
	if a.head == len(a.items) || a.items[a.head].end > mark {
		return nil
	}
	q := a.items[a.head].queue
	a.items[a.head] = arrival{}
	if a.head++; a.head == len(a.items) {
		a.items, a.head = a.items[:0], 0
	}
	q.noted = false
	return q
}

func (a *arrivals) clear() {
	for _, e := range a.items[a.head:] {
		e.queue.noted = false
	}
	*a = arrivals{}
}

// arrived notes the first message of q that nobody may read yet, if there is one and somebody waits. It is called when a message comes,
// when a pull parks, and when those before were looked at: whatever comes first, the others find it noted.
func (n *Node) arrived(q *queue) {
	if q.noted || len(q.polls) == q.left || n.role == roleSlave {
		return
	}
	next := n.visible(q)
	if next >= q.store.Next() {
		return
	}
	end, ok := q.store.End(next)
	if !ok {
		end = n.marks.Appended
	}
	n.arrivals.add(q, end)
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
	for q := n.arrivals.take(mark); q != nil; q = n.arrivals.take(mark) {
		n.wakeQueue(q, out)
		n.arrived(q)
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
	if len(q.polls) == q.left {
		return
	}
	n.polls.each(q, func(p *poll) { n.wake(p, out) })
	n.polls.sweep()
}

// wake serves p if there is something for it, else leaves it parked. Where it could not look at all that is readable, the client is told
// how far it has come and asks again.
func (n *Node) wake(p *poll, out *Output) {
	high := n.visible(p.queue)
	if high <= max(p.from, p.passed) {
		return
	}
	if p.from < p.queue.store.Min() { // a slave's log began behind it: what lies between is not to be passed over
		n.polls.unpark(p)
		n.serve(p, out)
		return
	}
	ranges, found := n.find(p)
	if found.Count == 0 && found.Load == nil && found.Next >= high {
		p.passed = found.Next
		return
	}
	n.polls.unpark(p)
	n.deliver(p, ranges, found, out)
}

// expirePolls answers the parked pulls whose time is over, with what there is, which may be nothing.
func (n *Node) expirePolls(out *Output) {
	for len(n.polls.heap) > 0 && n.polls.heap[0].deadline <= n.now.Mono {
		if p := n.polls.pop(); p.parked {
			n.polls.unpark(p)
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
	n.polls.each(q, func(p *poll) {
		n.polls.unpark(p)
		n.serve(p, out)
	})
	n.polls.sweep()
}

// Parked returns how many pulls wait for messages.
func (n *Node) Parked() int { return n.polls.live }
