package remoting

import "strings"

// ConsumeStatsHeader is the header of GET_CONSUME_STATS. Source: GetConsumeStatsRequestHeader (RocketMQ 5.3.3).
type ConsumeStatsHeader struct {
	ConsumerGroup string
	Topic         string   // "": every topic that the group has offsets for
	Topics        []string // 5.x: instead of Topic, whether or not the group subscribes to them
}

// ParseConsumeStats reads the header. It errs with ErrField.
func ParseConsumeStats(e Ext) (ConsumeStatsHeader, error) {
	r := reader{ext: e}
	h := ConsumeStatsHeader{ConsumerGroup: r.str("consumerGroup"), Topic: r.optional("topic")}
	for topic := range strings.SplitSeq(r.optional("topicList"), ";") {
		if topic != "" {
			h.Topics = append(h.Topics, topic)
		}
	}
	return h, r.err
}

// Append appends h's fields.
func (h *ConsumeStatsHeader) Append(w *Writer) {
	w.String("consumerGroup", h.ConsumerGroup)
	w.OptionalString("topic", h.Topic)
	w.OptionalString("topicList", strings.Join(h.Topics, ";"))
}

// QueueProgress is how far a group has come in one queue. Source: OffsetWrapper (RocketMQ 5.3.3).
type QueueProgress struct {
	Queue          MessageQueue
	BrokerOffset   int64 // queue offset behind the last message that may be read
	ConsumerOffset int64 // queue offset of the next message to consume
	PullOffset     int64 // queue offset of the next message to pull, never below ConsumerOffset
	LastTimestamp  int64 // store time, Unix ms, of the message before ConsumerOffset; 0: there is none
}

// ConsumeStats is the body that answers GET_CONSUME_STATS. Rate is the messages handed out in a second, in thousandths.
type ConsumeStats struct {
	Queues []QueueProgress
	Rate   int64
}

// Append appends s as a body; as in Apache's, the keys of the table are objects.
func (s *ConsumeStats) Append(dst []byte) []byte {
	o := beginObject(dst)
	o.thousandths("consumeTps", s.Rate)
	o.with("offsetTable", func(dst []byte) []byte {
		return appendQueueTable(dst, len(s.Queues), func(dst []byte, i int) []byte {
			q := &s.Queues[i]
			dst = append(appendMessageQueue(dst, q.Queue), ':')
			o := beginObject(dst)
			o.integer("brokerOffset", q.BrokerOffset)
			o.integer("consumerOffset", q.ConsumerOffset)
			o.integer("lastTimestamp", q.LastTimestamp)
			o.integer("pullOffset", q.PullOffset)
			return o.end()
		})
	})
	return o.end()
}

// appendQueueTable appends an object of n members whose keys are objects; each appends key, colon and value of one.
func appendQueueTable(dst []byte, n int, each func(dst []byte, i int) []byte) []byte {
	dst = append(dst, '{')
	for i := range n {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = each(dst, i)
	}
	return append(dst, '}')
}

// ParseConsumeStatsBody reads the body that answers GET_CONSUME_STATS; its rate is passed over. It errs with ErrBody.
func ParseConsumeStatsBody(body []byte) (stats ConsumeStats, err error) {
	err = parseBody(body, func(s *scanner, key string) {
		if key != "offsetTable" {
			s.skip(0)
			return
		}
		s.queueTable(func(queue MessageQueue) {
			q := QueueProgress{Queue: queue}
			s.members(func(s *scanner, key string) {
				switch key {
				case "brokerOffset":
					q.BrokerOffset = s.integer()
				case "consumerOffset":
					q.ConsumerOffset = s.integer()
				case "pullOffset":
					q.PullOffset = s.integer()
				case "lastTimestamp":
					q.LastTimestamp = s.integer()
				default:
					s.skip(0)
				}
			})
			stats.Queues = append(stats.Queues, q)
		})
	})
	return stats, err
}

// queueTable walks an object whose keys are queues, as objects or as the texts of such; each must consume the value.
func (s *scanner) queueTable(each func(MessageQueue)) {
	s.object(func(key []byte) {
		k := scanner{b: key}
		queue := k.messageQueue()
		s.bad = s.bad || !k.end()
		each(queue)
	})
}

// GroupConsumeStats is the progress of one group in the topics that it reads, each of them apart.
type GroupConsumeStats struct {
	Group  string
	Topics []ConsumeStats
}

