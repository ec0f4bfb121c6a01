package broker

import (
	"cmp"
	"hash/fnv"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"holdfast/broker/message"
	"holdfast/broker/remoting"
)

// Request is one frame of a burst with all that can be decoded without knowing the node's state.
type Request struct {
	Frame remoting.Frame
	Send  Send                 // of the three send codes, and of the two for reply messages
	Pull  *remoting.PullHeader // of the two pull codes
	Beat  *remoting.Heartbeat  // of a heartbeat; it shares no memory with the frame
	Reply *remoting.SendHeader // of a reply message: the header that goes to the requester
	Fault string               // why the header or the body is refused; empty when it is well formed
	Code  int32                // response code that goes with Fault
}

// Send is a send request with its records encoded: only the offsets, the store time and a queue that the broker chooses are
// still to be patched.
type Send struct {
	Topic             []byte
	ProducerGroup     []byte
	DefaultTopic      []byte
	DefaultQueues     int32
	QueueID           int32 // below 0: the broker chooses
	ReconsumeTimes    int32
	MaxReconsumeTimes int32 // remoting.NoLimit when absent
	SysFlag           int32
	UnitMode          bool
	Batch             bool
	NoWait            bool // WAIT=false: acknowledged from the page cache
	Delayed           bool // has a DELAY level above 0
	Illegal           bool // the store would not take it, whatever its length
	Type              MessageType
	Count             int32  // records
	UniqueKey         []byte // UNIQ_KEY of the message, or of the batch as a whole
	Records           []byte // encoded, back to back
}

// Intake decodes what one connection sends. It belongs to the goroutine that reads the connection, and works without any
// lock: frames, headers, records and checksums are done here, so that Step has only to copy. All that it returns is valid
// until the next Reset.
type Intake struct {
	cfg     *Config
	frames  bool         // requests stay frames: nothing else is decoded
	host    message.Host // of the client
	hostV6  bool
	store   message.Host // of this broker
	storeV6 bool
	added   []byte // properties that every message gets
	toReply int    // bytes of added that a reply message gets, too
	reader  remoting.Reader[remoting.SendHeader]
	client  uint32 // hash of the client's address
	uniques uint16 // UNIQ_KEYs that were made
	*Burst
}

// Burst is the memory that a burst takes until Reset.
type Burst struct {
	requests []Request
	pulls    []remoting.PullHeader
	header   remoting.SendHeader // of the send that is looked at
	scratch  []byte
	records  []byte
}

// Use has the next burst decoded into b instead of memory of the intake's own: one Burst serves many connections, by turns.
func (in *Intake) Use(b *Burst) { in.Burst = b }

func newIntake(n *Node, addr string) *Intake {
	in := &Intake{Burst: &Burst{}, reader: remoting.NewSendReader(), cfg: &n.cfg, store: n.storeHost, storeV6: n.storeHostV6}
	old := n.cfg.isRocketMQ4() // which adds the first two for its hooks alone, and leaves out the last separator
	if !old {
		in.added = message.AppendProperty(in.added, message.PropertyRegion, "DefaultRegion")
		in.added = message.AppendProperty(in.added, message.PropertyTrace, "true")
	}
	in.toReply = len(in.added)
	in.added = message.AppendProperty(in.added, message.PropertyCluster, n.cfg.ClusterName)
	if old {
		in.added = in.added[:len(in.added)-1]
	}
	hash := fnv.New32a()
	hash.Write([]byte(addr))
	in.client = hash.Sum32()
	if a, err := netip.ParseAddrPort(addr); err == nil {
		in.host, in.hostV6 = message.HostOf(a)
	}
	return in
}

// Reset forgets the last burst and keeps the memory, unless a huge burst made it huge.
func (in *Intake) Reset() {
	const keepBytes = 4 << 20
	clear(in.requests)
	in.requests, in.pulls, in.scratch, in.records = in.requests[:0], in.pulls[:0], in.scratch[:0], in.records[:0]
	if cap(in.records) > keepBytes {
		in.records = nil
	}
	if cap(in.scratch) > keepBytes {
		in.scratch = nil
	}
}

