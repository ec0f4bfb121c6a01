package reports

import (
	"strings"
	"testing"

	"holdfast/reports/result"
)

// TestAvailabilityTable has the columns in which a node is away for a while, and no others; trials that prove nothing do not count.
func TestAvailabilityTable(t *testing.T) {
	r := wide()
	if text := Text(r, "", 200, false); strings.Contains(text, "Availability") {
		t.Error("a table of availability although nobody was away")
	}
	edit(r, 2, "kill-returns", func(c *result.Cell) {
		c.Schedule = []result.ScheduleStep{{Kind: "kill", Target: "master", Recovery: "returns", ForMS: 5000}}
		c.Trials = c.Trials[:3]
		for i, a := range []result.Availability{{GapMS: 210, Failed: 3, Unknown: 2000}, {GapMS: 340, Unknown: 5}, {GapMS: 9999}} {
			c.Trials[i].Availability, c.Trials[i].Lost = &a, nil
		}
		c.Trials[2].Verdict = result.Inconclusive
	})
	text := Text(r, "", 200, false)
	if !strings.Contains(text, "Availability") || !strings.Contains(text, "340 ms; 3 / 2,005 / 0") || strings.Contains(text, "10.0 s; ") {
		_, table, _ := strings.Cut(text, "Availability")
		t.Errorf("got%s", table[:min(len(table), 1500)])
	}
}
