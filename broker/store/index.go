package store

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"holdfast/broker/message"
)

// unitBytes is the size of a consume queue unit: physical offset (8), size of the record (4), hash of the tag (8).
const unitBytes = 20

// blankUnitSize is the size that units without a message have: what precedes a queue's beginning in its first file.
// Source: ConsumeQueue.fillPreBlank (RocketMQ 5.3.3).
const blankUnitSize = 0x7FFFFFFF

// gapMax is how many messages may be missing in a queue before what follows counts as corrupt.
const gapMax = 1 << 16

// queueOffsetMax bounds queue offsets, so that their positions in files can be computed.
const queueOffsetMax = 1 << 48

var be = binary.BigEndian

// unit is an entry of a consume queue.
type unit struct {
	phys int64 // physical offset of the record
	tags int64 // Java's hash of the record's tag, 0 without one; of a delayed message the time of its delivery
	size int32 // bytes of the record
}

// blank says that u stands for a message that is not there. In memory its phys is that of the record that follows, so
// that units stay sorted; in files it is 0.
func (u unit) blank() bool { return u.size == blankUnitSize }

// end returns the physical offset behind the record.
func (u unit) end() int64 {
	if u.blank() {
		return u.phys
	}
	return u.phys + int64(u.size)
}

// put writes u to b as it stands in files.
func (u unit) put(b []byte) {
	if u.blank() {
		u.phys = 0
	}
	be.PutUint64(b, uint64(u.phys))
	be.PutUint32(b[8:], uint32(u.size))
	be.PutUint64(b[12:], uint64(u.tags))
}

func readUnit(b []byte) unit {
	return unit{int64(be.Uint64(b)), int64(be.Uint64(b[12:])), int32(be.Uint32(b[8:]))}
}

// index is the consume queues.
type index struct {
	byKey      map[queueKey]*Queue
	list       []*Queue     // by topic and queue id
	dirty      []dirtyQueue // with units that no AuxJob has written, by phys
	waiting    int          // number of such units
	units      int64        // sum of Queue.saved over the queues with saved units
	known      int64        // number of those queues
	bad        *Bad
	lastTime   int64          // store time of the last record, Unix ms
	record     message.Record // of the record being indexed
	scratch    []byte         // a record that lies in two chunks
	sparePages []unitPage
	spareDirty []dirtyQueue // what dirty is made in the next time
}

// dirtyQueue is a queue with the physical offset to which the first unit of it leads that no AuxJob has written.
type dirtyQueue struct {
	q    *Queue
	phys int64
}

func compareDirty(a, b dirtyQueue) int { return cmp.Compare(a.phys, b.phys) }

type queueKey struct {
	topic string
	id    int32
}

// Queue is a consume queue. It belongs to its Store.
type Queue struct {
	topic string
	id    int32
	min   int64 // the first queue offset; equal to next when empty
	next  int64 // the queue offset of the next message
	saved int64 // units below are in files: min <= saved <= next
	dirty bool  // stands in index.dirty
	known bool  // units of it are in files, it counts in index.units

	hot    hotUnits // units [hot.min, next). Invariant: hot.min <= saved
	window *LoadJob // units read back from files
	file   *queueFile
}

// Topic returns the topic.
func (q *Queue) Topic() string { return q.topic }

// ID returns the queue id.
func (q *Queue) ID() int32 { return q.id }

// Min returns the first queue offset that the queue still has, or Next when it has none.
func (q *Queue) Min() int64 { return q.min }

// Next returns the queue offset of the next message.
func (q *Queue) Next() int64 { return q.next }

// Queue returns the queue, which it creates when it is not there, empty. It errs with ErrTopic when there can be no
// such directory. The handle is good until Close.
func (s *Store) Queue(topic string, id int32) (*Queue, error) {
	if q := s.byKey[queueKey{topic, id}]; q != nil {
		return q, nil
	}
	if topic == "" || topic == "." || topic == ".." || len(topic) > 255 || strings.ContainsAny(topic, "/\\\x00") || id < 0 {
		return nil, fmt.Errorf("%w: %q, %d", ErrTopic, topic, id)
	}
	q := &Queue{topic: topic, id: id, hot: hotUnits{shift: pageShiftOf(s.cfg.HotUnits)}}
	s.byKey[queueKey{topic, id}] = q
	i, _ := slices.BinarySearchFunc(s.list, q, compareQueues)
	s.list = slices.Insert(s.list, i, q)
	return q, nil
}

// Has reports whether the queue is there: whoever only looks must not create queues.
func (s *Store) Has(topic string, id int32) bool { return s.byKey[queueKey{topic, id}] != nil }

// Queues returns all queues by topic and queue id. The caller must not change the slice.
func (s *Store) Queues() []*Queue { return s.list }

