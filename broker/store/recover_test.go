package store

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"holdfast/broker/vfs"
)

// written returns a store of five messages, the first three synced and checkpointed, the others written, then left.
func written(t *testing.T) (*vfs.Mem, []int64) {
	mem := vfs.NewMem()
	s, _ := mustOpen(t, mem, small)
	var at []int64
	for i := range 5 {
		if i == 3 {
			flush(t, s)
			if err := s.runAux(true, true); err != nil {
				t.Fatal(err)
			}
		}
		at = append(at, put(t, s, "T", fmt.Sprintf("body%d", i)))
	}
	w := s.TakeWrite()
	if err := w.Run(); err != nil {
		t.Fatal(err)
	}
	s.Abandon()
	return mem, at
}

const firstFile = "commitlog/00000000000000000000"

func TestCorruptTailIsCutAndReported(t *testing.T) {
	for _, row := range []struct {
		name   string
		off    int64 // in the record
		b      []byte
		reason string
	}{
		{"body", 90, []byte{'X'}, "checksum"},
		{"size", 0, []byte{0x7f}, "left in the file"},
		{"size too small", 3, []byte{1}, "size 1"},
		{"magic", 4, []byte{1}, "magic"},
		{"physical offset: a stale record", 35, []byte{1}, "says that it stands at"},
		{"body length", 84, []byte{0x7f}, "body of"},
		{"topic length", 93, []byte{0}, "topic of 0 bytes"},
	} {
		t.Run(row.name, func(t *testing.T) {
			mem, at := written(t)
			corrupt(t, mem, firstFile, at[3]+row.off, row.b...)
			if d, err := Dump(mem); err != nil || d.CommitLog.Records != 3 || !strings.Contains(d.CommitLog.Bad, row.reason) || d.CommitLog.BehindEnd < 2*100 {
				t.Errorf("dump: %+v, %v", d, err)
			}
			s, r := mustOpen(t, mem, small)
			wantBodies(t, s, "T", "body0", "body1", "body2")
			if r.End != at[3] || r.Cut == nil || !strings.Contains(r.Cut.Reason, row.reason) || r.CutBytes < 2*100 || r.Trusted != at[3] {
				t.Errorf("recovery: %v; cut %v", r, r.Cut)
			}
			// The fifth record is whole. It must not come back when the log has grown up to it.
			put(t, s, "T", "bodyX")
			flush(t, s)
			s.Abandon()
			s, r = mustOpen(t, mem, small)
			if wantBodies(t, s, "T", "body0", "body1", "body2", "bodyX"); r.Cut != nil || r.CutBytes != 0 {
				t.Errorf("second recovery: %v", r)
			}
		})
	}
}

func TestHoleEndsTheLog(t *testing.T) {
	mem, at := written(t)
	corrupt(t, mem, firstFile, at[3], make([]byte, at[4]-at[3])...)
	s, r := mustOpen(t, mem, small)
	if wantBodies(t, s, "T", "body0", "body1", "body2"); r.End != at[3] || r.Cut != nil || r.CutBytes != 2*(at[4]-at[3]) {
		t.Errorf("recovery: %v", r)
	}
}

func TestCorruptBelowTheCheckpoint(t *testing.T) {
	mem, at := written(t)
	s, _ := mustOpen(t, mem, small)
	flush(t, s)
	put(t, s, "T", "body5")
	flush(t, s)
	if err := s.runAux(true, false); err != nil { // the mark of the consume queues stays: the log is scanned from there
		t.Fatal(err)
	}
	s.Abandon()
	corrupt(t, mem, firstFile, at[4]+2*(at[1]-at[0])-20, 'X')
	before, err := vfs.ReadFile(mem, firstFile)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = Open(mem, small)
	if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), firstFile) {
		t.Fatalf("open: %v", err)
	}
	if after, err := vfs.ReadFile(mem, firstFile); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the log was changed: %v", err)
	}
	cfg := small
	cfg.CutCorrupt = true
	s, r := mustOpen(t, mem, cfg)
	wantBodies(t, s, "T", "body0", "body1", "body2", "body3", "body4")
	if r.Cut == nil || r.CutBytes == 0 || r.Trusted <= r.End {
		t.Errorf("recovery: %v", r)
	}
	s, _ = mustOpen(t, mem.Crash(rand.New(rand.NewPCG(1, 1)), vfs.Loss{}), small)
	wantBodies(t, s, "T", "body0", "body1", "body2", "body3", "body4")
}

