package loadgen

import (
	"errors"
	"testing"
	"time"

	"holdfast/checker/history"
	"holdfast/loadgen/driver"
)

// fakeLog is a system with one log a queue, in simulated time: each request takes a millisecond, a poll at the end hold.
type fakeLog struct {
	now     time.Duration
	logs    []int64 // end of each queue's log
	commits []int64
	polled  []driver.Polled
	polls   []int64 // what was asked for, of queue 0
	answer  func(p *driver.Polled) error
	done    []driver.Completion
	at      []time.Duration
	look    func()
	hold    time.Duration // of a poll that finds nothing
}

func (f *fakeLog) Now() time.Duration                { return f.now }
func (f *fakeLog) Close() error                      { return nil }
func (f *fakeLog) Polled(slot uint32) *driver.Polled { return &f.polled[slot] }
func (f *fakeLog) finish(c driver.Completion, in time.Duration) {
	at := len(f.at)
	for at > 0 && f.at[at-1] > f.now+in {
		at--
	}
	f.done = append(f.done[:at], append([]driver.Completion{c}, f.done[at:]...)...)
	f.at = append(f.at[:at], append([]time.Duration{f.now + in}, f.at[at:]...)...)
}

func (f *fakeLog) Poll(slot uint32, queue int32, from int64, limit int) error {
	if queue == 0 {
		f.polls = append(f.polls, from)
	}
	p := driver.Polled{From: from, Next: from, End: f.logs[queue]}
	for ; p.Next < p.End && len(p.Msgs) < limit; p.Next++ {
		p.Msgs = append(p.Msgs, driver.Received{Offset: p.Next, Value: uint64(p.Next)})
	}
	if from > p.End {
		p.Next, p.Moved = p.End, true
	}
	wait := time.Millisecond
	if len(p.Msgs) == 0 && !p.Moved {
		wait = f.hold
	}
	c := driver.Completion{Slot: slot, Kind: driver.OK, Queue: queue, Offset: p.Next, Node: "a-0"}
	if f.answer != nil {
		if err := f.answer(&p); err != nil {
			c.Kind, c.Err = driver.Fail, err
		}
	}
	f.polled[slot] = p
	f.finish(c, wait)
	return nil
}

func (f *fakeLog) Commit(slot uint32, queue int32, offset int64) error {
	f.commits[queue] = offset
	f.finish(driver.Completion{Slot: slot, Kind: driver.OK, Queue: queue, Offset: -1, Node: "a-0"}, time.Millisecond)
	return nil
}

func (f *fakeLog) Wait(until time.Duration, buf []driver.Completion) int {
	f.look()
	if len(f.at) == 0 || f.at[0] > until {
		f.now = max(f.now, until)
		return 0
	}
	f.now = max(f.now, f.at[0])
	buf[0] = f.done[0]
	f.done, f.at = f.done[1:], f.at[1:]
	return 1
}

// consumeFrom runs a worker over f for a second of its time.
func consumeFrom(t *testing.T, f *fakeLog, rec *history.Recorder) *PollWorker {
	t.Helper()
	return consumeAt(t, f, rec, 0)
}

func consumeAt(t *testing.T, f *fakeLog, rec *history.Recorder, pace int) *PollWorker {
	t.Helper()
	queues := len(f.logs)
	f.polled, f.commits = make([]driver.Polled, queues), make([]int64, queues)
	w := &PollWorker{
		Process: 3, Group: "g", Queues: queues, Batch: 10, Pace: pace, CommitInterval: 300 * time.Millisecond, Pause: 100 * time.Millisecond,
		QueueName: func(q int32) string { return "a/T/" + string(rune('0'+q)) },
	}
	f.look = func() {
		if f.now >= time.Second {
			w.Stop()
		}
	}
	if err := w.Run(f, f, rec); err != nil {
		t.Fatal(err)
	}
	return w
}

// TestConsumerReadsAndCommitsAll, and leaves a history that obeys the rules, every poll with its outcome.
func TestConsumerReadsAndCommitsAll(t *testing.T) {
	dir := t.TempDir()
	rec := newRecorder(t, dir)
	f := &fakeLog{logs: []int64{25, 0, 7}, hold: 50 * time.Millisecond}
	w := consumeFrom(t, f, rec)
	if err := rec.Close(); err != nil {
		t.Fatal(err)
	}
	if got := w.live.delivered.Load(); got != 32 {
		t.Errorf("got %d messages, want 32", got)
	}
	if f.commits[0] != 25 || f.commits[1] != 0 || f.commits[2] != 7 {
		t.Errorf("got commits %v, want 25 0 7", f.commits)
	}
	open, delivered := map[uint64]history.Event{}, 0
	for _, e := range eventsOf(t, dir) {
		begin, ok := open[e.Op]
		switch {
		case e.Type == history.Invoke:
			open[e.Op] = e
			continue
		case !ok || e.Type != history.OK || e.F != begin.F || e.Queue != begin.Queue || e.Group != begin.Group || e.P != 3:
			t.Errorf("got %+v after %+v", e, begin)
		case e.F == history.Poll && (e.From != begin.From || e.End < 0):
			t.Errorf("got %+v after %+v", e, begin)
		}
		delivered += len(e.Msgs)
		delete(open, e.Op)
	}
	if delivered != 32 || len(open) != 0 {
		t.Errorf("the history has %d messages and %d operations without outcome, want 32 and 0", delivered, len(open))
	}
}

// TestConsumerIsMoved: a log that lost its tail sends the consumer back, and what comes new is read.
func TestConsumerIsMoved(t *testing.T) {
	f := &fakeLog{logs: []int64{20}, hold: 50 * time.Millisecond}
	f.answer = func(p *driver.Polled) error {
		if f.now > 200*time.Millisecond && f.logs[0] == 20 {
			f.logs[0] = 12 // the tail is lost; this answer is the last of the old log
		}
		return nil
	}
	w := consumeFrom(t, f, nil)
	if got := w.queues[0].next; got != 12 || f.commits[0] != 12 {
		t.Errorf("got next %d, commit %d, want 12", got, f.commits[0])
	}
}

// TestConsumerRests after failures, and after empty answers that were not held back.
func TestConsumerRests(t *testing.T) {
	for _, refused := range []error{nil, errors.New("no")} {
		f := &fakeLog{logs: []int64{0}, hold: 100 * time.Microsecond}
		f.answer = func(*driver.Polled) error { return refused }
		w := consumeFrom(t, f, nil)
		if n := len(f.polls); n > 25 {
			t.Errorf("refused %v: got %d polls in 1 s", refused, n)
		}
		if refused != nil && w.live.failed.Load() == 0 {
			t.Error("failures were not counted")
		}
	}
}

// TestConsumerKeepsItsPace over all queues, however much there is to read.
func TestConsumerKeepsItsPace(t *testing.T) {
	f := &fakeLog{logs: []int64{1000, 1000}, hold: 50 * time.Millisecond}
	w := consumeAt(t, f, nil, 200)
	if got := w.live.delivered.Load(); got < 180 || got > 220 {
		t.Errorf("got %d messages in a second, want 200, within a batch of 10 a queue", got)
	}
	if cfg := (ConsumeConfig{Pace: 100}).withDefaults(); cfg.Batch != 10 {
		t.Errorf("got batches of %d at 100 messages a second, want 10", cfg.Batch)
	}
	if cfg := (ConsumeConfig{}).withDefaults(); cfg.Batch != DefaultBatch {
		t.Errorf("got batches of %d without a pace, want %d", cfg.Batch, DefaultBatch)
	}
}
