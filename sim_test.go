package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"holdfast/reports/result"
	"holdfast/scenarios/scenario"
)

func TestSimRefusesWrongUsage(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.yaml")
	if err := os.WriteFile(bad, []byte("scenario: bad\nshows: Nothing.\nmarks: [moon reached]\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		args []string
		says string
	}{
		{"no scenario", nil, "1 arg"},
		{"an unknown scenario", []string{"strom"}, "storm"},
		{"a real system", []string{"storm", "--system", "rocketmq:5.5.0"}, "reference broker alone"},
		{"seeds that go back", []string{"storm", "--seeds", "9..3"}, "A..B"},
		{"a seed and seeds", []string{"storm", "--seed", "1", "--seeds", "1..3"}, "exclude"},
		{"a shard beyond", []string{"storm", "--shard", "3/2"}, "I/N"},
		{"a trace of many", []string{"storm", "--trace"}, "one run"},
		{"an unknown contract", []string{"storm", "--contracts", "SOME_MASTER"}, "SOME_MASTER"},
		{"a version that is another program", []string{"rolling-upgrade"}, "rolling-upgrade"},
		{"an unknown output", []string{"storm", "--output", "xml"}, "json"},
		{"an unknown mark", []string{bad}, "bad.yaml:3"},
		{"a used directory", []string{"storm", "--out", dir}, "not empty"},
		{"too many workers", []string{"storm", "--workers", "5000"}, "1024"},
	} {
		t.Run(c.name, func(t *testing.T) {
			stdout, stderr, code := runCommand(t, append([]string{"sim"}, c.args...)...)
			if code != exitUsage || stdout != "" || !strings.Contains(stderr, c.says) {
				t.Errorf("code %d, stdout %q, stderr %q; want 64 and %q", code, stdout, stderr, c.says)
			}
		})
	}
}

// TestSimAsJSON: an object a seed, the same whoever runs it, and the exit code of the worst.
func TestSimAsJSON(t *testing.T) {
	args := []string{"sim", "power-returns-then-promoted", "--contracts", "SYNC_MASTER/2+ASYNC_FLUSH", "--seeds", "1..4", "--keep-going", "--output", "json"}
	stdout, stderr, code := runCommand(t, args...)
	again, _, _ := runCommand(t, append(args, "--workers", "1")...)
	if stdout != again {
		t.Errorf("two runs of the same seeds differ:\n%s\n%s", stdout, again)
	}
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	if code != exitViolated || len(lines) != 4 {
		t.Fatalf("code %d, %d lines: %s", code, len(lines), stderr)
	}
	for i, text := range lines {
		var line seedLine
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatal(err)
		}
		if line.Seed != uint64(i+1) || len(line.TraceHash) != 16 || line.Faults != 2 || line.Messages == 0 || line.Anomalies == nil {
			t.Errorf("got %+v", line)
		}
	}
}

// TestSimShrinks what it found into a file that anybody can run.
func TestSimShrinks(t *testing.T) {
	dir := t.TempDir()
	stdout, stderr, code := runCommand(t, "sim", "power-returns-then-promoted", "--contracts", "SYNC_MASTER/2+ASYNC_FLUSH", "--seeds", "1..20", "--shrink", "--shrink-runs", "60", "--out", dir)
	if code != exitViolated || !strings.Contains(stdout, "Shrunk in") {
		t.Fatalf("code %d: %s%s", code, stdout, stderr)
	}
	s, err := result.ReadSim(dir)
	if err != nil || len(s.Failures) != 2 || !s.Failures[1].Shrunk {
		t.Fatalf("%v, %+v", err, s)
	}
	small := s.Failures[1]
	if small.Faults > 2 || small.Messages > s.Failures[0].Messages || len(small.Findings) == 0 {
		t.Errorf("got %+v of %+v", small, s.Failures[0])
	}
	words := strings.Fields(small.Replay) // bin/holdfast sim FILE ...
	stdout, stderr, code = runCommand(t, append(words[1:], "--output", "json")...)
	if code != exitViolated || !strings.Contains(stdout, small.TraceHash) {
		t.Errorf("%s: code %d, %s%s", small.Replay, code, stdout, stderr)
	}
	svg, err := os.ReadFile(filepath.Join(dir, "spacetime.svg"))
	if err != nil || !strings.Contains(string(svg), "a-0") || !strings.Contains(string(svg), " of [a-0]") {
		t.Errorf("no diagram: %v", err)
	}
	page, err := os.ReadFile(filepath.Join(dir, "index.html"))
	if err != nil || !strings.Contains(string(page), "<svg") || !strings.Contains(string(page), "scenario: shrunk") {
		t.Errorf("no page: %v", err)
	}
	if _, err := scenario.Load(filepath.Join(dir, "shrunk.yaml")); err != nil {
		t.Error(err)
	}
}

