package history

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// drawEvent draws an event of one client with times that go up, but for a little.
func drawEvent(t *rapid.T, r *Recorder, op uint64, now int64) Event {
	offset := rapid.OneOf(rapid.Just(int64(-1)), rapid.Int64Range(0, 1<<62))
	sym := rapid.Custom(func(t *rapid.T) Sym { return r.Sym(rapid.StringN(0, 40, 60).Draw(t, "text")) })
	e := Event{
		T: max(0, now-rapid.Int64Range(0, 5).Draw(t, "back")), Op: op, P: rapid.Int32Range(-1, 1<<30).Draw(t, "p"),
		Type: Type(rapid.IntRange(1, 4).Draw(t, "type")), F: F(rapid.IntRange(1, 7).Draw(t, "f")),
		Queue: sym.Draw(t, "queue"), Group: sym.Draw(t, "group"), Node: sym.Draw(t, "node"), Status: sym.Draw(t, "status"), Error: sym.Draw(t, "error"),
		Offset: offset.Draw(t, "offset"), From: offset.Draw(t, "from"), End: offset.Draw(t, "end"), Epoch: offset.Draw(t, "epoch"),
		First: rapid.Int64Range(0, 1<<40).Draw(t, "first"), Filter: rapid.Bool().Draw(t, "filter"), Retry: rapid.Uint16().Draw(t, "retry"),
	}
	e.At = e.T
	switch e.F {
	case Send:
		e.Value = rapid.Uint64Range(0, 1<<63-1).Draw(t, "value")
		if e.Type == Invoke {
			e.At = rapid.Int64Range(0, e.T).Draw(t, "at")
		}
	case Poll, Read:
		n := rapid.SampledFrom([]int{0, 1, 2, 3, 5, 8, 9000}).Draw(t, "count")
		e.Msgs = make([]Msg, n)
		base, value := rapid.Int64Range(0, 1<<50).Draw(t, "base"), rapid.Uint64Range(0, 1<<62).Draw(t, "first value")
		for i := range e.Msgs {
			e.Msgs[i] = Msg{Offset: base + int64(i), Value: value + uint64(i*i), Corrupt: i%7 == 3}
		}
	case FaultF:
		e.Fault = &FaultStep{Name: rapid.String().Draw(t, "name"), Phase: "down", Nodes: rapid.SliceOf(rapid.String()).Draw(t, "nodes"),
			Effect: rapid.MapOf(rapid.String(), rapid.Int64()).Draw(t, "effect")}
	case Role:
		e.Role = rapid.StringN(1, 5, 10).Draw(t, "role")
	}
	return e
}

// TestRecordsReadBack records random events over several shards and segments and reads the same from the file, by time.
func TestRecordsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "history")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		header := Header{Version: 1, Name: "x", Masters: map[string]string{"a": "a-0"}, Base: map[string]int64{"a/T/0": 5}}
		r, err := Create(dir, header, Options{SegmentBytes: segmentAlign})
		if err != nil {
			t.Fatal(err)
		}
		shards := make([]*Shard, rapid.IntRange(1, 4).Draw(t, "shards"))
		for i := range shards {
			if shards[i], err = r.Shard(int32(i)); err != nil {
				t.Fatal(err)
			}
		}
		type recorded struct {
			e     Event
			shard int
		}
		var want []recorded
		for n := range rapid.IntRange(0, 16).Draw(t, "events") {
			i := rapid.IntRange(0, len(shards)-1).Draw(t, "shard")
			e := drawEvent(t, r, shards[i].NextOp(), int64(n)*3)
			shards[i].Record(&e)
			want = append(want, recorded{e, i})
		}
		names := r.names
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		slices.SortStableFunc(want, func(a, b recorded) int { return cmp.Or(cmp.Compare(a.e.T, b.e.T), cmp.Compare(a.shard, b.shard)) })
		n := 0
		err = Walk(dir, func(h Header) error {
			if diff := gocmp.Diff(h, header); diff != "" {
				t.Errorf("header: %s", diff)
			}
			return nil
		}, func(name func(Sym) string, got *Event) error {
			if n >= len(want) {
				t.Fatalf("an event too many: %+v", got)
			}
			if diff := gocmp.Diff(*got, want[n].e, cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported(FaultStep{})); diff != "" {
				t.Fatalf("event %d: %s", n, diff)
			}
			if got.Queue != 0 && name(got.Queue) != names[got.Queue] {
				t.Fatalf("symbol %d is %q, want %q", got.Queue, name(got.Queue), names[got.Queue])
			}
			n++
			return nil
		})
		if err != nil || n != len(want) {
			t.Fatalf("read %d events of %d: %v", n, len(want), err)
		}
	})
}

