package reports

import (
	"fmt"
	"slices"
	"strings"

	"holdfast/reports/result"
)

// answer is what a matrix says in the end, in words. Each part is empty when nothing measured supports it.
type answer struct {
	Sentences []string // what the common advice lost, what it kept, what it costs
	Control   string   // whether the harness was seen to lose anything
	Failed    bool     // the control lost nothing although it must: nothing that says "kept" can be believed
	Traps     []string // what inSyncReplicas=1 lost that 2 keeps
	Open      []string // cells that prove nothing or break a promise, each with its reasons
}

// answer computes the sentences from the result alone.
func (v *view) answer() answer {
	a := answer{Open: v.open()}
	a.Control, a.Failed = v.control()
	for _, system := range v.systems() {
		row, ok := v.advice(system)
		if !ok {
			a.Sentences = append(a.Sentences, v.everyRow(system)...)
			continue
		}
		if trap := v.trap(row); trap != "" {
			a.Traps = append(a.Traps, trap)
		}
		a.Sentences = append(a.Sentences, v.tell(row, v.lossSentence, v.keptSentence, v.costSentence)...)
	}
	a.Sentences = append(a.Sentences, v.comparisons()...)
	return a
}

// tell has each sentence about a row that there is, the first with the row's name and the others with "It".
func (v *view) tell(row matrixRow, sentences ...func(matrixRow, string) string) []string {
	var said []string
	subject := rowTitle(row)
	for _, sentence := range sentences {
		if s := sentence(row, subject); s != "" {
			said = append(said, s)
			subject = "It"
		}
	}
	return said
}

// systems are those that an answer speaks of: what was measured for its speed alone is none.
func (v *view) systems() []string {
	if !v.several {
		return []string{""}
	}
	var all []string
	for _, s := range v.r.Compared() {
		if !s.Tuned {
			all = append(all, s.String())
		}
	}
	return all
}

// rowTitle names a row in the words of a sentence.
func rowTitle(row matrixRow) string {
	if row.system == "" {
		return contractTitle(row.Contract)
	}
	return row.system + ": " + contractTitle(row.Contract)
}

// advice returns the row that the common advice recommends: SYNC_MASTER with ASYNC_FLUSH, waiting for two copies if that was run.
func (v *view) advice(system string) (matrixRow, bool) {
	if row, ok := v.find(system, "SYNC_MASTER", "ASYNC_FLUSH", 2); ok {
		return row, true
	}
	return v.find(system, "SYNC_MASTER", "ASYNC_FLUSH", 0)
}

// lossSentence says in which failures a row lost messages, and how many; and which failures prove nothing.
func (v *view) lossSentence(row matrixRow, subject string) string {
	var lost, doubts []string
	for _, f := range v.faults {
		c := v.cell(row, f.name)
		switch {
		case c == nil:
		case c.RPO != nil && c.RPO.LossyCuts > 0:
			lost = append(lost, lossPhrase(f, c))
		case c.Verdict == result.Inconclusive:
			doubts = append(doubts, f.title())
		}
	}
	switch {
	case len(lost) == 0 && len(doubts) == 0:
		return ""
	case len(lost) == 0:
		return "What " + subject + " loses is not known in full; inconclusive: " + strings.Join(doubts, "; ") + "."
	case len(doubts) > 0:
		return subject + " lost acknowledged messages " + list(lost) + "; inconclusive: " + strings.Join(doubts, "; ") + "."
	}
	return subject + " lost acknowledged messages " + list(lost) + "."
}

// lossPhrase is one failure with its figures: "when the master lost power and returned (1,002 of 34,150, up to the last 261 ms, in
// 3 of 3 cuts)".
func lossPhrase(f faultColumn, c *result.Cell) string {
	phrase := fmt.Sprintf("%s (%s of %s", f.clause(), count(result.Sum(c.Lost)), count(result.Sum(c.Acked)))
	if c.LossWindow != nil {
		phrase += ", up to the last " + span(c.LossWindow.MS)
	}
	phrase += fmt.Sprintf(", in %d of %s", c.RPO.LossyCuts, plural(c.RPO.Cuts, trial(f.fault)))
	if c.Verdict == result.Violated {
		phrase += "; the verdict is violated"
	}
	return phrase + ")"
}

// keptShown is the number of failures up to which each is told with its own figures.
const keptShown = 4

