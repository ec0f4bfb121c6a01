package remoting

// Bits of a topic's perm. Source: PermName (RocketMQ 5.3.3).
const (
	PermInherit int32 = 1 // new topics may be made after this one
	PermWrite   int32 = 2
	PermRead    int32 = 4
)

// TopicConfig is how a broker keeps one topic.
type TopicConfig struct {
	Name        string
	ReadQueues  int32
	WriteQueues int32
	Perm        int32
	FilterType  string // "SINGLE_TAG", which "" stands for
	SysFlag     int32
	Order       bool
}

// DataVersion tells two states of a table apart: they are equal if all three numbers are.
type DataVersion struct {
	StateVersion int64
	Timestamp    int64 // Unix ms
	Counter      int64
}

// TopicTable is the body that answers GET_ALL_TOPIC_CONFIG, and a part of REGISTER_BROKER: topics in the order of the wire,
// which is that of their names where this package's users write it.
type TopicTable struct {
	Topics      []TopicConfig
	DataVersion DataVersion
}

func (s *scanner) dataVersion() (v DataVersion) {
	s.members(func(s *scanner, key string) {
		switch key {
		case "stateVersion":
			v.StateVersion = s.integer()
		case "timestamp":
			v.Timestamp = s.integer()
		case "counter":
			v.Counter = s.integer()
		default:
			s.skip(0)
		}
	})
	return v
}

// Append appends v as a body, as QUERY_DATA_VERSION carries it.
func (v DataVersion) Append(dst []byte) []byte {
	o := beginObject(dst)
	o.integer("counter", v.Counter)
	o.integer("stateVersion", v.StateVersion)
	o.integer("timestamp", v.Timestamp)
	return o.end()
}

// ParseDataVersion reads the body of QUERY_DATA_VERSION and of its reply. It errs with ErrBody.
func ParseDataVersion(body []byte) (DataVersion, error) {
	s := scanner{b: body}
	v := s.dataVersion()
	if !s.end() {
		return DataVersion{}, ErrBody
	}
	return v, nil
}

func (s *scanner) topicConfig() (c TopicConfig) {
	s.members(func(s *scanner, key string) {
		switch key {
		case "topicName":
			c.Name = s.str()
		case "readQueueNums":
			c.ReadQueues = s.int32()
		case "writeQueueNums":
			c.WriteQueues = s.int32()
		case "perm":
			c.Perm = s.int32()
		case "topicFilterType":
			c.FilterType = s.str()
		case "topicSysFlag":
			c.SysFlag = s.int32()
		case "order":
			c.Order = s.boolean()
		default:
			s.skip(0)
		}
	})
	return c
}

// AppendTopicConfig appends c as a JSON object, as topics.json and bodies hold it.
func AppendTopicConfig(dst []byte, c TopicConfig) []byte {
	o := beginObject(dst)
	o.with("attributes", appendEmpty)
	o.boolean("order", c.Order)
	o.integer("perm", int64(c.Perm))
	o.integer("readQueueNums", int64(c.ReadQueues))
	if c.FilterType == "" {
		c.FilterType = "SINGLE_TAG"
	}
	o.str("topicFilterType", c.FilterType)
	o.str("topicName", c.Name)
	o.integer("topicSysFlag", int64(c.SysFlag))
	o.integer("writeQueueNums", int64(c.WriteQueues))
	return o.end()
}

func appendEmpty(dst []byte) []byte { return append(dst, '{', '}') }

// ParseTopicTable reads the body that answers GET_ALL_TOPIC_CONFIG, or a topics.json. It errs with ErrBody.
func ParseTopicTable(body []byte) (t TopicTable, err error) {
	err = parseBody(body, t.member)
	return t, err
}

func (t *TopicTable) member(s *scanner, key string) {
	switch key {
	case "dataVersion":
		t.DataVersion = s.dataVersion()
	case "topicConfigTable":
		s.members(func(s *scanner, topic string) {
			c := s.topicConfig()
			c.Name = topic
			t.Topics = append(t.Topics, c)
		})
	default:
		s.skip(0)
	}
}

// Append appends t as a body.
func (t *TopicTable) Append(dst []byte) []byte {
	o := beginObject(dst)
	o.with("dataVersion", t.DataVersion.Append)
	o.with("topicConfigTable", func(dst []byte) []byte {
		topics := beginObject(dst)
		for _, c := range t.Topics {
			topics.name(c.Name)
			topics.b = AppendTopicConfig(topics.b, c)
		}
		return topics.end()
	})
	o.with("topicQueueMappingDetailMap", appendEmpty)
	o.with("topicQueueMappingInfoMap", appendEmpty)
	return o.end()
}

// CreateTopicHeader is the header of UPDATE_AND_CREATE_TOPIC. Source: CreateTopicRequestHeader (RocketMQ 5.3.3).
type CreateTopicHeader struct {
	Topic        TopicConfig
	DefaultTopic string
}

// ParseCreateTopic reads the header. It errs with ErrField.
func ParseCreateTopic(e Ext) (CreateTopicHeader, error) {
	r := reader{ext: e}
	h := CreateTopicHeader{
		Topic: TopicConfig{
			Name:        r.str("topic"),
			ReadQueues:  r.int32("readQueueNums"),
			WriteQueues: r.int32("writeQueueNums"),
			Perm:        r.int32("perm"),
			FilterType:  r.optional("topicFilterType"),
			SysFlag:     r.optionalInt32("topicSysFlag", 0),
			Order:       r.boolean("order", false),
		},
		DefaultTopic: r.optional("defaultTopic"),
	}
	return h, r.err
}

// Append appends h's fields.
func (h *CreateTopicHeader) Append(w *Writer) {
	w.String("topic", h.Topic.Name)
	w.String("defaultTopic", h.DefaultTopic)
	w.Int("readQueueNums", int64(h.Topic.ReadQueues))
	w.Int("writeQueueNums", int64(h.Topic.WriteQueues))
	w.Int("perm", int64(h.Topic.Perm))
	w.String("topicFilterType", "SINGLE_TAG")
	w.Int("topicSysFlag", int64(h.Topic.SysFlag))
	w.Bool("order", h.Topic.Order)
}

// TopicHeader is the header of requests that name a topic and nothing else of weight: GET_ROUTEINFO_BY_TOPIC,
// DELETE_TOPIC_IN_BROKER, DELETE_TOPIC_IN_NAMESRV, GET_TOPIC_STATS_INFO, GET_TOPIC_CONFIG.
type TopicHeader struct{ Topic string }

// ParseTopic reads the header. It errs with ErrField.
func ParseTopic(e Ext) (TopicHeader, error) {
	r := reader{ext: e}
	h := TopicHeader{r.str("topic")}
	return h, r.err
}

// Append appends h's fields.
func (h *TopicHeader) Append(w *Writer) { w.String("topic", h.Topic) }
