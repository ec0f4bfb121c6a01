package remoting

import "strconv"

// Words of ConsumerData.
const (
	ConsumePassively = "CONSUME_PASSIVELY" // push consumers
	ConsumeActively  = "CONSUME_ACTIVELY"  // pull consumers
	Clustering       = "CLUSTERING"
	Broadcasting     = "BROADCASTING"
)

// Heartbeat is the body of HEART_BEAT: all groups of one client.
type Heartbeat struct {
	ClientID  string
	Producers []string // group names
	Consumers []ConsumerData
}

// ConsumerData is what a client says about one of its consumer groups.
type ConsumerData struct {
	Group         string
	Type          string // ConsumePassively or ConsumeActively
	Model         string // Clustering or Broadcasting
	FromWhere     string
	Subscriptions []Subscription
	UnitMode      bool
}

// Subscription is what a consumer group wants of a topic.
type Subscription struct {
	Topic           string
	Expression      string // "*", or tags with || between
	Tags            []string
	Codes           []int32 // hash codes of Tags
	Version         int64
	ExpressionType  string // "TAG", "SQL92"; "" counts as "TAG"
	ClassFilterMode bool
}

// ParseHeartbeat reads a Heartbeat body; numbers may be quoted. It errs with ErrBody.
func ParseHeartbeat(body []byte) (h Heartbeat, err error) {
	err = parseBody(body, func(s *scanner, key string) {
		switch key {
		case "clientID":
			h.ClientID = s.str()
		case "producerDataSet":
			s.array(func() { h.Producers = append(h.Producers, s.producer()) })
		case "consumerDataSet":
			s.array(func() { h.Consumers = append(h.Consumers, s.consumer()) })
		default:
			s.skip(0)
		}
	})
	return h, err
}

func (s *scanner) producer() (group string) {
	s.members(func(s *scanner, key string) {
		if key == "groupName" {
			group = s.str()
		} else {
			s.skip(0)
		}
	})
	return group
}

func (s *scanner) consumer() (c ConsumerData) {
	s.members(func(s *scanner, key string) {
		switch key {
		case "groupName":
			c.Group = s.str()
		case "consumeType":
			c.Type = s.str()
		case "messageModel":
			c.Model = s.str()
		case "consumeFromWhere":
			c.FromWhere = s.str()
		case "unitMode":
			c.UnitMode = s.boolean()
		case "subscriptionDataSet":
			s.array(func() { c.Subscriptions = append(c.Subscriptions, s.subscription()) })
		default:
			s.skip(0)
		}
	})
	return c
}

func (s *scanner) subscription() (sub Subscription) {
	s.members(func(s *scanner, key string) {
		switch key {
		case "topic":
			sub.Topic = s.str()
		case "subString":
			sub.Expression = s.str()
		case "tagsSet":
			sub.Tags = s.strs()
		case "codeSet":
			s.array(func() { sub.Codes = append(sub.Codes, s.int32()) })
		case "subVersion":
			sub.Version = s.integer()
		case "expressionType":
			sub.ExpressionType = s.str()
		case "classFilterMode":
			sub.ClassFilterMode = s.boolean()
		default:
			s.skip(0)
		}
	})
	return sub
}

// Append appends h as a body.
func (h *Heartbeat) Append(dst []byte) []byte {
	o := beginObject(dst)
	o.str("clientID", h.ClientID)
	o.with("producerDataSet", func(dst []byte) []byte {
		return appendList(dst, h.Producers, func(dst []byte, group string) []byte {
			p := beginObject(dst)
			p.str("groupName", group)
			return p.end()
		})
	})
	o.with("consumerDataSet", func(dst []byte) []byte { return appendList(dst, h.Consumers, appendConsumer) })
	return o.end()
}

func appendConsumer(dst []byte, c ConsumerData) []byte {
	o := beginObject(dst)
	o.str("groupName", c.Group)
	o.str("consumeType", c.Type)
	o.str("messageModel", c.Model)
	o.str("consumeFromWhere", c.FromWhere)
	o.with("subscriptionDataSet", func(dst []byte) []byte { return appendList(dst, c.Subscriptions, appendSubscription) })
	o.boolean("unitMode", c.UnitMode)
	return o.end()
}

func appendSubscription(dst []byte, sub Subscription) []byte {
	o := beginObject(dst)
	o.boolean("classFilterMode", sub.ClassFilterMode)
	o.str("topic", sub.Topic)
	o.str("subString", sub.Expression)
	o.with("tagsSet", func(dst []byte) []byte { return appendStrings(dst, sub.Tags) })
	o.with("codeSet", func(dst []byte) []byte {
		return appendList(dst, sub.Codes, func(dst []byte, code int32) []byte { return strconv.AppendInt(dst, int64(code), 10) })
	})
	o.integer("subVersion", sub.Version)
	o.str("expressionType", sub.ExpressionType)
	return o.end()
}

// AppendConsumerList appends the body that answers GET_CONSUMER_LIST_BY_GROUP: the ids of the group's clients.
func AppendConsumerList(dst []byte, clientIDs []string) []byte {
	o := beginObject(dst)
	o.with("consumerIdList", func(dst []byte) []byte { return appendStrings(dst, clientIDs) })
	return o.end()
}

// ParseConsumerList reads the body that answers GET_CONSUMER_LIST_BY_GROUP. It errs with ErrBody.
func ParseConsumerList(body []byte) (clientIDs []string, err error) {
	err = parseBody(body, func(s *scanner, key string) {
		if key == "consumerIdList" {
			clientIDs = s.strs()
		} else {
			s.skip(0)
		}
	})
	return clientIDs, err
}

// UnregisterClientHeader is the header of UNREGISTER_CLIENT; either group may be "".
type UnregisterClientHeader struct {
	ClientID      string
	ProducerGroup string
	ConsumerGroup string
}

// ParseUnregisterClient reads the header. It errs with ErrField.
func ParseUnregisterClient(e Ext) (UnregisterClientHeader, error) {
	r := reader{ext: e}
	h := UnregisterClientHeader{r.str("clientID"), r.optional("producerGroup"), r.optional("consumerGroup")}
	return h, r.err
}

// Append appends h's fields.
func (h *UnregisterClientHeader) Append(w *Writer) {
	w.String("clientID", h.ClientID)
	w.OptionalString("producerGroup", h.ProducerGroup)
	w.OptionalString("consumerGroup", h.ConsumerGroup)
}

// ConsumerGroupHeader is the header of GET_CONSUMER_LIST_BY_GROUP and NOTIFY_CONSUMER_IDS_CHANGED.
type ConsumerGroupHeader struct{ ConsumerGroup string }

// ParseConsumerGroup reads the header. It errs with ErrField.
func ParseConsumerGroup(e Ext) (ConsumerGroupHeader, error) {
	r := reader{ext: e}
	h := ConsumerGroupHeader{r.str("consumerGroup")}
	return h, r.err
}

// Append appends h's fields.
func (h *ConsumerGroupHeader) Append(w *Writer) { w.String("consumerGroup", h.ConsumerGroup) }
