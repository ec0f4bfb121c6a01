package scenario

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"holdfast/nemesis"
	"holdfast/reports/result"
)

const head = "scenario: mine\nshows: what it shows\n"

func TestParse(t *testing.T) {
	got, err := Parse("mine.yaml", []byte(head+`
covers: [20]
claim: one machine may fail
systems: [reference, "rocketmq:5.5.0"]
contracts: [ASYNC_MASTER+SYNC_FLUSH, SYNC_MASTER+ASYNC_FLUSH]
cluster: {brokers: 3, groups: 2, mode: controller, rtt: 200us, slaveFlushDiskType: ASYNC_FLUSH, settings: {flushIntervalCommitLog: "500", warmMapedFileEnable: true, x.y: 007}}
disk: {model: writeback, names: posix, fsync: real}
load: {rate: 100, size: 4KiB, clients: 3, outstanding: 7, retries: 2, hold: 2s, after: 1500ms, timeout: 1m30s, consumers: 0, degraded: true, pace: 70, quiet: 4s}
faults:
  - kind: power
    target: all
    for: 0
    after: 250ms
    window: 10s
    survive: {percent: 3, tear: true}
  - {kind: loss, at: 2s, for: 1s, peer: clients, percent: 2.5, seed: 9223372036854775807, off: true}
promise: {copies: 2, level: disk}
stores: compare
cuts: 5
expect: {verdict: kept, lost: none, anomalies: divergence, noAnomalies: [hole], statuses: {SEND_OK: some}, during: {FLUSH_SLAVE_TIMEOUT: some}, after: {SEND_OK: any}, delivered: {during: some}, earlyReads: none, logs: different, queues: frozen, minAcks: 100}
`))
	if err != nil {
		t.Fatal(err)
	}
	want := Scenario{
		Name: "mine", Shows: "what it shows", Covers: []int{20}, Claim: "one machine may fail", Systems: []string{"reference", "rocketmq:5.5.0"},
		Contracts: []result.Contract{
			{BrokerRole: "ASYNC_MASTER", FlushDiskType: "SYNC_FLUSH"},
			{BrokerRole: "SYNC_MASTER", FlushDiskType: "ASYNC_FLUSH", InSyncReplicas: 1}, {BrokerRole: "SYNC_MASTER", FlushDiskType: "ASYNC_FLUSH", InSyncReplicas: 2},
		},
		Cluster: Cluster{Brokers: 3, Groups: 2, Mode: "controller", RTT: 200 * time.Microsecond, SlaveFlushDiskType: "ASYNC_FLUSH",
			Settings: map[string]string{"flushIntervalCommitLog": "500", "warmMapedFileEnable": "true", "x.y": "007"}},
		Disk: Disk{Model: "writeback", Names: "posix", Fsync: "real"},
		Load: Workload{Rate: 100, Size: 4096, Clients: 3, Outstanding: 7, Retries: 2, Hold: 2 * time.Second, After: 1500 * time.Millisecond, Timeout: 90 * time.Second, Degraded: true,
			Pace: 70, Quiet: 4 * time.Second},
		Faults: nemesis.Schedule{
			{Kind: nemesis.Power, Target: nemesis.All, Recovery: nemesis.Returns,
				Params: nemesis.Params{After: 250 * time.Millisecond, Window: 10 * time.Second, Survive: nemesis.Survive{Percent: 3, Tear: true}}},
			{Kind: nemesis.Loss, Target: nemesis.Master, At: 2 * time.Second, For: time.Second, Seed: 1<<63 - 1, Off: true, Params: nemesis.Params{Peer: nemesis.Clients, Percent: 2.5}},
		},
		Promise: &Promise{Copies: 2, Level: "disk"}, Stores: "compare",
		Cuts: 5,
		Expect: []Expect{{Verdict: []string{"kept"}, Lost: Nothing, Anomalies: []string{"divergence"}, NoAnomalies: []string{"hole"},
			Statuses: map[string]Amount{"SEND_OK": Some}, During: map[string]Amount{"FLUSH_SLAVE_TIMEOUT": Some}, After: map[string]Amount{"SEND_OK": Any},
			Delivered: map[string]Amount{"during": Some}, EarlyReads: Nothing, Logs: "different", Queues: "frozen", MinAcks: 100}},
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("got -, want +:\n%s", diff)
	}
	again, err := Parse("again.yaml", got.Encode())
	if diff := cmp.Diff(again, want); err != nil || diff != "" {
		t.Errorf("encoded and parsed again: %v\n%s\n%s", err, diff, got.Encode())
	}
}

