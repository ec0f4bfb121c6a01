package broker

import (
	"fmt"

	"holdfast/broker/remoting"
)

// resetOffset serves INVOKE_BROKER_TO_RESET_OFFSET. RocketMQ 5 resets what it has stored and tells each consumer at its next
// pull; RocketMQ 4.9 has the online consumers do it, and refuses when there is none: the tools then commit the offsets
// themselves. Source: AdminBrokerProcessor.resetOffset, resetOffsetInner, Broker2Client.resetOffset (RocketMQ 5.3.3).
func (n *Node) resetOffset(c ConnID, f *remoting.Frame, out *Output) {
	h, err := remoting.ParseResetOffset(f.Ext)
	if err != nil {
		n.refuse(c, f, remoting.ResponseSystemError, err.Error(), out)
		return
	}
	t := n.topics.byName[h.Topic]
	clients := n.cfg.isRocketMQ4()
	switch {
	case !clients && n.role == roleSlave:
		n.refuse(c, f, remoting.ResponseSystemError, "Can not reset offset in slave broker", out)
		return
	case t == nil && clients:
		n.refuse(c, f, remoting.ResponseTopicNotExist, "[reset-offset] reset offset failed, no topic in this broker. topic="+h.Topic, out)
		return
	case t == nil:
		n.refuse(c, f, remoting.ResponseTopicNotExist, "Topic "+h.Topic+" does not exist", out)
		return
	case !clients && n.groups.byName[h.Group] == nil:
		n.refuse(c, f, remoting.ResponseSubscriptionGroupNotExist, "Group "+h.Group+" does not exist", out)
		return
	}
	if !clients && h.QueueID >= 0 && h.Offset >= 0 {
		n.resetQueue(c, f, t, &h, out)
		return
	}
	ids, questions := n.resetQuestions(t, &h, clients)
	language := f.Language
	n.inquire(c, f, askAll(questions, func(i *inquiry, out *Output) {
		offsets := make([]remoting.AssignedOffset, len(ids))
		for at, id := range ids {
			offsets[at] = remoting.AssignedOffset{Queue: remoting.MessageQueue{Topic: h.Topic, BrokerName: n.cfg.BrokerName, QueueID: id}, Offset: i.questions[at].answer}
		}
		if clients {
			n.resetClients(i, &h, offsets, language, out)
		} else {
			n.resetHere(i, &h, offsets, out)
		}
	}), out)
}

// resetQuestions asks where in its queues the group is to go on.
func (n *Node) resetQuestions(t *topic, h *remoting.ResetOffsetHeader, clients bool) (ids []int32, questions []question) {
	queues := t.conf.ReadQueues
	if clients {
		queues = t.conf.WriteQueues
	}
	for id := range queues {
		if !clients && h.QueueID >= 0 && h.QueueID != id {
			continue
		}
		ask := question{}
		if q := n.stored(t, id); q != nil {
			if ask = n.offsetAt(q, h.Timestamp, false); h.Timestamp < 0 {
				ask = question{answer: n.visible(q)}
			}
		}
		ids, questions = append(ids, id), append(questions, ask)
	}
	return ids, questions
}

// resetQueue resets one queue to a queue offset.
func (n *Node) resetQueue(c ConnID, f *remoting.Frame, t *topic, h *remoting.ResetOffsetHeader, out *Output) {
	low, high := int64(0), int64(0)
	if q := n.stored(t, h.QueueID); q != nil {
		low, high = q.store.Min(), n.visible(q)
	}
	if h.QueueID >= n.cfg.Limits.Queues || h.Offset < low || h.Offset > high+1 {
		n.refuse(c, f, remoting.ResponseSystemError, fmt.Sprintf("Target offset %d not in consume queue range [%d-%d]", h.Offset, low, high), out)
		return
	}
	offsets := []remoting.AssignedOffset{{Queue: remoting.MessageQueue{Topic: h.Topic, BrokerName: n.cfg.BrokerName, QueueID: h.QueueID}, Offset: h.Offset}}
	n.resetHere(&inquiry{conn: c, frame: *f}, h, offsets, out)
}

