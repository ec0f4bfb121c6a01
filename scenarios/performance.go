package scenarios

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"holdfast/loadgen"
	"holdfast/loadgen/driver"
	"holdfast/reports/result"
)

// Performance says how the fault-free cells are measured: first a closed loop at saturation, then an open loop at one rate
// common to all rows, each in passes that are interleaved over the rows. Source: design.md section 6.
type Performance struct {
	Passes   int
	Clients  int // connections
	InFlight int // sends outstanding on each
	Size     int // mean body bytes
	Warm     time.Duration
	// Compiles says that the system gets faster while it runs: Warm is the most that it is given, and an open loop follows a closed
	// one, on the same nodes where Rate is given.
	Compiles  bool
	Measure   time.Duration
	LatencyOf time.Duration // length of a pass of the open loop
	Rate      int           // msg/s of the open loop; 0: half of the slowest row's saturation
	Ceiling   float64       // msg/s of the generator against a null server; 0: not measured
	Topic     Topic         // where the load goes; the zero value: the topic of fresh clusters
}

// Topic is what a load is sent to.
type Topic struct {
	Name   string
	Queues int // over all broker groups
}

// orOwn returns the topic, or that of fresh clusters.
func (t Topic) orOwn() Topic {
	if t.Name == "" {
		return Topic{topic, queues}
	}
	return t
}

// openClose is what a cluster takes to start, catch up and end.
const (
	openClose          = 900 * time.Millisecond
	openCloseCompiling = 8 * time.Second // a JVM's; its slave first tries to reach its master 5 s after its start
)

func (p *Performance) expect() time.Duration {
	start := openClose
	if p.Compiles {
		start = openCloseCompiling
	}
	if p.together() {
		return time.Duration(p.Passes) * (p.Warm + start + p.Measure + settle + p.LatencyOf)
	}
	return time.Duration(p.Passes) * (2*(p.Warm+start) + p.Measure + p.LatencyOf)
}

// together says that both loops run on the same nodes, one after the other.
func (p *Performance) together() bool { return p.Compiles && p.Rate > 0 }

// Warming says how long a row is warmed.
func (p *Performance) Warming() string {
	if p.Compiles {
		return fmt.Sprintf("until level, at most %v", p.Warm)
	}
	return p.Warm.String()
}

// generatorBound is the share of the generator's ceiling above which a throughput says more about the generator.
const generatorBound = 0.6

// latenessShare is the share of its p99 above which a row's lateness makes its latency that of the generator.
const latenessShare = 0.1

// What the host of a virtual machine may take of the processors' time before figures are no longer the system's own. A p99 is made by the
// slowest hundredth: a host that stops the machine for about that long has made it.
const (
	stolenFromLatency    = 0.005
	stolenFromSaturation = 0.05
)

// speedRow gathers what the passes over one row measured.
type speedRow struct {
	m      *Matrix
	cell   result.Cell
	passes []float64
	open   []*loadgen.Latency // of the open-loop passes
	began  time.Time
}

// performance measures every row that is not done, alone on the machine: all systems at one rate.
func (all Comparison) performance(ctx context.Context, done func(string) bool, watch Watcher, put func(result.Cell)) error {
	var rows []*speedRow
	for _, p := range all.Plan() {
		if p.Column == nil && !done(p.ID) {
			rows = append(rows, p.m.speedRow(p.ID, p.Contract))
			watch.CellStarted(p.ID)
		}
	}
	if len(rows) == 0 {
		return nil
	}
	err := saturate(ctx, rows, watch)
	if err == nil {
		err = latency(ctx, rows, watch)
	}
	for _, row := range rows {
		if err != nil && len(row.passes) == 0 {
			continue // nothing is known of it
		}
		put(row.m.finishRow(row, err))
	}
	if errors.Is(err, context.Canceled) {
		return err
	}
	if err != nil {
		return fmt.Errorf("performance: %w", err)
	}
	return nil
}

func (m *Matrix) speedRow(id string, c result.Contract) *speedRow {
	p := m.Perf
	return &speedRow{m: m, began: time.Now(), cell: result.Cell{
		ID: id, System: m.label(), Contract: c, Fault: result.NoFault, Repeat: m.repeat(c, result.NoFault), Verdict: result.Kept,
		Load:   result.Load{Producers: p.Clients, Outstanding: p.InFlight, Size: p.Size},
		Stolen: &result.Stolen{}, CPU: map[string]float64{}, Memory: map[string]result.Memory{}, Acked: map[string]int64{}, Unknown: new(int64), Failed: new(int64),
	}}
}

