package remoting

// SendBackHeader is the header of CONSUMER_SEND_MSG_BACK: a consumer gives a message back to have it delivered later.
// Source: ConsumerSendMsgBackRequestHeader (RocketMQ 5.3.3).
type SendBackHeader struct {
	Offset            int64 // physical offset of the message
	Group             string
	DelayLevel        int32 // below 0: to the dead letters at once; 0: the broker chooses
	OriginMsgID       string
	OriginTopic       string
	UnitMode          bool
	MaxReconsumeTimes int32 // NoLimit when absent
}

// ParseSendBack reads the header. It errs with ErrField.
func ParseSendBack(e Ext) (SendBackHeader, error) {
	r := reader{ext: e}
	h := SendBackHeader{
		Offset:            r.integer("offset"),
		Group:             r.str("group"),
		DelayLevel:        r.int32("delayLevel"),
		OriginMsgID:       r.optional("originMsgId"),
		OriginTopic:       r.optional("originTopic"),
		UnitMode:          r.boolean("unitMode", false),
		MaxReconsumeTimes: r.optionalInt32("maxReconsumeTimes", NoLimit),
	}
	return h, r.err
}

// Append appends h's fields.
func (h *SendBackHeader) Append(w *Writer) {
	w.Int("offset", h.Offset)
	w.String("group", h.Group)
	w.Int("delayLevel", int64(h.DelayLevel))
	w.OptionalString("originMsgId", h.OriginMsgID)
	w.OptionalString("originTopic", h.OriginTopic)
	w.Bool("unitMode", h.UnitMode)
	if h.MaxReconsumeTimes != NoLimit {
		w.Int("maxReconsumeTimes", int64(h.MaxReconsumeTimes))
	}
}

// What EndTransactionHeader.Outcome may be: the transaction bits of a record's SysFlag.
const (
	TransactionUnknown  int32 = 0
	TransactionCommit   int32 = 8
	TransactionRollback int32 = 12
)

// EndTransactionHeader is the header of END_TRANSACTION. Source: EndTransactionRequestHeader (RocketMQ 5.3.3).
type EndTransactionHeader struct {
	ProducerGroup string
	TableOffset   int64 // queue offset of the half message
	CommitOffset  int64 // physical offset of the half message
	Outcome       int32
	FromCheck     bool
	MsgID         string
	TransactionID string
}

// ParseEndTransaction reads the header. It errs with ErrField.
func ParseEndTransaction(e Ext) (EndTransactionHeader, error) {
	r := reader{ext: e}
	h := EndTransactionHeader{
		ProducerGroup: r.str("producerGroup"),
		TableOffset:   r.integer("tranStateTableOffset"),
		CommitOffset:  r.integer("commitLogOffset"),
		Outcome:       r.int32("commitOrRollback"),
		FromCheck:     r.boolean("fromTransactionCheck", false),
		MsgID:         r.optional("msgId"),
		TransactionID: r.optional("transactionId"),
	}
	return h, r.err
}

// Append appends h's fields.
func (h *EndTransactionHeader) Append(w *Writer) {
	w.String("producerGroup", h.ProducerGroup)
	w.Int("tranStateTableOffset", h.TableOffset)
	w.Int("commitLogOffset", h.CommitOffset)
	w.Int("commitOrRollback", int64(h.Outcome))
	w.Bool("fromTransactionCheck", h.FromCheck)
	w.OptionalString("msgId", h.MsgID)
	w.OptionalString("transactionId", h.TransactionID)
}

// CheckTransactionHeader is the header of CHECK_TRANSACTION_STATE, which the broker sends to a producer; the body is the
// half message as a record. Source: CheckTransactionStateRequestHeader (RocketMQ 5.3.3).
type CheckTransactionHeader struct {
	TableOffset   int64 // queue offset of the half message
	CommitOffset  int64 // physical offset of the half message
	MsgID         string
	TransactionID string
	OffsetMsgID   string
}

