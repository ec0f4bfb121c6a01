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
	for _, name := range e.Anomalies {
		add("anomaly "+name, "some", fmt.Sprint(c.Anomalies[name]), c.Anomalies[name] > 0)
	}
	for _, name := range e.NoAnomalies {
		add("anomaly "+name, "none", fmt.Sprint(c.Anomalies[name]), c.Anomalies[name] == 0)
	}
	return all
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
