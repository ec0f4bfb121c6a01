package scenarios

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"holdfast/checker/history"
	"holdfast/nemesis"
	"holdfast/reports/result"
)

// faultCell runs the trials of a cell one after another and pools them. An error of the harness or of the system ends
// the trial; what was found until then is in the cell, with the reason, and the cell is inconclusive.
type faultCell struct {
	m      *Matrix
	plan   Planned
	watch  Watcher
	cell   result.Cell
	pool   *pool
	next   int  // trial to run
	closed bool // nothing more is to be run
	spent  time.Duration
}

// open lays out a cell; nothing is run.
func (m *Matrix) open(p Planned, watch Watcher) *faultCell {
	load, f := p.Column.load(m.Fault), p.Column.First()
	c := &faultCell{m: m, plan: p, watch: watch, cell: result.Cell{
		ID: p.ID, System: m.label(), Contract: p.Contract, Fault: string(f.Kind), Target: string(f.Target), Recovery: string(f.Recovery),
		Name: p.Column.Name(), Shows: p.Column.Scenario.Shows, Schedule: steps(p.Column.Schedule(p.Column.Seed)),
		Load:    result.Load{Offered: float64(load.Rate), Producers: load.Clients, Outstanding: load.InFlight, Size: load.Size},
		Control: IsControl(p.Contract, *p.Column), Repeat: m.repeat(p.Contract, p.Column.Name()),
		History: filepath.Join("cells", p.ID),
	}}
	if p.Column.Scenario.Disk.Size > 0 {
		c.cell, c.closed = inconclusive(c.cell, "not possible here: disk.size is for the simulator (holdfast sim)"), true
		return c
	}
	for i := range p.Cuts {
		for _, f := range c.trial(i).Schedule {
			if err := m.World.Possible(f); err != nil {
				c.cell, c.closed = inconclusive(c.cell, "not possible here: "+err.Error()), true
				return c
			}
		}
	}
	c.pool = newPool(&c.cell)
	return c
}

// run does the trials up to number upto. It may be called again for more.
func (c *faultCell) run(ctx context.Context, upto int) {
	if c.closed || c.next >= upto || ctx.Err() != nil {
		return
	}
	began := time.Now()
	defer func() { c.spent += time.Since(began) }()
	c.watch.CellStarted(c.plan.ID)
	for ; c.next < upto; c.next++ {
		t := c.trial(c.next)
		out, err := t.Run(ctx, c.m.World, func(text string) {
			c.watch.Progress(c.plan.ID, fmt.Sprintf("cut %d of %d: %s", c.next+1, c.plan.Cuts, text))
		})
		if errors.Is(err, context.Canceled) {
			return
		}
		c.pool.add(t, out, err)
	}
}

// finish sums the cell up.
func (c *faultCell) finish() result.Cell {
	if c.pool == nil {
		return c.cell
	}
	if c.next < c.plan.Cuts {
		c.cell = inconclusive(c.cell, fmt.Sprintf("interrupted in cut %d of %d", c.next+1, c.plan.Cuts))
		c.cell.Partial = true
	}
	c.pool.finish()
	if e, known := c.plan.Column.Scenario.Expected(c.m.System.String(), c.plan.Contract); known && c.plan.Column.Expect {
		c.cell.Expect = expectations(e, &c.cell)
	}
	c.cell.Seconds = c.spent.Seconds()
	return c.cell
}

// trial describes cut i of a cell. Its seed depends on the matrix's seed, the contract, the column and the cut alone, so that a cell
// run again, alone, resumed or beside other systems, draws the same.
func (c *faultCell) trial(i int) Trial {
	m, id, column := c.m, c.plan.ID, c.plan.Column
	t := column.Trial(m.System, c.plan.Contract, m.Fault, subSeed(m.Seed, cellID(c.plan.Contract, column.Name()), i), i, c.plan.Cuts)
	t.Name, t.Alone, t.Dir = id, i < m.alone(column), filepath.Join(m.Out, "cells", id, fmt.Sprintf("cut-%d", i+1))
	if column.Seed != 0 {
		t.Schedule = column.Schedule(column.Seed + uint64(i))
	}
	if e, known := column.Scenario.Expected(m.System.String(), t.Contract); known && e.MinAcks > 0 {
		t.Load.MinAcks = e.MinAcks
	}
	return t
}

