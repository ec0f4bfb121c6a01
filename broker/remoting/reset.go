package remoting

import "strconv"

// ResetOffsetHeader is the header of INVOKE_BROKER_TO_RESET_OFFSET and RESET_CONSUMER_CLIENT_OFFSET.
// Source: ResetOffsetRequestHeader (RocketMQ 5.3.3).
type ResetOffsetHeader struct {
	Topic     string
	Group     string
	QueueID   int32 // below 0: all queues
	Offset    int64 // queue offset, with QueueID; -1: Timestamp says it
	Timestamp int64 // Unix ms; -1: the end of each queue
	Force     bool  // also where that leads forward
}

// ParseResetOffset reads the header. It errs with ErrField.
func ParseResetOffset(e Ext) (ResetOffsetHeader, error) {
	r := reader{ext: e}
	h := ResetOffsetHeader{Topic: r.str("topic"), Group: r.str("group"), QueueID: r.optionalInt32("queueId", -1),
		Offset: r.optionalInteger("offset", -1), Timestamp: r.integer("timestamp"), Force: r.boolean("isForce", false) || r.boolean("force", false)}
	return h, r.err
}

// Append appends h's fields.
func (h *ResetOffsetHeader) Append(w *Writer) {
	w.String("topic", h.Topic)
	w.String("group", h.Group)
	w.Int("queueId", int64(h.QueueID))
	if h.Offset >= 0 {
		w.Int("offset", h.Offset)
	}
	w.Int("timestamp", h.Timestamp)
	w.Bool("isForce", h.Force)
}

// AssignedOffset is the queue offset that a group goes on from in a queue.
type AssignedOffset struct {
	Queue  MessageQueue
	Offset int64
}

// AppendResetOffsets appends the body of RESET_CONSUMER_CLIENT_OFFSET, and that which answers
// INVOKE_BROKER_TO_RESET_OFFSET. Source: ResetOffsetBody (RocketMQ 5.3.3).
func AppendResetOffsets(dst []byte, offsets []AssignedOffset) []byte {
	o := beginObject(dst)
	o.with("offsetTable", func(dst []byte) []byte { return appendAssigned(dst, offsets) })
	return o.end()
}

func appendAssigned(dst []byte, offsets []AssignedOffset) []byte {
	return appendQueueTable(dst, len(offsets), func(dst []byte, i int) []byte {
		return strconv.AppendInt(append(appendMessageQueue(dst, offsets[i].Queue), ':'), offsets[i].Offset, 10)
	})
}

// AppendResetOffsetsForC appends what AppendResetOffsets does as C++ clients read it: a list.
// Source: ResetOffsetBodyForC, MessageQueueForC (RocketMQ 5.3.3).
func AppendResetOffsetsForC(dst []byte, offsets []AssignedOffset) []byte {
	o := beginObject(dst)
	o.with("offsetTable", func(dst []byte) []byte {
		return appendList(dst, offsets, func(dst []byte, a AssignedOffset) []byte {
			o := beginObject(dst)
			o.str("brokerName", a.Queue.BrokerName)
			o.integer("offset", a.Offset)
			o.integer("queueId", int64(a.Queue.QueueID))
			o.str("topic", a.Queue.Topic)
			return o.end()
		})
	})
	return o.end()
}

// ParseResetOffsets reads the body that AppendResetOffsets appends. It errs with ErrBody.
func ParseResetOffsets(body []byte) (offsets []AssignedOffset, err error) {
	err = parseBody(body, func(s *scanner, key string) {
		if key == "offsetTable" {
			offsets = s.assigned()
		} else {
			s.skip(0)
		}
	})
	return offsets, err
}

func (s *scanner) assigned() (offsets []AssignedOffset) {
	s.queueTable(func(q MessageQueue) { offsets = append(offsets, AssignedOffset{q, s.integer()}) })
	return offsets
}

// ConsumerStatusHeader is the header of INVOKE_BROKER_TO_GET_CONSUMER_STATUS and GET_CONSUMER_STATUS_FROM_CLIENT.
type ConsumerStatusHeader struct {
	Topic, Group string
	ClientID     string // "": every client of the group; named clientAddr on the wire
}

// ParseConsumerStatus reads the header. It errs with ErrField.
func ParseConsumerStatus(e Ext) (ConsumerStatusHeader, error) {
	r := reader{ext: e}
	h := ConsumerStatusHeader{r.str("topic"), r.str("group"), r.optional("clientAddr")}
	return h, r.err
}

// Append appends h's fields.
func (h *ConsumerStatusHeader) Append(w *Writer) {
	w.String("topic", h.Topic)
	w.String("group", h.Group)
	w.OptionalString("clientAddr", h.ClientID)
}

// ClientOffsets is how far one client has come in its queues.
type ClientOffsets struct {
	ClientID string
	Offsets  []AssignedOffset
}

// AppendConsumerStatus appends the body that answers INVOKE_BROKER_TO_GET_CONSUMER_STATUS.
// Source: GetConsumerStatusBody (RocketMQ 5.3.3).
func AppendConsumerStatus(dst []byte, clients []ClientOffsets) []byte {
	o := beginObject(dst)
	o.with("consumerTable", func(dst []byte) []byte {
		o := beginObject(dst)
		for _, c := range clients {
			o.with(c.ClientID, func(dst []byte) []byte { return appendAssigned(dst, c.Offsets) })
		}
		return o.end()
	})
	o.with("messageQueueTable", appendEmpty)
	return o.end()
}

// ParseClientStatus reads the body with which a client answers GET_CONSUMER_STATUS_FROM_CLIENT. It errs with ErrBody.
func ParseClientStatus(body []byte) (offsets []AssignedOffset, err error) {
	err = parseBody(body, func(s *scanner, key string) {
		if key == "messageQueueTable" {
			offsets = s.assigned()
		} else {
			s.skip(0)
		}
	})
	return offsets, err
}

// ClientHeader is the header of GET_CONSUMER_RUNNING_INFO, and the part of CONSUME_MESSAGE_DIRECTLY that a broker looks at.
type ClientHeader struct {
	ConsumerGroup string
	ClientID      string
	MsgID         string // offset id of the message to consume
	Topic         string
}

// ParseClient reads the header. It errs with ErrField.
func ParseClient(e Ext) (ClientHeader, error) {
	r := reader{ext: e}
	h := ClientHeader{r.str("consumerGroup"), r.optional("clientId"), r.optional("msgId"), r.optional("topic")}
	return h, r.err
}

// CloneOffsetHeader is the header of CLONE_GROUP_OFFSET. Source: CloneGroupOffsetRequestHeader (RocketMQ 5.3.3).
type CloneOffsetHeader struct {
	From, To string // groups
	Topic    string // "": every topic that From has offsets for
	Offline  bool   // whether or not From subscribes to it
}

// ParseCloneOffset reads the header. It errs with ErrField.
func ParseCloneOffset(e Ext) (CloneOffsetHeader, error) {
	r := reader{ext: e}
	h := CloneOffsetHeader{r.str("srcGroup"), r.str("destGroup"), r.optional("topic"), r.boolean("offline", false)}
	return h, r.err
}