// eachPass calls measure for every row that has a pass of that number, pass after pass: whatever disturbs the machine for a while
// disturbs all rows.
func eachPass(rows []*speedRow, measure func(row *speedRow, pass int) error) error {
	most := 0
	for _, row := range rows {
		most = max(most, row.m.Perf.Passes)
	}
	for pass := range most {
		for _, row := range rows {
			if pass >= row.m.Perf.Passes {
				continue
			}
			if err := measure(row, pass); err != nil {
				return fmt.Errorf("%s: %w", row.cell.ID, err)
			}
		}
	}
	return nil
}

// saturate runs the closed loops.
func saturate(ctx context.Context, rows []*speedRow, watch Watcher) error {
	return eachPass(rows, func(row *speedRow, pass int) error {
		watch.Progress(row.cell.ID, fmt.Sprintf("saturation, pass %d of %d", pass+1, row.m.Perf.Passes))
		got, err := row.m.pass(ctx, row.cell, fmt.Sprintf("saturation-%d", pass+1), 0)
		if err != nil {
			return err
		}
		row.saturated(got.sum)
		row.used(got)
		if got.open != nil {
			row.opened(*got.open, row.m.Perf.Rate)
		}
		for node, used := range got.memory {
			seen := row.cell.Memory[node]
			row.cell.Memory[node] = result.Memory{Anonymous: max(seen.Anonymous, used.Anonymous), File: max(seen.File, used.File)}
		}
		return nil
	})
}

// commonRate is that of the open loops: what was asked for, else half of the slowest row's saturation.
func commonRate(rows []*speedRow) (int, error) {
	if given := rows[0].m.Perf.Rate; given != 0 {
		return given, nil
	}
	slowest := rows[0]
	for _, row := range rows {
		if row.median() < slowest.median() {
			slowest = row
		}
	}
	if rate := int(slowest.median() / 2); rate > 0 {
		return rate, nil
	}
	return 0, fmt.Errorf("%s: nothing was acknowledged at saturation: %d sends failed, %d have no known outcome; the nodes' logs are below %s",
		slowest.cell.ID, *slowest.cell.Failed, *slowest.cell.Unknown, filepath.Join(slowest.m.Out, "cells", slowest.cell.ID))
}

// latency runs the open loops at the rate that every row can serve.
func latency(ctx context.Context, rows []*speedRow, watch Watcher) error {
	rate, err := commonRate(rows)
	if err != nil {
		return err
	}
	return eachPass(rows, func(row *speedRow, pass int) error {
		if row.m.Perf.together() {
			return nil // it followed the closed loop
		}
		watch.Progress(row.cell.ID, fmt.Sprintf("latency at %d msg/s, pass %d of %d", rate, pass+1, row.m.Perf.Passes))
		got, err := row.m.pass(ctx, row.cell, fmt.Sprintf("latency-%d", pass+1), rate)
		if err != nil {
			return err
		}
		row.opened(got.sum, rate)
		row.used(got)
		return nil
	})
}

// passed is what one pass measured.
type passed struct {
	sum    loadgen.Summary
	cpu    map[string]float64
	memory map[string]result.Memory // at its end, while the load ran

	open *loadgen.Summary // of the open loop behind a closed one, where there was one

	settings map[string]string // effective configuration of the nodes
}

// pass measures one row once, on a fresh cluster. rate 0 is a closed loop.
func (m *Matrix) pass(ctx context.Context, cell result.Cell, name string, rate int) (got passed, err error) {
	p := m.Perf
	dir := filepath.Join(m.Out, "cells", cell.ID, name)
	if err := freshDir(dir); err != nil {
		return got, err
	}
	cluster, err := m.Speed.Open(ctx, Spec{Dir: dir, Contract: cell.Contract, Topic: topic, Queues: queues})
	if err != nil {
		return got, fmt.Errorf("start the cluster: %w", err)
	}
	defer func() { err = errors.Join(err, cluster.Close()) }()
	if err := replicating(ctx, cluster); err != nil {
		return got, err
	}
	seed := subSeed(m.Seed, cellID(cell.Contract, name), 0)
	if p.Compiles && rate > 0 {
		if err := p.rehearse(ctx, cluster.Driver(), seed); err != nil {
			return got, err
		}
	}
	load, err := loadgen.Start(ctx, p.load(cluster.Driver(), rate, seed))
	if err != nil {
		return got, fmt.Errorf("start the load: %w", err)
	}
	err = p.warm(ctx, load, rate)
	load.Mark()
	if err == nil {
		err = sleep(ctx, p.window(rate))
	}
	got.cpu, got.memory, got.settings = cluster.CPUSeconds(), cluster.Memory(), cluster.Settings()
	got.sum = load.Stop()
	if err = errors.Join(err, got.sum.Err); err != nil || !p.together() {
		return got, err
	}
	behind, err := p.behind(ctx, cluster.Driver(), p.Rate, seed)
	got.open = &behind
	return got, err
}

