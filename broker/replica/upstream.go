package replica

import (
	"encoding/binary"
	"time"
)

type upState uint8

const (
	upIdle      upState = iota // waiting for a master, or for the next attempt
	upDialing                  // Out.Dial was emitted
	upGreeting                 // connected and greeted: the welcome is awaited
	upWelcomed                 // the own log is brought to the common point
	upStreaming                // the log follows
)

// upstream is the slave's side of the connection to the master that the controller names.
type upstream struct {
	state     upState
	addr      string
	conn      ConnID
	retryAt   time.Duration
	lastRead  time.Duration
	lastWrite time.Duration
	reported  Offset // the last report; -1 before the first
	next      Offset // where the next bytes must stand
	epochs    Epochs // upWelcomed: the master's
	confirmed Offset // as the master told last; consumers read below
}

// master returns the address to follow, "" when there is none.
func (c *Controlled) master() string {
	if c.leads || c.view.Master == 0 || c.view.Master == c.view.ID {
		return ""
	}
	return c.view.MasterHA
}

// follow does what time or the own log's progress ask of a slave.
func (c *Controlled) follow(now time.Duration, log *Log, out *Out) {
	u := &c.up
	switch {
	case c.work != workNone || c.leads:
	case log.Bad:
		out.Notes = append(out.Notes, Note{"the log holds what is no record from %d on, cut off and copied again; its end was %d", log.Whole, log.Appended})
		u.hangUp(now, &c.cfg, out)
		c.cut(workCut, log.Whole, out)
		return
	case u.state == upIdle && c.master() != "" && now >= u.retryAt:
		u.state, u.addr = upDialing, c.master()
		out.Dial = u.addr
		return
	}
	if u.state < upGreeting {
		return
	}
	if now-u.lastRead >= c.cfg.Housekeeping {
		out.Notes = append(out.Notes, Note{"master silent for haHousekeepingInterval: connection closed, last report %d, own end %d", u.reported, log.Written})
		u.hangUp(now, &c.cfg, out)
		return
	}
	if u.state == upStreaming && (log.Written > u.reported || now-u.lastWrite >= c.cfg.HeartbeatInterval) {
		u.report(now, max(u.reported, log.Written), &c.view, out)
	}
}

// greet tells the master who is there and what its log is.
func (c *Controlled) greet(now time.Duration, ev *Event, out *Out) {
	u := &c.up
	u.state, u.conn, u.lastRead, u.lastWrite, u.reported, u.next = upGreeting, ev.Conn, now, now, -1, -1
	b := binary.BigEndian.AppendUint64(nil, uint64(c.view.ID))
	b = binary.BigEndian.AppendUint64(b, uint64(c.cfg.Incarnation))
	b = binary.BigEndian.AppendUint32(b, uint32(c.view.Epoch))
	b = binary.BigEndian.AppendUint64(b, uint64(ev.Log.Appended))
	b = c.epochs.Upto(ev.Log.Appended).appendTo(b)
	out.Envelopes = append(out.Envelopes, hello(u.conn, b))
}

// listen takes what the master sent.
func (c *Controlled) listen(now time.Duration, ev *Event, out *Out) {
	c.up.lastRead = now
	switch c.up.state {
	case upGreeting:
		c.welcomed(now, ev, out)
	case upStreaming:
		c.receive(now, ev, out)
	default: // between welcome and report the master sends nothing
		out.Notes = append(out.Notes, Note{"master sends before it was asked to: connection closed; %d bytes, own end %d", int64(len(ev.Data)), ev.Log.Appended})
		c.up.hangUp(now, &c.cfg, out)
	}
}

