package replica

import (
	"encoding/binary"
	"slices"
	"time"

	"holdfast/broker/durability"
)

const (
	// confirmPause is how long a master without bytes to send waits before it tells what is confirmed: only slaves that are
	// read from need it.
	confirmPause = 20 * time.Millisecond
	// askPause is the time before the controller is asked again that refused, or did not answer.
	askPause = 200 * time.Millisecond
)

// reign is the master's side.
type reign struct {
	followers []*follower
	terms     []term               // of the members of the SyncStateSet, and of those that are counted like them
	acks      []durability.Replica // of the same, by id
	confirmed Offset               // every member has it, and consumers may read it
	asking    bool                 // a SetRequest has not been answered
	askAfter  time.Duration
}

// follower is one connection of a slave.
type follower struct {
	conn        ConnID
	addr        string
	id          int64 // 0 before the greeting
	incarnation int64
	acked       Offset        // its log end in this epoch; -1 before the first report
	next        Offset        // where the next bytes stand
	told        Offset        // what it knows to be confirmed
	lastRead    time.Duration // of a whole greeting or report
	lastWrite   time.Duration
	inFlight    int // bytes emitted since the last drain
}

// term is what the master knows of a member of the SyncStateSet.
type term struct {
	id     int64
	seen   time.Duration // when it was connected last
	caught time.Duration // when it had all that there was last
	goal   Offset        // the end of the log at some time ...
	goalAt time.Duration // ... and when: caught moves there when this is acknowledged
	frozen Offset        // it is about to leave: acknowledgements beyond do not count; -1: they do
}

// begin starts a reign whose first byte will stand at start. What lies below may have been acknowledged to producers.
func (c *Controlled) begin(now time.Duration, start Offset) {
	c.reign = reign{confirmed: start}
	c.agree(now)
}

// abdicate ends the reign: nothing of it may be acknowledged any more.
func (c *Controlled) abdicate(out *Out) {
	for _, f := range c.followers {
		out.Close = append(out.Close, f.conn)
	}
	c.up.confirmed = c.confirmed
	c.reign = reign{}
}

// agree takes over the SyncStateSet of the view: a request of an older version is done, or will be refused.
func (c *Controlled) agree(now time.Duration) {
	old := c.terms
	c.terms = nil
	for _, m := range c.view.Set {
		if m.ID != c.view.ID {
			c.count(now, m.ID)
		}
	}
	for i := range c.terms {
		if t := termOf(old, c.terms[i].id); t != nil {
			c.terms[i] = *t
			c.terms[i].frozen = -1
		}
	}
	c.asking = false
}

// count has acknowledgements wait for a slave from now on.
func (c *Controlled) count(now time.Duration, id int64) {
	if termOf(c.terms, id) != nil {
		return
	}
	c.terms = append(c.terms, term{id: id, seen: now, caught: now, goalAt: now, frozen: -1})
	slices.SortFunc(c.terms, func(a, b term) int { return int(a.id - b.id) })
}

func termOf(terms []term, id int64) *term {
	for i := range terms {
		if terms[i].id == id {
			return &terms[i]
		}
	}
	return nil
}

func (c *Controlled) follower(conn ConnID) *follower {
	for _, f := range c.followers {
		if f.conn == conn {
			return f
		}
	}
	return nil
}

// replicaOf returns the connection of the slave with that id, nil without one.
func (c *Controlled) replicaOf(id int64) *follower {
	for _, f := range c.followers {
		if f.id == id {
			return f
		}
	}
	return nil
}

func (c *Controlled) drop(conn ConnID) {
	c.followers = slices.DeleteFunc(c.followers, func(f *follower) bool { return f.conn == conn })
}

// dismiss closes a slave's connection and says why.
func (c *Controlled) dismiss(f *follower, out *Out, why string, a, b Offset) {
	out.Notes = append(out.Notes, Note{why, a, b})
	out.Close = append(out.Close, f.conn)
	c.drop(f.conn)
}

// hear takes what a slave sent: its greeting, then reports, of which only the last complete one counts.
func (c *Controlled) hear(now time.Duration, f *follower, ev *Event, out *Out) {
	b := ev.Data
	if f.id == 0 {
		body, whole, err := helloBody(b)
		switch {
		case err != nil:
			c.dismiss(f, out, "a slave's greeting of %d bytes is none: connection closed; own end %d", int64(len(b)), ev.Log.Appended)
			return
		case !whole:
			return
		}
		f.lastRead = now
		b = b[helloBytes+len(body):]
		out.Consumed = helloBytes + len(body)
		if !c.welcome(now, f, body, &ev.Log, out) {
			return
		}
	}
	whole := len(b) - len(b)%trackedBytes
	if whole == 0 {
		return
	}
	out.Consumed += whole
	f.lastRead = now
	r := b[whole-trackedBytes : whole]
	kind, epoch, id := binary.BigEndian.Uint32(r), int32(binary.BigEndian.Uint32(r[4:])), int64(binary.BigEndian.Uint64(r[8:]))
	acked := Offset(binary.BigEndian.Uint64(r[16:]))
	switch {
	case kind != messageTransfer || epoch != c.view.Epoch || id != f.id:
		c.dismiss(f, out, "a report of epoch %d by replica %d: connection closed", int64(epoch), id)
	case acked < f.acked || acked > f.next || acked > ev.Log.Appended:
		c.dismiss(f, out, "a slave reports %d and was sent up to %d: connection closed, the report does not count", acked, f.next)
	default:
		f.acked = acked
	}
}