// Consume queues that are lost or foreign are built anew from the log.
func TestQueuesAreRebuilt(t *testing.T) {
	unitFile := "consumequeue/T/0/00000000000000000000"
	for name, harm := range map[string]func(mem *vfs.Mem) error{
		"file removed":            func(mem *vfs.Mem) error { return mem.Remove(unitFile) },
		"checkpoint removed":      func(mem *vfs.Mem) error { return mem.Remove("checkpoint") },
		"checkpoint of RocketMQ":  func(mem *vfs.Mem) error { return overwrite(mem, "checkpoint", 0, bytes.Repeat([]byte{1}, 24)) },
		"checkpoint torn":         func(mem *vfs.Mem) error { return overwrite(mem, "checkpoint", 512, make([]byte, 1024)) },
		"last unit zeroed":        func(mem *vfs.Mem) error { return overwrite(mem, unitFile, 40, make([]byte, 20)) },
		"unit of another message": func(mem *vfs.Mem) error { return overwrite(mem, unitFile, 40, make([]byte, 10)) },
	} {
		t.Run(name, func(t *testing.T) {
			mem, _ := written(t)
			if err := harm(mem); err != nil {
				t.Fatal(err)
			}
			s, r := mustOpen(t, mem, small)
			if wantBodies(t, s, "T", "body0", "body1", "body2", "body3", "body4"); !r.Rebuilt {
				t.Errorf("recovery: %v", r)
			}
			if d, err := Dump(mem); err != nil || len(d.Problems) > 0 {
				t.Errorf("dump: %v, %v", d.Problems, err)
			}
		})
	}
}

func overwrite(mem *vfs.Mem, name string, off int64, b []byte) error {
	f, err := mem.Open(name)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(b, off)
	return err
}

// TestOtherBrokerKilledAfterAClose: what another broker appended after a Close lies behind a checkpoint that says "closed", which it had not
// touched when it was killed.
func TestOtherBrokerKilledAfterAClose(t *testing.T) {
	mem := vfs.NewMem()
	s, _ := mustOpen(t, mem, small)
	put(t, s, "T", "ours")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	closed, err := vfs.ReadFile(mem, checkpointName)
	if err != nil {
		t.Fatal(err)
	}
	s, _ = mustOpen(t, mem, small)
	put(t, s, "T", "the other's")
	if err := s.TakeWrite().Run(); err != nil {
		t.Fatal(err)
	}
	s.Abandon()
	if err := vfs.WriteFile(mem, checkpointName, closed); err != nil {
		t.Fatal(err)
	}
	s, r := mustOpen(t, mem, small)
	if q, err := s.Queue("T", 0); err != nil || q.Next() != 2 || r.Clean {
		t.Errorf("queue ends at %d, want 2; %+v, %v", q.Next(), r, err)
	}
}

// TestCheckpointAfterAnotherBroker: our slots of before another broker wrote the checkpoint are older than the first one of after.
func TestCheckpointAfterAnotherBroker(t *testing.T) {
	mem, _ := written(t)
	if err := overwrite(mem, checkpointName, 0, bytes.Repeat([]byte{1}, 24)); err != nil {
		t.Fatal(err)
	}
	s, r := mustOpen(t, mem, small)
	end := r.End
	s.Abandon()
	if s, r = mustOpen(t, mem, small); r.Trusted != end || r.Scanned > 0 {
		t.Errorf("the log ends at %d; %v", end, r)
	}
	wantBodies(t, s, "T", "body0", "body1", "body2", "body3", "body4")
}

// TestLastFileLost: a closed store whose last file of the log is gone is not one that ends earlier.
func TestLastFileLost(t *testing.T) {
	mem := vfs.NewMem()
	s, _ := mustOpen(t, mem, small)
	for range 80 {
		put(t, s, "T", "body")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, base := range []int64{4096, 8192} {
		if err := mem.Remove(logName(base)); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := Open(mem, small); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), firstFile+" is the last file") {
		t.Errorf("open: %v", err)
	}
}

