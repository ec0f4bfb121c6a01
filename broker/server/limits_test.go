package server

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"holdfast/broker/durability"
	"holdfast/broker/remoting"
)

// cutOff fails unless the broker ends the connection; what it sends before that is passed over.
func cutOff(t *testing.T, what string, nc net.Conn) {
	t.Helper()
	nc.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.Copy(io.Discard, nc); err != nil {
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			t.Errorf("%s: the connection stays open", what)
		}
	}
}

// TestLimits: each client that takes more than it may is cut off, another one notices nothing.
func TestLimits(t *testing.T) {
	short := 50 * time.Millisecond
	for _, row := range []struct {
		says   string
		limits Limits
		attack func(nc net.Conn)
	}{
		{"idle", Limits{Idle: short}, func(net.Conn) {}},
		{"the rest of a frame does not come", Limits{FrameTime: short}, func(nc net.Conn) { nc.Write(sendFrame(nil, 1, "T", 0, nil, []byte("x"))[:20]) }},
		{"a frame comes byte by byte", Limits{FrameTime: short}, func(nc net.Conn) {
			for _, b := range sendFrame(nil, 1, "T", 0, nil, []byte(strings.Repeat("x", 500))) {
				if _, err := nc.Write([]byte{b}); err != nil {
					return
				}
				time.Sleep(time.Millisecond)
			}
		}},
		{"a frame that is larger than all may be together", Limits{LargeFrames: 1 << 20}, func(nc net.Conn) {
			nc.Write(append(binary.BigEndian.AppendUint32(nil, 15<<20), make([]byte, 4<<20)...))
		}},
		{"answers that are not read", Limits{WriteTime: short}, func(nc net.Conn) {
			frame := bytes.Repeat(request(remoting.RequestGetAllTopicConfig, 1, nil, nil), 100)
			for range 1000 {
				nc.SetWriteDeadline(time.Now().Add(time.Second))
				if _, err := nc.Write(frame); err != nil {
					return
				}
			}
		}},
	} {
		cfg := DefaultConfig(durability.RocketMQ5)
		cfg.Limits = row.limits
		s := mustStart(t, cfg)
		nc, err := net.Dial("tcp", s.Addr())
		if err != nil {
			t.Fatal(err)
		}
		row.attack(nc)
		cutOff(t, row.says, nc)
		nc.Close()
		code, _ := dial(t, s.Addr()).send("T", 0, "m")
		want(t, row.says+": another client", code, 0)
		s.Close()
	}
}

// TestConnectionLimits: the connection beyond is closed, and one more is taken when another has ended.
func TestConnectionLimits(t *testing.T) {
	for _, limits := range []Limits{{Connections: 3, PerAddress: 3}, {PerAddress: 3}} {
		cfg := DefaultConfig(durability.RocketMQ5)
		cfg.Limits = limits
		s := mustStart(t, cfg)
		var open []*client
		for range 3 {
			c := dial(t, s.Addr())
			c.send("T", 0, "m")
			open = append(open, c)
		}
		nc, err := net.Dial("tcp", s.Addr())
		if err != nil {
			t.Fatal(err)
		}
		cutOff(t, "the fourth", nc)
		code, _ := open[0].send("T", 0, "m")
		want(t, "the first", code, 0)
		open[1].nc.Close()
		eventually(t, "the place is free again", func() bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.conns.len() == 2
		})
		code, _ = dial(t, s.Addr()).send("T", 0, "m")
		want(t, "one more", code, 0)
	}
}

// TestAClientThatAsksForMoreThanItReadsIsNotRead: requests are left in the socket while as many as allowed have no answer, and all
// are answered in the end.
func TestAClientThatAsksForMoreThanItReadsIsNotRead(t *testing.T) {
	cfg := DefaultConfig(durability.RocketMQ5)
	cfg.Limits = Limits{Requests: 10}
	s := mustStart(t, cfg)
	c, p := dial(t, s.Addr()), dial(t, s.Addr())
	p.send("T", 0, "first")
	for i := range 30 {
		c.write(pullRequest(int32(i), "T", "g", 1, time.Minute))
	}
	eventually(t, "pulls are parked", func() bool { return s.parked() >= 10 })
	if n := s.parked(); n > 10 {
		t.Errorf("%d pulls of one connection are parked, 10 may be", n)
	}
	answered := 0
	for answered < 30 {
		p.send("T", 0, "next")
		f := c.read()
		want(t, "code", f.Code, 0)
		answered++
	}
}
