package result

import (
	"slices"
	"strings"
	"testing"
)

// pairOf is a run of the reference and of a version that it imitates, one cell each.
func pairOf(ref, other Cell) *Result {
	ref.System, other.System = "reference:rocketmq-5", "rocketmq:5.5.0"
	for _, c := range []*Cell{&ref, &other} {
		c.Fault, c.Target, c.Recovery = "power", "master", "returns"
		c.ID = c.System
	}
	return &Result{
		Systems: []System{{Name: "reference", Profile: "rocketmq-5"}, {Name: "rocketmq", Version: "5.5.0", Profile: "rocketmq-5"},
			{Name: "rocketmq", Version: "5.5.0", Profile: "rocketmq-5", Tuned: true}, {Name: "rocketmq", Version: "4.9.7", Profile: "rocketmq-4.9"}},
		Cells: []Cell{ref, other},
	}
}

func lost(n int64) map[string]int64 { return map[string]int64{"SEND_OK": n} }

func TestAgreement(t *testing.T) {
	for _, row := range []struct {
		says       string
		ref, other Cell
		want       Accord
		differs    string // part of the differences
	}{
		{"both kept", Cell{Verdict: Kept}, Cell{Verdict: Kept}, Agree, ""},
		{"both lost, another number", Cell{Verdict: LossWithinContract, Lost: lost(3)}, Cell{Verdict: LossWithinContract, Lost: lost(300)}, Agree, ""},
		{"another verdict", Cell{Verdict: Kept}, Cell{Verdict: Violated, Lost: lost(4), Anomalies: map[string]int64{"divergence": 2}}, Differ, "anomaly divergence: 0 by the reference, 2"},
		{"one lost, the other did not", Cell{Verdict: Violated}, Cell{Verdict: Violated, Lost: lost(4)}, Differ, "messages lost: 0 by the reference, 4"},
		{"one proves nothing", Cell{Verdict: Kept}, Cell{Verdict: Inconclusive, Reasons: []string{"no effect"}}, Open, "rocketmq:5.5.0 is inconclusive: no effect"},
	} {
		r := pairOf(row.ref, row.other)
		r.Derive()
		if len(r.Agreement) != 1 {
			t.Fatalf("%s: got %d pairs, want one: a tuned system and another profile pair with nobody", row.says, len(r.Agreement))
		}
		p := r.Agreement[0]
		if p.Agree != row.want || row.differs != "" && !slices.ContainsFunc(p.Differences, func(d string) bool { return strings.Contains(d, row.differs) }) {
			t.Errorf("%s: got %s, %q; want %s with %q", row.says, p.Agree, p.Differences, row.want, row.differs)
		}
	}
}

// TestClaimsOfSystems: what refutes a claim for one system says nothing about another.
func TestClaimsOfSystems(t *testing.T) {
	r := pairOf(Cell{Verdict: Kept, Acked: lost(9), RPO: NewRPO([]int64{0})}, Cell{Verdict: LossWithinContract, Acked: lost(9), Lost: lost(1), RPO: NewRPO([]int64{1})})
	r.Derive()
	if len(r.Claims) != 2 || r.Claims[0].Standing != Holds || r.Claims[1].Standing != Refuted || r.Claims[1].System != "rocketmq:5.5.0" {
		t.Errorf("got %+v, want one that holds and one that is refuted", r.Claims)
	}
}

func TestSystemNames(t *testing.T) {
	for want, s := range map[string]System{
		"reference:rocketmq-5": {Name: "reference", Profile: "rocketmq-5"}, "rocketmq:5.5.0": {Name: "rocketmq", Version: "5.5.0", Profile: "rocketmq-5"},
		"rocketmq:5.5.0:tuned": {Name: "rocketmq", Version: "5.5.0", Profile: "rocketmq-5", Tuned: true}, "kafka": {Name: "kafka"},
	} {
		if got := s.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
