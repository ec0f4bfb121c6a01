package broker

import (
	"bytes"
	"strconv"
	"time"

	"holdfast/broker/durability"
	"holdfast/broker/message"
	"holdfast/broker/remoting"
	"holdfast/broker/store"
)

// scheduleTopic holds delayed messages: queue n-1 those of level n, in the order of their deadlines, as a level has one
// delay. Source: ScheduleMessageService (RocketMQ 5.3.3).
const scheduleTopic = message.ScheduleTopic

// delays are what the levels mean.
var delays = message.Delays

// deliverRetry is the pause before a delivery is tried again that the store refused.
const deliverRetry = 100 * time.Millisecond

// deliverMax bounds how many messages of a level one Step delivers.
const deliverMax = 256

// delayTable delivers delayed messages. Of each level only the next message is in memory, whatever waits behind it.
// Invariant: what lies below next was delivered at least once, and saved is at most next.
type delayTable struct {
	levels [len(delays)]level
	dirty  bool // next of some level changed since the last save
}

type level struct {
	queue  *queue         // nil until the level is used
	next   int64          // queue offset of the next message to deliver
	record []byte         // that message; nil: not read yet
	stored int64          // its store time (Unix ms), or that of the one before; 0: none was read yet
	ripe   time.Duration  // when its delay has passed
	due    time.Duration  // when it is to be delivered, or tried again
	load   *store.LoadJob // outstanding read of it

	// With a controller: progress that the next master has, too. It may lack deliveries that are not confirmed, which must
	// not count as made then.
	sure    int64
	pending [2]delivered // the first that is not confirmed, and the last
}

// delivered is progress behind which a delivery ends at a physical offset; the zero value is none.
type delivered struct {
	next int64
	end  durability.Offset
}

// delayLevel returns the level that properties ask for, 0 for none.
func delayLevel(properties []byte) int {
	value, _ := message.Property(properties, message.PropertyDelay)
	n, err := strconv.Atoi(string(value))
	if err != nil || n <= 0 {
		return 0
	}
	return min(n, len(delays))
}

// delay rewrites a record for the schedule topic: its topic and queue become properties.
// Source: HookUtils.transformDelayLevelMessage (RocketMQ 5.3.3).
func (n *Node) delay(record *message.Record, to int) *topic {
	real, queueID := record.Topic, strconv.Itoa(int(record.QueueID))
	props := message.SetProperty(nil, record.Properties, message.PropertyRealTopic, real)
	record.Properties = message.SetProperty(nil, props, message.PropertyRealQueueID, queueID)
	record.Topic, record.QueueID = []byte(scheduleTopic), int32(to-1)
	return n.scheduled()
}

// scheduled returns the schedule topic, made without telling anybody: no client may see it.
func (n *Node) scheduled() *topic {
	if t := n.topics.byName[scheduleTopic]; t != nil {
		return t
	}
	return n.topics.put(remoting.TopicConfig{Name: scheduleTopic, ReadQueues: int32(len(delays)), WriteQueues: int32(len(delays)),
		Perm: remoting.PermRead | remoting.PermWrite})
}

// sendDelayed stores a send that asks for a delay.
func (n *Node) sendDelayed(c ConnID, f *remoting.Frame, s *Send, out *Output) {
	record, _, err := message.Decode(s.Records, false)
	if err != nil || s.Count != 1 {
		n.refuse(c, f, remoting.ResponseMessageIllegal, "a batch may not be delayed", out)
		return
	}
	told := record.QueueID
	t := n.delay(&record, max(1, delayLevel(record.Properties)))
	if record.Check() != nil {
		n.refuse(c, f, remoting.ResponseMessageIllegal, "the message properties are too long to be delayed", out)
		return
	}
	n.put(c, f, t, &placed{kind: s.Type, queueID: record.QueueID, told: told, records: message.Append(nil, &record), count: 1, noWait: s.NoWait, unique: s.UniqueKey}, out)
}

// deliverDue delivers what is due, level by level, and begins to read what comes next.
func (n *Node) deliverDue(out *Output) {
	t := n.topics.byName[scheduleTopic]
	if t == nil || n.role == roleSlave || n.stopping || n.control.fenced(n.now.Mono) {
		return
	}
	for i := range min(len(n.delayed.levels), len(t.queues)) {
		l := &n.delayed.levels[i]
		l.queue = t.queues[i]
		for range deliverMax {
			if l.queue == nil || !n.prepare(l, i, out) || l.due > n.now.Mono || !n.deliverOne(l, out) {
				break
			}
		}
	}
}

// prepare has the next message of a level in memory, and reports whether it is.
func (n *Node) prepare(l *level, i int, out *Output) bool {
	if l.record != nil || l.load != nil || l.next >= l.queue.store.Next() {
		return l.record != nil
	}
	l.next = max(l.next, l.queue.store.Min())
	ranges, found := n.store.Lookup(l.queue.store, l.next, store.Want{Count: 1, Limit: n.marks.Written}, nil)
	switch {
	case found.Load != nil:
		l.load = found.Load
		out.Loads = append(out.Loads, l.load)
	case found.Count == 0:
		n.skipTo(l, found.Next)
	default:
		record, job, err := n.store.Record(ranges[0].Phys, n.marks.Written)
		if err != nil {
			note(out, true, "delayed message at queue offset %d of level %d: %v", l.next, i+1, err)
			n.skipTo(l, l.next+1)
		} else if l.load = job; job != nil {
			out.Loads = append(out.Loads, job)
		} else {
			n.arm(l, record, i)
		}
	}
	return l.record != nil
}

