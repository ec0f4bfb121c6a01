package broker

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"holdfast/broker/durability"
)

// TestWaitersAgainstEachOnItsOwn plays puts, marks and time at random: the rings must answer exactly those puts, with those
// statuses, that answer when every put is looked at on its own at every instant; and they must ask to be woken in time.
func TestWaitersAgainstEachOnItsOwn(t *testing.T) {
	answers := map[durability.Status]int{}
	rapid.Check(t, func(t *rapid.T) {
		ack := durability.Ack{
			Local:       rapid.SampledFrom([]durability.Level{durability.LevelWritten, durability.LevelSynced}).Draw(t, "local"),
			Count:       rapid.SampledFrom([]durability.Count{durability.CountNone, durability.CountPushed, durability.CountConnections}).Draw(t, "count"),
			Replicas:    1,
			DiskTimeout: 50, ReplicaTimeout: 30, MaxBehind: 100,
		}
		var ws waiters
		var alone []*put
		m := durability.Marks{}
		now, wake := time.Duration(0), time.Duration(0)
		for id := int32(1); id <= 60; id++ {
			next := now + time.Duration(rapid.IntRange(0, 20).Draw(t, "pause"))
			for wake != 0 && wake <= next { // the driver wakes at every deadline
				now = wake
				got := release(&ws, &ack, &m, now)
				compare(t, now, got, &alone, &ack, &m, answers)
				wake = ws.deadline(&ack, now)
				if wake != 0 && wake <= now {
					t.Fatalf("at %d: asks to be woken at %d", now, wake)
				}
			}
			now = next
			switch rapid.IntRange(0, 5).Draw(t, "what") {
			case 0, 1:
				m.Appended += 10
				w := ack.Enlist(&m, m.Appended, rapid.Bool().Draw(t, "wait"), now)
				ws.add(w, Reply{Opaque: id})
				alone = append(alone, &put{w, Reply{Opaque: id}})
			case 2:
				m.Written = min(m.Appended, m.Written+int64(rapid.IntRange(0, 4).Draw(t, "written"))*5)
			case 3:
				m.Synced = min(m.Written, m.Synced+int64(rapid.IntRange(0, 4).Draw(t, "synced"))*5)
			case 4:
				at := int64(rapid.IntRange(0, 6).Draw(t, "acked")) * 5
				m.Replicas = []durability.Replica{{ID: 1, Acked: min(m.Appended, m.Pushed+at)}}
				m.Pushed, m.Connections = max(m.Pushed, m.Replicas[0].Acked), 1
			case 5:
				m.Replicas, m.Connections = nil, 0
			}
			got := release(&ws, &ack, &m, now)
			compare(t, now, got, &alone, &ack, &m, answers)
			wake = ws.deadline(&ack, now)
			awake(t, now, wake, alone, &ack, &m)
		}
		if got := ws.len(); got != len(alone) {
			t.Fatalf("%d wait in rings, %d alone", got, len(alone))
		}
	})
	for s := durability.StatusOK; s <= durability.StatusSlaveNotAvailable; s++ {
		if answers[s] == 0 {
			t.Errorf("no put was answered %v: %v", s, answers)
		}
	}
}

// awake fails if the rings sleep through an instant at which time alone ends a wait of some put.
func awake(t *rapid.T, now, wake time.Duration, alone []*put, ack *durability.Ack, m *durability.Marks) {
	for _, p := range alone {
		at, ok := ack.Deadline(&p.Waiter, now)
		if !ok || wake != 0 && wake <= at {
			continue
		}
		w := p.Waiter
		if _, answered := ack.Release(m, &w, at); answered || w.Replicas != p.Replicas {
			t.Fatalf("at %d: wakes at %d, put %d has to be looked at at %d", now, wake, p.reply.Opaque, at)
		}
	}
}

type answerOf struct {
	opaque, code int32
}

func release(ws *waiters, ack *durability.Ack, m *durability.Marks, now time.Duration) []answerOf {
	var out []answerOf
	for _, r := range ws.release(ack, m, now, nil) {
		out = append(out, answerOf{r.Opaque, r.Code})
	}
	slices.SortFunc(out, func(a, b answerOf) int { return int(a.opaque - b.opaque) })
	return out
}

// compare looks at every put on its own and takes out those that are answered.
func compare(t *rapid.T, now time.Duration, got []answerOf, alone *[]*put, ack *durability.Ack, m *durability.Marks, answers map[durability.Status]int) {
	var want []answerOf
	*alone = slices.DeleteFunc(*alone, func(p *put) bool {
		status, ok := ack.Release(m, &p.Waiter, now)
		if ok {
			want = append(want, answerOf{p.reply.Opaque, codeOf(status)})
			answers[status]++
		}
		return ok
	})
	if !slices.Equal(got, want) {
		t.Fatalf("at %d under %+v: rings answer %v, each alone %v", now, *m, got, want)
	}
}
