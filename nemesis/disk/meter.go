package disk

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	syncsKept     = 1024 // completed fsyncs that WaitSync can still see
	latenciesKept = 4096 // of the last fsyncs, for percentiles
)

// meter counts what a volume does.
type meter struct {
	calls, writes, bytes, delayed atomic.Int64
	refused, late                 atomic.Int64 // since the last mount

	mu        sync.Mutex
	count     int64
	failed    int64
	seq       uint64
	recent    []syncWire // the last syncsKept, oldest first
	last      map[string]syncWire
	latencies []time.Duration // a ring
	longest   time.Duration
	changed   chan struct{} // closed and replaced at every fsync
}

// reset forgets what belongs to one mount.
func (m *meter) reset() {
	m.refused.Store(0)
	m.late.Store(0)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.changed == nil {
		m.changed = make(chan struct{})
		m.last = map[string]syncWire{}
	}
}

func (m *meter) wrote(n int) {
	m.writes.Add(1)
	m.bytes.Add(int64(n))
}

// synced notes a completed fsync and wakes who waits for it.
func (m *meter) synced(s syncWire) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.count++
	took := time.Duration(s.Ended - s.Began)
	m.longest = max(m.longest, took)
	if len(m.latencies) < latenciesKept {
		m.latencies = append(m.latencies, took)
	} else {
		m.latencies[m.count%latenciesKept] = took
	}
	if s.Failed {
		m.failed++
		return
	}
	m.seq++
	s.Seq = m.seq
	if len(m.recent) == syncsKept {
		m.recent = slices.Delete(m.recent, 0, syncsKept/2)
	}
	m.recent = append(m.recent, s)
	m.last[s.Path] = s
	close(m.changed)
	m.changed = make(chan struct{})
}

// lastSync returns the last successful fsync of a file below prefix, nil if there was none.
func (m *meter) lastSync(prefix string) *syncWire {
	m.mu.Lock()
	defer m.mu.Unlock()
	var found *syncWire
	for path, s := range m.last {
		if strings.HasPrefix(path, prefix) && (found == nil || s.Seq > found.Seq) {
			found = &s
		}
	}
	return found
}

// wait returns the first successful fsync after seq of a file below prefix.
func (m *meter) wait(ctx context.Context, prefix string, after uint64) (*syncWire, error) {
	m.mu.Lock()
	if after == 0 {
		after = m.seq
	}
	for {
		for _, s := range m.recent {
			if s.Seq > after && strings.HasPrefix(s.Path, prefix) {
				m.mu.Unlock()
				return &s, nil
			}
		}
		changed := m.changed
		m.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		m.mu.Lock()
	}
}

// stats fills in what the meter knows.
func (m *meter) stats(w *statsWire) {
	w.Calls, w.Writes, w.WriteBytes, w.SyncDelays = m.calls.Load(), m.writes.Load(), m.bytes.Load(), m.delayed.Load()
	m.mu.Lock()
	defer m.mu.Unlock()
	w.Syncs, w.SyncErrors, w.SyncMax = m.count, m.failed, m.longest
	if len(m.recent) > 0 {
		last := m.recent[len(m.recent)-1]
		w.Last = &last
	}
	sorted := slices.Clone(m.latencies)
	slices.Sort(sorted)
	if n := len(sorted); n > 0 {
		w.SyncP50, w.SyncP99 = sorted[n/2], sorted[n*99/100]
	}
}

// stall watches how long the process did not get to run.
type stall struct{ longest atomic.Int64 }

const stallTick = 5 * time.Millisecond

// watch runs until the process ends.
func (s *stall) watch() {
	due := time.Now().Add(stallTick)
	for {
		time.Sleep(time.Until(due))
		now := time.Now()
		s.longest.Store(max(s.longest.Load(), int64(now.Sub(due))))
		due = now.Add(stallTick)
	}
}

// cpu returns the user and system time of the process.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