// TestDefaults holds what a file of two lines comes to.
func TestDefaults(t *testing.T) {
	got, err := Parse("mine.yaml", []byte(head))
	want := Fresh()
	want.Name, want.Shows = "mine", "what it shows"
	if diff := cmp.Diff(got, want); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	if rows := got.Rows(); len(rows) != 6 {
		t.Errorf("runs for %v, want all six contracts", rows)
	}
}

// flawRow is a file, below head, and its first flaw: where it is, and what the message must hold.
type flawRow struct {
	says         string
	body         string
	line, column int
	holds        []string
}

var flawRows = []flawRow{
	{"unknown key", "laod: {rate: 1}", 3, 1, []string{`the unknown key "laod" found; allowed: keys scenario, shows,`, `did you mean "load"?`}},
	{"unknown key inside", "load: {raet: 1}", 3, 8, []string{`"raet"`, `did you mean "rate"?`, "    3 | load: {raet: 1}\n      |        ^"}},
	{"unknown key in a block", "load:\n  rate: 5\n  siez: 4", 5, 3, []string{`did you mean "size"?`}},
	{"nothing is near", "load: {zzzzzzzzz: 1}", 3, 8, []string{"allowed: keys rate, size"}},
	{"text for a number", "load: {rate: fast}", 3, 14, []string{`the text "fast" found; allowed: a whole number from 1 to 1000000 msg/s`}},
	{"a fraction for a whole number", "cuts: 1.5", 3, 7, []string{"the number 1.5 found"}},
	{"below the range", "load: {rate: 0}", 3, 14, []string{"the number 0 found"}},
	{"above every range", "cuts: 99999999999999999999999", 3, 7, []string{"found; allowed: a whole number from 1"}},
	{"a number for text", "claim: 7", 3, 8, []string{"the number 7 found; allowed: one line"}},
	{"a list for a mapping", "load: [1]", 3, 7, []string{"a list found; allowed: keys rate"}},
	{"a mapping for a list", "faults: {kind: kill}", 3, 9, []string{"a mapping found; allowed: a list"}},
	{"nothing at all", "load:", 3, 7, []string{"nothing found"}},
	{"a time without a unit", "load: {hold: 5}", 3, 14, []string{"the number 5 found; allowed: a time from 0s to 10m, such as 500ms"}},
	{"a time that is too long", "load: {hold: 11m}", 3, 14, []string{`"11m" found`}},
	{"bytes with a unit of another kind", "load: {size: 4kb}", 3, 14, []string{"also as 4KiB"}},
	{"bytes beyond every number", "load: {size: 99999999999999999GiB}", 3, 14, []string{"allowed: bytes from"}},
	{"a word that is near another", "disk: {model: wrost}", 3, 15, []string{"allowed: worst, writeback", `did you mean "worst"?`}},
	{"an unknown kind", "faults: [{kind: kil}]", 3, 17, []string{`did you mean "kill"?`}},
	{"an unknown contract", "contracts: [SYNC_MASTER/2+ASYNC_FLUHS]", 3, 13, []string{`did you mean "SYNC_MASTER/2+ASYNC_FLUSH"?`}},
	{"an unknown anomaly", "expect: {anomalies: [divergance]}", 3, 22, []string{`did you mean "divergence"?`}},
	{"a key twice", "cuts: 3\ncuts: 4", 4, 1, []string{`the key "cuts" found a second time`}},
	{"a key twice inside", "load: {rate: 3, rate: 3}", 3, 17, []string{"a second time"}},
	{"a setting twice", "cluster: {settings: {a: 1, a: 2}}", 3, 28, []string{"a second time"}},
	{"a key that is no text", "7: 8", 3, 1, []string{"the number 7 found as a key"}},
	{"an alias", "cuts: &x 3\ncovers: [*x]", 3, 7, []string{"anchor, which is not allowed here"}},
	{"a tag", "cuts: !!int 3", 3, 7, []string{"tag, which is not allowed here"}},
	{"a merge", "load: {<<: {rate: 3}}", 3, 8, []string{"found as a key"}},
	{"a second document", "---\nscenario: b", 4, 1, []string{"a second document found"}},
	{"no YAML", "load: {rate: 1", 3, 7, []string{"no YAML"}},
	{"a colon without quotes", "claim: this: that", 3, 8, []string{"stands in quotes"}},
	{"a figure of another kind", "faults:\n  - {kind: kill, times: 0}", 4, 25, []string{`times: "a figure of other kinds" found; allowed: with kind kill no figures`}},
	{"a figure that the kind needs", "faults:\n  - {kind: loss, for: 1s}", 4, 5, []string{"percent: nothing found; allowed: above 0 to 100"}},
	{"a recovery of a pause", "faults:\n  - {kind: pause, for: 1s, recovery: returns}", 4, 38, []string{"recovery", "leaves no node down"}},
	{"a fault that does not last", "faults: [{kind: pause}]", 3, 10, []string{"for:", "above 0s"}},
	{"faults out of order", "faults:\n  - {kind: kill, at: 2s}\n  - {kind: kill, at: 1s}", 5, 22, []string{"at:", "2s, when the fault before it strikes"}},
	{"faults and a plan", "faults: [{kind: kill}]\nplan: {mix: [{kind: kill}]}", 4, 7, []string{"either of them"}},
	{"a plan of nothing", "plan: {length: 5s}", 3, 7, []string{`no key "mix" found`}},
	{"an empty mix", "plan: {mix: []}", 3, 13, []string{"mix:", "one choice or more"}},
	{"the larger end first", "plan: {mix: [{kind: kill, for: [2s, 1s]}]}", 3, 32, []string{"the larger end first"}},
	{"three ends", "plan: {quiet: [1s, 2s, 3s], mix: [{kind: kill}]}", 3, 15, []string{"a list found"}},
	{"a choice that may not last", "plan:\n  mix:\n    - {kind: kill}\n    - {kind: clog, for: 0s}", 6, 25, []string{"for:", "above 0s"}},
	{"a choice with a strange figure", "plan:\n  mix:\n    - {kind: kill, rate: 5}", 5, 26, []string{"rate:", "with kind kill"}},
	{"a slave that is not there", "cluster: {brokers: 1}\ncontracts: ASYNC_MASTER+ASYNC_FLUSH\nfaults: [{kind: kill, target: slave}]", 5, 31, []string{"target:", "brokers: 1"}},
	{"a minority of two", "plan: {mix: [{kind: kill, target: [master, minority]}]}", 3, 35, []string{"target:", "brokers: 2"}},
	{"a slave to wait for that is not there", "cluster: {brokers: 1}\ncontracts: SYNC_MASTER/2+ASYNC_FLUSH", 3, 20, []string{"brokers:", "2 or more"}},
	{"a phase that no fault has", "expect: {delivered: {meanwhile: some}}", 3, 22, []string{"before, during, healing or after"}},
	{"a pool that is flushed", "cluster: {transientStorePool: true}\ncontracts: ASYNC_MASTER+SYNC_FLUSH", 3, 31, []string{"with ASYNC_FLUSH alone"}},
	{"an anomaly that must and must not", "expect: {anomalies: [hole], noAnomalies: [hole]}", 3, 22, []string{"anomalies", "noAnomalies has, too"}},
	{"kept, and lost", "expect: {verdict: kept, lost: some}", 3, 31, []string{"what was kept lost nothing"}},
	{"a long line is shown around the flaw", "claim: " + strings.Repeat("x", 300) + "\ncuts: 0", 3, 8, []string{"one line of up to 160"}},
	{"no text at all", "claim: \xff\xfe", 3, 1, []string{"UTF-8"}},
	{"deeper than anybody writes", "claim: " + strings.Repeat("[", 40), 3, 1, []string{"40 brackets are open; allowed: up to 32"}},
}

