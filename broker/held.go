package broker

import "holdfast/broker/remoting"

// heldReplies are answers that wait until the name servers know the topics as they were when the answer was given: whoever
// creates a topic looks for its route next, and a producer that does not find it sends to the queues of the template.
// Source: AdminBrokerProcessor.updateAndCreateTopic, which registers before it answers (RocketMQ 5.3.3).
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
	if (n.lateTopics.unsaved || n.calls.outstanding(remoting.RequestRegisterBroker)) && len(n.held) <= n.cfg.Limits.Topics {
		return
	}
	out.Replies = append(out.Replies, n.held...)
	clear(n.held)
	n.held = n.held[:0]
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
