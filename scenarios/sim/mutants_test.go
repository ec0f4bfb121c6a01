package sim_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"holdfast/scenarios/sim"
)

var (
	record = flag.Bool("record", false, "write docs/track-record.md")
	only   = flag.String("mutant", "", "run this mutant alone")
)

// mutant is a known-bad variant of the reference broker.
type mutant struct {
	Name     string   `yaml:"name"`
	Row      int      `yaml:"row"` // of the catalogue; 0: none
	Bug      string   `yaml:"bug"`
	File     string   `yaml:"file"`
	Old      string   `yaml:"old"` // stands once in File
	New      string   `yaml:"new"`
	Scenario string   `yaml:"scenario"`
	Contract string   `yaml:"contract"`
	Profile  string   `yaml:"profile"`
	Finds    []string `yaml:"finds"` // anomalies of which one must be violated; empty: whatever breaks a promise
}

// found is how a mutant was found.
type found struct {
	mutant
	seed, seeds      uint64
	anomaly          string
	operations       int64
	seconds          float64
	faults, messages int // of the smallest case
}

// mutantSeeds and mutantTime bound the search for a mutant: one core, which it may have to share.
const (
	mutantSeeds = 3000
	mutantTime  = time.Minute
)

// TestMutants builds each known-bad variant and requires that the search finds it, on the very seeds on which it finds nothing in the
// broker as it is: a search that finds a bug everywhere finds none.
func TestMutants(t *testing.T) {
	if os.Getenv("HOLDFAST_MUTANTS") == "" {
		t.Skip("builds the program some twenty times: make mutants")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	sound := build(t, root, nil)
	var all []found
	for _, m := range mutants(t) {
		if *only != "" && m.Name != *only {
			continue
		}
		t.Run(m.Name, func(t *testing.T) {
			if !*record {
				t.Parallel()
			}
			bad := build(t, root, &m)
			f := search(t, bad, m, 1, mutantSeeds, true)
			if f == nil {
				t.Fatalf("not found in %d seeds or %v: %s", mutantSeeds, mutantTime, m.Bug)
			}
			if again := search(t, sound, m, 1, f.seed, false); again != nil {
				t.Fatalf("seed %d of %s accuses the broker as it is, too: %s", again.seed, m.Scenario, again.anomaly)
			}
			t.Logf("seed %d, %d operations, %.1f s, %s", f.seed, f.operations, f.seconds, f.anomaly)
			if *record { // else another may do so, too
				all = append(all, *f)
			}
		})
	}
	if *record && *only == "" && !t.Failed() {
		writeRecord(t, filepath.Join(root, "docs", "track-record.md"), all)
	}
}

// mutants reads the list.
func mutants(t *testing.T) []mutant {
	t.Helper()
	data, err := os.ReadFile("testdata/mutants.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var all []mutant
	if err := yaml.UnmarshalWithOptions(data, &all, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	for i := range all {
		if all[i].Profile == "" {
			all[i].Profile = "rocketmq-5"
		}
	}
	return all
}

// TestMutantsFit holds the list against the source: what is replaced stands there exactly once, so that a mutant is what it says.
func TestMutantsFit(t *testing.T) {
	all := mutants(t)
	if len(all) < 15 {
		t.Errorf("%d mutants, want 15 or more", len(all))
	}
	for _, m := range all {
		src, err := os.ReadFile(filepath.Join("../..", m.File))
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(src), m.Old); n != 1 {
			t.Errorf("%s: what it replaces stands %d times in %s, want once: %q", m.Name, n, m.File, m.Old)
		}
	}
}

// build builds the program, with a mutant's text in place of the original's; nil: as it is.
func build(t *testing.T, root string, m *mutant) string {
	t.Helper()
	dir := t.TempDir()
	binary := filepath.Join(dir, "holdfast")
	args := []string{"build", "-ldflags=-s -w", "-o", binary}
	if m != nil {
		original := filepath.Join(root, m.File)
		src, err := os.ReadFile(original)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Count(string(src), m.Old) != 1 {
			t.Fatalf("%s does not hold once what %s replaces", m.File, m.Name)
		}
		changed := filepath.Join(dir, "mutant.go")
		if err := os.WriteFile(changed, []byte(strings.Replace(string(src), m.Old, m.New, 1)), 0o644); err != nil {
			t.Fatal(err)
		}
		overlay, err := json.Marshal(map[string]map[string]string{"Replace": {original: changed}})
		if err != nil {
			t.Fatal(err)
		}
		list := filepath.Join(dir, "overlay.json")
		if err := os.WriteFile(list, overlay, 0o644); err != nil {
			t.Fatal(err)
		}
		args = append(args, "-overlay", list)
	}
	cmd := exec.Command("go", append(args, ".")...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return binary
}

// search runs seeds until one breaks a promise in a way that the mutant names, on one core. shrink makes it as small as it gets.
func search(t *testing.T, binary string, m mutant, from, to uint64, shrink bool) *found {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*mutantTime)
	defer cancel()
	began := time.Now()
	cmd := simulate(ctx, binary, m, fmt.Sprintf("--seeds=%d..%d", from, to), "--keep-going", "--output=json")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cancel()
		_ = cmd.Wait() // it was ended, or has ended
	}()
	f := &found{mutant: m}
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line struct {
			Seed       uint64
			Verdict    string
			Violated   []string
			Reasons    []string
			Stuck      bool
			Operations int64
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatalf("%v: %s", err, lines.Bytes())
		}
		f.operations += line.Operations
		f.seeds++
		if line.Stuck {
			line.Violated = append(line.Violated, stuck)
		}
		for _, fault := range []string{sim.Panicked, sim.FalseReply} {
			if len(line.Reasons) > 0 && strings.HasPrefix(line.Reasons[0], fault) {
				line.Violated = append(line.Violated, strings.TrimSuffix(fault, ": "))
			}
		}
		if i := slices.IndexFunc(line.Violated, m.names); i >= 0 {
			f.seed, f.anomaly, f.seconds = line.Seed, line.Violated[i], time.Since(began).Seconds()
			cancel() // one core
			if shrink && *record && line.Verdict == "violated" {
				f.shrunk(t, binary)
			}
			return f
		}
		if shrink && time.Since(began) > mutantTime {
			return nil
		}
	}
	if f.seeds != to-from+1 {
		t.Fatalf("the search ended after %d seeds: %s", f.seeds, stderr.String())
	}
	return nil
}

