package remoting

import (
	"strconv"
	"strings"
)

// NoLimit stands for an absent MaxReconsumeTimes: the limit of the subscription group counts.
const NoLimit int32 = -1

// SendHeader is the header of SEND_MESSAGE, SEND_MESSAGE_V2, SEND_BATCH_MESSAGE and of the two codes for reply messages. Its texts alias the frame, or the
// scratch of ParseSend.
// Source: SendMessageRequestHeader, SendMessageRequestHeaderV2 (RocketMQ 5.3.3).
type SendHeader struct {
	ProducerGroup         []byte
	Topic                 []byte
	DefaultTopic          []byte // template for a topic that does not exist yet
	DefaultTopicQueueNums int32
	QueueID               int32 // below 0: the broker chooses
	SysFlag               int32
	BornTimestamp         int64 // Unix ms
	Flag                  int32 // the user's
	Properties            []byte
	ReconsumeTimes        int32
	UnitMode              bool
	MaxReconsumeTimes     int32 // NoLimit when absent
	Batch                 bool  // the body is a client batch, whatever the request code says
	BrokerName            []byte
}

// Required fields in the order of their bits in parser.seen.
var (
	sendRequired = []string{"producerGroup", "topic", "defaultTopic", "defaultTopicQueueNums", "queueId", "sysFlag",
		"bornTimestamp", "flag"}
	sendShortRequired = []string{"a", "b", "c", "d", "e", "f", "g", "h"}
)

// ParseSend reads the header of a send request with that code into h. Texts with JSON escapes (properties always have
// some) are resolved behind scratch, which is returned extended: keep it as long as h, and hand it in with length 0 again
// for the next burst. It does not allocate while scratch has room. It errs with ErrField.
func ParseSend(code int32, e Ext, h *SendHeader, scratch []byte) ([]byte, error) {
	*h = SendHeader{MaxReconsumeTimes: NoLimit}
	p := parser{scratch: scratch}
	var f Field
	for c := e.walk(); c.next(&f); {
		h.take(code, &p, &f)
	}
	if longNames(code) {
		return p.scratch, p.done(sendRequired)
	}
	return p.scratch, p.done(sendShortRequired)
}

// longNames reports whether the fields of a send with that code have their long names.
func longNames(code int32) bool { return code == RequestSendMessage || code == RequestSendReplyMessage }

// take takes one field.
func (h *SendHeader) take(code int32, p *parser, f *Field) {
	if longNames(code) {
		h.long(p, f)
	} else if len(f.Key) == 1 {
		h.short(p, f, f.Key[0])
	}
}

// long takes one field of the form with long names.
func (h *SendHeader) long(p *parser, f *Field) {
	switch string(f.Key) {
	case "producerGroup":
		h.short(p, f, 'a')
	case "topic":
		h.short(p, f, 'b')
	case "defaultTopic":
		h.short(p, f, 'c')
	case "defaultTopicQueueNums":
		h.short(p, f, 'd')
	case "queueId":
		h.short(p, f, 'e')
	case "sysFlag":
		h.short(p, f, 'f')
	case "bornTimestamp":
		h.short(p, f, 'g')
	case "flag":
		h.short(p, f, 'h')
	case "properties":
		h.short(p, f, 'i')
	case "reconsumeTimes":
		h.short(p, f, 'j')
	case "unitMode":
		h.short(p, f, 'k')
	case "maxReconsumeTimes":
		h.short(p, f, 'l')
	case "batch":
		h.short(p, f, 'm')
	case "bname":
		h.short(p, f, 'n')
	}
}

// short takes one field of the form with short names.
func (h *SendHeader) short(p *parser, f *Field, name byte) {
	if 'a' <= name && name <= 'h' {
		p.seen |= 1 << (name - 'a')
	}
	switch name {
	case 'a':
		h.ProducerGroup = p.text(f)
	case 'b':
		h.Topic = p.text(f)
	case 'c':
		h.DefaultTopic = p.text(f)
	case 'd':
		h.DefaultTopicQueueNums = p.int32(f)
	case 'e':
		h.QueueID = p.int32(f)
	case 'f':
		h.SysFlag = p.int32(f)
	case 'g':
		h.BornTimestamp = p.integer(f)
	case 'h':
		h.Flag = p.int32(f)
	case 'i':
		h.Properties = p.text(f)
	case 'j':
		h.ReconsumeTimes = p.int32(f)
	case 'k':
		h.UnitMode = isTrue(f.Value)
	case 'l':
		h.MaxReconsumeTimes = p.int32(f)
	case 'm':
		h.Batch = isTrue(f.Value)
	case 'n':
		h.BrokerName = p.text(f)
	}
}

// Append appends h's fields with the names that the request code asks for.
func (h *SendHeader) Append(w *Writer, code int32) {
	names := &sendShortNames
	if longNames(code) {
		names = &sendLongNames
	}
	w.Text(names[0], h.ProducerGroup)
	w.Text(names[1], h.Topic)
	w.Text(names[2], h.DefaultTopic)
	w.Int(names[3], int64(h.DefaultTopicQueueNums))
	w.Int(names[4], int64(h.QueueID))
	w.Int(names[5], int64(h.SysFlag))
	w.Int(names[6], h.BornTimestamp)
	w.Int(names[7], int64(h.Flag))
	w.OptionalText(names[8], h.Properties)
	w.Int(names[9], int64(h.ReconsumeTimes))
	w.Bool(names[10], h.UnitMode)
	if h.MaxReconsumeTimes != NoLimit {
		w.Int(names[11], int64(h.MaxReconsumeTimes))
	}
	w.Bool(names[12], h.Batch)
	w.OptionalText(names[13], h.BrokerName)
}

