package reports

import (
	"fmt"
	"strings"

	"holdfast/reports/result"
)

// Worlds says whether two worlds agree on what a scenario does.
func Worlds(pairs []result.WorldPair) string {
	if len(pairs) == 0 {
		return "\nThe worlds have no cell in common.\n"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\nHeld against each other: %s and %s\n\n", pairs[0].Worlds[0], pairs[0].Worlds[1])
	g := &grid{Stub: 1, Columns: []column{{Head: "contract"}}}
	for _, w := range pairs[0].Worlds {
		g.Columns = append(g.Columns, column{Head: w}, column{Head: "lost a cut, " + w, Right: true}, column{Head: "of the last", Right: true})
	}
	g.Columns = append(g.Columns, column{Head: "agree"})
	for _, p := range pairs {
		row := []entry{{p.Contract.String(), plain}}
		for i := range p.Worlds {
			row = append(row, entry{string(p.Verdicts[i]), toneOf(p.Verdicts[i])}, entry{spanText(p.Lost[i], ""), plain}, entry{spanText(p.WindowMS[i], " ms"), plain})
		}
		g.row(append(row, entry{p.Agree, plain})...)
	}
	b.WriteString(g.text(120, palette{}))
	for _, p := range pairs {
		if p.Why != "" {
			b.WriteString(p.Why + "\n")
		}
	}
	return b.String()
}

func spanText(s result.Span, unit string) string {
	if s.Least == s.Most {
		return fmt.Sprintf("%.0f%s", s.Least, unit)
	}
	return fmt.Sprintf("%.0f-%.0f%s", s.Least, s.Most, unit)
}
