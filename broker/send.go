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

// send serves the three send codes: checks, appends, and enlists the put with the waiters; its reply leaves when the
// contract is kept. Order of checks and codes: SendMessageProcessor, AbstractSendMessageProcessor.msgCheck,
// HookUtils.checkBeforePutMessage (RocketMQ 5.3.3).
func (n *Node) send(c ConnID, r *Request, out *Output) {
	s, f := &r.Send, &r.Frame
	if n.role == roleSlave {
		n.refuse(c, f, remoting.ResponseSystemBusy, "[REJECTREQUEST]system busy, start flow control for a while", out)
		return
	}
	if r.Fault != "" {
		n.refuse(c, f, r.Code, r.Fault, out)
		return
	}
	if n.cfg.Permission&remoting.PermWrite == 0 && n.ordered(s.Topic) {
		n.refuse(c, f, remoting.ResponseNoPermission, "the broker["+n.cfg.Addr.Addr().String()+"] sending message is forbidden", out)
		return
	}
	t := n.topics.get(s.Topic)
	if t == nil {
		if t = n.autoCreate(s, out); t == nil {
			n.refuse(c, f, remoting.ResponseTopicNotExist, "topic["+string(s.Topic)+"] not exist, apply first please!", out)
			return
		}
	}
	if code, fault := n.place(c, s, t); fault != "" {
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
	n.put(c, f, t, &placed{kind: s.Type, queueID: s.QueueID, told: s.QueueID, records: s.Records, count: int(s.Count), noWait: s.NoWait, unique: s.UniqueKey}, out)
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
	if n.control.fenced(n.now.Mono) {
		n.refuse(c, f, remoting.ResponseServiceNotAvailable, "the controller was not reached in time: another broker may be the master", out)
		return
	}
	if n.full || n.crowded {
		n.refuse(c, f, remoting.ResponseServiceNotAvailable, n.space.refusal(), out)
		return
	}
	if status := n.contract.Ack.Admit(&n.marks); status != durability.StatusOK {
		n.refuse(c, f, remoting.ResponseSystemError, "in-sync replicas not enough", out)
		return
	}
	if n.waiters.len() >= n.cfg.Limits.Waiters {
		n.refuse(c, f, remoting.ResponseSystemBusy, "[OVERLOAD]too many sends wait for their acknowledgement", out)
		return
	}
	q, err := n.queue(t, p.queueID)
	if err != nil {
		n.refuse(c, f, remoting.ResponseInvalidParameter, err.Error(), out)
		return
	}
	phys, queueOffset, err := n.store.Append(q.store, p.records, p.count, n.now.Wall)
	if err != nil {
		n.refuse(c, f, appendCode(err), err.Error(), out)
		return
	}
	end := phys + int64(len(p.records))
	n.marks.Appended = end
	n.arrived(q)
	n.stats.puts.add(n.now.Mono, uint64(p.count))
	n.stats.bytes += uint64(len(p.records))
	t.in[p.kind].add(p.count, len(p.records))
	t.trend = t.trend.count(n.now.Mono, p.count)
	w := n.contract.Ack.Enlist(&n.marks, end, !p.noWait, n.now.Mono)
	reply := Reply{Conn: c, Opaque: f.Opaque, Form: f.Form, Kind: ReplyPut, QueueID: p.told, QueueOffset: queueOffset, PhysOffset: phys}
	reply.setUnique(p.unique)
	if f.IsOneway() {
		reply.Conn = 0
	}
	if p.count > 1 {
		reply.More = furtherOffsets(p.records, phys)
	}
	n.waiters.add(w, reply)
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
