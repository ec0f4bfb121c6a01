package sim

import (
	"slices"
	"strings"
	"testing"
	"time"

	"holdfast/checker"
	"holdfast/checker/history"
)

// silence returns the longest time without an acknowledgement from the first fault on, and the nodes that gave some.
func silence(h *history.History) (longest time.Duration, by []string) {
	var at []int64
	for _, s := range h.Sends {
		if s.Type != history.OK {
			continue
		}
		at = append(at, s.Return)
		if node := h.Nodes[s.Node]; !slices.Contains(by, node) {
			by = append(by, node)
		}
	}
	slices.Sort(at)
	slices.Sort(by)
	last := h.Faults[0].Start
	for _, t := range at {
		longest, last = max(longest, time.Duration(t-last)), max(last, t)
	}
	return longest, by
}

// TestAnotherGroupTakesOver: while the only master is away nothing is sent; where there are two, the other takes the sends, by a kill at
// once and by a power cut after a client's timeout at most, and nothing that either acknowledged is missing in the end.
func TestAnotherGroupTakesOver(t *testing.T) {
	for _, row := range []struct {
		name        string
		least, most time.Duration
		ackers      string
	}{
		{"master-away", 5 * time.Second, time.Hour, "a-0"},
		{"another-group-takes-over", 0, time.Second, "a-0 b-0"},
		{"master-dark", 5 * time.Second, time.Hour, "a-0"},
		{"another-group-takes-over-dark", 0, 4 * time.Second, "a-0 b-0"},
	} {
		for seed := range many(t, 3) {
			r := do(t, caseOf(t, row.name, "ASYNC_MASTER+SYNC_FLUSH", seed+1))
			if r.Broken != "" || r.Verdict.Verdict != checker.Kept {
				t.Errorf("%s, seed %d: %s %v %v", row.name, seed+1, r.Broken, r.Verdict.Verdict, r.Verdict.Reasons)
				continue
			}
			gap, by := silence(r.History)
			if gap < row.least || gap > row.most || strings.Join(by, " ") != row.ackers {
				t.Errorf("%s, seed %d: %v without an acknowledgement, want %v to %v; acknowledged by %v, want %s", row.name, seed+1, gap, row.least, row.most, by, row.ackers)
			}
			if failed := unsent(r.History); (failed == 0) != (len(by) == 2) {
				t.Errorf("%s, seed %d: %d messages were not sent, acknowledged by %v: none where another group takes them, some where none does", row.name, seed+1, failed, by)
			}
			if reads := readsOf(r.History); len(by) == 2 && (len(reads) != 4 || reads["b-1"] < 4) {
				t.Errorf("%s, seed %d: complete reads of %v, want of both nodes of both groups", row.name, seed+1, reads)
			}
		}
	}
}

// unsent counts the messages whose sends all failed for certain.
func unsent(h *history.History) int {
	fates := map[uint64]bool{} // value: it only failed
	for _, s := range h.Sends {
		failed, seen := fates[s.Value]
		fates[s.Value] = s.Type == history.Fail && (failed || !seen)
	}
	n := 0
	for _, failed := range fates {
		if failed {
			n++
		}
	}
	return n
}

// readsOf counts the complete reads of each node.
func readsOf(h *history.History) map[string]int {
	reads := map[string]int{}
	for i := range h.Fetches {
		if f := &h.Fetches[i]; f.F == history.Read && f.Return != history.Never {
			reads[h.Nodes[f.Node]]++
		}
	}
	return reads
}
