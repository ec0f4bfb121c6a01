package loadgen

import (
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// cpuMeter measures the processor time of one locked thread. mark may be called by any goroutine.
type cpuMeter struct {
	clock  atomic.Int32 // the thread's CPU clock; 0 until begin
	marked atomic.Int64 // ns
	total  atomic.Int64 // ns at finish
}

// begin is called by the thread itself, locked.
func (m *cpuMeter) begin() {
	m.marked.Store(threadCPU(unix.CLOCK_THREAD_CPUTIME_ID))
	m.clock.Store(threadClock(unix.Gettid()))
}

// mark makes sinceMark count from now.
func (m *cpuMeter) mark() {
	if id := m.clock.Load(); id != 0 {
		m.marked.Store(threadCPU(id))
	}
}

// finish is called by the thread itself as it ends.
func (m *cpuMeter) finish() { m.total.Store(threadCPU(unix.CLOCK_THREAD_CPUTIME_ID)) }

// sinceMark returns the time used between the last mark, or begin, and finish.
func (m *cpuMeter) sinceMark() time.Duration {
	return time.Duration(m.total.Load() - m.marked.Load())
}

// threadClock returns the CPU clock of a thread of this process. Source: the kernel's posix-timers ABI, CPUCLOCK_PERTHREAD.
func threadClock(tid int) int32 {
	const perThread, sched = 4, 2
	return int32(^uint32(tid))<<3 | perThread | sched
}

func threadCPU(clock int32) int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(clock, &ts); err != nil {
		return 0
	}
	return ts.Nano()
}

// sharpenTimers lets the kernel wake the calling thread, which must be locked, to the nanosecond instead of within 50 us.
// Where that is refused, the lateness says so.
func sharpenTimers() {
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
}
