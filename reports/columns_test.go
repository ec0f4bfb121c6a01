package reports

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"holdfast/reports/result"
)

// TestColumnWords: a column that is not listed must still be told from the others.
func TestColumnWords(t *testing.T) {
	for _, row := range []struct {
		column faultColumn
		want   columnWords
	}{
		{faultColumn{"power-returns-then-promoted", "power", "master", "returns"}, columns[3]},
		{faultColumn{"power-slave-returns", "power", "slave", "returns"}, columnWords{"power-slave-returns", "power slave\nit returns",
			"power loss of the slave, it returns", "when the slave lost power and returned", "power loss"}},
		{faultColumn{"pause-slave", "pause", "slave", ""}, columnWords{"pause-slave", "pause slave\n", "pause of the slave", "when the slave was paused", "pause"}},
		{faultColumn{"my-own-way-to-fail", "power", "master", "returns"}, columnWords{"my-own-way-to-fail", "my-own-way-to-\nfail",
			"my-own-way-to-fail", "under my-own-way-to-fail", "my-own-way-to-fail"}},
	} {
		if got := row.column.words(); got != row.want {
			t.Errorf("%s: got %q, want %q", row.column.name, got, row.want)
		}
	}
}

// TestColumnsAgreeWithTheirFaults: the columns whose fault says all have the words that any fault gets.
func TestColumnsAgreeWithTheirFaults(t *testing.T) {
	for _, f := range sampleFaults {
		want := columnWords{f.name, faultHead(f.fault, f.target, f.recovery), faultTitle(f.fault, f.target, f.recovery),
			faultClause(f.fault, f.target, f.recovery), f.words().short}
		if got := f.words(); got != want || !strings.HasPrefix(got.short, faultWord(f.fault)) {
			t.Errorf("%s: got %q, want %q", f.name, got, want)
		}
	}
}

// TestColumnsStandInPrintOrder, in whatever order the cells ended; a user's scenario stands behind them.
func TestColumnsStandInPrintOrder(t *testing.T) {
	r := wide()
	slices.Reverse(r.Cells)
	r.Derive()
	var got []string
	for _, f := range newView(r, nil).faults {
		got = append(got, f.name)
	}
	var want []string
	for _, w := range columns {
		want = append(want, w.name)
	}
	if want = append(want, "full-disk-then-clock-jump"); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestSplitLosesNoColumn: every column stands in one block, in order, and no block is wider than asked while it can be split.
func TestSplitLosesNoColumn(t *testing.T) {
	g := newView(wide(), nil).overview(nil)
	for width := 40; width <= 200; width++ {
		var seen []int
		blocks := g.split(width)
		for _, block := range blocks {
			if !slices.Equal(block[:2], []int{0, 1}) {
				t.Fatalf("%d columns: a block without its stub: %v", width, block)
			}
			if n := g.blockWidth([][]int{block}); n > width && len(block) > 3 {
				t.Errorf("%d columns: a block of %d that could be split: %v", width, n, block)
			}
			seen = append(seen, block[2:]...)
		}
		if len(seen) != len(g.Columns)-2 || !slices.IsSorted(seen) {
			t.Fatalf("%d columns: columns %v of %d", width, seen, len(g.Columns))
		}
		if fewest := len(g.fill(width)); len(blocks) != fewest {
			t.Errorf("%d columns: %d blocks, %d are enough", width, len(blocks), fewest)
		}
	}
}

// TestOneColumnIsNotLeftAlone where the blocks before it could spare one.
func TestOneColumnIsNotLeftAlone(t *testing.T) {
	g := newView(wide(), nil).overview(nil)
	blocks := g.split(120)
	if last := blocks[len(blocks)-1]; len(last) < 5 {
		t.Errorf("the last block has the columns %v; all: %v", last, blocks)
	}
	if greedy := g.fill(120); len(greedy[len(greedy)-1]) != 3 {
		t.Errorf("the sample no longer leaves a single column to the last block: %v", greedy)
	}
}

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

// TestLiveShowsWhatRuns: of a matrix that is higher than the terminal the blocks with running cells stay.
func TestLiveShowsWhatRuns(t *testing.T) {
	g := newView(wide(), nil).overview(nil)
	g.Rows[4][7].Text = "running" // in the second block of four
	l := NewLive(io.Discard, io.Discard, Options{Width: 120, Height: 24})
	frame := l.frame(g)
	if n := strings.Count(frame, "\n"); n >= 24 || !strings.Contains(frame, "running") || !strings.Contains(frame, "writes go on") {
		t.Errorf("%d lines:\n%s", n, frame)
	}
	l.opt.Height = 60
	if frame := l.frame(g); !strings.Contains(frame, "at a trickle") || !strings.Contains(frame, "inSyncReplicas=n") {
		t.Errorf("with room for all:\n%s", frame)
	}
}

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
