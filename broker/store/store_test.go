package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"holdfast/broker/message"
	"holdfast/broker/vfs"
)

var small = Config{SegmentBytes: 4096, QueueFileBytes: 400, ChunkBytes: 1024}

func mustOpen(t testing.TB, fsys vfs.FS, cfg Config) (*Store, Recovery) {
	t.Helper()
	s, r, err := Open(fsys, cfg)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return s, r
}

func mustQueue(t testing.TB, s *Store, topic string, id int32) *Queue {
	t.Helper()
	q, err := s.Queue(topic, id)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func put(t testing.TB, s *Store, topic, body string) int64 {
	t.Helper()
	phys, _, err := s.Append(mustQueue(t, s, topic, 0), record(topic, 0, []byte(body), "TAGS\x01a\x02"), 1, 1000)
	if err != nil {
		t.Fatal(err)
	}
	return phys
}

// flush writes and syncs all that was appended.
func flush(t testing.TB, s *Store) {
	t.Helper()
	for s.Marks().Written < s.Marks().Appended {
		w := s.TakeWrite()
		err := w.Run()
		if s.Written(w.Gen, w.Upto, err); err != nil {
			t.Fatal(err)
		}
	}
	if j := s.TakeSync(); j != nil {
		err := j.Run()
		if s.Synced(j.Gen, j.Upto, err); err != nil {
			t.Fatal(err)
		}
	}
}

// bodies returns the bodies of a queue's messages as consumers get them.
func bodies(s *Store, q *Queue) (out []string, err error) {
	for from := q.Min(); from < q.Next(); {
		ranges, found := s.Lookup(q, from, Want{Count: 10, Bytes: 1 << 20, Limit: s.Marks().Appended}, nil)
		if found.Load != nil {
			found.Load.Run()
			if err := s.Loaded(found.Load); err != nil {
				return out, err
			}
			continue
		}
		var b []byte
		for _, r := range ranges {
			if b, err = r.AppendTo(b); err != nil {
				return out, err
			}
		}
		for len(b) > 0 {
			m, n, err := message.Decode(b, true)
			if err != nil {
				return out, err
			}
			out, b = append(out, string(m.Body)), b[n:]
		}
		if found.Next <= from {
			return out, fmt.Errorf("nothing at queue offset %d of [%d, %d)", from, q.Min(), q.Next())
		}
		from = found.Next
	}
	return out, nil
}

func wantBodies(t testing.TB, s *Store, topic string, want ...string) {
	t.Helper()
	if got, err := bodies(s, mustQueue(t, s, topic, 0)); err != nil || strings.Join(got, ",") != strings.Join(want, ",") {
		t.Errorf("%s holds %v, %v; want %v", topic, got, err, want)
	}
}

func corrupt(t testing.TB, fsys vfs.FS, name string, off int64, b ...byte) {
	t.Helper()
	f, err := fsys.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(b, off); err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
}

// The files are RocketMQ's, byte by byte.
func TestFormat(t *testing.T) {
	mem := vfs.NewMem()
	s, _ := mustOpen(t, mem, Config{SegmentBytes: 256, QueueFileBytes: 40, ChunkBytes: 64})
	for _, body := range []string{"one", "two", "three"} {
		put(t, s, "Topic", body)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	first, err := vfs.ReadFile(mem, "commitlog/00000000000000000000")
	if err != nil || len(first) != 256 {
		t.Fatalf("first file: %d bytes, %v", len(first), err)
	}
	size := 91 + len("one") + len("Topic") + len("TAGS\x01a\x02")
	second := int64(size)
	if got := binary.BigEndian.Uint64(first[second+28:]); int64(got) != second {
		t.Errorf("second record says it stands at %d, want %d", got, second)
	}
	if got := binary.BigEndian.Uint64(first[second+20:]); got != 1 {
		t.Errorf("second record has queue offset %d, want 1", got)
	}
	blank := fmt.Sprintf("%08x%08x", 256-2*size, message.MagicBlank)
	if got := fmt.Sprintf("%x", first[2*size:][:8]); got != blank {
		t.Errorf("behind the last record of the file: %s, want %s", got, blank)
	}
	if _, err := vfs.ReadFile(mem, "commitlog/00000000000000000256"); err != nil {
		t.Error(err)
	}
	units, err := vfs.ReadFile(mem, "consumequeue/Topic/0/00000000000000000000")
	want := fmt.Sprintf("%016x%08x%016x%016x%08x%016x", 0, size, 'a', size, size, 'a')
	if got := fmt.Sprintf("%x", units); err != nil || got != want {
		t.Errorf("units %s, %v; want %s", got, err, want)
	}
	units, err = vfs.ReadFile(mem, "consumequeue/Topic/0/00000000000000000040")
	want = fmt.Sprintf("%016x%08x%016x", 256, size+2, 'a') + strings.Repeat("00", 20)
	if got := fmt.Sprintf("%x", units); err != nil || got != want {
		t.Errorf("units %s, %v; want %s", got, err, want)
	}
	check, err := vfs.ReadFile(mem, "checkpoint")
	if err != nil || len(check) != 4096 || binary.BigEndian.Uint64(check) != 1000 || binary.BigEndian.Uint64(check[8:]) != 1000 {
		t.Errorf("checkpoint %x, %v", check[:16], err)
	}
	if _, err := vfs.ReadFile(mem, "abort"); err == nil {
		t.Error("abort is there after Close")
	}
}

func TestTransactionalRecordsHaveNoPlaceInQueues(t *testing.T) {
	s, _ := mustOpen(t, vfs.NewMem(), small)
	q := mustQueue(t, s, "T", 0)
	for i, kind := range []int32{message.SysPrepared, message.SysRollback, message.SysCommit, 0} {
		b := message.Append(nil, &message.Record{Topic: []byte("T"), SysFlag: kind, Body: []byte{byte('0' + i)}})
		if _, _, err := s.Append(q, b, 1, 1); err != nil {
			t.Fatal(err)
		}
	}
	wantBodies(t, s, "T", "2", "3")
}

func TestLimits(t *testing.T) {
	cfg := small
	cfg.UnwrittenMax, cfg.UnitsMax, cfg.MaxAppendBytes = 300, 5, 200
	s, _ := mustOpen(t, vfs.NewMem(), cfg)
	q := mustQueue(t, s, "T", 0)
	add := func(body string, n int) error {
		_, _, err := s.Append(q, bytes.Repeat(record("T", 0, []byte(body), ""), n), n, 1)
		return err
	}
	if err := add(strings.Repeat("x", 120), 1); !errors.Is(err, ErrTooLong) {
		t.Errorf("record beyond MaxAppendBytes: %v", err)
	}
	if _, _, err := s.Append(q, append(record("T", 0, nil, ""), record("T", 0, nil, "a\x01b\x00")...), 2, 1); !errors.Is(err, ErrIllegal) || q.Next() != 0 {
		t.Errorf("record that would look torn: %v", err)
	}
	for range 3 {
		if err := add("", 1); err != nil {
			t.Fatal(err)
		}
	}
	if err := add("", 1); !errors.Is(err, ErrBusy) || s.Marks().Appended != 3*92 || q.Next() != 3 {
		t.Errorf("beyond UnwrittenMax: %v, %+v", err, s.Marks())
	}
	flush(t, s)
	if err := add("", 2); err != nil {
		t.Fatal(err)
	}
	flush(t, s)
	if err := add("", 1); !errors.Is(err, ErrBusy) {
		t.Errorf("beyond UnitsMax: %v", err)
	}
	if err := s.runAux(true, false); err != nil {
		t.Fatal(err)
	}
	if err := add("", 1); err != nil {
		t.Errorf("units are written, still %v", err)
	}
	for _, topic := range []string{"", "..", "a/b", "a\x00"} {
		if _, err := s.Queue(topic, 0); !errors.Is(err, ErrTopic) {
			t.Errorf("topic %q: %v", topic, err)
		}
	}
	if _, err := s.Queue("T", -1); !errors.Is(err, ErrTopic) {
		t.Errorf("queue -1: %v", err)
	}
}

func TestConfigNamesTheBadField(t *testing.T) {
	for _, row := range []struct {
		cfg  Config
		want string
	}{
		{Config{SegmentBytes: 10}, "SegmentBytes is 10"},
		{Config{QueueFileBytes: 21}, "QueueFileBytes is 21"},
		{Config{SegmentBytes: 1000, MaxAppendBytes: 993}, "MaxAppendBytes is 993"},
		{Config{ChunkBytes: 100}, "ChunkBytes is 100"},
		{Config{UnwrittenMax: -1}, "UnwrittenMax"},
		{Config{QueueSyncEvery: -1}, "QueueSyncEvery"},
	} {
		if _, _, err := Open(vfs.NewMem(), row.cfg); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%+v: %v", row.cfg, err)
		}
	}
	if err := (Config{}).Validate(); err != nil {
		t.Errorf("defaults: %v", err)
	}
}

func TestInUse(t *testing.T) {
	dir := t.TempDir()
	s, _ := mustOpen(t, vfs.OS(dir), small)
	if _, _, err := Open(vfs.OS(dir), small); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), dir) {
		t.Errorf("second open: %v", err)
	}
	put(t, s, "T", "still mine")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s, r := mustOpen(t, vfs.OS(dir), small)
	defer s.Abandon()
	if wantBodies(t, s, "T", "still mine"); !r.Clean || r.Records != 0 {
		t.Errorf("after Close: %v", r)
	}
}