// A torn write of the checkpoint leaves the one before it.
func TestCheckpointTorn(t *testing.T) {
	mem := vfs.NewMem()
	f, err := mem.Create(checkpointName, checkpointBytes)
	if err != nil {
		t.Fatal(err)
	}
	for seq := int64(1); seq <= 6; seq++ {
		c := slot{seq: seq, segment: 4096, queueFile: 400, synced: 100 * seq, indexed: 50 * seq, physicTime: seq, logicsTime: seq, clean: seq == 3}
		if err := c.save(f); err != nil {
			t.Fatal(err)
		}
		b, err := vfs.ReadFile(mem, checkpointName)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := decodeCheckpoint(b); !ok || got != c {
			t.Errorf("saved %+v, got %+v, %v", c, got, ok)
		}
		older := c
		older.seq, older.synced, older.indexed, older.physicTime, older.logicsTime, older.clean = seq-1, c.synced-100, c.indexed-50, seq-1, seq-1, seq-1 == 3
		for name, front := range map[string][]byte{"front and half of the slot": c.front(), "half of the slot": older.front()} {
			torn := bytes.Clone(b)
			copy(torn, front)
			torn[slotAt(seq)+40] ^= 1
			if got, ok := decodeCheckpoint(torn); seq > 1 && name != "front and half of the slot" && (!ok || got != older) || ok && got.seq == seq {
				t.Errorf("%s of %d written: got %+v, %v", name, seq, got, ok)
			}
		}
	}
}

