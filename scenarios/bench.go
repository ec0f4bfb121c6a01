package scenarios

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"holdfast/loadgen"
	"holdfast/loadgen/driver"
	"holdfast/reports/result"
)

// Bench measures the speed of several systems side by side, alone on the machine: for each contract a closed loop of every shape and an
// open loop at one rate, on the same nodes one after the other, in passes that are interleaved over the systems.
type Bench struct {
	Systems   []*Matrix // of each: system, world of the performance cells, how it is warmed; Several is set
	Contracts []result.Contract
	Shapes    []Shape // measured from the one with most in flight to the one with least
	Passes    int
	// Rates of the open loops in msg/s; none: half of what the slowest system reached under the contract in its first pass.
	Rates []int
	Out   string
	Say   func(string)
	// Attached is what every pass is measured on, and left as it is; nil: each on a fresh cluster of the system's Speed.
	Attached Nodes
	// First measures the time from exec to the first SEND_OK of a system; nil: it is not measured.
	First func(ctx context.Context, system int, dir string) (time.Duration, error)
}

// Nodes are what a pass of a bench is measured on. What is not known of them is empty.
type Nodes interface {
	Driver() driver.System
	Master() string
	CPUSeconds() map[string]float64
	Memory() map[string]result.Memory
	Settings() map[string]string
	Close() error
}

// Shape is a closed loop: connections, and sends outstanding on each.
type Shape struct {
	Clients, InFlight int
	Ceiling           float64 // msg/s of the generator against a null server
}

// String returns 16x64.
func (s Shape) String() string { return fmt.Sprintf("%dx%d", s.Clients, s.InFlight) }

// benched is one system under one contract.
type benched struct {
	m        *Matrix
	contract result.Contract
	rows     []*speedRow // one a shape
	memory   []result.Memory
	opens    []*openRow // one a rate; the first one shares its row with the closed loop that saturates
	repeat   string     // the command that measures it again
}

// openRow is an open loop at one rate.
type openRow struct {
	*speedRow
	rate    int
	p99     []float64 // ms, of each pass
	service []float64 // ms, the same from the actual sends
	late    []float64 // ms, the generator's p99 in it
}

// biggest is the row that saturates: memory belongs to it.
func (b *benched) biggest() *speedRow { return b.rows[0] }

// row is one of its cells, measured as m says.
func (b *benched) row(m *Matrix, load string) *speedRow {
	row := m.speedRow(m.id(b.contract, load), b.contract)
	row.cell.Repeat = b.repeat
	return row
}

// open lays out the open loops.
func (b *benched) open(rates []int) {
	for i, rate := range rates {
		row := b.biggest()
		if i > 0 {
			row = b.row(row.m, fmt.Sprintf("%d-per-second", rate))
		}
		b.opens = append(b.opens, &openRow{speedRow: row, rate: rate})
	}
}

// Run measures, puts each finished cell into r, and the goals at the end.
func (b *Bench) Run(ctx context.Context, r *result.Result, save func(*result.Result) error) error {
	slices.SortStableFunc(b.Shapes, func(a, c Shape) int { return c.Clients*c.InFlight - a.Clients*a.InFlight })
	started, err := b.starts(ctx)
	all := b.open()
	for pass := 0; pass < b.Passes && err == nil; pass++ {
		for _, row := range all {
			if err = b.interleaved(ctx, row, pass); err != nil {
				break
			}
		}
	}
	for _, row := range all {
		for _, one := range row {
			for _, s := range one.measured() {
				r.Put(one.m.finishRow(s, err))
			}
		}
	}
	r.Goals = b.goals(all, started)
	return errors.Join(err, save(r))
}

// measured lists the rows of which something is known.
func (b *benched) measured() (rows []*speedRow) {
	for _, row := range b.rows {
		if len(row.passes) > 0 {
			rows = append(rows, row)
		}
	}
	for _, open := range b.opens {
		if open.speedRow != b.biggest() && len(open.open) > 0 {
			rows = append(rows, open.speedRow)
		}
	}
	return rows
}

// open lays out the rows: by contract, of each the systems that have it.
func (b *Bench) open() (all [][]*benched) {
	for _, c := range b.Contracts {
		var row []*benched
		for _, m := range b.Systems {
			if !slices.Contains(m.Contracts, c) {
				continue
			}
			one := &benched{m: m, contract: c, repeat: m.Command}
			if b.Attached == nil {
				one.repeat += " --contracts " + ContractName(c)
			}
			for _, s := range b.Shapes {
				own, perf := *m, *m.Perf
				perf.Clients, perf.InFlight, perf.Ceiling = s.Clients, s.InFlight, s.Ceiling
				own.Perf = &perf
				one.rows = append(one.rows, one.row(&own, s.String()))
			}
			one.open(b.Rates)
			row = append(row, one)
		}
		all = append(all, row)
	}
	return all
}

// interleaved is one pass over a contract: the systems one after the other, in the next pass the other way round. Systems that compile
// come first in the first one: half of what they reach is the rate of all.
func (b *Bench) interleaved(ctx context.Context, row []*benched, pass int) error {
	order := slices.Clone(row)
	slices.SortStableFunc(order, func(x, y *benched) int { return slowness(y) - slowness(x) })
	if pass%2 == 1 {
		slices.Reverse(order)
	}
	for _, one := range order {
		if err := b.pass(ctx, one, pass); err != nil {
			return fmt.Errorf("%s: %w", one.biggest().cell.ID, err)
		}
		for _, other := range order {
			if len(other.opens) == 0 {
				other.open([]int{one.opens[0].rate})
			}
		}
	}
	return nil
}

