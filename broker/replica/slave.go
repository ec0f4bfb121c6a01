package replica

import (
	"encoding/binary"
	"time"
)

type linkState uint8

const (
	linkIdle    linkState = iota // waiting for an address or for the next attempt
	linkDialing                  // Out.Dial was emitted
	linkUp
)

// link is the slave's side of the connection to its master.
type link struct {
	state     linkState
	addr      string
	conn      ConnID
	retryAt   time.Duration // linkIdle: when to dial; 0 = at once
	lastRead  time.Duration
	lastWrite time.Duration
	reported  Offset // the last report of this connection; -1 before the first
	next      Offset // where the next chunk must begin: what was handed over to be applied so far
}

func (p *Primary) stepSlave(now time.Duration, ev *Event, out *Out) {
	l := &p.link
	switch ev.Kind {
	case KindMaster:
		l.addr = ev.Addr // a standing connection is kept, as RocketMQ does
	case KindConnected:
		l.state, l.conn, l.lastRead, l.lastWrite, l.reported, l.next = linkUp, ev.Conn, now, now, -1, -1
	case KindRefused:
		l.retry(now, &p.cfg)
	case KindClosed:
		if l.state == linkUp && l.conn == ev.Conn {
			l.retry(now, &p.cfg)
		}
	case KindReceived:
		if l.state == linkUp && l.conn == ev.Conn {
			p.receive(now, ev, out)
		}
	}
	p.tend(now, ev, out)
}

// tend does what time or the own log's progress ask for.
func (p *Primary) tend(now time.Duration, ev *Event, out *Out) {
	l := &p.link
	if l.state == linkIdle && l.addr != "" && now >= l.retryAt {
		l.state = linkDialing
		out.Dial = l.addr
		return
	}
	if l.state != linkUp {
		return
	}
	if now-l.lastRead >= p.cfg.Housekeeping {
		out.Notes = append(out.Notes, Note{"master silent for haHousekeepingInterval: connection closed, last report %d, own end %d", l.reported, ev.Log.Written})
		p.hangUp(now, out)
		return
	}
	// The first report is the start request: it names the very end, which may lie within a record whose rest the last
	// connection did not bring. It is an acknowledgement, too, of whole records, so it waits until those are written. It
	// leaves by the heartbeat's timer, as RocketMQ's does: replication starts up to one interval after the connection.
	due, at := now-l.lastWrite >= p.cfg.HeartbeatInterval, max(l.reported, ev.Log.Written)
	if l.reported < 0 {
		due, at = due && ev.Log.Written >= ev.Log.Whole, ev.Log.Appended
	} else {
		due = due || at > l.reported
	}
	if due {
		e := Envelope{Conn: l.conn, Len: reportBytes}
		binary.BigEndian.PutUint64(e.Header[:], uint64(at))
		out.Envelopes = append(out.Envelopes, e)
		l.reported, l.lastWrite = at, now
	}
}

// receive applies every complete chunk. Source: HAClient.dispatchReadRequest (RocketMQ 4.9.8, 5.3.3).
func (p *Primary) receive(now time.Duration, ev *Event, out *Out) {
	l := &p.link
	l.lastRead = now
	if l.next < 0 {
		l.next = ev.Log.Appended
	}
	b := ev.Data
	for len(b) >= headerBytes {
		at := Offset(binary.BigEndian.Uint64(b))
		size := int(int32(binary.BigEndian.Uint32(b[8:])))
		if size < 0 || size > maxChunkBytes || at < 0 {
			out.Notes = append(out.Notes, Note{"master sent a chunk of %d bytes for %d: connection closed", int64(size), at})
			p.hangUp(now, out)
			return
		}
		if l.next != 0 && at != l.next {
			out.Notes = append(out.Notes, Note{"master sends %d, own log ends at %d: connection closed", at, l.next})
			p.hangUp(now, out)
			return
		}
		if len(b) < headerBytes+size {
			break
		}
		if size > 0 {
			out.Apply = append(out.Apply, Chunk{At: at, Data: b[headerBytes : headerBytes+size]})
			l.next = at + Offset(size)
		}
		b = b[headerBytes+size:]
	}
	out.Consumed = len(ev.Data) - len(b)
}

func (p *Primary) hangUp(now time.Duration, out *Out) {
	out.Close = append(out.Close, p.link.conn)
	p.link.retry(now, &p.cfg)
}

func (l *link) retry(now time.Duration, cfg *Config) {
	l.state, l.retryAt = linkIdle, now+cfg.ReconnectInterval
}

func (l *link) wakeAt(now time.Duration, cfg *Config) time.Duration {
	switch {
	case l.state == linkUp:
		at := l.lastRead + cfg.Housekeeping
		if report := l.lastWrite + cfg.HeartbeatInterval; report > now { // else the first report waits for a write to end
			at = min(at, report)
		}
		return at
	case l.state == linkIdle && l.addr != "":
		return max(l.retryAt, 1)
	}
	return 0
}
