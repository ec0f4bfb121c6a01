package result

import "testing"

func TestGoal(t *testing.T) {
	reason := []string{"a reason"}
	for _, tc := range []struct {
		name           string
		goal           Goal
		more           bool
		harder, easier []string
		want           Standing
		ratio          float64 // median
	}{
		{name: "ten times in every pass", goal: Goal{Against: "x", Own: []float64{100, 120, 110}, Other: []float64{10, 10, 10}, Target: 10}, more: true, want: Met, ratio: 11},
		{name: "less in every pass", goal: Goal{Against: "x", Own: []float64{90, 90}, Other: []float64{10, 10}, Target: 10}, more: true, want: Missed, ratio: 9},
		{name: "in some", goal: Goal{Against: "x", Own: []float64{90, 110}, Other: []float64{10, 10}, Target: 10}, more: true, want: Untested, ratio: 10},
		{name: "passes are paired, not pooled", goal: Goal{Against: "x", Own: []float64{100, 10}, Other: []float64{10, 1}, Target: 10}, more: true, want: Met, ratio: 10},
		{name: "a tenth of the latency", goal: Goal{Against: "x", Own: []float64{1, 1}, Other: []float64{10, 12}, Target: 10}, want: Met, ratio: 11},
		{name: "more latency", goal: Goal{Against: "x", Own: []float64{10, 10}, Other: []float64{10, 12}, Target: 10}, want: Missed, ratio: 1.1},
		{name: "what held the system back leaves what it met", goal: Goal{Against: "x", Own: []float64{100}, Other: []float64{10}, Target: 10}, more: true, harder: reason, want: Met, ratio: 10},
		{name: "and opens what it missed", goal: Goal{Against: "x", Own: []float64{90}, Other: []float64{10}, Target: 10}, more: true, harder: reason, want: Untested, ratio: 9},
		{name: "what held the other back opens all", goal: Goal{Against: "x", Own: []float64{100}, Other: []float64{10}, Target: 10}, more: true, easier: reason, want: Untested, ratio: 10},
		{name: "a figure below its bound", goal: Goal{Own: []float64{30, 99}, Target: 100}, want: Met},
		{name: "a figure at its bound", goal: Goal{Own: []float64{100, 120}, Target: 100}, want: Missed},
		{name: "nothing measured", goal: Goal{Against: "x", Target: 10}, more: true, want: Untested},
		{name: "a pass that reached nothing is no pair", goal: Goal{Against: "x", Own: []float64{100, 50}, Other: []float64{10, 0}, Target: 10}, more: true, want: Met, ratio: 10},
	} {
		g := tc.goal
		g.Judge(tc.more, tc.harder, tc.easier)
		ratio := 0.0
		if g.Ratio != nil {
			ratio = g.Ratio.Median
		}
		if g.Standing != tc.want || ratio != tc.ratio || (len(g.Reasons) > 0) != (g.Standing == Untested) {
			t.Errorf("%s: got %s, %vx %q, want %s, %vx", tc.name, g.Standing, ratio, g.Reasons, tc.want, tc.ratio)
		}
	}
}
