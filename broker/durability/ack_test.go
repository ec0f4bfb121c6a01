package durability

import (
	"fmt"
	"testing"
	"time"
)

// oracle decides one put by looking at every instant since its append, one mark of RocketMQ's two futures after the other.
// It knows nothing of classes or latches.
type oracle struct {
	ack      Ack
	end      Offset
	wait     bool
	atAppend Marks
	replica  Status // outcome of the replicas' future
	replicaD bool
	disk     Status
	diskD    bool
}

func (o *oracle) look(m *Marks, age time.Duration) (Status, bool) {
	if !o.replicaD {
		covered := 0
		for _, r := range m.Replicas {
			if r.Acked >= o.end {
				covered++
			}
		}
		switch {
		case !o.wait, o.ack.Count == CountNone, o.ack.Count == CountConnections && o.ack.Replicas == 0:
			o.replicaD = true
		case o.ack.Count == CountPushed && (o.atAppend.Connections == 0 || o.end-o.atAppend.Pushed >= o.ack.MaxBehind):
			o.replica, o.replicaD = StatusSlaveNotAvailable, true
		case o.ack.Count == CountPushed && m.Pushed >= o.end, o.ack.Count == CountConnections && covered >= o.ack.Replicas:
			o.replicaD = true
		case age >= o.ack.ReplicaTimeout:
			o.replica, o.replicaD = StatusFlushSlaveTimeout, true
		}
	}
	if !o.diskD {
		switch {
		case !o.wait || o.ack.Local != LevelSynced, m.Synced >= o.end:
			o.diskD = true
		case age >= o.ack.DiskTimeout && m.Written >= o.end:
			o.disk, o.diskD = StatusFlushDiskTimeout, true
		}
	}
	if !o.replicaD || !o.diskD {
		return StatusOK, false
	}
	if o.ack.Local == LevelAppended || m.Written >= o.end {
		if o.replica != StatusOK {
			return o.replica, true
		}
		return o.disk, true
	}
	return StatusOK, false
}

// TestReleaseAgainstBruteForce walks every sequence of marks over four instants, for every contract.
func TestReleaseAgainstBruteForce(t *testing.T) {
	const end = 10
	marks := []Marks{ // of a log that appended the record at once
		{Appended: end},
		{Appended: end, Written: end - 1},
		{Appended: end, Written: end},
		{Appended: end, Written: end, Synced: end - 1},
		{Appended: end, Written: end, Synced: end},
	}
	replicas := [][]Replica{nil, {{1, -1}}, {{1, end - 1}}, {{1, 10}}, {{1, 10}, {2, 3}}, {{1, 10}, {2, 12}}}
	ages := []time.Duration{0, 2, 3, 5}
	var states []Marks
	for _, m := range marks {
		for _, rs := range replicas {
			s := m
			s.Replicas, s.Connections = rs, len(rs)
			for _, r := range rs {
				s.Pushed = max(s.Pushed, r.Acked)
			}
			states = append(states, s)
		}
	}
	cases, answers := 0, map[Status]int{}
	for _, ack := range everyAck() {
		for _, wait := range []bool{true, false} {
			walk(len(states), len(ages), func(path []int) {
				cases++
				o := &oracle{ack: ack, end: end, wait: wait, atAppend: states[path[0]]}
				first := states[path[0]]
				w := ack.Enlist(&first, end, wait, 0)
				for i, age := range ages {
					m := states[path[i]]
					wantStatus, wantDone := o.look(&m, age)
					gotStatus, gotDone := ack.Release(&m, &w, age)
					if gotDone != wantDone || gotStatus != wantStatus {
						t.Fatalf("ack %+v wait=%v path %v at %v (%+v): got %v %v, want %v %v", ack, wait, path, age, m, gotStatus, gotDone, wantStatus, wantDone)
					}
					if gotDone {
						answers[gotStatus]++
						return
					}
				}
			})
		}
	}
	for s := StatusOK; s <= StatusSlaveNotAvailable; s++ {
		if answers[s] == 0 {
			t.Errorf("no case was answered %v: the test is vacuous (%d cases, %v)", s, cases, answers)
		}
	}
}

