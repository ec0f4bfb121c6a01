package replica

import (
	"encoding/binary"
	"fmt"
	"time"

	"holdfast/broker/durability"
)

// ControlledConfig sets up a Controlled. Its Config's Role and Guard are not used.
type ControlledConfig struct {
	Config
	Incarnation int64 // of this process: distinct from that of every earlier one
	Joins       bool  // slaves join the SyncStateSet: acknowledgements wait for them (SYNC_MASTER)
	InSync      int   // copies that an acknowledgement needs, the master's included; at least 1
	// MaxLag is for how long a member may not have caught up before it is taken out of the SyncStateSet; default 15 s
	// (haMaxTimeSlaveNotCatchup). One without a connection is taken out after twice ReconnectInterval.
	MaxLag time.Duration
}

// Controlled is replication under a controller: what classic HA lacks. A master's reign is an epoch, which the controller
// gives and which is durable before its first byte; two logs are compared by their epochs before anything is copied, and
// the slave cuts off what the master does not have. Acknowledgements are counted once a replica, for the current epoch
// only, and the SyncStateSet, from which the controller elects, never has a member that the master does not wait for: it
// waits for one that joins before it asks, and stops waiting for one that leaves when the controller has agreed.
// Source: AutoSwitchHAService, AutoSwitchHAConnection, AutoSwitchHAClient (RocketMQ 5.3.3).
type Controlled struct {
	cfg    ControlledConfig
	view   View   // the newest one
	epochs Epochs // of the own log
	leads  bool   // elected in view.Epoch
	work   work
	hold   Offset // where the cut goes

	up    upstream // slave: the connection to the master
	reign          // master
}

// work is what the disk does for this node; until it is done nothing else goes on.
type work uint8

const (
	workNone      work = iota
	workCut            // the log is cut, and nobody waits for more
	workLeadCut        // elected: the front of a record is cut off
	workLead           // elected: the epoch is being saved
	workFollowCut      // welcomed: the log is cut to the common point
	workFollow         // welcomed: the master's epochs are being saved
)

// NewControlled returns a state machine that follows nobody yet. epochs are those of the log, as they were saved.
func NewControlled(cfg ControlledConfig, epochs Epochs) (*Controlled, error) {
	if cfg.ReconnectInterval == 0 {
		cfg.ReconnectInterval = 500 * time.Millisecond
	}
	set(&cfg.MaxLag, 15*time.Second)
	cfg.defaults()
	if cfg.BatchBytes < 1 || cfg.BatchBytes > maxChunkBytes {
		return nil, fmt.Errorf("replica: haTransferBatchSize %d is not in [1, %d]", cfg.BatchBytes, maxChunkBytes)
	}
	if cfg.InSync < 1 {
		return nil, fmt.Errorf("replica: inSyncReplicas %d is below 1", cfg.InSync)
	}
	return &Controlled{cfg: cfg, epochs: epochs}, nil
}

// Role returns master from the moment at which the epoch is durable until another view.
func (c *Controlled) Role() Role {
	if c.leads && c.work != workLeadCut && c.work != workLead {
		return RoleMaster
	}
	return RoleSlave
}

// Epoch returns the epoch that is led or followed.
func (c *Controlled) Epoch() int32 { return c.view.Epoch }

// Epochs returns those of the own log.
func (c *Controlled) Epochs() Epochs { return c.epochs }

// View returns what the controller said last.
func (c *Controlled) View() *View { return &c.view }

// Reached returns how far the own log is: its newest epoch and its end, by which logs are compared in an election.
func (c *Controlled) Reached(log *Log) (epoch int32, end Offset) {
	return c.epochs.Upto(log.Whole).Last(), log.Whole
}

// Marks fills in the acknowledgements of the SyncStateSet; of a slave what its master has confirmed.
func (c *Controlled) Marks(m *durability.Marks) {
	m.Pushed = 0
	if c.Role() == RoleMaster {
		m.Replicas, m.Members, m.Connections, m.Confirmed = c.acks, c.agreed(), len(c.followers), c.confirmed
		return
	}
	m.Replicas, m.Members, m.Connections, m.Confirmed = nil, 0, 0, c.up.confirmed
}

