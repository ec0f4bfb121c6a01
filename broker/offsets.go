package broker

import (
	"cmp"
	"slices"

	"holdfast/broker/durability"
	"holdfast/broker/remoting"
)

// progress is how far one group has come in the queues of one topic; -1 where it has committed nothing.
type progress struct {
	key     string // topic@group
	topic   string
	group   string
	offsets []int64 // queue offsets of the next message to consume, by queue id
	reset   []bool  // by queue id: the next pull is to be told to go to offsets, commits until then do not count
}

// offsetTable is the progress of all groups: a map to find it, a slice by key to walk it.
type offsetTable struct {
	byKey   map[string]*progress
	sorted  []*progress
	version remoting.DataVersion
	dirty   bool // changed since the last save
	resets  int  // queues whose consumers have not heard of their reset
	keyBuf  []byte
}

func (t *offsetTable) find(topic, group []byte) *progress {
	t.keyBuf = append(append(append(t.keyBuf[:0], topic...), '@'), group...)
	return t.byKey[string(t.keyBuf)]
}

// get returns the queue offset that group committed; ok is false when there is none.
func (t *offsetTable) get(topic, group []byte, queueID int32) (offset int64, ok bool) {
	p := t.find(topic, group)
	if p == nil || int(queueID) >= len(p.offsets) || p.offsets[queueID] < 0 {
		return 0, false
	}
	return p.offsets[queueID], true
}

// set stores a queue offset and reports whether there was room for it.
func (t *offsetTable) set(topic, group []byte, queueID int32, offset int64, limit int) bool {
	p := t.find(topic, group)
	if p == nil {
		if len(t.sorted) >= limit {
			return false
		}
		p = &progress{key: string(t.keyBuf), topic: string(topic), group: string(group)}
		t.byKey[p.key] = p
		at, _ := slices.BinarySearchFunc(t.sorted, p.key, func(e *progress, key string) int { return cmp.Compare(e.key, key) })
		t.sorted = slices.Insert(t.sorted, at, p)
	}
	for int(queueID) >= len(p.offsets) {
		p.offsets = append(p.offsets, -1)
	}
	if p.offsets[queueID] != offset {
		p.offsets[queueID] = offset
		t.dirty = true
		t.version.Counter++
	}
	return true
}

func (t *offsetTable) table() remoting.ConsumerOffsetTable {
	total := 0
	for _, p := range t.sorted {
		total += len(p.offsets)
	}
	out := remoting.ConsumerOffsetTable{DataVersion: t.version, Groups: make([]remoting.GroupOffsets, 0, len(t.sorted))}
	all := make([]remoting.QueueOffset, 0, total) // one allocation: the node is held meanwhile
	for _, p := range t.sorted {
		first := len(all)
		for id, offset := range p.offsets {
			if offset >= 0 {
				all = append(all, remoting.QueueOffset{QueueID: int32(id), Offset: offset})
			}
		}
		out.Groups = append(out.Groups, remoting.GroupOffsets{Topic: p.topic, Group: p.group, Offsets: all[first:len(all):len(all)]})
	}
	return out
}

// merge takes over all that other holds, also smaller offsets, as a slave does with its master's table: progress committed
// at the slave while the master was away is lost. Source: SlaveSynchronize.syncConsumerOffset (RocketMQ 5.3.3), issue 1094.
func (t *offsetTable) merge(other *remoting.ConsumerOffsetTable, limits *Limits) {
	for _, g := range other.Groups {
		for _, q := range g.Offsets {
			if q.QueueID >= 0 && q.QueueID < limits.Queues && q.Offset >= 0 {
				t.set([]byte(g.Topic), []byte(g.Group), q.QueueID, q.Offset, limits.OffsetKeys)
			}
		}
	}
}

