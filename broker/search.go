package broker

import "holdfast/broker/remoting"

// searchOffset serves SEARCH_OFFSET_BY_TIMESTAMP.
func (n *Node) searchOffset(c ConnID, f *remoting.Frame, q *queue, h *remoting.QueueHeader, out *Output) {
	n.inquire(c, f, askAll([]question{n.offsetAt(q, h.Timestamp, h.Upper)}, func(i *inquiry, out *Output) {
		n.answer(i.conn, &i.frame, out, remoting.AppendOffsetReply(nil, i.frame.Form, i.frame.Opaque, i.questions[0].answer))
	}), out)
}

// earliestTime serves GET_EARLIEST_MSG_STORETIME: when the first message of a queue was stored, -1 when there is none.
func (n *Node) earliestTime(c ConnID, f *remoting.Frame, out *Output) {
	var h remoting.QueueHeader
	if err := remoting.ParseQueue(f.Code, f.Ext, &h); err != nil {
		n.refuse(c, f, remoting.ResponseSystemError, err.Error(), out)
		return
	}
	var questions []question
	if q := n.queueFor(h.Topic, h.QueueID); q != nil {
		questions = append(questions, n.storedAt(q, q.store.Min()))
	}
	n.inquire(c, f, askAll(questions, func(i *inquiry, out *Output) {
		at := int64(-1)
		if len(i.questions) > 0 {
			at = i.questions[0].answer
		}
		n.answer(i.conn, &i.frame, out, remoting.AppendStoreTimeReply(nil, i.frame.Form, i.frame.Opaque, at))
	}), out)
}
