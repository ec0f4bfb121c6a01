package sim

import (
	"os"
	"slices"
	"testing"

	"holdfast/checker/history"
	"holdfast/reports/result"
	"holdfast/scenarios/scenario"
)

// TestMessagesExpire while consumers fall behind and nodes lose power: nothing that has not expired is lost, who is below what is left is
// moved there, and queues go on where they were.
func TestMessagesExpire(t *testing.T) {
	const file = "testdata/messages-expire.yaml"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s, err := scenario.Parse(file, text)
	if err != nil {
		t.Fatal(err)
	}
	expired, moved, judged := 0, 0, 0
	for _, row := range []struct {
		contract, profile string
		diverges          bool // classic HA: a master that returns shorter than its slave
	}{
		{"ASYNC_MASTER+SYNC_FLUSH", "rocketmq-5", false},
		{"SYNC_MASTER/2+SYNC_FLUSH", "rocketmq-5", true},
		{"SYNC_MASTER/2+SYNC_FLUSH", "holdfast", false},
	} {
		c := caseOf(t, "power-returns", row.contract, 0)
		c.Scenario, c.Profile = s, row.profile
		tell(t, c, many(t, 2), func(r Run) {
			if r.Broken != "" {
				t.Logf("%s %s seed %d proves nothing: %s", row.profile, row.contract, r.Case.Seed, r.Broken)
				return
			}
			violated := slices.DeleteFunc(slices.Clone(r.Verdict.Violated), func(a string) bool { return row.diverges && a == "divergence" })
			if lost := result.Sum(r.Verdict.Lost); lost > 0 || len(violated) > 0 {
				t.Errorf("%s %s seed %d: %d lost, violated: %v", row.profile, row.contract, r.Case.Seed, lost, violated)
			}
			judged++
			expired += min(1, int(first(r.History)))
			moved += min(1, movedPolls(r.History))
		})
	}
	if judged < 5 || expired < 5 || moved < 5 {
		t.Errorf("%d runs judged, messages expired in %d, consumers were moved in %d: nothing is tested", judged, expired, moved)
	}
}

// first returns the largest first offset of a complete read.
func first(h *history.History) (n int64) {
	for i := range h.Fetches {
		if f := &h.Fetches[i]; f.F == history.Read {
			n = max(n, f.First)
		}
	}
	return n
}

// movedPolls counts the polls of consumers that begin above where the last one of their queue ended: somebody moved the consumer.
func movedPolls(h *history.History) (n int) {
	type reader struct {
		process int32
		queue   history.Sym
	}
	next := map[reader]int64{}
	for i := range h.Fetches {
		f := &h.Fetches[i]
		if f.F != history.Poll {
			continue
		}
		at := reader{f.P, f.Queue}
		if to, ok := next[at]; ok && f.From > to {
			n++
		}
		next[at] = f.From
		if msgs := h.Msgs(f); msgs.Len() > 0 {
			next[at] = msgs.Offset(msgs.Len()-1) + 1
		}
	}
	return n
}
