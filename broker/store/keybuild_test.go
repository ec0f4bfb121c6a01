package store

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"holdfast/broker/vfs"
)

var keyConfig = Config{SegmentBytes: 1 << 16, ChunkBytes: 1024, MaxHashSlots: 700, MaxIndexes: 500, QueueSyncEvery: time.Hour}

// putKeyed appends n messages whose keys are few, so that chains grow, and indexes them.
func putKeyed(t testing.TB, s *Store, n int, now time.Duration) {
	t.Helper()
	for i := range n {
		b := record("T", 0, []byte("body"), fmt.Sprintf("KEYS\x01k%d k%d\x02", i%7, i%11))
		if _, _, err := s.Append(mustQueue(t, s, "T", 0), b, 1, 1_700_000_000_000+now.Milliseconds()); err != nil {
			t.Fatal(err)
		}
	}
	flush(t, s)
	j := s.TakeAux(now)
	if j == nil {
		t.Fatal("no aux job")
	}
	s.AuxDone(j.Gen, j.Run())
	if s.Err() != nil {
		t.Fatal(s.Err())
	}
}

// wantKeys checks that the index files of the store agree with its log.
func wantKeys(t testing.TB, mem vfs.FS, what string) *Summary {
	t.Helper()
	d, err := Dump(mem)
	if err != nil || len(d.Problems) > 0 || d.Unlisted > 0 {
		t.Errorf("%s: %v, %+v", what, err, d)
	}
	return d
}

// A power cut leaves any of the slots and entries that were written since the last sync: slots that lead to entries which are not
// there, and entries to which no slot leads.
func TestPowerCutInIndexFile(t *testing.T) {
	for seed := range uint64(100) {
		mem := vfs.NewMem()
		s, _ := mustOpen(t, mem, keyConfig)
		s.aux.lastKeys = -time.Hour
		putKeyed(t, s, 40, time.Second)
		if s.saved.keyFile.count != 81 {
			t.Fatalf("checkpoint: %+v", s.saved)
		}
		putKeyed(t, s, 40, 2*time.Second)
		rng := rand.New(rand.NewPCG(seed, 1))
		after := mem.Crash(rng, vfs.Loss{KeepPercent: 50, Reorder: true, Granule: 512, Tear: true})
		s, r := mustOpen(t, after, keyConfig)
		wantKeys(t, after, fmt.Sprint("seed ", seed, ": ", r))
		s.aux.lastRun = -time.Hour
		putKeyed(t, s, 40, 3*time.Second)
		wantKeys(t, after, fmt.Sprint("seed ", seed, ": gone on"))
	}
}

// Index files that fill up follow one another as RocketMQ's do: named by the time of their first message, and with the end of the
// one before as their begin until they have a message.
func TestIndexFilesFillUp(t *testing.T) {
	mem := vfs.NewMem()
	s, _ := mustOpen(t, mem, keyConfig)
	for i := range 12 {
		putKeyed(t, s, 100, time.Duration(i+1)*10*time.Second)
	}
	d := wantKeys(t, mem, "full files")
	var names []string
	for _, f := range d.Index {
		names = append(names, f.Name)
	}
	// 2023-11-14T22:13:20 is the zero of putKeyed; the 500th key is the third hundred's.
	if want := []string{"20231114221330000", "20231114221350000", "20231114221410000", "20231114221440000", "20231114221500000"}; !slices.Equal(names, want) || d.Index[0].Entries != 499 {
		t.Errorf("got %v, want %v; %+v", names, want, d.Index[0])
	}
	if got, want := s.saved.keyTime, int64(0); got != want {
		t.Errorf("nothing is synced but full files, which the checkpoint says nothing of: %d", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got, want := s.saved.keyTime, d.Index[3].EndTime; got != want {
		t.Errorf("indexMsgTimestamp: got %d, want %d", got, want)
	}
	s, r := mustOpen(t, mem, keyConfig)
	if !r.Clean || len(s.keyFiles) != 5 || s.keyed != s.marks.Appended {
		t.Errorf("opened: %v, %d index files up to %d", r, len(s.keyFiles), s.keyed)
	}
}

// A disk that fills up while keys are written leaves a job undone; the next one does it, and nothing is listed twice.
func TestNoSpaceForIndexFile(t *testing.T) {
	for n := 1; ; n++ {
		mem := vfs.NewMem()
		calls, limit := 0, 1<<30
		fs := vfs.NewFaulty(mem, func(c vfs.Call) vfs.Effect {
			if (c.Op == vfs.OpWrite || c.Op == vfs.OpCreate) && len(c.Name) > 6 && c.Name[:6] == "index/" {
				if calls++; calls == limit {
					return vfs.Effect{Err: vfs.ErrNoSpace}
				}
			}
			return vfs.Effect{}
		}, nil)
		s, _ := mustOpen(t, fs, keyConfig)
		putKeyed(t, s, 30, time.Second)
		calls, limit = 0, n
		for i := range 500 {
			if _, _, err := s.Append(mustQueue(t, s, "T", 0), record("T", 0, nil, fmt.Sprintf("KEYS\x01k%d\x02", i%5)), 1, 5); err != nil {
				t.Fatal(err)
			}
		}
		flush(t, s)
		for i, now := range []time.Duration{2 * time.Second, 4 * time.Second} {
			if j := s.TakeAux(now); j != nil {
				s.AuxDone(j.Gen, j.Run())
			} else if i == 0 || calls == n {
				t.Fatalf("no aux job at %v", now)
			}
		}
		if s.Err() != nil {
			t.Fatal(s.Err())
		}
		wantKeys(t, mem, fmt.Sprint("no space at call ", n))
		if calls < n {
			return
		}
	}
}

func TestKeyFileNames(t *testing.T) {
	const at = 1_700_000_000_123
	for _, row := range []struct {
		name           string
		ms, last, want int64
	}{
		{"the time of the message", at, 0, 20231114221320123},
		{"behind the file before", at, 20231114221320122, 20231114221320123},
		{"of the same time", at, 20231114221320123, 20231114221320124},
		{"the last millisecond of a minute", at, 20231114221359999, 20231114221400000},
		{"the clock was set back", at, 20240229235959999, 20240301000000000},
	} {
		if got := keyFileName(row.ms, row.last); got != row.want {
			t.Errorf("%s: got %d, want %d", row.name, got, row.want)
		}
	}
}
