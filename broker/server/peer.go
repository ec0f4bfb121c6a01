package server

import (
	"context"
	"net"
	"sync"
	"time"

	"holdfast/broker"
	"holdfast/broker/replica"
)

// peer is one connection of the replication port: a goroutine that reads and one that writes.
type peer struct {
	id   replica.ConnID
	s    *Server
	nc   net.Conn
	try  tryWriter
	more chan struct{} // the place of the shipper goes to the writer
	gone chan struct{} // closed with the connection

	mu       sync.Mutex // guards the outbox
	box      []broker.Transfer
	spare    []broker.Transfer
	shipping bool // someone ships the box
	closed   bool

	// The shipper's own: whoever has the place.
	batch []broker.Transfer // taken and not begun
	rest  []byte            // scratch
	left  []byte            // what tryShip could not write
	bulk  bool              // there were bytes of the log in it
	vec   net.Buffers
}

// peerTable finds the connections of the replication port; there are few.
type peerTable struct {
	list []*peer
	last replica.ConnID
}

func (t *peerTable) get(id replica.ConnID) *peer {
	for _, p := range t.list {
		if p.id == id {
			return p
		}
	}
	return nil
}

func (t *peerTable) remove(id replica.ConnID) {
	for i, p := range t.list {
		if p.id == id {
			t.list = append(t.list[:i], t.list[i+1:]...)
			return
		}
	}
}

func (t *peerTable) all() []*peer { return append([]*peer(nil), t.list...) }

// follow connects to the master, as the node asked, and serves the connection until its end.
func (s *Server) follow(addr string) {
	ctx, cancel := context.WithTimeout(s.calls.ctx, dialTimeout)
	nc, err := s.cfg.Dial(ctx, addr)
	cancel()
	if err != nil {
		s.log.Debug("master not reached", "addr", addr, "err", err)
		s.newStepper().step(&broker.Event{Kind: broker.KindReplica, Replica: replica.Event{Kind: replica.KindRefused}})
		return
	}
	s.servePeer(nc, addr, nil)
}

// servePeer serves a connection to its end. A slave that connected has sent its first bytes; a master that was dialed has not.
func (s *Server) servePeer(nc net.Conn, addr string, first []byte) {
	dialed := first == nil
	p := &peer{s: s, nc: nc, try: tryWriterOf(nc), more: make(chan struct{}, 1), gone: make(chan struct{})}
	s.mu.Lock()
	s.peers.last++
	p.id = s.peers.last
	ok := !s.closing && (dialed || len(s.peers.list) < s.limits.Slaves)
	if ok {
		s.peers.list = append(s.peers.list, p)
	}
	s.mu.Unlock()
	if !ok {
		s.refused(nc, errPlaces)
		return
	}
	s.spawn(p.write)
	st := s.newStepper()
	connected := p.event(replica.KindConnected, addr, nil)
	connected.Replica.Dialed = dialed
	st.step(connected)
	p.read(st, first)
	p.close()
	s.mu.Lock()
	s.peers.remove(p.id)
	s.mu.Unlock()
	st.step(p.event(replica.KindClosed, "", nil))
}

func (p *peer) event(kind replica.Kind, addr string, data []byte) *broker.Event {
	return &broker.Event{Kind: broker.KindReplica, Replica: replica.Event{Kind: kind, Conn: p.id, Addr: addr, Data: data}}
}

// Sizes of a peer's read buffer; it must hold the largest chunk with its header.
const (
	peerBytesMin = 128 << 10
	peerBytesMax = 8 << 20
)

// read hands whole bursts to the node, which says how much of them it used: first, then what comes. A slave is one when the node has used
// something: until then its time runs.
func (p *peer) read(st *stepper, first []byte) {
	buf := make([]byte, peerBytesMin)
	filled, proving := copy(buf, first), first != nil
	ev := p.event(replica.KindReceived, "", nil)
	for n, err := filled, error(nil); ; {
		if n > 0 {
			ev.Replica.Data = buf[:filled]
			used, sync := st.stepReceived(ev)
			if proving && used > 0 {
				proving = false
				p.nc.SetReadDeadline(time.Time{})
			}
			if sync != nil {
				p.s.disk.sync <- sync // a slave answers for its page cache: it goes on reading
			}
			if filled = copy(buf, buf[used:filled]); filled == len(buf) {
				if len(buf) >= peerBytesMax {
					return
				}
				buf = append(buf, make([]byte, len(buf))...)
			}
		}
		if err != nil {
			return
		}
		n, err = p.nc.Read(buf[filled:])
		filled += n
	}
}

// post appends a transfer to the outbox and reports whether the caller has to ship it. It is called under the server's
// lock, which gives the outbox its order.
func (p *peer) post(t *broker.Transfer) (ship bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.box = append(p.box, *t)
	ship = !p.shipping
	p.shipping = true
	return ship
}

// wake hands the place of the shipper over to the writer.
func (p *peer) wake() {
	select {
	case p.more <- struct{}{}:
	case <-p.gone:
	}
}

