package loadgen

import (
	"errors"
	"io"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"holdfast/loadgen/driver"
)

// Snapshot is what a running load has done so far, warm-up included.
type Snapshot struct {
	Sent, Failed, Unknown int64
	Acked                 map[string]int64 // by the system's own status word; absent when zero
	AckedTotal            int64
	Rate                  int64 // acknowledgements a second, over the last second
}

// Snapshot returns the live counters; they lag the truth by a batch.
func (l *Load) Snapshot() Snapshot {
	n := l.live()
	return Snapshot{
		Sent: n.sent, Failed: n.failed, Unknown: n.unknown,
		Acked: ackedByWord(&n), AckedTotal: n.ackedTotal(), Rate: l.rate.perSecond(),
	}
}

func ackedByWord(n *counts) map[string]int64 {
	byWord := make(map[string]int64)
	for i, count := range n.acked {
		if count > 0 {
			byWord[driver.Status(i).String()] = count
		}
	}
	return byWord
}

// Summary is what a load has done. Sent, Acked, Failed and Unknown are of the whole load and add up; all else is of the
// measured window, from the last Mark (or the start) to Stop.
type Summary struct {
	Sent, Failed, Unknown int64
	Acked                 map[string]int64 // by the system's own status word; absent when zero

	Window      time.Duration // length of the measured window
	WindowAcked int64         // acknowledgements that came within it
	Throughput  float64       // WindowAcked a second
	Latency     *Latency      // operations intended to start within the window, also if they ended after it
	LateP99     time.Duration // 99th percentile of the lateness; 0 in a closed loop
	LateMax     time.Duration
	Stall       time.Duration // longest time a thread did not run although it wanted to
	CPU         time.Duration // processor time of the generator's threads within the window, user and system
	// Stolen is which share [0, 1] of the processors' time the host of this virtual machine gave to others; nil where that is not known.
	Stolen *float64
	Err    error // why a thread ended early, or its connections did not close
}

// summary adds up what the threads left behind; they have ended.
func (l *Load) summary() Summary {
	s := Summary{Latency: NewLatency(), Stolen: l.window.end.stolenSince(l.window.begin)}
	var total, window counts
	first := l.threads[0]
	stop := time.Duration(first.control.stop.Load())
	s.Window = stop - min(time.Duration(first.control.mark.Load()), stop)
	for _, t := range l.threads {
		total.plus(&t.worker.tally.total)
		window.plus(&t.worker.tally.window)
		s.Latency.Merge(t.worker.Latency)
		s.Stall = max(s.Stall, t.worker.stall)
		s.CPU += t.usage.sinceMark()
		s.Err = errors.Join(s.Err, t.err)
	}
	s.Sent, s.Failed, s.Unknown, s.Acked = total.sent, total.failed, total.unknown, ackedByWord(&total)
	s.WindowAcked = window.ackedTotal()
	if s.Window > 0 {
		s.Throughput = float64(s.WindowAcked) / s.Window.Seconds()
	}
	if late := s.Latency.Late; late.TotalCount() > 0 {
		s.LateP99, s.LateMax = time.Duration(late.ValueAtPercentile(99)), time.Duration(late.Max())
	}
	return s
}

// Percentile is one point of a latency distribution.
type Percentile struct {
	Percent float64
	Value   time.Duration
	Enough  bool // at least 100 samples lie above: fewer make the figure an accident
}

// Percentiles returns p50, p90, p99, p99.9, p99.99 and the maximum of h.
func Percentiles(h *hdrhistogram.Histogram) []Percentile {
	points := []float64{50, 90, 99, 99.9, 99.99, 100}
	out := make([]Percentile, len(points))
	for i, p := range points {
		above := float64(h.TotalCount()) * (100 - p) / 100
		out[i] = Percentile{Percent: p, Value: time.Duration(h.ValueAtPercentile(p)), Enough: above >= 100 || p == 100 && h.TotalCount() > 0}
	}
	return out
}

// WriteLog writes the histograms in HdrHistogram's log format, V2, tagged response, service and late; each stands for the
// interval from start on. Values are nanoseconds.
func (l *Latency) WriteLog(w io.Writer, start time.Time, window time.Duration) error {
	log := hdrhistogram.NewHistogramLogWriter(w)
	if err := errors.Join(log.OutputLogFormatVersion(), log.OutputStartTime(start.UnixMilli()), log.OutputLegend()); err != nil {
		return err
	}
	options := hdrhistogram.DefaultHistogramLogOptions()
	for _, part := range []struct {
		tag string
		h   *hdrhistogram.Histogram
	}{{"response", l.Response}, {"service", l.Service}, {"late", l.Late}} {
		part.h.SetTag(part.tag)
		part.h.SetStartTimeMs(start.UnixMilli())
		part.h.SetEndTimeMs(start.Add(window).UnixMilli())
		if err := log.OutputIntervalHistogramWithLogOptions(part.h, options); err != nil {
			return err
		}
	}
	return nil
}

// rateStep is the distance of the samples of a rateMeter; a second has rateSteps.
const (
	rateStep  = 100 * time.Millisecond
	rateSteps = 10
)

// rateMeter remembers samples of a counter over the last second.
type rateMeter struct {
	mu      sync.Mutex
	samples [rateSteps + 1]rateSample
	n       int // samples seen
}

type rateSample struct {
	at    time.Duration
	value int64
}

func (m *rateMeter) add(at time.Duration, value int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.samples[m.n%len(m.samples)] = rateSample{at, value}
	m.n++
}

// perSecond returns the counter's growth a second between the oldest and the newest sample.
func (m *rateMeter) perSecond() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.n < 2 {
		return 0
	}
	newest := m.samples[(m.n-1)%len(m.samples)]
	oldest := m.samples[max(0, m.n-len(m.samples))%len(m.samples)]
	if newest.at <= oldest.at {
		return 0
	}
	return int64(float64(newest.value-oldest.value) / (newest.at - oldest.at).Seconds())
}