// behind runs an open loop on nodes that a closed one has warmed.
func (p *Performance) behind(ctx context.Context, system driver.System, rate int, seed uint64) (loadgen.Summary, error) {
	load, err := loadgen.Start(ctx, p.load(system, rate, seed))
	if err != nil {
		return loadgen.Summary{}, fmt.Errorf("start the load: %w", err)
	}
	err = sleep(ctx, settle)
	load.Mark()
	if err == nil {
		err = sleep(ctx, p.LatencyOf)
	}
	sum := load.Stop()
	return sum, errors.Join(err, sum.Err)
}

// load is what a pass offers. rate 0 is a closed loop.
func (p *Performance) load(system driver.System, rate int, seed uint64) loadgen.Config {
	to := p.Topic.orOwn()
	return loadgen.Config{
		System: system, Topic: to.Name, Queues: to.Queues, Connections: p.Clients, Outstanding: p.outstanding(rate),
		Rate: rate, Body: loadgen.Around(p.Size), Seed: seed,
	}
}

// warm waits until a running load may be measured: for Warm, and where the system compiles, for less if its throughput is level.
func (p *Performance) warm(ctx context.Context, load *loadgen.Load, rate int) error {
	if !p.Compiles {
		return sleep(ctx, p.Warm)
	}
	if rate > 0 {
		return sleep(ctx, settle)
	}
	var windows []float64
	for began := time.Now(); time.Since(began) < p.Warm; {
		before := load.Snapshot().AckedTotal
		if err := sleep(ctx, settle); err != nil {
			return err
		}
		windows = append(windows, float64(load.Snapshot().AckedTotal-before))
		if level(windows) {
			return nil
		}
	}
	return nil
}

// settle is a window of a warming load, and what an open loop is given after a closed one.
const settle = time.Second

// level reports whether the last few windows differ by no more than a tenth.
func level(windows []float64) bool {
	const few, spread = 4, 0.1
	if len(windows) < few {
		return false
	}
	lo, mid, hi := result.Spread(windows[len(windows)-few:])
	return hi-lo <= spread*mid
}

// rehearse has a system compile what an open loop will need: a closed loop until its throughput is level.
func (p *Performance) rehearse(ctx context.Context, system driver.System, seed uint64) error {
	load, err := loadgen.Start(ctx, p.load(system, 0, seed))
	if err != nil {
		return fmt.Errorf("start the load: %w", err)
	}
	err = p.warm(ctx, load, 0)
	return errors.Join(err, load.Stop().Err)
}

func (p *Performance) window(rate int) time.Duration {
	if rate == 0 {
		return p.Measure
	}
	return p.LatencyOf
}

// openFor is how long a system may stall before an open loop runs out of slots: what is sent late for want of one would be
// charged to the generator.
const openFor = 2 * time.Second

// outstanding returns the sends that may be under way on a connection.
func (p *Performance) outstanding(rate int) int {
	return min(max(p.InFlight, int(openFor.Seconds()*float64(rate))/p.Clients), 1<<16)
}

func (r *speedRow) median() float64 {
	_, mid, _ := result.Spread(r.passes)
	return mid
}

// saturated takes a pass of the closed loop.
func (r *speedRow) saturated(sum loadgen.Summary) {
	r.passes = append(r.passes, sum.Throughput)
	r.cell.Stolen.Saturation = larger(r.cell.Stolen.Saturation, sum.Stolen)
	r.sent(sum)
}

// opened takes a pass of the open loop.
func (r *speedRow) opened(sum loadgen.Summary, rate int) {
	r.cell.Load.Offered = float64(rate)
	r.open = append(r.open, sum.Latency)
	r.cell.Stolen.Latency = larger(r.cell.Stolen.Latency, sum.Stolen)
	r.sent(sum)
}

func (r *speedRow) sent(sum loadgen.Summary) {
	addCounts(r.cell.Acked, sum.Acked)
	*r.cell.Unknown += sum.Unknown
	*r.cell.Failed += sum.Failed
	r.cell.CPU["generator"] += sum.CPU.Seconds()
}

// larger returns the larger of two figures that may be unknown.
func larger(a, b *float64) *float64 {
	if a == nil || b != nil && *b > *a {
		return b
	}
	return a
}

// used takes what the nodes of a pass used and were given.
func (r *speedRow) used(got passed) {
	r.cell.Settings = got.settings
	for process, seconds := range got.cpu {
		r.cell.CPU[process] += seconds
	}
}

