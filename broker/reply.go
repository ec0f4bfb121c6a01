package broker

import (
	"fmt"

	"holdfast/broker/durability"
	"holdfast/broker/message"
	"holdfast/broker/remoting"
)

// AppendReply appends the frame of r to dst. It needs no lock: it reads nothing of the node that changes. It fails only
// when log bytes must come from a file that cannot be read; then the connection is to be closed.
func (n *Node) AppendReply(dst []byte, r *Reply) ([]byte, error) {
	switch r.Kind {
	case ReplyFrame:
		return append(dst, r.Frame...), nil
	case ReplyPull:
		return appendPull(dst, r)
	case ReplyBody:
		w := remoting.Begin(dst, &remoting.Frame{Code: r.Code, Opaque: r.Opaque, Flag: remoting.FlagResponse, Version: remoting.Version, Language: remoting.Go, Form: r.Form})
		return w.FinishFunc(r.Body), nil
	}
	var id [60]byte
	msgID := message.AppendOffsetID(id[:0], &n.storeHost, n.storeHostV6, r.PhysOffset)
	for _, phys := range r.More {
		msgID = message.AppendOffsetID(append(msgID, ','), &n.storeHost, n.storeHostV6, phys)
	}
	return remoting.AppendSendReply(dst, r.Form, r.Code, r.Opaque, &remoting.SendReply{
		MsgID: msgID, QueueID: r.QueueID, QueueOffset: r.QueueOffset, TransactionID: r.unique[:r.uniqueBytes],
	}), nil
}

// AppendFront appends the frame of r, of kind ReplyPull, up to its body; the ranges are to follow.
func (r *Reply) AppendFront(dst []byte) []byte {
	p := r.Pull
	return remoting.AppendPullReply(dst, r.Form, r.Code, r.Opaque, []byte(p.Remark), &p.Header, p.Bytes)
}

func appendPull(dst []byte, r *Reply) ([]byte, error) {
	p := r.Pull
	dst = r.AppendFront(dst)
	for i := range p.Ranges {
		var err error
		if dst, err = p.Ranges[i].AppendTo(dst); err != nil {
			return dst, fmt.Errorf("broker: read of the commit log at %d: %w", p.Ranges[i].Phys, err)
		}
	}
	return dst, nil
}

// codeOf returns the response code of a put's outcome.
func codeOf(s durability.Status) int32 {
	switch s { // StatusUnconfirmed is SYSTEM_ERROR: clients cannot take it for a refusal
	case durability.StatusOK:
		return remoting.ResponseSuccess
	case durability.StatusFlushDiskTimeout:
		return remoting.ResponseFlushDiskTimeout
	case durability.StatusFlushSlaveTimeout:
		return remoting.ResponseFlushSlaveTimeout
	case durability.StatusSlaveNotAvailable:
		return remoting.ResponseSlaveNotAvailable
	}
	return remoting.ResponseSystemError
}

// refuse answers a request with an error code, unless it is oneway.
func (n *Node) refuse(c ConnID, f *remoting.Frame, code int32, remark string, out *Output) {
	n.answer(c, f, out, remoting.AppendReply(nil, f.Form, code, f.Opaque, remark, nil))
}

// ok answers a request that has nothing to say but SUCCESS, with an optional body.
func (n *Node) ok(c ConnID, f *remoting.Frame, body []byte, out *Output) {
	n.answer(c, f, out, remoting.AppendReply(nil, f.Form, remoting.ResponseSuccess, f.Opaque, "", body))
}

// okLater is ok with a body that may be long. body is called once, without the lock: it may read what it was made with alone.
func (n *Node) okLater(c ConnID, f *remoting.Frame, body func(dst []byte) []byte, out *Output) {
	if !f.IsOneway() {
		out.Replies = append(out.Replies, Reply{Conn: c, Kind: ReplyBody, Opaque: f.Opaque, Form: f.Form, Body: body})
	}
}

// answer puts a whole frame out, unless the request is oneway.
func (n *Node) answer(c ConnID, f *remoting.Frame, out *Output, frame []byte) {
	if !f.IsOneway() {
		out.Replies = append(out.Replies, Reply{Conn: c, Kind: ReplyFrame, Frame: frame})
	}
}
