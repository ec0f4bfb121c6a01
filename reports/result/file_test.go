package result

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// small is the least that is valid.
func small() *Result {
	r := &Result{Schema: Schema, Started: time.Unix(1_900_000_000, 0).UTC(), World: "sandbox", System: System{Name: "reference"}, ConfigDigest: "d"}
	c := cut("a", "power", "master", "returns", LossWithinContract, 0, 5, 2)
	c.Acked, c.Lost = map[string]int64{"SEND_OK": 100}, map[string]int64{"SEND_OK": 7}
	c.Trials = []Trial{{Verdict: LossWithinContract, Predicted: new(5.5), Faults: []FaultEffect{{Name: "power", StartMS: 20, HealMS: 30}}}}
	c.Schedule = []ScheduleStep{{Kind: "power"}}
	c.Expect = []Expectation{{What: "verdict", Want: "kept", Got: "kept", Met: true}}
	c.Harness = map[string]Process{"disk": {CPUSeconds: 1.5, StallMS: 2}}
	r.Put(c)
	return r
}

func TestWriteReadsBack(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := small()
		r.Settings = []Setting{{Name: rapid.String().Draw(rt, "name"), Value: "\n \"cells\": []"}} // text that looks like the place of the cells
		for _, id := range rapid.SliceOfNDistinct(rapid.StringMatching(`[b-z]{1,8}`), 0, 4, rapid.ID[string]).Draw(rt, "cells") {
			r.Put(Cell{ID: id, Contract: Contract{Name: "x"}, Fault: NoFault, Verdict: Kept, Throughput: NewThroughput(rapid.SliceOfN(rapid.Float64Range(0, 1e6), 1, 4).Draw(rt, "passes"))})
		}
		data, err := r.encode()
		if err != nil {
			rt.Fatal(err)
		}
		got, err := Parse(data)
		if err != nil {
			rt.Fatalf("%v in\n%s", err, data)
		}
		if diff := cmp.Diff(got, r); diff != "" {
			rt.Fatalf("got -, want +:\n%s", diff)
		}
	})
}

func TestAbsentFiguresStayAbsent(t *testing.T) {
	r := small()
	r.Cells = []Cell{{ID: "x", Contract: Contract{Name: "x"}, Fault: NoFault, Verdict: Kept}, {ID: "y", Contract: Contract{Name: "x"}, Fault: "kill", Verdict: Kept, Lost: map[string]int64{}}}
	data, err := r.encode()
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range bytes.Split(data, []byte("\n")) {
		switch {
		case bytes.Contains(line, []byte(`"id":"x"`)):
			for _, field := range []string{"throughput", "latency", "acked", "lost", "rpo", "rto", "linearizable", "unknown", "lossWindow"} {
				if bytes.Contains(line, []byte(`"`+field+`"`)) {
					t.Errorf("%s was not measured but stands in %s", field, line)
				}
			}
		case bytes.Contains(line, []byte(`"id":"y"`)):
			if !bytes.Contains(line, []byte(`"lost":{}`)) {
				t.Errorf("lost was measured and is empty, but is absent from %s", line)
			}
		}
	}
}

