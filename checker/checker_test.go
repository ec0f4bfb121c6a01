package checker_test

import (
	"encoding/json"
	"strings"
	"testing"

	"holdfast/checker"
	"holdfast/checker/history"
)

// TestDamagedHistory gets no verdict, good or bad: what it misses may be the send of what was delivered.
func TestDamagedHistory(t *testing.T) {
	for _, final := range []string{"0:1 1:2 end=2", "0:1 1:2 2:3 end=3"} {
		h, err := history.ReadLines("script", strings.NewReader(script(async, twoSent+"\nfinal a-0 a/T/0 "+final)))
		if err != nil {
			t.Fatal(err)
		}
		h.Cut = []string{"the records of client 3 are damaged after 7"}
		if r := checker.Check(h); r.Verdict != checker.Inconclusive || r.Linearizable != checker.Unknown || r.Reasons[0] != h.Cut[0] {
			t.Errorf("%s: %s", final, r.Text())
		}
	}
}

func TestFigures(t *testing.T) {
	r := judge(t, sync2, `
		1000000-2000000 send 1 a/T/0@0
		3000000-4000000 send 2 a/T/0@1
		5000000-6500000 send 3 a/T/0@2
		10000000,10000001,20000000,30000000 power a-0 processes=1
		9000000-11000000 info 9
		15000000-25000000 send 4 a/T/0@1
		26000000-27000000 fail 5
		final a-0 a/T/0 0:1 1:4 end=2
		final a-1 a/T/0 0:1 1:2 end=2`)
	f := r.Figures
	if f.LostWindow == nil || *f.LostWindow != 2.5 || f.LostBefore == nil || *f.LostBefore != 6 {
		t.Errorf("window %v, before the fault %v", f.LostWindow, f.LostBefore)
	}
	if f.RTO["a"] != 15000000 || len(f.RTO) != 1 {
		t.Errorf("recovery %v", f.RTO)
	}
	if f.Causes["replica-only"] != 1 || f.Causes["beyond-the-end"] != 1 || f.Failed != 1 || r.Unknown != 1 {
		t.Errorf("causes %v, failed %d, unknown %d", f.Causes, f.Failed, r.Unknown)
	}
	r = judge(t, sync2, `
		1000000-2000000 send 1 a/T/0@0
		10000000,10000001,20000000,30000000 power a-0 processes=1
		10000000-12000000 poll a/T/0 from=0 0:1 end=1 group=g
		21000000-24000000 poll a/T/0 from=1 end=1 group=g
		25000000-31000000 poll a/T/0 from=0 0:1 end=1 group=h
		final a-0 a/T/0 0:1 end=1
		final a-1 a/T/0 0:1 end=1`)
	if got := r.Figures.DeliveryRTO["a"]; got != 21000000 {
		t.Errorf("first delivery after %d ns, want 21000000: neither the poll before the fault had struck nor the empty one counts", got)
	}
	r = judge(t, async, `
		10- info 1
		30-40 send 1 a/T/0@2 retry=1
		50-60 send 2 a/T/0@0
		final a-0 a/T/0 0:2 1:1 2:1 3:77 end=4`)
	if r.Figures.Duplicates != 1 || r.Figures.Reordered != 1 || r.Figures.Phantoms != 1 {
		t.Errorf("%+v", r.Figures)
	}
}

func TestCompose(t *testing.T) {
	kept := judge(t, async, twoSent+"\nfinal a-0 a/T/0 0:1 1:2 end=2")
	lost := judge(t, async, twoSent+powerCut+"\nfinal a-0 a/T/0 0:1 end=1")
	stale := judge(t, linearReads, twoSent+"\n50-60 poll a/T/0 from=0 0:1 end=1\nfinal a-0 a/T/0 0:1 1:2 end=2")
	all := checker.Compose(kept, lost, lost)
	if all.Verdict != checker.LossWithinContract || all.Acked["SEND_OK"] != 6 || all.Lost["SEND_OK"] != 2 || all.Linearizable != checker.Valid ||
		all.Anomalies["lost-write"] != 2 || len(all.Findings) != 4 {
		t.Errorf("%s", all.Text())
	}
	if all = checker.Compose(stale, kept); all.Verdict != checker.Violated || all.Linearizable != checker.Invalid {
		t.Errorf("%s", all.Text())
	}
	many := make([]checker.Result, 120)
	for i := range many {
		many[i] = lost
	}
	if all = checker.Compose(many...); len(all.Findings) != 100 || all.Lost["SEND_OK"] != 120 {
		t.Errorf("%d findings", len(all.Findings))
	}
}

// TestManyFindings keeps at least one of each anomaly, however many there are of another.
func TestManyFindings(t *testing.T) {
	var text strings.Builder
	text.WriteString("5-6 send 1 a/T/0@0\n")
	for i := range 300 {
		text.WriteString(strings.ReplaceAll("N-N send N a/T/0@M\n", "N", itoa(10+i)))
	}
	lines := text.String()
	for i := range 300 {
		lines = strings.Replace(lines, "@M", "@"+itoa(1+i), 1)
	}
	r := judge(t, async, lines+"500-501 poll a/T/0 from=0 0:1 1:9999\nfinal a-0 a/T/0 0:1 end=1")
	shown := map[string]int{}
	for _, f := range r.Findings {
		shown[f.Anomaly]++
	}
	for name := range r.Anomalies {
		if shown[name] == 0 {
			t.Errorf("no finding shows %s", name)
		}
	}
	if len(r.Findings) > 100 || r.Anomalies["lost-write"] != 300 || shown["lost-write"] < 10 {
		t.Errorf("%d findings: %v; %v", len(r.Findings), shown, r.Anomalies)
	}
}

func itoa(n int) string {
	b, err := json.Marshal(n)
	if err != nil {
		panic(err)
	}
	return string(b)
}