// Peers appends the connected peers to dst.
func (c *Controlled) Peers(dst []Peer) []Peer {
	if u := &c.up; u.state == upStreaming {
		dst = append(dst, Peer{Conn: u.conn, Addr: u.addr, Acked: u.reported, Next: -1, LastRead: u.lastRead, LastSent: u.lastWrite})
	}
	for _, f := range c.followers {
		if f.id != 0 {
			dst = append(dst, Peer{Conn: f.conn, Addr: f.addr, Acked: f.acked, Next: f.next, LastRead: f.lastRead, LastSent: f.lastWrite})
		}
	}
	return dst
}

// Step takes one event and adds what follows from it to out.
func (c *Controlled) Step(now time.Duration, ev *Event, out *Out) {
	switch ev.Kind {
	case KindView:
		c.look(now, ev, out)
	case KindTruncated, KindSaved:
		c.worked(now, ev, out)
	case KindConnected:
		c.connected(now, ev, out)
	case KindRefused:
		c.up.retry(now, &c.cfg)
	case KindClosed:
		c.closed(now, ev)
	case KindReceived:
		if f := c.follower(ev.Conn); f != nil {
			c.hear(now, f, ev, out)
		} else if c.up.conn == ev.Conn && c.up.state >= upGreeting {
			c.listen(now, ev, out)
		}
	case KindDrained:
		if f := c.follower(ev.Conn); f != nil {
			f.inFlight = 0
		}
	case KindRefusedSet:
		c.asking, c.askAfter = false, now+askPause
	}
	if c.Role() == RoleMaster {
		c.rule(now, &ev.Log, out)
	} else {
		c.follow(now, &ev.Log, out)
	}
	out.WakeAt = c.wakeAt(now)
}

// look takes what the controller says. Views may arrive in any order: only a newer one counts.
func (c *Controlled) look(now time.Duration, ev *Event, out *Out) {
	v := &ev.View
	if c.view.ID == 0 {
		c.view.ID = v.ID
	}
	if !v.newer(&c.view) {
		return
	}
	elected := v.Master == v.ID && v.ID != 0 && v.Epoch > c.view.Epoch
	leads := elected || c.leads && v.Epoch == c.view.Epoch && v.Master == v.ID
	if c.leads && (!leads || elected) {
		c.abdicate(out)
	}
	if v.Epoch != c.view.Epoch || v.Master != c.view.Master {
		c.up.hangUp(now, &c.cfg, out)
		c.up.retryAt = now
	}
	c.view, c.leads = *v, leads
	switch {
	case elected && (c.work == workNone || c.work == workFollow || c.work == workLead):
		c.lead(now, &ev.Log, out)
	case leads && !elected:
		c.agree(now)
	}
}

// lead begins a reign: the front of a record that never came whole is cut off, then the epoch is made durable.
func (c *Controlled) lead(now time.Duration, log *Log, out *Out) {
	if log.Appended != log.Whole || log.Bad {
		c.cut(workLeadCut, log.Whole, out)
		return
	}
	c.epochs = append(c.epochs.Upto(log.Whole).clone(), Epoch{c.view.Epoch, log.Whole})
	c.save(workLead, out)
	c.begin(now, log.Whole)
}

func (c *Controlled) cut(w work, to Offset, out *Out) {
	c.work, c.hold = w, to
	out.Cut, out.Truncate = true, to
}

func (c *Controlled) save(w work, out *Out) {
	c.work = w
	out.Save, out.Epochs = true, c.epochs
}

// worked goes on when the disk has done what was asked of it. What was asked may be out of date by then.
func (c *Controlled) worked(now time.Duration, ev *Event, out *Out) {
	done := c.work
	if ev.Kind == KindTruncated {
		c.epochs = c.epochs.Upto(c.hold)
		c.up.confirmed = min(c.up.confirmed, c.hold)
	}
	if cutting := done == workLeadCut || done == workFollowCut || done == workCut; cutting != (ev.Kind == KindTruncated) {
		return // a save that nobody waits for
	}
	c.work = workNone
	switch {
	case c.leads && done != workLead:
		c.lead(now, &ev.Log, out)
	case c.leads:
		out.Notes = append(out.Notes, Note{"elected master of epoch %d, which begins at %d", int64(c.view.Epoch), c.confirmed})
	case done == workFollowCut && c.up.state == upWelcomed:
		c.adopt(out)
	case done == workFollow && c.up.state == upWelcomed:
		c.up.ready(now, ev.Log.Written, &c.view, out)
	}
}

