package main

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"holdfast/reports/result"
)

// plannedIDs are the cells that a dry run lists.
func plannedIDs(t *testing.T, args ...string) []string {
	t.Helper()
	out, stderr, code := holdfast(t, append([]string{"matrix", "--dry-run", "--output", "json"}, args...)...)
	if code != 0 {
		t.Fatalf("%v: exit %d: %s", args, code, stderr)
	}
	var plan struct {
		Cells []struct {
			ID      string
			Seconds float64
		}
		Seconds float64
	}
	if err := json.Unmarshal([]byte(out), &plan); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, c := range plan.Cells {
		ids = append(ids, c.ID)
	}
	return ids
}

func TestPlanOfSeveralSystems(t *testing.T) {
	for _, row := range []struct {
		says string
		args []string
		want []string
	}{
		{"one system is not named in its cells", []string{"--system", "rocketmq:5.5.0", "--contracts", "ASYNC_MASTER+ASYNC_FLUSH", "--faults", "kill-returns", "--no-performance"},
			[]string{"async-master.async-flush.kill-returns"}},
		{"several are, and the speed of Apache's is measured tuned as well, and nothing else of it", []string{"--system", "reference", "--system", "rocketmq:5.5.0", "--contracts", "ASYNC_MASTER+ASYNC_FLUSH", "--faults", "kill-returns"},
			[]string{"reference-rocketmq-5.async-master.async-flush.performance", "reference-rocketmq-5.async-master.async-flush.kill-returns",
				"rocketmq-5.5.0.async-master.async-flush.performance", "rocketmq-5.5.0.async-master.async-flush.kill-returns",
				"rocketmq-5.5.0-tuned.async-master.async-flush.performance"}},
		{"not tuned when that is not wanted", []string{"--system", "reference", "--system", "rocketmq:5.5.0", "--tuned=false", "--contracts", "ASYNC_MASTER+ASYNC_FLUSH", "--faults", "none"},
			[]string{"reference-rocketmq-5.async-master.async-flush.performance", "rocketmq-5.5.0.async-master.async-flush.performance"}},
		{"a tuned system that was asked for has faults", []string{"--system", "rocketmq:5.5.0:tuned", "--contracts", "ASYNC_MASTER+ASYNC_FLUSH", "--faults", "kill-returns", "--no-performance"},
			[]string{"async-master.async-flush.kill-returns"}},
		{"a row that one of them does not have", []string{"--system", "reference:rocketmq-4.9", "--system", "reference", "--contracts", "SYNC_MASTER/1+ASYNC_FLUSH", "--faults", "kill-returns", "--no-performance"},
			[]string{"reference-rocketmq-5.sync-master-1.async-flush.kill-returns"}},
		{"a scenario for its own contracts alone", []string{"--faults", "fast-reader,kill-returns", "--contracts", "ASYNC_MASTER+ASYNC_FLUSH,ASYNC_MASTER+SYNC_FLUSH", "--no-performance"},
			[]string{"async-master.async-flush.kill-returns", "async-master.sync-flush.kill-returns", "async-master.sync-flush.fast-reader"}},
		{"a scenario for its own systems alone", []string{"--system", "reference", "--system", "rocketmq:5.5.0", "--faults", "controller-switch", "--no-performance"},
			[]string{"rocketmq-5.5.0.sync-master-2.async-flush.controller-switch"}},
	} {
		if got := plannedIDs(t, row.args...); !slices.Equal(got, row.want) {
			t.Errorf("%s: got %q, want %q", row.says, got, row.want)
		}
	}
}

func TestWrongSystems(t *testing.T) {
	for _, row := range []struct{ args, want string }{
		{"--system reference --system reference:rocketmq-5", "stands twice"},
		{"--system reference --system kafka", `"kafka" is unknown; allowed: reference`},
		{"--system rocketmq:5.5.0 --system rocketmq:5.3.3 --rocketmq-home /opt", "needs one --system rocketmq:VERSION"},
		{"--system reference --rocketmq-home /opt", "needs one --system rocketmq:VERSION"},
		{"--faults frobnicate", "every scenario that 'holdfast run --list' names"},
		{"--faults controller-switch --no-performance", "nothing is left to measure"},
	} {
		_, stderr, code := holdfast(t, append([]string{"matrix", "--dry-run"}, strings.Fields(row.args)...)...)
		if code != exitUsage || !strings.Contains(stderr, row.want) {
			t.Errorf("%s: exit %d, %q; want %d with %q", row.args, code, stderr, exitUsage, row.want)
		}
	}
}

// TestTwoSystemsInOneRun measures two profiles of the reference broker beside one another, interrupted by nothing and read back.
func TestTwoSystemsInOneRun(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	_, stderr, code := holdfast(t, "matrix", "--quick", "--cuts", "1", "--alone", "0", "--no-performance", "--world", "loopback", "--out", out, "--expectations",
		"--system", "reference", "--system", "reference:rocketmq-4.9", "--contracts", "SYNC_MASTER/2+ASYNC_FLUSH", "--faults", "kill-returns")
	if code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	r, err := result.Read(out)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Systems) != 2 || len(r.Cells) != 2 || len(r.Claims) != 2 {
		t.Fatalf("%d systems, %d cells, %d claims; want two of each", len(r.Systems), len(r.Cells), len(r.Claims))
	}
	for i, c := range r.Cells {
		want := r.Systems[i].String()
		if c.System != want || c.Verdict != result.Kept || c.Acked["SEND_OK"] < 500 || len(c.Expect) == 0 {
			t.Errorf("cell %s: system %q, %s, %v, %d expectations", c.ID, c.System, c.Verdict, c.Acked, len(c.Expect))
		}
		if !strings.Contains(c.Repeat, "--system "+want+" ") || strings.Count(c.Repeat, "--system") != 1 {
			t.Errorf("%s is repeated by %q", c.ID, c.Repeat)
		}
		if c.Settings["a-0.flushDiskType"] != "ASYNC_FLUSH" || c.Settings["system"] != want {
			t.Errorf("%s has the settings %v", c.ID, c.Settings)
		}
	}
	checkAgrees(t, out, r)
}