var (
	sendShortNames = [...]string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n"}
	sendLongNames  = [...]string{"producerGroup", "topic", "defaultTopic", "defaultTopicQueueNums", "queueId", "sysFlag",
		"bornTimestamp", "flag", "properties", "reconsumeTimes", "unitMode", "maxReconsumeTimes", "batch", "bname"}
)

// SendReply is the header of the reply to a send. All of SUCCESS, FLUSH_DISK_TIMEOUT, SLAVE_NOT_AVAILABLE and
// FLUSH_SLAVE_TIMEOUT carry it: the message is stored in each of these cases. Its texts alias the frame.
// Source: SendMessageResponseHeader (RocketMQ 5.3.3).
type SendReply struct {
	MsgID         []byte // offset message id, for a batch several with commas between
	QueueID       int32
	QueueOffset   int64  // of the first message of a batch
	TransactionID []byte // the message's UNIQ_KEY; empty when it has none
}

// AppendSendReply appends the whole reply frame of a stored message to dst, in the form of its request. It does not
// allocate beyond growing dst.
func AppendSendReply(dst []byte, form Form, code, opaque int32, r *SendReply) []byte {
	if form == JSON && code == ResponseSuccess && len(r.TransactionID) > 0 {
		return storedReply.append(dst, opaque, r)
	}
	return appendSendReply(dst, form, code, opaque, r)
}

func appendSendReply(dst []byte, form Form, code, opaque int32, r *SendReply) []byte {
	head := Frame{Code: code, Opaque: opaque, Flag: FlagResponse, Version: Version, Language: Go, Form: form}
	w := Begin(dst, &head)
	r.Append(&w)
	return w.Finish(nil)
}

// replyText is the JSON reply to a send, cut where the values of one message stand: opaque, message id, queue, queue offset, transaction id.
// The codec makes it; to fill it in takes half the time of writing it anew.
type replyText [6]string

var storedReply = newReplyText()

func newReplyText() (t replyText) {
	const opaque, queueID, queueOffset, id, transaction = 1111111111, 1222222222, 1333333333, "MESSAGE", "TRANSACTION"
	rest := string(appendSendReply(nil, JSON, ResponseSuccess, opaque, &SendReply{MsgID: []byte(id), QueueID: queueID, QueueOffset: queueOffset,
		TransactionID: []byte(transaction)}))
	for i, mark := range []string{strconv.Itoa(opaque), `"` + id + `"`, strconv.Itoa(queueID), strconv.Itoa(queueOffset), `"` + transaction + `"`} {
		t[i], rest, _ = strings.Cut(rest, mark)
	}
	t[5] = rest
	return t
}

func (t *replyText) append(dst []byte, opaque int32, r *SendReply) []byte {
	start := len(dst)
	b := strconv.AppendInt(append(dst, t[0]...), int64(opaque), 10)
	b = appendQuoted(append(b, t[1]...), r.MsgID)
	b = strconv.AppendInt(append(b, t[2]...), int64(r.QueueID), 10)
	b = strconv.AppendInt(append(b, t[3]...), r.QueueOffset, 10)
	b = appendQuoted(append(b, t[4]...), r.TransactionID)
	b = append(b, t[5]...)
	size := len(b) - start
	be.PutUint32(b[start:], uint32(size-4))
	be.PutUint32(b[start+4:], uint32(size-8))
	return b
}

// Append appends r's fields, and those that all replies to sends have.
func (r *SendReply) Append(w *Writer) {
	w.Text("msgId", r.MsgID)
	w.Int("queueId", int64(r.QueueID))
	w.Int("queueOffset", r.QueueOffset)
	w.OptionalText("transactionId", r.TransactionID)
	w.String("MSG_REGION", "DefaultRegion") // as in the message's properties; without TRACE_ON the Go client says that nothing is traced
	w.String("TRACE_ON", "true")
}

var sendReplyRequired = []string{"msgId", "queueId", "queueOffset"}

// ParseSendReply reads the header of the reply to a send into r. It errs with ErrField, and allocates only for texts with
// JSON escapes, which no broker writes.
func ParseSendReply(e Ext, r *SendReply) error {
	*r = SendReply{}
	p := parser{}
	var f Field
	for c := e.walk(); c.next(&f); {
		r.take(&p, &f)
	}
	return p.done(sendReplyRequired)
}

// take takes one field.
func (r *SendReply) take(p *parser, f *Field) {
	switch string(f.Key) {
	case "msgId":
		r.MsgID = p.text(f)
		p.seen |= 1
	case "queueId":
		r.QueueID = p.int32(f)
		p.seen |= 2
	case "queueOffset":
		r.QueueOffset = p.integer(f)
		p.seen |= 4
	case "transactionId":
		r.TransactionID = p.text(f)
	}
}

// AppendReply appends a whole reply frame without header fields, in the form of its request: for errors, and for
// requests that have nothing to say but the code. remark may be empty.
func AppendReply(dst []byte, form Form, code, opaque int32, remark string, body []byte) []byte {
	head := Frame{Code: code, Opaque: opaque, Flag: FlagResponse, Version: Version, Language: Go, Form: form, Remark: []byte(remark)}
	w := Begin(dst, &head)
	return w.Finish(body)
}

// BeginReply starts a reply frame that echoes form and opaque of request.
func BeginReply(dst []byte, request *Frame, code int32) Writer {
	return Begin(dst, &Frame{Code: code, Opaque: request.Opaque, Flag: FlagResponse, Version: Version, Language: Go, Form: request.Form})
}
