package client

import (
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"

	"holdfast/broker/message"
	"holdfast/broker/remoting"
	"holdfast/loadgen/driver"
)

// connected returns a client with one connection that is up.
func connected(cfg Config) *Client {
	c := New(cfg, 0)
	c.Wake(0)
	c.Actions()
	c.Opened(0, 0)
	c.Wake(0)
	route := remoting.RouteInfo{Brokers: []remoting.BrokerData{{BrokerName: "a", Addrs: []remoting.BrokerAddr{{Addr: "m"}}}}}
	if _, err := c.Received(0, 0, remoting.AppendReply(nil, remoting.JSON, 0, c.ns.opaque, "", route.Append(nil))); err != nil {
		panic(err)
	}
	c.Wake(0)
	c.Actions()
	c.Opened(0, 1)
	c.Wrote(1, len(c.Output(1)))
	return c
}

// TestTemplateIsTheCodecsFrame holds the patched frame against what the codec reads in it.
func TestTemplateIsTheCodecsFrame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := scriptConfig([]string{"groups=a,b", "queues=4"})
		cfg.Form = rapid.SampledFrom([]remoting.Form{remoting.JSON, remoting.Binary}).Draw(t, "form")
		opaque := rapid.Int32Range(opaqueBase, 1<<31-1).Draw(t, "opaque")
		now := time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "now"))
		value := rapid.Uint64().Draw(t, "value")
		body := rapid.SliceOf(rapid.Byte()).Draw(t, "body")
		queue := rapid.IntRange(0, 3).Draw(t, "queue")
		list := newTemplates(cfg, 2)
		var born digits
		born.at(cfg.WallMS, now)
		b := list[queue].append([]byte("before"), cfg.Form, opaque, &born, 7, value, body)[len("before"):]
		f, n, err := remoting.Decode(b)
		if err != nil || n != len(b) {
			t.Fatalf("Decode: %d of %d bytes, %v", n, len(b), err)
		}
		var h remoting.SendHeader
		if _, err := remoting.ParseSend(f.Code, f.Ext, &h, nil); err != nil {
			t.Fatal(err)
		}
		if f.Opaque != opaque || string(f.Body) != string(body) || int(h.QueueID) != queue%2 || h.BornTimestamp != cfg.WallMS+now.Milliseconds() {
			t.Fatalf("got %+v %+v", f, h)
		}
		unique, _ := message.Property(h.Properties, "UNIQ_KEY")
		var want [32]byte
		putHex(want[:16], 7)
		putHex(want[16:], value)
		if string(unique) != string(want[:]) {
			t.Fatalf("UNIQ_KEY: got %s, want %s", unique, want)
		}
	})
}

// TestEveryOperationCompletesOnce plays random answers, losses and silences: every accepted send must complete exactly
// once, as Fail only if its bytes had not left, and the client's lists must stay whole.
func TestEveryOperationCompletesOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := scriptConfig(nil)
		cfg.Slots = 5
		c := connected(cfg)
		now := time.Duration(0)
		busy := map[uint32]int32{} // slot -> opaque
		left := map[uint32]bool{}  // its frame was handed over, at least in part
		buf := make([]driver.Completion, 2)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			slot := uint32(rapid.IntRange(0, cfg.Slots-1).Draw(t, "slot"))
			id := c.groups[0].lanes[0]
			switch rapid.IntRange(0, 6).Draw(t, "step") {
			case 0, 1:
				if _, ok := busy[slot]; !ok && c.Send(now, slot, &driver.Message{Body: make([]byte, 10)}) == nil {
					busy[slot], left[slot] = c.ops[slot].opaque, false
				}
			case 2:
				c.Wrote(id, len(c.Output(id)))
				for s := range busy {
					left[s] = left[s] || c.ops[s].conn == id
				}
			case 3:
				if opaque, ok := busy[slot]; ok && left[slot] {
					reply := remoting.AppendSendReply(nil, remoting.JSON, 0, opaque, &remoting.SendReply{MsgID: []byte("X")})
					if _, err := c.Received(now, c.ops[slot].conn, reply); err != nil {
						t.Fatal(err)
					}
				}
			case 4:
				c.Closed(now, id)
			case 5:
				now += time.Duration(rapid.IntRange(0, 9000).Draw(t, "ms")) * time.Millisecond
				c.Wake(now)
			case 6:
				for _, a := range c.Actions() {
					if a.Kind == Dial {
						c.Opened(now, a.Conn)
					}
				}
			}
			for n := c.Completions(buf); n > 0; n = c.Completions(buf) {
				for _, done := range buf[:n] {
					if _, ok := busy[done.Slot]; !ok {
						t.Fatalf("slot %d completed twice: %+v", done.Slot, done)
					}
					if left[done.Slot] && done.Kind == driver.Fail {
						t.Fatalf("slot %d failed for certain although its bytes had left", done.Slot)
					}
					delete(busy, done.Slot)
				}
			}
		}
		c.Wake(now + cfg.Timeout)
		n := 0
		for got := c.Completions(buf); got > 0; got = c.Completions(buf) {
			n += got
		}
		if n != len(busy) || c.first != -1 || c.last != -1 {
			t.Fatalf("at the end %d completed of %d, list %d..%d", n, len(busy), c.first, c.last)
		}
	})
}

