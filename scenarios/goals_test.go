package scenarios

import (
	"strings"
	"testing"

	"holdfast/reports/result"
)

// TestLatencyGoals: what makes a latency look better than it is opens the goal, what makes it look worse does not; where the generator was late with the
// other system, that is counted from the actual sends.
func TestLatencyGoals(t *testing.T) {
	row := func(system string, p99, service, late, stolen float64) *openRow {
		m := &Matrix{System: result.System{Name: system}}
		r := &openRow{speedRow: &speedRow{m: m}, p99: []float64{p99, p99}, service: []float64{service, service}, late: []float64{late, late}}
		r.cell.Stolen = &result.Stolen{Latency: &stolen}
		return r
	}
	quiet := row("reference", 1, 1, 0.05, 0)
	for _, tc := range []struct {
		name       string
		own, other *openRow
		standing   result.Standing
		reason     string
	}{
		{"both quiet", quiet, row("rocketmq", 12, 11, 0.1, 0), result.Met, ""},
		{"both quiet, too slow", quiet, row("rocketmq", 9, 8, 0.1, 0), result.Missed, ""},
		{"late with the other, and still a tenth of what it took from the actual sends", quiet, row("rocketmq", 14, 11, 2, 0), result.Met, "counted from the actual sends"},
		{"late with the other, a tenth only of what the lateness made", quiet, row("rocketmq", 14, 9, 2, 0), result.Untested, "counted from the actual sends"},
		{"the host disturbed the other", quiet, row("rocketmq", 30, 30, 0.1, 0.01), result.Untested, "the host of this virtual machine took 1.0%"},
		{"the host disturbed the other, and the generator was late", quiet, row("rocketmq", 30, 25, 4, 0.01), result.Untested, "lateness"},
		{"the host disturbed the own one, met all the same", row("reference", 1, 1, 0.05, 0.02), row("rocketmq", 12, 11, 0.1, 0), result.Met, ""},
		{"the host disturbed the own one, and it is missed", row("reference", 3, 3, 0.05, 0.02), row("rocketmq", 12, 11, 0.1, 0), result.Untested, "reference: the host"},
	} {
		g := result.Goal{What: "p99", Against: "rocketmq", Target: goalP99}
		judgeP99(&g, tc.own, tc.other)
		if reasons := strings.Join(g.Reasons, "; "); g.Standing != tc.standing || !strings.Contains(reasons, tc.reason) || tc.reason == "" && reasons != "" {
			t.Errorf("%s: %s, %q; want %s, %q", tc.name, g.Standing, reasons, tc.standing, tc.reason)
		}
	}
}
