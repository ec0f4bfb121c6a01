package reports

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"holdfast/reports/result"
)

// trialTable lists the trials of a cell; nil without any.
func trialTable(c *result.Cell) *grid {
	if len(c.Trials) == 0 {
		return nil
	}
	g := &grid{Title: "Trials", Stub: 2, Columns: []column{{Head: "trial"}, {Head: "seed"}}}
	for _, head := range []string{"acked", "lost", "predicted", "window", "since the last fsync", "RTO", "RTO, delivery"} {
		g.Columns = append(g.Columns, column{Head: head, Right: true})
	}
	g.Columns = append(g.Columns, column{Head: "verdict"}, column{Head: "effect of the fault"})
	for i, t := range c.Trials {
		predicted := "-"
		if t.Predicted != nil {
			predicted = messages(t.Predicted)
		}
		entries := []entry{{fmt.Sprint(i + 1), plain}, {fmt.Sprintf("seed %d", t.Seed), plain}}
		for _, text := range []string{count(result.Sum(t.Acked)), count(result.Sum(t.Lost)), predicted, spanOrNone(t.WindowMS), spanOrNone(t.SinceSyncMS),
			trialRTO(t.Alone, t.RTOMS), trialRTO(t.Alone, t.DeliveryRTOMS)} {
			entries = append(entries, entry{text, plain})
		}
		g.row(append(entries, entry{string(t.Verdict), toneOf(t.Verdict)}, entry{effect(t.Effect), wrapped})...)
	}
	return g
}

// trialRTO is the RTO of one trial; beside others on the machine it means nothing.
func trialRTO(alone bool, ms float64) string {
	if !alone {
		return "not alone"
	}
	return spanOrNone(ms)
}

func spanOrNone(ms float64) string {
	if ms <= 0 {
		return "-"
	}
	return span(ms)
}

// scheduleTable lists what a schedule does when; nil without any step.
func scheduleTable(steps []result.ScheduleStep) *grid {
	if len(steps) == 0 {
		return nil
	}
	g := &grid{Title: "Schedule", Columns: []column{{Head: "at", Right: true}, {Head: "for", Right: true}, {Head: "fault"}, {Head: "target"}, {Head: "then"}, {Head: "figures"}}}
	for _, s := range steps {
		then := "it ends"
		if s.Recovery != "" {
			then = recoveryTitle(s.Recovery)
		}
		g.row(entry{span(s.AtMS), plain}, entry{spanOrNone(s.ForMS), plain}, entry{s.Kind, plain}, entry{orNone(s.Target), plain}, entry{then, plain}, entry{orNone(s.Params), wrapped})
	}
	return g
}

// effectTable lists what each fault of a trial was measured to have done; nil when they were not told apart. A fault without an effect
// stands out: it proves nothing.
func effectTable(t *result.Trial, title string) *grid {
	if t == nil || len(t.Faults) == 0 {
		return nil
	}
	g := &grid{Title: title, Columns: []column{{Head: "fault"}, {Head: "target"}, {Head: "nodes"}, {Head: "began at", Right: true}, {Head: "healed after", Right: true}, {Head: "measured effect"}}}
	for _, f := range t.Faults {
		healed := entry{"never", bad}
		if f.HealMS > 0 {
			healed = entry{span(f.HealMS - f.StartMS), plain}
		}
		did := entry{effect(f.Effect), wrapped}
		if did.Text == "" {
			did = entry{"none", doubtful}
		}
		g.row(entry{f.Name, plain}, entry{orNone(f.Target), plain}, entry{orNone(strings.Join(f.Nodes, " ")), plain}, entry{span(f.StartMS), plain}, healed, did)
	}
	return g
}

// worstTrial returns the first trial with the worst verdict and its number from 1; nil without any.
func worstTrial(c *result.Cell) (t *result.Trial, number int) {
	for i := range c.Trials {
		if t == nil || c.Trials[i].Verdict.Rank() > t.Verdict.Rank() {
			t, number = &c.Trials[i], i+1
		}
	}
	return t, number
}

// effectTitle names the trial that stands for a cell.
func effectTitle(c *result.Cell, number int) string {
	if len(c.Trials) == 1 {
		return "Faults"
	}
	return fmt.Sprintf("Faults of trial %d of %d, the first of the worst verdict", number, len(c.Trials))
}

