package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"holdfast/reports/result"
)

// savedResults copies the sample of the reports into a directory of its own.
func savedResults(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("reports", "testdata", result.FileName))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, result.FileName), data, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestReportCommand(t *testing.T) {
	for _, row := range []struct {
		says  string
		flags []string
		want  []string // in this order
	}{
		{"text", nil, []string{"brokerRole", "Power loss of the master, it returns", "Answer", "lost acknowledged messages", "broker.conf of each row", "index.html"}},
		{"markdown", []string{"--format", "markdown"}, []string{"lost acknowledged messages", "| --- |", "| SYNC_MASTER/2 |"}},
		{"json", []string{"--output", "json"}, []string{`"schema":1`, `"cells":[`}},
	} {
		dir := savedResults(t)
		cmd := newReportCommand()
		var out bytes.Buffer
		cmd.SetOut(&out)
		cmd.SetArgs(append(row.flags, dir))
		if err := cmd.Execute(); err != nil {
			t.Errorf("%s: %v", row.says, err)
			continue
		}
		rest := out.String()
		for _, word := range row.want {
			_, after, found := strings.Cut(rest, word)
			if !found {
				t.Errorf("%s: %q is not there, or not after what should precede it", row.says, word)
				break
			}
			rest = after
		}
		for _, name := range []string{"index.html", "junit.xml"} {
			if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
				t.Errorf("%s: %v", row.says, err)
			}
		}
	}
}

func TestReportRefuses(t *testing.T) {
	broken := savedResults(t)
	path := filepath.Join(broken, result.FileName)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data[:len(data)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		says string
		args []string
		code int
		want string
	}{
		{"no results there", []string{t.TempDir()}, exitUsage, "holds no results"},
		{"half a file", []string{broken}, exitUsage, path},
		{"an unknown format", []string{"--format", "pdf", savedResults(t)}, exitUsage, "--format"},
		{"an unknown output", []string{"--output", "xml", savedResults(t)}, exitUsage, "--output"},
		{"no directory", nil, exitUsage, "arg"},
		{"an unknown flag", []string{"--colour", "."}, exitUsage, "--colour"},
	} {
		cmd := newReportCommand()
		cmd.SilenceErrors, cmd.SilenceUsage = true, true
		cmd.SetArgs(append([]string{}, row.args...))
		var out bytes.Buffer
		cmd.SetOut(&out)
		err := cmd.Execute()
		if err == nil || exitCode(err, false) != row.code || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v (exit %d), want exit %d and %q", row.says, err, exitCode(err, false), row.code, row.want)
		}
		if out.Len() > 0 {
			t.Errorf("%s: printed %q", row.says, out.String())
		}
	}
}
