package reports

import (
	"fmt"
	"slices"
	"strings"

	"holdfast/reports/result"
)

// agreement is where the reference broker and a system that it imitates tell the same: contracts down, faults across; nil where no two
// such systems were run.
func (v *view) agreement() *grid {
	pairs := v.r.Agreement
	if len(pairs) == 0 {
		return nil
	}
	g := &grid{Title: "Agreement of the reference broker with Apache RocketMQ, by verdict and by whether anything was lost", Stub: 2,
		Columns: []column{{Head: contractHead}, {Head: "flushDiskType"}}}
	several := slices.ContainsFunc(pairs, func(p result.Pair) bool { return p.Systems != pairs[0].Systems })
	if several {
		g.Stub, g.Columns = 3, append([]column{{Head: "system"}}, g.Columns...)
	}
	var columns []faultColumn
	for _, f := range v.faults {
		if slices.ContainsFunc(pairs, func(p result.Pair) bool { return p.Column == f.name }) {
			columns = append(columns, f)
			g.Columns = append(g.Columns, column{Head: f.head()})
		}
	}
	type key struct {
		systems  [2]string
		contract result.Contract
	}
	var keys []key
	at := map[key]map[string]result.Pair{}
	for _, p := range pairs {
		k := key{p.Systems, p.Contract}
		if at[k] == nil {
			at[k] = map[string]result.Pair{}
			keys = append(keys, k)
		}
		at[k][p.Column] = p
	}
	slices.SortStableFunc(keys, func(a, b key) int {
		return v.compareRows(matrixRow{a.systems[1], a.contract}, matrixRow{b.systems[1], b.contract})
	})
	for _, k := range keys {
		entries := []entry{{Text: k.contract.Role()}, {Text: flushLabel(k.contract)}}
		if several {
			entries = append([]entry{{Text: k.systems[1]}}, entries...)
		}
		for _, f := range columns {
			entries = append(entries, accord(at[k][f.name]))
		}
		g.row(entries...)
	}
	n := map[result.Accord]int{}
	for _, p := range pairs {
		n[p.Agree]++
	}
	g.Note = fmt.Sprintf("%d of %s agree, %d differ, %d are open.", n[result.Agree], plural(len(pairs), "pair"), n[result.Differ], n[result.Open])
	return g
}

// accord is one pair in a few words: the reference's verdict first.
func accord(p result.Pair) entry {
	switch p.Agree {
	case result.Agree:
		return entry{"agree: " + verdictWord(p.Verdicts[0]), good}
	case result.Differ:
		return entry{"DIFFER: " + verdictWord(p.Verdicts[0]) + " / " + verdictWord(p.Verdicts[1]), bad}
	case result.Open:
		return entry{"open", doubtful}
	}
	return entry{"-", muted}
}

// verdictWord is a verdict as the matrix at a glance says it.
func verdictWord(v result.Verdict) string {
	if v == result.LossWithinContract {
		return "lost"
	}
	return string(v)
}

// disagreements tells each pair that differs, in a line with the commands that repeat both.
func (v *view) disagreements() []string {
	var told []string
	for _, p := range v.r.Agreement {
		if p.Agree != result.Differ {
			continue
		}
		title := p.Column
		if i := slices.IndexFunc(v.faults, func(f faultColumn) bool { return f.name == p.Column }); i >= 0 {
			title = v.faults[i].title()
		}
		line := fmt.Sprintf("the reference and %s differ: %s, %s: %s", p.Systems[1], p.Contract, title, strings.Join(p.Differences, "; "))
		for _, id := range p.Cells {
			if c := v.r.Cell(id); c != nil && c.Repeat != "" {
				line += "; repeat: " + c.Repeat
			}
		}
		told = append(told, line)
	}
	return told
}

// comparisons says in a sentence for each system of another name how the reference's speed and memory compare with it, under the
// contract of the common advice.
func (v *view) comparisons() []string {
	var said []string
	for _, ref := range v.r.Compared() {
		if ref.Name != "reference" || !v.several {
			continue
		}
		row, ok := v.advice(ref.String())
		if !ok {
			row, ok = v.find(ref.String(), "ASYNC_MASTER", "ASYNC_FLUSH", 0)
		}
		if !ok {
			continue
		}
		for _, other := range v.r.Compared() {
			if other.Name == ref.Name {
				continue
			}
			if s := v.comparison(row, matrixRow{other.String(), row.Contract}); s != "" {
				said = append(said, s)
			}
		}
	}
	return said
}

// comparison holds two systems against each other under one contract; empty where one was not measured.
func (v *view) comparison(a, b matrixRow) string {
	x, y := v.cell(a, result.NoFault), v.cell(b, result.NoFault)
	if x == nil || y == nil || x.Throughput == nil || y.Throughput == nil || y.Throughput.Acked == 0 {
		return ""
	}
	parts := []string{fmt.Sprintf("%s against %s msg/s at saturation (%.1fx)", rate(x.Throughput.Acked), rate(y.Throughput.Acked), x.Throughput.Acked/y.Throughput.Acked)}
	if p, q := p99(x), p99(y); p > 0 && q > 0 && x.Latency.Rate == y.Latency.Rate {
		parts = append(parts, fmt.Sprintf("a p99 of %s against %s at %s msg/s", span(p), span(q), rate(x.Latency.Rate)))
	}
	if m, n := mostAnonymous(x), mostAnonymous(y); m > 0 && n > 0 {
		parts = append(parts, fmt.Sprintf("%s against %s of anonymous memory in the larger broker", mebibytes(m), mebibytes(n)))
	}
	text := fmt.Sprintf("Under %s, %s against %s: %s", contractTitle(a.Contract), a.system, b.system, list(parts))
	if x.Verdict == result.Inconclusive || y.Verdict == result.Inconclusive {
		text += "; but these figures are inconclusive"
	}
	return text + "."
}

// p99 of a cell in ms, 0 when it was not measured.
func p99(c *result.Cell) float64 {
	if c.Latency == nil || c.Latency.P99 == nil {
		return 0
	}
	return *c.Latency.P99
}
