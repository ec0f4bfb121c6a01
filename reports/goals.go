package reports

import (
	"fmt"
	"strings"

	"holdfast/reports/result"
)

// Bench returns what a bench of one or several systems measured, as text of at most width columns.
func Bench(r *result.Result, dir string, width int, color bool) string {
	paint := palette{color}
	v := newView(r, nil)
	var b strings.Builder
	for _, line := range header(r) {
		b.WriteString(wrap(line, width, "  "))
	}
	for _, g := range append([]*grid{v.shapes(), v.latencies(), v.memory()}, goalGrids(r.Goals)...) {
		if g != nil {
			b.WriteString("\n" + g.text(width, paint))
		}
	}
	for _, line := range openGoals(r.Goals) {
		b.WriteString(wrap(line, width, "  "))
	}
	if dir != "" {
		b.WriteString("\n" + paths(dir))
	}
	return b.String()
}

// shapes is the throughput of every closed loop: a row a contract and system, a column a shape.
func (v *view) shapes() *grid {
	var shapes []string
	cells := map[place]*result.Cell{}
	for i := range v.r.Cells {
		c := &v.r.Cells[i]
		if !c.IsPerformance() || c.Throughput == nil {
			continue
		}
		shape := c.Load.Shape()
		if !contains(shapes, shape) {
			shapes = append(shapes, shape)
		}
		cells[place{rowOf(c), shape}] = c
	}
	if len(shapes) == 0 {
		return nil
	}
	g := &grid{Title: "Throughput, msg/s: median of the passes (least-most)", Stub: v.stubWidth(), Columns: v.stub(),
		Note: "16x64: 16 connections with 64 sends outstanding on each; 1x1: one synchronous sender."}
	for _, shape := range shapes {
		g.Columns = append(g.Columns, column{Head: shape, Right: true})
	}
	for _, row := range v.rows {
		entries := v.stubEntries(row)
		for _, shape := range shapes {
			text := "-"
			if c := cells[place{row, shape}]; c != nil {
				text = fmt.Sprintf("%s (%s-%s)%s", rate(c.Throughput.Acked), rate(c.Throughput.Min), rate(c.Throughput.Max), doubt(c))
			}
			entries = append(entries, entry{text, plain})
		}
		g.row(entries...)
	}
	return g
}

func contains(words []string, word string) bool { return position(words, word) < len(words) }

// latencies is the open loops: of a contract all systems at one rate.
func (v *view) latencies() *grid {
	g := &grid{Title: "Latency from the intended start, ms, failures included", Stub: v.stubWidth(), Columns: append(v.stub(),
		column{Head: "msg/s offered", Right: true}, column{Head: "p50", Right: true}, column{Head: "p99 (least-most)", Right: true}, column{Head: "max", Right: true},
		column{Head: "stolen", Right: true}),
		Note: "Stolen: of the processors' time, by the host of this virtual machine; from 0.5% on its pauses make the p99. ?: inconclusive, results.json says why."}
	for _, row := range v.rows {
		for i := range v.r.Cells {
			if c := &v.r.Cells[i]; c.IsPerformance() && rowOf(c) == row && c.Latency != nil {
				g.row(append(v.stubEntries(row), latencyEntries(c)...)...)
			}
		}
	}
	if len(g.Rows) == 0 {
		return nil
	}
	return g
}

// latencyEntries are the figures of an open loop.
func latencyEntries(c *result.Cell) []entry {
	l := c.Latency
	p50, p99, stolen := "-", "-", "-"
	if l.P50 != nil {
		p50 = millis(*l.P50)
	}
	if l.P99 != nil {
		p99 = fmt.Sprintf("%s (%s-%s)%s", millis(*l.P99), millis(l.P99Min), millis(l.P99Max), doubt(c))
	}
	if s := c.Stolen; s != nil && s.Latency != nil {
		stolen = fmt.Sprintf("%.1f%%", 100**s.Latency)
	}
	return []entry{{rate(l.Rate), plain}, {p50, plain}, {p99, plain}, {millis(*l.Max), plain}, {stolen, plain}}
}

// goalGrids are the goals against each other system, with their ratios and whether they are met.
func goalGrids(goals []result.Goal) (grids []*grid) {
	byOther := map[string]*grid{}
	tones := map[result.Standing]tone{result.Met: good, result.Missed: bad, result.Untested: doubtful}
	for _, one := range goals {
		g := byOther[one.Against]
		if g == nil {
			g = &grid{Title: "Goals of " + one.System, Stub: 2, Columns: []column{{Head: "contract"}, {Head: "what"}, {Head: "load"}, {Head: "own", Right: true},
				{Head: "other", Right: true}, {Head: "times better", Right: true}, {Head: "goal", Right: true}, {Head: "standing"}}}
			if one.Against != "" {
				g.Title += " against " + one.Against
				g.Note = "Own and other: medians of the passes. Times better: median (least-most) over pairs of passes side by side. met, missed: in every pair; else inconclusive."
			}
			byOther[one.Against] = g
			grids = append(grids, g)
		}
		_, own, _ := result.Spread(one.Own)
		_, other, _ := result.Spread(one.Other)
		ratio, target := "-", fmt.Sprintf("< %s %s", amount(one.Target, one.Unit), one.Unit)
		if r := one.Ratio; r != nil {
			ratio, target = fmt.Sprintf("%s (%s-%s)", times(r.Median), times(r.Min), times(r.Max)), fmt.Sprintf(">= %s", times(one.Target))
		}
		g.row(entry{one.Contract, plain}, entry{one.What, plain}, entry{one.Load, plain},
			entry{amount(own, one.Unit) + " " + one.Unit, plain}, entry{amount(other, one.Unit), plain}, entry{ratio, plain}, entry{target, plain}, entry{string(one.Standing), tones[one.Standing]})
	}
	return grids
}

// amount writes a figure in its unit.
func amount(v float64, unit string) string {
	switch unit {
	case "msg/s":
		return rate(v)
	case "ms":
		return millis(v)
	}
	return fmt.Sprintf("%.0f", v)
}

// times writes a ratio with two figures.
func times(ratio float64) string {
	if ratio >= 10 {
		return fmt.Sprintf("%.0fx", ratio)
	}
	return fmt.Sprintf("%.2gx", ratio)
}

// openGoals says of each goal that is neither met nor missed why.
func openGoals(goals []result.Goal) (lines []string) {
	for _, g := range goals {
		if len(g.Reasons) > 0 {
			lines = append(lines, fmt.Sprintf("%s, %s %s against %s: %s", g.Contract, g.What, g.Load, g.Against, strings.Join(g.Reasons, "; ")))
		}
	}
	return lines
}