func TestReadRefuses(t *testing.T) {
	valid, err := small().encode()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		says, old, with string
		is              error
		names           []string // what the error must name
	}{
		{"another schema", `"schema": 1`, `"schema": 2`, ErrSchema, []string{"schema: 2"}},
		{"no schema", `"schema": 1,`, ``, ErrMalformed, []string{"schema: missing"}},
		{"cut off", `"SEND_OK":7}`, ``, ErrMalformed, []string{"line "}},
		{"a word for a number", `"cuts":3`, `"cuts":"three"`, ErrMalformed, []string{"rpo.cuts", "string", "line "}},
		{"a fraction for a count", `"SEND_OK":100`, `"SEND_OK":1.5`, ErrMalformed, []string{"acked", "1.5"}},
		{"no verdict of ours", `"verdict":"loss-within-contract","reasons"`, `"verdict":"passed","reasons"`, ErrMalformed, []string{"cells[0].verdict", "passed"}},
		{"more lost than acknowledged", `"SEND_OK":7}`, `"SEND_OK":101}`, ErrMalformed, []string{"cells[0].lost.SEND_OK", "101"}},
		{"more lossy cuts than cuts", `"lossyCuts":2`, `"lossyCuts":4`, ErrMalformed, []string{"cells[0].rpo.lossyCuts"}},
		{"a bound that is no probability", `"upper95":0.98`, `"upper95":1.98`, ErrMalformed, []string{"cells[0].rpo.upper95"}},
		{"a name that leaves the directory", `"id":"a"`, `"id":"../a"`, ErrMalformed, []string{"cells[0].id"}},
		{"less than nothing predicted", `"predicted":5.5`, `"predicted":-5.5`, ErrMalformed, []string{"cells[0].trials[0].predicted"}},
		{"healed before it began", `"healMs":30`, `"healMs":10`, ErrMalformed, []string{"cells[0].trials[0].faults[0].healMs"}},
		{"a step that does nothing", `"kind":"power"`, `"kind":""`, ErrMalformed, []string{"cells[0].schedule[0].kind"}},
		{"an expectation of nothing", `"what":"verdict"`, `"what":""`, ErrMalformed, []string{"cells[0].expect[0].what"}},
		{"a stall of less than nothing", `"stallMs":2`, `"stallMs":-2`, ErrMalformed, []string{"cells[0].harness.disk.stallMs"}},
		{"no world", `"world": "sandbox"`, `"world": ""`, ErrMalformed, []string{"world: missing"}},
	} {
		data := strings.Replace(string(valid), row.old, row.with, 1)
		if data == string(valid) {
			t.Errorf("%s: %s is not in the file", row.says, row.old)
			continue
		}
		path := filepath.Join(t.TempDir(), FileName)
		if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Read(path)
		if !errors.Is(err, row.is) {
			t.Errorf("%s: got %v, want %v", row.says, err, row.is)
			continue
		}
		for _, word := range append(row.names, path) {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%s: %q does not name %q", row.says, err, word)
			}
		}
	}
}

func TestReadIgnoresWhatItDoesNotKnow(t *testing.T) {
	data, err := small().encode()
	if err != nil {
		t.Fatal(err)
	}
	later := bytes.Replace(data, []byte(`"fault":"power"`), []byte(`"fault":"power","addedLater":{"x":1}`), 1)
	if _, err := Parse(later); err != nil || bytes.Equal(later, data) {
		t.Errorf("a field added within the schema: %v", err)
	}
}

func TestWriteReplacesAtOnce(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, FileName)
	r := small()
	for range 2 {
		if err := r.Write(path); err != nil {
			t.Fatal(err)
		}
	}
	r.Put(Cell{ID: "b", Contract: Contract{Name: "x"}, Fault: NoFault, Verdict: "passed"})
	if err := r.Write(path); !errors.Is(err, ErrMalformed) {
		t.Errorf("an invalid result was written: %v", err)
	}
	got, err := Read(dir)
	if err != nil || len(got.Cells) != 1 {
		t.Errorf("the old file is not whole: %+v, %v", got, err)
	}
	names, err := os.ReadDir(dir)
	if err != nil || len(names) != 1 {
		t.Errorf("left behind: %v, %v", names, err)
	}
	occupied := filepath.Join(dir, "occupied")
	if err := os.MkdirAll(filepath.Join(occupied, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := small().Write(occupied); err == nil {
		t.Error("a directory was replaced by a file")
	}
	if names, err := os.ReadDir(dir); err != nil || len(names) != 2 {
		t.Errorf("left behind by a failed write: %v, %v", names, err)
	}
	if err := small().Write(filepath.Join(dir, "no", FileName)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a directory that is not there: got %v, want %v", err, os.ErrNotExist)
	}
}

func FuzzParse(f *testing.F) {
	data, err := small().encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"schema":1,"cells":[{}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := Parse(data)
		if err != nil {
			return
		}
		again, err := r.encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Parse(again); err != nil {
			t.Fatalf("what was read cannot be read again: %v", err)
		}
	})
}