func slowness(b *benched) int {
	if b.m.Perf.Compiles {
		return 1
	}
	return 0
}

// pass measures one system under one contract once, on fresh nodes.
func (b *Bench) pass(ctx context.Context, one *benched, pass int) (err error) {
	dir := filepath.Join(b.Out, "cells", strings.TrimSuffix(one.biggest().cell.ID, "."+b.Shapes[0].String()), fmt.Sprintf("pass-%d", pass+1))
	if err := freshDir(dir); err != nil {
		return err
	}
	nodes, err := b.nodes(ctx, one.m, Spec{Dir: dir, Contract: one.contract, Topic: topic, Queues: queues})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, nodes.Close()) }()
	said := fmt.Sprintf("pass %d of %d, %s, %s:", pass+1, b.Passes, one.contract, one.m.System)
	for i, row := range one.rows {
		got, err := b.closed(ctx, nodes, row, i == 0, pass)
		if err != nil {
			return err
		}
		row.saturated(got.sum)
		row.used(got)
		said += fmt.Sprintf(" %s %.0f msg/s;", b.Shapes[i], got.sum.Throughput)
		if i == 0 {
			one.remember(nodes, got)
		}
	}
	if len(one.opens) == 0 {
		one.open([]int{max(int(one.biggest().passes[0]/2), 1)})
	}
	for _, open := range one.opens {
		if err := open.measure(ctx, nodes, subSeed(one.m.Seed, open.cell.ID, pass)); err != nil {
			return err
		}
		said += fmt.Sprintf(" p99 %.2f ms at %d msg/s;", open.p99[len(open.p99)-1], open.rate)
	}
	if n := len(one.memory); n > 0 {
		said += fmt.Sprintf(" %.0f MiB anonymous", float64(one.memory[n-1].Anonymous)/(1<<20))
	}
	b.Say(strings.TrimSuffix(said, ";"))
	return nil
}

// nodes returns what a pass is measured on.
func (b *Bench) nodes(ctx context.Context, m *Matrix, spec Spec) (Nodes, error) {
	if b.Attached != nil {
		return b.Attached, nil
	}
	cluster, err := m.Speed.Open(ctx, spec)
	if err != nil {
		return nil, fmt.Errorf("start the cluster: %w", err)
	}
	if err := replicating(ctx, cluster); err != nil {
		return nil, errors.Join(err, cluster.Close())
	}
	return cluster, nil
}

// measure runs a pass of the open loop.
func (o *openRow) measure(ctx context.Context, nodes Nodes, seed uint64) error {
	sum, err := o.m.Perf.behind(ctx, nodes.Driver(), o.rate, seed)
	if err != nil {
		return err
	}
	o.opened(sum, o.rate)
	o.p99, o.service = append(o.p99, quantile(sum.Latency.Response, 99)), append(o.service, quantile(sum.Latency.Service, 99))
	o.late = append(o.late, quantile(sum.Latency.Late, 99))
	return nil
}

// remember keeps what the nodes had at the end of the closed loop that saturates.
func (b *benched) remember(nodes Nodes, got passed) {
	if used, known := got.memory[nodes.Master()]; known {
		b.memory = append(b.memory, used)
	}
	cell := &b.biggest().cell
	for node, used := range got.memory {
		seen := cell.Memory[node]
		cell.Memory[node] = result.Memory{Anonymous: max(seen.Anonymous, used.Anonymous), File: max(seen.File, used.File)}
	}
}

// closed runs the closed loop of a row on nodes that serve already. first: they have to be warmed, too.
func (b *Bench) closed(ctx context.Context, nodes Nodes, row *speedRow, first bool, pass int) (got passed, err error) {
	p := row.m.Perf
	before := nodes.CPUSeconds()
	load, err := loadgen.Start(ctx, p.load(nodes.Driver(), 0, subSeed(row.m.Seed, row.cell.ID, pass)))
	if err != nil {
		return got, fmt.Errorf("start the load: %w", err)
	}
	switch {
	case first:
		err = p.warm(ctx, load, 0)
	case p.Compiles:
		err = sleep(ctx, settle)
	default:
		err = sleep(ctx, p.Warm)
	}
	load.Mark()
	if err == nil {
		err = sleep(ctx, p.Measure)
	}
	got.cpu, got.memory, got.settings = nodes.CPUSeconds(), nodes.Memory(), nodes.Settings()
	for process := range got.cpu {
		got.cpu[process] -= before[process]
	}
	got.sum = load.Stop()
	return got, errors.Join(err, got.sum.Err)
}

// starts measures how long each system takes from exec to its first SEND_OK, in interleaved passes.
func (b *Bench) starts(ctx context.Context) (started [][]float64, err error) {
	started = make([][]float64, len(b.Systems))
	if b.First == nil {
		return started, nil
	}
	for pass := range b.Passes {
		for i, m := range b.Systems {
			dir := filepath.Join(b.Out, "cells", strings.ReplaceAll(m.System.String(), ":", "-")+".start", fmt.Sprintf("pass-%d", pass+1))
			if err := freshDir(dir); err != nil {
				return started, err
			}
			took, err := b.First(ctx, i, dir)
			if err != nil {
				return started, fmt.Errorf("start of %s: %w", m.System, err)
			}
			b.Say(fmt.Sprintf("start %d of %d, %s: exec to the first SEND_OK %.0f ms", pass+1, b.Passes, m.System, ms(took)))
			started[i] = append(started[i], ms(took))
		}
	}
	return started, nil
}
