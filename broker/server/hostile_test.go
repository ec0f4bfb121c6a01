package server

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"holdfast/broker"
	"holdfast/broker/durability"
	"holdfast/broker/remoting"
)

// attack is what one malicious client does, again and again until ctx ends.
type attack struct {
	name string
	run  func(ctx context.Context, addr string)
}

// connected dials and runs f with the connection, until ctx ends.
func connected(f func(ctx context.Context, nc net.Conn)) func(context.Context, string) {
	return func(ctx context.Context, addr string) {
		for ctx.Err() == nil {
			nc, err := net.Dial("tcp", addr)
			if err != nil {
				return
			}
			stop := context.AfterFunc(ctx, func() { nc.Close() })
			f(ctx, nc)
			nc.Close()
			stop()
		}
	}
}

// repeat writes n bursts of frames again and again until the connection ends. They are made before: the attacker has better things to
// do than the broker.
func repeat(nc net.Conn, n int, frame func(i int) []byte) {
	bursts := make([][]byte, n)
	for i := range bursts {
		bursts[i] = frame(i)
	}
	for i := 0; ; i++ {
		if _, err := nc.Write(bursts[i%n]); err != nil {
			return
		}
	}
}

// burst is count frames, one behind the other.
func burst(count int, frame func(i int) []byte) []byte {
	var b []byte
	for i := range count {
		b = append(b, frame(i)...)
	}
	return b
}

// drained reads whatever comes.
func drained(nc net.Conn) { go io.Copy(io.Discard, nc) }

func request(code int32, opaque int32, fields func(*remoting.Writer), body []byte) []byte {
	w := remoting.Begin(nil, &remoting.Frame{Code: code, Opaque: opaque, Version: remoting.Version, Language: remoting.Go})
	if fields != nil {
		fields(&w)
	}
	return w.Finish(body)
}

func pullRequest(opaque int32, topic, group string, from int64, suspend time.Duration) []byte {
	h := remoting.PullHeader{ConsumerGroup: []byte(group), Topic: []byte(topic), QueueOffset: from, MaxMsgNums: 32,
		SysFlag: remoting.PullSubscription, Subscription: []byte("*"), SuspendTimeoutMS: suspend.Milliseconds()}
	if suspend > 0 {
		h.SysFlag |= remoting.PullSuspend
	}
	return request(remoting.RequestPullMessage, opaque, h.Append, nil)
}