func TestFlaws(t *testing.T) {
	for _, row := range flawRows {
		t.Run(row.says, func(t *testing.T) {
			_, err := Parse("x.yaml", []byte(head+row.body))
			var flaws Flaws
			if !errors.As(err, &flaws) {
				t.Fatalf("got %v, want flaws", err)
			}
			first := flaws[0]
			if flaws.ExitCode() != 64 || first.ExitCode() != 64 {
				t.Errorf("exit codes %d and %d", flaws.ExitCode(), first.ExitCode())
			}
			if first.Line != row.line || first.Column != row.column {
				t.Errorf("at %d:%d, want %d:%d: %v", first.Line, first.Column, row.line, row.column, err)
			}
			for _, text := range append(row.holds, fmt.Sprintf("x.yaml:%d:%d: ", row.line, row.column)) {
				if !strings.Contains(first.Error(), text) {
					t.Errorf("no %q in:\n%v", text, first)
				}
			}
		})
	}
}

func TestAllFlawsAreTold(t *testing.T) {
	_, err := Parse("x.yaml", []byte("shows: 7\nlaod: {}\nload: {rate: 0, size: 1}\nfaults: [{kind: kill, percent: 1}, {kind: loss}]\n"))
	var flaws Flaws
	if !errors.As(err, &flaws) || len(flaws) != 7 {
		t.Fatalf("%d flaws, want 7:\n%v", len(flaws), err)
	}
	for i := 1; i < len(flaws); i++ {
		if flaws[i].Line < flaws[i-1].Line {
			t.Errorf("out of order:\n%v", err)
		}
	}
}

