package reports

import (
	"bytes"
	"encoding/xml"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"holdfast/reports/result"
)

// escapes are the sequences that colour a terminal.
var escapes = regexp.MustCompile("\x1b\\[[0-9;]*m")

var (
	tags  = regexp.MustCompile(`(?s)<(/?)([a-zA-Z][a-zA-Z0-9]*)((?:\s+[a-zA-Z:-]+(?:="[^"<>]*")?)*)\s*(/?)>`)
	style = regexp.MustCompile(`(?s)<style>.*?</style>`)
	ids   = regexp.MustCompile(`\sid="([^"]*)"`)
	refs  = regexp.MustCompile(`href="([^"]*)"`)
)

// void are the elements of HTML without an end.
var void = map[string]bool{"meta": true, "br": true}

// wellFormed says what is wrong with the nesting of a page, "" when nothing is.
func wellFormed(page string) string {
	_, body, _ := strings.Cut(page, "<!DOCTYPE html>")
	body = style.ReplaceAllString(body, "")
	var open []string
	for _, m := range tags.FindAllStringSubmatch(body, -1) {
		closing, name, selfClosed := m[1] == "/", m[2], m[4] == "/"
		switch {
		case void[name] || selfClosed:
		case !closing:
			open = append(open, name)
		case len(open) == 0 || open[len(open)-1] != name:
			return "</" + name + "> after " + strings.Join(open, " ")
		default:
			open = open[:len(open)-1]
		}
	}
	if rest := tags.ReplaceAllString(body, ""); strings.ContainsAny(rest, "<>") {
		at := strings.IndexAny(rest, "<>")
		return "a stray bracket: " + rest[max(at-40, 0):min(at+40, len(rest))]
	}
	return strings.Join(open, " ")
}

func TestPageOfEverySituation(t *testing.T) {
	for _, s := range append(situations, situation{"twelve columns", wide}, situation{"a scenario", scenarioRun}) {
		r := s.make()
		page, err := Page(r)
		if err != nil {
			t.Fatalf("%s: %v", s.says, err)
		}
		text := string(page)
		if wrong := wellFormed(text); wrong != "" {
			t.Errorf("%s: not well formed: %s", s.says, wrong)
		}
		for _, outside := range []string{"http:", "https:", "//", "src=", "url(", "@import", "<script", "<link", "<iframe", "NaN", "+Inf"} {
			if strings.Contains(text, outside) {
				t.Errorf("%s: the page contains %q", s.says, outside)
			}
		}
		targets := map[string]bool{}
		for _, m := range ids.FindAllStringSubmatch(text, -1) {
			if targets[m[1]] {
				t.Errorf("%s: the id %q stands twice", s.says, m[1])
			}
			targets[m[1]] = true
		}
		for _, m := range refs.FindAllStringSubmatch(text, -1) {
			if !strings.HasPrefix(m[1], "#") || !targets[m[1][1:]] {
				t.Errorf("%s: a link to %q leads nowhere", s.says, m[1])
			}
		}
		if again, err := Page(r); err != nil || !bytes.Equal(again, page) {
			t.Errorf("%s: the same result gives another page: %v", s.says, err)
		}
	}
}

func TestPageShowsAll(t *testing.T) {
	page, err := Page(sample(40))
	if err != nil {
		t.Fatal(err)
	}
	text := string(page)
	for _, part := range []struct {
		says, part string
		want       int
	}{
		{"a plot of throughput, one of latency, one of each RPO, and two of each fault cell", "<svg ", 2 + 3 + 2*24},
		{"plots named for those who do not see them", `role="img" aria-label="`, 2 + 3 + 2*24},
		{"a row names its contract in every table", `<th scope="row">`, 6 + 6 + 6 + 4*6 + 3*6 + 24*3 + 6},
		{"tables have captions", "<caption>", 1 + 1 + 1 + 4 + 3 + 24},
		{"a section a fault cell", "<details ", 24},
		{"the time in which a node is down, shaded", `fill:var(--down)`, 2 * 24},
		{"the time in which it recovers, shaded", `fill:var(--heal)`, 2 * 24},
	} {
		if got := strings.Count(text, part.part); got != part.want {
			t.Errorf("%s: %d times %s, want %d", part.says, got, part.part, part.want)
		}
	}
	if strings.Contains(text, "#0101") || strings.Contains(text, "#0102") {
		t.Error("an ink was not replaced by the page's colour")
	}
}

