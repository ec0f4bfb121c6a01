package store

import (
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"

	"holdfast/broker/vfs"
)

// A power cut while files are removed leaves a log that begins where it did or where it should, and queues that go on where they ended,
// also those without a message.
func TestExpireInterrupted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		calls, limit := 0, 1<<30
		mem := vfs.NewMem()
		faulty := vfs.NewFaulty(mem, func(vfs.Call) vfs.Effect {
			if calls++; calls > limit {
				return vfs.Effect{Err: vfs.ErrIO}
			}
			return vfs.Effect{}
		}, nil)
		m := &machine{t: t, mem: mem, cfg: smallConfig(t)}
		m.cfg.SegmentBytes, m.cfg.QueueSyncEvery = 512, 1
		s, _, err := Open(faulty, m.cfg)
		if err != nil {
			t.Fatal(err)
		}
		m.s = s
		for range rapid.IntRange(5, 30).Draw(t, "appends") {
			m.Append(t)
			m.Write(t)
			m.SyncBesideWrite(t)
			m.Aux(t)
		}
		to := s.Expirable(0, rapid.IntRange(1, 20).Draw(t, "files"), true)
		s.Expire(to)
		m.min = to
		j := s.TakeAux(m.now)
		if j == nil {
			return
		}
		limit = calls + rapid.IntRange(0, 40).Draw(t, "calls until the power is lost")
		s.AuxDone(j.Gen, j.Run())
		m.mem = mem.Crash(rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 3)), vfs.Loss{KeepPercent: 50, Reorder: true, Tear: true, Names: vfs.Posix})
		m.rebuilt = true
		m.open()
	})
}

// TestExpireLeavesAFile: where the log was cut at the end of a file, the next one is in memory alone: without the last file on disk a power cut
// would leave a log of nothing.
func TestExpireLeavesAFile(t *testing.T) {
	mem := vfs.NewMem()
	s, _ := mustOpen(t, mem, small)
	for s.Marks().Appended <= 2*small.SegmentBytes {
		put(t, s, "T", "old")
	}
	flush(t, s)
	cut, err := s.TakeTruncate(2 * small.SegmentBytes)
	if err != nil {
		t.Fatal(err)
	}
	err = cut.Run()
	if s.Truncated(cut.Gen, err); err != nil {
		t.Fatal(err)
	}
	if err := s.runAux(true, true); err != nil {
		t.Fatal(err)
	}
	put(t, s, "T", "new")
	to := s.Expirable(0, 10, true)
	if to != small.SegmentBytes {
		t.Errorf("the log may be cut at %d; what lies below %d is all that may go", to, small.SegmentBytes)
	}
	s.Expire(to)
	j := s.TakeAux(0)
	err = j.Run()
	if s.AuxDone(j.Gen, err); err != nil {
		t.Fatal(err)
	}
	mem = mem.Crash(rand.New(rand.NewPCG(1, 2)), vfs.Loss{})
	s, r := mustOpen(t, mem, small)
	if d, err := Dump(mem); err != nil || len(d.Problems) > 0 || s.Marks().Min != small.SegmentBytes || s.Marks().Appended != 2*small.SegmentBytes {
		t.Errorf("opened: %v; dump: %+v, %v", r, d, err)
	}
}

// What another broker has left is built anew; a queue of which the log has no message goes on where it ended.
func TestExpiredQueueOfAnotherBroker(t *testing.T) {
	mem := vfs.NewMem()
	s, _ := mustOpen(t, mem, small)
	for range 3 {
		put(t, s, "Gone", "old")
	}
	for s.Marks().Appended < 3*small.SegmentBytes {
		put(t, s, "T", "new")
	}
	flush(t, s)
	if err := s.runAux(true, true); err != nil {
		t.Fatal(err)
	}
	to := s.Expirable(0, 1, true)
	s.Expire(to)
	j := s.TakeAux(0)
	s.AuxDone(j.Gen, j.Run())
	if err := s.Close(); err != nil || to == 0 {
		t.Fatal(to, err)
	}
	corrupt(t, mem, checkpointName, 0, 1, 2, 3, 4, 5, 6, 7, 8) // as RocketMQ would
	for range 2 {
		s, r := mustOpen(t, mem, small)
		q := mustQueue(t, s, "Gone", 0)
		if q.Min() != 3 || q.Next() != 3 || s.Marks().Min != to {
			t.Fatalf("queue [%d, %d), %v", q.Min(), q.Next(), r)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestExpiryWaitsForNoQueue: a job takes one queue of three, and none is due for a long time; but files that could expire have the next one take
// all that they wait for.
func TestExpiryWaitsForNoQueue(t *testing.T) {
	cfg := small
	cfg.AuxQueues, cfg.CheckpointEvery, cfg.QueueSyncEvery = 1, time.Hour, time.Hour
	s, _ := mustOpen(t, vfs.NewMem(), cfg)
	for s.Marks().Appended <= 3*cfg.SegmentBytes {
		for _, topic := range []string{"A", "B", "C"} {
			put(t, s, topic, "x")
		}
	}
	flush(t, s)
	if j := s.TakeAux(0); j != nil || s.AuxDue() != time.Hour {
		t.Fatalf("job %v, due at %v: nothing is tested", j, s.AuxDue())
	}
	if to := s.Expirable(0, 10, true); to != 0 {
		t.Fatalf("the log may be cut at %d before its queues are on disk", to)
	}
	if s.AuxDue() != 1 {
		t.Errorf("the next job is due at %v, want at once", s.AuxDue())
	}
	j := s.TakeAux(1)
	s.AuxDone(j.Gen, j.Run())
	if to := s.Expirable(0, 10, true); to != 3*cfg.SegmentBytes {
		t.Errorf("the log may be cut at %d, want at %d", to, 3*cfg.SegmentBytes)
	}
	if j := s.TakeAux(1); j != nil || s.AuxDue() == 1 {
		t.Errorf("another job %v, due at %v, although nothing waits", j, s.AuxDue())
	}
}
