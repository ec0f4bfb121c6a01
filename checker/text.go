package checker

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// findingsShown bounds the findings of Text; all are in the JSON form.
const findingsShown = 10

// Text returns the result for people: the verdict, what was acknowledged and lost, the findings, the reasons.
func (r Result) Text() string {
	var b strings.Builder
	if r.File != "" {
		fmt.Fprintf(&b, "%s: ", r.File)
	}
	fmt.Fprintf(&b, "%s, linearizable: %s\n", strings.ToUpper(r.Verdict.String()), r.Linearizable)
	for _, reason := range r.Reasons {
		fmt.Fprintf(&b, "  because %s\n", reason)
	}
	statuses := slices.Sorted(maps.Keys(r.Acked))
	if len(statuses) > 0 {
		fmt.Fprintf(&b, "\n  %-24s %12s %12s\n", "status", "acknowledged", "lost")
		for _, s := range statuses {
			fmt.Fprintf(&b, "  %-24s %12d %12d\n", s, r.Acked[s], r.Lost[s])
		}
	}
	if r.Unknown > 0 {
		fmt.Fprintf(&b, "  %-24s %12d\n", "unknown outcome", r.Unknown)
	}
	if w := r.Figures.LostWindow; w != nil {
		fmt.Fprintf(&b, "\n  the lost ones were acknowledged within %.1f ms", *w)
		if at := r.Figures.LostBefore; at != nil {
			fmt.Fprintf(&b, ", the first %.1f ms before the fault", *at)
		}
		b.WriteByte('\n')
		for _, cause := range slices.Sorted(maps.Keys(r.Figures.Causes)) {
			fmt.Fprintf(&b, "  %-24s %12d\n", cause, r.Figures.Causes[cause])
		}
	}
	for _, group := range slices.Sorted(maps.Keys(r.Figures.RTO)) {
		fmt.Fprintf(&b, "  group %s accepted again after %.1f ms\n", group, float64(r.Figures.RTO[group])/1e6)
	}
	if len(r.Anomalies) > 0 {
		b.WriteString("\n")
		for _, name := range slices.Sorted(maps.Keys(r.Anomalies)) {
			fmt.Fprintf(&b, "  %-24s %12d\n", name, r.Anomalies[name])
		}
		b.WriteString("\n")
	}
	for i, f := range r.Findings {
		if i == findingsShown {
			fmt.Fprintf(&b, "  ... and %d more findings (--output json)\n", len(r.Findings)-i)
			break
		}
		fmt.Fprintf(&b, "  %s in %s: %s\n", f.Anomaly, f.Queue, f.Explain)
	}
	return b.String()
}
