package reports

import (
	"slices"
	"strings"
	"testing"

	"holdfast/reports/result"
)

// TestScenarioSums: the last line counts the contracts that are not as expected.
func TestScenarioSums(t *testing.T) {
	none := scenarioRun()
	for i := range none.Cells {
		none.Cells[i].Expect = nil
	}
	met := without(scenarioRun(), func(c *result.Cell) bool { return len(c.Unmet()) > 0 })
	for _, row := range []struct {
		r    *result.Result
		want string
	}{
		{scenarioRun(), "verdict violated; expectations failed in 1 of 2 contracts"},
		{met, "verdict loss-within-contract; all expectations met"},
		{none, "verdict violated"},
	} {
		got := strings.TrimSpace(Scenario(row.r, "", 120, false))
		if last := got[strings.LastIndex(got, "\n")+1:]; last != row.want {
			t.Errorf("got %q, want %q", last, row.want)
		}
	}
	idle := each(scenarioRun(), func(c *result.Cell) { c.Trials[0].Faults[0].Effect = nil; c.Trials[0].Faults[1].HealMS = 0 })
	text := Scenario(idle, "", 120, false)
	if strings.Count(text, "never") != 2 || strings.Count(text, "none\n") != 2 {
		t.Errorf("a fault without effect and one without heal do not stand out:\n%s", text)
	}
}

// each changes every cell.
func each(r *result.Result, change func(c *result.Cell)) *result.Result {
	for i := range r.Cells {
		change(&r.Cells[i])
	}
	return r
}

// TestUnmetExpectationsAreSeen in every table and list that shows the cell, whatever its verdict.
func TestUnmetExpectationsAreSeen(t *testing.T) {
	r := edit(sample(0), 1, "power-all", func(c *result.Cell) {
		c.Expect = []result.Expectation{{What: "lost SEND_OK", Want: "at least 1", Got: "0"}}
	})
	const want = "expectation failed: ASYNC_MASTER + SYNC_FLUSH, power loss of all nodes, they return: lost SEND_OK: want at least 1, got 0"
	if open := newView(r, nil).open(); !slices.Contains(open, want) {
		t.Errorf("not among what to look at: %q", open)
	}
	if text := Text(r, "", 120, false); strings.Count(text, "not as expected") != 1 {
		t.Errorf("not in the matrix at a glance:\n%s", text)
	}
	if line := doneLine(r.Cell(sampleID(sampleContracts[1], "power-all"))); !strings.Contains(line, "expectation failed: lost SEND_OK: want at least 1, got 0; kept") {
		t.Errorf("not in the line of the finished cell: %s", line)
	}
}
