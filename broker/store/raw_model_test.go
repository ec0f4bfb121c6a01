package store

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"holdfast/broker/message"
	"holdfast/broker/vfs"
)

// TestReplicaAgainstItsMaster copies a log in pieces cut anywhere, with power cuts of the copy in between, as a slave does:
// it goes on where its log ends. The copy and its queues are the master's, and it can be promoted at any time.
func TestReplicaAgainstItsMaster(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := smallConfig(t)
		m := &machine{t: t, mem: vfs.NewMem(), cfg: cfg}
		m.open()
		for range rapid.IntRange(1, 30).Draw(t, "appends") {
			m.Append(t)
			m.Write(t)
		}
		master, mem := m.s, vfs.NewMem()
		slave, _ := mustOpen2(t, mem, cfg)
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		end := master.Marks().Appended
		for slave.Marks().Appended < end {
			if rng.IntN(8) == 0 {
				synced := slave.Marks().Synced
				mem = mem.Crash(rng, vfs.Loss{KeepPercent: 50, Reorder: true, Tear: true, Granule: 512})
				var r Recovery
				if slave, r = mustOpen2(t, mem, cfg); r.End+int64(slave.cfg.MaxAppendBytes) < synced {
					t.Fatalf("more than a part of a record is lost: synced %d, %v", synced, r)
				}
				continue
			}
			replicate(t, rng, master, slave)
		}
		compare(t, master, slave)
		slave.Abandon()
		promoted, r := mustOpen2(t, mem, cfg)
		if r.Cut != nil {
			t.Fatalf("promoted: %v", r)
		}
		q, err := promoted.Queue("T", 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := promoted.Append(q, record("T", 0, nil, ""), 1, 1); err != nil {
			t.Fatalf("promoted: %v", err)
		}
	})
}

