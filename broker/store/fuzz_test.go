package store

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"holdfast/broker/message"
	"holdfast/broker/vfs"
)

// fuzzKeys makes index files that are soon full: three of them with the 20 messages of indexed.
var fuzzKeys = Config{SegmentBytes: 4096, QueueFileBytes: 400, ChunkBytes: 1024, MaxHashSlots: 7, MaxIndexes: 16}

// indexed returns a store of 20 messages with two keys each, all in index files, closed or left.
func indexed(t testing.TB, closed bool) *vfs.Mem {
	mem := vfs.NewMem()
	s, _ := mustOpen(t, mem, fuzzKeys)
	putKeyed(t, s, 20, time.Second)
	if !closed {
		if err := s.runAux(true, true); err != nil {
			t.Fatal(err)
		}
		s.Abandon()
	} else if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return mem
}

// FuzzIndex: whatever is in an index file, the store opens, every query ends and returns whole records of the log, what is appended is found by
// its key before and after it is in a file, dump reads all of it, and the store closes and opens again. After an unclean end the slots and the
// entries behind the checkpoint's do not count.
func FuzzIndex(f *testing.F) {
	f.Add(uint8(2), true, uint16(0), []byte{0xff})
	f.Add(uint8(2), false, uint16(36), []byte{0x7f, 0xff, 0xff, 0xff})
	f.Add(uint8(1), true, uint16(40), []byte{0, 0, 0, 9, 0, 0, 0, 9, 0, 0, 0, 9, 0, 0, 0, 9})
	f.Add(uint8(0), true, uint16(68+20+16), []byte{0, 0, 0, 1})
	f.Add(uint8(2), true, uint16(40), []byte{0x80, 0, 0, 0, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, which uint8, closed bool, off uint16, b []byte) {
		mem := indexed(t, closed)
		names, err := listKeyFiles(mem)
		if err != nil || len(names) < 3 {
			t.Fatal(names, err)
		}
		name := (&keyFile{name: names[int(which)%len(names)]}).path()
		if len(b) > 1024 || overwrite(mem, name, int64(off%1024), b) != nil {
			return
		}
		wantDumped(t, mem)
		s, _ := mustOpen(t, mem, fuzzKeys)
		keysEnd(t, s)
		b = record("T", 0, []byte("new"), "UNIQ_KEY\x01new\x02KEYS\x01k1\x02")
		if _, _, err := s.Append(mustQueue(t, s, "T", 0), b, 1, 1_700_000_002_000); err != nil {
			t.Fatal(err)
		}
		flush(t, s)
		for _, where := range []string{"behind the index files", "in them", "in them, opened again"} {
			if n := found(t, s, "T", "new"); n != 1 {
				t.Errorf("%s: the new message is found %d times", where, n)
			}
			keysEnd(t, s)
			if err := s.runAux(true, true); err != nil {
				t.Fatal(err)
			}
			if where == "in them" {
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				s, _ = mustOpen(t, mem, fuzzKeys)
			}
		}
		s.Abandon()
		wantDumped(t, mem)
	})
}

// keysEnd asks for every key that there may be: each answer is whole records of the log.
func keysEnd(t *testing.T, s *Store) {
	t.Helper()
	for i := range 12 {
		j := s.Query(Query{Topic: "T", Key: fmt.Sprint("k", i), Max: 64, End: 1 << 60, Limit: 1 << 60, Bytes: 1 << 20})
		if err := j.Run(); err != nil {
			t.Fatal(err)
		}
		m := j.Matches()
		n := 0
		for b := m.Records; len(b) > 0; n++ {
			_, size, err := message.Decode(b, true)
			if err != nil {
				t.Fatal(err)
			}
			b = b[size:]
		}
		if n != m.Count || n > 64 {
			t.Errorf("%d records, %d are counted", n, m.Count)
		}
	}
}

// wantDumped reads the store, whatever is in it.
func wantDumped(t *testing.T, mem *vfs.Mem) {
	t.Helper()
	if _, err := Dump(mem); err != nil {
		t.Errorf("dump: %v", err)
	}
}

// FuzzCheckpoint: whatever numbers a checkpoint has, with the right checksum and RocketMQ's times, Open errs or opens a store that can be read and
// appended to, and opens again after a power cut with all that it called synced.
func FuzzCheckpoint(f *testing.F) {
	f.Add(uint8(3), int64(1<<40), uint8(4), int64(1<<40))
	f.Add(uint8(1), int64(300), uint8(2), int64(1<<50*20))
	f.Add(uint8(5), int64(-1), uint8(6), int64(0))
	f.Add(uint8(13), int64(4096), uint8(10), int64(1<<62))
	f.Add(uint8(9), int64(-1), uint8(11), int64(99991231000000001))
	f.Add(uint8(14), int64(1), uint8(0), int64(1<<63-1))
	f.Fuzz(func(t *testing.T, field uint8, value int64, other uint8, also int64) {
		mem, _ := written(t)
		b, err := vfs.ReadFile(mem, checkpointName)
		if err != nil {
			t.Fatal(err)
		}
		c, ok := decodeCheckpoint(b)
		if !ok {
			t.Fatal("no checkpoint")
		}
		clean := int64(0)
		fields := c.fields(&clean)
		*fields[int(field)%len(fields)] = value
		*fields[int(other)%len(fields)] = also
		c.clean = clean != 0
		file, err := mem.Open(checkpointName)
		if err == nil {
			err = c.save(file)
		}
		if err != nil {
			t.Fatal(err)
		}
		wantDumped(t, mem)
		s, r, err := Open(mem, small)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Errorf("%+v: %v is no ErrCorrupt", c, err)
			}
			return
		}
		for _, q := range s.Queues() {
			if _, err := bodies(s, q); err != nil && !errors.Is(err, ErrCorrupt) {
				t.Errorf("queue %s/%d: %v", q.topic, q.id, err)
			}
		}
		put(t, s, "T", "more")
		flush(t, s)
		end := s.Marks().Synced
		s.Abandon()
		if again, r2, err := Open(mem.Crash(rand.New(rand.NewPCG(1, 1)), vfs.Loss{Names: vfs.Posix}), small); err != nil || r2.End != end {
			t.Errorf("%+v: %v; then %v, %v", c, r, r2, err)
		} else {
			again.Abandon()
		}
	})
}