// Decode takes all whole frames from b and returns the requests among them with the bytes that they took. The answers of
// the peer to this node's own requests are among them, with Frame.IsResponse. An error means that the stream is lost.
func (in *Intake) Decode(b []byte) (requests []Request, n int, err error) {
	for {
		r := in.another()
		size, alike, scratch, err := in.reader.Decode(b[n:], &r.Frame, &in.header, in.scratch)
		in.scratch = scratch
		if err != nil || size == 0 {
			*r = Request{}
			in.requests = in.requests[:len(in.requests)-1]
			return in.requests, n, err
		}
		n += size
		if in.frames || r.Frame.IsResponse() {
			continue
		}
		switch r.Frame.Code {
		case remoting.RequestSendMessage, remoting.RequestSendMessageV2, remoting.RequestSendBatchMessage,
			remoting.RequestSendReplyMessage, remoting.RequestSendReplyMessageV2:
			in.send(r, alike)
		case remoting.RequestPullMessage, remoting.RequestLitePullMessage:
			in.pull(r)
		case remoting.RequestHeartBeat:
			in.heartbeat(r)
		}
	}
}

// another appends an empty request; those behind the end are empty.
func (in *Intake) another() *Request {
	if n := len(in.requests); n < cap(in.requests) {
		in.requests = in.requests[:n+1]
	} else {
		in.requests = append(in.requests, Request{})
	}
	return &in.requests[len(in.requests)-1]
}

// heartbeat reads the body of HEART_BEAT, unless it is longer than is allowed: then the request is refused for that.
func (in *Intake) heartbeat(r *Request) {
	if len(r.Frame.Body) > in.cfg.Limits.ControlBytes {
		return
	}
	h, err := remoting.ParseHeartbeat(r.Frame.Body)
	r.Code = remoting.ResponseSystemError
	if err != nil || h.ClientID == "" {
		r.Fault = "malformed heartbeat"
		return
	}
	if r.Fault = in.cfg.Limits.excess(&h); r.Fault != "" {
		return
	}
	for i := range h.Consumers {
		slices.SortFunc(h.Consumers[i].Subscriptions, func(a, b remoting.Subscription) int { return cmp.Compare(a.Topic, b.Topic) })
	}
	r.Beat = &h
}

func (in *Intake) pull(r *Request) {
	var h remoting.PullHeader
	var err error
	if in.scratch, err = remoting.ParsePull(r.Frame.Ext, &h, in.scratch); err != nil {
		r.Fault, r.Code = err.Error(), remoting.ResponseSystemError
		return
	}
	if len(h.Subscription) > in.cfg.Limits.FilterBytes {
		r.Fault, r.Code = "the subscription is longer than "+strconv.Itoa(in.cfg.Limits.FilterBytes)+" bytes", remoting.ResponseSubscriptionParseFailed
		return
	}
	in.pulls = append(in.pulls, h)
	r.Pull = &in.pulls[len(in.pulls)-1]
}

// send reads a send, whose header may be there already, and encodes its records.
func (in *Intake) send(r *Request, parsed bool) {
	h := &in.header
	if !parsed {
		var err error
		if in.scratch, err = in.reader.Parse(&r.Frame, h, in.scratch); err != nil {
			r.Fault, r.Code = err.Error(), remoting.ResponseSystemError
			return
		}
	}
	added := in.added
	if code := r.Frame.Code; code == remoting.RequestSendReplyMessage || code == remoting.RequestSendReplyMessageV2 {
		came := *h
		r.Reply, added = &came, added[:in.toReply]
		h.Batch, h.SysFlag = false, 0 // what is stored of a reply has neither
	}
	r.Send = Send{
		Topic: h.Topic, ProducerGroup: h.ProducerGroup, DefaultTopic: h.DefaultTopic, DefaultQueues: h.DefaultTopicQueueNums,
		QueueID: h.QueueID, ReconsumeTimes: h.ReconsumeTimes, MaxReconsumeTimes: h.MaxReconsumeTimes,
		SysFlag: h.SysFlag, UnitMode: h.UnitMode, Batch: h.Batch,
	}
	if r.Code, r.Fault = in.refusal(h, r.Frame.Body); r.Fault != "" {
		return
	}
	set := false
	if !h.Batch {
		set = r.Send.one(h.Properties)
		if r.Reply == nil {
			in.adapt(r)
		}
	}
	r.Send.Illegal = illegal(h, len(added))
	start := len(in.records)
	record := message.Record{
		QueueID: h.QueueID, Flag: h.Flag, SysFlag: h.SysFlag, BornTimestamp: h.BornTimestamp,
		BornHost: in.host, StoreHost: in.store, ReconsumeTimes: h.ReconsumeTimes, Topic: h.Topic,
	}
	if in.hostV6 {
		record.SysFlag |= message.SysBornHostV6
	}
	if in.storeV6 {
		record.SysFlag |= message.SysStoreHostV6
	}
	if h.Batch {
		if !in.batch(r, &record) {
			return
		}
		r.Send.UniqueKey, _ = message.Property(h.Properties, message.PropertyUniqueKey)
	} else {
		record.Body, record.Properties = r.Frame.Body, in.complete(h.Properties, set, added)
		if r.Reply != nil {
			r.Reply.Properties = record.Properties
		}
		if r.Send.Illegal {
			return
		}
		in.records = message.Append(in.records, &record)
	}
	r.Send.Records = in.records[start:len(in.records):len(in.records)]
}

