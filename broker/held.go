package broker

import (
	"slices"

	"holdfast/broker/remoting"
)

// heldReply is an answer that waits until the name servers know the topics as they were when it was given: whoever creates a topic
// looks for its route next. A producer that does not find it sends to the queues of the template; a consumer that does not find it asks
// again after 30 s.
// Source: AdminBrokerProcessor.updateAndCreateTopic, TopicConfigManager.createTopicInSendMessageMethod, which register before
// they go on (RocketMQ 5.3.3).
type heldReply struct {
	reply  Reply
	change int64 // of the topic table, which they must know of
}

// hold has an answer wait for the last change of the topic table.
func (n *Node) hold(r Reply) { n.held = append(n.held, heldReply{r, n.topics.changes}) }

// okRegistered answers a request with SUCCESS once every name server has taken the topics, or could not be reached within CallTimeout.
func (n *Node) okRegistered(c ConnID, f *remoting.Frame, out *Output) {
	if f.IsOneway() {
		return
	}
	n.hold(Reply{Conn: c, Kind: ReplyFrame, Frame: remoting.AppendReply(nil, f.Form, remoting.ResponseSuccess, f.Opaque, "", nil)})
	n.releaseHeld(false, out)
}

// holdMakers takes the answers to sends that made their topics back until the name servers know these; but not where the topics are told later,
// for a producer that makes many would wait for each of them (see lateTable). Other sends to these topics may be answered before, as RocketMQ's are.
func (n *Node) holdMakers(out *Output) {
	if len(out.Replies) == 0 || n.lateTopics.unsaved || !n.untold(n.topics.changes) {
		return
	}
	out.Replies = slices.DeleteFunc(out.Replies, func(r Reply) bool {
		made := r.madeTopic
		if r.madeTopic = false; made {
			n.hold(r)
		}
		return made
	})
}

// releaseHeld gives the held answers out that wait no longer, or all. More than Limits.Topics are not held.
func (n *Node) releaseHeld(all bool, out *Output) {
	all = all || len(n.held) > n.cfg.Limits.Topics
	free := 0
	for free < len(n.held) && (all || !n.untold(n.held[free].change)) {
		out.Replies = append(out.Replies, n.held[free].reply)
		free++
	}
	n.held = slices.Delete(n.held, 0, free)
}

// untold reports whether a name server is still to hear of a change of the topic table.
func (n *Node) untold(change int64) bool {
	if change > n.topics.saved {
		return true
	}
	for i := range n.calls.pending {
		if p := &n.calls.pending[i]; p.code == remoting.RequestRegisterBroker && n.toldUpTo[p.addr] < change {
			return true
		}
	}
	return false
}
