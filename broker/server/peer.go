package server

import (
	"context"
	"net"
	"sync"

	"holdfast/broker"
	"holdfast/broker/replica"
)

// peer is one connection of the replication port: a goroutine that reads and one that writes.
type peer struct {
	id   replica.ConnID
	s    *Server
	nc   net.Conn
	more chan struct{} // the writer has something to do; closed never

	mu     sync.Mutex
	box    []broker.Transfer
	spare  []broker.Transfer
	closed bool
	gone   chan struct{}
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

// serveSlave serves a slave that connected.
func (s *Server) serveSlave(nc net.Conn) { s.servePeer(nc, nc.RemoteAddr().String()) }

// follow connects to the master, as the node asked, and serves the connection until its end.
func (s *Server) follow(addr string) {
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	nc, err := s.cfg.Dial(ctx, addr)
	cancel()
	if err != nil {
		s.log.Debug("master not reached", "addr", addr, "err", err)
		s.newStepper().step(&broker.Event{Kind: broker.KindReplica, Replica: replica.Event{Kind: replica.KindRefused}})
		return
	}
	s.servePeer(nc, addr)
}

func (s *Server) servePeer(nc net.Conn, addr string) {
	p := &peer{s: s, nc: nc, more: make(chan struct{}, 1), gone: make(chan struct{})}
	s.mu.Lock()
	s.peers.last++
	p.id = s.peers.last
	ok := !s.closing
	if ok {
		s.peers.list = append(s.peers.list, p)
	}
	s.mu.Unlock()
	if !ok {
		nc.Close()
		return
	}
	s.spawn(p.write)
	st := s.newStepper()
	st.step(p.event(replica.KindConnected, addr, nil))
	p.read(st)
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

// read hands whole bursts to the node, which says how much of them it used.
func (p *peer) read(st *stepper) {
	buf := make([]byte, peerBytesMin)
	filled := 0
	ev := p.event(replica.KindReceived, "", nil)
	for {
		n, err := p.nc.Read(buf[filled:])
		filled += n
		if n > 0 {
			ev.Replica.Data = buf[:filled]
			used := st.stepReplica(ev)
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
	}
}

// stepReplica is stepWriting that returns how many bytes of the event were used.
func (st *stepper) stepReplica(ev *broker.Event) int {
	st.decide(ev)
	used, job := st.consumed, st.write
	st.carryOut()
	if job != nil {
		st.step(&broker.Event{Kind: broker.KindWritten, Err: job.Run()})
	}
	return used
}

// post appends a transfer to the outbox and reports whether its writer must be woken.
func (p *peer) post(t *broker.Transfer) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.box = append(p.box, *t)
	return len(p.box) == 1
}

func (p *peer) wake() {
	select {
	case p.more <- struct{}{}:
	default:
	}
}

// write is the peer's writer: one vectored write a batch, straight from the log's memory. When all is handed to the kernel
// the node learns it, and has the next batch ready.
func (p *peer) write() {
	st := p.s.newStepper()
	var vec net.Buffers
	for {
		select {
		case <-p.more:
		case <-p.gone:
			return
		}
		p.mu.Lock()
		batch := p.box
		p.box = p.spare[:0]
		p.spare = nil
		p.mu.Unlock()
		if len(batch) == 0 {
			continue
		}
		vec = vec[:0]
		bulk := false
		for i := range batch {
			t := &batch[i]
			vec = append(vec, t.Header[:t.Len])
			for _, r := range t.Ranges {
				bulk = true
				b, err := bytesOf(r)
				if err != nil {
					p.s.log.Error("read of the commit log for a slave", "err", err)
					p.close()
					return
				}
				vec = append(vec, b)
			}
		}
		all := vec
		if _, err := all.WriteTo(p.nc); err != nil {
			p.close()
			return
		}
		clear(batch)
		p.mu.Lock()
		p.spare = batch[:0]
		p.mu.Unlock()
		if bulk {
			st.step(p.event(replica.KindDrained, "", nil))
		}
	}
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
