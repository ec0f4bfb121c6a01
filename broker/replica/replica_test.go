package replica

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"holdfast/broker/durability"
)

const fileBytes = 1000

func primary(t testing.TB, cfg Config) *Primary {
	t.Helper()
	p, err := NewPrimary(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func report(at Offset) []byte { return binary.BigEndian.AppendUint64(nil, uint64(at)) }

// chunks lists what out sends, as from+size.
func chunks(out *Out) string {
	s := ""
	for _, e := range out.Envelopes {
		s += fmt.Sprintf("%d+%d ", e.From, e.Size)
	}
	return s
}

func step(p *Primary, now time.Duration, ev Event, log Log) *Out {
	out := &Out{}
	ev.Log = log
	p.Step(now, &ev, out)
	return out
}

func TestWhereASlaveBegins(t *testing.T) {
	log := Log{Min: 1000, Written: 2500, Appended: 2600, FileBytes: fileBytes}
	for _, tc := range []struct {
		what   string
		report Offset
		want   string
	}{
		{"a fresh slave gets the last file only", 0, "2000+500 "},
		{"a slave goes on where it ends", 1990, "1990+10 2000+500 "},
		{"chunks do not cross a file", 1200, "1200+700 1900+100 2000+500 "},
		{"what has been deleted is never sent", 500, ""},
		{"a slave at the end gets nothing yet", 2500, ""},
		{"a slave beyond the end gets nothing, and no error", 2501, ""},
	} {
		p := primary(t, Config{BatchBytes: 700})
		step(p, 0, Event{Kind: KindConnected, Conn: 1}, log)
		out := step(p, 0, Event{Kind: KindReceived, Conn: 1, Data: report(tc.report)}, log)
		if got := chunks(out); got != tc.want || out.Consumed != 8 {
			t.Errorf("%s: got %q, consumed %d; want %q", tc.what, got, out.Consumed, tc.want)
		}
		told := slices.ContainsFunc(out.Notes, func(n Note) bool { return strings.Contains(n.Text, "below the begin of this log") })
		if below := tc.report > 0 && tc.report < log.Min; told != below {
			t.Errorf("%s: an operator is told that the slave gets nothing: %v, want %v", tc.what, told, below)
		}
	}
}

func TestReportsBeyondTheEnd(t *testing.T) {
	log := Log{Written: 100, Appended: 100, FileBytes: fileBytes}
	for _, tc := range []struct {
		guard   Guard
		reports []Offset
		closed  bool
		pushed  Offset
		acked   Offset // by the connection, if it stands
	}{
		{GuardNone, []Offset{300}, false, 300, 300},
		{GuardNone, []Offset{50, 300}, false, 300, 300},
		{GuardLater, []Offset{300}, false, 300, 300},
		{GuardLater, []Offset{50, 300}, true, 50, 0},
		{GuardLater, []Offset{300, 300}, true, 300, 0},
		{GuardAll, []Offset{300}, true, 0, 0},
		{GuardAll, []Offset{50, 100}, false, 100, 100},
	} {
		p := primary(t, Config{Guard: tc.guard})
		step(p, 0, Event{Kind: KindConnected, Conn: 1}, log)
		closed := false
		for _, r := range tc.reports {
			out := step(p, 0, Event{Kind: KindReceived, Conn: 1, Data: report(r)}, log)
			closed = closed || len(out.Close) > 0
		}
		m := durability.Marks{}
		p.Marks(&m)
		if closed != tc.closed || m.Pushed != tc.pushed {
			t.Errorf("guard %d, reports %v: closed %v, pushed %d; want %v, %d", tc.guard, tc.reports, closed, m.Pushed, tc.closed, tc.pushed)
		}
		if !closed && (len(m.Replicas) != 1 || m.Replicas[0].Acked != tc.acked) {
			t.Errorf("guard %d, reports %v: replicas %v", tc.guard, tc.reports, m.Replicas)
		}
	}
}

func TestReportsAreCumulativeAndMayComeInPieces(t *testing.T) {
	log := Log{Written: 500, Appended: 500, FileBytes: fileBytes}
	p := primary(t, Config{})
	step(p, 0, Event{Kind: KindConnected, Conn: 1}, log)
	data := append(append(report(10), report(20)...), 0, 0, 0)
	if out := step(p, 0, Event{Kind: KindReceived, Conn: 1, Data: data}, log); out.Consumed != 16 {
		t.Errorf("consumed %d of two reports and three bytes", out.Consumed)
	}
	if got := p.Peers(nil)[0].Acked; got != 20 {
		t.Errorf("acked %d, want the last report", got)
	}
}

func TestTheLargestReportEverStays(t *testing.T) {
	log := Log{Written: 500, Appended: 500, FileBytes: fileBytes}
	p := primary(t, Config{})
	for conn, at := range []Offset{50, 20} {
		id := ConnID(conn + 1)
		step(p, 0, Event{Kind: KindConnected, Conn: id}, log)
		step(p, 0, Event{Kind: KindReceived, Conn: id, Data: report(at)}, log)
	}
	step(p, 0, Event{Kind: KindClosed, Conn: 1}, log)
	m := durability.Marks{}
	p.Marks(&m)
	if m.Pushed != 50 || m.Connections != 1 || m.ReplicasAt(1) != 20 {
		t.Errorf("pushed %d, connections %d, reached by one %d; want 50, 1, 20", m.Pushed, m.Connections, m.ReplicasAt(1))
	}
}

func TestMasterGivesUpSilentSlavesAndKeepsIdleOnesAlive(t *testing.T) {
	log := Log{Written: 10, Appended: 10, FileBytes: fileBytes}
	p := primary(t, Config{})
	step(p, 0, Event{Kind: KindConnected, Conn: 1}, log)
	out := step(p, 0, Event{Kind: KindReceived, Conn: 1, Data: report(10)}, log)
	if out.WakeAt != 5*time.Second {
		t.Fatalf("wakes at %v, want the heartbeat at 5s", out.WakeAt)
	}
	for now := 5 * time.Second; now < 20*time.Second; now += 5 * time.Second {
		out = step(p, now, Event{Kind: KindWoke}, log)
		if got := chunks(out); got != "10+0 " || out.WakeAt != now+5*time.Second {
			t.Fatalf("at %v: sent %q, wakes at %v", now, got, out.WakeAt)
		}
	}
	out = step(p, 20*time.Second, Event{Kind: KindWoke}, log)
	if len(out.Close) != 1 || len(p.Peers(nil)) != 0 || out.WakeAt != 0 {
		t.Errorf("after 20 s of silence: close %v, peers %v, wakes at %v", out.Close, p.Peers(nil), out.WakeAt)
	}
}

func TestOnlyOneWindowIsInFlight(t *testing.T) {
	log := Log{Written: 900, Appended: 900, FileBytes: fileBytes}
	p := primary(t, Config{BatchBytes: 100, WindowBytes: 200})
	step(p, 0, Event{Kind: KindConnected, Conn: 1}, log)
	if got := chunks(step(p, 0, Event{Kind: KindReceived, Conn: 1, Data: report(400)}, log)); got != "400+100 500+100 " {
		t.Fatalf("first window: %q", got)
	}
	if got := chunks(step(p, 0, Event{Kind: KindMoved}, log)); got != "" {
		t.Fatalf("before the drain: %q", got)
	}
	if got := chunks(step(p, 0, Event{Kind: KindDrained, Conn: 1}, log)); got != "600+100 700+100 " {
		t.Fatalf("after the drain: %q", got)
	}
}

func TestSlaveFirstReportComesWithTheHeartbeat(t *testing.T) {
	log := Log{Written: 70, Whole: 80, Appended: 85, FileBytes: fileBytes}
	p := primary(t, Config{Role: RoleSlave, MasterAddr: "m"})
	if out := step(p, 1, Event{Kind: KindMoved}, log); out.Dial != "m" {
		t.Fatalf("dial %q", out.Dial)
	}
	step(p, 2, Event{Kind: KindConnected, Conn: 1}, log)
	if got := chunks(step(p, time.Second, Event{Kind: KindWoke}, log)); got != "" {
		t.Fatalf("reports after 1 s: %q", got)
	}
	out := step(p, 6*time.Second, Event{Kind: KindWoke}, log)
	if len(out.Envelopes) != 0 {
		t.Fatal("the first report acknowledges records that are not written")
	}
	if out.WakeAt <= 6*time.Second {
		t.Fatalf("wakes at %v: it would spin until the write ends", out.WakeAt)
	}
	log.Written = 80
	out = step(p, 6*time.Second, Event{Kind: KindMoved}, log)
	if len(out.Envelopes) != 1 || !bytes.Equal(out.Envelopes[0].Header[:8], report(85)) {
		t.Fatalf("first report: %v, want the end within a record", out.Envelopes)
	}
	out = step(p, 12*time.Second, Event{Kind: KindWoke}, log)
	if len(out.Envelopes) != 1 || !bytes.Equal(out.Envelopes[0].Header[:8], report(85)) {
		t.Fatalf("heartbeat: %v, want no smaller report", out.Envelopes)
	}
}

func chunk(at Offset, data string) []byte {
	b := binary.BigEndian.AppendUint32(report(at), uint32(len(data)))
	return append(b, data...)
}

func TestSlaveAppliesWholeChunksInOrder(t *testing.T) {
	log := Log{Written: 5, Appended: 5, FileBytes: fileBytes}
	for _, tc := range []struct {
		what     string
		log      Log
		data     []byte
		applied  string
		consumed int
		closed   bool
	}{
		{"two chunks and a piece of the third", log, append(append(chunk(5, "abc"), chunk(8, "de")...), chunk(10, "xyz")[:13]...), "5:abc 8:de ", 29, false},
		{"a heartbeat at the own end", log, chunk(5, ""), "", 12, false},
		{"a heartbeat elsewhere", log, chunk(9, ""), "", 0, true},
		{"a chunk for another place", log, chunk(9, "abc"), "", 0, true},
		{"an empty log takes any beginning", Log{FileBytes: fileBytes}, chunk(2000, "abc"), "2000:abc ", 15, false},
		{"a negative size", log, append(report(5), 0xff, 0xff, 0xff, 0xff), "", 0, true},
		{"a header alone waits", log, chunk(5, "abc")[:12], "", 0, false},
	} {
		p := primary(t, Config{Role: RoleSlave, MasterAddr: "m"})
		step(p, 1, Event{Kind: KindMoved}, tc.log)
		step(p, 2, Event{Kind: KindConnected, Conn: 1}, tc.log)
		out := step(p, 3, Event{Kind: KindReceived, Conn: 1, Data: tc.data}, tc.log)
		applied := ""
		for _, c := range out.Apply {
			applied += fmt.Sprintf("%d:%s ", c.At, c.Data)
		}
		if applied != tc.applied || len(out.Close) > 0 != tc.closed || !tc.closed && out.Consumed != tc.consumed {
			t.Errorf("%s: applied %q, consumed %d, closed %v", tc.what, applied, out.Consumed, out.Close)
		}
		if tc.closed && out.WakeAt != 3+5*time.Second {
			t.Errorf("%s: reconnects at %v, want after 5 s", tc.what, out.WakeAt)
		}
	}
}

// TestTwoNodesConverge plays master and slave over a link that breaks at random: what the slave holds is always a prefix of
// the master's log, acknowledgements never exceed it, and without further breaks it catches up.
func TestTwoNodesConverge(t *testing.T) {
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 1))
		var log []byte
		w := newLink(t, rng)
		for i := range 400 {
			if i < 300 {
				for range rng.IntN(60) {
					log = append(log, byte(rng.Uint32()))
				}
			}
			w.round(log, i < 300 && rng.IntN(20) == 0)
			if !bytes.HasPrefix(log, w.copy) {
				t.Fatalf("seed %d, round %d: the slave holds something else than the master", seed, i)
			}
			m := durability.Marks{}
			w.master.Marks(&m)
			if at := m.ReplicasAt(1); at > int64(len(w.copy)) {
				t.Fatalf("seed %d, round %d: acknowledged %d, the slave has %d", seed, i, at, len(w.copy))
			}
		}
		if !bytes.Equal(w.copy, log) {
			t.Fatalf("seed %d: the slave has %d of %d bytes", seed, len(w.copy), len(log))
		}
	}
}