// welcome compares the logs and tells the slave the common point. A slave that knows of a newer epoch, or not yet of this
// one, is hung up on: it will hear from the controller.
func (c *Controlled) welcome(now time.Duration, f *follower, body []byte, log *Log, out *Out) bool {
	var epochs Epochs
	err := ErrEpochs
	if len(body) >= greetingBytes {
		epochs, err = parseEpochs(body[greetingBytes:])
	}
	if err != nil || int32(binary.BigEndian.Uint32(body[16:])) != c.view.Epoch {
		c.dismiss(f, out, "a slave greets for another epoch than %d: connection closed; own end %d", int64(c.view.Epoch), log.Appended)
		return false
	}
	id, end := int64(binary.BigEndian.Uint64(body)), Offset(binary.BigEndian.Uint64(body[20:]))
	if old := c.replicaOf(id); old != nil {
		c.dismiss(old, out, "replica %d connects again: the older connection is closed; it had acknowledged %d", id, old.acked)
	}
	if id <= 0 || id == c.view.ID || end < 0 {
		c.dismiss(f, out, "a slave calls itself replica %d, its log ends at %d: connection closed", id, end)
		return false
	}
	f.id, f.incarnation = id, int64(binary.BigEndian.Uint64(body[8:]))
	point, shared := c.epochs.Common(log.Appended, epochs, end, log.Min)
	if !shared && end > log.Min {
		out.Notes = append(out.Notes, Note{"replica %d has no epoch in common with this log: its %d bytes are copied anew", id, end})
	}
	if point < log.Min {
		out.Notes = append(out.Notes, Note{"a slave shares this log up to %d, below its begin %d: it gets nothing until it starts with an empty store", point, log.Min})
	}
	f.next, f.acked, f.told = point, -1, -1
	b := binary.BigEndian.AppendUint32(nil, uint32(c.view.Epoch))
	b = binary.BigEndian.AppendUint64(b, uint64(point))
	out.Envelopes = append(out.Envelopes, hello(f.conn, c.epochs.appendTo(b)))
	f.lastWrite = now
	return true
}

// rule does what follows from the marks and from time: transfers, what is confirmed, the SyncStateSet.
func (c *Controlled) rule(now time.Duration, log *Log, out *Out) {
	for i := 0; i < len(c.followers); {
		f := c.followers[i]
		if now-f.lastRead >= c.cfg.Housekeeping {
			c.dismiss(f, out, "slave silent for haHousekeepingInterval: connection closed, last report %d, own end %d", f.acked, log.Written)
			continue
		}
		i++
	}
	c.confirm(log)
	for _, f := range c.followers {
		c.transfer(now, f, log, out)
	}
	c.observe(now, log)
	c.tendSet(now, log, out)
}

// confirm refreshes the acknowledgements that count, and what all members have.
func (c *Controlled) confirm(log *Log) {
	c.acks = c.acks[:0]
	lowest := log.Written
	for i := range c.terms {
		t := &c.terms[i]
		acked := Offset(-1)
		if f := c.replicaOf(t.id); f != nil {
			acked = f.acked
		}
		if t.frozen >= 0 {
			acked = min(acked, t.frozen)
		}
		lowest = min(lowest, acked)
		c.acks = append(c.acks, durability.Replica{ID: int32(t.id), Acked: acked})
	}
	if c.agreed()+1 >= c.cfg.InSync {
		c.confirmed = max(c.confirmed, lowest)
	}
}

// agreed returns how many of those that are counted are members by the controller's word.
func (c *Controlled) agreed() (n int) {
	for i := range c.terms {
		if memberOf(c.view.Set, c.terms[i].id) != nil {
			n++
		}
	}
	return n
}

// transfer emits what f may be sent now.
func (c *Controlled) transfer(now time.Duration, f *follower, log *Log, out *Out) {
	if f.acked < 0 || f.inFlight > 0 {
		return
	}
	for f.next >= log.Min && f.next < log.Written && f.inFlight < c.cfg.WindowBytes {
		fileEnd := f.next - f.next%log.FileBytes + log.FileBytes
		size := int(min(int64(c.cfg.BatchBytes), log.Written-f.next, fileEnd-f.next))
		c.emit(now, f, size, out)
		f.next += Offset(size)
		f.inFlight += transferBytes + size
	}
	if f.inFlight == 0 && (now-f.lastWrite >= c.cfg.HeartbeatInterval || f.told < c.confirmed && now-f.lastWrite >= confirmPause) {
		c.emit(now, f, 0, out)
	}
}