// arm notes when the message is due. Its delay counts from its store time by the wall clock. When that was set back behind the
// store time, its distance from the message before it in the level is all that is known, and without one its whole delay begins
// now. If each began a whole delay then, as they did once, a level would deliver one message a delay. RocketMQ delivers them at
// once, too early (DeliverDelayedMessageTimerTask.correctDeliverTimestamp, RocketMQ 5.3.3).
func (n *Node) arm(l *level, record []byte, i int) {
	l.record = record
	left := delays[i]
	if r, _, err := message.Decode(record, false); err == nil {
		passed := time.Duration(n.now.Wall-r.StoreTimestamp) * time.Millisecond
		apart := time.Duration(r.StoreTimestamp-l.stored) * time.Millisecond
		if passed < 0 && l.stored != 0 && apart >= 0 { // else the clock was set back between the two as well
			passed = n.now.Mono - (l.ripe + apart - delays[i])
		}
		left -= min(left, max(0, passed))
		l.stored = r.StoreTimestamp
	}
	l.ripe = n.now.Mono + left
	l.due = l.ripe
}

// loadedDelayed goes on with the level that waits for job, and reports whether there is one.
func (n *Node) loadedDelayed(job *store.LoadJob, out *Output) bool {
	for i := range n.delayed.levels {
		l := &n.delayed.levels[i]
		if l.load != job {
			continue
		}
		l.load = nil
		if err := n.store.Loaded(job); err != nil {
			note(out, true, "delayed message at queue offset %d of level %d: %v", l.next, i+1, err)
			n.skipTo(l, l.next+1)
		} else if record := job.Record(); record != nil {
			n.arm(l, record, i)
		}
		return true
	}
	return false
}

func (n *Node) skipTo(l *level, next int64) {
	if l.next != next {
		l.next, n.delayed.dirty = next, true
	}
	l.record = nil
}

// deliverOne appends the message of a level to its own topic, as a put that nobody waits for, and reports whether the next
// one may be looked at. Source: ScheduleMessageService.messageTimeUp (RocketMQ 5.3.3).
func (n *Node) deliverOne(l *level, out *Output) bool {
	record, _, err := message.Decode(l.record, false)
	name, _ := message.Property(record.Properties, message.PropertyRealTopic)
	id, _ := message.Property(record.Properties, message.PropertyRealQueueID)
	queueID, idErr := strconv.Atoi(string(id))
	q := n.queueFor(name, int32(queueID))
	if err != nil || idErr != nil || q == nil {
		note(out, true, "delayed message at queue offset %d dropped: topic %q, queue %q", l.next, name, id)
		n.skipTo(l, l.next+1)
		return true
	}
	record.Topic, record.QueueID = bytes.Clone(name), int32(queueID) // DELAY stays, as in RocketMQ: consumers see it
	if n.full {
		err = store.ErrBusy
	} else {
		_, _, err = n.append(q, MessageDelay, message.Append(nil, &record), 1)
	}
	if err != nil {
		l.due = n.now.Mono + deliverRetry
		return false
	}
	n.outflow(l.queue.topic, scheduleGroup).add(1, len(l.record), l.queue.id, l.next+1)
	n.skipTo(l, l.next+1)
	if last := (delivered{l.next, n.marks.Appended}); l.pending[0].next == 0 {
		l.pending[0] = last
	} else {
		l.pending[1] = last
	}
	return true
}

// confirmDelayed moves the progress that is sure up to what is confirmed.
func (n *Node) confirmDelayed() {
	confirmed := n.contract.Readable(&n.marks)
	for i := range n.delayed.levels {
		l := &n.delayed.levels[i]
		for l.pending[0].next != 0 && l.pending[0].end <= confirmed {
			l.sure = l.pending[0].next
			l.pending[0], l.pending[1] = l.pending[1], delivered{}
			n.delayed.dirty = true
		}
	}
}

// restart forgets what was read of a log that may be another one now, and progress that is not sure, or beyond its end: a
// message that was delivered and cut off is delivered again.
func (s *delayTable) restart(t *topic) {
	for i := range s.levels {
		l := &s.levels[i]
		next := l.next
		if l.pending[0].next != 0 {
			next = l.sure
		}
		*l = level{next: next, sure: next}
		if i < len(t.queues) && t.queues[i] != nil {
			l.next = min(next, t.queues[i].store.Next())
			l.sure = l.next
		}
	}
}

// nextDue returns when the next delayed message is due that is in memory.
func (s *delayTable) nextDue() (at time.Duration) {
	for i := range s.levels {
		if l := &s.levels[i]; l.record != nil {
			at = earlier(at, max(l.due, 1))
		}
	}
	return at
}

// table returns the progress of the levels as delayOffset.json and the wire hold it; with sure what the next master has, too.
func (s *delayTable) table(sure bool) (t remoting.DelayOffsetTable) {
	for i := range s.levels {
		l := &s.levels[i]
		next := l.next
		if sure && l.pending[0].next != 0 {
			next = l.sure
		}
		if next > 0 {
			t.Levels = append(t.Levels, remoting.QueueOffset{QueueID: int32(i + 1), Offset: next})
		}
	}
	return t
}

// merge takes over the progress that another table holds.
func (s *delayTable) merge(t *remoting.DelayOffsetTable) {
	for _, q := range t.Levels {
		if q.QueueID >= 1 && int(q.QueueID) <= len(s.levels) && q.Offset >= 0 {
			l := &s.levels[q.QueueID-1]
			s.dirty = s.dirty || l.next != q.Offset
			l.next, l.sure = q.Offset, q.Offset
		}
	}
}
