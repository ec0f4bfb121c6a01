package broker

import (
	"time"

	"holdfast/broker/message"
	"holdfast/broker/remoting"
)

// relay is a request of this node to a client that the client has to answer.
type relay struct {
	id     int32 // opaque
	client ConnID
	until  time.Duration
	// done takes the answer; nil when there was none: in time, or before the connection ended, which timeout tells apart.
	done func(answer *remoting.Frame, timeout bool, out *Output)
}

// relayTable is the relays that have not been answered, the oldest first.
type relayTable struct{ pending []*relay }

// deadline returns when the first relay gives up. There are few, with two timeouts.
func (t *relayTable) deadline() (at time.Duration) {
	for _, r := range t.pending {
		at = earlier(at, r.until)
	}
	return at
}

// Timeouts of relays. Source: Broker2Client.callClient, getConsumeStatus (RocketMQ 5.3.3).
const (
	relayTimeout  = 10 * time.Second
	statusTimeout = 5 * time.Second
)

// relay sends a request to a client.
func (n *Node) relay(to ConnID, code int32, fields func(*remoting.Writer), body []byte, timeout time.Duration, done func(*remoting.Frame, bool, *Output), out *Output) {
	n.pushes++
	w := remoting.Begin(nil, &remoting.Frame{Code: code, Opaque: n.pushes, Version: remoting.Version, Language: remoting.Go})
	fields(&w)
	n.relays.pending = append(n.relays.pending, &relay{id: n.pushes, client: to, until: n.now.Mono + timeout, done: done})
	out.Replies = append(out.Replies, Reply{Conn: to, Kind: ReplyFrame, Push: true, Frame: w.Finish(body)})
}

// end takes the relays out for which over says so, and returns them.
func (t *relayTable) end(over func(*relay) bool) (ended []*relay) {
	kept := t.pending[:0]
	for _, r := range t.pending {
		if over(r) {
			ended = append(ended, r)
		} else {
			kept = append(kept, r)
		}
	}
	clear(t.pending[len(kept):])
	t.pending = kept
	return ended
}

// relayed takes what a client answers. An answer that nobody waits for is passed over.
func (n *Node) relayed(c ConnID, f *remoting.Frame, out *Output) {
	for _, r := range n.relays.end(func(r *relay) bool { return r.id == f.Opaque && r.client == c }) {
		r.done(f, false, out)
	}
}

func (n *Node) relayLost(c ConnID, out *Output) {
	for _, r := range n.relays.end(func(r *relay) bool { return r.client == c }) {
		r.done(nil, false, out)
	}
}

func (n *Node) relayTimeouts(out *Output) {
	if len(n.relays.pending) == 0 {
		return
	}
	for _, r := range n.relays.end(func(r *relay) bool { return r.until <= n.now.Mono }) {
		r.done(nil, true, out)
	}
}

// passOn passes a request on to the consumer that it names, and the consumer's answer back.
// Source: AdminBrokerProcessor.callConsumer (RocketMQ 5.3.3).
func (n *Node) passOn(c ConnID, f *remoting.Frame, h *remoting.ClientHeader, fields func(*remoting.Writer), body []byte, out *Output) {
	code, opaque, form, who := f.Code, f.Opaque, f.Form, "<"+h.ConsumerGroup+"> <"+h.ClientID+">"
	var to *client
	if g := n.groups.byName[h.ConsumerGroup]; g != nil {
		to = g.find(h.ClientID)
	}
	switch {
	case to == nil:
		n.refuse(c, f, remoting.ResponseSystemError, "The Consumer "+who+" not online", out)
		return
	case len(n.relays.pending) >= n.cfg.Limits.Relays:
		n.refuse(c, f, remoting.ResponseSystemBusy, "too many requests wait for clients", out)
		return
	case f.IsOneway():
		return
	}
	back := func(frame remoting.Frame, out *Output) {
		frame.Opaque, frame.Form, frame.Flag = opaque, form, remoting.FlagResponse
		frame.Version, frame.Language = remoting.Version, remoting.Go
		out.Replies = append(out.Replies, Reply{Conn: c, Kind: ReplyFrame, Frame: remoting.Append(nil, &frame)})
	}
	n.relay(to.conn, code, fields, body, relayTimeout, func(a *remoting.Frame, timeout bool, out *Output) {
		switch {
		case a != nil:
			back(*a, out)
		case timeout:
			back(remoting.Frame{Code: remoting.ResponseConsumeMsgTimeout, Remark: []byte("consumer " + who + " Timeout: no answer in " + relayTimeout.String())}, out)
		default:
			back(remoting.Frame{Code: remoting.ResponseSystemError, Remark: []byte("invoke consumer " + who + " Exception: its connection has ended")}, out)
		}
	}, out)
}