// link is a master and a slave with the bytes between them.
type linkWorld struct {
	t             *testing.T
	rng           *rand.Rand
	master, slave *Primary
	now           time.Duration
	conn          ConnID
	toSlave, toM  []byte
	copy          []byte
	dialing       bool
}

func newLink(t *testing.T, rng *rand.Rand) *linkWorld {
	cfg := Config{BatchBytes: 64, WindowBytes: 256, HeartbeatInterval: 10, Housekeeping: 1000, ReconnectInterval: 10, MasterAddr: "m"}
	slave := cfg
	slave.Role = RoleSlave
	return &linkWorld{t: t, rng: rng, master: primary(t, cfg), slave: primary(t, slave)}
}

func (w *linkWorld) round(log []byte, cut bool) {
	w.now += time.Duration(1 + w.rng.IntN(8))
	if cut && w.conn != 0 {
		w.toSlave, w.toM = nil, nil
		w.stepMaster(Event{Kind: KindClosed, Conn: w.conn}, log)
		w.stepSlave(Event{Kind: KindClosed, Conn: w.conn})
	}
	w.stepMaster(Event{Kind: KindMoved}, log)
	w.stepMaster(Event{Kind: KindWoke}, log)
	w.stepMaster(Event{Kind: KindDrained, Conn: w.conn}, log)
	w.stepSlave(Event{Kind: KindWoke})
	if w.dialing {
		w.dialing = false
		w.conn++
		w.toSlave, w.toM = nil, nil
		w.stepMaster(Event{Kind: KindConnected, Conn: w.conn}, log)
		w.stepSlave(Event{Kind: KindConnected, Conn: w.conn})
	}
	if n := w.rng.IntN(len(w.toSlave) + 1); n > 0 {
		used := w.stepSlave(Event{Kind: KindReceived, Conn: w.conn, Data: w.toSlave[:n]})
		w.toSlave = w.toSlave[used:]
	}
	if n := len(w.toM); n > 0 {
		w.toM = w.toM[w.stepMaster(Event{Kind: KindReceived, Conn: w.conn, Data: w.toM}, log):]
	}
}

