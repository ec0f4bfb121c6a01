package remoting

import (
	"bytes"
	"strconv"
)

// The tables that a slave copies from its master, and that a broker keeps as JSON files.

// QueueOffset is the queue offset of one queue, by queue id; in a delay table, of one level.
type QueueOffset struct {
	QueueID int32
	Offset  int64
}

// GroupOffsets is how far a consumer group has come in the queues of a topic.
type GroupOffsets struct {
	Topic   string
	Group   string
	Offsets []QueueOffset
}

// ConsumerOffsetTable is the body that answers GET_ALL_CONSUMER_OFFSET, in the order of the wire.
type ConsumerOffsetTable struct {
	Groups      []GroupOffsets
	DataVersion DataVersion
}

// Append appends t as a body.
func (t *ConsumerOffsetTable) Append(dst []byte) []byte {
	o := beginObject(dst)
	o.with("dataVersion", t.DataVersion.Append)
	o.with("offsetTable", func(dst []byte) []byte {
		table := beginObject(dst)
		for _, g := range t.Groups {
			table.name(g.Topic + "@" + g.Group)
			table.b = appendQueueOffsets(table.b, g.Offsets)
		}
		return table.end()
	})
	return o.end()
}

func appendQueueOffsets(dst []byte, offsets []QueueOffset) []byte {
	o := beginObject(dst)
	for _, q := range offsets {
		o.integer(strconv.Itoa(int(q.QueueID)), q.Offset)
	}
	return o.end()
}

func (s *scanner) queueOffsets() (offsets []QueueOffset) {
	s.object(func(key []byte) {
		id, ok := atoi(key)
		if !ok || id != int64(int32(id)) {
			s.bad = true
		}
		offsets = append(offsets, QueueOffset{int32(id), s.integer()})
	})
	return offsets
}

// ParseConsumerOffsetTable reads the body that answers GET_ALL_CONSUMER_OFFSET, or a consumerOffset.json; queue ids may
// stand without quotes. It errs with ErrBody.
func ParseConsumerOffsetTable(body []byte) (t ConsumerOffsetTable, err error) {
	err = parseBody(body, func(s *scanner, key string) {
		switch key {
		case "dataVersion":
			t.DataVersion = s.dataVersion()
		case "offsetTable":
			s.object(func(key []byte) {
				topic, group, ok := bytes.Cut(key, []byte{'@'})
				if !ok {
					s.bad = true
				}
				t.Groups = append(t.Groups, GroupOffsets{string(topic), string(group), s.queueOffsets()})
			})
		default:
			s.skip(0)
		}
	})
	return t, err
}

// DelayOffsetTable is the body that answers GET_ALL_DELAY_OFFSET: the queue offset that each delay level has delivered.
type DelayOffsetTable struct {
	Levels      []QueueOffset
	DataVersion DataVersion
}

// Append appends t as a body.
func (t *DelayOffsetTable) Append(dst []byte) []byte {
	o := beginObject(dst)
	o.with("dataVersion", t.DataVersion.Append)
	o.with("offsetTable", func(dst []byte) []byte { return appendQueueOffsets(dst, t.Levels) })
	return o.end()
}

// ParseDelayOffsetTable reads the body that answers GET_ALL_DELAY_OFFSET. It errs with ErrBody.
func ParseDelayOffsetTable(body []byte) (t DelayOffsetTable, err error) {
	err = parseBody(body, func(s *scanner, key string) {
		switch key {
		case "dataVersion":
			t.DataVersion = s.dataVersion()
		case "offsetTable":
			t.Levels = s.queueOffsets()
		default:
			s.skip(0)
		}
	})
	return t, err
}

// SubscriptionGroup is how a broker keeps one consumer group. Source: SubscriptionGroupConfig (RocketMQ 5.3.3).
type SubscriptionGroup struct {
	Name                         string
	ConsumeEnable                bool
	ConsumeBroadcastEnable       bool
	RetryQueues                  int32
	RetryMaxTimes                int32
	BrokerID                     int64 // the node to read from
	WhichBrokerWhenConsumeSlowly int64 // the node to read old messages from
	NotifyConsumerIDsChanged     bool
}

