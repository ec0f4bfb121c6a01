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

// reasonAgainst says why tests of Apache RocketMQ do not run; "" when they do.
func reasonAgainst() string {
	if os.Getenv("HOLDFAST_APACHE") != "1" {
		return "starts Apache RocketMQ, which takes half a minute: set HOLDFAST_APACHE=1"
	}
	for _, program := range []string{"java", "mvn"} {
		if _, err := exec.LookPath(program); err != nil {
			return "needs Java and Maven: " + err.Error()
		}
	}
	return ""
}

// apache returns RocketMQ of that version, prepared, in a sandbox; or skips the test with the reason.
func apache(t *testing.T, version string) System {
	t.Helper()
	if reason := reasonAgainst(); reason != "" {
		t.Skip(reason)
	}
	if outside != nil {
		t.Skip(outside)
	}
	sys, err := ParseSystem("rocketmq:" + version)
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
	for _, row := range []struct {
		version, role, flush string
		recovery             nemesis.Recovery
		loses, long          bool
	}{
		{"5.5.0", "ASYNC_MASTER", "ASYNC_FLUSH", nemesis.Returns, true, false},
		{"5.5.0", "ASYNC_MASTER", "SYNC_FLUSH", nemesis.Returns, false, false},
		{"5.5.0", "SYNC_MASTER", "ASYNC_FLUSH", nemesis.Returns, true, true}, // although the slave has all of it
		{"5.5.0", "SYNC_MASTER", "ASYNC_FLUSH", nemesis.Promoted, false, true},
		{"4.9.7", "ASYNC_MASTER", "ASYNC_FLUSH", nemesis.Returns, true, true},
		{"4.9.7", "SYNC_MASTER", "ASYNC_FLUSH", nemesis.Promoted, false, true},
	} {
		t.Run(row.version+" "+row.role+" "+row.flush+" "+string(row.recovery), func(t *testing.T) {
			if row.long && os.Getenv("HOLDFAST_LONG") != "1" {
				t.Skip("long: set HOLDFAST_LONG=1")
			}
			sys := apache(t, row.version)
			ctx, cancel := context.WithTimeout(t.Context(), 110*time.Second)
			defer cancel()
			trial := powerLoss(sys, result.Contract{BrokerRole: row.role, FlushDiskType: row.flush, InSyncReplicas: 2}, row.recovery, t.TempDir())
			out, err := trial.Run(ctx, Sandbox{System: sys}, func(what string) { t.Log(time.Now().Format("15:04:05.000"), what) })
			if err != nil {
				t.Fatal(err)
			}
			if out.Effect["processes"] != 1 {
				t.Errorf("got %d processes that lost power, want 1", out.Effect["processes"])
			}
			serves := "a-0"
			if row.recovery == nemesis.Promoted {
				serves = "a-1"
			}
			acked, lost, middle := losses(out.History, serves, out.History.Faults[0].Start)
			t.Logf("cut %v after an fsync, effect %v: %d of %d acknowledged messages lost", out.SinceSync, out.Effect, lost, acked)
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

// powerLoss is one power loss of a master, 250 ms or more after an fsync of its commit log: within the 500 ms in which ASYNC_FLUSH does
// not sync.
func powerLoss(sys System, c result.Contract, r nemesis.Recovery, dir string) scenarios.Trial {
	return scenarios.Trial{
		Name:     "power-loss-apache",
		System:   result.System{Name: sys.Name, Version: sys.Version, Profile: sys.Profile},
		Contract: c,
		Schedule: nemesis.Schedule{{Kind: nemesis.Power, Target: nemesis.Master, Recovery: r}},
		Index:    1, Of: 2, Seed: 1, Dir: dir,
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