func inconclusive(cell result.Cell, reason string) result.Cell {
	cell.Verdict = result.Inconclusive
	cell.Reasons = append(cell.Reasons, reason)
	return cell
}

// pool sums the trials of a cell up.
type pool struct {
	cell    *result.Cell
	verdict result.Verdict
}

func newPool(cell *result.Cell) *pool {
	cell.Acked, cell.Lost, cell.Anomalies = map[string]int64{}, map[string]int64{}, map[string]int64{}
	cell.FaultEffect = map[string]int64{}
	cell.Unknown, cell.Failed = new(int64), new(int64)
	cell.Duplicates, cell.Reordered, cell.Phantoms = new(int64), new(int64), new(int64)
	return &pool{cell: cell, verdict: result.Kept}
}

func (p *pool) add(t Trial, out Outcome, err error) {
	c := p.cell
	row := result.Trial{
		Seed: t.Seed, Alone: t.Alone, Effect: out.Effect, SinceSyncMS: ms(out.SinceSync), Faults: effects(out.History, t.Schedule),
		History: filepath.Join(c.History, fmt.Sprintf("cut-%d", t.Index+1)),
	}
	defer func() { c.Trials = append(c.Trials, row) }()
	number := len(c.Trials) + 1
	if err != nil {
		reason, _, _ := strings.Cut(err.Error(), "\n") // what follows are lines of a node's log, which is beside the history
		row.Verdict, row.Reasons = result.Inconclusive, []string{reason}
		var unfit *Unfit
		row.Broken = !errors.As(err, &unfit)
		p.verdict = result.Worse(p.verdict, row.Verdict)
		p.reason(number, reason)
		return
	}
	v := out.Verdict
	row.Verdict, row.Acked, row.Lost, row.Reasons = result.Verdict(v.Verdict.String()), v.Acked, v.Lost, v.Reasons
	addCounts(c.Acked, v.Acked)
	addCounts(c.Lost, v.Lost)
	addCounts(c.Anomalies, v.Anomalies)
	addCounts(c.FaultEffect, out.Effect)
	*c.Unknown += v.Unknown
	*c.Failed += v.Figures.Failed
	*c.Duplicates += v.Figures.Duplicates
	*c.Reordered += v.Figures.Reordered
	*c.Phantoms += v.Figures.Phantoms
	c.Linearizable = worseLinearizable(c.Linearizable, v.Linearizable)
	p.verdict = result.Worse(p.verdict, row.Verdict)
	for _, reason := range v.Reasons {
		p.reason(number, reason)
	}
	for _, f := range v.Findings {
		if len(c.Findings) < findingsMax {
			c.Findings = append(c.Findings, result.Finding{Anomaly: f.Anomaly, Queue: f.Queue, Ops: f.Ops, Explain: f.Explain, Trial: number})
		}
	}
	for cause, n := range v.Figures.Causes {
		c.Causes = addCause(c.Causes, cause, n)
	}
	row.Phases, row.Stores, row.Reads = phases(out.History), out.Stores, readTimes(out.History)
	row.Availability = availability(out.History)
	p.figures(&row, out)
	p.harness(out.Harness)
	c.Settings = out.Settings
	if c.Timeline == nil || row.WindowMS > 0 && result.Sum(row.Lost) > 0 && c.Timeline.Trial == 1 && result.Sum(c.Trials[0].Lost) == 0 {
		c.Timeline, c.Series = timeline(out.History)
		c.Timeline.Trial = number
	}
}

// findingsMax bounds what a cell repeats of its trials' findings; `check` on a trial's history gives all.
const findingsMax = 20

// figures takes over what only an effective trial measures.
func (p *pool) figures(row *result.Trial, out Outcome) {
	if row.Verdict == result.Inconclusive {
		return
	}
	if w := out.Verdict.Figures.LostBefore; w != nil {
		row.WindowMS = max(*w, 0)
		if p.cell.LossWindow == nil || row.WindowMS > p.cell.LossWindow.MS {
			p.cell.LossWindow = &result.Window{MS: row.WindowMS}
		}
	}
	p.predict(row, out)
	if !row.Alone {
		return
	}
	for _, ns := range out.Verdict.Figures.RTO {
		row.RTOMS = max(row.RTOMS, ms(time.Duration(ns)))
	}
	for _, ns := range out.Verdict.Figures.DeliveryRTO {
		row.DeliveryRTOMS = max(row.DeliveryRTOMS, ms(time.Duration(ns)))
	}
}

