package reports

import (
	"fmt"
	"slices"
	"strings"

	"holdfast/reports/result"
)

// lossTables are the tables of one column: what it lost, and where power was cut how that compares with the prediction.
type lossTables struct {
	column faultColumn
	fault  *grid
	rpo    *grid // nil where no power was cut, or nothing was lost
}

// losses lists the tables of all columns. inline is that of faultTable.
func (v *view) losses(inline bool) []lossTables {
	var all []lossTables
	said := ""
	for i, f := range v.faults {
		t := lossTables{f, v.faultTable(f, inline), v.rpoTable(f)}
		if i == 0 {
			t.fault.Note = strings.TrimSpace(t.fault.Note + " " + faultNote)
			if !v.askedRTO() {
				t.fault.Note += " RTO was not asked: no trial ran alone on the machine."
			}
		}
		if t.rpo != nil {
			if t.rpo.Note == said {
				t.rpo.Note = "" // once is enough
			} else {
				said = t.rpo.Note
			}
		}
		all = append(all, t)
	}
	return all
}

// faultGrids lists the tables of all faults, and those of the RTO and of the availability below them.
func (v *view) faultGrids(inline bool) []*grid {
	var grids []*grid
	for _, t := range v.losses(inline) {
		grids = append(grids, t.fault)
		if t.rpo != nil {
			grids = append(grids, t.rpo)
		}
	}
	for _, g := range []*grid{v.rtoTable(), v.availabilityTable()} {
		if g != nil {
			grids = append(grids, g)
		}
	}
	return grids
}

// faultNote explains the tables of faults; it stands below the first of them.
const faultNote = "acked, lost: of SEND_OK; other statuses on lines of their own. Lost window: from the first lost acknowledgement to the fault, the longest. " +
	"Bound: at 95% confidence at most this share of such trials loses anything."

// faultTable is the table of one fault. inline puts the other statuses beside their figures instead of below the contract: for
// media that do not keep lines of different columns level.
func (v *view) faultTable(f faultColumn, inline bool) *grid {
	g := &grid{Title: v.faultTableTitle(f), Stub: v.stubWidth(), Columns: append(v.stub(),
		column{Head: "acked", Right: true}, column{Head: "lost", Right: true}, column{Head: "lost\nwindow", Right: true},
		column{Head: "lossy " + trial(f.fault) + "s\n(95% bound)"}, column{Head: "lineariz-\nable"},
		column{Head: "verdict"})}
	for _, row := range v.faultRows() {
		c := v.cell(row, f.name)
		if c != nil && g.Note == "" && knownColumn(f.name) == len(columns) {
			g.Note = c.Shows // the title says it of the columns of the matrix
		}
		if c == nil {
			none := entry{"-", muted}
			g.row(append(v.stubEntries(row), none, none, none, none, none, v.unfinished(place{row, f.name}, nil))...)
			continue
		}
		g.row(v.faultEntries(c, inline)...)
	}
	return g
}

func (v *view) faultTableTitle(f faultColumn) string {
	title := f.headline()
	lo, hi := 0.0, 0.0
	for _, row := range v.rows {
		if c := v.cell(row, f.name); c != nil && c.Load.Offered > 0 {
			hi = max(hi, c.Load.Offered)
			if lo == 0 || c.Load.Offered < lo {
				lo = c.Load.Offered
			}
		}
	}
	switch {
	case hi == 0:
		return title
	case lo < hi:
		return title + ", at " + rate(lo) + " (Apache RocketMQ) and " + rate(hi) + " msg/s"
	}
	return title + ", at " + rate(hi) + " msg/s"
}

// faultRows are the rows under faults: a system that was measured for its speed alone has none.
func (v *view) faultRows() []matrixRow {
	return slices.DeleteFunc(slices.Clone(v.rows), func(row matrixRow) bool {
		if !v.several {
			return false
		}
		return !slices.ContainsFunc(v.faults, func(f faultColumn) bool {
			_, planned := v.planned[place{row, f.name}]
			return planned || v.cell(row, f.name) != nil
		})
	})
}