// runningInfo serves GET_CONSUMER_RUNNING_INFO.
func (n *Node) runningInfo(c ConnID, f *remoting.Frame, out *Output) {
	h, err := remoting.ParseClient(f.Ext)
	if err != nil {
		n.refuse(c, f, remoting.ResponseSystemError, err.Error(), out)
		return
	}
	n.passOn(c, f, &h, func(w *remoting.Writer) { w.Fields(f.Ext) }, f.Body, out)
}

// consumeDirectly serves CONSUME_MESSAGE_DIRECTLY: the consumer gets the stored message in the body.
// Source: AdminBrokerProcessor.consumeMessageDirectly (RocketMQ 5.3.3).
func (n *Node) consumeDirectly(c ConnID, f *remoting.Frame, out *Output) {
	h, err := remoting.ParseClient(f.Ext)
	if err != nil {
		n.refuse(c, f, remoting.ResponseSystemError, err.Error(), out)
		return
	}
	_, _, phys, ok := message.ParseOffsetID(h.MsgID)
	if !ok {
		n.refuse(c, f, remoting.ResponseSystemError, "msgId "+h.MsgID+" is no offset message id: 32 or 56 hexadecimal characters", out)
		return
	}
	ask := recordStoredAt(phys)
	ask.keep = true
	request := f.Clone()
	n.inquire(c, f, askAll([]question{ask}, func(i *inquiry, out *Output) {
		record := i.questions[0].record
		if record == nil {
			n.refuse(c, &request, remoting.ResponseSystemError, "no message with the id "+h.MsgID, out)
			return
		}
		n.passOn(c, &request, &h, func(w *remoting.Writer) {
			w.Fields(request.Ext)
			w.String("brokerName", n.cfg.BrokerName)
			if t := n.topics.byName[h.Topic]; t != nil {
				w.Int("topicSysFlag", int64(t.conf.SysFlag))
			}
			w.Int("groupSysFlag", 0)
		}, record, out)
	}), out)
}

// consumerStatus serves INVOKE_BROKER_TO_GET_CONSUMER_STATUS: it asks every client of the group, or one, how far it has come.
// Source: Broker2Client.getConsumeStatus (RocketMQ 5.3.3).
func (n *Node) consumerStatus(c ConnID, f *remoting.Frame, out *Output) {
	h, err := remoting.ParseConsumerStatus(f.Ext)
	if err != nil {
		n.refuse(c, f, remoting.ResponseSystemError, err.Error(), out)
		return
	}
	g := n.groups.byName[h.Group]
	if g == nil || len(g.clients) == 0 {
		n.refuse(c, f, remoting.ResponseSystemError, "No Any Consumer online in the consumer group: ["+h.Group+"]", out)
		return
	}
	var asked []*client
	for _, e := range g.clients {
		if h.ClientID == "" || h.ClientID == e.id {
			asked = append(asked, e)
		}
	}
	if len(n.relays.pending)+len(asked) > n.cfg.Limits.Relays {
		n.refuse(c, f, remoting.ResponseSystemBusy, "too many requests wait for clients", out)
		return
	}
	request := remoting.Frame{Opaque: f.Opaque, Form: f.Form, Flag: f.Flag}
	missing := len(asked)
	var answers []remoting.ClientOffsets
	ask := remoting.ConsumerStatusHeader{Topic: h.Topic, Group: h.Group}
	for _, e := range asked {
		id := e.id
		n.relay(e.conn, remoting.RequestGetConsumerStatusFromClient, ask.Append, nil, statusTimeout, func(a *remoting.Frame, _ bool, out *Output) {
			missing--
			if a != nil && a.Code == remoting.ResponseSuccess {
				if offsets, err := remoting.ParseClientStatus(a.Body); err == nil {
					answers = append(answers, remoting.ClientOffsets{ClientID: id, Offsets: offsets})
				}
			}
			if missing == 0 {
				n.ok(c, &request, remoting.AppendConsumerStatus(nil, answers), out)
			}
		}, out)
	}
	if missing == 0 {
		n.ok(c, f, remoting.AppendConsumerStatus(nil, nil), out)
	}
}