// queryOffset serves QUERY_CONSUMER_OFFSET. Source: ConsumerManageProcessor.queryConsumerOffset (RocketMQ 5.3.3).
func (n *Node) queryOffset(c ConnID, f *remoting.Frame, out *Output) {
	var h remoting.ConsumerOffsetHeader
	if err := remoting.ParseConsumerOffset(f.Code, f.Ext, &h); err != nil {
		n.refuse(c, f, remoting.ResponseSystemError, err.Error(), out)
		return
	}
	offset, ok := int64(0), false
	if h.QueueID >= 0 {
		offset, ok = n.offsets.get(h.Topic, h.ConsumerGroup, h.QueueID)
	}
	if !ok {
		// A new group begins at 0 where that still exists, so that it misses nothing. RocketMQ 5 has it begin at the end of a queue without
		// messages, as its consumer wishes: what comes before it has asked for the end is passed over.
		q := n.queueFor(h.Topic, h.QueueID)
		ok = h.SetZeroIfNotFound && q != nil && q.store.Min() <= 0 && (n.cfg.Choice.Profile != durability.RocketMQ5 || n.visible(q) > 0)
	}
	if !ok {
		remark := "Not found, V3_0_6_SNAPSHOT maybe this group consumer boot first"
		if !h.SetZeroIfNotFound {
			remark = "Not found, do not set to zero, maybe this group boot first"
		}
		n.refuse(c, f, remoting.ResponseQueryNotFound, remark, out)
		return
	}
	n.answer(c, f, out, remoting.AppendOffsetReply(nil, f.Form, f.Opaque, offset))
}

// updateOffset serves UPDATE_CONSUMER_OFFSET.
func (n *Node) updateOffset(c ConnID, f *remoting.Frame, out *Output) {
	var h remoting.ConsumerOffsetHeader
	if err := remoting.ParseConsumerOffset(f.Code, f.Ext, &h); err != nil {
		n.refuse(c, f, remoting.ResponseSystemError, err.Error(), out)
		return
	}
	switch {
	case n.topics.get(h.Topic) == nil:
		n.refuse(c, f, remoting.ResponseTopicNotExist, "the topic["+string(h.Topic)+"] not exist", out)
	case h.QueueID < 0 || int(h.QueueID) >= len(n.topics.get(h.Topic).queues):
		n.refuse(c, f, remoting.ResponseInvalidParameter, "queueId is out of range", out)
	case n.groupOf(h.ConsumerGroup, out) == nil:
		n.refuse(c, f, remoting.ResponseSubscriptionGroupNotExist, "the group["+string(h.ConsumerGroup)+"] not exist", out)
	case h.CommitOffset < 0: // Apache's Go client commits -1 for what it was not told an offset of; RocketMQ forgets the offset then
		n.ok(c, f, nil, out)
	case n.offsets.resetPending(h.Topic, h.ConsumerGroup, h.QueueID):
		n.answer(c, f, out, remoting.AppendReply(nil, f.Form, remoting.ResponseSuccess, f.Opaque, "Offset has been previously reset", nil))
	case !n.offsets.set(h.Topic, h.ConsumerGroup, h.QueueID, h.CommitOffset, n.cfg.Limits.OffsetKeys):
		n.refuse(c, f, remoting.ResponseSystemBusy, "too many groups", out)
	default:
		n.ok(c, f, nil, out)
	}
}

// queueOffset serves GET_MAX_OFFSET, GET_MIN_OFFSET and SEARCH_OFFSET_BY_TIMESTAMP.
func (n *Node) queueOffset(c ConnID, f *remoting.Frame, out *Output) {
	var h remoting.QueueHeader
	if err := remoting.ParseQueue(f.Code, f.Ext, &h); err != nil {
		n.refuse(c, f, remoting.ResponseSystemError, err.Error(), out)
		return
	}
	offset := int64(0)
	if q := n.queueFor(h.Topic, h.QueueID); q != nil {
		switch f.Code {
		case remoting.RequestGetMaxOffset:
			offset = n.visible(q)
		case remoting.RequestGetMinOffset:
			offset = q.store.Min()
		default:
			n.searchOffset(c, f, q, &h, out)
			return
		}
	}
	n.answer(c, f, out, remoting.AppendOffsetReply(nil, f.Form, f.Opaque, offset))
}