func (w *linkWorld) stepMaster(ev Event, log []byte) int {
	out := step(w.master, w.now, ev, Log{Written: int64(len(log)), Appended: int64(len(log)), FileBytes: 1 << 20})
	for _, e := range out.Envelopes {
		w.toSlave = append(append(w.toSlave, e.Header[:e.Len]...), log[e.From:e.From+int64(e.Size)]...)
	}
	return out.Consumed
}

func (w *linkWorld) stepSlave(ev Event) int {
	const record = 16 // bytes; only whole ones are written
	end := int64(len(w.copy))
	whole := end - end%record
	out := step(w.slave, w.now, ev, Log{Written: whole, Whole: whole, Appended: end, FileBytes: 1 << 20})
	for _, c := range out.Apply {
		if c.At != int64(len(w.copy)) {
			w.t.Fatalf("chunk for %d, the copy ends at %d", c.At, len(w.copy))
		}
		w.copy = append(w.copy, c.Data...)
	}
	for _, e := range out.Envelopes {
		w.toM = append(w.toM, e.Header[:e.Len]...)
	}
	w.dialing = w.dialing || out.Dial != ""
	return out.Consumed
}

func TestConfig(t *testing.T) {
	if _, err := NewPrimary(Config{BatchBytes: maxChunkBytes + 1}); err == nil {
		t.Error("a chunk larger than a slave takes is accepted")
	}
}

