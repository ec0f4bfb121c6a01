package server

import (
	"cmp"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
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
	raw    syscall.RawConn // nil: no socket
	try    tryWriter
	file   fileSender
	intake *broker.Intake
	rest   []byte // the front of a frame that is not whole
	buf    []byte // nil, or what holds a frame that no desk does: the first filled bytes are there
	filled int
	place  atomic.Int32 // who reads: see sync
	large  int64        // bytes of buf that count as a large frame's

	active     atomic.Int64 // the tick of the last byte of the client, or for it
	frameBegun atomic.Int64 // the tick when a frame began that is not whole yet; 0: none
	owed       atomic.Int32 // answers that are not given yet
	unread     atomic.Int64 // cost of the replies that wait to be read
	clock      rpcClock

	mu       sync.Mutex // guards the outbox
	box      []broker.Reply
	spare    []broker.Reply
	draining bool // someone empties the box
	closed   bool
	waits    bool // the reader waits for room
	room     sync.Cond
}

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

// accept begins every connection of a listener, one after the other: a thousand that come at once wait in the kernel, not for the
// node's lock, where each of them would stand before somebody who has a connection.
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
			s.refusedAccept(err)
			continue
		}
		serve(nc)
	}
}

// acceptPause is the pause after a failed accept: the process has no file descriptor left, which the next try does not change.
const acceptPause = 20 * time.Millisecond

func (s *Server) refusedAccept(err error) {
	s.mu.Lock()
	tell := time.Since(s.doorman.told) >= refusedEvery
	if tell {
		s.doorman.told = time.Now()
	}
	s.mu.Unlock()
	if tell {
		s.log.Warn("accept", "err", err)
	}
	time.Sleep(acceptPause)
}

func (s *Server) isClosing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing
}

// serveClient admits a client's connection and has it read until its end.
func (s *Server) serveClient(nc net.Conn) {
	c := &conn{s: s, nc: nc, raw: rawOf(nc), try: tryWriterOf(nc), file: fileSenderOf(nc), intake: s.node.Intake(nc.RemoteAddr().String())}
	c.room.L = &c.mu
	c.active.Store(s.tick.Load())
	s.mu.Lock()
	err := s.admit(c)
	s.mu.Unlock()
	if err != nil {
		s.refused(nc, err)
		return
	}
	s.newStepper().step(&broker.Event{Kind: broker.KindOpened, Conn: c.id, Addr: nc.RemoteAddr().String()})
	s.spawn(c.serve)
}

// undertake tells the node of connections that have ended, one after the other, for the same reason as accept.
func (s *Server) undertake() {
	st := s.newStepper()
	for {
		select {
		case c := <-s.gone:
			s.mu.Lock()
			s.dismiss(c)
			s.mu.Unlock()
			st.step(&broker.Event{Kind: broker.KindClosed, Conn: c.id})
		case <-s.disk.quit:
			return
		}
	}
}

// serve reads until the connection ends, or until another goroutine has taken the reading over.
func (c *conn) serve() {
	err := c.read()
	if errors.Is(err, errRelieved) {
		return
	}
	c.close()
	c.s.large.Add(-c.large)
	if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
		c.s.log.Debug("connection closed", "peer", c.nc.RemoteAddr(), "err", err)
	}
	select {
	case c.s.gone <- c:
	case <-c.s.disk.quit:
	}
}

// Sizes of what a connection has for a frame that no desk holds: it grows as the bytes come.
const (
	readBytesMin = 16 << 10
	readBytesMax = 256 << 10
)

// read takes whole bursts: everything that the kernel has, decoded outside the lock, one Step each. It returns why it ended.
func (c *conn) read() error {
	if c.raw == nil {
		return c.readInHand()
	}
	var (
		d     *desk
		n     int
		again bool
		rerr  error
	)
	// It must not wait: whoever closes the connection waits for it to return, with a desk in his hands.
	now := func(fd uintptr) bool {
		if d == nil {
			d = c.s.desks.take()
		}
		if d == nil {
			return true
		}
		if n, again, rerr = readNow(fd, c.space(d)); again {
			c.s.desks.give(d)
			d = nil
		}
		return !again
	}
	for {
		err := c.raw.Read(now)
		if err == nil && d == nil {
			d = c.s.desks.wait()
			continue
		}
		if err == nil {
			err = c.work(d, n)
		}
		if d != nil {
			c.s.desks.give(d)
			d = nil
		}
		if err = cmp.Or(err, rerr); err != nil {
			return err
		}
	}
}

