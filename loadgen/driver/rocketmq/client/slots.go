package client

import (
	"time"

	"holdfast/loadgen/driver"
)

type opKind uint8

const (
	none opKind = iota
	send
	pull
	commit
)

// op is the operation of one slot. Those under way form a list by deadline.
type op struct {
	kind       opKind
	queue      int32 // queue number
	opaque     int32 // Invariant: its low slotBits are the slot
	conn       int
	position   int64 // of the frame's first byte in the connection's stream
	sent       time.Duration
	deadline   time.Duration
	from       int64 // of a poll: queue offset that was asked for
	prev, next int32 // slots; -1: none
}

// opaqueBase is the least request id of an operation: ten digits, as all of them have, so that a template's stay in place.
const opaqueBase = 1 << 30

// start makes slot's operation and returns it; its frame must be queued next.
func (c *Client) start(now time.Duration, slot uint32, kind opKind, queue int32, conn int, timeout time.Duration) *op {
	o := &c.ops[slot]
	if o.kind != none {
		panic("rocketmq client: slot used while its operation is under way")
	}
	generation := (o.opaque>>c.slotBits + 1) & (opaqueBase>>c.slotBits - 1)
	*o = op{
		kind: kind, queue: queue, conn: conn, sent: now, deadline: now + timeout, prev: c.last, next: -1,
		opaque: opaqueBase | generation<<c.slotBits | int32(slot),
	}
	c.conns[conn].pending++
	c.link(int32(slot), o)
	return o
}

// link puts slot into the list by deadline: nearly always at its end, for timeouts are alike.
func (c *Client) link(slot int32, o *op) {
	for o.prev >= 0 && c.ops[o.prev].deadline > o.deadline {
		o.next = o.prev
		o.prev = c.ops[o.prev].prev
	}
	if o.prev >= 0 {
		c.ops[o.prev].next = slot
	} else {
		c.first = slot
	}
	if o.next >= 0 {
		c.ops[o.next].prev = slot
	} else {
		c.last = slot
	}
}

func (c *Client) unlink(o *op) {
	if o.prev >= 0 {
		c.ops[o.prev].next = o.next
	} else {
		c.first = o.next
	}
	if o.next >= 0 {
		c.ops[o.next].prev = o.prev
	} else {
		c.last = o.prev
	}
}

// finish completes slot without an answer that says more.
func (c *Client) finish(slot int32, kind driver.Kind, err error) {
	if o := &c.ops[slot]; o.kind == send {
		c.avoid(o.queue, kind)
	}
	done := c.complete(slot)
	done.Kind, done.Err = kind, err
}

// complete ends slot's operation and returns its completion, for the caller to fill in what is known.
func (c *Client) complete(slot int32) *driver.Completion {
	o := &c.ops[slot]
	k := &c.conns[o.conn]
	at := c.readyHead + c.readyLen
	if at >= len(c.ready) {
		at -= len(c.ready)
	}
	c.readyLen++
	done := &c.ready[at]
	*done = driver.Completion{Slot: uint32(slot), Queue: o.queue, Offset: -1, Node: k.node}
	c.unlink(o)
	o.kind = none
	if k.pending--; k.pending == 0 && !k.wanted && k.state == up {
		c.drop(o.conn)
	}
	return done
}

// expire completes the operations whose deadline has come. A connection on which nothing was heard since such an
// operation began is replaced for what comes.
func (c *Client) expire() {
	for c.first >= 0 && c.ops[c.first].deadline <= c.now {
		slot := c.first
		id, sent := c.ops[slot].conn, c.ops[slot].sent
		c.finish(slot, driver.Info, driver.ErrTimeout)
		if k := &c.conns[id]; k.state == up && k.wanted && k.heard <= sent {
			c.replace(id)
		}
	}
}
