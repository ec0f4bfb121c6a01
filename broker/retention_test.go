package broker

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"holdfast/broker/durability"
	"holdfast/broker/remoting"
	"holdfast/broker/vfs"
)

const testHour = 1_700_000_000_000 / 3_600_000 % 24 // of the rig's clock, UTC

// aged returns a rig whose log has files of one hour each.
func aged(t *testing.T, fs vfs.FS, change func(*Retention)) *rig {
	cfg := rigConfig(durability.AsyncMaster, durability.SyncFlush, durability.RocketMQ5, 1)
	cfg.Retention.Reserved = 2 * time.Hour
	cfg.Retention.Hours = 0
	change(&cfg.Retention)
	r := newRig(t, cfg, fs)
	body := strings.Repeat("x", 200_000)
	for range 6 {
		for range 5 { // as many as a file of 1 MiB has room for
			r.receive(1, r.sendFrame("T", 0, "KEYS\x01k\x02", body))
			r.written()
			r.synced(nil)
		}
		r.mono += time.Hour
		r.step(&Event{Kind: KindWoke})
	}
	for range 5 { // the last file is another queue's
		r.receive(1, r.sendFrame("U", 0, "", body))
		r.written()
		r.synced(nil)
	}
	r.mono += 20 * time.Second
	r.step(&Event{Kind: KindWoke})
	return r
}

// pulled returns the code and the header of a pull.
func (r *rig) pulled(topic string, from int64) (int32, remoting.PullReply) {
	r.t.Helper()
	r.receive(1, r.pullFrame(topic, 0, from, 0, "*"))
	if len(r.got) != 1 || r.got[0].Pull == nil {
		r.t.Fatalf("%d replies", len(r.got))
	}
	return r.got[0].Code, r.got[0].Pull.Header
}

func TestRetention(t *testing.T) {
	for _, row := range []struct {
		name    string
		change  func(*Retention)
		percent int64
		min     int64 // the first queue offset afterwards
	}{
		{"not the hour", func(*Retention) {}, 50, 0},
		{"the hour: what is older than fileReservedTime", func(r *Retention) { r.Hours = 1 << ((testHour + 6) % 24) }, 50, 20},
		{"the hour of another zone", func(r *Retention) { r.Hours, r.Zone = 1<<((testHour+6)%24), time.Hour }, 50, 0},
		{"the hour, nothing old enough", func(r *Retention) { r.Hours, r.Reserved = 1<<((testHour+6)%24), 24*time.Hour }, 50, 0},
		{"above diskMaxUsedSpaceRatio: what is old enough", func(*Retention) {}, 76, 20},
		{"above it, nothing old enough", func(r *Retention) { r.Reserved = 24 * time.Hour }, 80, 0},
		{"above diskSpaceCleanForciblyRatio: all but the last file", func(r *Retention) { r.Reserved = 24 * time.Hour }, 86, 30},
	} {
		t.Run(row.name, func(t *testing.T) {
			fs := vfs.NewMem()
			r := aged(t, fs, row.change)
			r.step(&Event{Kind: KindSpace, Space: Space{Used: row.percent, Total: 100}})
			q, err := r.store.Queue("T", 0)
			if err != nil {
				t.Fatal(err)
			}
			if q.Min() != row.min || q.Next() != 30 {
				t.Fatalf("queue [%d, %d), want [%d, 30)", q.Min(), q.Next(), row.min)
			}
			if row.min == 0 {
				return
			}
			if code, h := r.pulled("T", row.min-1); code != remoting.ResponsePullOffsetMoved || h.NextBeginOffset != row.min || h.MinOffset != row.min {
				t.Errorf("a pull below the first offset: code %d, %+v", code, h)
			}
			r.store.Abandon()
			fs.Unlock()
			again := newRig(t, r.node.cfg, fs)
			again.mono = r.mono
			if code, h := again.pulled("T", 0); code != remoting.ResponsePullOffsetMoved || h.MinOffset != row.min || h.MaxOffset != 30 {
				t.Errorf("after a restart: code %d, %+v", code, h)
			}
			again.receive(1, again.sendFrame("T", 0, "", "new"))
			again.written()
			again.synced(nil)
			if again.got[0].QueueOffset != 30 {
				t.Errorf("the next message has queue offset %d, want 30", again.got[0].QueueOffset)
			}
		})
	}
}

// A range that was handed out stays readable when its file is removed.
func TestRangesOutliveTheirFile(t *testing.T) {
	fs := vfs.OS(t.TempDir())
	r := aged(t, fs, func(r *Retention) { r.Reserved = 24 * time.Hour })
	if err := r.store.Close(); err != nil {
		t.Fatal(err)
	}
	r = newRig(t, r.node.cfg, fs) // nothing is in memory
	r.pulled("T", 0)
	answer := r.got[0]
	r.step(&Event{Kind: KindSpace, Space: Space{Used: 86, Total: 100}})
	if min := r.store.Marks().Min; min == 0 {
		t.Fatal("nothing was removed")
	}
	if answer.Pull.Ranges[0].File == nil {
		t.Fatal("the range is in memory: nothing is tested")
	}
	if b, err := r.node.AppendReply(nil, &answer); err != nil || !strings.Contains(string(b), strings.Repeat("x", 200_000)) {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}

func TestCrowdedDiskRefusesSends(t *testing.T) {
	r := newRig(t, rigConfig(durability.AsyncMaster, durability.AsyncFlush, durability.RocketMQ5, 1), nil)
	send := func() string {
		r.receive(1, r.sendFrame("T", 0, "", "m"))
		r.written()
		if r.got[0].Kind == ReplyPut {
			return fmt.Sprint(r.got[0].Code)
		}
		f, _, _ := remoting.Decode(r.got[0].Frame)
		return fmt.Sprint(f.Code, " ", string(f.Remark))
	}
	for _, row := range []struct {
		space Space
		want  string
	}{
		{Space{}, "0"},
		{Space{Used: 90, Total: 100}, "0"},
		{Space{Used: 9001, Total: 10000}, "14 service not available now. It may be caused by one of the following reasons: the broker's disk is full [CL:  0.91 CQ:  0.91 INDEX:  0.91], messages are put to the slave, message store has been shut down, etc."},
		{Space{Used: 89, Total: 100}, "0"},
	} {
		r.step(&Event{Kind: KindSpace, Space: row.space})
		if got := send(); got != row.want {
			t.Errorf("%+v: got %s, want %s", row.space, got, row.want)
		}
	}
}