// keptSentence says in which failures a row lost nothing, with the bounds. Many failures share the figures of the weakest.
func (v *view) keptSentence(row matrixRow, subject string) string {
	var kept, clauses []string
	var least, bound = 0, 0.0
	for _, f := range v.faults {
		c := v.cell(row, f.name)
		if c == nil || c.Verdict == result.Inconclusive || c.RPO == nil || c.RPO.LossyCuts > 0 || result.Sum(c.Acked) == 0 {
			continue
		}
		clauses = append(clauses, f.clause())
		kept = append(kept, fmt.Sprintf("%s (0 of %s in %s; at 95%% confidence at most %s of them lose anything)",
			f.clause(), count(result.Sum(c.Acked)), plural(c.RPO.Cuts, trial(f.fault)), percent(c.RPO.Upper95)))
		if least == 0 || c.RPO.Cuts < least {
			least = c.RPO.Cuts
		}
		bound = max(bound, c.RPO.Upper95)
	}
	switch {
	case len(kept) == 0:
		return ""
	case len(kept) > keptShown:
		return fmt.Sprintf("%s lost nothing %s (0 in at least %s each; at 95%% confidence at most %s of them lose anything).",
			subject, list(clauses), plural(least, "trial"), percent(bound))
	}
	return subject + " lost nothing " + list(kept) + "."
}

// costSentence compares the row's speed with ASYNC_MASTER of the same flush type, in absolute figures: one run has no percentages.
func (v *view) costSentence(row matrixRow, subject string) string {
	base, ok := v.find(row.system, "ASYNC_MASTER", row.FlushDiskType, 0)
	if !ok {
		return ""
	}
	a, b := v.cell(row, result.NoFault), v.cell(base, result.NoFault)
	if a == nil || b == nil {
		return ""
	}
	var parts []string
	if a.Throughput != nil && b.Throughput != nil {
		part := fmt.Sprintf("%s against %s msg/s at saturation", speed(a.Throughput), speed(b.Throughput))
		if overlap(a.Throughput, b.Throughput) {
			part += " (the passes overlap: no difference shown)"
		}
		parts = append(parts, part)
	}
	if a.Latency != nil && b.Latency != nil && a.Latency.P99 != nil && b.Latency.P99 != nil && a.Latency.Rate == b.Latency.Rate {
		part := fmt.Sprintf("a p99 of %s against %s at %s msg/s", span(*a.Latency.P99), span(*b.Latency.P99), rate(a.Latency.Rate))
		if a.Latency.P99Max > 0 && a.Latency.P99Min <= b.Latency.P99Max && b.Latency.P99Min <= a.Latency.P99Max {
			part += " (the passes overlap: no difference shown)"
		}
		parts = append(parts, part)
	}
	if len(parts) == 0 {
		return ""
	}
	s := fmt.Sprintf("%s costs, against %s: %s", subject, contractTitle(base.Contract), strings.Join(parts, ", and "))
	if a.Verdict == result.Inconclusive || b.Verdict == result.Inconclusive {
		s += "; but these figures are inconclusive"
	}
	return s + "."
}

// speed is a throughput with the range of its passes.
func speed(t *result.Throughput) string {
	if len(t.Passes) < 2 {
		return rate(t.Acked)
	}
	return fmt.Sprintf("%s (%s-%s)", rate(t.Acked), rate(t.Min), rate(t.Max))
}

// overlap says whether the ranges of the passes have a point in common.
func overlap(a, b *result.Throughput) bool {
	return len(a.Passes) > 1 && len(b.Passes) > 1 && a.Min <= b.Max && b.Min <= a.Max
}

// trap says what the default of RocketMQ 5 lost in failures in which waiting for two copies lost nothing.
func (v *view) trap(advice matrixRow) string {
	one, ok := v.find(advice.system, "SYNC_MASTER", advice.FlushDiskType, 1)
	if !ok || max(advice.InSyncReplicas, 1) == 1 {
		return ""
	}
	var lost []string
	for _, f := range v.faults {
		a, b := v.cell(advice, f.name), v.cell(one, f.name)
		if a == nil || b == nil || a.Verdict == result.Inconclusive || a.RPO == nil || b.RPO == nil {
			continue
		}
		if a.RPO.LossyCuts == 0 && b.RPO.LossyCuts > 0 {
			lost = append(lost, lossPhrase(f, b))
		}
	}
	if len(lost) == 0 {
		return ""
	}
	trap := "The trap"
	if advice.system != "" {
		trap += " of " + advice.system
	}
	return trap + fmt.Sprintf(": with inSyncReplicas=1, the default of RocketMQ 5, SYNC_MASTER with %s lost acknowledged messages %s, where inSyncReplicas=2 lost none.",
		advice.FlushDiskType, list(lost))
}

