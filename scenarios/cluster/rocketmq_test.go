package cluster

import (
	"context"
	"os"
	"os/exec"
	"testing"
	"time"

	"holdfast/checker/history"
	"holdfast/nemesis"
	"holdfast/reports/result"
	"holdfast/scenarios"
)

// apache returns RocketMQ 5.5.0, prepared, or skips the test with the reason.
func apache(t *testing.T) System {
	t.Helper()
	if os.Getenv("HOLDFAST_APACHE") != "1" {
		t.Skip("starts Apache RocketMQ, which takes half a minute: set HOLDFAST_APACHE=1")
	}
	for _, program := range []string{"java", "mvn"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("needs Java and Maven: %v", err)
		}
	}
	sys, err := ParseSystem("rocketmq:5.5.0")
	if err != nil {
		t.Fatal(err)
	}
	if err := sys.Prepare(t.Context(), os.Stderr); err != nil {
		t.Fatal(err)
	}
	return sys
}

// TestRocketMQLosesPower is the riskiest assumption of the sandbox: that what Apache RocketMQ writes through a shared mapping
// and does not sync is lost in a power cut, always as a suffix of the log, and that what it syncs is kept.
func TestRocketMQLosesPower(t *testing.T) {
	sys := apache(t)
	if outside != nil {
		t.Skip(outside)
	}
	for _, row := range []struct {
		flush string
		loses bool
	}{{"ASYNC_FLUSH", true}, {"SYNC_FLUSH", false}} {
		t.Run(row.flush, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 110*time.Second)
			defer cancel()
			out, err := trial(t, sys, row.flush).Run(ctx, Sandbox{System: sys}, func(what string) { t.Log(time.Now().Format("05.000"), what) })
			if err != nil {
				t.Fatal(err)
			}
			fault := out.History.Faults[0]
			t.Logf("effect %v, cut %v after an fsync; verdict %+v", out.Effect, out.SinceSync, out.Verdict)
			if out.Effect["processes"] != 1 {
				t.Errorf("got %d processes that lost power, want 1", out.Effect["processes"])
			}
			acked, lost, middle := losses(out.History, "a-0", fault.Start)
			t.Logf("%d acknowledged before the cut, %d of them lost; unacknowledged window %v", acked, lost, out.SinceSync)
			if acked < 1000 {
				t.Errorf("got %d acknowledgements before the cut, want a thousand", acked)
			}
			if row.loses != (lost > 0) {
				t.Errorf("got %d of %d lost, want any: %v", lost, acked, row.loses)
			}
			if middle > 0 {
				t.Errorf("got %d lost before a message that survived, want only suffixes", middle)
			}
		})
	}
}

// trial is one power loss of a master that returns, 250 ms after an fsync of its commit log: within the 500 ms in which
// ASYNC_FLUSH does not sync.
func trial(t *testing.T, sys System, flush string) scenarios.Trial {
	return scenarios.Trial{
		Name:     "power-loss-apache",
		System:   result.System{Name: sys.Name, Version: sys.Version, Profile: sys.Profile},
		Contract: result.Contract{BrokerRole: "ASYNC_MASTER", FlushDiskType: flush},
		Fault:    nemesis.Fault{Kind: "power", Target: nemesis.Master, Recovery: nemesis.Returns},
		Index:    1, Of: 2, Seed: 1, Dir: t.TempDir(),
		Load: scenarios.FaultLoad{
			Rate: 500, Size: 1024, Hold: 4 * time.Second, After: time.Second, MinAcks: 1000, Window: scenarios.WindowUnderLoad,
			Drain: 20 * time.Second, Timeout: 8 * time.Second, Clients: 2, InFlight: 256,
		},
	}
}

// losses counts the messages that were acknowledged with SEND_OK before an instant, those of them that the last complete
// reads of the node leave out, and those of the lost that have a survivor behind them. It is written without the checker.
func losses(h *history.History, node string, before int64) (acked, lost, middle int) {
	there := map[uint64]bool{}
	for i := range h.Fetches {
		f := &h.Fetches[i]
		if f.F != history.Read || h.Nodes[f.Node] != node {
			continue
		}
		for k, msgs := 0, h.Msgs(f); k < msgs.Len(); k++ {
			there[msgs.Value(k)] = true
		}
	}
	last := map[history.Sym]int64{} // offset of the last survivor of a queue
	for _, survived := range []bool{true, false} {
		for _, s := range h.Sends {
			if s.Type != history.OK || s.Return >= before || h.Statuses[s.Status] != "SEND_OK" || there[s.Value] != survived {
				continue
			}
			acked++
			if survived {
				last[s.Queue] = max(last[s.Queue], s.Offset)
				continue
			}
			lost++
			if s.Offset < last[s.Queue] {
				middle++
			}
		}
	}
	return acked, lost, middle
}
