package loadgen

import (
	"testing"
	"time"

	"holdfast/checker/history"
	"holdfast/loadgen/driver"
)

// instant answers every send at the next Wait, in a clock that goes on by a microsecond a batch.
type instant struct {
	now  time.Duration
	done []driver.Completion
	left int // operations until stop is called
	stop func(time.Duration)
}

func (e *instant) Now() time.Duration { return e.now }
func (e *instant) Close() error       { return nil }

func (e *instant) Send(slot uint32, m *driver.Message) error {
	e.done = append(e.done, driver.Completion{Slot: slot, Kind: driver.OK, Status: driver.SendOK, Queue: m.Queue, Offset: int64(m.Value), Node: "a-0"})
	return nil
}

func (e *instant) Wait(_ time.Duration, buf []driver.Completion) int {
	e.now += time.Microsecond
	n := copy(buf, e.done)
	e.done = e.done[:copy(e.done, e.done[n:])]
	if e.left -= n; e.left <= 0 {
		e.stop(e.now)
	}
	return n
}

// runOps has a worker do about n operations in a closed loop of 64 and returns how many they were.
func runOps(tb testing.TB, n int, rec *history.Recorder) int64 {
	w, control := newWorker(nil)
	w.Slots, w.Lanes = 64, 4
	w.Workload = &RoundRobin{Queues: 8, Body: Around(1024)}
	env := &instant{left: n, stop: control.Stop, done: make([]driver.Completion, 0, 64)}
	if err := w.Run(env, env, rec); err != nil {
		tb.Fatal(err)
	}
	return w.tally.total.ackedTotal()
}

// TestOperationsAllocateNothing compares a long run with a short one: what is allocated is the worker, not its operations.
func TestOperationsAllocateNothing(t *testing.T) {
	for _, recorded := range []bool{false, true} {
		var rec *history.Recorder
		if recorded {
			rec = newRecorder(t, t.TempDir())
		}
		short := testing.AllocsPerRun(3, func() { runOps(t, 64, rec) })
		long := testing.AllocsPerRun(3, func() { runOps(t, 2064, rec) })
		if long-short > 8 { // now and then a further piece of the history's file
			t.Errorf("recorded %v: got %v allocations for 2000 operations more, want none", recorded, long-short)
		}
		if rec != nil {
			if err := rec.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// BenchmarkWorker is the cost of an operation but for the driver and the sockets: choice, body with checksum, latency,
// counters; and with both its records. Hypothesis: recording costs at most 300 ns for the two.
func BenchmarkWorker(b *testing.B) {
	b.Run("plain", func(b *testing.B) {
		b.ReportAllocs()
		runOps(b, b.N, nil)
	})
	b.Run("recorded", func(b *testing.B) {
		b.ReportAllocs()
		rec := newRecorder(b, b.TempDir())
		b.ResetTimer()
		runOps(b, b.N, rec)
		b.StopTimer()
		if err := rec.Close(); err != nil {
			b.Fatal(err)
		}
	})
}
