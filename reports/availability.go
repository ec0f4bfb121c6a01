package reports

import (
	"fmt"
	"slices"

	"holdfast/reports/result"
)

// asksAvailability says whether a cell has a node away for a while: then it matters who takes the sends meanwhile.
func asksAvailability(c *result.Cell) bool {
	if c == nil || len(c.Schedule) == 0 || c.Schedule[0].ForMS == 0 || c.Recovery == "" {
		return false
	}
	return slices.ContainsFunc(c.Trials, func(t result.Trial) bool { return t.Availability != nil })
}

// availabilityTable is what senders saw while a node was away, contracts down, faults across; nil where no fault has one away.
func (v *view) availabilityTable() *grid {
	g := &grid{Title: "Availability: longest time without a send that succeeded; messages not sent / unknown / lost", Stub: v.stubWidth(), Columns: v.stub(),
		Note: "The longest over the trials of a cell; messages are of all of them. Not sent: every try certainly failed. Unknown: no try was acknowledged, and one may be stored."}
	var asked []faultColumn
	for _, f := range v.faults {
		if slices.ContainsFunc(v.faultRows(), func(row matrixRow) bool { return asksAvailability(v.cell(row, f.name)) }) {
			asked = append(asked, f)
			g.Columns = append(g.Columns, column{Head: f.head()})
		}
	}
	if asked == nil {
		return nil
	}
	for _, row := range v.faultRows() {
		entries, any := v.stubEntries(row), false
		for _, f := range asked {
			c := v.cell(row, f.name)
			any = any || asksAvailability(c)
			entries = append(entries, availabilityEntry(c))
		}
		if any {
			g.row(entries...)
		}
	}
	return g
}

func availabilityEntry(c *result.Cell) entry {
	if !asksAvailability(c) {
		return entry{"-", muted}
	}
	var all result.Availability
	lost, proven := int64(0), false
	for _, t := range c.Trials {
		if t.Availability == nil || t.Verdict == result.Inconclusive {
			continue
		}
		proven = true
		all.GapMS = max(all.GapMS, t.Availability.GapMS)
		all.Failed += t.Availability.Failed
		all.Unknown += t.Availability.Unknown
		lost += result.Sum(t.Lost)
	}
	if !proven {
		return entry{"none", doubtful}
	}
	return entry{fmt.Sprintf("%s; %s / %s / %s", span(all.GapMS), count(all.Failed), count(all.Unknown), count(lost)), plain}
}