// resetHere stores the offsets and has the group's next pull of each queue told. A pull of the group that is parked is told at
// once.
func (n *Node) resetHere(i *inquiry, h *remoting.ResetOffsetHeader, offsets []remoting.AssignedOffset, out *Output) {
	if len(offsets) == 0 {
		n.refuse(i.conn, &i.frame, remoting.ResponseSystemError, "No queues to reset.", out)
		return
	}
	for _, a := range offsets {
		if !n.offsets.resetTo(h.Topic, h.Group, a.Queue.QueueID, a.Offset, n.cfg.Limits.OffsetKeys) {
			n.refuse(i.conn, &i.frame, remoting.ResponseSystemBusy, "too many groups", out)
			return
		}
		q := n.queueFor([]byte(h.Topic), a.Queue.QueueID)
		if q == nil {
			continue
		}
		for _, p := range append([]*poll(nil), q.polls...) {
			if p.group.conf.Name != h.Group {
				continue
			}
			if next, ok := n.offsets.takeReset([]byte(h.Topic), []byte(h.Group), q.id); ok {
				n.polls.unpark(p)
				n.replyReset(p, next, out)
			}
		}
		n.polls.sweep()
	}
	n.okLater(i.conn, &i.frame, func(dst []byte) []byte { return remoting.AppendResetOffsets(dst, offsets) }, out)
}

// replyReset tells a pull to go on elsewhere.
func (n *Node) replyReset(p *poll, next int64, out *Output) {
	n.replyPull(p, remoting.ResponsePullOffsetMoved, fmt.Sprintf("The queue under pulling was previously reset to start from %d", next), next, nil, 0, out)
}

// resetClients has the group's consumers do it.
func (n *Node) resetClients(i *inquiry, h *remoting.ResetOffsetHeader, offsets []remoting.AssignedOffset, language remoting.Language, out *Output) {
	for at := range offsets {
		committed, ok := n.offsets.get([]byte(h.Topic), []byte(h.Group), offsets[at].Queue.QueueID)
		if !ok {
			n.refuse(i.conn, &i.frame, remoting.ResponseSystemError, "THe consumer group <"+h.Group+"> not exist", out)
			return
		}
		if !h.Force {
			offsets[at].Offset = min(offsets[at].Offset, committed)
		}
	}
	g := n.groups.byName[h.Group]
	if g == nil || len(g.clients) == 0 {
		n.refuse(i.conn, &i.frame, remoting.ResponseConsumerNotOnline,
			fmt.Sprintf("Consumer not online, so can not reset offset, Group: %s Topic: %s Timestamp: %d", h.Group, h.Topic, h.Timestamp), out)
		return
	}
	push := remoting.ResetOffsetHeader{Topic: h.Topic, Group: h.Group, QueueID: -1, Offset: -1, Timestamp: h.Timestamp}
	body := remoting.AppendResetOffsets(nil, offsets)
	if language == remoting.CPP {
		body = remoting.AppendResetOffsetsForC(nil, offsets)
	}
	for _, e := range g.clients {
		n.push(e, remoting.RequestResetConsumerClientOffset, push.Append, body, out)
	}
	n.ok(i.conn, &i.frame, remoting.AppendResetOffsets(nil, offsets), out)
}

// resetTo stores a queue offset that the group's next pull is to be told of, and reports whether there was room for it.
// Source: ConsumerOffsetManager.assignResetOffset (RocketMQ 5.3.3).
func (t *offsetTable) resetTo(topic, group string, queueID int32, offset int64, limit int) bool {
	if !t.set([]byte(topic), []byte(group), queueID, offset, limit) {
		return false
	}
	p := t.find([]byte(topic), []byte(group))
	for int(queueID) >= len(p.reset) {
		p.reset = append(p.reset, false)
	}
	if !p.reset[queueID] {
		p.reset[queueID] = true
		t.resets++
	}
	return true
}

// resetPending reports whether the group's consumer of the queue has not heard of its reset.
func (t *offsetTable) resetPending(topic, group []byte, queueID int32) bool {
	if t.resets == 0 {
		return false
	}
	p := t.find(topic, group)
	return p != nil && int(queueID) < len(p.reset) && p.reset[queueID]
}

// takeReset returns where the group's consumer of the queue has to go on, once.
func (t *offsetTable) takeReset(topic, group []byte, queueID int32) (offset int64, ok bool) {
	if !t.resetPending(topic, group, queueID) {
		return 0, false
	}
	p := t.find(topic, group)
	p.reset[queueID] = false
	t.resets--
	return p.offsets[queueID], true
}