// attacks are those that a client without rights can make.
var attacks = []attack{
	{"pulls messages and reads none", connected(func(_ context.Context, nc net.Conn) {
		repeat(nc, 1, func(int) []byte {
			return burst(100, func(i int) []byte { return pullRequest(int32(i), "T", "g", 0, 0) })
		})
	})},
	{"asks for the whole configuration and reads none", connected(func(_ context.Context, nc net.Conn) {
		frame := bytes.Repeat(request(remoting.RequestGetAllTopicConfig, 1, nil, nil), 1000)
		repeat(nc, 1, func(int) []byte { return frame })
	})},
	{"begins frames", connected(func(ctx context.Context, nc net.Conn) {
		nc.Write(append(binary.BigEndian.AppendUint32(nil, 15<<20), make([]byte, 1<<20)...))
		<-ctx.Done()
	})},
	{"sends a byte a while", connected(func(ctx context.Context, nc net.Conn) {
		for _, b := range sendFrame(nil, 1, "T", 0, nil, []byte("slow")) {
			if _, err := nc.Write([]byte{b}); err != nil || ctx.Err() != nil {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	})},
	{"announces huge lengths", connected(func(_ context.Context, nc net.Conn) {
		nc.Write(binary.BigEndian.AppendUint32(nil, 1<<31-1))
		io.Copy(io.Discard, nc)
	})},
	{"sends garbage", connected(func(_ context.Context, nc net.Conn) {
		b := make([]byte, 4096)
		for i := range b {
			b[i] = byte(rand.Uint32())
		}
		nc.Write(b)
		io.Copy(io.Discard, nc)
	})},
	{"opens connections", func(ctx context.Context, addr string) {
		var open []net.Conn
		for ctx.Err() == nil {
			nc, err := net.Dial("tcp", addr)
			if err != nil {
				break
			}
			if open = append(open, nc); len(open) >= 200 {
				for _, nc := range open {
					nc.Close()
				}
				open = open[:0]
			}
		}
		for _, nc := range open {
			nc.Close()
		}
	}},
	{"parks pulls", connected(func(_ context.Context, nc net.Conn) {
		drained(nc)
		repeat(nc, 1, func(int) []byte {
			return burst(100, func(i int) []byte { return pullRequest(int32(i), "Parked", "g", 1, 10*time.Minute) })
		})
	})},
	{"subscribes to everything", connected(func(_ context.Context, nc net.Conn) {
		drained(nc)
		repeat(nc, 20, func(i int) []byte {
			h := remoting.Heartbeat{ClientID: fmt.Sprintf("c%d", i%500), Consumers: []remoting.ConsumerData{{Group: fmt.Sprintf("g%d", i%50), Type: remoting.ConsumePassively, Model: remoting.Clustering}}}
			for j := range 900 {
				h.Consumers[0].Subscriptions = append(h.Consumers[0].Subscriptions, remoting.Subscription{Topic: fmt.Sprintf("topic-%d-%d", i, j), Expression: "a || b"})
			}
			return request(remoting.RequestHeartBeat, int32(i), nil, h.Append(nil))
		})
	})},
	{"makes topics", connected(func(_ context.Context, nc net.Conn) {
		drained(nc)
		repeat(nc, 5000, func(i int) []byte {
			return sendFrame(nil, int32(i), fmt.Sprintf("storm-%d", rand.Uint32()), 0, nil, []byte("x"))
		})
	})},
	{"makes groups", connected(func(_ context.Context, nc net.Conn) {
		drained(nc)
		repeat(nc, 5000, func(i int) []byte {
			return pullRequest(int32(i), "T", fmt.Sprintf("storm-%d", rand.Uint32()), 1, 0)
		})
	})},
	{"locks queues", connected(func(_ context.Context, nc net.Conn) {
		drained(nc)
		repeat(nc, 20, func(i int) []byte {
			b := remoting.LockBatch{ConsumerGroup: fmt.Sprintf("g%d", i), ClientID: "c"}
			for q := range 1000 {
				b.Queues = append(b.Queues, remoting.MessageQueue{Topic: fmt.Sprintf("T%d", rand.Uint32()), BrokerName: "b", QueueID: int32(q)})
			}
			return request(remoting.RequestLockBatchMQ, int32(i), nil, b.Append(nil))
		})
	})},
}

func hostileConfig() Config {
	cfg := DefaultConfig(durability.RocketMQ5)
	cfg.MetricsListen = "127.0.0.1:0"
	cfg.Limits = Limits{Connections: 400, PerAddress: 400, UnreadBytes: 4 << 20, LargeFrames: 32 << 20, FrameTime: 200 * time.Millisecond, WriteTime: 200 * time.Millisecond}
	cfg.Node.Limits.Topics, cfg.Node.Limits.Groups, cfg.Node.Limits.Polls = 2000, 2000, 4096
	return cfg
}

// honest sends n messages one after the other on one connection and returns how long each took.
func honest(t testing.TB, c *client, n int) []time.Duration {
	t.Helper()
	took := make([]time.Duration, 0, n)
	for range n {
		begun := time.Now()
		if code, _ := c.send("T", 0, "honest"); code != 0 {
			t.Fatalf("an honest send was answered %d", code)
		}
		took = append(took, time.Since(begun))
	}
	slices.Sort(took)
	return took
}

// under runs f while every one of attacks runs against addr.
func under(addr string, attacks []attack, f func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for _, a := range attacks {
		wg.Go(func() { a.run(ctx, addr) })
	}
	f()
	cancel()
	wg.Wait()
}

// TestAttackersStopNobody: while all attackers are at work at once, an honest client's sends are answered, and its memory is
// bounded; when they are gone, so is all that they had.
func TestAttackersStopNobody(t *testing.T) {
	cfg := hostileConfig()
	cfg.Listen, cfg.Log = "127.0.0.1:0", quiet
	s, err := Start(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	c := dial(t, s.Addr())
	honest(t, c, 100)
	c.send("Parked", 0, "m")
	under(s.Addr(), attacks, func() {
		for at := (broker.Sample{}); at.Topics < 200 || at.Groups < 200 || at.Parked < 200; time.Sleep(5 * time.Millisecond) {
			s.mu.Lock()
			at = s.node.(sampled).Sample()
			s.mu.Unlock()
		}
		sends := 5
		if os.Getenv("HOLDFAST_LONG") != "" {
			sends = 50
		}
		took := honest(t, c, sends)
		t.Logf("honest sends among %d attackers: median %v, slowest %v", len(attacks), took[len(took)/2], took[len(took)-1])
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		t.Logf("heap %d MiB", m.HeapInuse>>20)
		if m.HeapInuse > 1<<30 {
			t.Errorf("%d MiB of heap", m.HeapInuse>>20)
		}
	})
	if n := honest(t, c, 100); len(n) != 100 {
		t.Error("not answered after the attack")
	}
	if err := s.Err(); err != nil {
		t.Error(err)
	}
	for scrape(t, s.MetricsAddr())[`holdfast_connections{cluster="DefaultCluster",node_id="broker-a",node_type="broker"}`] != 1 {
		time.Sleep(20 * time.Millisecond) // thousands that were opened and closed are still to be accepted
	}
	eventually(t, "their parked pulls are gone", func() bool { return s.parked() == 0 })
	if s.large.Load() != 0 {
		t.Errorf("%d bytes of large frames are still counted", s.large.Load())
	}
}

// BenchmarkHonest is an honest client's send alone and beside each attacker: a ratio of one run. The attackers use the same two
// processors, so that a part of it is the machine's.
func BenchmarkHonest(b *testing.B) {
	cases := append([]attack{{name: "alone"}}, attacks...)
	alone := 0.0
	for _, a := range cases {
		b.Run(a.name, func(b *testing.B) {
			cfg := hostileConfig()
			cfg.Listen, cfg.Log = "127.0.0.1:0", quiet
			s, err := Start(context.Background(), cfg)
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			c := dial(b, s.Addr())
			honest(b, c, 100)
			c.send("Parked", 0, "m")
			var with []attack
			if a.run != nil {
				with = []attack{a}
			}
			under(s.Addr(), with, func() {
				b.ResetTimer()
				took := honest(b, c, b.N)
				b.StopTimer()
				median := float64(took[len(took)/2].Nanoseconds()) / 1e3
				if a.run == nil {
					alone = median
				}
				b.ReportMetric(median, "median-us")
				b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds())/1e3, "p99-us")
				b.ReportMetric(median/alone, "of-alone")
			})
		})
	}
}