// A failed sync leaves pages that are readable and not on disk, and the restart of the process alone must not turn them
// into synced ones.
func TestFailedSyncIsFinalAndNotLaundered(t *testing.T) {
	mem := vfs.NewMem()
	isLogSync := func(c vfs.Call) bool { return c.Op == vfs.OpSync && strings.HasPrefix(c.Name, "commitlog/") }
	s, _ := mustOpen(t, vfs.NewFaulty(mem, vfs.Once(isLogSync, vfs.Effect{Err: vfs.ErrIO}), nil), small)
	put(t, s, "T", "one")
	w := s.TakeWrite()
	s.Written(w.Gen, w.Upto, w.Run())
	j := s.TakeSync()
	err := j.Run()
	if !errors.Is(err, vfs.ErrIO) {
		t.Fatalf("sync: %v", err)
	}
	s.Synced(j.Gen, j.Upto, err)
	if _, _, err := s.Append(mustQueue(t, s, "T", 0), record("T", 0, nil, ""), 1, 1); !errors.Is(err, ErrFailed) || !errors.Is(err, vfs.ErrIO) {
		t.Errorf("append after a failed sync: %v", err)
	}
	if s.TakeSync() != nil || s.TakeWrite() != nil || s.TakeAux(time.Hour) != nil || s.Marks().Synced != 0 {
		t.Errorf("goes on after a failed sync: %+v", s.Marks())
	}
	if got := mem.Crash(rand.New(rand.NewPCG(1, 1)), vfs.Loss{}); len(mustRead(t, got)) != 0 {
		t.Fatal("the fault had no effect: the record is on disk")
	}
	s.Abandon()

	s, r := mustOpen(t, mem, small) // the process alone was restarted: the page cache is there
	if wantBodies(t, s, "T", "one"); r.Rewritten == 0 {
		t.Errorf("recovery: %v", r)
	}
	s, _ = mustOpen(t, mem.Crash(rand.New(rand.NewPCG(1, 1)), vfs.Loss{Names: vfs.Posix}), small)
	wantBodies(t, s, "T", "one")
}