// readInHand is read where nothing tells when bytes have come: the connection has a desk of its own.
func (c *conn) readInHand() error {
	d := c.s.newDesk()
	for {
		n, err := c.nc.Read(c.space(d))
		if err = cmp.Or(c.work(d, n), err); err != nil {
			return err
		}
	}
}

// work does what n more bytes bring. errRelieved: another goroutine reads on.
func (c *conn) work(d *desk, n int) error {
	if n <= 0 {
		return nil
	}
	sync, err := c.burst(d, n)
	if sync != nil && !c.sync(d.st, sync) {
		return errRelieved
	}
	return err
}

// space is where the next bytes go.
func (c *conn) space(d *desk) []byte {
	if c.buf != nil {
		return c.buf[c.filled:]
	}
	return d.buf[len(c.rest):]
}

// burst steps all whole frames that are there with the n bytes that came, and keeps the rest.
func (c *conn) burst(d *desk, n int) (sync *store.SyncJob, err error) {
	var all []byte
	if c.buf != nil {
		c.filled += n
		all = c.buf[:c.filled]
	} else {
		all = d.buf[:copy(d.buf, c.rest)+n]
	}
	c.intake.Use(&d.memory)
	requests, used, err := c.intake.Decode(all)
	tick := c.s.tick.Load()
	c.active.Store(tick)
	if c.s.rpc.wanted.Load() {
		c.clock.came(requests)
	}
	d.ev.Conn = c.id
	for left := requests; len(left) > 0; {
		n, answers := nextRun(left, c.s.limits.Requests-int(c.owed.Load()))
		d.ev.Requests, left = left[:n], left[n:]
		c.owed.Add(int32(answers))
		if _, job := d.st.stepReceived(&d.ev); job != nil {
			sync = job
		}
		if c.crowded() {
			if sync != nil {
				c.s.disk.sync <- sync // others wait for it
				sync = nil
			}
			c.await()
		}
	}
	if len(requests) > 0 {
		c.intake.Reset()
	}
	if err != nil {
		return sync, err
	}
	switch rest := len(all) - used; {
	case rest == 0:
		c.frameBegun.Store(0)
	case used > 0 || c.frameBegun.Load() == 0:
		c.frameBegun.Store(tick)
	}
	return sync, c.keep(all[used:])
}

// keep puts the front of a frame by until more of it comes.
func (c *conn) keep(front []byte) error {
	need, err := remoting.FrameBytes(front)
	switch {
	case err != nil:
		return err
	case need <= deskBytes || c.buf == nil && len(front) <= deskBytes/2:
		if cap(c.rest) > readBytesMin && len(front) <= readBytesMin {
			c.rest = nil
		}
		c.rest, c.buf, c.filled = append(c.rest[:0], front...), nil, 0
	case c.buf == nil:
		c.buf, c.rest = make([]byte, min(need+readBytesMin, 2*deskBytes)), nil // as bytes come, not as they are announced
		c.filled = copy(c.buf, front)
	default:
		c.filled = copy(c.buf, front)
		if c.buf, err = resize(c.buf, c.filled); err != nil {
			return err
		}
	}
	return c.count()
}

// count keeps the account of large frames.
func (c *conn) count() error {
	large := int64(len(c.buf))
	if large <= 2*readBytesMax {
		large = 0
	}
	if large == c.large {
		return nil
	}
	more := large - c.large
	c.large = large
	if c.s.large.Add(more) > c.s.limits.LargeFrames && more > 0 {
		return errLarge
	}
	return nil
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
			c.s.spawn(c.serve)
		}
	})
	c.s.desks.pause()
	err := job.Run()
	c.s.desks.resume()
	keep = c.place.CompareAndSwap(placeHeld, placeKept)
	relief.Stop()
	st.step(&broker.Event{Kind: broker.KindSynced, Err: err})
	return keep
}

