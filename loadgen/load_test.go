package loadgen

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"holdfast/checker/history"
	"holdfast/loadgen/driver"
)

// chanSystem is a System whose producers answer at once, in real time.
type chanSystem struct {
	broken error // of Producer
	made   []*chanProducer
	admin  *fakeAdmin
}

type chanProducer struct {
	clock  func() time.Duration
	done   []driver.Completion
	closed bool
}

func (s *chanSystem) Producer(_ context.Context, cfg driver.ProducerConfig) (driver.Producer, driver.Env, error) {
	if s.broken != nil && len(s.made) > 0 {
		return nil, nil, s.broken
	}
	p := &chanProducer{clock: cfg.Clock}
	s.made = append(s.made, p)
	return p, p, nil
}

func (s *chanSystem) Consumer(context.Context, driver.ConsumerConfig) (driver.Consumer, driver.Env, error) {
	return nil, nil, errors.New("no consumers here")
}
func (s *chanSystem) Admin() driver.Admin                 { return s.admin }
func (s *chanSystem) RunID() uint64                       { return 1 }
func (s *chanSystem) QueueName(string, int, int32) string { return "a/T/0" }
func (s *chanSystem) Close() error                        { return nil }
func (p *chanProducer) Close() error                      { p.closed = true; return nil }
func (p *chanProducer) Now() time.Duration                { return p.clock() }
func (p *chanProducer) Send(slot uint32, m *driver.Message) error {
	p.done = append(p.done, driver.Completion{Slot: slot, Kind: driver.OK, Status: driver.SendOK, Queue: m.Queue, Offset: 1})
	return nil
}

func (p *chanProducer) Wait(until time.Duration, buf []driver.Completion) int {
	n := copy(buf, p.done)
	p.done = p.done[:copy(p.done, p.done[n:])]
	if n == 0 {
		time.Sleep(until - p.clock())
	}
	return n
}

// TestLoadHoldsItsRate over several threads, counts what it did, and shows it while it runs.
func TestLoadHoldsItsRate(t *testing.T) {
	system := &chanSystem{}
	begin := time.Now()
	load, err := Start(t.Context(), Config{System: system, Topic: "T", Queues: 1, Connections: 3, Outstanding: 8, Threads: 2, Rate: 5000, Body: BodyBytes{24, 48}})
	if err != nil {
		t.Fatal(err)
	}
	for load.Snapshot().AckedTotal < 200 {
		time.Sleep(time.Millisecond)
	}
	load.Mark()
	for before := load.Snapshot().AckedTotal; load.Snapshot().AckedTotal < before+1000; {
		time.Sleep(time.Millisecond)
	}
	s := load.Stop()
	if s.Err != nil || s.Sent != s.Acked["SEND_OK"] || s.Sent < 1200 || s.Failed+s.Unknown != 0 {
		t.Fatalf("got %+v", s)
	}
	if most := int64(5000*time.Since(begin).Seconds()) + 1; s.Sent > most { // less only if the machine has no time for it
		t.Errorf("got %d sends, want at most %d", s.Sent, most)
	}
	if got, want := s.Throughput, float64(s.WindowAcked)/s.Window.Seconds(); got != want || s.WindowAcked < 900 || s.WindowAcked >= s.Sent {
		t.Errorf("got %.0f a second, want %.0f: %d of %d in %v", got, want, s.WindowAcked, s.Sent, s.Window)
	}
	if n := s.Latency.Response.TotalCount(); n > s.WindowAcked+10 || n < s.WindowAcked-200 {
		t.Errorf("got %d latencies for %d acknowledgements in the window", n, s.WindowAcked)
	}
	for _, p := range system.made {
		if !p.closed {
			t.Error("a producer was left open")
		}
	}
}