// mustRead returns the records of a store that nobody has open.
func mustRead(t *testing.T, fsys vfs.FS) (found []string) {
	t.Helper()
	r, err := OpenReader(fsys)
	if err != nil {
		return nil
	}
	defer r.Close()
	if _, _, err := r.Log(func(_ int64, m *message.Record) error {
		found = append(found, string(m.Body))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return found
}

// A sync that fails when the store is opened must not be hidden.
func TestOpenErrsWhenItCannotSync(t *testing.T) {
	mem := vfs.NewMem()
	s, _ := mustOpen(t, mem, small)
	put(t, s, "T", "one")
	w := s.TakeWrite()
	s.Written(w.Gen, w.Upto, w.Run())
	s.Abandon()
	for _, row := range []struct {
		name  string
		match func(vfs.Call) bool
	}{
		{"sync of the log", func(c vfs.Call) bool { return c.Op == vfs.OpSync && strings.HasPrefix(c.Name, "commitlog/") }},
		{"sync of the log's directory", func(c vfs.Call) bool { return c.Op == vfs.OpSyncDir }},
		{"sync of the checkpoint", func(c vfs.Call) bool { return c.Op == vfs.OpSync && c.Name == "checkpoint" }},
		{"read of the log", func(c vfs.Call) bool { return c.Op == vfs.OpRead && strings.HasPrefix(c.Name, "commitlog/") }},
		{"list", func(c vfs.Call) bool { return c.Op == vfs.OpList }},
	} {
		_, _, err := Open(vfs.NewFaulty(mem, vfs.Always(row.match, vfs.Effect{Err: vfs.ErrIO}), nil), small)
		if !errors.Is(err, vfs.ErrIO) {
			t.Errorf("%s fails: %v", row.name, err)
		}
	}
	s, _ = mustOpen(t, mem, small)
	wantBodies(t, s, "T", "one")
}

func TestDiskFull(t *testing.T) {
	full := false
	rule := func(c vfs.Call) vfs.Effect {
		if full && (c.Op == vfs.OpWrite || c.Op == vfs.OpCreate) {
			return vfs.Effect{Err: vfs.ErrNoSpace}
		}
		return vfs.Effect{}
	}
	mem := vfs.NewMem()
	s, _ := mustOpen(t, vfs.NewFaulty(mem, rule, nil), small)
	put(t, s, "T", "one")
	flush(t, s)
	full = true
	put(t, s, "T", "two")
	w := s.TakeWrite()
	err := w.Run()
	s.Written(w.Gen, w.Upto, err)
	if !errors.Is(err, vfs.ErrNoSpace) || s.Marks().Written != s.Marks().Synced || s.Err() != nil {
		t.Fatalf("write to a full disk: %v, %+v, %v", err, s.Marks(), s.Err())
	}
	a := s.TakeAux(time.Hour)
	err = a.Run()
	if s.AuxDone(a.Gen, err); !errors.Is(err, vfs.ErrNoSpace) || s.Err() != nil {
		t.Fatalf("aux on a full disk: %v, %v", err, s.Err())
	}
	if s.TakeAux(time.Hour+1) != nil {
		t.Error("tries again at once")
	}
	full = false
	flush(t, s)
	a = s.TakeAux(2 * time.Hour)
	err = a.Run()
	if s.AuxDone(a.Gen, err); err != nil {
		t.Fatal(err)
	}
	s, _ = mustOpen(t, mem.Crash(rand.New(rand.NewPCG(1, 1)), vfs.Loss{}), small)
	wantBodies(t, s, "T", "one", "two")
}

// AuxDue and TakeAux agree, so that a driver neither spins nor forgets.
func TestAuxDue(t *testing.T) {
	s, _ := mustOpen(t, vfs.NewMem(), small)
	if due := s.AuxDue(); due != 0 {
		t.Errorf("nothing to do, due at %v", due)
	}
	put(t, s, "T", "one")
	if due := s.AuxDue(); due != 0 || s.TakeAux(time.Hour) != nil {
		t.Errorf("nothing is synced, due at %v", due)
	}
	flush(t, s)
	for at := time.Hour; at < time.Hour+3*time.Second; at += time.Second {
		due := s.AuxDue()
		if due == 0 || due > at {
			t.Fatalf("at %v due at %v", at, due)
		}
		j := s.TakeAux(at)
		if j == nil || s.AuxDue() != 0 {
			t.Fatalf("at %v no job, or due while it is out", at)
		}
		s.AuxDone(j.Gen, j.Run())
		if due := s.AuxDue(); due != 0 || s.TakeAux(at+time.Minute) != nil {
			t.Fatalf("at %v due again at %v", at, due)
		}
		put(t, s, "T", "more")
		flush(t, s)
		if s.TakeAux(at+time.Second/2) != nil {
			t.Error("before its time")
		}
	}
}