// resize returns the buffer for the next read, with the filled bytes at its front.
func resize(buf []byte, filled int) ([]byte, error) {
	want := len(buf)
	need, err := remoting.FrameBytes(buf[:filled])
	switch {
	case err != nil:
		return nil, err
	case need > want && filled > want/2:
		want = min(need+readBytesMin, 2*want) // as bytes come, not as they are announced
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
	if c.closed {
		return false
	}
	if !r.Push {
		c.owed.Add(-1)
		c.relax()
	}
	if int(c.unread.Add(int64(cost(r)))) > c.s.limits.UnreadBytes {
		c.closed, c.box = true, nil
		c.room.Signal()
		c.nc.Close()
		return false
	}
	c.active.Store(c.s.tick.Load())
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

// drained reports whether no reply is on its way out.
func (c *conn) drained() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed || !c.draining
}

// giveBack lets a drained batch be used again.
func (c *conn) giveBack(batch []broker.Reply) {
	read := 0
	for i := range batch {
		read += cost(&batch[i])
	}
	if c.s.rpc.wanted.Load() {
		c.clock.answered(batch, c.s.rpc)
	}
	clear(batch)
	c.mu.Lock()
	c.unread.Add(-int64(read))
	c.relax()
	if cap(batch) <= 4096 {
		c.spare = batch[:0]
	}
	c.mu.Unlock()
}

// drain empties the outbox with one system call for as much as fits a buffer. It never waits for a slow client: what the kernel
// does not take at once is left to a goroutine of its own. It returns buf to be used again.
func (c *conn) drain(buf []byte) []byte {
	for {
		batch := c.takeBox()
		if batch == nil {
			return buf
		}
		for left := batch; len(left) > 0; {
			var err error
			if buf, left, err = c.encode(buf[:0], left); err != nil {
				c.s.log.Error("reply", "err", err)
				c.close()
				return buf
			}
			n, err := c.try.try(buf)
			if err != nil {
				c.close()
				return buf
			}
			if len(left) > 0 && bulky(&left[0]) {
				rest := append([]byte(nil), buf[n:]...)
				c.s.spawn(func() { c.finish(rest, left, batch) })
				return buf
			}
			if n < len(buf) {
				rest := buf[n:]
				c.s.spawn(func() { c.finish(rest, left, batch) })
				return nil
			}
		}
		c.giveBack(batch)
	}
}

// finish writes what drain could not: rest, the replies left, of the batch. It goes on draining: the place of the drainer is handed
// over with the bytes.
func (c *conn) finish(rest []byte, left, batch []broker.Reply) {
	for {
		err := c.write(rest)
		if err == nil && len(left) > 0 && bulky(&left[0]) {
			if rest, err = c.ship(rest[:0], &left[0]); err == nil {
				rest, left = rest[:0], left[1:]
			}
		}
		if err != nil {
			if errors.Is(err, errLog) {
				c.s.log.Error("reply", "err", err)
			}
			c.end(errUnread)
			c.takeBox()
			return
		}
		if len(left) == 0 {
			c.giveBack(batch)
			c.nc.SetWriteDeadline(time.Time{}) // whoever drains next does not wait
			if batch = c.takeBox(); batch == nil {
				return
			}
			left = batch
		}
		if rest, left, err = c.encode(rest[:0], left); err != nil {
			c.s.log.Error("reply", "err", err)
			c.close()
			return
		}
	}
}

// writeAtOnce is how much a client must take within Limits.WriteTime.
const writeAtOnce = 64 << 10

func (c *conn) write(b []byte) error {
	for len(b) > 0 {
		c.nc.SetWriteDeadline(time.Now().Add(c.s.limits.WriteTime))
		n, err := c.nc.Write(b[:min(len(b), writeAtOnce)])
		if err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// encode appends replies to dst, until it is large enough for a system call or a bulky one comes, and returns those that are left.
func (c *conn) encode(dst []byte, batch []broker.Reply) ([]byte, []broker.Reply, error) {
	for i := range batch {
		if bulky(&batch[i]) {
			return dst, batch[i:], nil
		}
		var err error
		if dst, err = c.s.node.AppendReply(dst, &batch[i]); err != nil {
			return dst, nil, err
		}
		if len(dst) >= c.s.limits.bytesPerEncode {
			return dst, batch[i+1:], nil
		}
	}
	return dst, nil, nil
}

// close ends the connection; its reader sees the end and tells the node.
func (c *conn) close() {
	c.mu.Lock()
	c.closed = true
	c.box = nil
	c.room.Signal()
	c.mu.Unlock()
	c.nc.Close()
}