func mustOpen2(t *rapid.T, mem *vfs.Mem, cfg Config) (*Store, Recovery) {
	mem.Unlock()
	s, r, err := Open(mem, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s, r
}

// replicate sends one piece, and does one of the jobs of the slave.
func replicate(t *rapid.T, rng *rand.Rand, master, slave *Store) {
	r, ok := master.ReadRaw(slave.Marks().Appended, master.Marks().Appended, 1+rng.IntN(400))
	if !ok {
		t.Fatal("nothing to send")
	}
	b, err := r.AppendTo(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := slave.AppendRaw(r.Phys, b); err != nil || slave.Bad() != nil {
		t.Fatal(err, slave.Bad())
	}
	switch rng.IntN(3) {
	case 0:
		if j := slave.TakeWrite(); j != nil {
			slave.Written(j.Gen, j.Upto, j.Run())
		}
	case 1:
		if j := slave.TakeSync(); j != nil {
			slave.Synced(j.Gen, j.Upto, j.Run())
		}
	default:
		slave.aux.lastRun -= slave.cfg.CheckpointEvery
		if j := slave.TakeAux(0); j != nil {
			slave.AuxDone(j.Gen, j.Run())
		}
	}
	if slave.Err() != nil {
		t.Fatal(slave.Err())
	}
}

// compare holds a copy against its master: bytes and queues.
func compare(t *rapid.T, master, slave *Store) {
	for j := slave.TakeWrite(); j != nil; j = slave.TakeWrite() {
		slave.Written(j.Gen, j.Upto, j.Run())
	}
	end := master.Marks().Appended
	if slave.Marks().Indexed != end {
		t.Fatalf("indexed %d of %d", slave.Marks().Indexed, end)
	}
	for at := int64(0); at < end; {
		got, _ := slave.ReadRaw(at, end, 1000)
		want, _ := master.ReadRaw(at, end, got.Len)
		g, err := got.AppendTo(nil)
		w, err2 := want.AppendTo(nil)
		if err != nil || err2 != nil || !bytes.Equal(g[:len(w)], w) {
			t.Fatalf("differs in [%d, +%d): %x, want %x; %v, %v", at, len(w), g, w, err, err2)
		}
		at += int64(len(w))
	}
	for _, q := range master.Queues() {
		copied, err := slave.Queue(q.topic, q.id)
		if err != nil || q.Next() != copied.Next() {
			t.Fatalf("queue %s/%d has %d messages, want %d", q.topic, q.id, copied.Next(), q.Next())
		}
		want, err := bodies(master, q)
		got, err2 := bodies(slave, copied)
		if err != nil || err2 != nil || len(got) != len(want) {
			t.Fatalf("queue %s/%d: %d messages, %v; want %d, %v", q.topic, q.id, len(got), err2, len(want), err)
		}
	}
}

// A fresh slave begins with the master's last file; its queues begin where that file says, also after a restart.
func TestReplicaThatBeginsLater(t *testing.T) {
	master, _ := mustOpen(t, vfs.NewMem(), small)
	for range 100 {
		put(t, master, "T", "some body")
	}
	mem := vfs.NewMem()
	slave, _ := mustOpen(t, mem, small)
	start, end := master.LogStart(), master.Marks().Appended
	if start == 0 {
		t.Fatal("the log has one file only")
	}
	if err := slave.AppendRaw(start+1, []byte{1}); !errors.Is(err, ErrOffset) {
		t.Errorf("bytes from within a file: %v", err)
	}
	for at := start; at < end; {
		r, _ := master.ReadRaw(at, end, 300)
		if err := slave.AppendRaw(at, r.Mem); err != nil {
			t.Fatal(err)
		}
		at += int64(r.Len)
	}
	if err := slave.AppendRaw(end+1, []byte{1}); !errors.Is(err, ErrOffset) {
		t.Errorf("bytes behind a gap: %v", err)
	}
	first := mustQueue(t, slave, "T", 0).Min()
	flush(t, slave)
	if err := slave.runAux(true, true); err != nil {
		t.Fatal(err)
	}
	for _, step := range []string{"replicated", "killed and restarted", "closed and reopened"} {
		q := mustQueue(t, slave, "T", 0)
		if q.Min() != first || first == 0 || q.Next() != 100 || slave.Marks().Min != start || slave.Marks().Appended != end {
			t.Errorf("%s: queue [%d, %d), log %+v", step, q.Min(), q.Next(), slave.Marks())
		}
		if got, err := bodies(slave, q); err != nil || int64(len(got)) != 100-first {
			t.Errorf("%s: %d messages, %v", step, len(got), err)
		}
		if step == "replicated" {
			slave.Abandon()
		} else if err := slave.Close(); err != nil {
			t.Fatal(err)
		}
		slave, _ = mustOpen(t, mem, small)
	}
	if d, err := Dump(mem); err != nil || len(d.Problems) > 0 || d.Queues[0].Min != first {
		t.Errorf("dump: %+v, %v", d, err)
	}
}

// A slave whose only record was torn has an empty log again: it may begin with any file.
func TestReplicaThatLostEverything(t *testing.T) {
	mem := vfs.NewMem()
	s, _ := mustOpen(t, mem, small)
	put(t, s, "T", "one")
	w := s.TakeWrite()
	s.Written(w.Gen, w.Upto, w.Run())
	s.Abandon()
	corrupt(t, mem, firstFile, 90, 'X')
	s, r := mustOpen(t, mem, small)
	b := record("T", 0, []byte("later"), "")
	message.Patch(b, 7, 3*4096, 1)
	if err := s.AppendRaw(3*4096, b); err != nil || r.End != 0 {
		t.Fatal(err, r)
	}
	flush(t, s)
	wantBodies(t, s, "T", "later")
	s.Abandon()
	if s, r = mustOpen(t, mem, small); r.Min != 3*4096 {
		t.Errorf("recovery: %v", r)
	}
	wantBodies(t, s, "T", "later")
}

// What a slave of RocketMQ does when its master has another history: the log grows, the queues stand still. The next
// start cuts it.
func TestReplicaThatDiverged(t *testing.T) {
	for _, row := range []struct {
		name  string
		bytes func(end int64) []byte
	}{
		{"the middle of a record", func(int64) []byte { return bytes.Repeat([]byte("fragment"), 20) }},
		{"zeroes", func(int64) []byte { return make([]byte, 200) }},
		{"a record of another place", func(end int64) []byte {
			b := record("T", 0, []byte("other"), "")
			message.Patch(b, 5, end+1, 1)
			return b
		}},
		{"a record longer than the file", func(int64) []byte {
			return message.AppendBlank([]byte{0x7f, 0, 0, 0, 0xDA, 0xA3, 0x20, 0xA7}, 8)
		}},
		{"a queue offset far ahead", func(end int64) []byte {
			b := record("T", 0, []byte("other"), "")
			message.Patch(b, 1<<40, end, 1)
			return b
		}},
		{"a topic that is a path", func(end int64) []byte {
			b := record("../../etc", 0, []byte("other"), "")
			message.Patch(b, 0, end, 1)
			return b
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			mem := vfs.NewMem()
			s, _ := mustOpen(t, mem, small)
			put(t, s, "T", "one")
			end := s.Marks().Appended
			if err := s.AppendRaw(end, row.bytes(end)); err != nil {
				t.Fatal(err)
			}
			if err := s.AppendRaw(s.Marks().Appended, make([]byte, 3000)); err != nil {
				t.Fatal(err)
			}
			flush(t, s)
			if bad := s.Bad(); bad == nil || bad.Phys != end || s.Marks().Indexed != end || s.Marks().Synced < end+3000 {
				t.Fatalf("bad %v, %+v", bad, s.Marks())
			}
			if _, _, err := s.Append(mustQueue(t, s, "T", 0), record("T", 0, nil, ""), 1, 1); !errors.Is(err, ErrCorrupt) {
				t.Errorf("append behind it: %v", err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s, r := mustOpen(t, mem, small)
			if wantBodies(t, s, "T", "one"); r.End != end || r.Clean {
				t.Errorf("recovery: %v", r)
			}
		})
	}
}

// A queue offset that the queue has already is left out, one that is missing leaves a hole that readers pass by.
func TestReplicaWithOtherQueueOffsets(t *testing.T) {
	mem := vfs.NewMem()
	s, _ := mustOpen(t, mem, small)
	for _, o := range []int64{0, 1, 1, 4, 3, 5} {
		b := record("T", 0, []byte{byte('0' + o)}, "")
		message.Patch(b, o, s.Marks().Appended, 1)
		if err := s.AppendRaw(s.Marks().Appended, b); err != nil {
			t.Fatal(err)
		}
	}
	if got := mustQueue(t, s, "T", 0).Max(s.Marks().Appended - 1); got != 5 {
		t.Errorf("visible but for the last byte: %d, want 5", got)
	}
	for range 2 {
		wantBodies(t, s, "T", "0", "1", "4", "5")
		if q := mustQueue(t, s, "T", 0); q.Min() != 0 || q.Next() != 6 {
			t.Errorf("queue [%d, %d), want [0, 6)", q.Min(), q.Next())
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s, _ = mustOpen(t, mem, small)
	}
}
