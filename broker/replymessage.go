package broker

import (
	"strconv"

	"holdfast/broker/message"
	"holdfast/broker/remoting"
)

// sendReply serves SEND_REPLY_MESSAGE and SEND_REPLY_MESSAGE_V2: what answers a message goes to the client that waits for it, over the
// connection of its last heartbeat, and into the topic of replies. The response tells how the push went, at the latest after
// relayTimeout, whatever became of the message that was stored meanwhile. Source: ReplyMessageProcessor (RocketMQ 5.3.3), which stores
// after the push, and keeps the message for so long.
func (n *Node) sendReply(c ConnID, r *Request, out *Output) {
	f := &r.Frame
	t, code, fault := n.admit(c, r, out)
	if fault != "" {
		n.refuse(c, f, code, fault, out)
		return
	}
	id, named := message.Property(r.Reply.Properties, message.PropertyReplyToClient)
	to := n.producers.clients[string(id)]
	if to != nil && n.relays.full(to.conn, &n.cfg.Limits) {
		n.refuse(c, f, remoting.ResponseSystemBusy, "too many requests wait for clients", out)
		return
	}
	answer := n.replyStored(c, r, t)
	requester := string(id)
	switch {
	case !named:
		answer("reply message properties["+message.PropertyReplyToClient+"] is null", out)
	case to == nil:
		answer("push reply message fail, channel of <"+requester+"> not found.", out)
	default:
		n.pushReply(c, r, to.conn, func(a *remoting.Frame, _ bool, out *Output) {
			if a == nil || a.Code != remoting.ResponseSuccess {
				answer("push reply message to "+requester+"fail.", out) // without a space, as RocketMQ says it
				return
			}
			answer("", out)
		}, out)
	}
}

// pushReply sends PUSH_REPLY_MESSAGE_TO_CLIENT.
func (n *Node) pushReply(from ConnID, r *Request, to ConnID, done func(*remoting.Frame, bool, *Output), out *Output) {
	h := remoting.PushReplyHeader{SendHeader: *r.Reply, BornHost: n.conns[from], StoreHost: n.cfg.Addr.String(), StoreTimestamp: n.now.Wall}
	h.Properties = message.SetProperty(nil, h.Properties, message.PropertyPushReplyTime, strconv.FormatInt(n.now.Wall, 10))
	n.relay(to, remoting.RequestPushReplyMessageToClient, h.Append, r.Frame.Body, patient, done, out)
}

// replyStored stores a reply message if it can be, and returns what answers the request: with SUCCESS, or a fault, and where the
// message is. Where it is not stored nobody is told why.
func (n *Node) replyStored(c ConnID, r *Request, t *topic) (answer func(fault string, out *Output)) {
	s := &r.Send
	told := remoting.SendReply{MsgID: []byte("0"), QueueID: s.QueueID}
	stored := false
	if _, fault := n.tooLong(s, len(r.Frame.Body)); fault == "" && n.cfg.StoreReplies {
		phys, queueOffset, _, fault := n.accept(t, &placed{kind: s.Type, queueID: s.QueueID, records: s.Records, count: int(s.Count)})
		if stored = fault == ""; stored {
			told.MsgID, told.QueueOffset = message.AppendOffsetID(nil, &n.storeHost, n.storeHostV6, phys), queueOffset
		}
	}
	head := remoting.Frame{Opaque: r.Frame.Opaque, Form: r.Frame.Form, Flag: remoting.FlagResponse, Version: remoting.Version, Language: remoting.Go}
	oneway, wait := r.Frame.IsOneway(), !s.NoWait
	return func(fault string, out *Output) {
		if oneway {
			return
		}
		if fault != "" {
			head.Code, head.Remark = remoting.ResponseSystemError, []byte(fault)
		}
		w := remoting.Begin(nil, &head)
		if stored || fault == "" {
			told.Append(&w)
		}
		reply := Reply{Conn: c, Kind: ReplyFrame, Frame: w.Finish(nil)}
		if !stored {
			out.Replies = append(out.Replies, reply)
			return
		}
		n.waiters.add(n.contract.Ack.Enlist(&n.marks, n.marks.Appended, wait, n.now.Mono), reply)
	}
}
