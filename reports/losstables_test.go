package reports

import (
	"fmt"
	"strings"
	"testing"

	"holdfast/reports/result"
)

// TestRTOOnlyOfTrialsAlone: results of trials that ran beside others, such as old files, have no RTO to show.
func TestRTOOnlyOfTrialsAlone(t *testing.T) {
	r := sample(0)
	if text := Text(r, "", 120, false); strings.Contains(text, "1.3 s") || !strings.Contains(text, "RTO was not asked") {
		t.Error("an RTO of trials that ran beside others is shown, or its absence is not explained")
	}
	edit(r, 2, "kill-returns", func(c *result.Cell) { c.Trials[1].Alone = true })
	text := Text(r, "", 120, false)
	if strings.Count(text, "1.3 s / 1.4 s") != 1 || !strings.Contains(text, "not asked") || strings.Contains(text, "RTO was not asked") {
		t.Errorf("one trial ran alone:\n%s", text)
	}
	edit(r, 2, "kill-returns", func(c *result.Cell) { c.RTO = nil })
	if got := rtoEntry(r.Cell(sampleID(sampleContracts[2], "kill-returns"))).Text; got != "none" {
		t.Errorf("it never served again: got %q, want none", got)
	}
}

// TestRPOTableKeepsToPower: only a cut of power has a prediction to stand beside.
func TestRPOTableKeepsToPower(t *testing.T) {
	v := newView(wide(), nil)
	var with []string
	for _, f := range v.faults {
		if v.rpoTable(f) != nil {
			with = append(with, f.name)
		}
	}
	want := "[power-returns power-returns-then-promoted power-all trickle]"
	if got := fmt.Sprint(with); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestRPOTableNeedsOneLossyRow, wherever that stands.
func TestRPOTableNeedsOneLossyRow(t *testing.T) {
	for i := range sampleContracts {
		r := sample(0)
		each(r, func(c *result.Cell) {
			if c.Column() == "power-all" {
				c.RPO = &result.RPO{Cuts: 12, P90: new(0.0), Predicted: new(4.0), PredictedCuts: 12, Agreeing: 12, Ratio: new(0.0)} // every figure measured
			}
		})
		if got := newView(r, nil).rpoTable(sampleFaults[3]); got != nil {
			t.Fatalf("nothing was lost, and yet a table: %+v", got)
		}
		edit(r, i, "power-all", func(c *result.Cell) { c.RPO = result.NewRPO([]int64{0, 4, 0}) })
		g := newView(r, nil).rpoTable(sampleFaults[3])
		if g == nil || len(g.Rows) != len(sampleContracts) || g.Rows[i][2].Text != "1 of 3" {
			t.Errorf("row %d alone lost something: %+v", i, g)
		}
	}
}
