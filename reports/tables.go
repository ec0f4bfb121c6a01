package reports

import (
	"fmt"
	"slices"
	"strings"

	"holdfast/reports/result"
)

// contractHead heads the first of the two columns that name a contract.
const contractHead = "brokerRole"

// stub is the columns that name a row: the contract, and before it the system where there are several.
func (v *view) stub() []column {
	columns := []column{{Head: contractHead}, {Head: "flushDiskType"}}
	if v.several {
		columns = append([]column{{Head: "system"}}, columns...)
	}
	return columns
}

// stubWidth is the number of columns of the stub.
func (v *view) stubWidth() int { return len(v.stub()) }

// stubEntries name a row.
func (v *view) stubEntries(row matrixRow) []entry {
	entries := []entry{{Text: row.Name}, {}}
	if row.BrokerRole != "" {
		entries = []entry{{Text: row.Role()}, {Text: flushLabel(row.Contract)}}
	}
	if v.several {
		entries = append([]entry{{Text: row.system}}, entries...)
	}
	return entries
}

// stubNote explains SYNC_MASTER/2 when a row bears it.
func (v *view) stubNote() string {
	for _, c := range v.rows {
		if c.BrokerRole == "SYNC_MASTER" {
			return "SYNC_MASTER/n: inSyncReplicas=n; 1 is the default of RocketMQ 5."
		}
	}
	return ""
}

// overview is the whole matrix at a glance: a row a contract, a column a fault. running gives the text of unfinished cells by id.
func (v *view) overview(running map[string]string) *grid {
	g := &grid{Stub: v.stubWidth(), Columns: v.stub(), Note: v.stubNote()}
	if v.hasPerf {
		head := "p99 ms"
		if rps, common := v.commonRate(); rps > 0 && common {
			head += "\nat " + rate(rps) + "/s"
		}
		g.Columns = append(g.Columns, column{Head: "msg/s\nsaturated", Right: true}, column{Head: head, Right: true})
	}
	for _, f := range v.faults {
		g.Columns = append(g.Columns, column{Head: f.head()})
	}
	if len(v.faults) > 0 {
		g.Note += " k/K: k of K trials lost acknowledged messages; lost N: so many in all."
		g.Note = strings.TrimSpace(g.Note)
	}
	for _, row := range v.rows {
		entries := v.stubEntries(row)
		if v.hasPerf {
			entries = append(entries, v.glanceSpeed(row, running)...)
		}
		for _, f := range v.faults {
			entries = append(entries, v.glanceFault(place{row, f.name}, running))
		}
		g.row(entries...)
	}
	return g
}

// unfinished is the text of a place without a cell.
func (v *view) unfinished(at place, running map[string]string) entry {
	id, planned := v.planned[at]
	if text, ok := running[id]; planned && ok {
		return entry{text, muted}
	}
	if planned {
		return entry{"..", muted}
	}
	return entry{"-", muted}
}

func (v *view) glanceSpeed(row matrixRow, running map[string]string) []entry {
	at := place{row, result.NoFault}
	c := v.cells[at]
	if c == nil {
		e := v.unfinished(at, running)
		return []entry{e, {"", muted}}
	}
	speed, p99 := entry{"-", muted}, entry{"-", muted}
	if c.Throughput != nil {
		speed = entry{rate(c.Throughput.Acked) + doubt(c), plain}
	}
	if c.Latency != nil && c.Latency.P99 != nil {
		p99 = entry{millis(*c.Latency.P99) + doubt(c), plain}
	}
	return []entry{speed, p99}
}

// doubt marks the figures of an inconclusive cell.
func doubt(c *result.Cell) string {
	if c.Verdict == result.Inconclusive {
		return "?"
	}
	return ""
}

func (v *view) glanceFault(at place, running map[string]string) entry {
	c := v.cells[at]
	if c == nil {
		return v.unfinished(at, running)
	}
	if len(c.Unmet()) > 0 {
		return entry{glance(c) + "\nnot as expected", bad}
	}
	return entry{glance(c), toneOf(c.Verdict)}
}

// glance is a fault cell in a few characters: "lost 1,002 3/3".
func glance(c *result.Cell) string {
	cuts := ""
	if c.RPO != nil {
		cuts = fmt.Sprintf(" %d/%d", c.RPO.LossyCuts, c.RPO.Cuts)
	}
	switch c.Verdict {
	case result.Violated:
		return "VIOLATED" + cuts
	case result.Inconclusive:
		return "inconclusive"
	case result.LossWithinContract:
		return "lost " + count(result.Sum(c.Lost)) + cuts
	}
	return "kept" + cuts
}

func toneOf(v result.Verdict) tone {
	switch v {
	case result.Kept:
		return good
	case result.LossWithinContract:
		return warn
	case result.Inconclusive:
		return doubtful
	case result.Violated:
		return bad
	}
	return plain
}

