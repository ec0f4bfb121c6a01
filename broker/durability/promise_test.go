package durability_test

import (
	"testing"
	"time"

	"holdfast/broker/durability"
	"holdfast/checker/history"
	"holdfast/checker/promise"
)

// TestAcknowledgementsKeepThePromise holds this package against what the checker says that an acknowledgement stands for:
// whatever status a put is answered, under any marks and at any time, the promised copies are there; and SEND_OK is given
// as soon as they are.
func TestAcknowledgementsKeepThePromise(t *testing.T) {
	const end = 10
	checked := map[string]int{}
	for _, c := range choices() {
		contract := c.Contract()
		set := promise.Of(history.Header{
			Contract: string(c.Role) + "+" + string(c.FlushType),
			Profile:  history.Profile{Name: string(c.Profile), InSyncReplicas: c.InSync, TransientStorePool: c.TransientPool},
		})
		if set.Reason != "" {
			t.Fatalf("%s: %s", contract.Name, set.Reason)
		}
		if got, want := levelOf(contract.Read), set.Reads.Level; got != want {
			t.Errorf("%s %s: consumers read at %s, the checker takes it for %s", c.Profile, contract.Name, got, want)
		}
		for _, m := range states(end) {
			for _, age := range []time.Duration{0, c.SlaveTimeout, c.DiskTimeout, time.Hour} {
				w := contract.Ack.Enlist(&m, end, true, 0)
				status, done := contract.Ack.Release(&m, &w, age)
				p, promised := set.Status(status.String())
				if status == durability.StatusUnconfirmed || contract.Ack.Admit(&m) != durability.StatusOK {
					continue // says that nothing is promised
				}
				if done && !promised {
					t.Fatalf("%s: %s promises nothing", contract.Name, status)
				}
				if done && !holds(p, &m, end) {
					t.Fatalf("%s %s: answered %s under %+v without the copies %+v", c.Profile, contract.Name, status, m, p)
				}
				ok, _ := set.Status("SEND_OK")
				if c.Controlled { // it waits for every member of the SyncStateSet, however few copies are promised
					ok.Replicas, ok.InSync = history.Cache, max(ok.InSync, len(m.Replicas)+1)
				}
				if !done && holds(ok, &m, end) && age == 0 {
					t.Fatalf("%s %s: not answered under %+v although all promised copies are there", c.Profile, contract.Name, m)
				}
				if done {
					checked[status.String()]++
				}
			}
		}
	}
	if len(checked) != 4 {
		t.Errorf("only these statuses were given: %v", checked)
	}
}

// choices are all contracts of the profiles.
func choices() (out []durability.Choice) {
	for _, profile := range []durability.Profile{durability.RocketMQ4, durability.RocketMQ5, durability.Holdfast} {
		for _, role := range []durability.Role{durability.AsyncMaster, durability.SyncMaster} {
			for _, flush := range []durability.FlushType{durability.AsyncFlush, durability.SyncFlush} {
				for inSync := 1; inSync <= 3; inSync++ {
					c := durability.DefaultChoice(profile)
					c.Role, c.FlushType, c.InSync = role, flush, inSync
					c.Controlled = profile == durability.Holdfast && role == durability.SyncMaster
					out = append(out, c)
					if c.TransientPool = true; flush == durability.AsyncFlush && role == durability.AsyncMaster {
						out = append(out, c)
					}
				}
			}
		}
	}
	return out
}

// states are marks around a record that ends at end, reported honestly: no slave claims more than the master has.
func states(end durability.Offset) (out []durability.Marks) {
	for _, written := range []durability.Offset{end - 1, end} {
		for _, synced := range []durability.Offset{end - 1, end} {
			for _, replicas := range [][]durability.Replica{nil, {{ID: 1, Acked: -1}}, {{ID: 1, Acked: end - 1}}, {{ID: 1, Acked: end}},
				{{ID: 1, Acked: end}, {ID: 2, Acked: end - 1}}, {{ID: 1, Acked: end}, {ID: 2, Acked: end}}} {
				m := durability.Marks{Appended: end, Written: written, Synced: synced, Replicas: replicas, Connections: len(replicas), Members: len(replicas)}
				for _, r := range replicas {
					m.Pushed = max(m.Pushed, r.Acked)
				}
				if synced <= written {
					out = append(out, m)
				}
			}
		}
	}
	return out
}

// holds reports whether the copies of p are there.
func holds(p promise.Promise, m *durability.Marks, end durability.Offset) bool {
	own := map[history.Level]durability.Offset{history.Memory: m.Appended, history.Cache: m.Written, history.Disk: m.Synced}
	if p.Acker != "" && own[p.Acker] < end {
		return false
	}
	if p.Replicas == "" {
		return true
	}
	there := 1
	for _, r := range m.Replicas {
		if r.Acked >= end {
			there++
		}
	}
	return there >= p.InSync
}

func levelOf(l durability.Level) history.Level {
	return map[durability.Level]history.Level{
		durability.LevelAppended: history.Memory, durability.LevelWritten: history.Cache, durability.LevelSynced: history.Disk,
	}[l]
}
