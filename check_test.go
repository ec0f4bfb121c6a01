package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// runCommand runs the tool as a shell would and returns what it printed and its exit code.
func runCommand(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	root := newRootCommand()
	root.SetArgs(args)
	root.SetOut(&out)
	root.SetErr(&errs)
	if err := root.Execute(); err != nil {
		code = exitCode(err, false)
		errs.WriteString(err.Error()) // as main prints it
	}
	return out.String(), errs.String(), code
}

func TestCheckExitCodes(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.jsonl")
	if err := os.WriteFile(bad, []byte(`{"history":1,"masters":{}}`+"\n\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	fixture := func(name string) string { return "checker/testdata/" + name + ".jsonl" }
	for _, c := range []struct {
		name   string
		args   []string
		code   int
		stderr string
		stdout string
	}{
		{"kept", []string{fixture("kept")}, 0, "", "KEPT, linearizable: valid\n"},
		{"lost within the contract", []string{fixture("power-loss-master")}, 0, "", "LOSS-WITHIN-CONTRACT"},
		{"violated", []string{fixture("sync-flush-lost-by-a-power-cut")}, 1, "", "VIOLATED"},
		{"inconclusive", []string{fixture("power-cut-without-effect")}, 2, "", "INCONCLUSIVE"},
		{"the worst of several", []string{fixture("kept"), fixture("stale-read"), fixture("no-complete-read")}, 1, "", fixture("kept") + ": KEPT"},
		{"malformed", []string{bad}, 64, bad + ":2: a blank line\n", ""},
		{"malformed among others: no verdicts", []string{fixture("kept"), bad}, 64, bad + ":2: a blank line\n", ""},
		{"not there", []string{filepath.Join(dir, "none")}, 64, "", ""},
		{"no file", nil, 64, "", ""},
		{"another output", []string{"--output", "xml", fixture("kept")}, 64, "", ""},
		{"another flag", []string{"--strict", fixture("kept")}, 64, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			stdout, stderr, code := runCommand(t, append([]string{"check"}, c.args...)...)
			if code != c.code || !strings.HasPrefix(stdout, c.stdout) || c.stdout == "" && stdout != "" || c.stderr != "" && stderr != c.stderr {
				t.Errorf("got code %d, stdout %q, stderr %q", code, stdout, stderr)
			}
		})
	}
}

func TestCheckPrintsJSON(t *testing.T) {
	one, _, code := runCommand(t, "check", "--output", "json", "checker/testdata/power-loss-master.jsonl")
	if code != 0 || strings.Count(one, "\n") != 1 || strings.Contains(one, `"file"`) {
		t.Errorf("code %d: %s", code, one)
	}
	var fields map[string]any
	if err := json.Unmarshal([]byte(one), &fields); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"verdict", "linearizable", "acked", "lost", "unknown", "anomalies", "findings", "reasons"} {
		if fields[name] == nil {
			t.Errorf("no %s in %s", name, one)
		}
	}
	two, _, code := runCommand(t, "check", "--output", "json", "checker/testdata/kept.jsonl", "checker/testdata/hole.jsonl")
	lines := strings.Split(strings.TrimSpace(two), "\n")
	if code != 1 || len(lines) != 2 || !strings.HasPrefix(lines[0], `{"file":"checker/testdata/kept.jsonl","verdict":"kept"`) ||
		!strings.HasPrefix(lines[1], `{"file":"checker/testdata/hole.jsonl","verdict":"violated"`) {
		t.Errorf("code %d: %s", code, two)
	}
}

func TestHistoryCat(t *testing.T) {
	const path = "checker/testdata/power-loss-master.jsonl"
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got, _, code := runCommand(t, "history", "cat", path)
	if code != 0 || got != strings.Replace(string(want), `{"processes":1,"bytesLost":81920}`, `{"bytesLost":81920,"processes":1}`, 1) {
		t.Errorf("code %d:\n%s", code, got)
	}
	if _, _, code := runCommand(t, "history", "cat", filepath.Join(t.TempDir(), "none")); code != 64 {
		t.Errorf("code %d of a file that is not there", code)
	}
}
