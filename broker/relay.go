package broker

import (
	"slices"
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

// patience is how long a relay waits for its answer.
type patience uint8

const (
	patient   patience = iota // relayTimeout
	impatient                 // statusTimeout
)

// Timeouts of relays. Source: Broker2Client.callClient, getConsumeStatus (RocketMQ 5.3.3).
const (
	relayTimeout  = 10 * time.Second
	statusTimeout = 5 * time.Second
)

// relayTable is the relays that have not been answered.
type relayTable struct {
	lanes [2][]*relay // by patience; in each both ids and deadlines rise
	of    map[ConnID]int
	size  int
}

// deadline returns when the first relay gives up; 0 when there is none.
func (t *relayTable) deadline() (at time.Duration) {
	for _, lane := range t.lanes {
		if len(lane) > 0 {
			at = earlier(at, lane[0].until)
		}
	}
	return at
}

// full reports whether a client may not be asked now: too many requests wait for it, or for all clients.
func (t *relayTable) full(c ConnID, l *Limits) bool {
	return t.size >= l.Relays || t.of[c] >= l.RelaysOfOne
}

// relay sends a request to a client.
func (n *Node) relay(to ConnID, code int32, fields func(*remoting.Writer), body []byte, p patience, done func(*remoting.Frame, bool, *Output), out *Output) {
	n.pushes++
	w := remoting.Begin(nil, &remoting.Frame{Code: code, Opaque: n.pushes, Version: remoting.Version, Language: remoting.Go})
	fields(&w)
	timeout, t := [...]time.Duration{relayTimeout, statusTimeout}[p], &n.relays
	t.lanes[p] = append(t.lanes[p], &relay{id: n.pushes, client: to, until: n.now.Mono + timeout, done: done})
	t.of[to]++
	t.size++
	out.Replies = append(out.Replies, Reply{Conn: to, Kind: ReplyFrame, Push: true, Frame: w.Finish(body)})
}

// forget counts a relay that was taken out of its lane.
func (t *relayTable) forget(r *relay) {
	t.size--
	if t.of[r.client]--; t.of[r.client] == 0 {
		delete(t.of, r.client)
	}
}

// take takes the relay out that a client answers; nil when it answers none.
func (t *relayTable) take(c ConnID, id int32) *relay {
	if t.of[c] == 0 {
		return nil
	}
	for i, lane := range t.lanes {
		at, found := slices.BinarySearchFunc(lane, id, func(r *relay, id int32) int { return int(r.id - id) }) // ids wrap around
		if found && lane[at].client == c {
			r := lane[at]
			t.lanes[i] = slices.Delete(lane, at, at+1)
			t.forget(r)
			return r
		}
	}
	return nil
}

// end takes the relays out for which over says so, and returns them.
func (t *relayTable) end(over func(*relay) bool) (ended []*relay) {
	for i, lane := range t.lanes {
		t.lanes[i] = slices.DeleteFunc(lane, func(r *relay) bool {
			gone := over(r)
			if gone {
				ended = append(ended, r)
				t.forget(r)
			}
			return gone
		})
	}
	return ended
}

// relayed takes what a client answers. An answer that nobody waits for is passed over.
func (n *Node) relayed(c ConnID, f *remoting.Frame, out *Output) {
	if r := n.relays.take(c, f.Opaque); r != nil {
		r.done(f, false, out)
	}
}

func (n *Node) relayLost(c ConnID, out *Output) {
	if n.relays.of[c] == 0 {
		return
	}
	for _, r := range n.relays.end(func(r *relay) bool { return r.client == c }) {
		r.done(nil, false, out)
	}
}

func (n *Node) relayTimeouts(out *Output) {
	if !due(n.relays.deadline(), n.now.Mono) {
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
	case n.relays.full(to.conn, &n.cfg.Limits):
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
	n.relay(to.conn, code, fields, body, patient, func(a *remoting.Frame, timeout bool, out *Output) {
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
	if n.relays.size+len(asked) > n.cfg.Limits.Relays {
		n.refuse(c, f, remoting.ResponseSystemBusy, "too many requests wait for clients", out)
		return
	}
	request := remoting.Frame{Opaque: f.Opaque, Form: f.Form, Flag: f.Flag}
	missing := len(asked)
	var answers []remoting.ClientOffsets
	ask := remoting.ConsumerStatusHeader{Topic: h.Topic, Group: h.Group}
	for _, e := range asked {
		id := e.id
		n.relay(e.conn, remoting.RequestGetConsumerStatusFromClient, ask.Append, nil, impatient, func(a *remoting.Frame, _ bool, out *Output) {
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