// phaseTable lists what was acknowledged before, during and after the first fault of a trial; nil where there was only SEND_OK.
func phaseTable(t *result.Trial) *grid {
	if t == nil {
		return nil
	}
	degraded := false
	g := &grid{Title: "Acknowledgements by phase of the fault, of what was sent and answered in it", Columns: []column{{Head: "phase"}, {Head: "status"}, {Head: "count", Right: true},
		{Head: "median", Right: true}, {Head: "longest", Right: true}, {Head: "first", Right: true}, {Head: "last", Right: true}},
		Note: "Median, longest: from the send to the answer. First, last: such an answer, from the begin of the phase."}
	for _, p := range t.Phases {
		for _, status := range slices.Sorted(maps.Keys(p.Statuses)) {
			s := p.Statuses[status]
			degraded = degraded || status != "SEND_OK"
			g.row(entry{p.Name, plain}, entry{status, plain}, entry{count(s.Count), plain}, entry{span(s.MedianMS), plain}, entry{span(s.MaxMS), plain},
				entry{span(s.FirstMS), plain}, entry{span(s.LastMS), plain})
		}
	}
	if !degraded {
		return nil
	}
	return g
}

// deliveryTable lists what consumers got in each phase of the first fault, and how long they waited; nil where they never waited for a
// second and nobody expected anything of it.
func deliveryTable(t *result.Trial, expected []result.Expectation) *grid {
	long := func(p result.Phase) bool { return p.GapMS >= waitShownMS }
	asked := func(e result.Expectation) bool { return strings.HasPrefix(e.What, "delivered ") }
	if t == nil || !slices.ContainsFunc(t.Phases, long) && !slices.ContainsFunc(expected, asked) {
		return nil
	}
	g := &grid{Title: "Deliveries by phase of the fault", Columns: []column{{Head: "phase"}, {Head: "messages", Right: true}, {Head: "longest wait\nof a consumer", Right: true}}}
	for _, p := range t.Phases {
		g.row(entry{p.Name, plain}, entry{count(p.Delivered), plain}, entry{span(p.GapMS), plain})
	}
	return g
}

// waitShownMS is how long a consumer must have waited for a delivery to have a table of it.
const waitShownMS = 1000

// storeTable lists how the stores of a trial differ; nil where they were not compared.
func storeTable(t *result.Trial) *grid {
	if t == nil || len(t.Stores) == 0 {
		return nil
	}
	g := &grid{Title: "Stores after the trial, byte by byte", Columns: []column{{Head: "stores"}, {Head: "commit logs end at"}, {Head: "valid up to"},
		{Head: "bytes in both", Right: true}, {Head: "different", Right: true}, {Head: "from", Right: true}, {Head: "messages missing\nin the queues", Right: true}, {Head: ""}}}
	for _, p := range t.Stores {
		word := entry{"equal", good}
		switch {
		case p.Frozen:
			word = entry{"as long, its queues stand still", bad}
		case !p.Equal():
			word = entry{"different", bad}
		}
		from := "-"
		if p.Differing > 0 {
			from = count(p.First)
		}
		g.row(entry{p.Nodes[0] + ", " + p.Nodes[1], plain}, entry{count(p.Ends[0]) + ", " + count(p.Ends[1]), plain}, entry{count(p.Valid[0]) + ", " + count(p.Valid[1]), plain},
			entry{count(p.Compared), plain}, entry{count(p.Differing), plain}, entry{from, plain}, entry{count(p.Missing), plain}, word)
	}
	return g
}

// expectTable lists what a scenario expected and what came; nil when it expected nothing.
func expectTable(all []result.Expectation) *grid {
	if len(all) == 0 {
		return nil
	}
	g := &grid{Title: "Expectations", Columns: []column{{Head: ""}, {Head: "what"}, {Head: "want"}, {Head: "got"}}}
	for _, e := range all {
		word := entry{"met", good}
		if !e.Met {
			word = entry{"FAILED", bad}
		}
		g.row(word, entry{e.What, wrapped}, entry{e.Want, wrapped}, entry{e.Got, wrapped})
	}
	return g
}

func orNone(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
