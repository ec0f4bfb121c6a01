package remoting

// PushReplyHeader is the header of PUSH_REPLY_MESSAGE_TO_CLIENT: that of the reply message as it was sent, and where and when it came.
// Source: ReplyMessageRequestHeader (RocketMQ 5.3.3).
type PushReplyHeader struct {
	SendHeader
	BornHost, StoreHost string // as ip:port
	StoreTimestamp      int64  // Unix ms
}

// Append appends h's fields.
func (h *PushReplyHeader) Append(w *Writer) {
	w.Text("producerGroup", h.ProducerGroup)
	w.Text("topic", h.Topic)
	w.Text("defaultTopic", h.DefaultTopic)
	w.Int("defaultTopicQueueNums", int64(h.DefaultTopicQueueNums))
	w.Int("queueId", int64(h.QueueID))
	w.Int("sysFlag", int64(h.SysFlag))
	w.Int("bornTimestamp", h.BornTimestamp)
	w.Int("flag", int64(h.Flag))
	w.Text("properties", h.Properties)
	w.Int("reconsumeTimes", int64(h.ReconsumeTimes))
	w.Bool("unitMode", h.UnitMode)
	w.String("bornHost", h.BornHost)
	w.String("storeHost", h.StoreHost)
	w.Int("storeTimestamp", h.StoreTimestamp)
}