func TestForeignFilesInTheLog(t *testing.T) {
	for _, name := range []string{"commitlog/notes.txt", "commitlog/00000000000000000001", "commitlog/00000000000000012288"} {
		mem, _ := written(t)
		if _, err := mem.Create(name, 10); err != nil {
			t.Fatal(err)
		}
		if _, _, err := Open(mem, small); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzOpen: whatever is in the files, Open neither panics nor calls anything synced that is no valid record, and what it
// leaves opens again and says the same.
func FuzzOpen(f *testing.F) {
	f.Add(uint16(0), []byte{1}, uint8(0))
	f.Add(uint16(200), []byte("XXXX"), uint8(0))
	f.Add(uint16(600), []byte{0, 0, 0, 0}, uint8(1))
	f.Add(uint16(20), []byte{0, 1, 2, 3}, uint8(2))
	f.Fuzz(func(t *testing.T, off uint16, b []byte, which uint8) {
		mem, at := written(t)
		name := []string{firstFile, "checkpoint", "consumequeue/T/0/00000000000000000000"}[which%3]
		if len(b) > 4096 || overwrite(mem, name, int64(off%8192), b) != nil {
			return
		}
		wantDumped(t, mem)
		cfg := small
		cfg.CutCorrupt = true
		s, r, err := Open(mem, cfg)
		if err != nil {
			return
		}
		n := 0
		// What was synced and indexed is not read again.
		rot := which%3 == 0 && int64(off%8192) < at[3] || which%3 == 2 && off%8192 < 3*unitBytes
		for _, q := range s.Queues() {
			b, err := bodies(s, q)
			if n += len(b); err != nil && !errors.Is(err, ErrCorrupt) && !rot {
				t.Errorf("queue %s/%d: %v", q.topic, q.id, err)
			}
		}
		s.Abandon()
		if len(mustRead(t, mem)) < n && !rot {
			t.Errorf("%d messages in queues, fewer in the log: %v", n, r)
		}
		again, r2, err := Open(mem.Crash(rand.New(rand.NewPCG(1, 1)), vfs.Loss{Names: vfs.Posix}), small)
		if err != nil || r2.End != r.End || r2.Cut != nil {
			t.Fatalf("second open: %v, %v after %v", err, r2, r)
		}
		again.Abandon()
	})
}

// A power cut at any moment of an Open leaves a store that opens, with all that was synced, and nothing that had been cut.
func TestPowerCutWhileOpening(t *testing.T) {
	for _, below := range []bool{false, true} {
		for n, opened := 0, false; !opened; n++ {
			mem, at := written(t)
			end := at[3]
			if below { // a record that was synced is corrupt, and the operator has it cut
				s, _ := mustOpen(t, mem, small)
				put(t, s, "T", "body5")
				flush(t, s)
				if err := s.runAux(true, false); err != nil {
					t.Fatal(err)
				}
				s.Abandon()
				end = at[4] + at[1]
			}
			corrupt(t, mem, firstFile, end+91, 'X')
			calls := 0
			rule := func(c vfs.Call) vfs.Effect {
				if c.Op == vfs.OpRead || c.Op == vfs.OpOpen || c.Op == vfs.OpList {
					return vfs.Effect{}
				}
				if calls++; calls > n {
					return vfs.Effect{Err: vfs.ErrIO, Keep: true}
				}
				return vfs.Effect{}
			}
			cfg := small
			cfg.CutCorrupt = true
			s, _, err := Open(vfs.NewFaulty(mem, rule, nil), cfg)
			if opened = err == nil; opened {
				s.Abandon()
			}
			for seed := range uint64(4) {
				loss := vfs.Loss{KeepPercent: int(seed) * 30, Reorder: true, Granule: 512, Names: vfs.NamesModel(seed % 2)}
				after := mem.Crash(rand.New(rand.NewPCG(seed, uint64(n))), loss)
				checkCut(t, after, n, end, below)
			}
		}
	}
}

// checkCut opens a store that is to be cut at end.
func checkCut(t *testing.T, mem *vfs.Mem, n int, end int64, below bool) {
	t.Helper()
	log, err := vfs.ReadFile(mem, firstFile)
	if err != nil {
		t.Fatalf("power cut at call %d: %v", n, err)
	}
	s, r, err := Open(mem, small)
	if untouched := log[end+91] == 'X'; err != nil && below && untouched && errors.Is(err, ErrCorrupt) {
		return
	}
	if err != nil || r.End > end {
		t.Fatalf("power cut at call %d: %v, %v", n, r, err)
	}
	want := []string{"body0", "body1", "body2"}
	if below {
		want = append(want, "body3", "body4")
	}
	wantBodies(t, s, "T", want...)
}

// A chunk that a reader may hold is never used again, others are.
func TestChunksAreUsedAgainUnlessLent(t *testing.T) {
	cfg := small
	cfg.ChunkBytes, cfg.HotBytes = 256, 1
	for _, lent := range []bool{false, true} {
		s, _ := mustOpen(t, vfs.NewMem(), cfg)
		put(t, s, "T", "first")
		first := s.chunks[0].b
		var r Range
		if lent {
			r, _ = s.ReadRaw(0, s.Marks().Appended, 300)
		}
		was, again := bytes.Clone(r.Mem), false
		for range 50 {
			put(t, s, "T", "more")
			flush(t, s)
			for _, c := range s.chunks {
				again = again || &c.b[0] == &first[0] && s.first > 0
			}
		}
		if again == lent || !bytes.Equal(r.Mem, was) {
			t.Errorf("lent %v: used again %v", lent, again)
		}
	}
}

// TestOpenChangesNoQueueThatIsRight: after a kill most queues have nothing behind their last unit, and with tens of thousands of them each file that is
// cut and synced costs time. One that has something there is cut.
func TestOpenChangesNoQueueThatIsRight(t *testing.T) {
	mem := vfs.NewMem()
	s, _ := mustOpen(t, mem, small)
	for range 3 {
		for _, topic := range []string{"A", "B", "C"} {
			put(t, s, topic, "x")
		}
	}
	flush(t, s)
	if err := s.runAux(true, true); err != nil {
		t.Fatal(err)
	}
	name := queueName(queuePath("B", 0), 0)
	dirty, err := mem.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dirty.WriteAt([]byte{1}, 3*unitBytes+50); err != nil {
		t.Fatal(err)
	}
	s.Abandon()
	var changed []string
	counting := vfs.NewFaulty(mem, func(c vfs.Call) vfs.Effect {
		if strings.HasPrefix(c.Name, queueDir) && (c.Op == vfs.OpWrite || c.Op == vfs.OpTruncate || c.Op == vfs.OpSync) {
			changed = append(changed, c.Name)
		}
		return vfs.Effect{}
	}, nil)
	s, r := mustOpen(t, counting, small)
	if r.Clean || r.Rebuilt || !slices.Equal(slices.Compact(changed), []string{name}) {
		t.Errorf("%v; changed: %v, want %s alone", r, changed, name)
	}
	if b, err := vfs.ReadFile(mem, name); err != nil || int64(len(b)) != small.QueueFileBytes || !allZero(b[3*unitBytes:]) || mustQueue(t, s, "B", 0).Next() != 3 {
		t.Errorf("the file of %d bytes still has something behind its three units, %v", len(b), err)
	}
}