func TestPageEscapes(t *testing.T) {
	const evil = `<script>alert("x")</script>&`
	r := edit(sample(5), 4, "power-all", func(c *result.Cell) {
		c.Verdict, c.Reasons, c.Repeat = result.Violated, []string{evil}, evil
		c.Findings = []result.Finding{{Anomaly: evil, Explain: evil}}
		c.Shows, c.Schedule = evil, []result.ScheduleStep{{Kind: evil, Params: evil}}
		c.Expect, c.Harness = []result.Expectation{{What: evil, Want: evil, Got: evil}}, map[string]result.Process{evil: {StallMS: 200}}
		c.Trials[0].Faults = []result.FaultEffect{{Name: evil, Nodes: []string{evil}, Effect: map[string]int64{evil: 1}}}
	})
	r.Notes, r.Host.CPU = []string{evil}, evil
	r.Put(result.Cell{ID: "evil", Contract: result.Contract{Name: evil + `"`}, Fault: "power", Target: "master", Recovery: evil, Verdict: result.Kept,
		Timeline: sampleTimeline(5, 20), Throughput: result.NewThroughput([]float64{1})})
	r.Put(result.Cell{ID: "evil.none", Contract: result.Contract{Name: evil + `"`}, Fault: result.NoFault, Verdict: result.Kept, Throughput: result.NewThroughput([]float64{1})})
	page, err := Page(r)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(page), "<script") {
		t.Error("text of the result became markup")
	}
	if wrong := wellFormed(string(page)); wrong != "" {
		t.Error(wrong)
	}
}

// TestPlotsOfStrangeFigures: no figure may stop the page, for it is all that remains of a run.
func TestPlotsOfStrangeFigures(t *testing.T) {
	for _, row := range []struct {
		says   string
		change func(r *result.Result)
	}{
		{"a throughput of zero", func(r *result.Result) {
			for i := range r.Cells {
				if r.Cells[i].IsPerformance() {
					r.Cells[i].Throughput = result.NewThroughput([]float64{0})
				}
			}
		}},
		{"a flat latency", func(r *result.Result) {
			for i := range r.Cells {
				if l := r.Cells[i].Latency; l != nil {
					l.Curve = []result.Point{{Percentile: 50, Value: 1}, {Percentile: 99, Value: 1}, {Percentile: 100, Value: 1}}
				}
			}
		}},
		{"latencies of zero", func(r *result.Result) {
			for i := range r.Cells {
				if l := r.Cells[i].Latency; l != nil {
					l.Curve = []result.Point{{Percentile: 0, Value: 0}, {Percentile: 99, Value: 0}}
				}
			}
		}},
		{"one operation, no fault line", func(r *result.Result) {
			edit(r, 0, "power-all", func(c *result.Cell) { c.Timeline = &result.Timeline{Ops: []result.Op{{Fate: result.FateUnknown}}} })
		}},
		{"no operation", func(r *result.Result) {
			edit(r, 0, "power-all", func(c *result.Cell) { c.Timeline = &result.Timeline{} })
		}},
		{"a series of another time", func(r *result.Result) {
			edit(r, 0, "power-all", func(c *result.Cell) { c.Series.StartMS = 1e7 })
		}},
		{"an hour of load", func(r *result.Result) {
			edit(r, 0, "power-all", func(c *result.Cell) { c.Timeline.EndMS = 3.6e6 })
		}},
		{"one cut, predicted", func(r *result.Result) {
			edit(r, 0, "power-all", func(c *result.Cell) { c.Trials = c.Trials[:1]; c.Trials[0].Predicted = new(400.0) })
		}},
		{"two cuts at one instant, nothing predicted", func(r *result.Result) {
			edit(r, 0, "power-all", func(c *result.Cell) {
				for i := range c.Trials {
					c.Trials[i].SinceSyncMS, c.Trials[i].Predicted = 1, new(0.0)
				}
			})
		}},
		{"cuts of which nobody knows the last fsync", func(r *result.Result) {
			edit(r, 0, "power-all", func(c *result.Cell) {
				for i := range c.Trials {
					c.Trials[i].SinceSyncMS = 0
				}
			})
		}},
		{"a fault without heal", func(r *result.Result) {
			edit(r, 0, "power-all", func(c *result.Cell) { c.Timeline.Marks = c.Timeline.Marks[:1] })
		}},
	} {
		r := without(sample(20), func(c *result.Cell) bool {
			return !c.IsPerformance() && (c.Contract != sampleContracts[0] || c.Column() != "power-all")
		})
		row.change(r)
		page, err := Page(r)
		if err != nil || wellFormed(string(page)) != "" || strings.Contains(string(page), "NaN") {
			t.Errorf("%s: %v %s", row.says, err, wellFormed(string(page)))
		}
	}
}

