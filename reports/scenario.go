package reports

import (
	"fmt"
	"path/filepath"
	"strings"

	"holdfast/reports/result"
)

// Scenario returns the report of a scenario under one or a few contracts as text of at most width columns: what it does, then for each
// contract the verdict, what was measured, what was expected, and the command that repeats it. Commands and paths are never broken. dir
// is where the files are; "" when nothing was saved.
func Scenario(r *result.Result, dir string, width int, color bool) string {
	var b strings.Builder
	for _, line := range header(r) {
		b.WriteString(wrap(line, width, "  "))
	}
	return b.String() + scenarioBody(r, dir, width, palette{color})
}

// scenarioBody is the report without the header.
func scenarioBody(r *result.Result, dir string, width int, paint palette) string {
	v := newView(r, nil)
	var b strings.Builder
	for _, f := range v.faults {
		var cells []*result.Cell
		for _, row := range v.rows {
			if c := v.cell(row, f.name); c != nil {
				cells = append(cells, c)
			}
		}
		b.WriteString("\n" + paint.strong("Scenario "+f.name) + "\n")
		b.WriteString(outline(cells, width, paint))
		for _, c := range cells {
			b.WriteString("\n" + scenarioCell(c, dir, width, paint))
		}
	}
	b.WriteString(v.harness(width, paint))
	b.WriteString("\n" + verdictLine(r, paint) + paths(dir))
	return b.String()
}

// outline is what the cells of a scenario have in common: what it shows, and its schedule.
func outline(cells []*result.Cell, width int, paint palette) string {
	var b strings.Builder
	for _, c := range cells {
		if c.Shows != "" {
			b.WriteString(wrap(c.Shows, width, ""))
			break
		}
	}
	for _, c := range cells {
		if g := scheduleTable(c.Schedule); g != nil {
			b.WriteString("\n" + g.text(width, paint))
			break
		}
	}
	return b.String()
}

// scenarioCell is one contract under a scenario.
func scenarioCell(c *result.Cell, dir string, width int, paint palette) string {
	var b strings.Builder
	b.WriteString(paint.strong(rowOf(c).String()+": ") + paint.tone(toneOf(c.Verdict), string(c.Verdict)))
	if unmet := len(c.Unmet()); unmet > 0 {
		b.WriteString(", " + paint.tone(bad, plural(unmet, "expectation")+" failed"))
	}
	b.WriteString("\n")
	for _, reason := range c.Reasons {
		line, _, _ := strings.Cut(reason, "\n")
		b.WriteString("  " + wrap(line, width-2, "    "))
	}
	worst, number := worstTrial(c)
	for _, g := range []*grid{effectTable(worst, effectTitle(c, number)), phaseTable(worst), deliveryTable(worst, c.Expect), storeTable(worst), expectTable(c.Expect)} {
		if g != nil {
			b.WriteString(indented(g.text(width-2, paint)))
		}
	}
	b.WriteString(findingLines(c, dir, width))
	for _, f := range cellFacts(c) {
		if f.Name != "history" {
			b.WriteString("  " + wrap(fmt.Sprintf("%s: %s", f.Name, f.Value), width-2, "    "))
		}
	}
	if c.History != "" {
		b.WriteString("  history: " + filepath.Join(dir, c.History) + "\n")
	}
	if c.Repeat != "" {
		b.WriteString("  repeat: " + paint.dim(c.Repeat) + "\n")
	}
	return b.String()
}

// findingLines tells the first findings, and where the others are.
func findingLines(c *result.Cell, dir string, width int) string {
	var b strings.Builder
	for i, f := range c.Findings {
		if i == findingsShown {
			b.WriteString("  " + plural(len(c.Findings)-i, "more finding") + ": holdfast check " + filepath.Join(dir, checkable(c)) + "\n")
			break
		}
		b.WriteString("  " + wrap(findingText(f), width-2, "    "))
	}
	return b.String()
}

// checkable is the path of the history that says most: that of the worst trial, where there are several.
func checkable(c *result.Cell) string {
	if t, _ := worstTrial(c); t != nil && t.History != "" {
		return t.History
	}
	return c.History
}

// verdictLine sums up: the worst verdict, and how many contracts are not as expected.
func verdictLine(r *result.Result, paint palette) string {
	failed, expected := 0, 0
	for i := range r.Cells {
		if len(r.Cells[i].Expect) > 0 {
			expected++
		}
		if len(r.Cells[i].Unmet()) > 0 {
			failed++
		}
	}
	line := paint.strong("verdict") + " " + paint.tone(toneOf(r.Verdict), string(r.Verdict))
	switch {
	case failed > 0:
		line += paint.tone(bad, fmt.Sprintf("; expectations failed in %d of %s", failed, plural(expected, "contract")))
	case expected > 0:
		line += "; all expectations met"
	}
	return line + "\n"
}

// indented moves text two columns to the right.
func indented(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString("  " + line)
	}
	return b.String()
}
