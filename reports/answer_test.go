package reports

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"holdfast/reports/result"
)

// situation is a result that reports must do justice to.
type situation struct {
	says string
	make func() *result.Result
}

// situations are those that an answer must do justice to.
var situations = []situation{
	{"complete", func() *result.Result { return sample(0) }},
	{"the control lost nothing", func() *result.Result {
		return edit(sample(0), 0, "power-returns", func(c *result.Cell) {
			c.Lost, c.RPO, c.Verdict = map[string]int64{"SEND_OK": 0}, result.NewRPO([]int64{0, 0, 0}), result.Inconclusive
			c.Reasons = []string{"the control lost nothing in any cut"}
		})
	}},
	{"the control had no effect", func() *result.Result {
		return edit(sample(0), 0, "power-returns", func(c *result.Cell) {
			c.RPO, c.Verdict, c.Reasons = nil, result.Inconclusive, []string{"cut 1: the fault killed no process"}
		})
	}},
	{"no control was run", func() *result.Result {
		return without(sample(0), func(c *result.Cell) bool { return c.Control })
	}},
	{"an inconclusive cell of the row", func() *result.Result {
		return edit(sample(0), 4, "power-returns", func(c *result.Cell) {
			c.RPO, c.Verdict, c.Reasons = nil, result.Inconclusive, []string{"cut 2: no complete read of a-0 by the deadline"}
		})
	}},
	{"one of three cuts had no effect", func() *result.Result {
		return edit(sample(0), 4, "power-promoted", func(c *result.Cell) {
			c.RPO, c.Verdict, c.Reasons = result.NewRPO([]int64{0, 0}), result.Inconclusive, []string{"cut 3: the fault killed no process"}
		})
	}},
	{"every fault inconclusive", func() *result.Result {
		r := sample(0)
		for _, f := range sampleFaults {
			edit(r, 4, f.name, func(c *result.Cell) {
				c.RPO, c.Lost, c.LossWindow, c.Verdict, c.Reasons = nil, nil, nil, result.Inconclusive, []string{"not possible here: no /dev/fuse"}
			})
		}
		return r
	}},
	{"a promise broken", func() *result.Result {
		return edit(sample(0), 5, "power-returns", func(c *result.Cell) {
			c.Lost, c.RPO, c.Verdict = map[string]int64{"SEND_OK": 40}, result.NewRPO([]int64{0, 40, 0}), result.Violated
			c.Findings = []result.Finding{{Anomaly: "lost-middle", Queue: "a/T/1", Explain: "acknowledged with SEND_OK at offset 7, absent although the copy on a-0's disk lived"}}
		})
	}},
	{"the row itself violated", func() *result.Result {
		return edit(sample(0), 4, "power-promoted", func(c *result.Cell) {
			c.Lost, c.RPO, c.Verdict, c.Reasons = map[string]int64{"SEND_OK": 9}, result.NewRPO([]int64{0, 9, 0}), result.Violated, []string{"lost although the slave's copy lived"}
		})
	}},
	{"violated, though nothing was lost", func() *result.Result {
		return edit(sample(0), 4, "power-promoted", func(c *result.Cell) {
			c.Verdict, c.Reasons = result.Violated, []string{"cut 2: promised and not kept: divergence"}
		})
	}},
	{"nothing was lost at all", func() *result.Result {
		r := sample(0)
		for i := range r.Cells {
			if c := &r.Cells[i]; !c.IsPerformance() {
				c.Lost, c.LossWindow, c.RPO, c.Verdict = map[string]int64{"SEND_OK": 0}, nil, result.NewRPO([]int64{0, 0, 0}), result.Kept
			}
		}
		r.Derive()
		return r
	}},
	{"only fault cells", func() *result.Result {
		return without(sample(0), func(c *result.Cell) bool { return c.IsPerformance() })
	}},
	{"only performance cells", func() *result.Result {
		return without(sample(0), func(c *result.Cell) bool { return !c.IsPerformance() })
	}},
	{"only ASYNC_MASTER", func() *result.Result {
		return without(sample(0), func(c *result.Cell) bool { return c.Contract.BrokerRole != "ASYNC_MASTER" })
	}},
	{"SYNC_MASTER of RocketMQ 5's default only", func() *result.Result {
		return without(sample(0), func(c *result.Cell) bool { return c.Contract.InSyncReplicas != 1 })
	}},
	{"speed without a difference, and generator-bound", func() *result.Result {
		r := edit(sample(0), 4, "none", func(c *result.Cell) {
			c.Throughput = result.NewThroughput([]float64{190_000, 205_000, 215_000})
			c.Verdict, c.Reasons = result.Inconclusive, []string{"generator-bound: lateness p99 0.4 ms is over 10% of the latency p99 1.9 ms"}
		})
		return r
	}},
	{"reasons that quote the log of a node", func() *result.Result {
		return edit(sample(0), 4, "power-all", func(c *result.Cell) {
			c.RPO, c.Acked, c.Lost, c.LossWindow, c.Verdict = nil, nil, nil, nil, result.Inconclusive
			c.Reasons = []string{"cut 1: a-1: its process ended before it answered:\n  | ready\n  | holdfast: start: corrupt", "cut 2: " + strings.Repeat("no ", 200), "cut 3: no"}
		})
	}},
	{"cells that ended in another order", func() *result.Result {
		r := sample(0)
		slices.Reverse(r.Cells)
		r.Derive()
		return r
	}},
	{"interrupted", func() *result.Result {
		r := without(sample(0), func(c *result.Cell) bool { return c.Column() != "none" && c.Column() != "kill-returns" })
		r.Interrupted = true
		return r
	}},
	{"nothing measured", func() *result.Result {
		return without(sample(0), func(*result.Cell) bool { return true })
	}},
}

