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
	"holdfast/reports/result"
)

// Bench measures the speed of several systems side by side, alone on the machine: for each contract a closed loop of every shape and an
// open loop at one rate, on the same nodes one after the other, in passes that are interleaved over the systems.
type Bench struct {
	Systems   []*Matrix // of each: system, world of the performance cells, how it is warmed; Several is set
	Contracts []result.Contract
	Shapes    []Shape // measured from the one with most in flight to the one with least
	Passes    int
	// Rate of the open loop in msg/s; 0: half of what the slowest system reached under the contract in its first pass.
	Rate int
	Out  string
	Say  func(string)
	// First measures the time from exec to the first SEND_OK of a system; nil: it is not measured.
	First func(ctx context.Context, system int, dir string) (time.Duration, error)
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
	p99      []float64 // ms, of each pass's open loop
	late     []float64 // ms, the generator's p99 in it
	rate     int
}

// biggest is the row that saturates: memory and the open loop belong to it.
func (b *benched) biggest() *speedRow { return b.rows[0] }

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
			for _, s := range one.rows {
				if len(s.passes) > 0 {
					r.Put(one.m.finishRow(s, err))
				}
			}
		}
	}
	r.Goals = b.goals(all, started)
	return errors.Join(err, save(r))
}

// open lays out the rows: by contract, of each the systems that have it.
func (b *Bench) open() (all [][]*benched) {
	for _, c := range b.Contracts {
		var row []*benched
		for _, m := range b.Systems {
			if !slices.Contains(m.Contracts, c) {
				continue
			}
			one := &benched{m: m, contract: c, rate: b.Rate}
			for _, s := range b.Shapes {
				own, perf := *m, *m.Perf
				perf.Clients, perf.InFlight, perf.Ceiling = s.Clients, s.InFlight, s.Ceiling
				own.Perf = &perf
				one.rows = append(one.rows, own.speedRow(m.id(c, s.String()), c))
			}
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
		if pass == 0 && one == order[0] && b.Rate == 0 {
			for _, other := range row {
				other.rate = one.rate
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
	cluster, err := one.m.Speed.Open(ctx, Spec{Dir: dir, Contract: one.contract, Topic: topic, Queues: queues})
	if err != nil {
		return fmt.Errorf("start the cluster: %w", err)
	}
	defer func() { err = errors.Join(err, cluster.Close()) }()
	if err := replicating(ctx, cluster); err != nil {
		return err
	}
	said := fmt.Sprintf("pass %d of %d, %s, %s:", pass+1, b.Passes, one.contract, one.m.System)
	for i, row := range one.rows {
		got, err := b.closed(ctx, cluster, row, i == 0, pass)
		if err != nil {
			return err
		}
		row.saturated(got.sum)
		row.used(got)
		said += fmt.Sprintf(" %s %.0f msg/s;", b.Shapes[i], got.sum.Throughput)
		if i == 0 {
			one.remember(cluster, got)
		}
	}
	if one.rate == 0 {
		one.rate = max(int(one.biggest().passes[0]/2), 1)
	}
	perf := *one.biggest().m.Perf
	perf.Rate = one.rate
	sum, err := perf.behind(ctx, cluster, subSeed(one.m.Seed, one.biggest().cell.ID, pass))
	if err != nil {
		return err
	}
	one.biggest().opened(sum, one.rate)
	one.p99 = append(one.p99, quantile(sum.Latency.Response, 99))
	one.late = append(one.late, quantile(sum.Latency.Late, 99))
	b.Say(fmt.Sprintf("%s p99 %.2f ms at %d msg/s; %.0f MiB anonymous", said, one.p99[len(one.p99)-1], one.rate, float64(one.memory[len(one.memory)-1].Anonymous)/(1<<20)))
	return nil
}

// remember keeps what the nodes had at the end of the closed loop that saturates.
func (b *benched) remember(cluster Cluster, got passed) {
	b.memory = append(b.memory, got.memory[cluster.Master()])
	cell := &b.biggest().cell
	for node, used := range got.memory {
		seen := cell.Memory[node]
		cell.Memory[node] = result.Memory{Anonymous: max(seen.Anonymous, used.Anonymous), File: max(seen.File, used.File)}
	}
}

// closed runs the closed loop of a row on nodes that serve already. first: they have to be warmed, too.
func (b *Bench) closed(ctx context.Context, cluster Cluster, row *speedRow, first bool, pass int) (got passed, err error) {
	p := row.m.Perf
	before := cluster.CPUSeconds()
	load, err := loadgen.Start(ctx, p.load(cluster, 0, subSeed(row.m.Seed, row.cell.ID, pass)))
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
	got.cpu, got.memory, got.settings = cluster.CPUSeconds(), cluster.Memory(), cluster.Settings()
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
