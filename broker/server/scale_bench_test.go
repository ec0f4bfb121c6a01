//go:build unix

package server

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"holdfast/broker/durability"
	"holdfast/broker/remoting"
	"holdfast/broker/route"
)

// catchUp is one consumer that reads the queues of topic T from their beginning: one pull outstanding for each, on one connection. It
// returns the messages and bytes that it got; nothing is decoded but what the next pull needs.
func catchUp(addr string, queues int32, messages int) (bytes int64, err error) {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		return 0, err
	}
	defer nc.Close()
	next, out := make([]int64, queues), []byte(nil)
	ask := func(queue int32) {
		w := remoting.Begin(out, &remoting.Frame{Code: remoting.RequestPullMessage, Opaque: queue, Version: remoting.Version, Language: remoting.Go})
		h := remoting.PullHeader{ConsumerGroup: []byte("g"), Topic: []byte("T"), QueueID: queue, QueueOffset: next[queue], MaxMsgNums: 4096,
			SysFlag: remoting.PullSubscription, Subscription: []byte("*")}
		h.Append(&w)
		out = w.Finish(nil)
	}
	for q := range queues {
		ask(q)
	}
	buf, filled := make([]byte, 8<<20), 0
	for got := int64(0); got < int64(messages); {
		if len(out) > 0 {
			if _, err := nc.Write(out); err != nil {
				return bytes, err
			}
			out = out[:0]
		}
		k, err := nc.Read(buf[filled:])
		if err != nil {
			return bytes, err
		}
		filled += k
		at := 0
		for filled-at >= 4 && filled-at >= 4+int(binary.BigEndian.Uint32(buf[at:])) {
			size := 4 + int(binary.BigEndian.Uint32(buf[at:]))
			f, _, err := remoting.Decode(buf[at : at+size])
			if err != nil {
				return bytes, err
			}
			var reply remoting.PullReply
			if err := remoting.ParsePullReply(f.Ext, &reply); err != nil {
				return bytes, err
			}
			queue := f.Opaque
			got += reply.NextBeginOffset - next[queue]
			next[queue] = reply.NextBeginOffset
			bytes += int64(len(f.Body))
			if f.Code == remoting.ResponseSuccess || reply.NextBeginOffset < reply.MaxOffset {
				ask(queue)
			}
			at += size
		}
		if at > 0 {
			filled = copy(buf, buf[at:filled])
		}
	}
	return bytes, nil
}

