package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"holdfast/nemesis"
	"holdfast/scenarios/scenario"
)

func TestRunExitCodes(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := write("good.yaml", "scenario: good\nshows: x\nfaults: [{kind: kill}]\n")
	bad := write("bad.yaml", "scenario: bad\nshows: x\nfualts: []\n")
	saved := filepath.Join(dir, "saved.yaml")
	schedule := scenario.Saved{Seed: 77, Faults: nemesis.Schedule{{Kind: nemesis.Pause, Target: nemesis.Slave, For: 1e9}}}
	if err := scenario.WriteSchedule(saved, schedule); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		args   []string
		code   int
		stdout string
	}{
		{"list", []string{"--list"}, 0, "power-returns                The master loses power and returns"},
		{"list with a scenario", []string{"--list", "healthy"}, 64, ""},
		{"no scenario", nil, 64, ""},
		{"two scenarios", []string{"healthy", "trickle"}, 64, ""},
		{"an unknown one", []string{"powre-returns", "--dry-run"}, 64, ""},
		{"an embedded one", []string{"power-promoted", "--dry-run"}, 0, "+0s power of master, then promoted\n"},
		{"no fault", []string{"healthy", "--dry-run"}, 0, "no faults\n"},
		{"a file", []string{good, "--dry-run"}, 0, "+0s kill of master, then returns\n"},
		{"a bad file", []string{bad, "--dry-run"}, 64, ""},
		{"a file that is not there", []string{good + ".yaml", "--dry-run"}, 64, ""},
		{"a saved schedule", []string{good, "--dry-run", "--schedule", saved}, 0, "seed 77\n"},
		{"a schedule that is a scenario", []string{good, "--dry-run", "--schedule", good}, 64, ""},
		{"other contracts", []string{"trickle", "--dry-run", "--contracts", "SYNC_MASTER+SYNC_FLUSH"}, 0, "contract SYNC_MASTER/1+SYNC_FLUSH\ncontract SYNC_MASTER/2+SYNC_FLUSH\n"},
		{"an unknown contract", []string{"trickle", "--dry-run", "--contracts", "SOME_MASTER"}, 64, ""},
		{"a contract that the system does not have", []string{"trickle", "--dry-run", "--system", "rocketmq:4.9.7", "--contracts", "SYNC_MASTER/1+ASYNC_FLUSH"}, 64, ""},
		{"a system that it is not for", []string{"clock-jump", "--dry-run", "--system", "rocketmq:5.5.0"}, 64, ""},
		{"an unknown system", []string{"trickle", "--dry-run", "--system", "mongo"}, 64, ""},
		{"an unknown world", []string{"trickle", "--dry-run", "--world", "moon"}, 64, ""},
		{"an unknown output", []string{"trickle", "--dry-run", "--output", "xml"}, 64, ""},
		{"no cuts", []string{"trickle", "--dry-run", "--cuts", "-1"}, 64, ""},
		{"no repetition", []string{"trickle", "--dry-run", "--repeat", "0"}, 64, ""},
		{"other cuts", []string{"trickle", "--dry-run", "--cuts", "9"}, 0, "9 cuts"},
		{"a plan's own seed", []string{"random-mix", "--dry-run"}, 0, "seed 7\n"},
		{"another seed", []string{"random-mix", "--dry-run", "--seed", "8"}, 0, "seed 8\n"},
		{"an unknown flag", []string{"trickle", "--colour"}, 64, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			stdout, _, code := runCommand(t, append([]string{"run"}, c.args...)...)
			if code != c.code || !strings.Contains(stdout, c.stdout) || c.stdout == "" && stdout != "" {
				t.Errorf("got code %d, stdout %q", code, stdout)
			}
		})
	}
}

func TestRunListAsJSON(t *testing.T) {
	stdout, _, code := runCommand(t, "run", "--list", "--output", "json")
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	if code != 0 || len(lines) != len(scenario.Names()) {
		t.Fatalf("code %d, %d lines of %d scenarios", code, len(lines), len(scenario.Names()))
	}
	for _, line := range lines {
		var l listed
		if err := json.Unmarshal([]byte(line), &l); err != nil || l.Name == "" || l.Shows == "" {
			t.Errorf("%s: %v", line, err)
		}
	}
}

func TestRunPlanAsJSON(t *testing.T) {
	stdout, _, code := runCommand(t, "run", "power-all", "--dry-run", "--output", "json", "--contracts", "ASYNC_MASTER+ASYNC_FLUSH")
	want := `{"scenario":"power-all","system":"reference:rocketmq-5","contracts":["ASYNC_MASTER+ASYNC_FLUSH"],"cuts":3,"seed":1,"faults":["+0s power of all, then returns"]}` + "\n"
	if code != 0 || stdout != want {
		t.Errorf("code %d, %s", code, stdout)
	}
}

func TestSchemaCommand(t *testing.T) {
	for _, row := range []struct {
		args []string
		want []byte
	}{{[]string{"schema"}, scenario.Schema()}, {[]string{"schema", "--schedule"}, scenario.ScheduleSchema()}} {
		stdout, _, code := runCommand(t, row.args...)
		if code != 0 || stdout != string(row.want) {
			t.Errorf("%v: code %d, %d bytes, want %d", row.args, code, len(stdout), len(row.want))
		}
	}
}