// TestAbandonedNode: what is under way at a node that is given up on is completed at once, unknown where bytes have left and failed
// where none did; nobody else's is touched.
func TestAbandonedNode(t *testing.T) {
	c := connected(scriptConfig(nil))
	m := driver.Message{Queue: 1, Body: driver.EncodeBody(nil, 1, 2, 64)}
	now := time.Millisecond
	for slot := range uint32(2) {
		if err := c.Send(now, slot, &m); err != nil {
			t.Fatal(err)
		}
		if slot == 0 {
			c.Wrote(1, len(c.Output(1)))
		}
	}
	node := c.conns[1].node
	buf := make([]driver.Completion, 4)
	c.Abandon(now, "somebody else")
	if n := c.Completions(buf); n != 0 {
		t.Fatalf("giving up on somebody else completed %+v", buf[:n])
	}
	c.Abandon(now, node)
	n := c.Completions(buf)
	got := map[uint32]driver.Kind{}
	for _, done := range buf[:n] {
		got[done.Slot] = done.Kind
	}
	if n != 2 || got[0] != driver.Info || got[1] != driver.Fail {
		t.Errorf("got %v, want slot 0 unknown and slot 1 failed", got)
	}
}

// TestSendAllocatesNothing covers a send, its bytes, and its acknowledgement.
func TestSendAllocatesNothing(t *testing.T) {
	for _, form := range []remoting.Form{remoting.JSON, remoting.Binary} {
		cfg := scriptConfig(nil)
		cfg.Form = form
		c := connected(cfg)
		m := driver.Message{Queue: 1, Body: driver.EncodeBody(nil, 1, 2, 1024)}
		buf := make([]driver.Completion, 4)
		reply := make([]byte, 0, 1024)
		now := time.Millisecond
		got := testing.AllocsPerRun(100, func() {
			now += time.Microsecond
			if err := c.Send(now, 0, &m); err != nil {
				t.Fatal(err)
			}
			c.Wrote(1, len(c.Output(1)))
			reply = remoting.AppendSendReply(reply[:0], form, 0, c.ops[0].opaque, &remoting.SendReply{MsgID: m.Body[:8], QueueID: 1, QueueOffset: 5})
			if n, err := c.Received(now, 1, reply); n != len(reply) || err != nil {
				t.Fatal(n, err)
			}
			if n := c.Completions(buf); n != 1 || buf[0].Kind != driver.OK || buf[0].Offset != 5 {
				t.Fatal(n, buf[0])
			}
		})
		if got != 0 {
			t.Errorf("%v: got %v allocations, want 0", form, got)
		}
	}
}

// BenchmarkOperation is the client's own cost of a send and its acknowledgement, without sockets and body.
func BenchmarkOperation(b *testing.B) {
	for _, form := range []remoting.Form{remoting.JSON, remoting.Binary} {
		b.Run(form.String(), func(b *testing.B) {
			cfg := scriptConfig(nil)
			cfg.Form, cfg.Slots = form, 1024
			c := connected(cfg)
			m := driver.Message{Queue: 1, Body: driver.EncodeBody(nil, 1, 2, 1024)}
			buf := make([]driver.Completion, 4)
			reply := make([]byte, 0, 1024)
			rng := rand.New(rand.NewPCG(1, 1))
			b.ReportAllocs()
			for b.Loop() {
				slot := uint32(rng.IntN(1024))
				_ = c.Send(0, slot, &m)
				c.Wrote(1, len(c.Output(1)))
				reply = remoting.AppendSendReply(reply[:0], form, 0, c.ops[slot].opaque, &remoting.SendReply{MsgID: m.Body[:8], QueueID: 1, QueueOffset: 5})
				_, _ = c.Received(0, 1, reply)
				c.Completions(buf)
			}
		})
	}
}

// FuzzReceived feeds any bytes: no panic, and what is taken is within what was given.
func FuzzReceived(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x04"))
	f.Add(remoting.AppendReply(nil, remoting.Binary, 0, opaqueBase|1<<2, "", []byte("body")))
	f.Add(remoting.AppendReply(nil, remoting.JSON, 0, 1, "", []byte(`{"brokerDatas":[{"brokerName":"a","brokerAddrs":{"0":"m"}}]}`)))
	f.Fuzz(func(t *testing.T, b []byte) {
		cfg := scriptConfig([]string{"consumer=g"})
		c := connected(cfg)
		_ = c.Poll(0, 0, 0, 0, 32)
		_ = c.Commit(0, 1, 0, 0)
		for id := range 2 {
			if n, err := c.Received(0, id, b); n > len(b) || n < 0 {
				t.Fatal(n, err)
			}
		}
		c.Wake(time.Hour)
	})
}
