package remoting

// MessageQueue names one queue of one broker group.
type MessageQueue struct {
	Topic      string
	BrokerName string
	QueueID    int32
}

func appendMessageQueue(dst []byte, q MessageQueue) []byte {
	o := beginObject(dst)
	o.str("brokerName", q.BrokerName)
	o.integer("queueId", int64(q.QueueID))
	o.str("topic", q.Topic)
	return o.end()
}

func (s *scanner) messageQueue() (q MessageQueue) {
	s.members(func(s *scanner, key string) {
		switch key {
		case "topic":
			q.Topic = s.str()
		case "brokerName":
			q.BrokerName = s.str()
		case "queueId":
			q.QueueID = s.int32()
		default:
			s.skip(0)
		}
	})
	return q
}

func (s *scanner) messageQueues() (queues []MessageQueue) {
	s.array(func() { queues = append(queues, s.messageQueue()) })
	return queues
}

// LockBatch is the body of LOCK_BATCH_MQ and UNLOCK_BATCH_MQ.
type LockBatch struct {
	ConsumerGroup  string
	ClientID       string
	OnlyThisBroker bool
	Queues         []MessageQueue
}

// ParseLockBatch reads a LockBatch body. It errs with ErrBody.
func ParseLockBatch(body []byte) (l LockBatch, err error) {
	err = parseBody(body, func(s *scanner, key string) {
		switch key {
		case "consumerGroup":
			l.ConsumerGroup = s.str()
		case "clientId":
			l.ClientID = s.str()
		case "onlyThisBroker":
			l.OnlyThisBroker = s.boolean()
		case "mqSet":
			l.Queues = s.messageQueues()
		default:
			s.skip(0)
		}
	})
	return l, err
}

// Append appends l as a body.
func (l *LockBatch) Append(dst []byte) []byte {
	o := beginObject(dst)
	o.str("consumerGroup", l.ConsumerGroup)
	o.str("clientId", l.ClientID)
	o.boolean("onlyThisBroker", l.OnlyThisBroker)
	o.with("mqSet", func(dst []byte) []byte { return appendList(dst, l.Queues, appendMessageQueue) })
	return o.end()
}

// AppendLocked appends the body that answers LOCK_BATCH_MQ: the queues that the client now holds.
func AppendLocked(dst []byte, queues []MessageQueue) []byte {
	o := beginObject(dst)
	o.with("lockOKMQSet", func(dst []byte) []byte { return appendList(dst, queues, appendMessageQueue) })
	return o.end()
}

// ParseLocked reads the body that answers LOCK_BATCH_MQ. It errs with ErrBody.
func ParseLocked(body []byte) (queues []MessageQueue, err error) {
	err = parseBody(body, func(s *scanner, key string) {
		if key == "lockOKMQSet" {
			queues = s.messageQueues()
		} else {
			s.skip(0)
		}
	})
	return queues, err
}