func TestEmptyAndHuge(t *testing.T) {
	for _, data := range []string{"", "\n", "# only a comment\n", "---\n", strings.Repeat("#\n", fileMax)} {
		if _, err := Parse("x.yaml", []byte(data)); err == nil || !strings.HasPrefix(err.Error(), "x.yaml:1:1: the file ") {
			t.Errorf("%.10q: %v", data, err)
		}
	}
	if _, err := Parse("x.yaml", []byte("7")); err == nil || !strings.Contains(err.Error(), "the number 7 found") {
		t.Errorf("a number: %v", err)
	}
	if _, err := Parse("x.yaml", []byte(strings.ReplaceAll(head, "\n", "\r\n"))); err != nil {
		t.Errorf("lines that end as on Windows: %v", err)
	}
}

func TestNearest(t *testing.T) {
	for _, row := range []struct{ found, want string }{
		{"kil", "kill"}, {"pwoer", "power"}, {"KILL", "kill"}, {"fsync_error", "fsync-error"}, {"x", ""}, {"elephant", ""}, {strings.Repeat("kill", 50), ""},
	} {
		if got := nearest(row.found, wordsOf(nemesis.Kinds()).list); got != row.want {
			t.Errorf("%q: got %q, want %q", row.found, got, row.want)
		}
	}
}