func (c *Controlled) emit(now time.Duration, f *follower, size int, out *Out) {
	e := Envelope{Conn: f.conn, Len: transferBytes, From: f.next, Size: int32(size)}
	binary.BigEndian.PutUint32(e.Header[:], messageTransfer)
	binary.BigEndian.PutUint32(e.Header[4:], uint32(size))
	binary.BigEndian.PutUint64(e.Header[8:], uint64(f.next))
	binary.BigEndian.PutUint32(e.Header[16:], uint32(c.view.Epoch))
	binary.BigEndian.PutUint64(e.Header[20:], uint64(c.confirmed))
	out.Envelopes = append(out.Envelopes, e)
	f.lastWrite, f.told = now, c.confirmed
}

// observe notes which members are there and keep up.
func (c *Controlled) observe(now time.Duration, log *Log) {
	for i := range c.terms {
		t := &c.terms[i]
		f := c.replicaOf(t.id)
		if f == nil || f.acked < 0 {
			continue
		}
		t.seen = now
		if f.acked >= t.goal {
			t.caught = t.goalAt
			t.goal, t.goalAt = log.Written, now
			if f.acked >= t.goal {
				t.caught = now
			}
		}
	}
}

// late returns when a member will have been away, or behind, for too long.
func (c *Controlled) late(t *term) time.Duration {
	return min(t.seen+2*c.cfg.ReconnectInterval, t.caught+c.cfg.MaxLag)
}

// caughtUp reports whether a slave has all that may have been acknowledged.
func (c *Controlled) caughtUp(f *follower) bool { return f != nil && f.acked >= c.confirmed }

// tendSet asks the controller for another SyncStateSet when one is wanted. A slave that joins is counted before: the
// controller may elect it as soon as it has agreed. One that leaves is counted until it has agreed, and what is acknowledged
// meanwhile is what it was asked with.
// Source: AutoSwitchHAService.maybeShrinkSyncStateSet, maybeExpandInSyncStateSet (RocketMQ 5.3.3).
func (c *Controlled) tendSet(now time.Duration, log *Log, out *Out) {
	if c.asking || now < c.askAfter {
		return
	}
	for _, f := range c.followers {
		if c.cfg.Joins && c.caughtUp(f) && termOf(c.terms, f.id) == nil {
			c.count(now, f.id)
		}
	}
	change := false
	for i := range c.terms {
		s := c.standing(now, &c.terms[i], log)
		change = change || s.change
		if s.sync {
			out.SyncTo = max(out.SyncTo, c.confirmed)
		}
	}
	if change {
		c.ask(now, log, out)
	}
}

// ask sends the request: everybody stays who does not have to leave.
func (c *Controlled) ask(now time.Duration, log *Log, out *Out) {
	wish := []Member{{ID: c.view.ID}}
	for i := range c.terms {
		s := c.standing(now, &c.terms[i], log)
		if s.leaves {
			c.terms[i].frozen = c.confirmed
		} else {
			wish = append(wish, s.member)
		}
	}
	c.confirm(log) // without what is frozen
	slices.SortFunc(wish, func(a, b Member) int { return int(a.ID - b.ID) })
	c.asking = true
	out.Ask = &SetRequest{Epoch: c.view.Epoch, Version: c.view.Version, Members: wish, Confirmed: c.confirmed}
}

// standing is what should become of one that is counted.
type standing struct {
	member Member // as it would be asked for
	leaves bool
	change bool // it is not what the controller has
	sync   bool // it should leave, once all that was confirmed is on the own disk
}

// standing decides about t. A member leaves only when all that was acknowledged with it is on the own disk: alone, the master
// must not lose by a power cut what the one that left still has.
func (c *Controlled) standing(now time.Duration, t *term, log *Log) standing {
	m, f := memberOf(c.view.Set, t.id), c.replicaOf(t.id)
	s := standing{member: Member{ID: t.id}}
	if c.caughtUp(f) {
		s.member.Incarnation = f.incarnation
	}
	late := now >= c.late(t)
	switch {
	case m == nil: // asked for without an answer, or to be asked for
		s.leaves, s.change = late || s.member.Incarnation == 0, true
	case late && log.Synced < c.confirmed:
		s.sync = true
	case late:
		s.leaves, s.change = true, true
	default:
		s.change = m.Doubtful && s.member.Incarnation == m.Incarnation ||
			t.frozen >= 0 // it was to leave, nobody knows with what outcome, and is back
	}
	return s
}

// ruleAt returns the master's earliest deadline.
func (c *Controlled) ruleAt(now time.Duration) time.Duration {
	at := time.Duration(0)
	for _, f := range c.followers {
		at = earlier(at, f.lastRead+c.cfg.Housekeeping)
		if f.acked >= 0 && f.inFlight == 0 {
			at = earlier(at, f.lastWrite+c.cfg.HeartbeatInterval)
			if f.told < c.confirmed {
				at = earlier(at, f.lastWrite+confirmPause)
			}
		}
	}
	if c.asking {
		return at
	}
	if c.askAfter > now {
		at = earlier(at, c.askAfter)
	}
	for i := range c.terms {
		if late := c.late(&c.terms[i]); late > now {
			at = earlier(at, late)
		}
	}
	return at
}