func (c *Controlled) connected(now time.Duration, ev *Event, out *Out) {
	switch {
	case ev.Dialed && c.up.state == upDialing && c.up.addr == c.view.MasterHA && !c.leads && c.work == workNone:
		c.greet(now, ev, out)
	case ev.Dialed:
		c.up.retry(now, &c.cfg)
		out.Close = append(out.Close, ev.Conn)
	case c.Role() == RoleMaster:
		c.followers = append(c.followers, &follower{conn: ev.Conn, addr: ev.Addr, acked: -1, next: -1, lastRead: now, lastWrite: now})
	default:
		out.Close = append(out.Close, ev.Conn)
	}
}

func (c *Controlled) closed(now time.Duration, ev *Event) {
	c.drop(ev.Conn)
	if c.up.conn == ev.Conn && c.up.state >= upGreeting {
		c.up.retry(now, &c.cfg)
	}
}

func (c *Controlled) wakeAt(now time.Duration) time.Duration {
	if c.Role() == RoleMaster {
		return c.ruleAt(now)
	}
	u := &c.up
	switch {
	case u.state >= upGreeting:
		at := u.lastRead + c.cfg.Housekeeping
		if report := u.lastWrite + c.cfg.HeartbeatInterval; u.state == upStreaming && report > now {
			at = min(at, report)
		}
		return at
	case u.state == upIdle && c.work == workNone && c.master() != "":
		return max(u.retryAt, 1)
	}
	return 0
}

func (e Epochs) clone() Epochs { return append(Epochs(nil), e...) }

// Messages, all integers big endian. A slave begins with a greeting and gets a welcome, or is hung up on; its first
// report says that it has cut its log to the common point, and from there the log follows.
//
//	greeting  kind 1 (4), bytes of the body (4); body: id (8), incarnation (8), epoch (4), log end (8), epochs
//	welcome   kind 1 (4), bytes of the body (4); body: epoch (4), common point (8), epochs
//	report    kind 2 (4), epoch (4), id (8), log end written (8)
//	transfer  kind 2 (4), bytes of the log (4), where they stand (8), epoch (4), confirmed (8); bytes of the log
//
// Source: AutoSwitchHAClient, AutoSwitchHAConnection (RocketMQ 5.3.3), whose slave compares the logs and tells no epochs.
const (
	messageHello    = 1
	messageTransfer = 2

	helloBytes     = 8
	greetingBytes  = 28 // of the body, before the epochs
	welcomeBytes   = 12 // of the body, before the epochs
	trackedBytes   = 24 // a report
	transferBytes  = HeaderBytes
	helloBodyBytes = greetingBytes + 4 + 12*epochsMax
)

// helloBody returns the body of a greeting or welcome at the front of b; whole is false as long as bytes are missing.
func helloBody(b []byte) (body []byte, whole bool, err error) {
	if len(b) < helloBytes {
		return nil, false, nil
	}
	size := binary.BigEndian.Uint32(b[4:])
	if kind := binary.BigEndian.Uint32(b); kind != messageHello || size > helloBodyBytes {
		return nil, false, fmt.Errorf("replica: message %d of %d bytes where a greeting is due", kind, size)
	}
	if len(b)-helloBytes < int(size) {
		return nil, false, nil
	}
	return b[helloBytes : helloBytes+size], true, nil
}

func hello(conn ConnID, body []byte) Envelope {
	e := Envelope{Conn: conn, Len: helloBytes, Body: body}
	binary.BigEndian.PutUint32(e.Header[:], messageHello)
	binary.BigEndian.PutUint32(e.Header[4:], uint32(len(body)))
	return e
}
