//go:build unix

package server

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"holdfast/broker/durability"
)

const realTime = 1767225600_000_400_000 // Unix ns: 0.4 ms beyond a full one

// skewed is a page in memory with one setting.
func skewed(base time.Duration, ppm float64) *skewPage {
	p := &skewPage{}
	p.set(1, base, ppm)
	return p
}

func (p *skewPage) set(n uint64, base time.Duration, ppm float64) {
	slot := skewSlots + n%2*skewSlotSize
	p[slot].Store(realTime)
	p[slot+1].Store(uint64(base))
	p[slot+2].Store(math.Float64bits(ppm))
	p[skewSetting].Store(n)
}

func TestSkewedWallClock(t *testing.T) {
	const hour = 3600_000
	for _, tt := range []struct {
		says  string
		base  time.Duration
		ppm   float64
		after time.Duration
		want  int64 // ms from realTime
	}{
		{"no skew", 0, 0, 0, 0},
		{"forwards", time.Hour, 0, time.Second, hour + 1000},
		{"backwards", -time.Hour, 0, time.Second, -hour + 1000},
		{"to 0.1 ms before 1970, which is ms -1", -realTime - 100*time.Microsecond, 0, 0, -realTime/1_000_000 - 1},
		{"fast", 0, 1e6, time.Hour, 2 * hour},
		{"slow", 0, -250_000, time.Hour, hour * 3 / 4},
		{"a year of drift", time.Second, 1e6, 365 * 24 * time.Hour, 2*365*24*hour + 1000},
	} {
		p := skewed(tt.base, tt.ppm)
		got := p.wall(realTime+int64(tt.after)) - realTime/1_000_000
		want(t, tt.says, got, tt.want)
		want(t, tt.says+": as told", int64(p[skewLast].Load()), tt.want-tt.after.Milliseconds())
		want(t, tt.says+": readings", p[skewReadings].Load(), 1)
		want(t, tt.says+": setting", p[skewSeen].Load(), 1)
	}
}

func TestReadingsCountFromEachSetting(t *testing.T) {
	p := skewed(time.Second, 0)
	for range 3 {
		p.wall(realTime)
	}
	want(t, "readings", p[skewReadings].Load(), 3)
	p.set(2, 2*time.Second, 0)
	p.wall(realTime)
	want(t, "readings under the second setting", p[skewReadings].Load(), 1)
	want(t, "skew", int64(p[skewLast].Load()), 2000)
}

// TestNoHalfSetting changes the setting under a reader: every reading must be wholly under one of the settings.
func TestNoHalfSetting(t *testing.T) {
	p := &skewPage{}
	var wg sync.WaitGroup
	stop := make(chan struct{})
	wg.Go(func() {
		for n := uint64(1); ; n++ {
			select {
			case <-stop:
				return
			default:
				p.set(n, time.Duration(n)*time.Second, float64(n)) // base and drift name the setting
			}
		}
	})
	const later = 1_000_000_000_000 // 1000 s: a drift of n ppm adds n ms
	for range 200_000 {
		skew := p.wall(realTime+later) - (realTime+later)/1_000_000
		if skew%1001 != 0 { // n s + n ms
			t.Errorf("skew %d ms is that of no setting", skew)
			break
		}
	}
	close(stop)
	wg.Wait()
}

func TestClockPageThatIsNone(t *testing.T) {
	dir := t.TempDir()
	short, other := filepath.Join(dir, "short"), filepath.Join(dir, "other")
	for path, size := range map[string]int{short: 100, other: os.Getpagesize()} {
		if err := os.WriteFile(path, make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for path, cause := range map[string]error{filepath.Join(dir, "none"): os.ErrNotExist, short: errNoSkewPage, other: errNoSkewPage} {
		cfg := DefaultConfig(durability.RocketMQ5)
		cfg.Listen, cfg.ClockPage, cfg.Log = "127.0.0.1:0", path, quiet
		s, err := Start(context.Background(), cfg)
		if err == nil {
			s.Close()
		}
		if !errors.Is(err, ErrStart) || !errors.Is(err, cause) {
			t.Errorf("%s: got %v, want %v", path, err, cause)
		}
	}
}

// BenchmarkInstant is what an event's two clocks cost. Hypothesis: nothing without a page, some ns with one.
func BenchmarkInstant(b *testing.B) {
	for _, tt := range []struct {
		name string
		skew *skewPage
	}{{"real", nil}, {"skewed", skewed(time.Hour, 0)}, {"drifting", skewed(time.Hour, 100)}} {
		b.Run(tt.name, func(b *testing.B) {
			s := &Server{begun: time.Now(), skew: tt.skew}
			var sum int64
			for b.Loop() {
				sum += s.now().Wall
			}
			if sum == 0 {
				b.Fatal("no time")
			}
		})
	}
}

// BenchmarkSkewedSend puts a broker whose clock is skewed beside one whose clock is not, five times by turns, and reports the median
// ratio of what a send costs the processors, client and kernel among it. Hypothesis: 1, within what two equal runs differ.
func BenchmarkSkewedSend(b *testing.B) {
	page := filepath.Join(b.TempDir(), "clock")
	mem := make([]byte, os.Getpagesize())
	binary.NativeEndian.PutUint64(mem, skewMagic)
	if err := os.WriteFile(page, mem, 0o600); err != nil {
		b.Fatal(err)
	}
	cost := func(page string) float64 {
		const sends = 100_000
		cfg := DefaultConfig(durability.RocketMQ5)
		cfg.Listen, cfg.Log, cfg.StoreDir, cfg.ClockPage = "127.0.0.1:0", quiet, benchDir(b), page
		s, err := Start(context.Background(), cfg)
		if err != nil {
			b.Fatal(err)
		}
		defer s.Close()
		used := cpuTime()
		if err := pump(s.Addr(), sends, 64, 1024); err != nil {
			b.Fatal(err)
		}
		return float64(cpuTime()-used) / sends
	}
	for b.Loop() {
		var real, skewed, ratios []float64
		for range 5 {
			r, s := cost(""), cost(page)
			real, skewed, ratios = append(real, r), append(skewed, s), append(ratios, s/r)
		}
		b.ReportMetric(median(real), "real-cpu-ns/send")
		b.ReportMetric(median(skewed), "skewed-cpu-ns/send")
		b.ReportMetric(median(ratios), "ratio")
	}
}