// loopback is what the kernel alone takes from a file to a connection and out of it: the ceiling of a catch-up.
func loopback(b *testing.B, size int64) time.Duration {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	go func() {
		nc, err := l.Accept()
		if err != nil {
			return
		}
		defer nc.Close()
		piece := make([]byte, 1<<20)
		for left := size; left > 0; left -= int64(len(piece)) {
			if _, err := nc.Write(piece); err != nil {
				return
			}
		}
	}()
	nc, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer nc.Close()
	begun, buf := time.Now(), make([]byte, 8<<20)
	for {
		if _, err := nc.Read(buf); err == io.EOF {
			return time.Since(begun)
		} else if err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCatchUp has one consumer read a backlog of 1 KiB messages in 4 queues, with limits of a pull raised as Apache's brokers need
// it, too: from files, after a restart of the broker; and once more beside what the kernel alone takes for as many bytes.
func BenchmarkCatchUp(b *testing.B) {
	const messages = 1_000_000
	cfg := DefaultConfig(durability.RocketMQ5)
	cfg.StoreDir, cfg.Listen, cfg.Log = benchDir(b), "127.0.0.1:0", quiet
	cfg.Node.MaxPullMessages, cfg.Node.MaxPullBytes = 4096, 4<<20
	cfg.Node.Limits.PullBytes = 8 << 20
	s, err := Start(context.Background(), cfg)
	if err != nil {
		b.Fatal(err)
	}
	for q := range int32(4) {
		if err := pumpTo(s.Addr(), "T", q, messages/4, 256, 1024); err != nil {
			b.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if s, err = Start(context.Background(), cfg); err != nil {
			b.Fatal(err)
		}
		begun := time.Now()
		bytes, err := catchUp(s.Addr(), 4, messages)
		took := time.Since(begun)
		if err != nil {
			b.Fatal(err)
		}
		s.Close()
		kernel := loopback(b, bytes)
		b.ReportMetric(float64(bytes)/took.Seconds()/1e6, "MB/s")
		b.ReportMetric(messages/took.Seconds(), "msg/s")
		b.ReportMetric(float64(bytes)/kernel.Seconds()/1e6, "kernel-MB/s")
		b.ReportMetric(took.Seconds()/kernel.Seconds(), "ratio")
	}
}

// BenchmarkManyTopics puts a broker with 10,000 topics of 4 queues beside one with 10: the send that makes a topic, sends and pulls over all of them, by one
// synchronous client each. The ratios are those of the medians: near 1 where the number of topics does not matter. Then the broker is closed, with what it
// has not yet on disk of 40,000 new queues, and started again.
func BenchmarkManyTopics(b *testing.B) {
	for b.Loop() {
		few, many := manyTopics(b, 10), manyTopics(b, 10_000)
		b.ReportMetric(many.close.Seconds(), "close-s")
		b.ReportMetric(many.start.Seconds(), "start-s")
		b.ReportMetric(many.files, "open-files")
		b.ReportMetric(float64(many.create.Microseconds()), "create-us")
		b.ReportMetric(ratioOf(many.create, few.create), "create-ratio")
		b.ReportMetric(ratioOf(many.send, few.send), "send-ratio")
		b.ReportMetric(ratioOf(many.pull, few.pull), "pull-ratio")
	}
}

// BenchmarkBigLog puts a broker whose log and queue have as many files as 50 GB of 1 KiB messages have, with files a 250th of the usual size, beside
// one with a file of each: sends, pulls of old messages and of the last, by one synchronous client each. The ratios are those of the medians.
func BenchmarkBigLog(b *testing.B) {
	for b.Loop() {
		small, big := bigLog(b, 2_000), bigLog(b, 190_000)
		b.ReportMetric(big.files, "files")
		b.ReportMetric(ratioOf(big.send, small.send), "send-ratio")
		b.ReportMetric(ratioOf(big.old, small.old), "old-pull-ratio")
		b.ReportMetric(ratioOf(big.last, small.last), "last-pull-ratio")
	}
}

// logTimes are medians.
type logTimes struct {
	send, old, last time.Duration
	files           float64 // of the log
}

// bigLog times a broker that has so many messages in one queue.
func bigLog(b *testing.B, messages int) (t logTimes) {
	b.Helper()
	cfg := DefaultConfig(durability.RocketMQ5)
	cfg.StoreDir, cfg.Listen, cfg.Log = benchDir(b), "127.0.0.1:0", quiet
	cfg.Store.SegmentBytes, cfg.Store.QueueFileBytes = 4<<20, 20*1200
	s, err := Start(context.Background(), cfg)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	if err := pumpTo(s.Addr(), "T", 0, messages, 256, 1024); err != nil {
		b.Fatal(err)
	}
	const rounds = 3000
	c, rng, body := dial(b, s.Addr()), rand.New(rand.NewPCG(1, 0)), strings.Repeat("x", 1024)
	var sends, old, last []time.Duration
	timed := func(into *[]time.Duration, code int32, f func() int32) {
		begun := time.Now()
		if got := f(); got != code {
			b.Fatalf("code %d, want %d", got, code)
		}
		*into = append(*into, time.Since(begun))
	}
	for range rounds {
		timed(&sends, 0, func() int32 { code, _ := c.send("T", 0, body); return code })
	}
	for range rounds {
		timed(&old, 0, func() int32 { code, _, _ := c.pull("T", 0, rng.Int64N(int64(messages-32)), 0); return code })
		timed(&last, 0, func() int32 { code, _, _ := c.pull("T", 0, int64(messages+rounds-32), 0); return code })
	}
	logFiles, err := os.ReadDir(filepath.Join(cfg.StoreDir, "commitlog"))
	if err != nil {
		b.Fatal(err)
	}
	return logTimes{send: middle(sends), old: middle(old), last: middle(last), files: float64(len(logFiles))}
}

// topicTimes are medians.
type topicTimes struct {
	create, send, pull, close, start time.Duration
	files                            float64 // that were open at the end
}

func ratioOf(a, b time.Duration) float64 { return float64(a) / float64(b) }

// manyTopics makes that many topics of four queues, sends to each in turn and pulls what was sent.
func manyTopics(b *testing.B, topics int) (t topicTimes) {
	b.Helper()
	names, err := StartNameServer(context.Background(), Config{Listen: "127.0.0.1:0", Log: quiet}, route.DefaultConfig())
	if err != nil {
		b.Fatal(err)
	}
	defer names.Close()
	cfg := DefaultConfig(durability.RocketMQ5)
	cfg.StoreDir, cfg.Listen, cfg.Log = benchDir(b), "127.0.0.1:0", quiet
	cfg.Store.QueueFileBytes, cfg.Node.Limits.Topics = 20*1000, 20_000
	cfg.Node.NameServers = []string{names.Addr()}
	s, err := Start(context.Background(), cfg)
	if err != nil {
		b.Fatal(err)
	}
	<-s.Registered()
	c := dial(b, s.Addr())
	const rounds, spread = 5000, 500 // over 500 topics among all
	used := func(i int) int { return i % spread * max(topics/spread, 1) }
	name := func(i int) string { return fmt.Sprintf("topic-%05d", i%topics) }
	var creates, sends, pulls []time.Duration
	timed := func(into *[]time.Duration, f func()) {
		begun := time.Now()
		f()
		*into = append(*into, time.Since(begun))
	}
	for i := range topics {
		timed(&creates, func() {
			if code, _ := c.send(name(i), 0, "body"); code != 0 {
				b.Fatalf("first send to %s: code %d", name(i), code)
			}
		})
		for q := range int32(3) {
			if code, _ := c.send(name(i), q+1, "body"); code != 0 {
				b.Fatalf("first send to queue %d of %s: code %d", q+1, name(i), code)
			}
		}
	}
	for i := range rounds {
		timed(&sends, func() {
			if code, _ := c.send(name(used(i)), 0, "body"); code != 0 {
				b.Fatalf("send: code %d", code)
			}
		})
	}
	for i := range rounds {
		timed(&pulls, func() { c.pull(name(used(i)), 0, 0, 0) })
	}
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		b.Fatal(err)
	}
	t.files = float64(len(open))
	begun := time.Now()
	if err := s.Close(); err != nil {
		b.Error(err)
	}
	t.close = time.Since(begun)
	begun = time.Now()
	if s, err = Start(context.Background(), cfg); err != nil {
		b.Fatal(err)
	}
	t.start = time.Since(begun)
	s.Close()
	last := creates[max(0, len(creates)-1000):] // when nearly all are there
	t.create, t.send, t.pull = middle(last), middle(sends), middle(pulls)
	return t
}

func middle(times []time.Duration) time.Duration {
	sorted := append([]time.Duration(nil), times...)
	slices.Sort(sorted)
	return sorted[len(sorted)/2]
}
