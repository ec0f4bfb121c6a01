package replica

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"holdfast/broker/durability"
)

// Two logs share what the newest epoch shares that both have; brute force takes the longest common run of bytes, each byte
// being the epoch that wrote it and where.
func TestCommonPointOfTwoLogs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// A history of reigns: each begins at some point of what the last one wrote, and logs are prefixes of what they saw.
		var logs [2][]int32
		var epochs [2]Epochs
		for e := int32(1); e <= int32(rapid.IntRange(1, 6).Draw(t, "reigns")); e++ {
			leader := rapid.IntRange(0, 1).Draw(t, "leader")
			other := 1 - leader
			epochs[leader] = append(epochs[leader].Upto(Offset(len(logs[leader]))).clone(), Epoch{e, Offset(len(logs[leader]))})
			for range rapid.IntRange(0, 4).Draw(t, "bytes") {
				logs[leader] = append(logs[leader], e)
			}
			if rapid.Bool().Draw(t, "follows") {
				point, _ := epochs[leader].Common(Offset(len(logs[leader])), epochs[other], Offset(len(logs[other])), 0)
				got := rapid.IntRange(int(point), len(logs[leader])).Draw(t, "copied")
				logs[other] = append(logs[other][:point:point], logs[leader][point:got]...)
				epochs[other] = epochs[leader].clone()
			}
		}
		ends := [2]Offset{Offset(len(logs[0])), Offset(len(logs[1]))}
		got, shared := epochs[0].Common(ends[0], epochs[1], ends[1], 0)
		back, _ := epochs[1].Common(ends[1], epochs[0], ends[0], 0)
		want := 0
		for want < len(logs[0]) && want < len(logs[1]) && logs[0][want] == logs[1][want] {
			want++
		}
		if got != back || got > Offset(want) {
			t.Fatalf("common up to %d and %d, the bytes up to %d: %v %v %v %v", got, back, want, logs[0], logs[1], epochs[0], epochs[1])
		}
		if shared && got != Offset(want) {
			t.Fatalf("common up to %d, the bytes up to %d: %v %v %v %v", got, want, logs[0], logs[1], epochs[0], epochs[1])
		}
	})
}

func TestIdentityRoundTrip(t *testing.T) {
	i := Identity{7, Epochs{{1, 0}, {3, 100}, {4, 100}}}
	b := i.Append(nil)
	got, err := ParseIdentity(b)
	if err != nil || got.ID != 7 || !bytes.Equal(got.Append(nil), b) || len(got.Epochs) != 3 {
		t.Errorf("got %+v, %v", got, err)
	}
	for at := range b {
		bad := bytes.Clone(b)
		bad[at] ^= 1
		if got, err := ParseIdentity(bad); !errors.Is(err, ErrEpochs) {
			t.Errorf("byte %d changed: %+v, %v", at, got, err)
		}
	}
}

