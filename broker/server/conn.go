package server

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"holdfast/broker"
	"holdfast/broker/remoting"
	"holdfast/broker/store"
)

// conn is one client's connection: a goroutine that reads, and an outbox that whoever stepped the node empties.
type conn struct {
	id     broker.ConnID
	s      *Server
	nc     net.Conn
	try    tryWriter
	intake *broker.Intake
	buf    []byte // what was read: the first filled bytes are not decoded yet
	filled int
	place  atomic.Int32 // who reads: see sync

	mu       sync.Mutex // guards the outbox
	box      []broker.Reply
	spare    []broker.Reply
	draining bool // someone empties the box
	closed   bool
}

// outboxMax bounds the replies that wait for a client that does not read; it is closed beyond.
const outboxMax = 1 << 18

// connTable finds connections by id: the low bits are a slot, the rest makes the id unique.
type connTable struct {
	slots []*conn
	free  []int
	last  uint64
}

const slotBits = 20

func (t *connTable) add(c *conn) bool {
	slot := len(t.slots)
	if n := len(t.free); n > 0 {
		slot, t.free = t.free[n-1], t.free[:n-1]
	} else if slot >= 1<<slotBits {
		return false
	} else {
		t.slots = append(t.slots, nil)
	}
	t.last++
	c.id = broker.ConnID(t.last<<slotBits | uint64(slot))
	t.slots[slot] = c
	return true
}

func (t *connTable) get(id broker.ConnID) *conn {
	slot := int(id & (1<<slotBits - 1))
	if slot >= len(t.slots) || t.slots[slot] == nil || t.slots[slot].id != id {
		return nil
	}
	return t.slots[slot]
}

func (t *connTable) remove(id broker.ConnID) {
	if t.get(id) != nil {
		slot := int(id & (1<<slotBits - 1))
		t.slots[slot] = nil
		t.free = append(t.free, slot)
	}
}

func (t *connTable) len() int { return len(t.slots) - len(t.free) }

func (t *connTable) all() []*conn {
	var out []*conn
	for _, c := range t.slots {
		if c != nil {
			out = append(out, c)
		}
	}
	return out
}

// accept serves every connection of a listener.
func (s *Server) accept(l net.Listener, serve func(net.Conn)) {
	for {
		nc, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			if s.isClosing() {
				return
			}
			s.log.Warn("accept", "err", err)
			continue
		}
		s.spawn(func() { serve(nc) })
	}
}

func (s *Server) isClosing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing
}

// serveClient reads a client's connection until its end.
func (s *Server) serveClient(nc net.Conn) {
	c := &conn{s: s, nc: nc, try: tryWriterOf(nc), intake: s.node.Intake(nc.RemoteAddr().String()), buf: make([]byte, readBytesMin)}
	s.mu.Lock()
	ok := !s.closing && s.conns.add(c)
	s.mu.Unlock()
	if !ok {
		nc.Close()
		return
	}
	st := s.newStepper()
	st.step(&broker.Event{Kind: broker.KindOpened, Conn: c.id, Addr: nc.RemoteAddr().String()})
	c.serve(st)
}

// serve reads until the connection ends, or until another goroutine has taken the reading over.
func (c *conn) serve(st *stepper) {
	err := c.read(st)
	if errors.Is(err, errRelieved) {
		return
	}
	c.close()
	c.s.mu.Lock()
	c.s.conns.remove(c.id)
	c.s.mu.Unlock()
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
		c.s.log.Debug("connection closed", "peer", c.nc.RemoteAddr(), "err", err)
	}
	st.step(&broker.Event{Kind: broker.KindClosed, Conn: c.id})
}

// Sizes of a read buffer: it grows while reads fill it, and to a whole frame, and shrinks again.
const (
	readBytesMin = 16 << 10
	readBytesMax = 256 << 10
)

