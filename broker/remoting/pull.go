package remoting

// Bits of PullHeader.SysFlag. Source: PullSysFlag (RocketMQ 5.3.3).
const (
	PullCommitOffset int32 = 1  // CommitOffset is to be stored
	PullSuspend      int32 = 2  // an empty answer may wait
	PullSubscription int32 = 4  // Subscription carries the expression
	PullClassFilter  int32 = 8  // filter by class, long out of use
	PullLite         int32 = 16 // the consumer assigns queues itself
)

// PullHeader is the header of PULL_MESSAGE and LITE_PULL_MESSAGE. Its texts alias the frame, or the scratch of ParsePull.
// Source: PullMessageRequestHeader (RocketMQ 5.3.3).
type PullHeader struct {
	ConsumerGroup    []byte
	Topic            []byte
	QueueID          int32
	QueueOffset      int64 // of the first message wanted
	MaxMsgNums       int32
	SysFlag          int32
	CommitOffset     int64 // queue offset
	SuspendTimeoutMS int64 // optional on the wire: 0 when absent
	Subscription     []byte
	SubVersion       int64
	ExpressionType   []byte // "TAG" when absent
	MaxMsgBytes      int32  // 0 when absent
}

var pullRequired = []string{"consumerGroup", "topic", "queueId", "queueOffset", "maxMsgNums", "sysFlag", "commitOffset", "subVersion"}

// ParsePull reads the header of a pull request into h; for scratch see ParseSend. It errs with ErrField.
func ParsePull(e Ext, h *PullHeader, scratch []byte) ([]byte, error) {
	*h = PullHeader{}
	p := parser{scratch: scratch}
	var f Field
	for c := e.walk(); c.next(&f); {
		h.field(&p, &f)
	}
	return p.scratch, p.done(pullRequired)
}

func (h *PullHeader) field(p *parser, f *Field) {
	switch string(f.Key) {
	case "consumerGroup":
		h.ConsumerGroup = p.text(f)
		p.seen |= 1 << 0
	case "topic":
		h.Topic = p.text(f)
		p.seen |= 1 << 1
	case "queueId":
		h.QueueID = p.int32(f)
		p.seen |= 1 << 2
	case "queueOffset":
		h.QueueOffset = p.integer(f)
		p.seen |= 1 << 3
	case "maxMsgNums":
		h.MaxMsgNums = p.int32(f)
		p.seen |= 1 << 4
	case "sysFlag":
		h.SysFlag = p.int32(f)
		p.seen |= 1 << 5
	case "commitOffset":
		h.CommitOffset = p.integer(f)
		p.seen |= 1 << 6
	case "suspendTimeoutMillis":
		h.SuspendTimeoutMS = p.integer(f)
	case "subscription":
		h.Subscription = p.text(f)
	case "subVersion":
		h.SubVersion = p.integer(f)
		p.seen |= 1 << 7
	case "expressionType":
		h.ExpressionType = p.text(f)
	case "maxMsgBytes":
		h.MaxMsgBytes = p.int32(f)
	}
}

// Append appends h's fields.
func (h *PullHeader) Append(w *Writer) {
	w.Text("consumerGroup", h.ConsumerGroup)
	w.Text("topic", h.Topic)
	w.Int("queueId", int64(h.QueueID))
	w.Int("queueOffset", h.QueueOffset)
	w.Int("maxMsgNums", int64(h.MaxMsgNums))
	w.Int("sysFlag", int64(h.SysFlag))
	w.Int("commitOffset", h.CommitOffset)
	w.Int("suspendTimeoutMillis", h.SuspendTimeoutMS)
	w.OptionalText("subscription", h.Subscription)
	w.Int("subVersion", h.SubVersion)
	w.OptionalText("expressionType", h.ExpressionType)
	if h.MaxMsgBytes > 0 {
		w.Int("maxMsgBytes", int64(h.MaxMsgBytes))
	}
}

// PullReply is the header of the reply to a pull, present with SUCCESS, PULL_NOT_FOUND, PULL_RETRY_IMMEDIATELY and
// PULL_OFFSET_MOVED alike. Offsets are queue offsets.
// Source: PullMessageResponseHeader (RocketMQ 5.3.3).
type PullReply struct {
	SuggestWhichBrokerID int64
	NextBeginOffset      int64
	MinOffset            int64
	MaxOffset            int64 // the next offset that a message will get
}

// AppendPullReply appends the reply frame of a pull to dst, in the form of its request, but not its body: bodyBytes bytes
// of commit-log records must be written right behind it. remark names the result as RocketMQ does, such as "FOUND".
func AppendPullReply(dst []byte, form Form, code, opaque int32, remark []byte, r *PullReply, bodyBytes int) []byte {
	head := Frame{Code: code, Opaque: opaque, Flag: FlagResponse, Version: Version, Language: Go, Form: form, Remark: remark}
	w := Begin(dst, &head)
	w.Int("suggestWhichBrokerId", r.SuggestWhichBrokerID)
	w.Int("nextBeginOffset", r.NextBeginOffset)
	w.Int("minOffset", r.MinOffset)
	w.Int("maxOffset", r.MaxOffset)
	return w.FinishApart(bodyBytes)
}

var pullReplyRequired = []string{"suggestWhichBrokerId", "nextBeginOffset", "minOffset", "maxOffset"}

// ParsePullReply reads the header of the reply to a pull into r. It errs with ErrField and never allocates otherwise.
func ParsePullReply(e Ext, r *PullReply) error {
	*r = PullReply{}
	p := parser{}
	var f Field
	for c := e.walk(); c.next(&f); {
		switch string(f.Key) {
		case "suggestWhichBrokerId":
			r.SuggestWhichBrokerID = p.integer(&f)
			p.seen |= 1
		case "nextBeginOffset":
			r.NextBeginOffset = p.integer(&f)
			p.seen |= 2
		case "minOffset":
			r.MinOffset = p.integer(&f)
			p.seen |= 4
		case "maxOffset":
			r.MaxOffset = p.integer(&f)
			p.seen |= 8
		}
	}
	return p.done(pullReplyRequired)
}
