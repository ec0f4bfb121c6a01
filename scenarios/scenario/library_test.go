package scenario_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"holdfast/nemesis"
	"holdfast/reports/result"
	"holdfast/scenarios"
	"holdfast/scenarios/scenario"
)

// compile compiles a schema of this package.
func compile(t *testing.T, text []byte) *jsonschema.Schema {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("holdfast.json", document); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("holdfast.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// decode reads YAML as an editor would before it asks the schema.
func decode(t *testing.T, data []byte) any {
	t.Helper()
	var document any
	if err := yaml.Unmarshal(data, &document); err != nil {
		t.Fatal(err)
	}
	return document
}

func TestEveryEmbeddedScenario(t *testing.T) {
	schema, schedules := compile(t, scenario.Schema()), compile(t, scenario.ScheduleSchema())
	shows := map[string]string{}
	for _, name := range scenario.Names() {
		s, err := scenario.Embedded(name)
		if err != nil {
			t.Error(err)
			continue
		}
		if s.Name != name {
			t.Errorf("%s.yaml calls itself %s", name, s.Name)
		}
		if other := shows[s.Shows]; other != "" {
			t.Errorf("%s and %s show the same", name, other)
		}
		shows[s.Shows] = name
		data, err := os.ReadFile(filepath.Join("library", name+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		for _, form := range [][]byte{data, s.Encode()} {
			if err := schema.Validate(decode(t, form)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if again, err := scenario.Parse(name, s.Encode()); err != nil || !cmp.Equal(again, s) {
			t.Errorf("%s encoded and parsed again: %v\n%s", name, err, cmp.Diff(again, s))
		}
		saved := scenario.Saved{Seed: 7, Scenario: name, Faults: s.Schedule(7)}
		if err := schedules.Validate(decode(t, saved.Encode())); err != nil {
			t.Errorf("the schedule of %s: %v", name, err)
		}
		if err := s.Schedule(7).Validate(); err != nil {
			t.Errorf("the schedule of %s: %v", name, err)
		}
		expectsSomething(t, s)
	}
}

// expectsSomething holds that a scenario can fail for each contract that it runs for by default, on each of its systems.
func expectsSomething(t *testing.T, s scenario.Scenario) {
	for _, system := range []string{"reference:rocketmq-5", "rocketmq:5.5.0"} {
		for _, c := range s.Rows() {
			if !s.For(system) {
				continue
			}
			e, ok := s.Expected(system, c)
			if !ok || len(e.Verdict) == 0 {
				t.Errorf("%s expects nothing of %s with %s", s.Name, system, c)
			}
		}
	}
}

// TestLibraryCovers holds which rows of the catalogue of known bugs the library reproduces: all that real processes of the reference
// broker or of RocketMQ can show. docs/format.md says why the others are left out.
func TestLibraryCovers(t *testing.T) {
	var covered []int
	for _, name := range scenario.Names() {
		s, err := scenario.Embedded(name)
		if err != nil {
			t.Fatal(err)
		}
		covered = append(covered, s.Covers...)
	}
	slices.Sort(covered)
	if diff := cmp.Diff(slices.Compact(covered), []int{3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 16, 17, 19, 20}); diff != "" {
		t.Error(diff)
	}
}

// TestLibraryHasEveryKind holds that each kind of fault strikes somewhere, but for those that need a second version or a spare node.
func TestLibraryHasEveryKind(t *testing.T) {
	used := map[nemesis.Kind]bool{nemesis.None: true, nemesis.Upgrade: true, nemesis.Stop: true, nemesis.Promote: true, nemesis.ReadError: true}
	for _, name := range scenario.Names() {
		s, err := scenario.Embedded(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range s.Schedule(1) {
			used[f.Kind] = true
		}
	}
	for _, k := range nemesis.Kinds() {
		if !used[k] {
			t.Errorf("no scenario has %s", k)
		}
	}
}

// TestContractNames holds that files call contracts as the matrix does.
func TestContractNames(t *testing.T) {
	for _, c := range scenarios.Contracts() {
		s, err := scenario.Parse("x.yaml", []byte("scenario: x\nshows: x\ncontracts: "+scenarios.ContractName(c)))
		if err != nil || !cmp.Equal(s.Contracts, []result.Contract{c}) {
			t.Errorf("%s: %v, %v", scenarios.ContractName(c), s.Contracts, err)
		}
	}
	if s, err := scenario.Embedded("healthy"); err != nil || !cmp.Equal(s.Rows(), scenarios.Contracts()) {
		t.Errorf("all rows: %v, %v", s.Rows(), err)
	}
}

func TestLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mine.yaml")
	if err := os.WriteFile(path, []byte("scenario: mine\nshows: x\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if s, err := scenario.Load(path); err != nil || s.Name != "mine" {
		t.Errorf("a file: %v, %v", s, err)
	}
	if s, err := scenario.Load("trickle"); err != nil || s.Name != "trickle" {
		t.Errorf("an embedded one: %v, %v", s, err)
	}
	for _, row := range []struct {
		name, holds string
		is          error
	}{
		{"power-retruns", "did you mean power-returns", scenario.ErrUnknown},
		{"power", "power-all", scenario.ErrUnknown},
		{"xyzzy", "allowed: a .yaml file, or another-group-takes-over, ", scenario.ErrUnknown},
		{"", "allowed:", scenario.ErrUnknown},
		{"../library/trickle", "no such file", fs.ErrNotExist},
		{"none.yaml", "none.yaml", fs.ErrNotExist},
	} {
		_, err := scenario.Load(row.name)
		var coded interface{ ExitCode() int }
		if !errors.Is(err, row.is) || !errors.As(err, &coded) || coded.ExitCode() != 64 || !strings.Contains(err.Error(), row.holds) {
			t.Errorf("%q: %v", row.name, err)
		}
	}
}

func TestExpected(t *testing.T) {
	s, err := scenario.Parse("x.yaml", []byte(`
scenario: x
shows: x
systems: [reference, "rocketmq:4.9.7"]
expect:
  - {systems: rocketmq, contracts: SYNC_MASTER+SYNC_FLUSH, minAcks: 1}
  - {systems: "reference:rocketmq-4.9", minAcks: 2}
  - {contracts: ASYNC_MASTER+ASYNC_FLUSH, minAcks: 3}
`))
	if err != nil {
		t.Fatal(err)
	}
	rows := scenarios.Contracts()
	for _, row := range []struct {
		system string
		row    int
		want   int64
	}{
		{"rocketmq:4.9.7", 5, 1}, {"rocketmq:4.9.7", 3, 1}, {"rocketmq:4.9.7", 0, 3}, {"rocketmq:4.9.7", 1, 0},
		{"reference:rocketmq-4.9", 5, 2}, {"reference:rocketmq-5", 0, 3}, {"reference:rocketmq-5", 5, 0},
	} {
		e, ok := s.Expected(row.system, rows[row.row])
		if e.MinAcks != row.want || ok != (row.want > 0) {
			t.Errorf("%s with %s: got %d, want %d", row.system, rows[row.row], e.MinAcks, row.want)
		}
	}
	if !s.For("rocketmq:4.9.7") || s.For("rocketmq:5.5.0") || !s.For("reference:rocketmq-5") {
		t.Error("for the wrong systems")
	}
}
