package durability

import "time"

// pageBytes is the unit in which RocketMQ counts dirty pages.
const pageBytes = 4096

// Flush says when what is written is synced, and when what is in memory is written.
type Flush struct {
	// Group syncs as soon as something is written and no sync is running: what arrives meanwhile is the next group.
	Group bool
	// Interval is the time between two passes of the flusher (without Group). RocketMQ: flushIntervalCommitLog.
	Interval time.Duration
	// LeastPages is the number of dirty 4 KiB pages without which a pass does nothing. RocketMQ: flushCommitLogLeastPages.
	LeastPages int
	// Thorough is the time after which a pass syncs whatever there is. RocketMQ: flushCommitLogThoroughInterval.
	Thorough time.Duration
	// WriteInterval delays writing: what is acknowledged stays in the memory of the process for so long. 0 writes at once.
	// RocketMQ: commitIntervalCommitLog, with transientStorePoolEnable.
	WriteInterval time.Duration
}

// Passes is the flusher's memory between two decisions.
type Passes struct {
	Last     time.Duration // when the last pass ended
	Thorough time.Duration // when the last thorough pass began
	Write    time.Duration // when the last write was begun (WriteInterval)
	Dirty    bool          // something was written and not synced when last looked
}

// SyncDue reports whether a sync of what is written is due at now, and records the pass in p when one is.
// The caller calls it only when no sync is running.
// Source: CommitLog.FlushRealTimeService, MappedFile.isAbleToFlush (RocketMQ 5.3.3).
func (f *Flush) SyncDue(m *Marks, p *Passes, now time.Duration) bool {
	if m.Written <= m.Synced {
		p.Dirty = false
		return false
	}
	if f.Group {
		return true
	}
	if !p.Dirty {
		// RocketMQ's flusher ticks while there is nothing to do; here nobody wakes for that, so the ticks are made up for.
		p.Dirty = true
		p.Last = tick(p.Last, now, f.Interval)
		p.Thorough = tick(p.Thorough, now, f.Thorough)
	}
	if now-p.Last < f.Interval {
		return false
	}
	p.Last = tick(p.Last, now, f.Interval)
	if now-p.Thorough >= f.Thorough {
		p.Thorough = tick(p.Thorough, now, f.Thorough)
		return true
	}
	return m.Written/pageBytes-m.Synced/pageBytes >= int64(f.LeastPages)
}

// tick returns the last instant at or before now of those that follow last every interval.
func tick(last, now, interval time.Duration) time.Duration {
	if interval <= 0 || now < last {
		return last
	}
	return last + (now-last)/interval*interval
}

// Synced tells p that the sync that a pass asked for has ended: the next interval begins now.
func (f *Flush) Synced(p *Passes, now time.Duration) { p.Last = now }

// WriteDue reports whether a write of what is in memory is due at now, and records it in p when it is.
// The caller calls it only when no write is running.
func (f *Flush) WriteDue(m *Marks, p *Passes, now time.Duration) bool {
	if m.Appended <= m.Written || now-p.Write < f.WriteInterval {
		return false
	}
	p.Write = now
	return true
}

// Next returns the instant of the next pass that may find something to do; ok is false when nothing waits for time.
// writing and syncing tell that a write or a sync is running: its end decides anew.
func (f *Flush) Next(m *Marks, p *Passes, writing, syncing bool) (at time.Duration, ok bool) {
	at = never
	if f.WriteInterval > 0 && !writing && m.Appended > m.Written {
		at = p.Write + f.WriteInterval
	}
	if !f.Group && !syncing && m.Written > m.Synced {
		at = min(at, p.Last+f.Interval)
	}
	return at, at != never
}
