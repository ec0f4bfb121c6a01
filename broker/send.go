package broker

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"holdfast/broker/durability"
	"holdfast/broker/message"
	"holdfast/broker/remoting"
	"holdfast/broker/store"
)

// send serves the three codes of sends: checks, appends, and enlists the put with the waiters; its reply leaves when the
// contract is kept. Order of checks and codes: SendMessageProcessor, AbstractSendMessageProcessor.msgCheck,
// HookUtils.checkBeforePutMessage (RocketMQ 5.3.3).
func (n *Node) send(c ConnID, r *Request, out *Output) {
	s, f, topics := &r.Send, &r.Frame, len(n.topics.sorted)
	t, code, fault := n.admit(c, r, out)
	made := len(n.topics.sorted) > topics
	if fault == "" {
		code, fault = n.tooLong(s, len(f.Body))
	}
	if fault != "" {
		n.refuse(c, f, code, fault, out)
		return
	}
	if n.exhausted(s) {
		n.bury(c, f, s, out)
		return
	}
	if s.Delayed {
		n.sendDelayed(c, f, s, out)
		return
	}
	n.put(c, f, t, &placed{kind: s.Type, queueID: s.QueueID, told: s.QueueID, records: s.Records, count: int(s.Count), noWait: s.NoWait, unique: s.UniqueKey, madeTopic: made}, out)
}

// admit returns the topic of a send whose queue is chosen, made where that is allowed; or why the send is refused.
func (n *Node) admit(c ConnID, r *Request, out *Output) (t *topic, code int32, fault string) {
	s := &r.Send
	switch {
	case n.role == roleSlave:
		return nil, remoting.ResponseSystemBusy, "[REJECTREQUEST]system busy, start flow control for a while"
	case r.Fault != "":
		return nil, r.Code, r.Fault
	case n.cfg.Permission&remoting.PermWrite == 0 && n.ordered(s.Topic):
		return nil, remoting.ResponseNoPermission, "the broker[" + n.cfg.Addr.Addr().String() + "] sending message is forbidden"
	}
	if t = n.topics.get(s.Topic); t == nil {
		if t = n.autoCreate(s, out); t == nil {
			return nil, remoting.ResponseTopicNotExist, "topic[" + string(s.Topic) + "] not exist, apply first please!"
		}
	}
	code, fault = n.place(c, s, t)
	return t, code, fault
}

// placed is what is put, and where.
type placed struct {
	kind    MessageType
	queueID int32
	told    int32  // queue that the reply names: of a delayed message its own, not that of its level
	records []byte // encoded, back to back
	count   int
	noWait  bool
	unique  []byte // UNIQ_KEY, which the reply repeats

	madeTopic bool
}

// ordered reports whether a topic is one whose queues stay where they are: its producers may not take other queues when this
// broker takes no sends, so they have to hear of it; others see it in the route, and what they sent before that is taken.
// Source: AbstractSendMessageProcessor.msgCheck (RocketMQ 5.3.3).
func (n *Node) ordered(topic []byte) bool {
	t := n.topics.get(topic)
	return t != nil && t.conf.Order
}

// place checks the queue of a send, or chooses one.
func (n *Node) place(c ConnID, s *Send, t *topic) (code int32, fault string) {
	if s.QueueID >= max(t.conf.WriteQueues, t.conf.ReadQueues) {
		old := n.cfg.isRocketMQ4()
		return invalidParameter(old), fmt.Sprintf("request queueId[%d] is illegal, %s Producer: %s", s.QueueID, printed(&t.conf, old), n.conns[c])
	}
	if s.QueueID >= 0 {
		return 0, ""
	}
	s.QueueID = n.rng.Int32N(max(1, t.conf.WriteQueues))
	setQueueID(s.Records, int(s.Count), s.QueueID)
	return 0, ""
}

// printed is a topic as RocketMQ prints it. Source: TopicConfig.toString (RocketMQ 5.5.0, 4.9.7).
func printed(t *remoting.TopicConfig, old bool) string {
	perm := []byte("---")
	for i, bit := range []int32{remoting.PermRead, remoting.PermWrite, remoting.PermInherit} {
		if t.Perm&bit != 0 {
			perm[i] = "RWX"[i]
		}
	}
	filter, attributes := t.FilterType, ", attributes={}"
	if filter == "" {
		filter = "SINGLE_TAG"
	}
	if old {
		attributes = ""
	}
	return fmt.Sprintf("TopicConfig [topicName=%s, readQueueNums=%d, writeQueueNums=%d, perm=%s, topicFilterType=%s, topicSysFlag=%d, order=%v%s]",
		t.Name, t.ReadQueues, t.WriteQueues, perm, filter, t.SysFlag, t.Order, attributes)
}

// setQueueID writes the queue into n encoded records.
func setQueueID(records []byte, n int, queueID int32) {
	const queueIDAt = 12
	for ; n > 0; n-- {
		size := binary.BigEndian.Uint32(records)
		binary.BigEndian.PutUint32(records[queueIDAt:], uint32(queueID))
		records = records[size:]
	}
}

// put appends records and enlists the reply. Either all of them are stored or none.
func (n *Node) put(c ConnID, f *remoting.Frame, t *topic, p *placed, out *Output) {
	phys, queueOffset, code, fault := n.accept(t, p)
	if fault != "" {
		n.refuse(c, f, code, fault, out)
		return
	}
	w := n.contract.Ack.Enlist(&n.marks, n.marks.Appended, !p.noWait, n.now.Mono)
	reply := Reply{Conn: c, Opaque: f.Opaque, Form: f.Form, Kind: ReplyPut, QueueID: p.told, QueueOffset: queueOffset, PhysOffset: phys, madeTopic: p.madeTopic}
	reply.setUnique(p.unique)
	if f.IsOneway() {
		reply.Conn = 0
	}
	if p.count > 1 {
		reply.More = furtherOffsets(p.records, phys)
	}
	n.waiters.add(w, reply)
}

