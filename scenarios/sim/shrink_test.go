package sim

import (
	"testing"

	"holdfast/scenarios"
	"holdfast/scenarios/scenario"
)

func TestShrinkTry(t *testing.T) {
	s, err := scenario.Load("storm-pair")
	if err != nil {
		t.Fatal(err)
	}
	rows, _ := scenarios.SelectContracts([]string{"SYNC_MASTER/2+ASYNC_FLUSH"})
	for seed := range uint64(100) {
		r, err := Case{Scenario: s, Profile: "rocketmq-5", Contract: rows[0], Seed: seed}.Do(t.Context(), Watch{})
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Verdict.Violated) == 0 {
			continue
		}
		t.Log(seed, r.Verdict.Violated, r.Faults, r.Sends)
		sh, err := Shrink(t.Context(), r, 3000, func(n int, b *Run) { t.Log(n, b.Faults, b.Sends, b.Ops, b.Virtual, b.Case.Seed) })
		t.Log(err, sh.Runs, sh.Run.Faults, sh.Run.Sends, sh.Run.Verdict.Violated, sh.Run.Verdict.Findings)
		t.Log("\n" + string(sh.Run.Case.Scenario.Encode()))
		return
	}
}