// adapt changes the properties of the send in in.header as RocketMQ does before it stores them: 4.9 drops WAIT, later versions add a UNIQ_KEY where
// there is none. Source: SendMessageProcessor.asyncSendMessage (RocketMQ 4.9.7), sendMessage (5.3.3).
func (in *Intake) adapt(r *Request) {
	h, start := &in.header, len(in.scratch)
	if in.cfg.isRocketMQ4() {
		if _, found := message.Property(h.Properties, message.PropertyWait); !found {
			return
		}
		in.scratch = message.RemoveProperty(in.scratch, h.Properties, message.PropertyWait)
	} else {
		if len(r.Send.UniqueKey) > 0 {
			return
		}
		in.uniques++
		id := message.AppendUniqueID(nil, [4]byte(in.store.IP[:4]), uint16(in.store.Port), in.client, uint32(h.BornTimestamp), in.uniques)
		r.Send.UniqueKey = id
		in.scratch = message.AppendProperty(message.JoinProperties(append(in.scratch, h.Properties...), start, nil), message.PropertyUniqueKey, id)
	}
	h.Properties = in.scratch[start:len(in.scratch):len(in.scratch)]
}

// one looks at the properties of one record, and reports whether the client has set some that the broker adds.
func (s *Send) one(properties []byte) (set bool) {
	s.Count++
	for len(properties) > 0 {
		var name, value []byte
		name, value, properties = message.NextProperty(properties)
		switch string(name) {
		case message.PropertyWait:
			s.NoWait = string(value) == "false"
		case message.PropertyDelay:
			s.Delayed = s.Delayed || len(value) > 0 && string(value) != "0"
			if s.Type == MessageNormal {
				s.Type = MessageDelay
			}
		case message.PropertyShardingKey:
			s.Type = MessageFIFO
		case message.PropertyUniqueKey:
			s.UniqueKey = value
		case message.PropertyRegion, message.PropertyTrace, message.PropertyCluster:
			set = true
		}
	}
	return set
}

// complete returns the properties with those that the broker adds; set tells that some are there and are to be replaced.
// Source: AbstractSendMessageProcessor.buildMsgContext, SendMessageProcessor.sendMessage (RocketMQ 5.3.3).
func (in *Intake) complete(properties []byte, set bool, added []byte) []byte {
	if len(added) == 0 {
		return properties
	}
	start := len(in.scratch)
	if !set {
		in.scratch = message.JoinProperties(append(in.scratch, properties...), start, added)
		return in.scratch[start:]
	}
	for name, rest := []byte(nil), added; len(rest) > 0; {
		name, _, rest = message.NextProperty(rest)
		properties = message.RemoveProperty(nil, properties, string(name))
	}
	return append(properties, added...)
}

// batch encodes the messages of a client batch as ordinary records.
func (in *Intake) batch(r *Request, record *message.Record) bool {
	for body := r.Frame.Body; len(body) > 0; {
		m, n, err := message.DecodeBatch(body)
		if err != nil {
			r.Code, r.Fault = remoting.ResponseSystemError, err.Error()
			return false
		}
		body = body[n:]
		record.Flag, record.Body, record.Properties = m.Flag, m.Body, m.Properties
		r.Send.one(m.Properties)
		in.records = message.Append(in.records, record)
	}
	r.Send.Delayed = false // a batch goes into one queue as it is, whatever its messages say
	return true
}

var (
	retryPrefix = []byte("%RETRY%")
	dlqPrefix   = []byte("%DLQ%")
)

// IsRetryOrDLQ reports whether a topic holds the failed messages of a group.
func IsRetryOrDLQ(topic string) bool {
	return strings.HasPrefix(topic, string(retryPrefix)) || strings.HasPrefix(topic, string(dlqPrefix))
}
