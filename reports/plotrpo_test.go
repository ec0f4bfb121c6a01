package reports

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gonum.org/v1/plot/plotter"

	"holdfast/reports/result"
)

func TestCutPoints(t *testing.T) {
	lost, predicted := cutPoints(&result.Cell{Trials: []result.Trial{
		{Verdict: result.LossWithinContract, SinceSyncMS: 300, Lost: map[string]int64{"SEND_OK": 30, "FLUSH_SLAVE_TIMEOUT": 1}, Predicted: new(33.0)},
		{Verdict: result.LossWithinContract, SinceSyncMS: 100, Lost: map[string]int64{"SEND_OK": 9}, Predicted: new(11.0)},
		{Verdict: result.Kept, SinceSyncMS: 200},
		{Verdict: result.Inconclusive, SinceSyncMS: 50, Predicted: new(5.0)},                            // the cut had no effect
		{Verdict: result.LossWithinContract, Lost: map[string]int64{"SEND_OK": 7}, Predicted: new(1.0)}, // nobody knows the last fsync
	}})
	if diff := cmp.Diff(lost, plotter.XYs{{X: 300, Y: 31}, {X: 100, Y: 9}, {X: 200, Y: 0}}); diff != "" {
		t.Errorf("lost: got -, want +:\n%s", diff)
	}
	if diff := cmp.Diff(predicted, plotter.XYs{{X: 100, Y: 11}, {X: 300, Y: 33}}); diff != "" {
		t.Errorf("predicted, by time: got -, want +:\n%s", diff)
	}
}

// TestRPOPlot: each contract that lost anything has its dots in one element and, where predictions are known, one line.
func TestRPOPlot(t *testing.T) {
	lines, filled := regexp.MustCompile(`stroke-width:0\.9`), regexp.MustCompile(`fill:var\(--role\d\)`)
	for _, row := range []struct {
		says                string
		r                   *result.Result
		column              string
		keys, lines, filled int
		outlines            int // of contracts with SYNC_FLUSH
	}{
		{"predicted", wide(), "power-returns", 3, 3, 3, 0},
		{"not predicted, and two contracts with SYNC_FLUSH", sample(0), "power-promoted", 4, 0, 2, 2},
		{"nothing lost", wide(), "power-promoted", 0, 0, 0, 0},
		{"no cut of power", wide(), "disk-lost-returns", 0, 0, 0, 0},
	} {
		v := newView(row.r, nil)
		for _, f := range v.faults {
			if f.name != row.column {
				continue
			}
			svg, keys, err := v.rpoPlot(f)
			if err != nil {
				t.Fatal(err)
			}
			got := []int{len(keys), len(lines.FindAllString(string(svg), -1)), len(filled.FindAllString(string(svg), -1)), strings.Count(string(svg), "stroke-width:1.2")}
			if diff := cmp.Diff(got, []int{row.keys, row.lines, row.filled, row.outlines}); diff != "" {
				t.Errorf("%s: keys, lines, filled, outlined: got -, want +:\n%s", row.says, diff)
			}
		}
	}
}