// accept stores records, all of them or none, and returns the offsets of the first one; fault says why none is stored.
func (n *Node) accept(t *topic, p *placed) (phys, queueOffset int64, code int32, fault string) {
	switch {
	case n.control.fenced(n.now.Mono):
		return 0, 0, remoting.ResponseServiceNotAvailable, "the controller was not reached in time: another broker may be the master"
	case n.full || n.crowded:
		return 0, 0, remoting.ResponseServiceNotAvailable, n.space.refusal()
	case n.contract.Ack.Admit(&n.marks) != durability.StatusOK:
		return 0, 0, remoting.ResponseSystemError, "in-sync replicas not enough"
	case n.waiters.len()+n.relays.size >= n.cfg.Limits.Waiters: // a reply message that waits for a client is a waiter afterwards
		return 0, 0, remoting.ResponseSystemBusy, "[OVERLOAD]too many sends wait for their acknowledgement"
	}
	q, err := n.queue(t, p.queueID)
	if err != nil {
		return 0, 0, remoting.ResponseInvalidParameter, err.Error()
	}
	phys, queueOffset, err = n.append(q, p.kind, p.records, p.count)
	if err != nil {
		return 0, 0, appendCode(err), err.Error()
	}
	return phys, queueOffset, 0, ""
}

// append puts records behind a queue, all of them or none, and counts them.
func (n *Node) append(q *queue, kind MessageType, records []byte, count int) (phys, queueOffset int64, err error) {
	phys, queueOffset, err = n.store.Append(q.store, records, count, n.now.Wall)
	if err != nil {
		return 0, 0, err
	}
	n.marks.Appended = phys + int64(len(records))
	n.arrived(q)
	n.stats.puts.add(n.now.Mono, uint64(count))
	n.stats.bytes += uint64(len(records))
	q.topic.in[kind].add(count, len(records))
	q.topic.trend = q.topic.trend.count(n.now.Mono, count)
	return phys, queueOffset, nil
}

// furtherOffsets returns the physical offsets of all records but the first.
func furtherOffsets(records []byte, phys int64) []int64 {
	var more []int64
	for size := binary.BigEndian.Uint32(records); int(size) < len(records); size = binary.BigEndian.Uint32(records) {
		phys += int64(size)
		more = append(more, phys)
		records = records[size:]
	}
	return more
}

// appendCode returns the code of a refused append. Nothing is stored in any of these cases.
func appendCode(err error) int32 {
	switch {
	case errors.Is(err, store.ErrBusy):
		return remoting.ResponseSystemBusy
	case errors.Is(err, store.ErrTooLong):
		return remoting.ResponseMessageIllegal
	case errors.Is(err, store.ErrFailed):
		return remoting.ResponseServiceNotAvailable
	}
	return remoting.ResponseSystemError
}

// exhausted reports whether a message to a retry topic has been consumed too often: it goes to the dead letters instead.
// Source: SendMessageProcessor.handleRetryAndDLQ (RocketMQ 5.3.3).
func (n *Node) exhausted(s *Send) bool {
	if s.ReconsumeTimes == 0 || !bytes.HasPrefix(s.Topic, retryPrefix) {
		return false
	}
	limit := int32(16)
	if g := n.groups.get(s.Topic[len(retryPrefix):]); g != nil {
		limit = g.conf.RetryMaxTimes
	}
	if s.MaxReconsumeTimes != remoting.NoLimit {
		limit = s.MaxReconsumeTimes
	}
	return s.ReconsumeTimes >= limit
}

// bury puts an exhausted message to queue 0 of the dead letters of its group.
func (n *Node) bury(c ConnID, f *remoting.Frame, s *Send, out *Output) {
	record, _, err := message.Decode(s.Records, false)
	if err != nil || s.Count != 1 {
		n.refuse(c, f, remoting.ResponseMessageIllegal, "not a message that can be buried", out)
		return
	}
	t := n.deadLetters(string(s.Topic[len(retryPrefix):]), out)
	if t == nil {
		n.refuse(c, f, remoting.ResponseSystemBusy, "too many topics", out)
		return
	}
	record.Topic, record.QueueID = []byte(t.conf.Name), 0
	n.outflow(n.topics.get(s.Topic), s.Topic[len(retryPrefix):]).Dead++
	if s.Delayed {
		record.Properties = message.SetProperty(nil, record.Properties, message.PropertyDelay, "0")
	}
	n.put(c, f, t, &placed{kind: MessageNormal, records: message.Append(nil, &record), count: 1, noWait: s.NoWait, unique: s.UniqueKey}, out)
}

// deadLetters returns the topic of a group's dead letters; nil when there may be no more topics.
func (n *Node) deadLetters(group string, out *Output) *topic {
	name := string(dlqPrefix) + group
	if t := n.topics.byName[name]; t != nil {
		return t
	}
	if len(n.topics.sorted) >= n.cfg.Limits.Topics || !validTopic([]byte(name)) {
		return nil
	}
	return n.putTopic(remoting.TopicConfig{Name: name, ReadQueues: 1, WriteQueues: 1, Perm: remoting.PermWrite | remoting.PermRead}, out)
}
