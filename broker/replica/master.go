package replica

import (
	"encoding/binary"
	"time"

	"holdfast/broker/durability"
)

// slaveConn is the master's side of one slave's connection.
type slaveConn struct {
	conn      ConnID
	addr      string
	acked     Offset        // the last report; -1 before the first
	next      Offset        // where the next chunk begins; -1 before the first report
	lost      bool          // next is below the begin of the log, and that was said
	lastRead  time.Duration // of a whole report
	lastWrite time.Duration
	inFlight  int // bytes emitted since the last drain

	idleUntil time.Duration // nothing was there to send: the sender does not look again before
	asleep    bool          // and since then there is
}

func (p *Primary) stepMaster(now time.Duration, ev *Event, out *Out) {
	switch ev.Kind {
	case KindConnected:
		p.slaves = append(p.slaves, &slaveConn{conn: ev.Conn, addr: ev.Addr, acked: -1, next: -1, lastRead: now, lastWrite: now})
	case KindClosed:
		p.drop(ev.Conn)
	case KindReceived:
		if s := p.slave(ev.Conn); s != nil {
			p.report(now, s, ev, out)
		}
	case KindDrained:
		if s := p.slave(ev.Conn); s != nil {
			s.inFlight = 0
		}
	case KindWoke:
		p.housekeep(now, out)
	}
	for _, s := range p.slaves {
		p.transfer(now, s, &ev.Log, out)
	}
	p.refreshAcks()
}

// report takes the slave's reports: only the last complete one counts, reports are cumulative.
// Source: HAConnection.ReadSocketService.processReadEvent (RocketMQ 4.9.8, 5.3.3).
func (p *Primary) report(now time.Duration, s *slaveConn, ev *Event, out *Out) {
	whole := len(ev.Data) - len(ev.Data)%reportBytes
	out.Consumed = whole
	if whole == 0 {
		return // it is silent, though bytes may trickle
	}
	s.lastRead = now
	reported := Offset(binary.BigEndian.Uint64(ev.Data[whole-reportBytes:]))
	beyond := reported > ev.Log.Written
	first := s.next < 0
	if reported < 0 || beyond && (p.cfg.Guard == GuardAll || p.cfg.Guard == GuardLater && !first) {
		out.Notes = append(out.Notes, Note{"slave reports %d beyond the own log end %d: connection closed", reported, ev.Log.Written})
		out.Close = append(out.Close, s.conn)
		p.drop(s.conn)
		return
	}
	if beyond && first {
		out.Notes = append(out.Notes, Note{"slave reports %d beyond the own log end %d: believed, as RocketMQ does", reported, ev.Log.Written})
	}
	s.acked = reported
	if first {
		s.next = start(reported, &ev.Log)
	}
	if s.next < ev.Log.Min && !s.lost {
		s.lost = true
		out.Notes = append(out.Notes, Note{"a slave ends at %d, below the begin of this log %d: it gets nothing until it starts with an empty store", s.next, ev.Log.Min})
	}
	p.pushed = max(p.pushed, reported)
}

// start returns where a slave that reported begins: a fresh slave at the master's last file, so that it never gets older
// ones. Source: HAConnection.WriteSocketService (RocketMQ 4.9.8), issue 3661.
func start(reported Offset, log *Log) Offset {
	if reported == 0 {
		return max(0, log.Written-log.Written%log.FileBytes)
	}
	return reported
}

// transfer emits what s may be sent now. A slave whose position the log does not have, below its oldest file or beyond its
// end, gets heartbeats only.
func (p *Primary) transfer(now time.Duration, s *slaveConn, log *Log, out *Out) {
	if s.next < 0 || s.inFlight > 0 {
		return // not started, or what was emitted has not left yet: what gathers meanwhile is the next batch
	}
	s.asleep = s.next != log.Written && now < s.idleUntil
	switch {
	case s.asleep:
		return
	case s.next == log.Written && now >= s.idleUntil:
		s.idleUntil = now + p.cfg.IdleWait
	}
	for s.next >= log.Min && s.next < log.Written && s.inFlight < p.cfg.WindowBytes {
		fileEnd := s.next - s.next%log.FileBytes + log.FileBytes
		size := int(min(int64(p.cfg.BatchBytes), log.Written-s.next, fileEnd-s.next))
		e := Envelope{Conn: s.conn}
		putHeader(&e, s.next, size)
		out.Envelopes = append(out.Envelopes, e)
		s.next += Offset(size)
		s.inFlight += headerBytes + size
		s.lastWrite = now
	}
}

// housekeep gives up silent slaves and sends heartbeats to those to whom nothing was sent.
func (p *Primary) housekeep(now time.Duration, out *Out) {
	kept := p.slaves[:0]
	for _, s := range p.slaves {
		if now-s.lastRead >= p.cfg.Housekeeping {
			out.Close = append(out.Close, s.conn)
			out.Notes = append(out.Notes, Note{"slave silent for haHousekeepingInterval: connection closed, last report %d, own end %d", s.acked, s.next})
			continue
		}
		kept = append(kept, s)
		if s.next >= 0 && now-s.lastWrite >= p.cfg.HeartbeatInterval {
			e := Envelope{Conn: s.conn}
			putHeader(&e, s.next, 0)
			out.Envelopes = append(out.Envelopes, e)
			s.lastWrite = now
		}
	}
	clear(p.slaves[len(kept):])
	p.slaves = kept
}

func (p *Primary) slave(c ConnID) *slaveConn {
	for _, s := range p.slaves {
		if s.conn == c {
			return s
		}
	}
	return nil
}

func (p *Primary) drop(c ConnID) {
	for i, s := range p.slaves {
		if s.conn == c {
			p.slaves = append(p.slaves[:i], p.slaves[i+1:]...)
			return
		}
	}
}

func (p *Primary) refreshAcks() {
	p.acks = p.acks[:0]
	for _, s := range p.slaves {
		p.acks = append(p.acks, durability.Replica{ID: int32(s.conn), Acked: s.acked})
	}
}

func (p *Primary) masterWakeAt() time.Duration {
	at := time.Duration(0)
	for _, s := range p.slaves {
		at = earlier(at, s.lastRead+p.cfg.Housekeeping)
		if s.next >= 0 {
			at = earlier(at, s.lastWrite+p.cfg.HeartbeatInterval)
		}
		if s.asleep {
			at = earlier(at, s.idleUntil)
		}
	}
	return at
}

// earlier returns the earlier of two deadlines, 0 being none.
func earlier(a, b time.Duration) time.Duration {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}