// control judges the cells that must lose something. Without them nothing shows that a loss would have been seen.
func (v *view) control() (sentence string, failed bool) {
	var controls []*result.Cell
	for _, c := range v.ordered() {
		if c.Control {
			controls = append(controls, c)
		}
	}
	if len(controls) == 0 {
		if len(v.faults) == 0 {
			return "", false
		}
		return "No control was run (ASYNC_MASTER with ASYNC_FLUSH, power loss of the master, it returns): nothing shows that a loss would have been seen.", false
	}
	var good, silent, unproven []string
	for _, c := range controls {
		f := columnOf(c)
		switch {
		case failedControl(c):
			silent = append(silent, rowTitle(rowOf(c))+" "+f.clause())
		case c.RPO == nil:
			unproven = append(unproven, rowTitle(rowOf(c))+" "+f.clause()+": "+brief(c))
		default:
			good = append(good, rowTitle(rowOf(c))+" "+lossPhrase(f, c))
		}
	}
	switch {
	case len(silent) > 0:
		return fmt.Sprintf("THE CONTROL FAILED: nothing was lost by %s, although something must be. The faults did not bite: do not believe any %q in these tables.",
			list(silent), result.Kept), true
	case len(good) == 0:
		return fmt.Sprintf("The control is inconclusive, so nothing shows that a loss would have been seen (%s).", list(unproven)), false
	}
	return "The control lost messages, as it must: " + list(good) + ".", false
}

// failedControl says whether a cell that must lose something had its faults' effect and lost nothing.
func failedControl(c *result.Cell) bool { return c.Control && c.RPO != nil && c.RPO.LossyCuts == 0 }

// everyRow is the answer when the row of the common advice was not run: what each row of a system lost.
func (v *view) everyRow(system string) []string {
	var sentences []string
	for _, row := range v.rows {
		if row.system == system {
			sentences = append(sentences, v.tell(row, v.lossSentence, v.keptSentence)...)
		}
	}
	return sentences
}

// open lists cells that are not as expected, violated or inconclusive, each with its reasons; cells with the same reasons share a line.
func (v *view) open() []string {
	var lines []string
	for _, c := range v.ordered() {
		for _, e := range c.Unmet() {
			lines = append(lines, fmt.Sprintf("expectation failed: %s, %s: %s", rowOf(c), cellTitle(c), expectationText(e)))
		}
	}
	lines = append(lines, v.disagreements()...)
	for _, verdict := range []result.Verdict{result.Violated, result.Inconclusive} {
		var order []string
		byReason := map[string][]*result.Cell{}
		for _, c := range v.ordered() {
			if c.Verdict != verdict {
				continue
			}
			why := brief(c)
			if len(byReason[why]) == 0 {
				order = append(order, why)
			}
			byReason[why] = append(byReason[why], c)
		}
		for _, why := range order {
			lines = append(lines, fmt.Sprintf("%s: %s: %s", verdict, cellsTitle(byReason[why]), why))
		}
	}
	return lines
}

// cellsTitle names cells in words: one in full, several by their number and columns.
func cellsTitle(cells []*result.Cell) string {
	if len(cells) == 1 {
		return rowOf(cells[0]).String() + ", " + cellTitle(cells[0])
	}
	var columns []string
	for _, c := range cells {
		if !slices.Contains(columns, c.Column()) {
			columns = append(columns, c.Column())
		}
	}
	return fmt.Sprintf("%s of %s", plural(len(cells), "cell"), list(columns))
}

// cellTitle is the fault of a cell in words.
func cellTitle(c *result.Cell) string {
	if c.IsPerformance() {
		return "throughput and latency"
	}
	return columnOf(c).title()
}

// expectationText is an expectation with what came out: "lost SEND_OK: want at most 1,200, got 1,304".
func expectationText(e result.Expectation) string {
	return fmt.Sprintf("%s: want %s, got %s", e.What, e.Want, e.Got)
}

// reasons are why a cell has its verdict; a violated cell without reasons is explained by its findings.
func reasons(c *result.Cell) []string {
	if len(c.Reasons) > 0 {
		return c.Reasons
	}
	for _, f := range c.Findings {
		return []string{findingText(f)}
	}
	return []string{"no reason recorded"}
}

// briefRunes bounds what brief says of a reason: it may quote the log of a node.
const briefRunes = 220

// brief is the first line of the first reason, and how many more reasons the page gives.
func brief(c *result.Cell) string {
	all := reasons(c)
	text, _, _ := strings.Cut(all[0], "\n")
	if runes := []rune(text); len(runes) > briefRunes {
		text = string(runes[:briefRunes]) + "…"
	}
	text = strings.TrimRight(text, ":; ")
	if len(all) > 1 {
		text += fmt.Sprintf(" (and %s)", plural(len(all)-1, "more reason"))
	}
	return text
}
