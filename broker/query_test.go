package broker

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"holdfast/broker/durability"
	"holdfast/broker/message"
	"holdfast/broker/remoting"
	"holdfast/broker/vfs"
)

// ask sends a request and returns the one answer.
func (r *rig) ask(code int32, fields func(*remoting.Writer)) *remoting.Frame {
	r.t.Helper()
	r.receive(1, r.frame(code, fields, nil))
	if len(r.got) != 1 {
		r.t.Fatalf("%d replies", len(r.got))
	}
	f, _, err := remoting.Decode(r.got[0].Frame)
	if err != nil {
		r.t.Fatal(err)
	}
	return &f
}

// query asks for a key and returns the bodies of the answer, or its remark.
func (r *rig) query(h remoting.QueryMessageHeader) string {
	r.t.Helper()
	if h.End == 0 {
		h.End = 1 << 60
	}
	f := r.ask(remoting.RequestQueryMessage, h.Append)
	if _, err := remoting.ParseQueryMessageReply(f.Ext); err != nil {
		r.t.Errorf("header of the reply: %v", err)
	}
	if f.Code != remoting.ResponseSuccess {
		return fmt.Sprint(f.Code, " ", string(f.Remark))
	}
	var bodies []string
	for b := f.Body; len(b) > 0; {
		m, n, err := message.Decode(b, true)
		if err != nil {
			r.t.Fatal(err)
		}
		bodies, b = append(bodies, string(m.Body)), b[n:]
	}
	return strings.Join(bodies, " ")
}

// TestQueryMessage asks for keys while they are in the log alone, when they are in the index files, and after a restart.
func TestQueryMessage(t *testing.T) {
	fs := vfs.NewMem()
	cfg := rigConfig(durability.AsyncMaster, durability.SyncFlush, durability.RocketMQ5, 1)
	r := newRig(t, cfg, fs)
	var times []int64
	for i := range 5 {
		r.mono += 2 * time.Second
		r.receive(1, r.sendFrame("T", int32(i%2), fmt.Sprintf("UNIQ_KEY\x01u%d\x02KEYS\x01all  k%d\x02TAGS\x01tag\x02", i, i%2), fmt.Sprint("m", i)))
		r.written()
		r.synced(nil)
		times = append(times, r.now().Wall)
	}
	const notFound = "22 can not find message, maybe time range not correct"
	check := func(what string, r *rig) {
		t.Helper()
		for _, row := range []struct {
			name string
			h    remoting.QueryMessageHeader
			want string
		}{
			{"unique key", remoting.QueryMessageHeader{Topic: "T", Key: "u3", MaxNum: 1}, "m3"},
			{"one of several keys", remoting.QueryMessageHeader{Topic: "T", Key: "k1", MaxNum: 64}, "m1 m3"},
			{"all, by physical offset", remoting.QueryMessageHeader{Topic: "T", Key: "all", MaxNum: 64}, "m0 m1 m2 m3 m4"},
			{"the newest ones", remoting.QueryMessageHeader{Topic: "T", Key: "all", MaxNum: 2}, "m3 m4"},
			{"a unique key has the broker's limit", remoting.QueryMessageHeader{Topic: "T", Key: "all", MaxNum: 1, UniqueKey: true}, "m0 m1 m2 m3 m4"},
			{"time range", remoting.QueryMessageHeader{Topic: "T", Key: "all", MaxNum: 64, Begin: times[1], End: times[3]}, "m1 m2 m3"},
			{"none in the time range", remoting.QueryMessageHeader{Topic: "T", Key: "all", MaxNum: 64, Begin: times[4] + 1000}, notFound},
			{"another topic", remoting.QueryMessageHeader{Topic: "U", Key: "all", MaxNum: 64}, notFound},
			{"unknown key", remoting.QueryMessageHeader{Topic: "T", Key: "k", MaxNum: 64}, notFound},
			{"fields of 5.x", remoting.QueryMessageHeader{Topic: "T", Key: "k0", MaxNum: 64, IndexType: "K", LastKey: "x"}, "m0 m2 m4"},
			{"a tag", remoting.QueryMessageHeader{Topic: "T", Key: "tag", MaxNum: 3, IndexType: "T"}, "m2 m3 m4"},
			{"a tag is no key", remoting.QueryMessageHeader{Topic: "T", Key: "tag", MaxNum: 3}, notFound},
		} {
			if got := r.query(row.h); got != row.want {
				t.Errorf("%s: %s: got %s, want %s", what, row.name, got, row.want)
			}
		}
	}
	check("in the log", r)
	r.mono += 2 * time.Second
	r.step(&Event{Kind: KindWoke})
	if d, err := r.fs.List("index"); err != nil || len(d) != 1 {
		t.Fatalf("index files: %v, %v", d, err)
	}
	check("indexed", r)
	r.receive(1, r.sendFrame("T", 0, "KEYS\x01k7\x02", "m7"))
	if got := r.query(remoting.QueryMessageHeader{Topic: "T", Key: "k7", MaxNum: 1}); got != notFound {
		t.Errorf("what is not on disk must not be read under SYNC_FLUSH, got %s", got)
	}
	r.written()
	r.synced(nil)
	if got := r.query(remoting.QueryMessageHeader{Topic: "T", Key: "k7", MaxNum: 1}); got != "m7" {
		t.Errorf("got %s, want m7", got)
	}
	r.store.Abandon()
	fs.Unlock()
	check("after a crash", newRig(t, cfg, fs))
}

// TestViewMessageByID asks for messages by their offset, in memory and in a file.
func TestViewMessageByID(t *testing.T) {
	fs := vfs.NewMem()
	cfg := rigConfig(durability.AsyncMaster, durability.AsyncFlush, durability.RocketMQ5, 1)
	r := newRig(t, cfg, fs)
	r.receive(1, slices.Concat(r.sendFrame("T", 0, "", "m0"), r.sendFrame("T", 0, "", "m1")))
	r.written()
	at := r.got[1].PhysOffset
	view := func(r *rig, offset int64) string {
		h := remoting.ViewMessageHeader{Topic: "T", Offset: offset}
		f := r.ask(remoting.RequestViewMessageByID, h.Append)
		if m, _, err := message.Decode(f.Body, true); err == nil {
			return string(m.Body)
		}
		return fmt.Sprint(f.Code, " ", string(f.Remark))
	}
	check := func(what string, r *rig) {
		t.Helper()
		for offset, want := range map[int64]string{0: "m0", at: "m1", at + 1: fmt.Sprint("1 can not find message by the offset, ", at+1), 1 << 40: "1 can not find message by the offset, 1099511627776"} {
			if got := view(r, offset); got != want {
				t.Errorf("%s: at %d: got %s, want %s", what, offset, got, want)
			}
		}
	}
	check("in memory", r)
	if err := r.store.Close(); err != nil {
		t.Fatal(err)
	}
	check("in a file", newRig(t, cfg, fs))
}
