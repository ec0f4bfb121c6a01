//go:build unix

package server

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"holdfast/broker/durability"
	"holdfast/broker/vfs"
)

// timedSends sends from that many synchronous clients for a while and returns the round trips, ascending.
func timedSends(b *testing.B, change func(*Config), clients int, length time.Duration) []time.Duration {
	b.Helper()
	cfg := DefaultConfig(durability.RocketMQ5)
	cfg.Listen, cfg.Log, cfg.StoreDir = "127.0.0.1:0", quiet, benchDir(b)
	change(&cfg)
	s, err := Start(context.Background(), cfg)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	var mu sync.Mutex
	var all []time.Duration
	var wg sync.WaitGroup
	for range clients {
		c := dial(b, s.Addr())
		wg.Go(func() {
			defer c.nc.Close()
			var own []time.Duration
			body := strings.Repeat("x", 1024)
			for begun := time.Now(); time.Since(begun) < length; {
				sent := time.Now()
				if code, _ := c.send("T", 0, body); code != 0 {
					b.Errorf("code %d", code)
					return
				}
				own = append(own, time.Since(sent))
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, own...)
		})
	}
	wg.Wait()
	slices.Sort(all)
	return all
}

func percentile(ascending []time.Duration, p int) time.Duration {
	return ascending[min(len(ascending)*p/100, len(ascending)-1)]
}

// BenchmarkSlowSync puts ASYNC_FLUSH whose every fsync of the commit log takes 50 ms more beside one whose does not, five times
// by turns, and reports the median ratio of their p99s. Hypothesis: below 2, for no send waits for an fsync.
func BenchmarkSlowSync(b *testing.B) {
	for b.Loop() {
		var ratios, slow, plain []float64
		for range 5 {
			p99 := func(delay time.Duration) float64 {
				times := timedSends(b, func(c *Config) {
					c.Node.Choice.FlushInterval = 100 * time.Millisecond // most of the time one is under way
					commitLog := func(call vfs.Call) bool { return call.Op == vfs.OpSync && strings.HasPrefix(call.Name, "commitlog/") }
					c.FS = vfs.NewFaulty(vfs.OS(c.StoreDir), vfs.Always(commitLog, vfs.Effect{Delay: delay}), time.Sleep)
				}, 8, time.Second)
				return float64(percentile(times, 99)) / 1e3
			}
			p, s := p99(0), p99(50*time.Millisecond)
			plain, slow, ratios = append(plain, p), append(slow, s), append(ratios, s/p)
		}
		b.ReportMetric(median(plain), "plain-p99-us")
		b.ReportMetric(median(slow), "slow-p99-us")
		b.ReportMetric(median(ratios), "ratio")
	}
}

// BenchmarkGroupCommit puts 64 synchronous senders under SYNC_FLUSH beside a single one, whose every message has an fsync of its
// own, and reports the ratio of their rates.
func BenchmarkGroupCommit(b *testing.B) {
	for b.Loop() {
		rate := func(clients int) float64 {
			return float64(len(timedSends(b, func(c *Config) { c.Node.Choice.FlushType = durability.SyncFlush }, clients, 2*time.Second))) / 2
		}
		one, group := rate(1), rate(64)
		b.ReportMetric(one, "msg/s-alone")
		b.ReportMetric(group, "msg/s-64")
		b.ReportMetric(group/one, "ratio")
	}
}

func median(values []float64) float64 {
	return slices.Sorted(slices.Values(values))[len(values)/2]
}

// BenchmarkMetricsCost puts a broker that is asked for metrics, and so keeps the time of every request, beside one that is not, five
// times by turns, and reports the median ratio of their rates with 64 sends outstanding.
func BenchmarkMetricsCost(b *testing.B) {
	for b.Loop() {
		var ratios []float64
		for range 5 {
			rate := func(metrics string) float64 {
				cfg := DefaultConfig(durability.RocketMQ5)
				cfg.Listen, cfg.Log, cfg.StoreDir, cfg.MetricsListen = "127.0.0.1:0", quiet, benchDir(b), metrics
				s, err := Start(context.Background(), cfg)
				if err != nil {
					b.Fatal(err)
				}
				defer s.Close()
				const n = 200_000
				begun := time.Now()
				if err := pump(s.Addr(), n, 64, 1024); err != nil {
					b.Fatal(err)
				}
				return n / time.Since(begun).Seconds()
			}
			without := rate("")
			ratios = append(ratios, rate("127.0.0.1:0")/without)
		}
		b.ReportMetric(median(ratios), "ratio")
	}
}
