package broker

import (
	"fmt"

	"holdfast/broker/remoting"
)

// queueUnitsMax bounds how many units one answer holds.
const queueUnitsMax = 256

// queueUnits serves QUERY_CONSUME_QUEUE: what stands in a consume queue.
// Source: AdminBrokerProcessor.queryConsumeQueue (RocketMQ 5.3.3).
func (n *Node) queueUnits(c ConnID, f *remoting.Frame, out *Output) {
	h, err := remoting.ParseConsumeQueue(f.Ext)
	if err != nil {
		n.refuse(c, f, remoting.ResponseSystemError, err.Error(), out)
		return
	}
	var q *queue
	if t := n.topics.byName[h.Topic]; t != nil && h.QueueID >= 0 {
		q = n.stored(t, h.QueueID)
	}
	if q == nil {
		n.refuse(c, f, remoting.ResponseSystemError, fmt.Sprintf("%d@%s is not exist!", h.QueueID, h.Topic), out)
		return
	}
	low, high := q.store.Min(), n.visible(q)
	if h.Index < low || h.Index >= high {
		n.answer(c, f, out, remoting.AppendReply(nil, f.Form, remoting.ResponseSuccess, f.Opaque,
			fmt.Sprintf("Index %d of %d@%s is not exist!", h.Index, h.QueueID, h.Topic), nil))
		return
	}
	body := remoting.ConsumeQueueUnits{Min: low, Max: high}
	if h.ConsumerGroup != "" {
		body.Filter = "null"
		if g := n.groups.byName[h.ConsumerGroup]; g != nil && len(g.clients) > 0 {
			body.Subscription = g.subscription([]byte(h.Topic))
		}
		if body.Subscription == nil {
			body.Filter = fmt.Sprintf("%s@%s is not online!", h.ConsumerGroup, h.Topic)
		}
	}
	asked := false
	n.inquire(c, f, func(i *inquiry, out *Output) bool {
		units := n.store.Units(q.store, h.Index, int(min(int64(h.Count), queueUnitsMax, high-h.Index)))
		if units == nil && !asked { // not in memory: a question reads what is needed
			asked = true
			i.questions = append(i.questions[:0], n.storedAt(q, h.Index))
			return true
		}
		for _, u := range units {
			body.Units = append(body.Units, remoting.QueueUnit{PhysOffset: u.Phys, Bytes: u.Bytes, TagsCode: u.Tags})
		}
		n.okLater(i.conn, &i.frame, body.Append, out)
		return false
	}, out)
}
