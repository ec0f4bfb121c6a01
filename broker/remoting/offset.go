package remoting

// ConsumerOffsetHeader is the header of QUERY_CONSUMER_OFFSET and UPDATE_CONSUMER_OFFSET. Its texts alias the frame.
// Source: QueryConsumerOffsetRequestHeader, UpdateConsumerOffsetRequestHeader (RocketMQ 5.3.3).
type ConsumerOffsetHeader struct {
	ConsumerGroup     []byte
	Topic             []byte
	QueueID           int32
	CommitOffset      int64 // queue offset of the next message to consume; UPDATE only
	SetZeroIfNotFound bool  // true when absent; QUERY only
}

// ParseConsumerOffset reads the header of the request with that code. It errs with ErrField.
func ParseConsumerOffset(code int32, e Ext, h *ConsumerOffsetHeader) error {
	r := reader{ext: e}
	*h = ConsumerOffsetHeader{
		ConsumerGroup:     r.text("consumerGroup"),
		Topic:             r.text("topic"),
		QueueID:           r.int32("queueId"),
		SetZeroIfNotFound: r.boolean("setZeroIfNotFound", true),
	}
	if code == RequestUpdateConsumerOffset {
		h.CommitOffset = r.integer("commitOffset")
	}
	return r.err
}

// Append appends the fields of the request with that code.
func (h *ConsumerOffsetHeader) Append(w *Writer, code int32) {
	w.Text("consumerGroup", h.ConsumerGroup)
	w.Text("topic", h.Topic)
	w.Int("queueId", int64(h.QueueID))
	if code == RequestUpdateConsumerOffset {
		w.Int("commitOffset", h.CommitOffset)
	} else if !h.SetZeroIfNotFound {
		w.Bool("setZeroIfNotFound", false)
	}
}

// QueueHeader is the header of GET_MAX_OFFSET, GET_MIN_OFFSET, SEARCH_OFFSET_BY_TIMESTAMP and
// GET_EARLIEST_MSG_STORETIME. Its texts alias the frame.
// Source: GetMaxOffsetRequestHeader, SearchOffsetRequestHeader (RocketMQ 5.3.3).
type QueueHeader struct {
	Topic     []byte
	QueueID   int32
	Timestamp int64 // Unix ms; SEARCH only
	Upper     bool  // the last message of that time instead of the first; SEARCH only
	Committed bool  // true when absent; GET_MAX_OFFSET only
}

// ParseQueue reads the header of the request with that code. It errs with ErrField.
func ParseQueue(code int32, e Ext, h *QueueHeader) error {
	r := reader{ext: e}
	*h = QueueHeader{Topic: r.text("topic"), QueueID: r.int32("queueId"), Committed: r.boolean("committed", true)}
	if code == RequestSearchOffsetByTimestamp {
		h.Timestamp = r.integer("timestamp")
		boundary, _ := e.Get("boundaryType")
		h.Upper = string(boundary) == "upper" || string(boundary) == "UPPER"
	}
	return r.err
}

// Append appends the fields of the request with that code.
func (h *QueueHeader) Append(w *Writer, code int32) {
	w.Text("topic", h.Topic)
	w.Int("queueId", int64(h.QueueID))
	if code == RequestSearchOffsetByTimestamp {
		w.Int("timestamp", h.Timestamp)
		if h.Upper {
			w.String("boundaryType", "upper")
		}
	}
}

// AppendOffsetReply appends the whole reply frame that answers with one queue offset, in the form of its request.
func AppendOffsetReply(dst []byte, form Form, opaque int32, queueOffset int64) []byte {
	return appendNumberReply(dst, form, opaque, "offset", queueOffset)
}

// AppendStoreTimeReply appends the whole reply frame of GET_EARLIEST_MSG_STORETIME, in Unix ms.
func AppendStoreTimeReply(dst []byte, form Form, opaque int32, timestamp int64) []byte {
	return appendNumberReply(dst, form, opaque, "timestamp", timestamp)
}

func appendNumberReply(dst []byte, form Form, opaque int32, key string, value int64) []byte {
	head := Frame{Opaque: opaque, Flag: FlagResponse, Version: Version, Language: Go, Form: form}
	w := Begin(dst, &head)
	w.Int(key, value)
	return w.Finish(nil)
}

// ParseOffsetReply returns the queue offset of a reply to QUERY_CONSUMER_OFFSET, GET_MAX_OFFSET, GET_MIN_OFFSET or
// SEARCH_OFFSET_BY_TIMESTAMP. It errs with ErrField.
func ParseOffsetReply(e Ext) (int64, error) {
	r := reader{ext: e}
	return r.integer("offset"), r.err
}
