package reports

import (
	"strings"
	"testing"

	"holdfast/reports/result"
)

// TestHarnessWarns of the cells in which a process of the harness was held up, and of no others.
func TestHarnessWarns(t *testing.T) {
	stall := func(ms float64) *result.Result {
		return edit(sample(0), 3, "power-all", func(c *result.Cell) {
			c.Harness = map[string]result.Process{"switch": {CPUSeconds: 2, StallMS: ms}, "generator": {CPUSeconds: 3, StallMS: 1}, "disk": {CPUSeconds: 1}}
		})
	}
	for _, row := range []struct {
		says  string
		r     *result.Result
		wants string
		warns bool
	}{
		{"nothing measured", sample(0), "", false},
		{"not held up", stall(100), "longest stall 100 ms (switch; SYNC_MASTER/1 + SYNC_FLUSH, power loss of all nodes, they return); CPU: generator 3.0 s, switch 2.0 s, disk 1.0 s.", false},
		{"held up", stall(100.5), "longest stall 101 ms", true},
	} {
		v := newView(row.r, nil)
		line, warning := v.harnessLine(), v.stallWarning()
		if !strings.Contains(line, row.wants) || (line == "") != (row.wants == "") || (warning != "") != row.warns {
			t.Errorf("%s: %q, %q", row.says, line, warning)
		}
		if text := Text(row.r, "", 120, false); strings.Contains(text, "WARNING") != row.warns {
			t.Errorf("%s: the text does not agree", row.says)
		}
	}
}