// TestFormsAgree reads a history in both forms and compares what they come to.
func TestFormsAgree(t *testing.T) {
	for _, clients := range []int{1, 7, 64} {
		dir := generate(t, 3000, clients, 3)
		lines := toLines(t, dir)
		a, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		b, err := Open(lines)
		if err != nil {
			t.Fatal(err)
		}
		byOp := func(x, y SendOp) int { return cmp.Compare(x.Op, y.Op) }
		slices.SortFunc(a.Sends, byOp)
		slices.SortFunc(b.Sends, byOp)
		for i := range a.Sends {
			x, y := a.Sends[i], b.Sends[i]
			if a.Name(x.Queue) != b.Name(y.Queue) || a.Statuses[x.Status] != b.Statuses[y.Status] || a.Nodes[x.Node] != b.Nodes[y.Node] {
				t.Fatalf("%+v, %+v", x, y)
			}
			x.Queue, x.Status, x.Node = y.Queue, y.Status, y.Node
			if x != y {
				t.Fatalf("%+v, %+v", x, y)
			}
		}
		if len(a.Fetches) != 6 || len(b.Fetches) != 6 {
			t.Fatalf("%d and %d polls, want 6", len(a.Fetches), len(b.Fetches))
		}
		for i := range a.Fetches {
			x, y := a.Msgs(&a.Fetches[i]), b.Msgs(&b.Fetches[i])
			want := []int{0, 1, 2, 3 * batchMsgs, 3*batchMsgs - 1, 3*batchMsgs - 2}[i]
			if x.Len() != want || y.Len() != want {
				t.Fatalf("poll %d returned %d and %d messages, want %d", i, x.Len(), y.Len(), want)
			}
			for k := range want {
				offset, value := int64(k+max(0, i-3)), uint64(k+max(0, i-3))
				if i == 2 {
					offset, value = int64(2*k), uint64(9*k)
				}
				if x.Offset(k) != offset || x.Value(k) != value || x.Corrupt(k) != (i == 2 && k == 1) || y.Offset(k) != offset || y.Value(k) != value || y.Corrupt(k) != x.Corrupt(k) {
					t.Fatalf("message %d of poll %d differs", k, i)
				}
			}
		}
		if a.LastSend != b.LastSend || a.End != b.End || len(a.Sends) != 3000 {
			t.Errorf("last send %d, %d; end %d, %d; %d sends", a.LastSend, b.LastSend, a.End, b.End, len(a.Sends))
		}
	}
}

