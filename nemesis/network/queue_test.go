package network

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// sent is a packet of the model: when it may leave at the earliest, and whether it keeps its place.
type sent struct {
	flow   *flow
	number uint64
	due    time.Duration // 0 while it is held
	wait   time.Duration
	late   bool
}

// queueModel says when each packet of a queue leaves, by going through them one after the other.
type queueModel struct {
	waiting []*sent // those held included, in the order of their arrival
	last    map[*flow]time.Duration
}

func (m *queueModel) schedule(now time.Duration, s *sent) {
	s.due = now + s.wait
	if !s.late {
		s.due = max(s.due, m.last[s.flow])
		m.last[s.flow] = s.due
	}
}

func packetOf(n int) *packet {
	return &packet{data: make([]byte, vnetHeader+n), mem: make([]byte, 512)}
}

// TestQueue drives the queue and the model with random packets, clogs, ends of clogs, pauses and discards: each packet
// leaves once, when the model says.
func TestQueue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var tab table
		q := newQueue()
		flows := []*flow{tab.addFlow("a", "b"), tab.addFlow("b", "a"), tab.addFlow("a", "c")}
		reorder := &ruleState{}
		m := queueModel{last: map[*flow]time.Duration{}}
		now := time.Duration(1)
		var clog RuleID
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			switch f := rapid.SampledFrom(flows).Draw(t, "flow"); rapid.SampledFrom([]string{"send", "send", "send", "pause", "pause", "clog", "discard"}).Draw(t, "step") {
			case "send":
				v := verdict{copies: 1, wait: time.Duration(rapid.IntRange(0, 20).Draw(t, "wait")), hold: f.clogged()}
				if rapid.IntRange(0, 4).Draw(t, "late") == 0 {
					v.late = reorder
				}
				if !q.add(now, f, v, packetOf(20)) {
					t.Fatal("the queue is full")
				}
				s := &sent{flow: f, number: f.arrived, wait: v.wait, late: v.late != nil}
				if m.waiting = append(m.waiting, s); !v.hold {
					m.schedule(now, s)
				}
			case "pause":
				now += time.Duration(rapid.IntRange(1, 15).Draw(t, "for"))
				m.leave(t, q, now)
			case "clog":
				if clog == 0 {
					clog = tab.set(Rule{From: []string{f.from}, Clog: true})
					break
				}
				tab.clear(clog)
				clog = 0
				for _, f := range flows {
					q.release(now, f)
				}
				for _, s := range m.waiting {
					if s.due == 0 {
						m.schedule(now, s)
					}
				}
			case "discard":
				gone := q.discard(f.to, tab.flows)
				before := len(m.waiting)
				m.waiting = slices.DeleteFunc(m.waiting, func(s *sent) bool { return s.flow.from == f.to || s.flow.to == f.to })
				if len(gone) != before-len(m.waiting) {
					t.Fatalf("%d packets discarded, want %d", len(gone), before-len(m.waiting))
				}
				for _, g := range flows {
					if g.from == f.to || g.to == f.to {
						m.last[g] = 0
					}
				}
			}
			if want := int64(len(m.waiting)) * 512; q.bytes != want {
				t.Fatalf("the queue counts %d bytes, want %d", q.bytes, want)
			}
		}
	})
}

// leave takes what is due out of the queue and compares.
func (m *queueModel) leave(t *rapid.T, q *queue, now time.Duration) {
	var want []*sent
	m.waiting = slices.DeleteFunc(m.waiting, func(s *sent) bool {
		if s.due != 0 && s.due <= now {
			want = append(want, s)
			return true
		}
		return false
	})
	slices.SortStableFunc(want, func(a, b *sent) int { return int(a.due - b.due) })
	for _, e := range q.pop(now, make([]*parcel, 0, 1000)) {
		i := slices.IndexFunc(want, func(s *sent) bool { return s.flow == e.flow && s.number == e.number })
		if i < 0 || want[i].due != e.due || want[i].due != want[0].due {
			t.Fatalf("packet %d from %s to %s left, due at %v: not what the model says", e.number, e.flow.from, e.flow.to, e.due)
		}
		want = slices.Delete(want, i, i+1)
		e.done()
	}
	if len(want) > 0 {
		t.Fatalf("%d packets did not leave that were due", len(want))
	}
}

// TestOvertaken holds that a chosen packet counts as reordered when another one has gone before it, and else not.
func TestOvertaken(t *testing.T) {
	q, f, r := newQueue(), (&table{}).addFlow("a", "b"), &ruleState{}
	add := func(now, wait time.Duration, late *ruleState) {
		if !q.add(now, f, verdict{copies: 1, wait: wait, late: late}, packetOf(20)) {
			t.Fatal("the queue is full")
		}
	}
	add(0, 10, r) // overtaken by the next
	add(1, 0, nil)
	add(20, 10, r) // by nobody
	add(40, 0, nil)
	for now := range time.Duration(50) {
		for _, e := range q.pop(now, make([]*parcel, 0, 8)) {
			e.done()
		}
	}
	if want := (Counters{Reordered: 1, Changed: 1, Bytes: 20}); r.counters != want {
		t.Errorf("got %+v, want %+v", r.counters, want)
	}
	if f.waiting != 0 {
		t.Errorf("%d packets wait still", f.waiting)
	}
}

// TestQueueLimit fills a queue: what has no room is refused, and there is room again when something has left.
func TestQueueLimit(t *testing.T) {
	q, f := newQueue(), (&table{}).addFlow("a", "b")
	q.limit = 2 * 512
	for i, want := range []bool{true, true, false} {
		if got := q.add(0, f, verdict{copies: 1, wait: 1, hold: i == 0}, packetOf(20)); got != want {
			t.Errorf("packet %d: room %v, want %v", i, got, want)
		}
	}
	q.release(0, f)
	if n := len(q.pop(1, make([]*parcel, 0, 8))); n != 2 || !q.add(1, f, verdict{copies: 1}, packetOf(20)) {
		t.Errorf("%d left, want 2 and room for another one", n)
	}
}
