package scenarios

import (
	"slices"
	"testing"

	"holdfast/reports/result"
	"holdfast/scenarios/scenario"
)

func TestExpectations(t *testing.T) {
	lossy := result.Cell{
		Verdict: result.LossWithinContract, Lost: map[string]int64{"SEND_OK": 3, "FLUSH_DISK_TIMEOUT": 1},
		Acked: map[string]int64{"SEND_OK": 100}, Anomalies: map[string]int64{"lost": 4},
	}
	clean := result.Cell{Verdict: result.Kept, Lost: map[string]int64{}, Acked: map[string]int64{"SEND_OK": 100, "FLUSH_SLAVE_TIMEOUT": 2}}
	row := func(what, want, got string, met bool) result.Expectation {
		return result.Expectation{What: what, Want: want, Got: got, Met: met}
	}
	for _, c := range []struct {
		says string
		e    scenario.Expect
		cell result.Cell
		want []result.Expectation
	}{
		{"nothing is expected", scenario.Expect{}, lossy, nil},
		{"any amount is none to meet", scenario.Expect{Lost: scenario.Any, Statuses: map[string]scenario.Amount{"SEND_OK": scenario.Any}}, lossy, nil},
		{"the verdict", scenario.Expect{Verdict: []string{"kept"}}, clean, []result.Expectation{row("verdict", "kept", "kept", true)}},
		{"one of two verdicts", scenario.Expect{Verdict: []string{"kept", "loss-within-contract"}}, lossy,
			[]result.Expectation{row("verdict", "kept or loss-within-contract", "loss-within-contract", true)}},
		{"another verdict", scenario.Expect{Verdict: []string{"kept", "violated"}}, lossy,
			[]result.Expectation{row("verdict", "kept or violated", "loss-within-contract", false)}},
		{"nothing lost, of whatever status", scenario.Expect{Lost: scenario.Nothing}, clean, []result.Expectation{row("messages lost", "none", "0", true)}},
		{"lost all the same", scenario.Expect{Lost: scenario.Nothing}, lossy, []result.Expectation{row("messages lost", "none", "4", false)}},
		{"some lost", scenario.Expect{Lost: scenario.Some}, lossy, []result.Expectation{row("messages lost", "some", "4", true)}},
		{"none lost where some must be", scenario.Expect{Lost: scenario.Some}, clean, []result.Expectation{row("messages lost", "some", "0", false)}},
		{"statuses, by name", scenario.Expect{Statuses: map[string]scenario.Amount{"SEND_OK": scenario.Some, "FLUSH_SLAVE_TIMEOUT": scenario.Nothing}}, clean,
			[]result.Expectation{row("acknowledged FLUSH_SLAVE_TIMEOUT", "none", "2", false), row("acknowledged SEND_OK", "some", "100", true)}},
		{"a status that was not seen", scenario.Expect{Statuses: map[string]scenario.Amount{"SLAVE_NOT_AVAILABLE": scenario.Some}}, clean,
			[]result.Expectation{row("acknowledged SLAVE_NOT_AVAILABLE", "some", "0", false)}},
		{"anomalies that must appear", scenario.Expect{Anomalies: []string{"lost", "hole"}}, lossy,
			[]result.Expectation{row("anomaly lost", "some", "4", true), row("anomaly hole", "some", "0", false)}},
		{"anomalies that must not", scenario.Expect{NoAnomalies: []string{"lost", "hole"}}, lossy,
			[]result.Expectation{row("anomaly lost", "none", "4", false), row("anomaly hole", "none", "0", true)}},
	} {
		if got := expectations(c.e, &c.cell); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %+v, want %+v", c.says, got, c.want)
		}
	}
}
