package broker

import (
	"slices"
)

// MessageType is RocketMQ 5's kind of a message, as metrics name it.
// Source: BrokerMetricsManager.getMessageType (RocketMQ 5.3.3).
type MessageType uint8

// The kinds that this broker takes.
const (
	MessageNormal MessageType = iota
	MessageFIFO               // with a sharding key
	MessageDelay              // with a delay level
	messageTypes  = iota
)

// String returns the word that stands for t in metrics.
func (t MessageType) String() string {
	return [messageTypes]string{"normal", "fifo", "delay"}[t]
}

// MessageSizes are the upper bounds (bytes) of Inflow.Sizes but the last, which has none.
// Source: BrokerMetricsManager.registerMetricsView (RocketMQ 5.3.3).
var MessageSizes = [6]int{1 << 10, 4 << 10, 512 << 10, 1 << 20, 2 << 20, 4 << 20}

// Inflow counts the messages of one type that were stored in a topic since the start. It is part of its topic, so that a put
// counts without looking anything up.
type Inflow struct {
	Messages uint64
	Bytes    uint64 // of their records
	Sizes    [len(MessageSizes) + 1]uint64
}

// add counts messages that were stored together; of a batch only their mean size is known.
func (f *Inflow) add(count, bytes int) {
	f.Messages += uint64(count)
	f.Bytes += uint64(bytes)
	size, i := bytes/count, 0
	for i < len(MessageSizes) && size > MessageSizes[i] {
		i++
	}
	f.Sizes[i] += uint64(count)
}

// Outflow counts what one group got from a topic since the start.
type Outflow struct {
	Messages uint64
	Bytes    uint64
	Dead     uint64 // messages that it gave up, now among its dead letters
}

// outflow is the Outflow of a group, with how far it has pulled.
type outflow struct {
	Outflow
	group  string
	pulled []int64 // by queue id: the queue offset behind the last message handed out; 0 for none
	trend  *trend  // of Messages; nil for none
}

func (o *outflow) add(count, bytes int, queueID int32, next int64) {
	o.Messages += uint64(count)
	o.Bytes += uint64(bytes)
	for int(queueID) >= len(o.pulled) {
		o.pulled = append(o.pulled, 0)
	}
	o.pulled[queueID] = next
}

// outflow returns the counter of a group in a topic. There are as many as there may be pairs with offsets; what is beyond is
// counted together.
func (n *Node) outflow(t *topic, group []byte) *outflow {
	at, found := t.outflowAt(group)
	if found {
		return t.out[at]
	}
	if n.outflows >= n.cfg.Limits.OffsetKeys {
		return &n.outRest
	}
	n.outflows++
	t.out = slices.Insert(t.out, at, &outflow{group: string(group)})
	return t.out[at]
}

func (t *topic) outflowAt(group []byte) (int, bool) {
	return slices.BinarySearchFunc(t.out, group, func(e *outflow, group []byte) int {
		switch {
		case e.group < string(group):
			return -1
		case e.group > string(group):
			return 1
		}
		return 0
	})
}

// scheduleGroup is the group that stands for the delivery of delayed messages. Source: MixAll.SCHEDULE_CONSUMER_GROUP (5.3.3).
var scheduleGroup = []byte("SCHEDULE_CONSUMER")