// ParseCheckTransaction reads the header. It errs with ErrField.
func ParseCheckTransaction(e Ext) (CheckTransactionHeader, error) {
	r := reader{ext: e}
	h := CheckTransactionHeader{r.integer("tranStateTableOffset"), r.integer("commitLogOffset"), r.optional("msgId"),
		r.optional("transactionId"), r.optional("offsetMsgId")}
	return h, r.err
}

// Append appends h's fields.
func (h *CheckTransactionHeader) Append(w *Writer) {
	w.Int("tranStateTableOffset", h.TableOffset)
	w.Int("commitLogOffset", h.CommitOffset)
	w.OptionalString("msgId", h.MsgID)
	w.OptionalString("transactionId", h.TransactionID)
	w.OptionalString("offsetMsgId", h.OffsetMsgID)
}

// QueueStats is the range of queue offsets that a queue holds, and the store time (Unix ms) of its last message.
type QueueStats struct {
	Queue                MessageQueue
	MinOffset, MaxOffset int64
	LastUpdateTimestamp  int64
}

// AppendTopicStats appends the body that answers GET_TOPIC_STATS_INFO; as in Apache's, the keys of the table are objects.
// rate is the messages put in a second, in thousandths.
func AppendTopicStats(dst []byte, queues []QueueStats, rate int64) []byte {
	o := beginObject(dst)
	o.with("offsetTable", func(dst []byte) []byte {
		return appendQueueTable(dst, len(queues), func(dst []byte, i int) []byte {
			q := &queues[i]
			o := beginObject(append(appendMessageQueue(dst, q.Queue), ':'))
			o.integer("lastUpdateTimestamp", q.LastUpdateTimestamp)
			o.integer("maxOffset", q.MaxOffset)
			o.integer("minOffset", q.MinOffset)
			return o.end()
		})
	})
	o.thousandths("topicPutTps", rate)
	return o.end()
}

// ParseTopicStats reads the body that answers GET_TOPIC_STATS_INFO. It errs with ErrBody.
func ParseTopicStats(body []byte) (queues []QueueStats, err error) {
	err = parseBody(body, func(s *scanner, key string) {
		if key != "offsetTable" {
			s.skip(0)
			return
		}
		s.queueTable(func(queue MessageQueue) {
			q := QueueStats{Queue: queue}
			s.queueStats(&q)
			queues = append(queues, q)
		})
	})
	return queues, err
}

func (s *scanner) queueStats(q *QueueStats) {
	s.members(func(s *scanner, key string) {
		switch key {
		case "minOffset":
			q.MinOffset = s.integer()
		case "maxOffset":
			q.MaxOffset = s.integer()
		case "lastUpdateTimestamp":
			q.LastUpdateTimestamp = s.integer()
		default:
			s.skip(0)
		}
	})
}

// Connection is one client of a group.
type Connection struct {
	ClientID   string
	ClientAddr string
	Language   Language
	Version    int16
}

// ConsumerConnections is the body that answers GET_CONSUMER_CONNECTION_LIST and, with Connections alone,
// GET_PRODUCER_CONNECTION_LIST.
type ConsumerConnections struct {
	Connections []Connection
	Data        ConsumerData // of the group; Group is not on the wire
}

// Append appends c as a body.
func (c *ConsumerConnections) Append(dst []byte) []byte {
	o := beginObject(dst)
	o.with("connectionSet", func(dst []byte) []byte { return appendList(dst, c.Connections, appendConnection) })
	if c.Data.Type != "" {
		o.str("consumeFromWhere", c.Data.FromWhere)
		o.str("consumeType", c.Data.Type)
		o.str("messageModel", c.Data.Model)
		o.with("subscriptionTable", func(dst []byte) []byte {
			table := beginObject(dst)
			for _, sub := range c.Data.Subscriptions {
				table.name(sub.Topic)
				table.b = appendSubscription(table.b, sub)
			}
			return table.end()
		})
	}
	return o.end()
}

func appendConnection(dst []byte, c Connection) []byte {
	o := beginObject(dst)
	o.str("clientAddr", c.ClientAddr)
	o.str("clientId", c.ClientID)
	o.str("language", c.Language.String())
	o.integer("version", int64(c.Version))
	return o.end()
}
