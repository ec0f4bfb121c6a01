package store

import (
	"errors"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"holdfast/broker/vfs"
)

// Truncate cuts the log at the end of a record, and then perhaps loses power at once: nothing that was cut off may come back.
func (m *machine) Truncate(t *rapid.T) {
	to := m.min
	if n := rapid.IntRange(0, len(m.ends)).Draw(t, "records left"); n > 0 {
		to = max(to, m.ends[n-1])
	}
	m.truncate(t, to)
	if rapid.Bool().Draw(t, "power") {
		m.mem = m.mem.Crash(rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 2)), vfs.Loss{KeepPercent: 50, Reorder: true, Tear: true, Names: vfs.Posix})
		m.open()
	}
}

func (m *machine) truncate(t *rapid.T, to int64) {
	gen := m.s.Marks().Gen
	j, err := m.s.TakeTruncate(to)
	if err != nil {
		t.Fatal(err)
	}
	if m.s.TakeWrite() != nil || m.s.TakeSync() != nil || m.s.TakeAux(1<<60) != nil {
		t.Fatal("a job is handed out while the log is truncated")
	}
	if q, err := m.s.Queue("T", 0); err != nil {
		t.Fatal(err)
	} else if _, _, err := m.s.Append(q, record("T", 0, nil, ""), 1, 1); !errors.Is(err, ErrBusy) {
		t.Fatalf("append while the log is truncated: %v", err)
	}
	m.s.Truncated(j.Gen, j.Run())
	if err := m.s.Err(); err != nil {
		t.Fatal(err)
	}
	if got := m.s.Marks(); got.Gen != gen+1 || got.Appended != to || got.Written > to || got.Synced > to || got.Indexed != to {
		t.Fatalf("truncated to %d: %+v", to, got)
	}
	m.cut(to)
	m.written, m.synced = min(m.written, to), min(m.synced, to)
	m.check()
}

// A store that is truncated and expires again and again, with kills and power cuts in between, is that of the model.
func TestTruncateAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &machine{t: t, mem: vfs.NewMem(), cfg: smallConfig(t)}
		m.open()
		t.Repeat(map[string]func(*rapid.T){
			"append": m.Append, "append again": m.Append, "append more": m.Append, "write": m.Write, "sync": m.SyncBesideWrite, "aux": m.Aux,
			"lookup": m.Lookup, "query": m.Query, "expire": m.Expire, "kill": m.Kill, "power": m.PowerCut, "restart": m.Restart, "truncate": m.Truncate, "": func(*rapid.T) { m.check() },
		})
	})
}

// A power cut in the middle of a truncation leaves the log as it was or as it should be: the store opens, and what lies
// below the cut and was synced is there.
func TestTruncateInterrupted(t *testing.T) {
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
		s, _, err := Open(faulty, m.cfg)
		if err != nil {
			t.Fatal(err)
		}
		m.s = s
		for range rapid.IntRange(1, 30).Draw(t, "appends") {
			m.Append(t)
			m.Write(t)
			m.SyncBesideWrite(t)
			m.Aux(t)
		}
		if rapid.Bool().Draw(t, "expired") {
			m.min = s.Expirable(0, rapid.IntRange(1, 20).Draw(t, "files"), true)
			s.Expire(m.min)
			if j := s.TakeAux(m.now); j != nil {
				s.AuxDone(j.Gen, j.Run())
			}
			m.expired = m.min
		}
		n := rapid.IntRange(0, len(m.ends)-1).Draw(t, "records left")
		to := m.min
		if n > 0 {
			to = max(to, m.ends[n-1])
		}
		j, err := s.TakeTruncate(to)
		if err != nil {
			t.Fatal(err)
		}
		limit = calls + rapid.IntRange(0, 20).Draw(t, "calls until the power is lost")
		s.Truncated(j.Gen, j.Run())
		m.synced = min(m.synced, to)
		m.mem = mem.Crash(rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 3)), vfs.Loss{KeepPercent: 50, Reorder: true, Tear: true, Names: vfs.Posix})
		m.open()
	})
}

// What cannot be truncated is refused, and leaves the store as it was.
func TestTruncateRefuses(t *testing.T) {
	s, _ := mustOpen(t, vfs.NewMem(), Config{})
	q, err := s.Queue("T", 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Append(q, record("T", 0, nil, ""), 1, 1); err != nil {
		t.Fatal(err)
	}
	for _, to := range []int64{-1, s.Marks().Appended + 1} {
		if _, err := s.TakeTruncate(to); !errors.Is(err, ErrOffset) {
			t.Errorf("truncation to %d: %v", to, err)
		}
	}
	j := s.TakeWrite()
	if _, err := s.TakeTruncate(0); !errors.Is(err, ErrOutstanding) {
		t.Errorf("truncation beside a write: %v", err)
	}
	s.Written(j.Gen, j.Upto, j.Run())
	if s.Marks().Gen != 0 {
		t.Errorf("generation %d after refusals", s.Marks().Gen)
	}
}