// read takes whole bursts: everything that the kernel has, decoded outside the lock, one Step each.
func (c *conn) read(st *stepper) error {
	ev := broker.Event{Kind: broker.KindReceived, Conn: c.id}
	for {
		n, err := c.nc.Read(c.buf[c.filled:])
		c.filled += n
		if n > 0 {
			sync, err := c.burst(st, &ev)
			if sync != nil && !c.sync(st, sync) {
				return errRelieved
			}
			if err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
	}
}

// burst steps all whole frames of the buffer and keeps the rest.
func (c *conn) burst(st *stepper, ev *broker.Event) (sync *store.SyncJob, err error) {
	requests, used, err := c.intake.Decode(c.buf[:c.filled])
	if len(requests) > 0 {
		ev.Requests = requests
		_, sync = st.stepReceived(ev)
		c.intake.Reset()
	}
	if err != nil {
		return sync, err
	}
	full := c.filled == len(c.buf)
	c.filled = copy(c.buf, c.buf[used:c.filled])
	c.buf, err = resize(c.buf, c.filled, full)
	return sync, err
}

// errRelieved says that another goroutine reads the connection from now on.
var errRelieved = errors.New("relieved")

// Who reads a connection while its reader syncs.
const (
	placeHeld  = iota // the reader, if the sync ends in time
	placeKept         // the reader: the sync has ended
	placeTaken        // another goroutine
)

// relieveAfter is how long a reader may sync before another goroutine reads its connection.
const relieveAfter = 3 * time.Millisecond

// sync runs a sync on the reader's own thread: its client waits for it, and waking another thread costs as much as a fast
// disk needs. A put that arrives meanwhile has to wait for the next sync anyway. But a disk that is slow must not keep the
// connection from being read: then another goroutine takes the reading over, and sync returns false.
// Under ASYNC_FLUSH nobody waits for a sync, and it is the sync thread's.
func (c *conn) sync(st *stepper, job *store.SyncJob) (keep bool) {
	if !c.s.syncInline {
		c.s.disk.sync <- job
		return true
	}
	c.place.Store(placeHeld)
	relief := time.AfterFunc(relieveAfter, func() {
		if c.place.CompareAndSwap(placeHeld, placeTaken) {
			c.s.spawn(func() { c.serve(c.s.newStepper()) })
		}
	})
	err := job.Run()
	keep = c.place.CompareAndSwap(placeHeld, placeKept)
	relief.Stop()
	st.step(&broker.Event{Kind: broker.KindSynced, Err: err})
	return keep
}

// resize returns the buffer for the next read, with the filled bytes at its front. full says that the last read filled it.
func resize(buf []byte, filled int, full bool) ([]byte, error) {
	want := len(buf)
	need, err := remoting.FrameBytes(buf[:filled])
	switch {
	case err != nil:
		return nil, err
	case need > want:
		want = need + readBytesMin
	case full && want < readBytesMax:
		want *= 2
	case need <= readBytesMax && want > 2*readBytesMax:
		want = readBytesMax
	}
	if want == len(buf) {
		return buf, nil
	}
	next := make([]byte, want)
	copy(next, buf[:filled])
	return next, nil
}

// post appends a reply to the outbox and reports whether the caller has to drain it. It is called under the server's lock,
// which gives the outbox its order.
func (c *conn) post(r *broker.Reply) (drain bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || len(c.box) >= outboxMax {
		if !c.closed {
			c.closed = true
			c.nc.Close()
		}
		return false
	}
	c.box = append(c.box, *r)
	drain = !c.draining
	c.draining = true
	return drain
}

// takeBox returns what waits in the outbox, or gives up the drainer's place when there is nothing.
func (c *conn) takeBox() []broker.Reply {
	c.mu.Lock()
	defer c.mu.Unlock()
	batch := c.box
	if len(batch) == 0 || c.closed {
		c.box, c.draining = nil, false
		if !c.closed {
			c.box = batch
		}
		return nil
	}
	c.box, c.spare = c.spare[:0], nil
	return batch
}

// giveBack lets a drained batch be used again.
func (c *conn) giveBack(batch []broker.Reply) {
	clear(batch)
	c.mu.Lock()
	if cap(batch) <= 4096 {
		c.spare = batch[:0]
	}
	c.mu.Unlock()
}

// drain empties the outbox with one system call a batch. It never waits for a slow client: what the kernel does not take at
// once is left to a goroutine of its own. It returns buf to be used again.
func (c *conn) drain(buf []byte) []byte {
	for {
		batch := c.takeBox()
		if batch == nil {
			return buf
		}
		var err error
		buf, err = c.encode(buf[:0], batch)
		c.giveBack(batch)
		if err != nil {
			c.s.log.Error("reply", "err", err)
			c.close()
			return buf
		}
		n, err := c.try.try(buf)
		if err != nil {
			c.close()
			return buf
		}
		if n < len(buf) {
			rest := buf[n:]
			c.s.spawn(func() { c.finish(rest) })
			return nil
		}
	}
}

// finish writes what drain could not, and goes on draining: the place of the drainer is handed over with the bytes.
func (c *conn) finish(rest []byte) {
	for {
		if _, err := c.nc.Write(rest); err != nil {
			c.close()
			c.takeBox()
			return
		}
		batch := c.takeBox()
		if batch == nil {
			return
		}
		var err error
		if rest, err = c.encode(rest[:0], batch); err != nil {
			c.s.log.Error("reply", "err", err)
			c.close()
			return
		}
		c.giveBack(batch)
	}
}

func (c *conn) encode(dst []byte, batch []broker.Reply) ([]byte, error) {
	for i := range batch {
		var err error
		if dst, err = c.s.node.AppendReply(dst, &batch[i]); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

// close ends the connection; its reader sees the end and tells the node.
func (c *conn) close() {
	c.mu.Lock()
	c.closed = true
	c.box = nil
	c.mu.Unlock()
	c.nc.Close()
}
