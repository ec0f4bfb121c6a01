package store

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"holdfast/broker/vfs"
)

// counted counts the files of consume queues that are open.
type counted struct {
	vfs.FS
	open, most int
}

type countedFile struct {
	vfs.File
	in *counted
}

func (c *counted) Create(name string, size int64) (vfs.File, error) {
	f, err := c.FS.Create(name, size)
	return c.count(name, f, err)
}

func (c *counted) Open(name string) (vfs.File, error) {
	f, err := c.FS.Open(name)
	return c.count(name, f, err)
}

func (c *counted) count(name string, f vfs.File, err error) (vfs.File, error) {
	if err != nil || !strings.HasPrefix(name, queueDir) {
		return f, err
	}
	c.open++
	c.most = max(c.most, c.open)
	return &countedFile{f, c}, nil
}

func (f *countedFile) Close() error {
	f.in.open--
	return f.File.Close()
}

// putAll puts a message into each of n queues, brings the log to disk and returns the queues.
func putAll(t *testing.T, s *Store, n int, body string) {
	t.Helper()
	for i := range n {
		put(t, s, fmt.Sprintf("T%03d", i), body)
	}
	flush(t, s)
}

// Of many queues few files are open, whatever is done with them, and none when the store is closed.
func TestOpenQueueFiles(t *testing.T) {
	const queues, most = 100, 8
	fsys := &counted{FS: vfs.NewMem()}
	cfg := small
	cfg.SegmentBytes, cfg.QueueFileBytes, cfg.OpenQueueFiles = 64<<10, 200, most
	s, _ := mustOpen(t, fsys, cfg)
	for round := range 12 { // more than a file of units each
		putAll(t, s, queues, fmt.Sprint("m", round))
		if err := s.runAux(true, round%5 == 4); err != nil {
			t.Fatal(err)
		}
	}
	to := s.Marks().Appended
	putAll(t, s, queues, "cut off")
	if err := s.runAux(true, true); err != nil {
		t.Fatal(err)
	}
	j, err := s.TakeTruncate(to)
	if err != nil {
		t.Fatal(err)
	}
	s.Truncated(j.Gen, j.Run())
	s.Abandon()
	if fsys.open != 0 {
		t.Errorf("%d files are open after the end", fsys.open)
	}
	s, _ = mustOpen(t, fsys, cfg)
	if q := mustQueue(t, s, "T099", 0); q.Next() != 12 {
		t.Errorf("the last queue ends at %d, want 12", q.Next())
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if fsys.open != 0 || fsys.most < most || fsys.most > most+2 { // and two of a reader that goes from one to the next
		t.Errorf("%d files of queues were open at once, want %d and two that are read; %d are open after Close", fsys.most, most, fsys.open)
	}
}

// A file that is closed for another is on disk: a sync that fails then is one that fails.
func TestQueueFileIsSyncedBeforeItIsClosed(t *testing.T) {
	cfg := small
	cfg.OpenQueueFiles = 2
	fail := func(c vfs.Call) bool { return c.Op == vfs.OpSync && strings.HasPrefix(c.Name, queueDir) }
	s, _ := mustOpen(t, vfs.NewFaulty(vfs.NewMem(), vfs.Once(fail, vfs.Effect{Err: vfs.ErrIO}), nil), cfg)
	putAll(t, s, 3, "m")
	if err := s.runAux(false, false); !errors.Is(err, vfs.ErrIO) || !errors.Is(s.Err(), ErrFailed) {
		t.Errorf("a job that could not sync the file that it closed: %v, the store: %v", err, s.Err())
	}
}

// A job writes so many queues; the checkpoint says how far all are on disk. What waits for the next one at Close is left to Open.
func TestManyQueuesAreWrittenInTurn(t *testing.T) {
	mem, cfg := vfs.NewMem(), small
	cfg.AuxQueues = 2
	s, _ := mustOpen(t, mem, cfg)
	putAll(t, s, 5, "m")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := vfs.ReadFile(mem, abortName); err != nil {
		t.Errorf("a store whose queues are not all on disk says to others that it is whole: %v", err)
	}
	s, r := mustOpen(t, mem, cfg)
	if r.Records != 5 || r.Rebuilt || s.saved.indexed != 0 || len(s.dirty) != 5 {
		t.Errorf("opened: %v, indexed up to %d, %d queues wait", r, s.saved.indexed, len(s.dirty))
	}
	last := int64(0)
	for _, left := range []int{3, 1, 0} {
		j := s.TakeAux(s.aux.lastRun + cfg.withDefaults().QueueSyncEvery)
		if j == nil {
			t.Fatalf("no job though %d queues wait", len(s.dirty))
		}
		s.AuxDone(j.Gen, j.Run())
		if len(s.dirty) != left || s.saved.indexed <= last || int(s.saved.queues) != 5-left {
			t.Errorf("%d queues wait, want %d; indexed from %d to %d, %d queues", len(s.dirty), left, last, s.saved.indexed, s.saved.queues)
		}
		last = s.saved.indexed
	}
	if due := s.AuxDue(); due != 0 {
		t.Errorf("a job is due at %v though nothing waits", due)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, r = mustOpen(t, mem, cfg); !r.Clean {
		t.Errorf("opened: %v", r)
	}
	for i := range 5 {
		wantBodies(t, s, fmt.Sprintf("T%03d", i), "m")
	}
}

// What waits in many queues waits three times QueueSyncEvery at most for all of it to be on disk: files of the log could not expire before.
func TestManyQueuesAreNotHeldOffForEver(t *testing.T) {
	cfg := small
	cfg.AuxQueues = 1
	s, _ := mustOpen(t, vfs.NewMem(), cfg)
	every := s.cfg.QueueSyncEvery
	for now := every; now <= 3*every; now += every {
		putAll(t, s, 3, "m")
		j := s.TakeAux(now)
		s.AuxDone(j.Gen, j.Run())
		if whole := s.saved.indexed == s.marks.Synced; whole != (now == 3*every) {
			t.Errorf("after %v all is on disk: %v", now, whole)
		}
	}
}