// BrokerConsumeStats is the body that answers GET_BROKER_CONSUME_STATS. Source: ConsumeStatsList (RocketMQ 5.3.3).
type BrokerConsumeStats struct {
	BrokerAddr string
	Groups     []GroupConsumeStats
	Behind     int64 // messages that groups have not consumed
	Inflight   int64 // messages that were pulled and not consumed
}

// Append appends b as a body.
func (b *BrokerConsumeStats) Append(dst []byte) []byte {
	o := beginObject(dst)
	o.str("brokerAddr", b.BrokerAddr)
	o.with("consumeStatsList", func(dst []byte) []byte {
		return appendList(dst, b.Groups, func(dst []byte, g GroupConsumeStats) []byte {
			o := beginObject(dst)
			o.with(g.Group, func(dst []byte) []byte {
				return appendList(dst, g.Topics, func(dst []byte, s ConsumeStats) []byte { return s.Append(dst) })
			})
			return o.end()
		})
	})
	o.integer("totalDiff", b.Behind)
	o.integer("totalInflightDiff", b.Inflight)
	return o.end()
}

// BrokerConsumeStatsHeader is the header of GET_BROKER_CONSUME_STATS.
type BrokerConsumeStatsHeader struct{ OrderedOnly bool }

// ParseBrokerConsumeStats reads the header.
func ParseBrokerConsumeStats(e Ext) BrokerConsumeStatsHeader {
	r := reader{ext: e}
	return BrokerConsumeStatsHeader{r.boolean("isOrder", false)}
}

// StatsHeader is the header of VIEW_BROKER_STATS_DATA: a statistic by its name, such as TOPIC_PUT_NUMS, and what it is of.
type StatsHeader struct{ Name, Key string }

// ParseStats reads the header. It errs with ErrField.
func ParseStats(e Ext) (StatsHeader, error) {
	r := reader{ext: e}
	h := StatsHeader{r.str("statsName"), r.str("statsKey")}
	return h, r.err
}

// StatsItem is a count over a window of time: its sum, and the rate in thousandths of one in a second.
type StatsItem struct{ Sum, Rate int64 }

// AppendStats appends the body that answers VIEW_BROKER_STATS_DATA. Source: BrokerStatsData (RocketMQ 5.3.3).
func AppendStats(dst []byte, minute, hour, day StatsItem) []byte {
	o := beginObject(dst)
	item := func(key string, s StatsItem) {
		o.with(key, func(dst []byte) []byte {
			o := beginObject(dst)
			o.thousandths("avgpt", 0)
			o.integer("sum", s.Sum)
			o.thousandths("tps", s.Rate)
			return o.end()
		})
	}
	item("statsDay", day)
	item("statsHour", hour)
	item("statsMinute", minute)
	return o.end()
}

// TimeSpanHeader is the header of QUERY_CONSUME_TIME_SPAN.
type TimeSpanHeader struct{ Topic, Group string }

// ParseTimeSpan reads the header. It errs with ErrField.
func ParseTimeSpan(e Ext) (TimeSpanHeader, error) {
	r := reader{ext: e}
	h := TimeSpanHeader{r.str("topic"), r.str("group")}
	return h, r.err
}

// QueueTimeSpan says from when the messages of a queue are. Times are Unix ms, -1 where there is no message.
type QueueTimeSpan struct {
	Queue             MessageQueue
	First, Last       int64 // store times
	Consumed          int64 // of the last message consumed; First when none was
	DelayMilliseconds int64 // age of the first message not consumed; 0: all are
}

// AppendTimeSpans appends the body that answers QUERY_CONSUME_TIME_SPAN. Source: QueryConsumeTimeSpanBody (RocketMQ 5.3.3).
func AppendTimeSpans(dst []byte, spans []QueueTimeSpan) []byte {
	o := beginObject(dst)
	o.with("consumeTimeSpanSet", func(dst []byte) []byte {
		return appendList(dst, spans, func(dst []byte, s QueueTimeSpan) []byte {
			o := beginObject(dst)
			o.integer("consumeTimeStamp", s.Consumed)
			o.integer("delayTime", s.DelayMilliseconds)
			o.integer("maxTimeStamp", s.Last)
			o.with("messageQueue", func(dst []byte) []byte { return appendMessageQueue(dst, s.Queue) })
			o.integer("minTimeStamp", s.First)
			return o.end()
		})
	})
	return o.end()
}