func everyAck() []Ack {
	var out []Ack
	for _, local := range []Level{LevelAppended, LevelWritten, LevelSynced} {
		for _, c := range []struct {
			count    Count
			replicas int
		}{{CountNone, 0}, {CountPushed, 1}, {CountConnections, 1}, {CountConnections, 2}} {
			if local == LevelAppended && c.count != CountNone {
				continue // RocketMQ ignores the transient pool there or waits for the commit; not offered
			}
			out = append(out, Ack{Local: local, Count: c.count, Replicas: c.replicas, DiskTimeout: 5, ReplicaTimeout: 3, MaxBehind: 8})
		}
	}
	return out
}

// walk calls f with every path of depth steps over n states in which the local marks do not fall.
func walk(n, depth int, f func(path []int)) {
	path := make([]int, depth)
	var step func(i int)
	step = func(i int) {
		if i == depth {
			f(path)
			return
		}
		for s := range n {
			if i > 0 && s/6 < path[i-1]/6 {
				continue
			}
			path[i] = s
			step(i + 1)
		}
	}
	step(0)
}

func TestReplicasAtAgainstSorting(t *testing.T) {
	for a := Offset(-1); a < 3; a++ {
		for b := Offset(-1); b < 3; b++ {
			for c := Offset(-1); c < 3; c++ {
				m := Marks{Replicas: []Replica{{1, a}, {2, b}, {3, c}}}
				for k := 0; k <= 4; k++ {
					got, want := m.ReplicasAt(k), Offset(-1)
					for o := Offset(0); o < 4; o++ {
						n := 0
						for _, r := range m.Replicas {
							if r.Acked >= o {
								n++
							}
						}
						if n >= k {
							want = o
						}
					}
					if k == 0 {
						want = maxOffset
					}
					if got != want {
						t.Errorf("%v k=%d: got %d, want %d", m.Replicas, k, got, want)
					}
				}
			}
		}
	}
}

func TestDeadlineNeverPointsBack(t *testing.T) {
	ack := Ack{Local: LevelSynced, Count: CountConnections, Replicas: 1, DiskTimeout: 5, ReplicaTimeout: 3}
	m := Marks{Appended: 10} // not even written: nothing may be answered
	w := ack.Enlist(&m, 10, true, 100)
	for _, step := range []struct {
		now, want time.Duration
		ok        bool
	}{{100, 103, true}, {103, 105, true}, {105, 0, false}} {
		if _, done := ack.Release(&m, &w, step.now); done {
			t.Fatalf("answered at %v before the page cache had the record", step.now)
		}
		if at, ok := ack.Deadline(&w, step.now); ok != step.ok || ok && at != step.want {
			t.Errorf("at %v: got %v %v, want %v %v", step.now, at, ok, step.want, step.ok)
		}
	}
	m.Written = 10
	if s, done := ack.Release(&m, &w, 106); !done || s != StatusFlushSlaveTimeout {
		t.Errorf("both waits failed: got %v %v, want the replicas' status", s, done)
	}
}

func TestAdmit(t *testing.T) {
	a := Ack{MinReplicas: 1}
	if got := a.Admit(&Marks{}); got != StatusNotEnough {
		t.Errorf("no replica: got %v", got)
	}
	if got := a.Admit(&Marks{Connections: 1}); got != StatusOK {
		t.Errorf("one replica: got %v", got)
	}
}

func ExampleChoice_Contract() {
	c := DefaultChoice(RocketMQ5)
	c.Role = SyncMaster
	k := c.Contract()
	fmt.Println(k.Name, "waits for", k.Ack.Replicas, "replicas")
	// Output: SYNC_MASTER+ASYNC_FLUSH inSyncReplicas=1 waits for 0 replicas
}