// TestIdleSenderSleeps: with nothing to send, and nobody who waits for the slave, RocketMQ's sender looks again 100 ms later. What is
// written meanwhile goes then, all at once; without an idle wait it goes at once.
func TestIdleSenderSleeps(t *testing.T) {
	const msec = time.Millisecond
	at := func(end Offset) Log { return Log{Written: end, Appended: end, FileBytes: fileBytes} }
	p := primary(t, Config{IdleWait: 100 * msec})
	step(p, 0, Event{Kind: KindConnected, Conn: 1}, at(50))
	if got := chunks(step(p, 0, Event{Kind: KindReceived, Conn: 1, Data: report(10)}, at(50))); got != "10+40 " {
		t.Errorf("at the start: got %q, want what is there", got)
	}
	step(p, 1*msec, Event{Kind: KindDrained, Conn: 1}, at(50)) // from now on it is idle
	for _, row := range []struct {
		says string
		now  time.Duration
		end  Offset
		want string
	}{
		{"written while it sleeps", 40 * msec, 60, ""},
		{"a report does not wake it", 99 * msec, 80, ""},
		{"when it looks again", 101 * msec, 80, "50+30 "},
	} {
		out := step(p, row.now, Event{Kind: KindReceived, Conn: 1, Data: report(50)}, at(row.end))
		if got := chunks(out); got != row.want {
			t.Errorf("%s: got %q, want %q", row.says, got, row.want)
		}
		if row.want == "" && out.WakeAt != 101*msec {
			t.Errorf("%s: wakes at %v, want 101ms", row.says, out.WakeAt)
		}
	}
	at1 := primary(t, Config{})
	step(at1, 0, Event{Kind: KindConnected, Conn: 1}, at(50))
	step(at1, 0, Event{Kind: KindReceived, Conn: 1, Data: report(50)}, at(50))
	if got := chunks(step(at1, 1, Event{Kind: KindWoke}, at(60))); got != "50+10 " {
		t.Errorf("without an idle wait: got %q, want it at once", got)
	}
}
