package sim

import (
	"fmt"
	"math"
	"os"
	"slices"
	"testing"

	"holdfast/checker/history"
	"holdfast/reports/result"
	"holdfast/scenarios/scenario"
)

// inTestdata reads a scenario of this package's own.
func inTestdata(t *testing.T, name string) scenario.Scenario {
	t.Helper()
	file := "testdata/" + name + ".yaml"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s, err := scenario.Parse(file, text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// spaceRows are whom disks fill up for.
var spaceRows = []struct {
	contract, profile string
	diverges          bool // classic HA: a master that returns shorter than its slave
}{
	{"ASYNC_MASTER+SYNC_FLUSH", "rocketmq-5", false},
	{"SYNC_MASTER/2+SYNC_FLUSH", "rocketmq-5", true},
	{"SYNC_MASTER/2+SYNC_FLUSH", "holdfast", false},
}

// TestMessagesExpire while consumers fall behind and nodes lose power: nothing that has not expired is lost, who is below what is left is
// moved there, and queues go on where they were.
func TestMessagesExpire(t *testing.T) {
	s := inTestdata(t, "messages-expire")
	expired, moved, judged := 0, 0, 0
	for _, row := range spaceRows {
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

// TestDisksFill: disks are full of messages that need not go yet, while master and slave lose power. Sends are refused with
// SERVICE_NOT_AVAILABLE as long as the disk was measured above diskSpaceWarningLevelRatio, or has no space for a file; the oldest files go by force; then
// sends are taken again, and nothing else is lost.
func TestDisksFill(t *testing.T) {
	s := inTestdata(t, "disk-fills")
	judged, beyond, again := 0, 0, 0
	for _, row := range spaceRows {
		c := caseOf(t, "power-returns", row.contract, 0)
		c.Scenario, c.Profile = s, row.profile
		tell(t, c, many(t, 2), func(r Run) {
			at := fmt.Sprintf("%s %s seed %d", row.profile, row.contract, r.Case.Seed)
			for _, mark := range []string{markStoredBeyond, markForcedEarly} {
				if r.Marks[mark] > 0 {
					t.Errorf("%s: %s", at, mark)
				}
			}
			if r.Broken != "" { // files so small that fewer go than come
				t.Logf("%s proves nothing: %s", at, r.Broken)
				return
			}
			violated := slices.DeleteFunc(slices.Clone(r.Verdict.Violated), func(a string) bool { return row.diverges && a == "divergence" })
			if lost := result.Sum(r.Verdict.Lost); lost > 0 || len(violated) > 0 {
				t.Errorf("%s: %d lost, violated: %v", at, lost, violated)
			}
			if r.Marks[markRefused] == 0 || first(r.History) == 0 {
				t.Errorf("%s: the first message that is left has queue offset %d, what was met: %v", at, first(r.History), r.Marks)
			}
			judged++
			beyond += min(1, r.Marks[markBeyond])
			again += min(1, r.Marks[markStoredAgain])
		})
	}
	if judged < 5 || beyond < 3 || again < 3 {
		t.Errorf("%d runs judged, in %d of them a master's disk was measured as too full, and in %d it took messages later: nothing is tested", judged, beyond, again)
	}
}

// TestSlaveBelowTheLog: a slave that comes back when its master has no more what comes next stays connected and gets nothing, as with RocketMQ, so
// that its log never has a hole, and the master says so. Under ASYNC_MASTER nobody notices; under SYNC_MASTER no send is acknowledged by it again.
func TestSlaveBelowTheLog(t *testing.T) {
	s := inTestdata(t, "slave-below")
	for _, row := range []struct {
		contract, profile string
		serves            bool
	}{
		{"ASYNC_MASTER+SYNC_FLUSH", "rocketmq-5", true},
		{"SYNC_MASTER/2+SYNC_FLUSH", "rocketmq-4.9", false},
	} {
		c := caseOf(t, "power-returns", row.contract, 0)
		c.Scenario, c.Profile = s, row.profile
		tell(t, c, 2, func(r Run) {
			at := fmt.Sprintf("%s %s seed %d", row.profile, row.contract, r.Case.Seed)
			if r.Marks[markSlaveBelow] != 1 || r.Stuck == row.serves {
				t.Errorf("%s: %q, what was met: %v", at, r.Broken, r.Marks)
			}
			if r.Broken != "" {
				return
			}
			end, begin := int64(0), int64(math.MaxInt64) // of any queue: of the slave, and of the master
			for i := range r.History.Fetches {
				switch f := &r.History.Fetches[i]; {
				case f.F != history.Read:
				case r.History.Nodes[f.Node] == "a-1":
					end = max(end, f.End)
				default:
					begin = min(begin, f.First)
				}
			}
			if lost := result.Sum(r.Verdict.Lost); end == 0 || end >= begin || lost > 0 || len(r.Verdict.Violated) > 0 {
				t.Errorf("%s: the slave ends at queue offset %d, the master begins at %d; %d lost, violated: %v", at, end, begin, lost, r.Verdict.Violated)
			}
		})
	}
}