// stuck stands beside the anomalies and the faults that end a search: the group did not get to serve again.
const stuck = "stuck"

// names reports whether the mutant may show by an anomaly.
func (m *mutant) names(anomaly string) bool {
	return len(m.Finds) == 0 && anomaly != stuck || slices.Contains(m.Finds, anomaly)
}

func simulate(ctx context.Context, binary string, m mutant, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, binary, append([]string{"sim", m.Scenario, "--system=reference:" + m.Profile, "--contracts=" + m.Contract, "--workers=1"}, args...)...)
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	return cmd
}

// shrunk has the program make the seed's case as small as it gets.
func (f *found) shrunk(t *testing.T, binary string) {
	t.Helper()
	dir := t.TempDir()
	cmd := simulate(t.Context(), binary, f.mutant, fmt.Sprintf("--seed=%d", f.seed), "--shrink", "--shrink-runs=3000", "--out="+dir)
	out, _ := cmd.CombinedOutput() // it ends with 1: a violation
	var s struct {
		Failures []struct {
			Shrunk           bool
			Faults, Messages int
		}
	}
	data, err := os.ReadFile(filepath.Join(dir, "sim.json"))
	if err == nil {
		err = json.Unmarshal(data, &s)
	}
	if err != nil || len(s.Failures) != 2 || !s.Failures[1].Shrunk {
		t.Fatalf("no smallest case: %v, %+v\n%s", err, s, out)
	}
	f.faults, f.messages = s.Failures[1].Faults, s.Failures[1].Messages
}

// writeRecord writes the table of what was found.
func writeRecord(t *testing.T, path string, all []found) {
	t.Helper()
	var b strings.Builder
	b.WriteString(`# Track record

Known-bad variants of the reference broker, and how the simulator found each: the scenario that was searched from seed 1 on, the first
seed that broke a promise, the operations (sends, polls, commits and reads) and the seconds of one core until then, and the size of the
smallest case that shrinking left. Row is that of the catalogue of bugs that real systems had. The same seeds accuse the broker as it is
of nothing; otherwise the test fails. The variants are texts of the source replaced one by one (scenarios/sim/testdata/mutants.yaml),
built for the search and thrown away. This file is written by ` + "`make mutants`" + `.

| bug | row | scenario, contract | found by | seed | operations | seconds | shrunk to |
|---|---|---|---|---|---|---|---|
`)
	for _, f := range all {
		row := "-"
		if f.Row > 0 {
			row = fmt.Sprint(f.Row)
		}
		profile := ""
		if f.Profile != "rocketmq-5" {
			profile = ", " + f.Profile
		}
		size := "-"
		if f.messages > 0 {
			size = fmt.Sprintf("%d faults, %d messages", f.faults, f.messages)
		}
		fmt.Fprintf(&b, "| %s: %s | %s | %s, %s%s | %s | %d | %d | %.1f | %s |\n", f.Name, f.Bug, row,
			strings.TrimSuffix(strings.TrimPrefix(f.Scenario, "testdata/"), ".yaml"), f.Contract, profile, f.anomaly, f.seed, f.operations, f.seconds, size)
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}