func compareQueues(a, b *Queue) int {
	if c := strings.Compare(a.topic, b.topic); c != 0 {
		return c
	}
	return cmp.Compare(a.id, b.id)
}

// queueOf is Queue without a conversion of the topic.
func (s *Store) queueOf(topic []byte, id int32) (*Queue, error) {
	if q := s.byKey[queueKey{string(topic), id}]; q != nil {
		return q, nil
	}
	return s.Queue(string(topic), id)
}

// queued says whether a record has a place in a consume queue.
func queued(sysFlag int32) bool {
	kind := sysFlag & message.SysRollback
	return kind != message.SysPrepared && kind != message.SysRollback
}

// indexOwn gives the record b of ours, which will stand at phys, its offsets and its place in q.
func (s *Store) indexOwn(q *Queue, b []byte, phys, now int64) {
	r := &s.record
	s.lastTime = now
	if _, err := message.DecodeInto(r, b, false); err != nil {
		panic(fmt.Sprintf("store: Append of what is no record: %v", err))
	}
	if !queued(r.SysFlag) {
		message.Patch(b, 0, phys, now)
		return
	}
	message.Patch(b, q.next, phys, now)
	s.enqueue(q, unit{phys, message.UnitTags(r.Topic, r.Properties, now), int32(len(b))})
}

// indexFound gives the record b that stands at phys the place in its queue that it says it has. It returns why it
// cannot, if it cannot.
// A queue offset that the queue has already is left out, as RocketMQ does; so is what a diverged log lacks, with
// blank units (RocketMQ puts the unit at the wrong place then).
// Source: ConsumeQueue.putMessagePositionInfo (RocketMQ 5.3.3).
func (s *Store) indexFound(b []byte, phys int64) (reason string) {
	r := &s.record
	if _, err := message.DecodeInto(r, b, false); err != nil {
		return err.Error()
	}
	if r.PhysOffset != phys {
		return fmt.Sprintf("record says that it stands at %d", r.PhysOffset)
	}
	s.lastTime = r.StoreTimestamp
	if !queued(r.SysFlag) {
		return ""
	}
	if r.QueueOffset < 0 || r.QueueOffset > queueOffsetMax {
		return fmt.Sprintf("queue offset %d", r.QueueOffset)
	}
	q, err := s.queueOf(r.Topic, r.QueueID)
	if err != nil {
		return err.Error()
	}
	if q.next == q.min && len(q.hot.pages) == 0 && r.QueueOffset >= q.next {
		q.startAt(r.QueueOffset)
	}
	gap := r.QueueOffset - q.next
	switch {
	case r.QueueOffset < q.next:
		return ""
	case gap > gapMax:
		return fmt.Sprintf("queue offset %d of %s/%d, whose next one is %d", r.QueueOffset, q.topic, q.id, q.next)
	}
	for ; gap > 0; gap-- {
		s.enqueue(q, unit{phys: phys, size: blankUnitSize})
	}
	s.enqueue(q, unit{phys, message.UnitTags(r.Topic, r.Properties, r.StoreTimestamp), int32(len(b))})
	return ""
}

// enqueue appends u to q.
func (s *Store) enqueue(q *Queue, u unit) {
	if !q.dirty {
		q.dirty = true
		s.dirty = append(s.dirty, dirtyQueue{q, u.phys})
	}
	s.waiting++
	s.put(&q.hot, q.next, u)
	q.next++
}

// startAt has an empty queue begin at queue offset o.
func (q *Queue) startAt(o int64) {
	q.min, q.next, q.saved = o, o, o
	q.hot.restart(o)
}

// below returns the first queue offset in [from, next) whose record does not end at or below physical offset limit, or
// next. hot.min <= from.
func (q *Queue) below(from, limit int64) int64 {
	to := q.next
	for from < to {
		mid := from + (to-from)/2
		if q.hot.at(mid).end() <= limit {
			from = mid + 1
		} else {
			to = mid
		}
	}
	return from
}

// Max returns the queue offset behind the last message that lies wholly below the physical offset limit: what a consumer
// may see under a read level whose mark is limit. It is exact from the mark that the last AuxJob was taken at (Synced)
// upwards; below that it is not below the truth by more than what is in memory.
func (q *Queue) Max(limit int64) int64 {
	if q.next == q.hot.min || q.hot.at(q.next-1).end() <= limit {
		return q.next
	}
	return max(q.min, q.below(q.hot.min, limit))
}

// End returns the physical offset behind the record at queue offset o, min <= o < next, if its unit is in memory.
func (q *Queue) End(o int64) (end int64, ok bool) {
	u, ok := q.unit(o)
	return u.end(), ok
}