// TestStartFailsWhole: when one thread cannot connect, the others are closed and nothing was sent.
func TestStartFailsWhole(t *testing.T) {
	system := &chanSystem{broken: errors.New("no")}
	_, err := Start(t.Context(), Config{System: system, Topic: "T", Queues: 1, Connections: 2, Threads: 2})
	if !errors.Is(err, system.broken) || !system.made[0].closed {
		t.Errorf("got %v, closed %v", err, system.made[0].closed)
	}
}

// TestContextEndsTheLoad as Stop does.
func TestContextEndsTheLoad(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	load, err := Start(ctx, Config{System: &chanSystem{}, Topic: "T", Queues: 1, Rate: 100})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	for _, join := range load.joins {
		join()
	}
	if s := load.Stop(); s.Err != nil {
		t.Error(s.Err)
	}
}

func TestConfigIsChecked(t *testing.T) {
	good := Config{System: &chanSystem{}, Topic: "T", Queues: 1}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for what, spoil := range map[string]func(c *Config){
		"no system":                     func(c *Config) { c.System = nil },
		"no topic":                      func(c *Config) { c.Topic = "" },
		"no queues":                     func(c *Config) { c.Queues = 0 },
		"more threads than connections": func(c *Config) { c.Threads = 2 },
		"nothing outstanding":           func(c *Config) { c.Outstanding = -1 },
		"too much outstanding":          func(c *Config) { c.Connections, c.Outstanding = 1000, 10_000 },
		"a negative rate":               func(c *Config) { c.Rate = -1 },
		"poisson without a rate":        func(c *Config) { c.Poisson = true },
		"a body without room":           func(c *Config) { c.Body = BodyBytes{10, 100} },
		"a range upside down":           func(c *Config) { c.Body = BodyBytes{100, 50} },
		"a negative timeout":            func(c *Config) { c.Timeout = -1 },
	} {
		c := good
		spoil(&c)
		if err := c.Validate(); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: got %v", what, err)
		}
	}
}

// fakeAdmin serves complete reads.
type fakeAdmin struct {
	driver.Admin
	failures int // reads that fail at first
	growing  int // reads whose end is not yet the last
	reads    int
}

func (a *fakeAdmin) ReadReplica(context.Context, string, string, int64) (driver.ReplicaRead, error) {
	if a.reads++; a.reads <= a.failures {
		return driver.ReplicaRead{}, driver.ErrUnavailable
	}
	if a.reads <= a.growing {
		return driver.ReplicaRead{First: 2, End: 2 + int64(a.reads%2), Msgs: nil}, nil
	}
	return driver.ReplicaRead{First: 2, End: 4, Msgs: []driver.Received{{Offset: 2, Value: 5}, {Offset: 3, Corrupt: true}}}, nil
}

// TestDrainReadsEverythingTwice, and tries again what failed.
func TestDrainReadsEverythingTwice(t *testing.T) {
	dir := t.TempDir()
	rec := newRecorder(t, dir)
	d := Drain{Admin: &fakeAdmin{failures: 1}, Recorder: rec, Process: 6, Nodes: []string{"a-0", "a-1"}, Queues: []string{"a/T/0", "a/T/1"}, Retry: time.Millisecond}
	if err := d.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := rec.Close(); err != nil {
		t.Fatal(err)
	}
	count := map[history.Type]int{}
	for _, e := range eventsOf(t, dir) {
		count[e.Type]++
		if e.F != history.Read || e.From != 0 || e.Type == history.OK && (e.First != 2 || e.End != 4 || len(e.Msgs) != 2 || e.Msgs[0].Value != 5 || !e.Msgs[1].Corrupt) {
			t.Errorf("got %+v", e)
		}
	}
	if count[history.Invoke] != 9 || count[history.OK] != 8 || count[history.Fail] != 1 {
		t.Errorf("got %v, want 9 reads, one of them failed", count)
	}
}