// TestRecordAllocatesNothing holds for sends; it is what the load generator pays.
func TestRecordAllocatesNothing(t *testing.T) {
	r, err := Create(t.TempDir(), Header{}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := r.Shard(1)
	if err != nil {
		t.Fatal(err)
	}
	e := Event{Op: 1, P: 1, Type: OK, F: Send, Value: 7, Queue: r.Sym("a/T/0"), Status: r.Sym("SEND_OK"), Offset: 3, From: -1, End: -1, Epoch: -1}
	if n := testing.AllocsPerRun(1000, func() { s.Record(&e) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestMemoryRecorder reads a history that never was in a file.
func TestMemoryRecorder(t *testing.T) {
	r, err := Create("", Header{Masters: map[string]string{}}, Options{Memory: true, SegmentBytes: segmentAlign, Now: func() int64 { return 42 }})
	if err != nil {
		t.Fatal(err)
	}
	if r.Now() != 42 {
		t.Error("not the clock that was given")
	}
	s, err := r.Shard(5)
	if err != nil {
		t.Fatal(err)
	}
	const n = 5000 // more than a segment holds
	for i := range n {
		e := Event{T: int64(i), At: int64(i), Op: s.NextOp(), P: 5, Type: Invoke, F: Send, Value: uint64(i), Offset: -1, From: -1, End: -1, Epoch: -1}
		s.Record(&e)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	h, err := r.History()
	if err != nil || len(h.Sends) != n || h.Sends[n-1].Value != n-1 || h.Sends[7].P != 5 {
		t.Fatalf("%d sends, %v", len(h.Sends), err)
	}
}

// TestDamage flips each bit of a small history's records: what is read is a prefix of each shard, and the cut is told.
func TestDamage(t *testing.T) {
	dir := t.TempDir()
	r, err := Create(dir, Header{Masters: map[string]string{}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := r.Shard(1)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		e := Event{T: int64(i), At: int64(i), Op: s.NextOp(), P: 1, Type: Invoke, F: Send, Value: uint64(i) + 100, Offset: -1, From: -1, End: -1, Epoch: -1}
		s.Record(&e)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(filepath.Join(dir, FileName))
	if err != nil {
		t.Fatal(err)
	}
	from := 2*segmentAlign + segmentHead*8
	told := 0
	for bit := range 4 * 4 * 64 {
		b := slices.Clone(whole)
		b[from+bit/8] ^= 1 << (bit % 8)
		f, err := openBinary(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		h, err := f.build("damaged")
		if err != nil {
			t.Fatal(err)
		}
		if len(h.Sends) == 4 {
			t.Fatalf("bit %d changes nothing", bit)
		}
		for i, x := range h.Sends {
			if x.Value != uint64(i)+100 {
				t.Fatalf("bit %d: value %d", bit, x.Value)
			}
		}
		told += len(h.Cut)
	}
	if told < 4*4*64-4 {
		t.Errorf("%d of %d damages are told", told, 4*4*64)
	}
}

// TestNoSpace marks a history whose events could not all be recorded.
func TestNoSpace(t *testing.T) {
	dir := t.TempDir()
	r, err := Create(dir, Header{Masters: map[string]string{}}, Options{SegmentBytes: segmentAlign})
	if err != nil {
		t.Fatal(err)
	}
	s, err := r.Shard(1)
	if err != nil {
		t.Fatal(err)
	}
	file := r.file
	if r.file, err = os.Open(filepath.Join(dir, FileName)); err != nil { // no write, no space
		t.Fatal(err)
	}
	for i := range 10000 {
		e := Event{T: int64(i), At: int64(i), Op: s.NextOp(), P: 1, Type: Invoke, F: Send, Value: uint64(i), Offset: -1, From: -1, End: -1, Epoch: -1}
		s.Record(&e)
	}
	if err := r.Close(); err == nil {
		t.Error("no error")
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	h, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(h.Cut) != 1 || len(h.Sends) == 0 || len(h.Sends) == 10000 {
		t.Errorf("%d sends, cut %q", len(h.Sends), h.Cut)
	}
}

// TestOwnDirectory refuses to write over another history.
func TestOwnDirectory(t *testing.T) {
	dir := generate(t, 1, 1, 1)
	if _, err := Create(dir, Header{}, Options{}); err == nil {
		t.Error("a history was written over")
	}
	if _, err := Open(fmt.Sprintf("%s/none", dir)); err == nil {
		t.Error("a file that is not there was read")
	}
}