// welcomed takes the common point: what lies behind is cut off, durably, before the master's epochs are, which would
// else claim bytes of another reign; and these before anything is appended, which would else be claimed for an older one.
func (c *Controlled) welcomed(now time.Duration, ev *Event, out *Out) {
	u := &c.up
	body, whole, err := helloBody(ev.Data)
	if err == nil && !whole {
		return
	}
	var epochs Epochs
	if err == nil && len(body) >= welcomeBytes {
		epochs, err = parseEpochs(body[welcomeBytes:])
	}
	if err != nil || len(body) < welcomeBytes || int32(binary.BigEndian.Uint32(body)) != c.view.Epoch || epochs.Last() != c.view.Epoch {
		out.Notes = append(out.Notes, Note{"no welcome of the master of epoch %d: connection closed; own end %d", int64(c.view.Epoch), ev.Log.Appended})
		u.hangUp(now, &c.cfg, out)
		return
	}
	out.Consumed = helloBytes + len(body)
	point := Offset(binary.BigEndian.Uint64(body[4:]))
	u.state, u.next, u.epochs = upWelcomed, point, epochs.clone()
	if point >= ev.Log.Appended {
		c.adopt(out)
		return
	}
	out.Notes = append(out.Notes, Note{"own log ends at %d, what it shares with the master's at %d: the rest is cut off", ev.Log.Appended, point})
	c.cut(workFollowCut, min(point, ev.Log.Whole), out)
}

// adopt makes the epochs of the log the master's: below the common point they are the same.
func (c *Controlled) adopt(out *Out) {
	c.epochs = c.up.epochs
	c.save(workFollow, out)
}

// ready tells the master to begin. What the log has beyond the written mark belongs to the next report.
func (u *upstream) ready(now time.Duration, written Offset, v *View, out *Out) {
	u.state = upStreaming
	u.report(now, min(written, u.next), v, out)
}

func (u *upstream) report(now time.Duration, written Offset, v *View, out *Out) {
	e := Envelope{Conn: u.conn, Len: trackedBytes}
	binary.BigEndian.PutUint32(e.Header[:], messageTransfer)
	binary.BigEndian.PutUint32(e.Header[4:], uint32(v.Epoch))
	binary.BigEndian.PutUint64(e.Header[8:], uint64(v.ID))
	binary.BigEndian.PutUint64(e.Header[16:], uint64(written))
	out.Envelopes = append(out.Envelopes, e)
	u.reported, u.lastWrite = written, now
}

// receive applies every complete transfer.
func (c *Controlled) receive(now time.Duration, ev *Event, out *Out) {
	u := &c.up
	b := ev.Data
	for len(b) >= transferBytes {
		kind, size := binary.BigEndian.Uint32(b), int(int32(binary.BigEndian.Uint32(b[4:])))
		at, epoch := Offset(binary.BigEndian.Uint64(b[8:])), int32(binary.BigEndian.Uint32(b[16:]))
		if kind != messageTransfer || size < 0 || size > maxChunkBytes || at != u.next || epoch != c.view.Epoch {
			out.Notes = append(out.Notes, Note{"master sends %d, own log ends at %d, or it is of another epoch: connection closed", at, u.next})
			u.hangUp(now, &c.cfg, out)
			break
		}
		if len(b) < transferBytes+size {
			break
		}
		u.confirmed = max(u.confirmed, Offset(binary.BigEndian.Uint64(b[20:])))
		if size > 0 {
			out.Apply = append(out.Apply, Chunk{At: at, Data: b[transferBytes : transferBytes+size]})
			u.next = at + Offset(size)
		}
		b = b[transferBytes+size:]
	}
	out.Consumed = len(ev.Data) - len(b)
}

// hangUp closes the connection, if there is one.
func (u *upstream) hangUp(now time.Duration, cfg *ControlledConfig, out *Out) {
	if u.state >= upGreeting {
		out.Close = append(out.Close, u.conn)
	}
	if u.state != upDialing { // its outcome is still to come
		u.retry(now, cfg)
	}
}

func (u *upstream) retry(now time.Duration, cfg *ControlledConfig) {
	u.state, u.retryAt, u.epochs = upIdle, now+cfg.ReconnectInterval, nil
}