// TestDrainWaitsUntilTheEndStands: a broker that still indexes reports one end and then another.
func TestDrainWaitsUntilTheEndStands(t *testing.T) {
	dir := t.TempDir()
	rec := newRecorder(t, dir)
	d := Drain{Admin: &fakeAdmin{growing: 3}, Recorder: rec, Nodes: []string{"a-0"}, Queues: []string{"a/T/0"}, Retry: time.Millisecond}
	if err := d.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := rec.Close(); err != nil {
		t.Fatal(err)
	}
	var ends []int64
	for _, e := range eventsOf(t, dir) {
		if e.Type == history.OK {
			ends = append(ends, e.End)
		}
	}
	if want := []int64{3, 2, 3, 4, 4}; !slices.Equal(ends, want) {
		t.Errorf("got the ends %v, want %v: until two agree", ends, want)
	}
}

// TestDrainNamesWhatIsMissing when its time is over.
func TestDrainNamesWhatIsMissing(t *testing.T) {
	rec := newRecorder(t, t.TempDir())
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	d := Drain{Admin: &fakeAdmin{failures: 1 << 30}, Recorder: rec, Nodes: []string{"a-0"}, Queues: []string{"a/T/0"}, Retry: time.Millisecond}
	if err := d.Run(ctx); !errors.Is(err, driver.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	if err := rec.Close(); err != nil {
		t.Error(err)
	}
}

// TestLogIsReadable by HdrHistogram's own reader, with the same counts.
func TestLogIsReadable(t *testing.T) {
	l := NewLatency()
	for i := range 1000 {
		l.Done(0, time.Duration(i)*time.Microsecond, time.Duration(2*i)*time.Microsecond)
	}
	l.Failed(0, 0, time.Second, 90*time.Second) // beyond the range: counts as 60 s
	var log bytes.Buffer
	if err := l.WriteLog(&log, time.UnixMilli(1700000000000), time.Second); err != nil {
		t.Fatal(err)
	}
	reader := hdrhistogram.NewHistogramLogReader(&log)
	for _, want := range []*hdrhistogram.Histogram{l.Response, l.Service, l.Late} {
		got, err := reader.NextIntervalHistogram()
		if err != nil || got == nil {
			t.Fatal(got, err)
		}
		if got.Tag() != want.Tag() || got.TotalCount() != want.TotalCount() || got.ValueAtPercentile(99) != want.ValueAtPercentile(99) {
			t.Errorf("%s: got %d values as %s, want %d", want.Tag(), got.TotalCount(), got.Tag(), want.TotalCount())
		}
	}
	if max := time.Duration(l.Response.Max()); max < 59*time.Second || max > 61*time.Second {
		t.Errorf("got a maximum of %v, want 60s", max)
	}
}

// TestPercentilesSayWhatTheyAreWorth: fewer than 100 samples above a percentile make it an accident.
func TestPercentilesSayWhatTheyAreWorth(t *testing.T) {
	h := NewHistogram()
	for i := range 20_000 {
		record(h, time.Duration(i)*time.Microsecond)
	}
	for _, p := range Percentiles(h) {
		if want := p.Percent <= 99 || p.Percent == 100; p.Enough != want {
			t.Errorf("p%v of 20,000: got enough = %v, want %v", p.Percent, p.Enough, want)
		}
	}
	if got := Percentiles(h)[0].Value; got < 9900*time.Microsecond || got > 10100*time.Microsecond {
		t.Errorf("p50: got %v, want 10ms", got)
	}
}

func TestRateMeter(t *testing.T) {
	var m rateMeter
	if got := m.perSecond(); got != 0 {
		t.Errorf("empty: got %d", got)
	}
	value := int64(0)
	for i := range 30 { // 100 a step, later 10 a step: only the last second counts
		if i < 15 {
			value += 100
		} else {
			value += 10
		}
		m.add(time.Duration(i)*rateStep, value)
	}
	if got := m.perSecond(); got != 100 {
		t.Errorf("got %d a second, want 100", got)
	}
}
