package broker

import (
	"fmt"
	"testing"
	"time"

	"holdfast/broker/durability"
	"holdfast/broker/remoting"
	"holdfast/broker/vfs"
)

// TestSearchByTimestamp looks for every instant around messages of known store times, from memory and, after a restart, from
// the files.
func TestSearchByTimestamp(t *testing.T) {
	fs := vfs.NewMem()
	cfg := rigConfig(durability.AsyncMaster, durability.SyncFlush, durability.RocketMQ5, 1)
	r := newRig(t, cfg, fs)
	var times []int64
	for i, pause := range []time.Duration{5, 0, 3, 3, 0, 0, 10, 1} { // ms; several messages of one instant
		r.mono += pause * time.Millisecond
		r.receive(1, r.sendFrame("T", 0, "", fmt.Sprint("m", i)))
		r.written()
		r.synced(nil)
		times = append(times, r.now().Wall)
	}
	check := func(what string, r *rig) {
		t.Helper()
		for at := times[0] - 1; at <= times[len(times)-1]+1; at++ {
			lower, upper := int64(len(times)), int64(0)
			for i := len(times) - 1; i >= 0; i-- {
				if times[i] >= at {
					lower = int64(i)
				}
			}
			for i, stored := range times {
				if stored <= at {
					upper = int64(i)
				}
			}
			for _, boundary := range []string{"lower", "upper"} {
				want := map[string]int64{"lower": lower, "upper": upper}[boundary]
				r.receive(1, r.frame(remoting.RequestSearchOffsetByTimestamp, func(w *remoting.Writer) {
					w.String("topic", "T")
					w.Int("queueId", 0)
					w.Int("timestamp", at)
					w.String("boundaryType", boundary)
				}, nil))
				if len(r.got) != 1 {
					t.Fatalf("%s: %d replies", what, len(r.got))
				}
				f, _, _ := remoting.Decode(r.got[0].Frame)
				if got, err := remoting.ParseOffsetReply(f.Ext); err != nil || got != want {
					t.Errorf("%s: %s of %d: got %d %v, want %d", what, boundary, at-times[0], got, err, want)
				}
			}
		}
	}
	check("from memory", r)
	if err := r.store.Close(); err != nil {
		t.Fatal(err)
	}
	check("from files", newRig(t, cfg, fs))
}
