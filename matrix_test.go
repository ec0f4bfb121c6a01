package main

import (
	"context"
	"errors"
	"testing"

	"holdfast/reports/result"
)

// TestExitCodesOfAMatrix holds the order of contracts.md section 2: what could not run comes before what was violated.
func TestExitCodesOfAMatrix(t *testing.T) {
	violated := result.Cell{ID: "v", Verdict: result.Violated}
	lossy := result.Cell{ID: "l", Verdict: result.LossWithinContract, Lost: map[string]int64{"SEND_OK": 3}}
	broken := result.Cell{ID: "b", Verdict: result.Inconclusive, Trials: []result.Trial{
		{Verdict: result.Kept}, {Verdict: result.Inconclusive, Broken: true, Reasons: []string{"start the cluster: no port"}}}}
	unfit := result.Cell{ID: "u", Verdict: result.Inconclusive, Trials: []result.Trial{{Verdict: result.Inconclusive}}}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, row := range []struct {
		says   string
		ctx    context.Context
		failOn string
		failed error
		cells  []result.Cell
		want   int
	}{
		{"whatever was found", t.Context(), "", nil, []result.Cell{violated, lossy, unfit}, 0},
		{"a violation, when asked for", t.Context(), "violated", nil, []result.Cell{lossy, violated}, exitViolated},
		{"a loss within contract is no violation", t.Context(), "violated", nil, []result.Cell{lossy}, 0},
		{"a loss, when asked for", t.Context(), "loss", nil, []result.Cell{lossy}, exitViolated},
		{"a trial that could not run", t.Context(), "violated", nil, []result.Cell{violated, broken}, exitBroken},
		{"results that could not be saved", t.Context(), "", errors.New("disk full"), nil, exitBroken},
		{"an interrupt before everything", ended, "violated", errors.New("context canceled"), []result.Cell{violated}, exitInterrupted},
	} {
		p := &matrixPlan{flags: matrixFlags{failOn: row.failOn}}
		err := p.ended(row.ctx, &result.Result{Cells: row.cells}, row.failed)
		got := 0
		if err != nil {
			got = exitCode(err, true)
		}
		if got != row.want {
			t.Errorf("%s: exit %d (%v), want %d", row.says, got, err, row.want)
		}
	}
}

// TestExitCodesOfExpectations: what was expected is no failure, a violation and a broker that refuses to start included.
func TestExitCodesOfExpectations(t *testing.T) {
	met := []result.Expectation{{What: "verdict", Met: true}}
	unmet := []result.Expectation{{What: "verdict", Want: "kept", Got: "violated"}}
	for _, row := range []struct {
		says  string
		cells []result.Cell
		want  int
	}{
		{"a violation that was expected", []result.Cell{{ID: "v", Verdict: result.Violated, Expect: met}}, 0},
		{"one that was not", []result.Cell{{ID: "v", Verdict: result.Violated, Expect: unmet}}, exitViolated},
		{"an inconclusive cell that was expected", []result.Cell{{ID: "i", Verdict: result.Inconclusive, Expect: met}}, 0},
		{"one that was not", []result.Cell{{ID: "i", Verdict: result.Inconclusive, Expect: unmet}}, exitInconclusive},
		{"what failed comes before what is open", []result.Cell{{ID: "i", Verdict: result.Inconclusive, Expect: unmet}, {ID: "k", Verdict: result.Kept, Expect: unmet}}, exitViolated},
	} {
		p := &matrixPlan{flags: matrixFlags{expectations: true}}
		err := p.ended(t.Context(), &result.Result{Cells: row.cells}, nil)
		got := 0
		if err != nil {
			got = exitCode(err, true)
		}
		if got != row.want {
			t.Errorf("%s: exit %d (%v), want %d", row.says, got, err, row.want)
		}
	}
}
