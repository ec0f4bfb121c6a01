package reports

import (
	"strings"

	"holdfast/reports/result"
)

// Markdown returns the answer and the tables of r for pasting into a README.
func Markdown(r *result.Result) string {
	v := newView(r, nil)
	var b strings.Builder
	paragraph := func(text string) {
		if text != "" {
			b.WriteString(text + "\n\n")
		}
	}
	paragraph(incompleteText(r))
	a := v.answer()
	if a.Failed {
		paragraph("**" + a.Control + "**")
	}
	for _, s := range a.Sentences {
		paragraph(s)
	}
	for _, trap := range a.Traps {
		paragraph(trap)
	}
	if !a.Failed {
		paragraph(a.Control)
	}
	if len(v.rows) > 0 {
		paragraph(v.overview(nil).markdown())
	}
	if g := v.performance(); g != nil {
		paragraph(g.markdown())
	}
	if g := v.memory(); g != nil {
		paragraph(g.markdown())
	}
	for _, g := range v.faultGrids(true) {
		paragraph(g.markdown())
	}
	paragraph(v.harnessLine())
	if warning := v.stallWarning(); warning != "" {
		paragraph("**" + warning + "**")
	}
	for _, g := range v.claimTables() {
		paragraph(g.markdown())
	}
	if g := v.agreement(); g != nil {
		paragraph(g.markdown())
	}
	for _, line := range a.Open {
		b.WriteString("- " + line + "\n")
	}
	if len(a.Open) > 0 {
		b.WriteString("\n")
	}
	for _, line := range header(r) {
		b.WriteString(line + "  \n") // two spaces break the line
	}
	return b.String()
}
