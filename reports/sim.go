package reports

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"holdfast/reports/result"
)

// simVerdicts are the columns of a search, the best first.
var simVerdicts = []result.Verdict{result.Kept, result.LossWithinContract, result.Inconclusive, result.Violated}

// Sim returns what a search of seeds found, as text.
func Sim(s *result.Sim) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s in the simulator, %s, seeds %d to %d", s.Scenario, s.System, s.From, s.To)
	if s.Of > 1 {
		fmt.Fprintf(&b, " (shard %d of %d)", s.Shard, s.Of)
	}
	b.WriteString("\n\n")
	g := &grid{Stub: 1, Columns: []column{{Head: "contract"}, {Head: "seeds", Right: true}}}
	for _, v := range simVerdicts {
		g.Columns = append(g.Columns, column{Head: string(v), Right: true})
	}
	for _, head := range []string{"seeds/s", "operations/s", "of virtual time"} {
		g.Columns = append(g.Columns, column{Head: head, Right: true})
	}
	for _, r := range s.Rows {
		cells := []entry{{r.Contract, plain}, {count(int64(r.Seeds)), plain}}
		for _, v := range simVerdicts {
			cells = append(cells, entry{count(int64(r.Verdicts[string(v)])), plain})
		}
		seconds := max(r.Seconds, 1e-9)
		g.row(append(cells, entry{fmt.Sprintf("%.0f", float64(r.Seeds)/seconds), plain}, entry{count(int64(float64(r.Operations) / seconds)), plain},
			entry{fmt.Sprintf("%.0f x", r.Virtual/seconds), plain})...)
	}
	b.WriteString(g.text(120, palette{}))
	b.WriteString("\nReached: " + strings.Join(simMarks(s), ", ") + "\n")
	if missing := s.Missing(); len(missing) > 0 {
		b.WriteString("Never reached, though the scenario names it: " + strings.Join(missing, ", ") + "\n")
	}
	for _, f := range s.Failures {
		fmt.Fprintf(&b, "\n%s, seed %d: violated (%s), %d faults, %d messages, trace hash %s\n", f.Contract, f.Seed, strings.Join(f.Violated, ", "), f.Faults, f.Messages, f.TraceHash)
		for _, text := range f.Findings {
			fmt.Fprintf(&b, "  %s\n", text)
		}
		fmt.Fprintf(&b, "  replay: %s\n", f.Replay)
	}
	return b.String()
}

// simMarks lists the named states with how often they were reached.
func simMarks(s *result.Sim) []string {
	sum := map[string]int{}
	for _, r := range s.Rows {
		for m, n := range r.Marks {
			sum[m] += n
		}
	}
	var all []string
	for _, m := range slices.Sorted(maps.Keys(sum)) {
		all = append(all, fmt.Sprintf("%s %s", m, count(int64(sum[m]))))
	}
	if all == nil {
		return []string{"nothing"}
	}
	return all
}
