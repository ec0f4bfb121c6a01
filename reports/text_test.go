package reports

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"holdfast/reports/result"
)

func TestTextGolden(t *testing.T) {
	golden(t, "text-120.txt", Text(sample(12), "out/sample", 120, false))
	golden(t, "text-80.txt", Text(sample(12), "out/sample", 80, false))
	golden(t, "markdown.md", Markdown(sample(12)))
	golden(t, "wide-120.txt", Text(wide(), "out/wide", 120, false))
	golden(t, "scenario-120.txt", Scenario(scenarioRun(), "out/run", 120, false))
}

// TestResultsGolden holds the form of results.json: a field that changes its name or its unit changes this file.
func TestResultsGolden(t *testing.T) {
	path := filepath.Join(t.TempDir(), result.FileName)
	if *rewrite {
		path = filepath.Join("testdata", result.FileName)
	}
	if err := sample(12).Write(path); err != nil {
		t.Fatal(err)
	}
	got, err := result.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(got, sample(12)); diff != "" {
		t.Errorf("written and read again: got -, want +:\n%s", diff)
	}
	saved, err := result.Read("testdata")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(saved, sample(12)); diff != "" {
		t.Errorf("testdata: got -, want +:\n%s", diff)
	}
}

// TestScenarioResultsGolden does so for the fields that a scenario fills, which a matrix may not have.
func TestScenarioResultsGolden(t *testing.T) {
	r := scenarioRun()
	r.Cells[0].Trials[0].Predicted, r.Cells[0].Trials[0].PredictedBytes = new(2000.5), new(int64(2_200_000))
	r.Cells[0].RPO = result.PoolRPO(r.Cells[0].Trials)
	path := filepath.Join("testdata", "scenario.json")
	if *rewrite {
		if err := r.Write(path); err != nil {
			t.Fatal(err)
		}
	}
	saved, err := result.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(saved, r); diff != "" {
		t.Errorf("%s: got -, want +:\n%s", path, diff)
	}
}

// commands begin the lines that are never broken.
var commands = regexp.MustCompile(`^  (holdfast |repeat: |history: |[0-9]+ more findings?: )`)

// TestTextFits holds every width from 80 columns on; commands and paths are never broken.
func TestTextFits(t *testing.T) {
	for width := 80; width <= 160; width++ {
		text := Text(sample(0), "", width, false) + Scenario(scenarioRun(), "", width, false)
		if width%20 == 0 { // it is long
			text += Text(wide(), "", width, false)
		}
		for line := range strings.Lines(text) {
			line = strings.TrimSuffix(line, "\n")
			if utf8.RuneCountInString(line) > width && !commands.MatchString(line) {
				t.Fatalf("a line of %d columns in a terminal of %d: %q", utf8.RuneCountInString(line), width, line)
			}
		}
	}
}

// TestColourChangesNothingElse: colours must not move a column.
func TestColourChangesNothingElse(t *testing.T) {
	coloured := Text(sample(0), "", 120, true)
	if !strings.Contains(coloured, "\x1b[") {
		t.Fatal("no colours where they were asked for")
	}
	if diff := cmp.Diff(escapes.ReplaceAllString(coloured, ""), Text(sample(0), "", 120, false)); diff != "" {
		t.Errorf("coloured -, plain +:\n%s", diff)
	}
}

func TestWords(t *testing.T) {
	for _, row := range []struct{ got, want string }{
		{count(0), "0"}, {count(999), "999"}, {count(34150), "34,150"}, {count(-1234567), "-1,234,567"},
		{rate(212345), "212,000"}, {rate(97_250), "97,300"}, {rate(3.4), "3"}, {rate(1000), "1,000"},
		{millis(0.2134), "0.21"}, {millis(12.34), "12.3"}, {millis(261.4), "261"}, {millis(1310), "1,310"}, {millis(0), "0"},
		{span(0.0312), "31 us"}, {span(0.2), "0.20 ms"}, {span(1310), "1.3 s"},
		{lasting(40 * time.Second), "40 s"}, {lasting(170 * time.Second), "2 min 50 s"}, {lasting(2 * time.Minute), "2 min"}, {lasting(65 * time.Minute), "1 h 5 min"},
		{percent(0.6316), "63%"}, {percent(0.0487), "5%"}, {percent(0.999), "99%"}, {percent(1), "100%"},
		{plural(1, "cut"), "1 cut"}, {plural(3, "cut"), "3 cuts"},
		{tickLabel(0), "0"}, {tickLabel(0.1 + 0.2), "0.3"}, {tickLabel(2.5), "2.5"}, {tickLabel(1000), "1,000"},
		{list(nil), ""}, {list([]string{"a"}), "a"}, {list([]string{"a", "b", "c"}), "a, b and c"},
		{faultTitle("power", "master", "promoted"), "power loss of the master, the slave is promoted"},
		{faultTitle("power", "all", "returns"), "power loss of all nodes, they return"},
		{faultClause("kill", "all", "returns"), "when all nodes were killed (kill -9) and returned"},
		{faultClause("clog", "slave", ""), "when the slave suffered clog"},
		{wrap("one two  three", 7, "  "), "one two\n  three\n"},
	} {
		if row.got != row.want {
			t.Errorf("got %q, want %q", row.got, row.want)
		}
	}
}