func FuzzParseIdentity(f *testing.F) {
	f.Add((&Identity{7, Epochs{{1, 0}, {3, 100}}}).Append(nil))
	f.Add([]byte("0\n0\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if i, err := ParseIdentity(b); err == nil {
			if _, err := ParseIdentity(i.Append(nil)); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// lead is a master of epoch 5, replica 1, whose log is 1000 bytes and whose reign began at 600; 2 and 3 are in the set.
type lead struct {
	t   *testing.T
	c   *Controlled
	out Out
	log Log
	now time.Duration
}

func newLead(t *testing.T, inSync int) *lead {
	c, err := NewControlled(ControlledConfig{Incarnation: 11, Joins: true, InSync: inSync}, Epochs{{2, 0}, {4, 300}})
	if err != nil {
		t.Fatal(err)
	}
	l := &lead{t: t, c: c, log: Log{Written: 600, Whole: 600, Appended: 600, Synced: 600, FileBytes: 1 << 20}, now: time.Second}
	l.step(&Event{Kind: KindView, View: View{ID: 1, Epoch: 5, Version: 8, Master: 1, Set: []Member{{1, 11, false}, {2, 22, false}, {3, 33, false}}}})
	if !l.out.Save || l.out.Epochs.Last() != 5 || c.Role() != RoleSlave {
		t.Fatalf("elected: %+v; it may not lead before its epoch is durable", l.out)
	}
	l.step(&Event{Kind: KindSaved})
	if c.Role() != RoleMaster {
		t.Fatal("the epoch is durable, and it does not lead")
	}
	l.log.Written, l.log.Whole, l.log.Appended = 1000, 1000, 1000
	return l
}

func (l *lead) step(ev *Event) {
	ev.Log = l.log
	l.out.Reset()
	l.now += time.Millisecond
	l.c.Step(l.now, ev, &l.out)
}

func greeting(id, incarnation int64, epoch int32, end Offset, epochs Epochs) []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(id))
	b = binary.BigEndian.AppendUint64(b, uint64(incarnation))
	b = binary.BigEndian.AppendUint32(b, uint32(epoch))
	b = epochs.appendTo(binary.BigEndian.AppendUint64(b, uint64(end)))
	e := hello(0, b)
	return append(e.Header[:e.Len:e.Len], b...)
}

func tracked(epoch int32, id int64, written Offset) []byte {
	b := binary.BigEndian.AppendUint32(nil, messageTransfer)
	b = binary.BigEndian.AppendUint32(b, uint32(epoch))
	b = binary.BigEndian.AppendUint64(b, uint64(id))
	return binary.BigEndian.AppendUint64(b, uint64(written))
}

// greet connects replica id and returns the common point that it is told.
func (l *lead) greet(conn ConnID, id, incarnation int64, end Offset, epochs Epochs) Offset {
	l.step(&Event{Kind: KindConnected, Conn: conn})
	l.step(&Event{Kind: KindReceived, Conn: conn, Data: greeting(id, incarnation, 5, end, epochs)})
	if len(l.out.Envelopes) != 1 {
		l.t.Fatalf("greeted by %d: %+v", id, l.out)
	}
	return Offset(binary.BigEndian.Uint64(l.out.Envelopes[0].Body[4:]))
}

func (l *lead) marks() (m durability.Marks) {
	l.c.Marks(&m)
	return m
}

func TestMasterFindsTheCommonPoint(t *testing.T) {
	for _, row := range []struct {
		what   string
		end    Offset
		epochs Epochs
		want   Offset
	}{
		{"it lacks the end", 700, Epochs{{2, 0}, {4, 300}, {5, 600}}, 700},
		{"it has the tail of a reign that was cut short", 800, Epochs{{2, 0}, {4, 300}}, 600},
		{"it has a reign that nobody else had", 900, Epochs{{2, 0}, {3, 250}}, 250},
		{"its epochs tell of bytes that it lost", 400, Epochs{{2, 0}, {4, 300}, {5, 600}}, 400},
		{"it is empty", 0, nil, 0},
		{"it has nothing in common", 500, Epochs{{1, 0}}, 0},
	} {
		if got := newLead(t, 2).greet(1, 2, 22, row.end, row.epochs); got != row.want {
			t.Errorf("%s: common up to %d, want %d", row.what, got, row.want)
		}
	}
}

func TestAcknowledgementsCountOncePerReplica(t *testing.T) {
	l := newLead(t, 2)
	epochs := Epochs{{2, 0}, {4, 300}, {5, 600}}
	l.greet(1, 2, 22, 600, epochs)
	l.step(&Event{Kind: KindReceived, Conn: 1, Data: tracked(5, 2, 600)})
	l.step(&Event{Kind: KindDrained, Conn: 1})
	l.step(&Event{Kind: KindReceived, Conn: 1, Data: tracked(5, 2, 1000)})
	l.greet(2, 2, 22, 900, epochs) // the same replica over another connection, before the first has ended
	m := l.marks()
	if len(m.Replicas) != 2 || m.Replicas[0] != (durability.Replica{ID: 2, Acked: -1}) || m.Connections != 1 {
		t.Errorf("got %+v, want replica 2 once, with nothing acknowledged on its new connection, and replica 3", m)
	}
	if m.Confirmed != 600 {
		t.Errorf("confirmed %d although replica 3 is not there", m.Confirmed)
	}
}

func TestReportsThatDoNotCount(t *testing.T) {
	epochs := Epochs{{2, 0}, {4, 300}, {5, 600}}
	for what, data := range map[string][]byte{
		"another epoch": tracked(4, 2, 600), "another replica": tracked(5, 3, 600), "beyond what it was sent": tracked(5, 2, 601), "beyond the log": tracked(5, 2, 5000),
	} {
		l := newLead(t, 2)
		l.greet(1, 2, 22, 600, epochs)
		l.step(&Event{Kind: KindReceived, Conn: 1, Data: data})
		if m := l.marks(); m.Replicas[0].Acked != -1 || len(l.out.Close) != 1 {
			t.Errorf("%s: counted as %+v, closed %v", what, m.Replicas, l.out.Close)
		}
	}
	l := newLead(t, 2)
	l.step(&Event{Kind: KindConnected, Conn: 1})
	l.step(&Event{Kind: KindReceived, Conn: 1, Data: greeting(2, 22, 6, 600, epochs)})
	if len(l.out.Close) != 1 || len(l.out.Envelopes) != 0 {
		t.Errorf("a slave that knows of a newer epoch: %+v", l.out)
	}
}

// A member that is gone is counted until the controller has agreed, and is taken out only when all that was confirmed is on disk.
func TestMemberLeavesTheSet(t *testing.T) {
	l := newLead(t, 2)
	epochs := Epochs{{2, 0}, {4, 300}, {5, 600}}
	for id := int64(2); id <= 3; id++ {
		l.greet(ConnID(id), id, 11*id, 600, epochs)
		l.step(&Event{Kind: KindReceived, Conn: ConnID(id), Data: tracked(5, id, 600)})
		l.step(&Event{Kind: KindReceived, Conn: ConnID(id), Data: tracked(5, id, 1000)})
	}
	if m := l.marks(); m.Confirmed != 1000 {
		t.Fatalf("confirmed %d, want 1000", m.Confirmed)
	}
	l.step(&Event{Kind: KindClosed, Conn: 3})
	l.now += 2 * time.Second
	l.step(&Event{Kind: KindWoke})
	if l.out.Ask != nil || l.out.SyncTo != 1000 {
		t.Fatalf("synced up to %d: asked for %+v, sync %d", l.log.Synced, l.out.Ask, l.out.SyncTo)
	}
	l.log.Synced = 1000
	l.step(&Event{Kind: KindMoved})
	if ask := l.out.Ask; ask == nil || len(ask.Members) != 2 || ask.Members[1] != (Member{ID: 2, Incarnation: 22}) || ask.Version != 8 || ask.Confirmed != 1000 {
		t.Fatalf("asked for %+v", ask)
	}
	l.log.Written, l.log.Whole, l.log.Appended = 1100, 1100, 1100
	l.step(&Event{Kind: KindDrained, Conn: 2})
	l.step(&Event{Kind: KindReceived, Conn: 2, Data: tracked(5, 2, 1100)})
	if m := l.marks(); len(m.Replicas) != 2 || m.Confirmed != 1000 {
		t.Errorf("the controller has not agreed, and %+v", m)
	}
	l.step(&Event{Kind: KindView, View: View{ID: 1, Epoch: 5, Version: 9, Master: 1, Set: []Member{{1, 11, false}, {2, 22, false}}}})
	if m := l.marks(); len(m.Replicas) != 1 || m.Confirmed != 1100 {
		t.Errorf("agreed: %+v", m)
	}
}

// A slave is counted from before the controller is asked to let it join: it may be elected as soon as that has agreed.
func TestSlaveJoinsTheSet(t *testing.T) {
	l := newLead(t, 1)
	l.step(&Event{Kind: KindView, View: View{ID: 1, Epoch: 5, Version: 9, Master: 1, Set: []Member{{1, 11, false}}}})
	l.greet(1, 2, 22, 600, Epochs{{2, 0}, {4, 300}, {5, 600}})
	l.step(&Event{Kind: KindReceived, Conn: 1, Data: tracked(5, 2, 600)})
	if l.out.Ask != nil {
		t.Fatalf("behind what is confirmed, and asked for: %+v", l.out.Ask)
	}
	l.step(&Event{Kind: KindReceived, Conn: 1, Data: tracked(5, 2, 1000)})
	if m := l.marks(); l.out.Ask == nil || len(m.Replicas) != 1 || m.Members != 0 {
		t.Fatalf("asked for %+v, counted %+v, %d of them agreed", l.out.Ask, m.Replicas, m.Members)
	}
	l.step(&Event{Kind: KindRefusedSet})
	if len(l.marks().Replicas) != 1 {
		t.Error("no answer: it may have joined, and is not counted")
	}
}

// What waits for an old epoch is nobody's: a master that learns of a newer one closes what it had.
func TestMasterAbdicates(t *testing.T) {
	l := newLead(t, 1)
	l.greet(1, 2, 22, 600, Epochs{{2, 0}, {4, 300}, {5, 600}})
	l.step(&Event{Kind: KindView, View: View{ID: 1, Epoch: 6, Version: 9, Master: 2, MasterHA: "m"}})
	if l.c.Role() != RoleSlave || len(l.out.Close) != 1 || l.out.Dial != "m" || len(l.marks().Replicas) != 0 {
		t.Errorf("role %d, %+v", l.c.Role(), l.out)
	}
	l.step(&Event{Kind: KindView, View: View{ID: 1, Epoch: 5, Version: 99, Master: 1}})
	if l.c.Role() != RoleSlave || l.c.Epoch() != 6 {
		t.Error("a view of an older epoch counts")
	}
}