// NewSubscriptionGroup returns a group with RocketMQ's defaults.
func NewSubscriptionGroup(name string) SubscriptionGroup {
	return SubscriptionGroup{Name: name, ConsumeEnable: true, ConsumeBroadcastEnable: true, RetryQueues: 1, RetryMaxTimes: 16,
		WhichBrokerWhenConsumeSlowly: 1, NotifyConsumerIDsChanged: true}
}

// AppendSubscriptionGroup appends g as a JSON object: the body of UPDATE_AND_CREATE_SUBSCRIPTIONGROUP.
func AppendSubscriptionGroup(dst []byte, g SubscriptionGroup) []byte {
	o := beginObject(dst)
	o.integer("brokerId", g.BrokerID)
	o.boolean("consumeBroadcastEnable", g.ConsumeBroadcastEnable)
	o.boolean("consumeEnable", g.ConsumeEnable)
	o.boolean("consumeFromMinEnable", true)
	o.str("groupName", g.Name)
	o.boolean("notifyConsumerIdsChangedEnable", g.NotifyConsumerIDsChanged)
	o.integer("retryMaxTimes", int64(g.RetryMaxTimes))
	o.integer("retryQueueNums", int64(g.RetryQueues))
	o.integer("whichBrokerWhenConsumeSlowly", g.WhichBrokerWhenConsumeSlowly)
	return o.end()
}

// ParseSubscriptionGroup is the inverse of AppendSubscriptionGroup; members that are absent have RocketMQ's defaults. It
// errs with ErrBody.
func ParseSubscriptionGroup(body []byte) (SubscriptionGroup, error) {
	s := scanner{b: body}
	g := s.subscriptionGroup()
	if !s.end() {
		return SubscriptionGroup{}, ErrBody
	}
	return g, nil
}

func (s *scanner) subscriptionGroup() SubscriptionGroup {
	g := NewSubscriptionGroup("")
	s.members(func(s *scanner, key string) {
		switch key {
		case "groupName":
			g.Name = s.str()
		case "consumeEnable":
			g.ConsumeEnable = s.boolean()
		case "consumeBroadcastEnable":
			g.ConsumeBroadcastEnable = s.boolean()
		case "retryQueueNums":
			g.RetryQueues = s.int32()
		case "retryMaxTimes":
			g.RetryMaxTimes = s.int32()
		case "brokerId":
			g.BrokerID = s.integer()
		case "whichBrokerWhenConsumeSlowly":
			g.WhichBrokerWhenConsumeSlowly = s.integer()
		case "notifyConsumerIdsChangedEnable":
			g.NotifyConsumerIDsChanged = s.boolean()
		default:
			s.skip(0)
		}
	})
	return g
}

// SubscriptionGroupTable is the body that answers GET_ALL_SUBSCRIPTIONGROUP_CONFIG, in the order of the wire.
type SubscriptionGroupTable struct {
	Groups      []SubscriptionGroup
	DataVersion DataVersion
}

// Append appends t as a body.
func (t *SubscriptionGroupTable) Append(dst []byte) []byte {
	o := beginObject(dst)
	o.with("dataVersion", t.DataVersion.Append)
	o.with("forbiddenTable", appendEmpty)
	o.with("subscriptionGroupTable", func(dst []byte) []byte {
		table := beginObject(dst)
		for _, g := range t.Groups {
			table.name(g.Name)
			table.b = AppendSubscriptionGroup(table.b, g)
		}
		return table.end()
	})
	return o.end()
}

// ParseSubscriptionGroupTable reads the body that answers GET_ALL_SUBSCRIPTIONGROUP_CONFIG. It errs with ErrBody.
func ParseSubscriptionGroupTable(body []byte) (t SubscriptionGroupTable, err error) {
	err = parseBody(body, func(s *scanner, key string) {
		switch key {
		case "dataVersion":
			t.DataVersion = s.dataVersion()
		case "subscriptionGroupTable":
			s.members(func(s *scanner, name string) {
				g := s.subscriptionGroup()
				g.Name = name
				t.Groups = append(t.Groups, g)
			})
		default:
			s.skip(0)
		}
	})
	return t, err
}
