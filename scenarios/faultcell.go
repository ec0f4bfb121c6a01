package scenarios

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"holdfast/nemesis"
	"holdfast/reports/result"
)

// faultCell runs the trials of a cell one after another and pools them. An error of the harness or of the system ends
// the cell; what its trials found until then is in it, with the reason, and the cell is inconclusive.
func (m *Matrix) faultCell(ctx context.Context, row result.Contract, f nemesis.Fault, progress func(string)) (cell result.Cell) {
	cell = result.Cell{
		ID: cellID(row, FaultName(f)), Contract: row, Fault: string(f.Kind), Target: string(f.Target), Recovery: string(f.Recovery),
		Load:    result.Load{Offered: float64(m.Fault.Rate), Producers: m.Fault.Clients, Outstanding: m.Fault.InFlight, Size: m.Fault.Size},
		Control: IsControl(row, f), Repeat: m.repeat(row, FaultName(f)),
	}
	cell.History = filepath.Join("cells", cell.ID)
	began := time.Now()
	defer func() { cell.Seconds = time.Since(began).Seconds() }()
	if err := m.World.Possible(f); err != nil {
		return inconclusive(cell, "not possible here: "+err.Error())
	}
	pool := newPool(&cell)
	for i := range m.Cuts {
		t := m.trial(cell, row, f, i)
		out, err := t.Run(ctx, m.World, func(text string) { progress(fmt.Sprintf("cut %d of %d: %s", i+1, m.Cuts, text)) })
		if errors.Is(err, context.Canceled) {
			cell = inconclusive(cell, fmt.Sprintf("interrupted in cut %d of %d", i+1, m.Cuts))
			cell.Partial = true
			break
		}
		pool.add(t, out, err)
	}
	pool.finish()
	return cell
}

// trial describes cut i of a cell. Its seed depends on the matrix's seed, the cell and the cut alone, so that a cell run again,
// alone or resumed, draws the same.
func (m *Matrix) trial(cell result.Cell, row result.Contract, f nemesis.Fault, i int) Trial {
	load := m.Fault
	return Trial{
		Name: cell.ID, System: m.System, Contract: row, Fault: f, Index: i, Of: m.Cuts,
		Seed: subSeed(m.Seed, cell.ID, i), Load: load,
		Dir: filepath.Join(m.Out, "cells", cell.ID, fmt.Sprintf("cut-%d", i+1)),
	}
}

func inconclusive(cell result.Cell, reason string) result.Cell {
	cell.Verdict = result.Inconclusive
	cell.Reasons = append(cell.Reasons, reason)
	return cell
}

// pool sums the trials of a cell up.
type pool struct {
	cell    *result.Cell
	lost    []int64 // messages lost, by trial that had its effect
	rto     []float64
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
		Seed: t.Seed, Effect: out.Effect, SinceSyncMS: ms(out.SinceSync),
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
	p.figures(&row, out)
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
	p.lost = append(p.lost, result.Sum(row.Lost))
	if w := out.Verdict.Figures.LostBefore; w != nil {
		row.WindowMS = max(*w, 0)
		if p.cell.LossWindow == nil || row.WindowMS > p.cell.LossWindow.MS {
			p.cell.LossWindow = &result.Window{MS: row.WindowMS}
		}
	}
	for _, ns := range out.Verdict.Figures.RTO {
		row.RTOMS = max(row.RTOMS, ms(time.Duration(ns)))
	}
	if row.RTOMS > 0 {
		p.rto = append(p.rto, row.RTOMS)
	}
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
	c.RPO = result.NewRPO(p.lost)
	if len(p.rto) > 0 {
		_, mid, hi := result.Spread(p.rto)
		c.RTO = &result.RTO{MS: hi, MedianMS: mid}
	}
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
