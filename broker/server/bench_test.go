//go:build unix

package server

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"holdfast/broker/durability"
	"holdfast/broker/remoting"
	"holdfast/broker/route"
)

// sendOK begins the header of every SEND_OK; whatever does not begin so is decoded and ends the benchmark.
var sendOK = []byte(`{"code":0,`)

// pump keeps outstanding sends in flight on one connection, until n are answered. Frames are encoded once; only the answers
// are counted, so that what is measured is the broker and the kernel.
func pump(addr string, n, outstanding, bodyBytes int) error {
	return pumpTo(addr, "T", 1, n, outstanding, bodyBytes)
}

// pumpTo is pump to a queue of a topic.
func pumpTo(addr, topic string, queue int32, n, outstanding, bodyBytes int) error {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer nc.Close()
	frame := sendFrame(nil, 7, topic, queue, []byte("UNIQ_KEY\x017F0000010000000000000000000000\x02"), bytes.Repeat([]byte{'x'}, bodyBytes))
	burst := bytes.Repeat(frame, outstanding)
	buf, filled := make([]byte, 256<<10), 0
	sent := min(n, outstanding)
	if _, err := nc.Write(burst[:sent*len(frame)]); err != nil {
		return err
	}
	for got := 0; got < n; {
		k, err := nc.Read(buf[filled:])
		if err != nil {
			return err
		}
		filled += k
		at, answered := 0, 0
		for filled-at >= 4 {
			size := 4 + int(binary.BigEndian.Uint32(buf[at:]))
			if filled-at < size {
				break
			}
			if !bytes.HasPrefix(buf[at+8:at+size], sendOK) {
				f, _, err := remoting.Decode(buf[at : at+size])
				return fmt.Errorf("code %d %s, %v", f.Code, f.Remark, err)
			}
			at += size
			answered++
		}
		filled = copy(buf, buf[at:filled])
		got += answered
		if more := min(answered, n-sent); more > 0 {
			sent += more
			if _, err := nc.Write(burst[:more*len(frame)]); err != nil {
				return err
			}
		}
	}
	return nil
}

func benchmarkSend(b *testing.B, flush durability.FlushType, conns, outstanding int) {
	cfg := DefaultConfig(durability.RocketMQ5)
	cfg.StoreDir = benchDir(b)
	cfg.Node.Choice.FlushType = flush
	cfg.Listen = "127.0.0.1:0"
	cfg.Log = quiet
	s, err := Start(context.Background(), cfg)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	benchmarkLoad(b, s, conns, outstanding)
}

// benchmarkReplicated has a slave in the same process, on the same disk and the same processors.
func benchmarkReplicated(b *testing.B, flush durability.FlushType, conns, outstanding int) {
	names, err := StartNameServer(context.Background(), Config{Listen: "127.0.0.1:0", Log: quiet}, route.DefaultConfig())
	if err != nil {
		b.Fatal(err)
	}
	defer names.Close()
	cfg := haConfig(durability.SyncMaster, 0, names)
	cfg.StoreDir, cfg.Listen, cfg.Log, cfg.Store.SegmentBytes = benchDir(b), "127.0.0.1:0", quiet, 0
	cfg.Node.Choice.FlushType, cfg.Node.Choice.InSync = flush, 2
	s, err := Start(context.Background(), cfg)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	<-s.Registered()
	cfg.Node.BrokerID, cfg.Node.Choice.Role, cfg.StoreDir = 1, durability.Slave, benchDir(b)
	slave, err := Start(context.Background(), cfg)
	if err != nil {
		b.Fatal(err)
	}
	defer slave.Close()
	c := dial(b, s.Addr())
	eventually(b, "the slave reports", func() bool { c := c.slaves(); return len(c) == 1 && c[0].SlaveAckOffset >= 0 })
	benchmarkLoad(b, s, conns, outstanding)
}

func benchmarkLoad(b *testing.B, s *Server, conns, outstanding int) {
	b.SetBytes(1024)
	used := cpuTime()
	b.ResetTimer()
	var wg sync.WaitGroup
	for i := range conns {
		n := b.N / conns
		if i == 0 {
			n += b.N % conns
		}
		if n == 0 {
			continue
		}
		wg.Go(func() {
			if err := pump(s.Addr(), n, outstanding, 1024); err != nil && err != io.EOF {
				b.Error(err)
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
	b.ReportMetric(float64(cpuTime()-used)/float64(b.N), "cpu-ns/op")
	info, err := remoting.ParseKVTable(dial(b, s.Addr()).call(remoting.RequestGetBrokerRuntimeInfo, nil, nil).Body)
	if err != nil {
		b.Fatal(err)
	}
	syncs, _ := strconv.ParseFloat(info.Get("flushTimes"), 64)
	micros, _ := strconv.ParseFloat(info.Get("flushTimeMeanMicros"), 64)
	b.ReportMetric(float64(b.N)/syncs, "msg/sync")
	b.ReportMetric(micros, "us/sync")
	hold := s.Hold()
	b.ReportMetric(float64(hold.Mean), "hold-ns/put")
	b.ReportMetric(float64(hold.P99), "hold-p99-ns")
}

// cpuTime is what this process has used, client and broker together: it means something on a busy machine, too.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// benchDir is on the disk of the package's directory: a temporary directory may be in memory.
func benchDir(b *testing.B) string {
	dir, err := os.MkdirTemp(".", "bench-store-")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func BenchmarkSend(b *testing.B) {
	for _, flush := range []durability.FlushType{durability.AsyncFlush, durability.SyncFlush} {
		for _, load := range [][2]int{{1, 1}, {64, 1}, {1, 64}, {16, 64}} {
			b.Run(fmt.Sprintf("%s/%dx%d", flush, load[0], load[1]), func(b *testing.B) {
				benchmarkSend(b, flush, load[0], load[1])
			})
		}
	}
}

func BenchmarkReplicated(b *testing.B) {
	for _, flush := range []durability.FlushType{durability.AsyncFlush, durability.SyncFlush} {
		for _, load := range [][2]int{{1, 1}, {1, 64}, {16, 64}} {
			b.Run(fmt.Sprintf("%s/%dx%d", flush, load[0], load[1]), func(b *testing.B) {
				benchmarkReplicated(b, flush, load[0], load[1])
			})
		}
	}
}

// BenchmarkStart is the time from the start to the first SEND_OK.
func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		begun := time.Now()
		cfg := DefaultConfig(durability.RocketMQ5)
		cfg.StoreDir, cfg.Listen, cfg.Log = benchDir(b), "127.0.0.1:0", quiet
		s, err := Start(context.Background(), cfg)
		if err != nil {
			b.Fatal(err)
		}
		if err := pump(s.Addr(), 1, 1, 1024); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(time.Since(begun).Microseconds()), "us/start")
		s.Close()
	}
}
