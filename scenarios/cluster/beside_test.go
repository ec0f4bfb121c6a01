package cluster

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"holdfast/checker"
	"holdfast/checker/history"
	"holdfast/nemesis"
	"holdfast/reports/result"
	"holdfast/scenarios"
)

// TestGroupsBeside: the master of one of two broker groups is killed and stays away for a while. The other takes the sends meanwhile, a
// consumer goes on with what it stores, and both are read to their ends.
func TestGroupsBeside(t *testing.T) {
	if outside != nil {
		t.Skip(outside)
	}
	sys, err := ParseSystem("reference")
	if err != nil {
		t.Fatal(err)
	}
	trial := scenarios.Trial{
		Name: "groups", System: sys.Describe(), Contract: result.Contract{BrokerRole: "SYNC_MASTER", FlushDiskType: "ASYNC_FLUSH", InSyncReplicas: 2},
		Schedule: nemesis.Schedule{{Kind: nemesis.Kill, Target: nemesis.Master, Recovery: nemesis.Returns, For: 1500 * time.Millisecond}},
		Site:     scenarios.Site{Groups: 2}, Of: 1, Seed: 3, Dir: t.TempDir(),
		Load: scenarios.FaultLoad{
			Rate: 500, Size: 512, Hold: 500 * time.Millisecond, After: 500 * time.Millisecond, MinAcks: 100, Window: scenarios.WindowUnderLoad,
			Drain: 10 * time.Second, Timeout: 3 * time.Second, Clients: 1, InFlight: 256, Readers: 1, Retries: 2,
		},
	}
	out, err := trial.Run(t.Context(), Sandbox{System: sys}, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	if out.Verdict.Verdict != checker.Kept {
		t.Fatalf("verdict %v: %v", out.Verdict.Verdict, out.Verdict.Reasons)
	}
	h := out.History
	if got := slices.Sorted(maps.Keys(h.Header.Masters)); strings.Join(got, " ") != "a b" || len(h.Header.Nodes) != 4 {
		t.Errorf("got masters %v of nodes %v, want two groups of two", h.Header.Masters, h.Header.Nodes)
	}
	fault, during, consumed := h.Faults[0], map[string]int{}, 0
	for _, s := range h.Sends {
		if s.Type == history.OK && s.Invoke > fault.Down && s.Return < fault.Restart {
			during[h.Nodes[s.Node]]++
		}
		if s.Type == history.Fail && s.Invoke > fault.Down && s.Return < fault.Restart && !s.Retry && h.Nodes[s.Node] == "b-0" {
			t.Errorf("the living group failed message %d", s.Value)
		}
	}
	for i := range h.Fetches {
		if f := &h.Fetches[i]; f.F == history.Poll && f.Invoke > fault.Down && f.Return < fault.Restart && h.Nodes[f.Node] == "b-0" {
			consumed += h.Msgs(f).Len()
		}
	}
	if during["b-0"] < 550 || during["a-0"] > 0 || consumed < 550 {
		t.Errorf("while a-0 was away: acknowledged by %v, %d consumed from b-0; want 550 and more by b-0 alone, and as many consumed", during, consumed)
	}
}
