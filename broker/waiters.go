package broker

import (
	"time"

	"holdfast/broker/durability"
)

// put is a stored message, or batch, whose reply waits for the contract to be kept.
type put struct {
	durability.Waiter
	reply Reply
}

// ring is a flat queue of puts of one class: pointer-free in the middle, reused for ever, grown when full.
// Invariant: ends and arrival times rise from head to tail, so that both kinds of release begin at the head.
type ring struct {
	slots   []put // length a power of two
	head    uint64
	tail    uint64
	decided uint64 // head <= decided <= tail: waits for replicas before it are over
}

func (r *ring) len() int { return int(r.tail - r.head) }

func (r *ring) at(i uint64) *put { return &r.slots[i&uint64(len(r.slots)-1)] }

func (r *ring) push() *put {
	if r.len() == len(r.slots) {
		r.grow()
	}
	r.tail++
	return r.at(r.tail - 1)
}

func (r *ring) grow() {
	bigger := make([]put, max(64, 2*len(r.slots)))
	for i := r.head; i < r.tail; i++ {
		bigger[i&uint64(len(bigger)-1)] = *r.at(i)
	}
	r.slots = bigger
}

// waiters are all puts that have not been answered, one ring a class, so that a put that waits for less never stands behind
// one that waits for more, and each expires at its own deadline: RocketMQ's single queue answers FLUSH_SLAVE_TIMEOUT for
// what the slave has, when an earlier request was waited for too long (GroupTransferService, 5.3.3).
type waiters struct {
	rings [durability.Classes]ring
}

func (ws *waiters) add(w durability.Waiter, reply Reply) {
	*ws.rings[w.Class].push() = put{w, reply}
}

func (ws *waiters) len() int {
	n := 0
	for i := range ws.rings {
		n += ws.rings[i].len()
	}
	return n
}

// release appends to replies the answers of all puts that can be answered under m at now.
func (ws *waiters) release(ack *durability.Ack, m *durability.Marks, now time.Duration, replies []Reply) []Reply {
	for c := range ws.rings {
		r := &ws.rings[c]
		if r.head == r.tail {
			continue
		}
		r.decide(ack, m, now)
		for ; r.head < r.tail; r.head++ {
			p := r.at(r.head)
			status, ok := ack.Release(m, &p.Waiter, now)
			if !ok {
				break
			}
			p.reply.Code = codeOf(status)
			replies = append(replies, p.reply)
			p.reply = Reply{}
		}
		r.decided = max(r.decided, r.head)
	}
	return replies
}

// decide ends the waits for replicas that are over, also of puts that still wait for the disk.
func (r *ring) decide(ack *durability.Ack, m *durability.Marks, now time.Duration) {
	for r.decided = max(r.decided, r.head); r.decided < r.tail; r.decided++ {
		if !ack.Decide(m, &r.at(r.decided).Waiter, now) {
			return
		}
	}
}

// giveUp appends to replies the answer of every put, code, and forgets them.
func (ws *waiters) giveUp(code int32, replies []Reply) []Reply {
	for c := range ws.rings {
		r := &ws.rings[c]
		for ; r.head < r.tail; r.head++ {
			p := r.at(r.head)
			p.reply.Code = code
			replies = append(replies, p.reply)
			p.reply = Reply{}
		}
		r.decided = r.head
	}
	return replies
}

// deadline returns the first instant after now at which a put may be answered although no mark moves; 0 = none.
func (ws *waiters) deadline(ack *durability.Ack, now time.Duration) time.Duration {
	first := time.Duration(0)
	for c := range ws.rings {
		r := &ws.rings[c]
		for _, i := range [2]uint64{r.head, max(r.decided, r.head)} {
			if i < r.tail {
				if at, ok := ack.Deadline(&r.at(i).Waiter, now); ok {
					first = earlier(first, at)
				}
			}
		}
	}
	return first
}

// earlier returns the earlier of two deadlines, 0 being none.
func earlier(a, b time.Duration) time.Duration {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}
