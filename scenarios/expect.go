package scenarios

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"holdfast/reports/result"
	"holdfast/scenarios/scenario"
)

// expectations holds a cell against what its scenario says must come out.
func expectations(e scenario.Expect, c *result.Cell) []result.Expectation {
	var all []result.Expectation
	add := func(what, want, got string, met bool) {
		all = append(all, result.Expectation{What: what, Want: want, Got: got, Met: met})
	}
	if len(e.Verdict) > 0 {
		add("verdict", strings.Join(e.Verdict, " or "), string(c.Verdict), slices.Contains(e.Verdict, string(c.Verdict)))
	}
	amount(add, "messages lost", e.Lost, result.Sum(c.Lost))
	for _, status := range slices.Sorted(maps.Keys(e.Statuses)) {
		amount(add, "acknowledged "+status, e.Statuses[status], c.Acked[status])
	}
	for _, want := range []struct {
		phase    string
		statuses map[string]scenario.Amount
	}{{"before", e.Before}, {"during", e.During}, {"healing", nil}, {"after", e.After}} {
		got, delivered := phaseCounts(c.Trials, want.phase)
		for _, status := range slices.Sorted(maps.Keys(want.statuses)) {
			amount(add, want.phase+" the fault "+status, want.statuses[status], got[status])
		}
		amount(add, "delivered "+want.phase+" the fault", e.Delivered[want.phase], delivered)
	}
	earlyReads(add, e.EarlyReads, c.Trials)
	stores(add, e, c.Trials)
	for _, name := range e.Anomalies {
		add("anomaly "+name, "some", fmt.Sprint(c.Anomalies[name]), c.Anomalies[name] > 0)
	}
	for _, name := range e.NoAnomalies {
		add("anomaly "+name, "none", fmt.Sprint(c.Anomalies[name]), c.Anomalies[name] == 0)
	}
	return all
}

// earlyReads adds what is expected of messages that were read before their acknowledgement; where nobody read, nothing is met.
func earlyReads(add func(what, want, got string, met bool), want scenario.Amount, trials []result.Trial) {
	read, early := int64(0), int64(0)
	for _, t := range trials {
		if t.Reads != nil {
			read, early = read+t.Reads.Count, early+t.Reads.Early
		}
	}
	if read == 0 && want == scenario.Nothing {
		add("read before acknowledged", string(want), "nothing was read", false)
		return
	}
	amount(add, "read before acknowledged", want, early)
}

// stores adds what is expected of the stores; a trial without a comparison meets nothing.
func stores(add func(what, want, got string, met bool), e scenario.Expect, trials []result.Trial) {
	for i, t := range trials {
		for _, x := range []struct{ what, want string }{{"commit logs", e.Logs}, {"consume queues", e.Queues}} {
			if x.want == "" {
				continue
			}
			what := fmt.Sprintf("%s, trial %d", x.what, i+1)
			if len(t.Stores) == 0 {
				add(what, x.want, "not compared", false)
			}
			for _, p := range t.Stores {
				got := map[bool]string{true: "equal", false: "different"}[p.Equal()]
				if x.what == "consume queues" {
					got = queuesOf(p)
				}
				add(what+", "+p.Nodes[1], x.want, got, got == x.want)
			}
		}
	}
}

// queuesOf says how the queues of the second store stand to those of the first.
func queuesOf(p result.StorePair) string {
	switch {
	case p.Frozen:
		return "frozen"
	case p.Missing > 0:
		return "behind"
	}
	return "level"
}

// amount adds what is expected of a number of messages, unless any will do.
func amount(add func(what, want, got string, met bool), what string, want scenario.Amount, got int64) {
	switch want {
	case scenario.Nothing:
		add(what, string(want), fmt.Sprint(got), got == 0)
	case scenario.Some:
		add(what, string(want), fmt.Sprint(got), got > 0)
	}
}