// TestSimMissesAMark fails a search that never was where its scenario wants it to be.
func TestSimMissesAMark(t *testing.T) {
	file := filepath.Join(t.TempDir(), "calm.yaml")
	if err := os.WriteFile(file, []byte("scenario: calm\nshows: Nothing happens.\nmarks: [group commit of several, torn tail recovered]\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, stderr, code := runCommand(t, "sim", file, "--contracts", "ASYNC_MASTER+SYNC_FLUSH", "--seeds", "1..3")
	if code != exitInconclusive || !strings.Contains(stderr, "never reached: torn tail recovered") || strings.Contains(stderr, "group commit") {
		t.Errorf("code %d: %s", code, stderr)
	}
}

// TestSimShardsAreJoined: the halves of a search are the whole, and a half is no whole.
func TestSimShardsAreJoined(t *testing.T) {
	dir := t.TempDir()
	one, two, whole := filepath.Join(dir, "1"), filepath.Join(dir, "2"), filepath.Join(dir, "whole")
	for _, part := range []struct{ shard, out string }{{"1/2", one}, {"2/2", two}, {"1/1", whole}} {
		if _, stderr, code := runCommand(t, "sim", "healthy", "--contracts", "ASYNC_MASTER+SYNC_FLUSH", "--seeds", "1..5", "--shard", part.shard, "--out", part.out); code != 0 {
			t.Fatalf("shard %s: code %d: %s", part.shard, code, stderr)
		}
	}
	stdout, stderr, code := runCommand(t, "report", "merge", one, two, "--output", "json")
	if code != 0 {
		t.Fatalf("code %d: %s", code, stderr)
	}
	var merged result.Sim
	if err := json.Unmarshal([]byte(stdout), &merged); err != nil {
		t.Fatal(err)
	}
	want, err := result.ReadSim(whole)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := merged.Rows[0], want.Rows[0]; got.Seeds != 5 || got.Operations != want.Operations || got.Verdicts["kept"] != want.Verdicts["kept"] || got.Marks["not closed"] != want.Marks["not closed"] {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for _, args := range [][]string{{one}, {one, one}, {one, whole}, {dir}} {
		if _, stderr, code := runCommand(t, append([]string{"report", "merge"}, args...)...); code != exitUsage {
			t.Errorf("merge %v: code %d: %s", args, code, stderr)
		}
	}
}

// TestWorldSim runs a scenario as the real worlds do, without any of theirs.
func TestWorldSim(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	stdout, stderr, code := runCommand(t, "run", "power-returns", "--world", "sim", "--cuts", "2", "--contracts", "ASYNC_MASTER+ASYNC_FLUSH", "--out", out)
	if code != 0 || !strings.Contains(stdout, "all expectations met") {
		t.Fatalf("code %d: %s%s", code, stdout, stderr)
	}
	r, err := result.Read(out)
	if err != nil || r.World != "sim" || len(r.Cells) != 1 || result.Sum(r.Cells[0].Lost) == 0 {
		t.Errorf("%v, %+v", err, r)
	}
	if _, stderr, code := runCommand(t, "run", "power-returns", "--world", "sim", "--system", "rocketmq:5.5.0"); code != exitUsage {
		t.Errorf("a real system in the simulator: code %d: %s", code, stderr)
	}
}
