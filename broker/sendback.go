package broker

import (
	"strconv"

	"holdfast/broker/message"
	"holdfast/broker/remoting"
	"holdfast/broker/store"
)

// sendingBack is a CONSUMER_SEND_MSG_BACK whose message is being read.
type sendingBack struct {
	conn   ConnID
	frame  remoting.Frame // of the request, for its reply alone
	header remoting.SendBackHeader
	load   *store.LoadJob
}

// firstRetryLevel is the delay level of the first redelivery, when the client leaves it to the broker: 10 s.
const firstRetryLevel = 3

// sendBack serves CONSUMER_SEND_MSG_BACK: a consumer failed on a message, which is to come again later, or goes to the
// dead letters of its group. The append waits for neither flush nor replica, whatever the contract.
// Source: AbstractSendMessageProcessor.consumerSendMsgBack (RocketMQ 5.3.3).
func (n *Node) sendBack(c ConnID, f *remoting.Frame, out *Output) {
	h, err := remoting.ParseSendBack(f.Ext)
	switch {
	case err != nil:
		n.refuse(c, f, remoting.ResponseSystemError, err.Error(), out)
		return
	case n.role == roleSlave || n.control.fenced(n.now.Mono):
		n.refuse(c, f, remoting.ResponseSystemError, "no master available along with "+n.cfg.Addr.Addr().String(), out)
		return
	case n.groups.get([]byte(h.Group)) == nil:
		n.refuse(c, f, remoting.ResponseSubscriptionGroupNotExist, "subscription group not exist, "+h.Group, out)
		return
	case len(n.backs) >= n.cfg.Limits.Polls:
		n.refuse(c, f, remoting.ResponseSystemBusy, "[OVERLOAD]too many messages are being sent back", out)
		return
	}
	b := sendingBack{conn: c, frame: remoting.Frame{Code: f.Code, Opaque: f.Opaque, Flag: f.Flag, Form: f.Form}, header: h}
	record, load, err := n.store.Record(h.Offset, n.marks.Written)
	switch {
	case err != nil:
		n.notFound(&b, out)
	case load != nil:
		b.load = load
		n.backs = append(n.backs, b)
		out.Loads = append(out.Loads, load)
	default:
		n.again(&b, record, out)
	}
}

func (n *Node) notFound(b *sendingBack, out *Output) {
	n.refuse(b.conn, &b.frame, remoting.ResponseSystemError, "look message by offset failed, "+strconv.FormatInt(b.header.Offset, 10), out)
}

// loadedBack goes on with the request that waits for job, and reports whether there is one.
func (n *Node) loadedBack(job *store.LoadJob, out *Output) bool {
	for i := range n.backs {
		b := n.backs[i]
		if b.load != job {
			continue
		}
		n.backs = append(n.backs[:i], n.backs[i+1:]...)
		if n.store.Loaded(job) != nil {
			n.notFound(&b, out)
		} else {
			n.again(&b, job.Record(), out)
		}
		return true
	}
	return false
}

// again appends the message for its next delivery.
func (n *Node) again(b *sendingBack, record []byte, out *Output) {
	r, _, err := message.Decode(record, true)
	g := n.groups.get([]byte(b.header.Group))
	if err != nil || r.PhysOffset != b.header.Offset || g == nil {
		n.notFound(b, out)
		return
	}
	if g.conf.RetryQueues < 1 {
		n.ok(b.conn, &b.frame, nil, out) // the group wants no redelivery
		return
	}
	t, level := n.nextTry(b, g, r.ReconsumeTimes, out)
	if t == nil {
		n.refuse(b.conn, &b.frame, remoting.ResponseSystemBusy, "too many topics", out)
		return
	}
	kind := MessageNormal
	if level > 0 {
		kind = MessageDelay
	} else if origin := n.topics.get(r.Topic); origin != nil {
		n.outflow(origin, []byte(g.conf.Name)).Dead++
	}
	n.remember(&r, b)
	r.Topic, r.QueueID, r.QueueOffset, r.PreparedTransactionOffset = []byte(t.conf.Name), 0, 0, 0
	r.Properties = message.SetProperty(nil, r.Properties, message.PropertyDelay, strconv.Itoa(level))
	if level > 0 {
		r.QueueID = n.rng.Int32N(max(1, t.conf.WriteQueues))
		t = n.delay(&r, level)
	}
	r.ReconsumeTimes++
	r.StoreHost = n.storeHost
	r.SysFlag &^= message.SysStoreHostV6
	if n.storeHostV6 {
		r.SysFlag |= message.SysStoreHostV6
	}
	if r.Check() != nil {
		n.refuse(b.conn, &b.frame, remoting.ResponseMessageIllegal, "the message properties are too long to be sent back", out)
		return
	}
	n.put(b.conn, &b.frame, t, &placed{kind: kind, queueID: r.QueueID, told: r.QueueID, records: message.Append(nil, &r), count: 1, noWait: true}, out)
}

// nextTry returns the topic of the next delivery and its delay level, 0 for the dead letters; nil when there may be no more
// topics.
func (n *Node) nextTry(b *sendingBack, g *group, tried int32, out *Output) (*topic, int) {
	limit := g.conf.RetryMaxTimes
	if b.header.MaxReconsumeTimes != remoting.NoLimit {
		limit = b.header.MaxReconsumeTimes
	}
	if tried >= limit || b.header.DelayLevel < 0 {
		return n.deadLetters(g.conf.Name, out), 0
	}
	n.retryTopic(g, out)
	level := int(b.header.DelayLevel)
	if level == 0 {
		level = firstRetryLevel + int(tried)
	}
	return n.topics.byName[string(retryPrefix)+g.conf.Name], min(level, len(delays))
}

// remember keeps where the message came from in its properties, from its first return on.
func (n *Node) remember(r *message.Record, b *sendingBack) {
	if _, ok := message.Property(r.Properties, message.PropertyRetryTopic); !ok {
		r.Properties = message.SetProperty(nil, r.Properties, message.PropertyRetryTopic, r.Topic)
	}
	if _, ok := message.Property(r.Properties, message.PropertyOriginMessageID); !ok {
		id := message.AppendOffsetID(nil, &r.StoreHost, r.SysFlag&message.SysStoreHostV6 != 0, b.header.Offset)
		r.Properties = message.SetProperty(nil, r.Properties, message.PropertyOriginMessageID, id)
	}
	r.Properties = message.SetProperty(nil, r.Properties, message.PropertyWait, "false")
}
