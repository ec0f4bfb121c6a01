package broker

import (
	"slices"

	"holdfast/broker/remoting"
)

// heldReplies are answers that wait until the name servers know the topics as they were when the answer was given: whoever
// creates a topic looks for its route next. A producer that does not find it sends to the queues of the template; a consumer
// that does not find it asks again after 30 s.
// Source: AdminBrokerProcessor.updateAndCreateTopic, TopicConfigManager.createTopicInSendMessageMethod, which register before
// they go on (RocketMQ 5.3.3).
type heldReplies []Reply

// okRegistered answers a request with SUCCESS once no registration is outstanding: every name server has answered, or
// could not be reached within CallTimeout.
func (n *Node) okRegistered(c ConnID, f *remoting.Frame, out *Output) {
	if f.IsOneway() {
		return
	}
	n.held = append(n.held, Reply{Conn: c, Kind: ReplyFrame, Frame: remoting.AppendReply(nil, f.Form, remoting.ResponseSuccess, f.Opaque, "", nil)})
	n.releaseHeld(out)
}

// releaseHeld gives the held answers out unless a registration is outstanding. More than Limits.Topics are not held.
func (n *Node) releaseHeld(out *Output) {
	if n.registering() && len(n.held) <= n.cfg.Limits.Topics {
		return
	}
	out.Replies = append(out.Replies, n.held...)
	clear(n.held)
	n.held = n.held[:0]
}

// holdMakers takes the answers to sends that made their topics back while a registration is outstanding: other sends to these topics
// are answered before them, as RocketMQ's are.
func (n *Node) holdMakers(out *Output) {
	if len(out.Replies) == 0 || !n.registering() {
		return
	}
	held := len(n.held)
	out.Replies = slices.DeleteFunc(out.Replies, func(r Reply) bool {
		if r.madeTopic {
			n.held = append(n.held, r)
			n.held[len(n.held)-1].madeTopic = false
		}
		return r.madeTopic
	})
	if len(n.held) > held {
		n.releaseHeld(out)
	}
}

// registering reports whether a name server may not know the topics as they are.
func (n *Node) registering() bool {
	return n.lateTopics.unsaved || n.calls.outstanding(remoting.RequestRegisterBroker)
}

// outstanding reports whether a request with that code has not been answered.
func (t *callTable) outstanding(code int32) bool {
	for _, p := range t.pending {
		if p.code == code {
			return true
		}
	}
	return false
}
