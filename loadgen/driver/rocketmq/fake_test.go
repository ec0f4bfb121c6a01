package rocketmq

import (
	"net"
	"sync"
	"testing"

	"holdfast/broker/message"
	"holdfast/broker/remoting"
)

// fakeBroker is a name server and broker on one port whose answers a test chooses.
type fakeBroker struct {
	t        *testing.T
	listener net.Listener
	done     sync.WaitGroup

	mu     sync.Mutex
	conns  []net.Conn
	sends  int
	logs   map[int32][][]byte // records by queue
	first  int64              // lowest queue offset held
	answer func(n int, f *remoting.Frame) verdict
	chunk  int // bytes of one write; 0: all at once
	topics []string
}

// verdict is what a fake does with a send.
type verdict int

const (
	ack verdict = iota
	ignore
	hangUp
	refuse
)

// newFake listens on address; port 0: any.
func newFake(t *testing.T, address string) *fakeBroker {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	b := &fakeBroker{t: t, listener: listener, logs: map[int32][][]byte{}, answer: func(int, *remoting.Frame) verdict { return ack }}
	b.done.Go(b.accept)
	t.Cleanup(b.close)
	return b
}

func (b *fakeBroker) address() string { return b.listener.Addr().String() }

// set changes how the broker answers.
func (b *fakeBroker) set(change func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change()
}

func (b *fakeBroker) close() {
	_ = b.listener.Close()
	b.mu.Lock()
	for _, c := range b.conns {
		_ = c.Close()
	}
	b.mu.Unlock()
	b.done.Wait()
}

func (b *fakeBroker) accept() {
	for {
		c, err := b.listener.Accept()
		if err != nil {
			return
		}
		b.mu.Lock()
		b.conns = append(b.conns, c)
		b.mu.Unlock()
		b.done.Go(func() { b.serve(c) })
	}
}

func (b *fakeBroker) serve(c net.Conn) {
	defer func() { _ = c.Close() }()
	var in []byte
	buf := make([]byte, 64<<10)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		in = append(in, buf[:n]...)
		for {
			f, n, err := remoting.Decode(in)
			if err != nil || n == 0 {
				break
			}
			out, open := b.handle(&f)
			if !open {
				return
			}
			if !b.write(c, out) {
				return
			}
			in = in[n:]
		}
	}
}

// write sends out in chunks, so that a reader sees torn frames.
func (b *fakeBroker) write(c net.Conn, out []byte) bool {
	b.mu.Lock()
	chunk := b.chunk
	b.mu.Unlock()
	if chunk == 0 {
		chunk = len(out)
	}
	for len(out) > 0 {
		n := min(chunk, len(out))
		if _, err := c.Write(out[:n]); err != nil {
			return false
		}
		out = out[n:]
	}
	return true
}

// handle returns the reply to one request; open is false to hang up.
func (b *fakeBroker) handle(f *remoting.Frame) (out []byte, open bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch f.Code {
	case remoting.RequestSendMessageV2:
		return b.send(f)
	case remoting.RequestPullMessage:
		return b.pull(f), true
	case remoting.RequestUpdateAndCreateTopic:
		h, err := remoting.ParseCreateTopic(f.Ext)
		if err != nil {
			b.t.Error(err)
		}
		b.topics = append(b.topics, h.Topic.Name)
	case remoting.RequestGetMaxOffset:
		var h remoting.QueueHeader
		if err := remoting.ParseQueue(f.Code, f.Ext, &h); err != nil {
			b.t.Error(err)
		}
		return remoting.AppendOffsetReply(nil, f.Form, f.Opaque, int64(len(b.logs[h.QueueID]))), true
	case remoting.RequestGetRouteInfoByTopic:
		route := remoting.RouteInfo{
			Queues:  []remoting.QueueData{{BrokerName: "a", ReadQueues: 4, WriteQueues: 4, Perm: 6}},
			Brokers: []remoting.BrokerData{{BrokerName: "a", Addrs: []remoting.BrokerAddr{{Addr: b.address()}}}},
		}
		return remoting.AppendReply(nil, f.Form, 0, f.Opaque, "", route.Append(nil)), true
	}
	return remoting.AppendReply(nil, f.Form, 0, f.Opaque, "", nil), true
}

func (b *fakeBroker) send(f *remoting.Frame) ([]byte, bool) {
	n := b.sends
	b.sends++
	switch b.answer(n, f) {
	case ignore:
		return nil, true
	case hangUp:
		return nil, false
	case refuse:
		return remoting.AppendReply(nil, f.Form, remoting.ResponseSystemBusy, f.Opaque, "[REJECTREQUEST]no", nil), true
	}
	var h remoting.SendHeader
	if _, err := remoting.ParseSend(f.Code, f.Ext, &h, nil); err != nil {
		b.t.Error(err)
		return nil, false
	}
	log := b.logs[h.QueueID]
	offset := int64(len(log))
	record := message.Record{QueueID: h.QueueID, QueueOffset: offset, Topic: h.Topic, Body: f.Body}
	b.logs[h.QueueID] = append(log, message.Append(nil, &record))
	return remoting.AppendSendReply(nil, f.Form, 0, f.Opaque, &remoting.SendReply{MsgID: []byte("X"), QueueID: h.QueueID, QueueOffset: offset}), true
}

func (b *fakeBroker) pull(f *remoting.Frame) []byte {
	var h remoting.PullHeader
	if _, err := remoting.ParsePull(f.Ext, &h, nil); err != nil {
		b.t.Error(err)
	}
	log := b.logs[h.QueueID]
	end := int64(len(log))
	r := remoting.PullReply{NextBeginOffset: h.QueueOffset, MinOffset: b.first, MaxOffset: end}
	if h.QueueOffset < b.first {
		r.NextBeginOffset = b.first
		return remoting.AppendPullReply(nil, f.Form, remoting.ResponsePullOffsetMoved, f.Opaque, nil, &r, 0)
	}
	var body []byte
	for i := h.QueueOffset; i < end && i < h.QueueOffset+3; i++ { // few at a time, as a broker on cold data gives
		body = append(body, log[i]...)
		r.NextBeginOffset = i + 1
	}
	code := remoting.ResponseSuccess
	if len(body) == 0 {
		code = remoting.ResponsePullNotFound
	}
	return append(remoting.AppendPullReply(nil, f.Form, code, f.Opaque, nil, &r, len(body)), body...)
}
