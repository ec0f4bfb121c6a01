package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"holdfast/reports/result"
	"holdfast/scenarios/scenario"
)

// ran is one run of a scenario.
type ran struct {
	result *result.Result
	stderr string
	code   int
}

// runScenario runs a scenario as a user does and reads what it wrote.
func runScenario(t *testing.T, args ...string) ran {
	t.Helper()
	out := filepath.Join(t.TempDir(), "out")
	_, stderr, code := holdfast(t, append([]string{"run", "--out", out}, args...)...)
	r, err := result.Read(out)
	if err != nil {
		t.Fatalf("run %v: exit %d, %v: %s", args, code, err, stderr)
	}
	return ran{r, stderr, code}
}

// TestRunDoesFaultsOfEveryFamily runs a scenario of each family of injectors side by side. Each must have had its effect, and what
// came out must be what the scenario says.
func TestRunDoesFaultsOfEveryFamily(t *testing.T) {
	needSandbox(t)
	var all sync.WaitGroup
	for _, row := range []struct{ name, unit string }{
		{"partition-slave", "packets"}, {"pause-master", "ms"}, {"clock-jump", "ms"}, {"fsync-error", "calls"}, {"disk-lost-promoted", "files"},
	} {
		all.Go(func() {
			got := runScenario(t, row.name, "--cuts", "1", "--contracts", "ASYNC_MASTER+SYNC_FLUSH")
			c := got.result.Cells[0]
			if got.code != 0 || c.Verdict == result.Inconclusive || len(c.Expect) == 0 || len(c.Unmet()) > 0 {
				t.Errorf("%s: exit %d, %s, expectations %+v, %v: %s", row.name, got.code, c.Verdict, c.Expect, c.Reasons, got.stderr)
			}
			if c.FaultEffect[row.unit] == 0 || c.Acked["SEND_OK"] < 500 {
				t.Errorf("%s: vacuous: effect %v, acknowledged %v", row.name, c.FaultEffect, c.Acked)
			}
		})
	}
	all.Wait()
}

// TestRunReplaysASchedule runs a file of one's own, and replays the schedule that the run saved: the same faults with the same seeds.
// What is expected and does not come out is exit code 1, with the verdict beside it.
func TestRunReplaysASchedule(t *testing.T) {
	needSandbox(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "mine.yaml")
	text := `scenario: mine
shows: A kill loses messages, or so we say.
contracts: [ASYNC_MASTER+ASYNC_FLUSH]
load: {rate: 800, hold: 300ms, after: 300ms}
plan: {seed: 3, length: 4s, quiet: 500ms, for: [100ms, 300ms], mix: [{kind: kill, target: master}, {kind: pause, target: slave}]}
cuts: 1
expect: {lost: some}
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "out")
	_, stderr, code := holdfast(t, "run", file, "--out", out)
	if code != exitViolated || !strings.Contains(stderr, "expected messages lost: some, got 0") {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	saved, err := filepath.Glob(filepath.Join(out, "cells", "*", "cut-1", "schedule.yaml"))
	if err != nil || len(saved) != 1 {
		t.Fatalf("saved schedules: %v, %v", saved, err)
	}
	first, err := scenario.ReadSchedule(saved[0])
	if err != nil || len(first.Faults) < 2 {
		t.Fatalf("%+v, %v", first, err)
	}
	again := filepath.Join(dir, "again")
	if _, stderr, code := holdfast(t, "run", file, "--schedule", saved[0], "--out", again); code != exitViolated {
		t.Fatalf("replayed: exit %d: %s", code, stderr)
	}
	replayed, err := scenario.ReadSchedule(strings.Replace(saved[0], out, again, 1))
	if err != nil || replayed.Faults.String() != first.Faults.String() {
		t.Errorf("replayed %v, %v; want %v", replayed.Faults, err, first.Faults)
	}
	stdout, _, _ := holdfast(t, "run", file, "--dry-run", "--output", "json")
	var plan struct{ Faults []string }
	if err := json.Unmarshal([]byte(stdout), &plan); err != nil || strings.Join(plan.Faults, "\n")+"\n" != first.Faults.String() {
		t.Errorf("--dry-run says %v, %v; the run did %v", plan.Faults, err, first.Faults)
	}
}

// TestEmbeddedScenarios runs every scenario of the library that is for the reference: what its file expects must come out.
func TestEmbeddedScenarios(t *testing.T) {
	needSandbox(t)
	if os.Getenv("HOLDFAST_LONG") != "1" {
		t.Skip("a quarter of an hour: set HOLDFAST_LONG=1")
	}
	for _, name := range scenario.Names() {
		s, err := scenario.Embedded(name)
		if err != nil {
			t.Fatal(err)
		}
		if !s.For("reference:rocketmq-5") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			got := runScenario(t, name, "--cuts", "1")
			for i := range got.result.Cells {
				c := &got.result.Cells[i]
				if c.Verdict == result.Inconclusive || len(c.Unmet()) > 0 {
					t.Errorf("%s: %s, not met %+v, %v: %s", c.ID, c.Verdict, c.Unmet(), c.Reasons, got.stderr)
				}
			}
		})
	}
}
