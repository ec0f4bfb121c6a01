package remoting

// GroupHeader is the header of GET_SUBSCRIPTIONGROUP_CONFIG and QUERY_TOPICS_BY_CONSUMER.
type GroupHeader struct{ Group string }

// ParseGroup reads the header. It errs with ErrField.
func ParseGroup(e Ext) (GroupHeader, error) {
	r := reader{ext: e}
	h := GroupHeader{r.str("group")}
	return h, r.err
}

// DeleteGroupHeader is the header of DELETE_SUBSCRIPTIONGROUP.
type DeleteGroupHeader struct {
	Group       string
	CleanOffset bool // its offsets go, too; named removeOffset before 5.0
}

// ParseDeleteGroup reads the header. It errs with ErrField.
func ParseDeleteGroup(e Ext) (DeleteGroupHeader, error) {
	r := reader{ext: e}
	h := DeleteGroupHeader{r.str("groupName"), r.boolean("cleanOffset", false) || r.boolean("removeOffset", false)}
	return h, r.err
}

// ParseSubscriptionGroups reads the body of UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST. It errs with ErrBody.
func ParseSubscriptionGroups(body []byte) (groups []SubscriptionGroup, err error) {
	err = parseBody(body, func(s *scanner, key string) {
		if key == "groupConfigList" {
			s.array(func() { groups = append(groups, s.subscriptionGroup()) })
		} else {
			s.skip(0)
		}
	})
	return groups, err
}

// ParseCreateTopics reads the body of UPDATE_AND_CREATE_TOPIC_LIST. It errs with ErrBody.
func ParseCreateTopics(body []byte) (topics []TopicConfig, err error) {
	err = parseBody(body, func(s *scanner, key string) {
		if key == "topicConfigList" {
			s.array(func() { topics = append(topics, s.topicConfig()) })
		} else {
			s.skip(0)
		}
	})
	return topics, err
}

// AppendGroupList appends the body that answers QUERY_TOPIC_CONSUME_BY_WHO.
func AppendGroupList(dst []byte, groups []string) []byte {
	o := beginObject(dst)
	o.with("groupList", func(dst []byte) []byte { return appendStrings(dst, groups) })
	return o.end()
}

// AppendBrokerTopicList appends the body that answers QUERY_TOPICS_BY_CONSUMER and GET_SYSTEM_TOPIC_LIST_FROM_NS; brokerAddr may
// be "".
func AppendBrokerTopicList(dst []byte, brokerAddr string, topics []string) []byte {
	o := beginObject(dst)
	if brokerAddr != "" {
		o.str("brokerAddr", brokerAddr)
	}
	o.with("topicList", func(dst []byte) []byte { return appendStrings(dst, topics) })
	return o.end()
}

// AppendSubscriptionOf appends the body that answers QUERY_SUBSCRIPTION_BY_CONSUMER; sub is nil when there is none.
func AppendSubscriptionOf(dst []byte, group, topic string, sub *Subscription) []byte {
	o := beginObject(dst)
	o.str("group", group)
	if sub != nil {
		o.with("subscriptionData", func(dst []byte) []byte { return appendSubscription(dst, *sub) })
	}
	o.str("topic", topic)
	return o.end()
}

// ConsumeQueueHeader is the header of QUERY_CONSUME_QUEUE. Source: QueryConsumeQueueRequestHeader (RocketMQ 5.3.3).
type ConsumeQueueHeader struct {
	Topic         string
	QueueID       int32
	Index         int64 // queue offset of the first unit wanted
	Count         int32
	ConsumerGroup string // whose subscription is wanted, too
}

// ParseConsumeQueue reads the header. It errs with ErrField.
func ParseConsumeQueue(e Ext) (ConsumeQueueHeader, error) {
	r := reader{ext: e}
	h := ConsumeQueueHeader{r.str("topic"), r.int32("queueId"), r.integer("index"), r.int32("count"), r.optional("consumerGroup")}
	return h, r.err
}

// QueueUnit is one unit of a consume queue.
type QueueUnit struct {
	PhysOffset int64
	Bytes      int32
	TagsCode   int64
}

// ConsumeQueueUnits is the body that answers QUERY_CONSUME_QUEUE. Source: QueryConsumeQueueResponseBody (RocketMQ 5.3.3).
type ConsumeQueueUnits struct {
	Filter       string // "": no group was named
	Subscription *Subscription
	Units        []QueueUnit
	Min, Max     int64 // queue offsets that the queue has: [Min, Max)
}

// Append appends u as a body.
func (u *ConsumeQueueUnits) Append(dst []byte) []byte {
	o := beginObject(dst)
	if u.Filter != "" {
		o.str("filterData", u.Filter)
	}
	o.integer("maxQueueIndex", u.Max)
	o.integer("minQueueIndex", u.Min)
	o.with("queueData", func(dst []byte) []byte {
		return appendList(dst, u.Units, func(dst []byte, u QueueUnit) []byte {
			o := beginObject(dst)
			o.boolean("eval", false)
			o.integer("physicOffset", u.PhysOffset)
			o.integer("physicSize", int64(u.Bytes))
			o.integer("tagsCode", u.TagsCode)
			return o.end()
		})
	})
	if u.Subscription != nil {
		o.with("subscriptionData", func(dst []byte) []byte { return appendSubscription(dst, *u.Subscription) })
	}
	return o.end()
}
