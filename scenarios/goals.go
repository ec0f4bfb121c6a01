package scenarios

import (
	"fmt"

	"holdfast/reports/result"
)

// What the reference broker is to be against Apache RocketMQ, measured side by side. Source: design.md section 8.
const (
	goalSaturated   = 10.0  // times the throughput of ASYNC_MASTER
	goalReplicated  = 8.0   // of SYNC_MASTER
	goalOneSender   = 3.0   // with one synchronous sender
	goalP99         = 10.0  // a tenth of the p99 at the same rate
	goalMemory      = 20.0  // a twentieth of the anonymous memory of the loaded master
	goalStartMillis = 100.0 // from exec to the first SEND_OK
)

// goals holds each system that imitates another against those that it imitates.
func (b *Bench) goals(all [][]*benched, started [][]float64) (goals []result.Goal) {
	for _, row := range all {
		for _, own := range row {
			for _, other := range row {
				if own.m.System.Name == referenceName && other.m.System.Name != referenceName {
					goals = append(goals, b.pair(own, other)...)
				}
			}
		}
	}
	for i, m := range b.Systems {
		if m.System.Name == referenceName && len(started[i]) > 0 {
			g := result.Goal{What: "start", System: m.System.String(), Unit: "ms", Own: started[i], Target: goalStartMillis}
			for j, other := range b.Systems {
				if other.System.Name != referenceName && !other.System.Tuned {
					g.Other = started[j]
				}
			}
			g.Judge(false, nil, nil)
			goals = append(goals, g)
		}
	}
	return goals
}

// referenceName is the system that has goals.
const referenceName = "reference"

// pair holds one system against another under one contract.
func (b *Bench) pair(own, other *benched) (goals []result.Goal) {
	goal := func(what, load, unit string, target float64) result.Goal {
		return result.Goal{What: what, System: own.m.System.String(), Against: other.m.System.String(), Contract: ContractName(own.contract), Load: load, Unit: unit, Target: target}
	}
	for i, row := range own.rows {
		target := goalSaturated
		switch s := b.Shapes[i]; {
		case s.Clients*s.InFlight == 1:
			target = goalOneSender
		case own.contract.BrokerRole == "SYNC_MASTER":
			target = goalReplicated
		}
		g := goal("throughput", b.Shapes[i].String(), "msg/s", target)
		g.Own, g.Other = row.passes, other.rows[i].passes
		g.Judge(true, bound(row), append(degraded(row), bound(other.rows[i])...))
		goals = append(goals, g)
	}
	for i := range min(len(own.opens), len(other.opens)) {
		open := own.opens[i]
		g := goal("p99", fmt.Sprintf("%d msg/s", open.rate), "ms", goalP99)
		judgeP99(&g, open, other.opens[i])
		goals = append(goals, g)
	}
	g := goal("memory", b.Shapes[0].String(), "MiB", goalMemory)
	g.Own, g.Other = anonymous(own), anonymous(other)
	g.Judge(false, nil, nil)
	return append(goals, g)
}

func anonymous(b *benched) (mib []float64) {
	for _, m := range b.memory {
		mib = append(mib, float64(m.Anonymous)/(1<<20))
	}
	return mib
}

// bound says that the generator was the limit of a closed loop.
func bound(row *speedRow) []string {
	if c := row.m.Perf.Ceiling; c > 0 && row.median() > generatorBound*c {
		return []string{fmt.Sprintf("%s is generator-bound: %.0f msg/s is over %.0f%% of the generator's ceiling of %.0f msg/s", row.cell.System, row.median(), 100*generatorBound, c)}
	}
	return nil
}

// degraded says that a row's speed was bought with acknowledgements that stand for less.
func degraded(row *speedRow) []string {
	if text := degradedStatuses(row.cell.Acked); text != "" {
		return []string{"not every acknowledgement was SEND_OK: " + text}
	}
	return nil
}

// judgeP99 holds one latency against another. What makes the own one worse than it is leaves open what was missed, what makes the other one worse leaves
// all open; but where that is the generator's lateness, the other one is counted from the actual sends instead: it is at least that.
func judgeP99(g *result.Goal, own, other *openRow) {
	harder, easier := append(own.lateness(), own.stolen()...), other.stolen()
	g.Own, g.Other = own.p99, other.p99
	late := other.lateness()
	if len(late) > 0 {
		late[0] += ", so its latency is counted from the actual sends"
		g.Other = other.service
	}
	if len(easier) > 0 {
		easier = append(easier, late...)
	}
	g.Judge(false, append(late, harder...), easier)
	if g.Standing == result.Met {
		g.Reasons = late
	}
}

// lateness says that the generator's own lateness makes a part of the latency.
func (o *openRow) lateness() []string {
	_, mid, _ := result.Spread(o.p99)
	_, behind, _ := result.Spread(o.late)
	if behind <= latenessShare*mid {
		return nil
	}
	return []string{fmt.Sprintf("%s: the generator's lateness p99 of %.2f ms is over %.0f%% of the latency p99 of %.2f ms", o.m.System, behind, 100*latenessShare, mid)}
}

// stolen says that the host makes a part of the latency.
func (o *openRow) stolen() (reasons []string) {
	for _, reason := range stolenLatency(o.cell.Stolen) {
		reasons = append(reasons, fmt.Sprintf("%s: %s", o.m.System, reason))
	}
	return reasons
}
