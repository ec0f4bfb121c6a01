package sim

import (
	"net/netip"
	"slices"
	"time"

	"holdfast/broker"
	"holdfast/broker/replica"
)

// clientSide owns the broker's ends of clients' connections, peerSide those of its replication port.
type (
	clientSide struct{ p *process }
	peerSide   struct{ p *process }
)

func (c clientSide) of() *process { return c.p }
func (c peerSide) of() *process   { return c.p }

// remote is the address of the other side, as an accepted connection tells it.
func (e *end) remote() string {
	return netip.AddrPortFrom(e.peer.host.addr, uint16(40000+e.id%20000)).String()
}

// acceptClient takes a client's connection.
func (p *process) acceptClient(e *end) bool {
	p.lastConn++
	id := p.lastConn
	e.owner, e.number = clientSide{p}, uint64(id)
	p.conns[id] = e
	addr := e.remote()
	p.when(func() {
		p.intakes[id] = &intake{decoder: p.machine.Intake(addr)}
		p.step(&broker.Event{Kind: broker.KindOpened, Conn: id, Addr: addr})
	})
	return true
}

func (c clientSide) received(e *end, b []byte) {
	p, id := c.p, broker.ConnID(e.number)
	p.when(func() {
		in := p.intakes[id]
		if in == nil || p.conns[id] != e {
			return
		}
		in.buf = append(in.buf, b...)
		requests, used, err := in.decoder.Decode(in.buf)
		if len(requests) > 0 {
			p.step(&broker.Event{Kind: broker.KindReceived, Conn: id, Requests: requests})
			in.decoder.Reset()
		}
		in.buf = append(in.buf[:0], in.buf[used:]...)
		if err != nil {
			p.dropClient(id, e)
		}
	})
}

func (c clientSide) hungUp(e *end) {
	id := broker.ConnID(e.number)
	c.p.when(func() {
		if c.p.conns[id] == e {
			c.p.forgetClient(id)
		}
	})
}

// dropClient closes a client's connection from here.
func (p *process) dropClient(id broker.ConnID, e *end) {
	e.close()
	p.l.after(0, func() {
		p.when(func() {
			if p.conns[id] == e {
				p.forgetClient(id)
			}
		})
	})
}

func (p *process) forgetClient(id broker.ConnID) {
	delete(p.conns, id)
	delete(p.intakes, id)
	p.step(&broker.Event{Kind: broker.KindClosed, Conn: id})
}

// reply sends the answers of a Step: one write for each run of one connection.
func (p *process) reply(replies []broker.Reply) {
	for i := 0; i < len(replies); {
		conn := replies[i].Conn
		b, err := p.scratch[:0], error(nil)
		for ; i < len(replies) && replies[i].Conn == conn; i++ {
			if err == nil {
				b, err = p.machine.AppendReply(b, &replies[i])
			}
		}
		p.scratch = b
		e := p.conns[conn]
		if e == nil {
			continue
		}
		if err != nil {
			p.dropClient(conn, e)
			continue
		}
		e.send(slices.Clone(b))
	}
}

// acceptPeer takes a slave's connection.
func (p *process) acceptPeer(e *end) bool {
	p.joinPeer(e, e.remote(), false)
	return true
}

func (p *process) joinPeer(e *end, addr string, dialed bool) {
	p.lastPeer++
	id := p.lastPeer
	e.owner, e.number = peerSide{p}, uint64(id)
	p.peers[id] = e
	p.when(func() {
		p.step(&broker.Event{Kind: broker.KindReplica, Replica: replica.Event{Kind: replica.KindConnected, Conn: id, Addr: addr, Dialed: dialed}})
	})
}

func (p *process) replicaStep(kind replica.Kind, id replica.ConnID, addr string, data []byte) {
	p.step(&broker.Event{Kind: broker.KindReplica, Replica: replica.Event{Kind: kind, Conn: id, Addr: addr, Data: data}})
}

func (c peerSide) received(e *end, b []byte) {
	p, id := c.p, replica.ConnID(e.number)
	p.when(func() {
		if p.peers[id] != e {
			return
		}
		buf := append(p.streams[id], b...)
		p.replicaStep(replica.KindReceived, id, "", buf)
		if used := p.out.Consumed; !p.ended && used <= len(buf) {
			p.streams[id] = append(buf[:0], buf[used:]...)
		}
	})
}

func (c peerSide) hungUp(e *end) {
	id := replica.ConnID(e.number)
	c.p.when(func() {
		if c.p.peers[id] == e {
			c.p.forgetPeer(id)
		}
	})
}

func (p *process) dropPeer(id replica.ConnID, e *end) {
	e.close()
	p.l.after(0, func() {
		p.when(func() {
			if p.peers[id] == e {
				p.forgetPeer(id)
			}
		})
	})
}

func (p *process) forgetPeer(id replica.ConnID) {
	delete(p.peers, id)
	delete(p.streams, id)
	p.replicaStep(replica.KindClosed, id, "", nil)
}

// followLimit bounds an attempt to reach the master. Source: package server.
const followLimit = 3 * time.Second

// follow connects to the master, as the node asked.
func (p *process) follow(addr string) {
	to, err := netip.ParseAddrPort(addr)
	refused := func() { p.when(func() { p.replicaStep(replica.KindRefused, 0, "", nil) }) }
	if err != nil {
		p.l.after(0, refused)
		return
	}
	over := false
	p.l.after(followLimit, func() {
		if !over {
			over = true
			refused()
		}
	})
	// The owner is set when the connection stands; before that nothing comes.
	p.w.dial(p.host, peerSide{p}, to, func() bool { return over || p.ended }, func(e *end) {
		over = true
		if e == nil {
			refused()
			return
		}
		p.joinPeer(e, addr, true)
	})
}

// ship sends log bytes and reports to peers; a peer whose kernel has taken what was emitted is told so.
func (p *process) ship(transfers []broker.Transfer) {
	var told []replica.ConnID
	for i := range transfers {
		t := &transfers[i]
		e := p.peers[t.Conn]
		if e == nil {
			continue
		}
		b := append([]byte(nil), t.Header[:t.Len]...)
		var err error
		for _, r := range t.Ranges {
			if b, err = r.AppendTo(b); err != nil {
				break
			}
		}
		if err != nil {
			p.dropPeer(t.Conn, e)
			continue
		}
		e.send(b)
		if len(t.Ranges) > 0 && (len(told) == 0 || told[len(told)-1] != t.Conn) {
			told = append(told, t.Conn)
		}
	}
	for _, id := range told {
		p.drained(id)
	}
}

// drained tells the node, as soon as there is room, that all that it emitted for a peer has left.
func (p *process) drained(id replica.ConnID) {
	e := p.peers[id]
	tell := func() {
		p.l.after(p.l.draw(time.Microsecond, 20*time.Microsecond), func() {
			p.when(func() {
				if p.peers[id] == e {
					p.replicaStep(replica.KindDrained, id, "", nil)
				}
			})
		})
	}
	if !e.full(tell) {
		tell()
	}
}