// finishRow turns what was measured into the cell; err is why the measurement ended early.
func (m *Matrix) finishRow(row *speedRow, err error) result.Cell {
	c := row.cell
	c.Seconds = time.Since(row.began).Seconds()
	if len(row.passes) > 0 {
		c.Throughput = result.NewThroughput(row.passes)
	}
	var reasons []string
	if len(row.open) > 0 {
		c.Latency, c.Lateness = latencyOf(row.open, c.Load.Offered)
	}
	if err != nil {
		c.Partial = true
		reasons = append(reasons, "ended early: "+err.Error())
	}
	if m.Perf.Ceiling > 0 && c.Throughput != nil && c.Throughput.Acked > generatorBound*m.Perf.Ceiling {
		reasons = append(reasons, fmt.Sprintf("generator-bound: %.0f msg/s is over %.0f%% of the generator's ceiling of %.0f msg/s",
			c.Throughput.Acked, 100*generatorBound, m.Perf.Ceiling))
	}
	if c.Latency != nil && c.Latency.P99 != nil && c.Lateness.P99 > latenessShare**c.Latency.P99 {
		reasons = append(reasons, fmt.Sprintf("generator-bound: lateness p99 %.2f ms is over %.0f%% of the latency p99 %.2f ms",
			c.Lateness.P99, 100*latenessShare, *c.Latency.P99))
	}
	reasons = append(reasons, stolen(c.Stolen)...)
	if degraded := degradedStatuses(c.Acked); degraded != "" {
		reasons = append(reasons, "not every acknowledgement was SEND_OK: "+degraded)
	}
	if len(reasons) > 0 {
		c.Verdict, c.Reasons = result.Inconclusive, reasons
	}
	return c
}

// stolen says what a virtual machine's host made of the figures.
func stolen(s *result.Stolen) (reasons []string) {
	if s.Saturation != nil && *s.Saturation >= stolenFromSaturation {
		reasons = append(reasons, fmt.Sprintf("the host of this virtual machine took %.1f%% of the processors' time at saturation; up to %.0f%% is borne with",
			100**s.Saturation, 100*stolenFromSaturation))
	}
	return append(reasons, stolenLatency(s)...)
}

// stolenLatency says that a host made a latency what it is.
func stolenLatency(s *result.Stolen) []string {
	if s.Latency == nil || *s.Latency < stolenFromLatency {
		return nil
	}
	return []string{fmt.Sprintf("the host of this virtual machine took %.1f%% of the processors' time while the latency was measured: from %.1f%% on its pauses make the p99",
		100**s.Latency, 100*stolenFromLatency)}
}

// degradedStatuses names the acknowledgements that stand for less than SEND_OK; speed bought with them is no speed.
func degradedStatuses(acked map[string]int64) string {
	var parts []string
	for _, status := range result.Names(acked) {
		if status != fullStatus && acked[status] > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", status, acked[status]))
		}
	}
	return strings.Join(parts, ", ")
}

// samplesAbove is how many samples a percentile needs above it to be stated.
const samplesAbove = 100

// latencyOf sums up the passes of an open loop.
func latencyOf(passes []*loadgen.Latency, rate float64) (*result.Latency, *result.Lateness) {
	all := loadgen.NewLatency()
	var p99s []float64
	for _, pass := range passes {
		all.Merge(pass)
		p99s = append(p99s, quantile(pass.Response, 99))
	}
	h := all.Response
	l := &result.Latency{Unit: "ms", Rate: rate, Samples: h.TotalCount(), Max: new(float64(h.Max()) / 1e6)}
	l.P99Min, _, l.P99Max = result.Spread(p99s)
	for _, q := range []struct {
		percent float64
		into    **float64
	}{{50, &l.P50}, {99, &l.P99}, {99.9, &l.P999}} {
		if float64(h.TotalCount())*(1-q.percent/100) >= samplesAbove {
			*q.into = new(quantile(h, q.percent))
		}
	}
	for _, percent := range curve {
		l.Curve = append(l.Curve, result.Point{Percentile: percent, Value: quantile(h, percent)})
	}
	if text, err := h.Encode(hdrhistogram.V2CompressedEncodingCookieBase); err == nil {
		l.Histogram = string(text)
	}
	return l, &result.Lateness{P99: quantile(all.Late, 99), Max: float64(all.Late.Max()) / 1e6, Unit: "ms"}
}

// curve are the percentiles of a plot: even steps on an axis of nines.
var curve = []float64{0, 10, 25, 50, 65, 75, 82, 90, 93, 95, 97, 98, 99, 99.3, 99.5, 99.7, 99.8, 99.9, 99.95, 99.99, 100}

// quantile returns a percentile of a histogram of nanoseconds, in ms.
func quantile(h *hdrhistogram.Histogram, percent float64) float64 {
	return float64(h.ValueAtPercentile(percent)) / 1e6
}

// sleep waits for d, or errs when ctx ends first.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