func TestAnswerGolden(t *testing.T) {
	var b strings.Builder
	for _, s := range situations {
		r := s.make()
		fmt.Fprintf(&b, "## %s\n\n", s.says)
		text := newView(r, nil).detail("", 120, palette{})
		_, text, _ = strings.Cut(text, "\nAnswer\n")
		text, _, _ = strings.Cut(text, "\nbroker.conf of each row")
		b.WriteString(text)
		for _, c := range r.Claims {
			if c.Contract == sampleContracts[4] {
				fmt.Fprintf(&b, "claim, %s: %s\n", c.Recovery, strings.ReplaceAll(standing(&c).Text, "\n", "; "))
			}
		}
		b.WriteString("\n")
	}
	golden(t, "answers.txt", b.String())
}

// TestOrderOfCellsSaysNothing: cells run side by side and end in any order.
func TestOrderOfCellsSaysNothing(t *testing.T) {
	r := sample(3)
	want := Text(r, "", 120, false)
	page, err := Page(r)
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(r.Cells)
	r.Derive()
	if diff := cmp.Diff(Text(r, "", 120, false), want); diff != "" {
		t.Errorf("cells in reverse -, in order +:\n%s", diff)
	}
	if again, err := Page(r); err != nil || !bytes.Equal(again, page) {
		t.Errorf("the page differs: %v", err)
	}
}

// TestAnswerNeverPraisesABrokenHarness: when the control failed the answer must say so before anything else can be believed.
func TestAnswerNeverPraisesABrokenHarness(t *testing.T) {
	r := situations[1].make()
	a := newView(r, nil).answer()
	if !a.Failed || !strings.Contains(a.Control, "THE CONTROL FAILED") {
		t.Fatalf("a control that lost nothing: %+v", a)
	}
	page, err := Page(r)
	if err != nil {
		t.Fatal(err)
	}
	alarm, answer := strings.Index(string(page), "THE CONTROL FAILED"), strings.Index(string(page), "lost acknowledged messages")
	if alarm < 0 || answer < 0 || alarm > answer {
		t.Errorf("the alarm stands at byte %d, the answer at %d", alarm, answer)
	}
}
