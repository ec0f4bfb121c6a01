package sim

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"holdfast/reports/result"
	"holdfast/scenarios"
	"holdfast/scenarios/scenario"
)

func TestTry(t *testing.T) {
	s, err := scenario.Load(os.Getenv("SCEN"))
	if err != nil {
		t.Fatal(err)
	}
	n, _ := strconv.Atoi(os.Getenv("N"))
	rows, err := scenarios.SelectContracts([]string{os.Getenv("C")})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	verdicts := map[string]int{}
	sends, steps, ops, virtual := 0, uint64(0), 0, time.Duration(0)
	marks := map[string]int{}
	for seed := range n {
		r, err := Case{Scenario: s, Profile: "rocketmq-5", Contract: rows[0], Seed: uint64(seed)}.Do(t.Context(), Watch{})
		if err != nil {
			t.Fatal(err)
		}
		v := r.Verdict.Verdict.String()
		if r.Broken != "" {
			v = "broken: " + r.Broken
		}
		if v != "kept" && verdicts[v] < 2 {
			t.Log(seed, v, r.Verdict.Lost, r.Verdict.Anomalies, r.Verdict.Reasons, fmt.Sprintf("%x", r.Hash))
		}
		for m, k := range r.Marks {
			marks[m] += k
		}
		verdicts[v]++
		sends += r.Sends
		steps += r.Steps
		ops += r.Ops
		virtual += r.Virtual
	}
	took := time.Since(began)
	t.Log("ops", ops/n, "virtual", virtual/time.Duration(n))
	t.Log(verdicts, "sends", sends/n, "steps", steps/uint64(n), "seeds/s", float64(n)/took.Seconds())
	t.Log(marks)
}

var _ = result.Contract{}

func TestReplay(t *testing.T) {
	s, err := scenario.Load("storm")
	if err != nil {
		t.Fatal(err)
	}
	rows, _ := scenarios.SelectContracts([]string{"SYNC_MASTER/2+ASYNC_FLUSH"})
	hashes := map[uint64]int{}
	for range 20 {
		r, err := Case{Scenario: s, Profile: "rocketmq-5", Contract: rows[0], Seed: 7}.Do(t.Context(), Watch{})
		if err != nil {
			t.Fatal(err)
		}
		hashes[r.Hash]++
	}
	t.Log(hashes)
}