// CommitLogUnsynced is the effect of a power cut that predicts its loss: bytes of the master's commit log written since the fsync began
// that was the last to complete.
const CommitLogUnsynced = "commitLogUnsynced"

// predict says what a single power cut whose nodes return was to lose. After a promotion another log counts, and after a second
// fault the effects of both stand in one sum.
func (p *pool) predict(row *result.Trial, out Outcome) {
	bytes, known := out.Effect[CommitLogUnsynced]
	if !known || out.RecordBytes == 0 || len(p.cell.Schedule) != 1 || p.cell.Recovery != string(nemesis.Returns) {
		return
	}
	row.PredictedBytes = new(bytes)
	row.Predicted = new(float64(bytes) / out.RecordBytes)
}

// harness takes over what the processes of the harness needed: the sum of their time, the longest of their stalls.
func (p *pool) harness(trial map[string]result.Process) {
	if p.cell.Harness == nil {
		p.cell.Harness = map[string]result.Process{}
	}
	for name, used := range trial {
		all := p.cell.Harness[name]
		all.CPUSeconds += used.CPUSeconds
		all.StallMS = max(all.StallMS, used.StallMS)
		p.cell.Harness[name] = all
	}
}

// effects lists the faults of a history with what they were measured to have done. They stand in the order of the schedule, with
// others in between that no schedule names: the halt of a broker, the kill in a bit flip.
func effects(h *history.History, schedule nemesis.Schedule) []result.FaultEffect {
	if h == nil {
		return nil
	}
	var all []result.FaultEffect
	planned := slices.DeleteFunc(slices.Clone(schedule), func(f nemesis.Fault) bool { return f.Kind == nemesis.None })
	for i := range h.Faults {
		f := &h.Faults[i]
		e := result.FaultEffect{Name: f.Name, Nodes: f.Nodes, Effect: f.Effect, StartMS: nsToMS(f.Start)}
		if len(planned) > 0 && string(planned[0].Kind) == f.Name {
			e.Target = string(planned[0].Target)
			planned = planned[1:]
		}
		if f.Heal >= 0 {
			e.HealMS = nsToMS(f.Heal)
		}
		all = append(all, e)
	}
	return all
}

func (p *pool) reason(trial int, text string) {
	line := fmt.Sprintf("cut %d: %s", trial, text)
	if !slices.Contains(p.cell.Reasons, line) {
		p.cell.Reasons = append(p.cell.Reasons, line)
	}
}

// finish gives the cell its verdict: the worst of its trials; and the control's, which must have lost something.
func (p *pool) finish() {
	c := p.cell
	c.RPO, c.RTO = result.PoolRPO(c.Trials), result.PoolRTO(c.Trials)
	c.Verdict = result.Worse(c.Verdict, p.verdict)
	if len(c.Trials) == 0 && c.Verdict.Rank() < result.Inconclusive.Rank() {
		*c = inconclusive(*c, "no trial was run")
	}
	if c.Control && c.RPO != nil && c.RPO.LossyCuts == 0 {
		c.Verdict = result.Worse(c.Verdict, result.Inconclusive)
		c.Reasons = append(c.Reasons, "the control lost nothing in any cut: the cuts of this run prove nothing")
	}
}

func addCounts(sum, more map[string]int64) {
	for k, n := range more {
		sum[k] += n
	}
}

func addCause(causes []result.Cause, cause string, n int64) []result.Cause {
	i := slices.IndexFunc(causes, func(c result.Cause) bool { return c.Cause == cause })
	if i >= 0 {
		causes[i].Count += n
		return causes
	}
	causes = append(causes, result.Cause{Cause: cause, Count: n})
	slices.SortFunc(causes, func(a, b result.Cause) int { return strings.Compare(a.Cause, b.Cause) })
	return causes
}

// worseLinearizable pools two answers: one invalid history makes the cell invalid, one unknown leaves it unknown.
func worseLinearizable(a, b string) string {
	for _, word := range []string{"invalid", "unknown", "valid"} {
		if a == word || b == word {
			return word
		}
	}
	return ""
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