// take returns what waits in the outbox, or gives up the shipper's place when there is nothing.
func (p *peer) take() []broker.Transfer {
	p.mu.Lock()
	defer p.mu.Unlock()
	batch := p.box
	if len(batch) == 0 {
		p.shipping = false
		return nil
	}
	p.box, p.spare = p.spare[:0], nil
	return batch
}

func (p *peer) giveBack(batch []broker.Transfer) {
	clear(batch)
	p.mu.Lock()
	p.spare = batch[:0]
	p.mu.Unlock()
}

// tryBytesMax is how much of the log a goroutine ships that has other things to do.
const tryBytesMax = 256 << 10

// tryShip writes one batch without waiting, if it is small and in memory. It reports whether log bytes left. The rest, if
// there is one, is the writer's.
func (p *peer) tryShip() (drained bool) {
	batch := p.take()
	if batch == nil {
		return false
	}
	size := 0
	for i := range batch {
		for _, r := range batch[i].Ranges {
			if size += r.Len; r.Mem == nil || size > tryBytesMax {
				p.batch = batch
				p.wake()
				return false
			}
		}
	}
	p.rest = p.rest[:0]
	for i := range batch {
		t := &batch[i]
		p.rest = append(p.rest, t.Header[:t.Len]...)
		for _, r := range t.Ranges {
			p.rest = append(p.rest, r.Mem...)
		}
	}
	p.giveBack(batch)
	n, err := p.try.try(p.rest)
	if err != nil {
		p.close()
		return false
	}
	if n < len(p.rest) {
		p.left, p.bulk = p.rest[n:], size > 0
		p.wake()
		return false
	}
	p.mu.Lock()
	more := len(p.box) > 0
	p.shipping = more
	p.mu.Unlock()
	if more {
		p.wake()
	}
	return size > 0
}

// write is the peer's writer. Between two wakes it is the only shipper; when all is handed to the kernel the node learns it
// and has the next batch ready.
func (p *peer) write() {
	st := p.s.newStepper()
	st.handOff = true
	for {
		select {
		case <-p.more:
		case <-p.gone:
			return
		}
		if err := p.writeAll(st); err != nil {
			p.s.log.Debug("replication ended", "peer", p.nc.RemoteAddr(), "err", err)
			p.close()
			return
		}
	}
}

// writeAll writes what tryShip left over and then the outbox until it is empty. Each write has Limits.WriteTime: a peer that reports and
// never reads lives for the replicator, and would keep its place and what is for it for good.
func (p *peer) writeAll(st *stepper) error {
	if len(p.left) > 0 {
		p.nc.SetWriteDeadline(time.Now().Add(p.s.limits.WriteTime))
		_, err := p.nc.Write(p.left)
		p.nc.SetWriteDeadline(time.Time{})
		p.left = nil
		if err != nil {
			return err
		}
		if p.bulk {
			st.step(p.event(replica.KindDrained, "", nil))
		}
	}
	for {
		batch := p.batch
		if p.batch = nil; batch == nil {
			batch = p.take()
		}
		if batch == nil {
			return nil
		}
		bulk, err := p.writeBatch(batch)
		p.giveBack(batch)
		if err != nil {
			return err
		}
		if bulk {
			st.step(p.event(replica.KindDrained, "", nil))
		}
	}
}

// writeBatch writes a batch, vectored, straight from the log's memory. What is in files is read into the scratch first.
func (p *peer) writeBatch(batch []broker.Transfer) (bulk bool, err error) {
	p.vec, p.rest = p.vec[:0], p.rest[:0]
	for i := range batch {
		t := &batch[i]
		p.vec = append(p.vec, t.Header[:t.Len])
		for _, r := range t.Ranges {
			bulk = true
			b := r.Mem
			if b == nil {
				at := len(p.rest)
				if p.rest, err = r.AppendTo(p.rest); err != nil {
					return bulk, err
				}
				b = p.rest[at:]
			}
			p.vec = append(p.vec, b)
		}
		if len(p.rest) >= scratchBytes {
			if err = p.writeVec(); err != nil {
				return bulk, err
			}
		}
	}
	return bulk, p.writeVec()
}

// scratchBytes is how much is read from files before it is written.
const scratchBytes = 128 << 10

// writeVec writes what was gathered.
func (p *peer) writeVec() error {
	all := p.vec
	p.nc.SetWriteDeadline(time.Now().Add(p.s.limits.WriteTime))
	_, err := all.WriteTo(p.nc)
	p.nc.SetWriteDeadline(time.Time{}) // tryShip waits for nothing
	clear(p.vec)
	p.vec, p.rest = p.vec[:0], p.rest[:0]
	return err
}

func (p *peer) close() {
	p.mu.Lock()
	again := p.closed
	p.closed = true
	p.mu.Unlock()
	if !again {
		close(p.gone)
		p.nc.Close()
	}
}