// TestTextIsReadBack holds that any text that a line may hold is written so that it is read back.
func TestTextIsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Fresh()
		s.Name, s.Shows = "mine", rapid.StringMatching(`[^\x00-\x1f]{1,40}`).Draw(t, "shows")
		s.Claim = rapid.SampledFrom([]string{"true", "No", "~", "7", "1e3", "0x1f", ".5", "- a", "a: b", "a #b", "'", `\`, "[", "&a", "*", "!", "|", "%", "@", "2001-01-01", "<<", "=", ".inf", " a ", "5s"}).Draw(t, "claim")
		s.Cluster.Settings = map[string]string{"a": rapid.SampledFrom([]string{"007", "1.0", "true", "", "a=b", "0o7"}).Draw(t, "setting")}
		got, err := Parse("x.yaml", s.Encode())
		if err != nil || !reflect.DeepEqual(got, s) {
			t.Fatalf("%v\n%s", err, s.Encode())
		}
	})
}

func TestScheduleOfAPlan(t *testing.T) {
	s, err := Embedded("random-mix")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s.Schedule(0), s.Schedule(s.Plan.Seed)); diff != "" {
		t.Errorf("seed 0 is not the file's own:\n%s", diff)
	}
	if cmp.Equal(s.Schedule(1), s.Schedule(2)) {
		t.Error("two seeds, one schedule")
	}
	if err := s.Schedule(1).Validate(); err != nil {
		t.Error(err)
	}
}

func TestScheduleOfFaults(t *testing.T) {
	s, err := Parse("x.yaml", []byte(head+"disk: {model: writeback}\nfaults: [{kind: power}, {kind: kill, at: 1s, seed: 7}]"))
	if err != nil {
		t.Fatal(err)
	}
	a, b := s.Schedule(1), s.Schedule(2)
	if !a[0].Params.Survive.Writeback || a[1].Params.Survive.Writeback {
		t.Errorf("the disk's model is in the power cut alone: %v", a)
	}
	if a[0].Seed == b[0].Seed || a[1].Seed != 7 || b[1].Seed != 7 || s.Faults[0].Seed != 0 {
		t.Errorf("seeds %d, %d of the run, %d of the file", a[0].Seed, b[0].Seed, a[1].Seed)
	}
}

func TestScheduleFile(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, err := Embedded(rapid.SampledFrom(Names()).Draw(t, "name"))
		if err != nil {
			t.Fatal(err)
		}
		seed := rapid.Uint64Range(0, 1<<63-1).Draw(t, "seed")
		saved := Saved{Version: ScheduleVersion, Seed: seed, Scenario: s.Name, Faults: s.Schedule(seed)}
		got, err := ParseSchedule("x.yaml", saved.Encode())
		if diff := cmp.Diff(got, saved); err != nil || diff != "" {
			t.Fatalf("%v\n%s\n%s", err, diff, saved.Encode())
		}
	})
}

func TestScheduleFileOnDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "schedule.yaml")
	saved := Saved{Version: ScheduleVersion, Seed: 7, Faults: nemesis.Schedule{{Kind: nemesis.Kill, Target: nemesis.Master, Recovery: nemesis.Returns, Seed: 1}}}
	if err := WriteSchedule(path, saved); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadSchedule(path); err != nil || !cmp.Equal(got, saved) {
		t.Errorf("%+v, %v", got, err)
	}
	for _, row := range []struct{ says, data, holds string }{
		{"another version", "schedule: 2\nseed: 1\nfaults: []", "allowed: a whole number from 1 to 1"},
		{"no seed", "schedule: 1\nfaults: []", `no key "seed" found`},
		{"out of order", "schedule: 1\nseed: 1\nfaults: [{kind: kill, at: 1s}, {kind: kill}]", "at:"},
		{"a scenario", head, "unknown key"},
	} {
		if err := os.WriteFile(path, []byte(row.data), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadSchedule(path); err == nil || !strings.Contains(err.Error(), row.holds) {
			t.Errorf("%s: %v", row.says, err)
		}
	}
}

// FuzzParse holds that no file makes the parser panic, that its errors have positions, and that what it reads it also writes.
func FuzzParse(f *testing.F) {
	for _, row := range flawRows {
		f.Add([]byte(head + row.body))
	}
	for _, name := range Names() {
		s, err := Embedded(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(s.Encode())
		f.Add(Saved{Seed: 1, Faults: s.Schedule(1)}.Encode())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := ParseSchedule("x.yaml", data); err != nil {
			positioned(t, err)
		}
		s, err := Parse("x.yaml", data)
		if err != nil {
			positioned(t, err)
			return
		}
		if again, err := Parse("x.yaml", s.Encode()); err != nil || !cmp.Equal(again, s) {
			t.Fatalf("%v\n%s\n%s", err, cmp.Diff(again, s), s.Encode())
		}
		if s.Plan == nil {
			return
		}
		if err := s.Schedule(0).Validate(); err != nil {
			t.Fatalf("a plan that was accepted: %v\n%s", err, s.Encode())
		}
	})
}

func positioned(t *testing.T, err error) {
	var flaws Flaws
	if !errors.As(err, &flaws) || len(flaws) == 0 {
		t.Fatalf("no flaws: %v", err)
	}
	for _, f := range flaws {
		if f.Line < 1 || f.Column < 1 || f.Found == "" {
			t.Fatalf("%+v", f)
		}
	}
}