// TestPageOfAScenario: what a scenario did, wanted and measured stands on the page.
func TestPageOfAScenario(t *testing.T) {
	page, err := Page(scenarioRun())
	if err != nil {
		t.Fatal(err)
	}
	text := string(page)
	for _, part := range []struct {
		part string
		want int
	}{
		{"<caption>Schedule</caption>", 2}, {"<caption>Expectations</caption>", 2}, {"<caption>Faults</caption>", 2},
		{">FAILED<", 1}, {"has nothing left of what only it had acknowledged.", 1 + 2}, {">packets 812<", 2},
		{"longest stall 204 ms (WARNING: too long)", 1}, {"840 ms / 861 ms", 2}, {`<details id=`, 2}, {" open><summary>", 1},
	} {
		if got := strings.Count(text, part.part); got != part.want {
			t.Errorf("%q stands %d times, want %d", part.part, got, part.want)
		}
	}
}

// TestJUnitOfExpectations: what came out otherwise than expected is a failure, whatever its verdict; met expectations excuse nothing.
func TestJUnitOfExpectations(t *testing.T) {
	for _, row := range []struct {
		says             string
		verdict          result.Verdict
		met              bool
		failure, skipped int
	}{
		{"as expected", result.LossWithinContract, true, 0, 0},
		{"kept, though a loss was expected", result.Kept, false, 1, 0},
		{"inconclusive", result.Inconclusive, true, 0, 1},
		{"inconclusive, and not as expected", result.Inconclusive, false, 1, 0},
		{"violated, though as expected", result.Violated, true, 1, 0},
	} {
		r := without(scenarioRun(), func(c *result.Cell) bool { return c.Contract == sampleContracts[4] })
		r.Cells[0].Verdict, r.Cells[0].Expect[0].Met, r.Cells[0].Reasons = row.verdict, row.met, []string{"because"}
		data, err := JUnit(r)
		if err != nil {
			t.Fatal(err)
		}
		var got junitSuites
		if err := xml.Unmarshal(data, &got); err != nil {
			t.Fatal(err)
		}
		s := got.Suites[0]
		if s.Failures != row.failure || s.Skipped != row.skipped {
			t.Errorf("%s: %d failures, %d skipped; want %d, %d", row.says, s.Failures, s.Skipped, row.failure, row.skipped)
		}
		if !row.met && !strings.Contains(string(data), "expectation failed: verdict: want loss-within-contract") {
			t.Errorf("%s: the file does not say what was expected:\n%s", row.says, data)
		}
	}
}

func TestJUnit(t *testing.T) {
	r := edit(situations[1].make(), 5, "power-all", func(c *result.Cell) { c.Verdict, c.Reasons = result.Violated, []string{"lost although a copy lived"} })
	edit(r, 5, "kill-returns", func(c *result.Cell) { c.Verdict, c.Reasons = result.Inconclusive, []string{"no complete read"} })
	data, err := JUnit(r)
	if err != nil {
		t.Fatal(err)
	}
	var got junitSuites
	if err := xml.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	type sums struct{ tests, failures, skipped int }
	want := map[string]sums{
		"throughput and latency":                          {6, 0, 0},
		"kill -9 of the master, it returns":               {6, 0, 1},
		"power loss of the master, it returns":            {6, 1, 0}, // the control lost nothing
		"power loss of the master, the slave is promoted": {6, 0, 0},
		"power loss of all nodes, they return":            {6, 1, 0},
	}
	for _, s := range got.Suites {
		if w := want[s.Name]; w != (sums{s.Tests, s.Failures, s.Skipped}) {
			t.Errorf("%s: %d tests, %d failures, %d skipped; want %+v", s.Name, s.Tests, s.Failures, s.Skipped, w)
		}
		delete(want, s.Name)
	}
	if len(want) > 0 {
		t.Errorf("suites not there: %v", want)
	}
}

func TestWriteFiles(t *testing.T) {
	dir := t.TempDir()
	if err := WriteFiles(dir, sample(5)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{PageName, JUnitName} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := WriteFiles(filepath.Join(dir, "no"), sample(5)); err == nil {
		t.Error("a directory that is not there: no error")
	}
}
