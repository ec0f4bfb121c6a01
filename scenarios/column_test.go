package scenarios

import (
	"slices"
	"strings"
	"testing"
	"time"

	"holdfast/nemesis"
	"holdfast/scenarios/scenario"
)

// embedded returns the column of a scenario of the library.
func embedded(t *testing.T, name string) Column {
	t.Helper()
	s, err := scenario.Embedded(name)
	if err != nil {
		t.Fatal(err)
	}
	return Column{Scenario: s}
}

func names(columns []Column) string {
	var all []string
	for _, c := range columns {
		all = append(all, c.Name())
	}
	return strings.Join(all, " ")
}

func TestColumnsAreEmbedded(t *testing.T) {
	for _, name := range append(slices.Clone(columnNames), availabilityNames...) {
		c := embedded(t, name)
		if c.Name() != name {
			t.Errorf("the file %s.yaml has the scenario %s", name, c.Name())
		}
		if err := c.Schedule(0).Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if len(c.Schedule(0)) == 0 {
			t.Errorf("%s has no fault", name)
		}
	}
	if got, want := names(Columns()), strings.Join(columnNames, " "); got != want {
		t.Errorf("got columns %s, want %s", got, want)
	}
}

func TestSelectColumns(t *testing.T) {
	for _, row := range []struct {
		says  string
		names []string
		quick bool
		want  string // names, or part of the error
		fails bool
	}{
		{"quick: kill, and power in three ways", nil, true, "kill-returns power-returns power-promoted power-all", false},
		{"full: all of them, and what a second group buys", nil, false, strings.Join(append(slices.Clone(columnNames), availabilityNames...), " "), false},
		{"names win over quick, in print order", []string{"trickle", "Kill-Returns"}, true, "kill-returns trickle", false},
		{"an unknown one lists what is allowed", []string{"kill-returns", "flood"}, false, `--faults "flood" is unknown; allowed: kill-returns, power-returns`, true},
	} {
		got, err := SelectColumns(row.names, row.quick)
		switch {
		case row.fails && (err == nil || !strings.HasPrefix(err.Error(), row.want)):
			t.Errorf("%s: got %v, want %s", row.says, err, row.want)
		case !row.fails && (err != nil || names(got) != row.want):
			t.Errorf("%s: got %s, %v; want %s", row.says, names(got), err, row.want)
		}
	}
}

func TestControls(t *testing.T) {
	for _, row := range Contracts() {
		var got []string
		for _, c := range Columns() {
			if IsControl(row, c) {
				got = append(got, c.Name())
			}
		}
		want := ""
		if ContractName(row) == "ASYNC_MASTER+ASYNC_FLUSH" {
			want = "power-returns power-all trickle"
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: got controls %v, want %q", ContractName(row), got, want)
		}
	}
	cut := nemesis.Fault{Kind: nemesis.Power, Target: nemesis.Master, Recovery: nemesis.Returns}
	of := func(change func(f *nemesis.Fault)) nemesis.Schedule {
		f := cut
		change(&f)
		return nemesis.Schedule{f}
	}
	for _, row := range []struct {
		says     string
		schedule nemesis.Schedule
		want     bool
	}{
		{"the master's power", nemesis.Schedule{cut}, true},
		{"the slave's power may cost nothing", of(func(f *nemesis.Fault) { f.Target = nemesis.Slave }), false},
		{"a promotion loses by another log", of(func(f *nemesis.Fault) { f.Recovery = nemesis.Promoted }), false},
		{"a kill spares the page cache", of(func(f *nemesis.Fault) { f.Kind = nemesis.Kill }), false},
		{"pages that survive may be all that there were", of(func(f *nemesis.Fault) { f.Params.Survive.Percent = 100 }), false},
		{"two faults", nemesis.Schedule{cut, cut}, false},
		{"none", nemesis.Schedule{}, false},
	} {
		if got := IsControl(weakest, Column{Replay: row.schedule}); got != row.want {
			t.Errorf("%s: got %v, want %v", row.says, got, row.want)
		}
	}
}

// worldLoad is what a world offers where a scenario says nothing.
var worldLoad = FaultLoad{
	Rate: 3000, Hold: time.Second, After: 2 * time.Second, MinAcks: 500, Window: WindowUnderLoad, Drain: 9 * time.Second, Restart: 4 * time.Second,
}

func TestColumnLoad(t *testing.T) {
	for _, row := range []struct {
		name string
		want func(l *FaultLoad)
	}{
		{"power-returns", func(*FaultLoad) {}},
		{"slow-slave", func(l *FaultLoad) { l.Rate = 500 }},
		{"fsync-error", func(l *FaultLoad) { l.Size = 8 << 10 }},
		{"trickle", func(l *FaultLoad) {
			l.Rate, l.Size, l.Clients, l.Hold, l.After, l.Window, l.MinAcks = 5, 64, 1, 12*time.Second, 3*time.Second, WindowAtATrickle, 5
		}},
	} {
		want := worldLoad
		want.Size, want.Clients, want.InFlight, want.Timeout, want.Readers = 1024, 2, 4096, 8*time.Second, 1 // a scenario's defaults
		row.want(&want)
		if got := embedded(t, row.name).load(worldLoad); got != want {
			t.Errorf("%s: got %+v, want %+v", row.name, got, want)
		}
	}
	replayed := embedded(t, "power-returns")
	replayed.Replay = embedded(t, "trickle").Schedule(3)
	if got := replayed.load(worldLoad).Window; got != WindowAtATrickle {
		t.Errorf("a replayed cut that has a window: got %v, want its %v", got, WindowAtATrickle)
	}
}

func TestFirstFaultNamesTheColumn(t *testing.T) {
	for _, row := range []struct {
		name, want string
	}{
		{"power-returns", "power master returns"},
		{"power-all", "power all returns"},
		{"power-slave-then-promoted", "power slave returns"},
		{"partition-slave", "partition slave "},
		{"healthy", "none  "},
	} {
		f := embedded(t, row.name).First()
		if got := string(f.Kind) + " " + string(f.Target) + " " + string(f.Recovery); got != row.want {
			t.Errorf("%s: got %q, want %q", row.name, got, row.want)
		}
	}
}

func TestExpectTime(t *testing.T) {
	base := worldLoad.Restart + worldLoad.Hold + worldLoad.After
	for _, row := range []struct {
		name string
		want time.Duration
	}{
		{"healthy", base},
		{"kill-returns", base + recoveryTime},
		{"power-returns", base + WindowUnderLoad/2 + recoveryTime},
		{"power-promoted", base + WindowUnderLoad/2 + recoveryTime},
		{"pause-master", base + 3*time.Second},
		{"trickle", worldLoad.Restart + 12*time.Second + 3*time.Second + WindowAtATrickle/2 + recoveryTime},
		{"power-slave-then-promoted", base + 4*time.Second + WindowUnderLoad/2 + 2*recoveryTime},
	} {
		c := embedded(t, row.name)
		want := row.want
		if row.name == "healthy" {
			want += c.Schedule(0).End()
		}
		if got := c.expectTime(worldLoad); got != want {
			t.Errorf("%s: got %v, want %v", row.name, got, want)
		}
	}
}

func TestReplayStandsForTheScenario(t *testing.T) {
	c := embedded(t, "power-returns")
	c.Replay = nemesis.Schedule{{Kind: nemesis.Pause, Target: nemesis.Slave, For: time.Second, Seed: 4}}
	for _, seed := range []uint64{0, 1, 99} {
		if got := c.Schedule(seed); !slices.Equal(got, c.Replay) {
			t.Errorf("seed %d: got %v, want what was saved", seed, got)
		}
	}
}
