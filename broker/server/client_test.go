package server

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"holdfast/broker/message"
	"holdfast/broker/remoting"
)

// client is a minimal client: one connection, frames out, frames in.
type client struct {
	t      testing.TB
	nc     net.Conn
	opaque int32
}

func dial(t testing.TB, addr string) *client {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	return &client{t: t, nc: nc}
}

func (c *client) write(b []byte) {
	c.t.Helper()
	if _, err := c.nc.Write(b); err != nil {
		c.t.Fatal(err)
	}
}

// read returns the next frame; the bytes are its own.
func (c *client) read() remoting.Frame {
	c.t.Helper()
	f, err := c.tryRead()
	if err != nil {
		c.t.Fatal(err)
	}
	return f
}

func (c *client) tryRead() (remoting.Frame, error) {
	var head [4]byte
	c.nc.SetReadDeadline(time.Now().Add(60 * time.Second))
	if _, err := io.ReadFull(c.nc, head[:]); err != nil {
		return remoting.Frame{}, err
	}
	b := make([]byte, 4+binary.BigEndian.Uint32(head[:]))
	copy(b, head[:])
	if _, err := io.ReadFull(c.nc, b[4:]); err != nil {
		return remoting.Frame{}, err
	}
	f, _, err := remoting.Decode(b)
	return f, err
}

func (c *client) begin(code int32) remoting.Writer {
	c.opaque++
	return remoting.Begin(nil, &remoting.Frame{Code: code, Opaque: c.opaque, Version: remoting.Version, Language: remoting.Go})
}

// call sends a request and returns its reply, passing over requests of the broker.
func (c *client) call(code int32, fields func(*remoting.Writer), body []byte) remoting.Frame {
	c.t.Helper()
	w := c.begin(code)
	if fields != nil {
		fields(&w)
	}
	c.write(w.Finish(body))
	for {
		if f := c.read(); f.IsResponse() && f.Opaque == c.opaque {
			return f
		}
	}
}

func sendFrame(dst []byte, opaque int32, topic string, queueID int32, props, body []byte) []byte {
	w := remoting.Begin(dst, &remoting.Frame{Code: remoting.RequestSendMessageV2, Opaque: opaque, Version: remoting.Version, Language: remoting.Go})
	h := remoting.SendHeader{
		ProducerGroup: []byte("p"), Topic: []byte(topic), DefaultTopic: []byte("TBW102"), DefaultTopicQueueNums: 4,
		QueueID: queueID, Properties: props, MaxReconsumeTimes: remoting.NoLimit, BornTimestamp: 1,
	}
	h.Append(&w, remoting.RequestSendMessageV2)
	return w.Finish(body)
}

// send sends one message and returns code and reply header.
func (c *client) send(topic string, queueID int32, body string) (int32, remoting.SendReply) {
	c.t.Helper()
	c.opaque++
	c.write(sendFrame(nil, c.opaque, topic, queueID, nil, []byte(body)))
	f := c.read()
	var r remoting.SendReply
	if err := remoting.ParseSendReply(f.Ext, &r); err != nil && f.Code == 0 {
		c.t.Fatalf("send reply: %v", err)
	}
	return f.Code, r
}

// pull returns the code, the header and the bodies of a pull.
func (c *client) pull(topic string, queueID int32, from int64, suspend time.Duration) (int32, remoting.PullReply, []string) {
	c.t.Helper()
	h := remoting.PullHeader{
		ConsumerGroup: []byte("g"), Topic: []byte(topic), QueueID: queueID, QueueOffset: from, MaxMsgNums: 32,
		SysFlag: remoting.PullSubscription, Subscription: []byte("*"), SuspendTimeoutMS: suspend.Milliseconds(),
	}
	if suspend > 0 {
		h.SysFlag |= remoting.PullSuspend
	}
	f := c.call(remoting.RequestPullMessage, h.Append, nil)
	var r remoting.PullReply
	if err := remoting.ParsePullReply(f.Ext, &r); err != nil {
		c.t.Fatalf("pull reply %d %s: %v", f.Code, f.Remark, err)
	}
	var bodies []string
	for b := f.Body; len(b) > 0; {
		record, n, err := message.Decode(b, true)
		if err != nil {
			c.t.Fatalf("pulled record: %v", err)
		}
		bodies = append(bodies, string(record.Body))
		b = b[n:]
	}
	return f.Code, r, bodies
}

// want fails unless got is want.
func want[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func mustStart(t testing.TB, cfg Config) *Server {
	t.Helper()
	if cfg.Listen == "" {
		cfg.Listen = "127.0.0.1:0"
	}
	cfg.Log = testLog(t)
	s, err := Start(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func label(format string, args ...any) string { return fmt.Sprintf(format, args...) }
