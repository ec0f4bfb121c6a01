package reports

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"holdfast/reports/result"
)

// rpoColumn is one figure of an RPO table; it is left out when no row has it.
type rpoColumn struct {
	head string
	text func(c *result.Cell) string // "" when it was not measured
	note string                      // what the note below the table says of it
}

var rpoColumns = []rpoColumn{
	{"lossy\ncuts", func(c *result.Cell) string { return fmt.Sprintf("%d of %d", c.RPO.LossyCuts, c.RPO.Cuts) },
		"Messages lost a cut, over the cuts that had their effect."},
	{"lost\nmedian", func(c *result.Cell) string { return messages(&c.RPO.Median) }, ""},
	{"lost\np90", func(c *result.Cell) string { return messages(c.RPO.P90) }, "p90: nine of ten cuts lost at most so many."},
	{"lost\nmax", func(c *result.Cell) string { return count(c.RPO.Max) }, ""},
	{"predicted\nmedian", func(c *result.Cell) string { return messages(c.RPO.Predicted) },
		"Predicted: from the bytes written to the commit log since its last fsync began."},
	{"ratio", func(c *result.Cell) string { return ratio(c.RPO.Ratio) }, "Ratio: lost / predicted, the median."},
	{"agree", agreement, "Agree: cuts whose loss is within three standard deviations of a Poisson count of the predicted size."},
	{"window\nmedian", func(c *result.Cell) string { mid, _ := windows(c); return mid }, "Window: from the first lost acknowledgement to the cut."},
	{"window\nmax", func(c *result.Cell) string { _, hi := windows(c); return hi }, ""},
}

// rpoTable is what the cuts of one column lost, as a distribution, with what was predicted beside it; nil for faults that are no power
// cuts, and when no cut lost anything.
func (v *view) rpoTable(f faultColumn) *grid {
	if f.fault != "power" {
		return nil
	}
	var cells []*result.Cell
	for _, row := range v.rows {
		if c := v.cell(row, f.name); c != nil && c.RPO != nil {
			cells = append(cells, c)
		}
	}
	if !slices.ContainsFunc(cells, func(c *result.Cell) bool { return c.RPO.LossyCuts > 0 }) {
		return nil
	}
	measured := slices.DeleteFunc(slices.Clone(rpoColumns), func(col rpoColumn) bool {
		return !slices.ContainsFunc(cells, func(c *result.Cell) bool { return col.text(c) != "" })
	})
	g := &grid{Title: "RPO: " + f.title(), Stub: v.stubWidth(), Columns: v.stub()}
	var notes []string
	for _, col := range measured {
		g.Columns = append(g.Columns, column{Head: col.head, Right: true})
		if col.note != "" {
			notes = append(notes, col.note)
		}
	}
	g.Note = strings.Join(notes, " ")
	for _, row := range v.faultRows() {
		c := v.cell(row, f.name)
		entries := v.stubEntries(row)
		for _, col := range measured {
			entries = append(entries, rpoEntry(c, col))
		}
		g.row(entries...)
	}
	return g
}

func rpoEntry(c *result.Cell, col rpoColumn) entry {
	if c == nil || c.RPO == nil {
		return entry{"-", muted}
	}
	if text := col.text(c); text != "" {
		return entry{text, plain}
	}
	return entry{"-", muted}
}

// messages writes a number of messages that may be half of one, "" when it was not measured.
func messages(n *float64) string {
	if n == nil {
		return ""
	}
	if *n < 10 {
		return strconv.FormatFloat(*n, 'g', 2, 64)
	}
	return count(int64(*n + 0.5))
}

func ratio(r *float64) string {
	if r == nil {
		return ""
	}
	return strconv.FormatFloat(*r, 'f', 2, 64)
}

func agreement(c *result.Cell) string {
	if c.RPO.PredictedCuts == 0 {
		return ""
	}
	return fmt.Sprintf("%d of %d", c.RPO.Agreeing, c.RPO.PredictedCuts)
}

// windows are the median and the largest lost window over the cuts that had their effect, "" when trials were not kept.
func windows(c *result.Cell) (median, largest string) {
	var all []float64
	for _, t := range c.Trials {
		if t.Verdict != result.Inconclusive {
			all = append(all, t.WindowMS)
		}
	}
	if len(all) == 0 {
		return "", ""
	}
	_, mid, hi := result.Spread(all)
	return span(mid), span(hi)
}

// predictionText is the prediction of a cell in words, "" without any.
func predictionText(r *result.RPO) string {
	if r.Predicted == nil {
		return ""
	}
	text := "predicted " + messages(r.Predicted)
	if r.Ratio != nil {
		text += ", ratio " + ratio(r.Ratio)
	}
	return fmt.Sprintf("%s, %d of %d cuts agree", text, r.Agreeing, r.PredictedCuts)
}