// performance is the table of throughput and latency; nil without any such cell.
func (v *view) performance() *grid {
	if !v.hasPerf {
		return nil
	}
	title, head := "Throughput at saturation"+v.load()+", latency", "latency, ms\n"
	if rps, common := v.commonRate(); rps > 0 && common {
		title += " at " + rate(rps) + " msg/s offered to every row"
		head = "ms\n"
	}
	g := &grid{Title: title + "; no faults", Stub: v.stubWidth(), Columns: append(v.stub(),
		column{Head: "msg/s\nmedian", Right: true}, column{Head: "msg/s\nmin - max", Right: true},
		column{Head: head + "p50", Right: true}, column{Head: head + "p99", Right: true}, column{Head: "ms\np99.9", Right: true},
		column{Head: "ms\nmax", Right: true}, column{Head: "p99 of passes\nmin - max", Right: true}),
		Note: "Latency from the intended start, failures included; a percentile needs 100 samples above it. ?: inconclusive, see below."}
	for _, row := range v.rows {
		g.row(append(v.stubEntries(row), v.speeds(row)...)...)
	}
	return g
}

// load says what the generator did, as far as all rows share it.
func (v *view) load() string {
	for _, row := range v.rows {
		if c := v.cell(row, result.NoFault); c != nil && c.Load.Size > 0 {
			return fmt.Sprintf(" (%d x %d outstanding, %s B)", c.Load.Producers, c.Load.Outstanding, count(int64(c.Load.Size)))
		}
	}
	return ""
}

// speeds are the figures of one row of the performance table.
func (v *view) speeds(row matrixRow) []entry {
	none := entry{"-", muted}
	entries := []entry{none, none, none, none, none, none, none}
	c := v.cell(row, result.NoFault)
	if c == nil {
		return entries
	}
	if t := c.Throughput; t != nil {
		entries[0] = entry{rate(t.Acked) + doubt(c), plain}
		if len(t.Passes) > 1 {
			entries[1] = entry{rate(t.Min) + " - " + rate(t.Max), plain}
		}
	}
	if l := c.Latency; l != nil {
		for i, p := range []*float64{l.P50, l.P99, l.P999, l.Max} {
			if p != nil {
				entries[2+i] = entry{millis(*p) + doubt(c), plain}
			}
		}
		if l.P99Max > 0 {
			entries[6] = entry{millis(l.P99Min) + " - " + millis(l.P99Max), plain}
		}
	}
	return entries
}

// claims is the table of one claim: contracts down, recoveries across; nil without any.
func (v *view) claims(claim string) *grid {
	var recoveries []string
	stand := map[place]*result.Claim{}
	for i := range v.r.Claims {
		c := &v.r.Claims[i]
		if c.Claim != claim {
			continue
		}
		if !slices.Contains(recoveries, c.Recovery) {
			recoveries = append(recoveries, c.Recovery)
		}
		stand[place{matrixRow{c.System, c.Contract}, c.Recovery}] = c
	}
	if len(recoveries) == 0 {
		return nil
	}
	slices.SortStableFunc(recoveries, compareRecoveries)
	g := &grid{Title: fmt.Sprintf("Claim: %q", claim), Stub: v.stubWidth(), Columns: v.stub()}
	for _, recovery := range recoveries {
		g.Columns = append(g.Columns, column{Head: recoveryTitle(recovery)})
	}
	for _, row := range v.faultRows() {
		entries := v.stubEntries(row)
		for _, recovery := range recoveries {
			entries = append(entries, standing(stand[place{row, recovery}]))
		}
		g.row(entries...)
	}
	return g
}

// standing is a claim's standing with its evidence in a few words.
func standing(c *result.Claim) entry {
	switch {
	case c == nil:
		return entry{"-", muted}
	case c.Standing == result.Holds:
		text := fmt.Sprintf("holds in %s (bound %s)", plural(c.Cuts, "cut"), percent(c.Upper95))
		for _, e := range c.Evidence {
			if e.Verdict == result.Violated { // nothing lost, but something else that was promised is not so
				return entry{text + "\nbut violated: " + evidenceWord(e), doubtful}
			}
		}
		return entry{text, good}
	case c.Standing == result.Refuted:
		var lost []string
		for _, e := range c.Evidence {
			if e.LossyCuts > 0 {
				lost = append(lost, fmt.Sprintf("refuted: %s lost by %s, %d/%d", count(e.Lost), evidenceWord(e), e.LossyCuts, e.Cuts))
			}
		}
		return entry{strings.Join(lost, "\n"), bad}
	}
	return entry{"inconclusive", doubtful}
}

// evidenceWord is what a piece of evidence calls its fault.
func evidenceWord(e result.Evidence) string {
	name := e.Column
	if name == "" {
		name = result.Column(e.Fault, e.Target, "")
	}
	return faultColumn{name, e.Fault, e.Target, ""}.words().short
}