// faultEntries is one row of a fault's table. SEND_OK (or the only status) stands on the line of the contract; every other status
// has a line of its own below it.
func (v *view) faultEntries(c *result.Cell, inline bool) []entry {
	entries := v.stubEntries(rowOf(c))
	first, others := leading(c.Acked)
	acked, lost := "-", "-"
	if len(c.Acked) > 0 {
		acked = count(c.Acked[first])
	}
	if c.Lost != nil && len(c.Acked) > 0 {
		lost = count(c.Lost[first])
	}
	for _, status := range others {
		if !inline {
			entries[len(entries)-1].Text += "\n" + status
			acked += "\n" + count(c.Acked[status])
			lost += "\n" + count(c.Lost[status])
			continue
		}
		acked += "\n" + count(c.Acked[status]) + " " + status
		if c.Lost[status] > 0 {
			lost += "\n" + count(c.Lost[status]) + " " + status
		}
	}
	lostTone := plain
	if result.Sum(c.Lost) > 0 {
		lostTone = toneOf(c.Verdict)
	}
	window, lossy, linear := "-", "-", "-"
	if c.LossWindow != nil && result.Sum(c.Lost) > 0 {
		window = span(c.LossWindow.MS)
	}
	if r := c.RPO; r != nil {
		lossy = fmt.Sprintf("%d of %d (%s)", r.LossyCuts, r.Cuts, percent(r.Upper95))
	}
	linearTone := plain
	if c.Linearizable != "" {
		linear = c.Linearizable
	}
	if c.Linearizable == "invalid" {
		linearTone = bad
	}
	return append(entries, entry{acked, plain}, entry{lost, lostTone}, entry{window, plain}, entry{lossy, plain},
		entry{linear, linearTone}, entry{string(c.Verdict), toneOf(c.Verdict)})
}

// leading returns the status that stands for itself, SEND_OK where there is one, and the others in order.
func leading(acked map[string]int64) (first string, others []string) {
	names := result.Names(acked)
	for _, name := range names {
		if name == "SEND_OK" {
			first = name
		}
	}
	if first == "" && len(names) > 0 {
		first = names[0]
	}
	for _, name := range names {
		if name != first {
			others = append(others, name)
		}
	}
	return first, others
}

// askedRTO says whether any trial ran alone on the machine.
func (v *view) askedRTO() bool {
	return slices.ContainsFunc(v.ordered(), func(c *result.Cell) bool { return c.AskedRTO() })
}

// rtoTable is the time to service again, contracts down, faults across. It is nil where no trial ran alone on the machine: the time
// would be that of the trials beside it, too, and was not asked for.
func (v *view) rtoTable() *grid {
	if !v.askedRTO() {
		return nil
	}
	g := &grid{Title: "RTO: of trials that ran alone on the machine", Stub: v.stubWidth(), Columns: v.stub(),
		Note: "From the fault to the first SEND_OK / to the first delivery; the longest over those trials. not asked: no trial of the cell ran alone. none: not served again, or nothing proven."}
	for _, f := range v.faults {
		g.Columns = append(g.Columns, column{Head: f.head()})
	}
	for _, row := range v.faultRows() {
		entries := v.stubEntries(row)
		for _, f := range v.faults {
			entries = append(entries, rtoEntry(v.cell(row, f.name)))
		}
		g.row(entries...)
	}
	return g
}

func rtoEntry(c *result.Cell) entry {
	switch {
	case c == nil:
		return entry{"-", muted}
	case !c.AskedRTO():
		return entry{"not asked", muted}
	case c.RTO == nil:
		return entry{"none", doubtful}
	case c.RTO.DeliveryMS > 0:
		return entry{span(c.RTO.MS) + " / " + span(c.RTO.DeliveryMS), plain}
	}
	return entry{span(c.RTO.MS) + " / -", plain}
}
