package durability

import (
	"testing"
	"time"
)

func TestPresets(t *testing.T) {
	choice := func(p Profile, r Role, f FlushType, inSync int) Choice {
		c := DefaultChoice(p)
		c.Role, c.FlushType, c.InSync = r, f, inSync
		return c
	}
	pool := choice(RocketMQ5, AsyncMaster, AsyncFlush, 1)
	pool.TransientPool = true
	for _, tc := range []struct {
		what     string
		choice   Choice
		local    Level
		count    Count
		replicas int
		read     Level
		group    bool
	}{
		{"the default acknowledges in the page cache", choice(RocketMQ5, AsyncMaster, AsyncFlush, 1), LevelWritten, CountNone, 0, LevelWritten, false},
		{"SYNC_FLUSH acknowledges on the disk, read there since 5.3", choice(RocketMQ5, AsyncMaster, SyncFlush, 1), LevelSynced, CountNone, 0, LevelSynced, true},
		{"SYNC_FLUSH of 4.9 lets consumers read earlier", choice(RocketMQ4, AsyncMaster, SyncFlush, 1), LevelSynced, CountNone, 0, LevelWritten, true},
		{"the trap: SYNC_MASTER of 5.x waits for nobody", choice(RocketMQ5, SyncMaster, AsyncFlush, 1), LevelWritten, CountNone, 0, LevelWritten, false},
		{"inSyncReplicas=2 waits for one slave", choice(RocketMQ5, SyncMaster, AsyncFlush, 2), LevelWritten, CountConnections, 1, LevelWritten, false},
		{"inSyncReplicas=3 waits for two", choice(RocketMQ5, SyncMaster, SyncFlush, 3), LevelSynced, CountConnections, 2, LevelSynced, true},
		{"4.9 ignores inSyncReplicas", choice(RocketMQ4, SyncMaster, SyncFlush, 1), LevelSynced, CountPushed, 1, LevelWritten, true},
		{"the transient pool acknowledges in memory", pool, LevelAppended, CountNone, 0, LevelWritten, false},
	} {
		got := tc.choice.Contract()
		if got.Ack.Local != tc.local || got.Ack.Count != tc.count || got.Ack.Replicas != tc.replicas || got.Read != tc.read || got.Flush.Group != tc.group {
			t.Errorf("%s: got %+v", tc.what, got)
		}
	}
}

func TestFlushPasses(t *testing.T) {
	const ms = time.Millisecond
	c := DefaultChoice(RocketMQ5).Contract()
	type look struct {
		at              time.Duration
		written, synced Offset
		due             bool
	}
	for _, tc := range []struct {
		what  string
		looks []look
	}{
		{"nothing written, nothing due", []look{{600 * ms, 0, 0, false}, {20000 * ms, 0, 0, false}}},
		{"four pages are due at the next pass, not before", []look{{700 * ms, 4 * 4096, 0, false}, {999 * ms, 5 * 4096, 0, false}, {1000 * ms, 5 * 4096, 0, true}}},
		{"a trickle waits for the thorough pass at 10 s", []look{{700 * ms, 100, 0, false}, {1000 * ms, 200, 0, false}, {9999 * ms, 300, 0, false}, {10000 * ms, 300, 0, true}}},
		{"idle ticks count: the thorough pass keeps its phase", []look{{14000 * ms, 100, 0, false}, {19500 * ms, 100, 0, false}, {20000 * ms, 100, 0, true}}},
		{"pages are counted by index, as RocketMQ does", []look{{600 * ms, 4*4096 + 1, 4095, false}, {1000 * ms, 4*4096 + 1, 4095, true}}},
	} {
		var p Passes
		for i, l := range tc.looks {
			m := Marks{Appended: l.written, Written: l.written, Synced: l.synced}
			if got := c.Flush.SyncDue(&m, &p, l.at); got != l.due {
				t.Errorf("%s: look %d at %v: got %v, want %v", tc.what, i, l.at, got, l.due)
			}
		}
	}
}

func TestGroupCommitIsDueWheneverSomethingIsWritten(t *testing.T) {
	c := DefaultChoice(RocketMQ5)
	c.FlushType = SyncFlush
	f, p := c.Contract().Flush, Passes{}
	if m := (Marks{Written: 1}); !f.SyncDue(&m, &p, 0) {
		t.Error("one byte written: not due")
	}
	if m := (Marks{Written: 1, Synced: 1}); f.SyncDue(&m, &p, time.Hour) {
		t.Error("all synced: due")
	}
	if at, ok := f.Next(&Marks{Written: 1}, &p, false, false); ok {
		t.Errorf("group commit waits for a timer: %v", at)
	}
}

// A slave of RocketMQ reports what is in its page cache, and syncs it every 10 ms whatever there is; that of holdfast syncs at once.
func TestASlavesSyncsUnderSyncFlush(t *testing.T) {
	for _, profile := range []Profile{RocketMQ4, RocketMQ5, Holdfast} {
		c := DefaultChoice(profile)
		c.Role, c.FlushType = Slave, SyncFlush
		f, p := c.Contract().Flush, Passes{Last: 100 * time.Millisecond, Dirty: true}
		m := Marks{Written: 1}
		if got := f.SyncDue(&m, &p, 109*time.Millisecond); got != (profile == Holdfast) {
			t.Errorf("%s: due 9 ms after the last sync: %v", profile, got)
		}
		if !f.SyncDue(&m, &p, 110*time.Millisecond) {
			t.Errorf("%s: not due 10 ms after the last sync", profile)
		}
	}
}

func TestWriteIntervalDelaysTheWrite(t *testing.T) {
	f, p := Flush{WriteInterval: 200 * time.Millisecond}, Passes{}
	m := Marks{Appended: 10}
	if f.WriteDue(&m, &p, 199*time.Millisecond) {
		t.Error("due before the interval")
	}
	if at, ok := f.Next(&m, &p, false, false); !ok || at != 200*time.Millisecond {
		t.Errorf("next: %v %v, want 200ms", at, ok)
	}
	if at, ok := f.Next(&m, &p, true, false); ok {
		t.Errorf("wakes at %v for a write while one is running", at)
	}
	if !f.WriteDue(&m, &p, 200*time.Millisecond) || f.WriteDue(&m, &p, 399*time.Millisecond) {
		t.Error("not due once an interval")
	}
}
