package reports

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"holdfast/reports/result"
)

// header is what stands above every table: what measured what, on which machine.
func header(r *result.Result) []string {
	h := r.Host
	trust := "trusted"
	if !h.FsyncTrusted {
		trust = "NOT trusted: it may not reach a disk"
	}
	disks := "a disk a node"
	if h.SharedDisk {
		disks = "one disk for all nodes"
	}
	roundTrip := "round trip not measured"
	if h.RTT > 0 {
		roundTrip = "round trip " + span(h.RTT)
	}
	lines := []string{
		fmt.Sprintf("holdfast %s, system %s, world %s, seed %d, started %s", toolVersion(r.Tool), systemsText(r), r.World, r.Seed, r.Started.UTC().Format(time.RFC3339)),
		fmt.Sprintf("host: %s, %s, Linux %s", orUnknown(h.CPU), plural(h.Cores, "core"), strings.TrimPrefix(orUnknown(h.Kernel), "Linux ")),
	}
	if r.World != result.Attached {
		lines = append(lines, fmt.Sprintf("disk: %s, fsync p50 %s, p99 %s (%s), %s; %s",
			orUnknown(h.Filesystem), span(h.Fsync.P50), span(h.Fsync.P99), trust, disks, roundTrip))
	}
	return append(lines, r.Notes...)
}

// systemsText lists the systems under test.
func systemsText(r *result.Result) string {
	var names []string
	for _, s := range r.Compared() {
		names = append(names, s.String())
	}
	return strings.Join(names, " and ")
}

func toolVersion(t result.Tool) string {
	if t.Commit == "" || strings.Contains(t.Version, t.Commit) {
		return orUnknown(t.Version)
	}
	return orUnknown(t.Version) + " (" + t.Commit + ")"
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}

// claimTables lists the tables of all claims.
func (v *view) claimTables() []*grid {
	var grids []*grid
	for _, claim := range v.claimNames() {
		if g := v.claims(claim); g != nil {
			grids = append(grids, g)
		}
	}
	return grids
}

func (v *view) claimNames() []string {
	var names []string
	for _, c := range v.r.Claims {
		if !slices.Contains(names, c.Claim) {
			names = append(names, c.Claim)
		}
	}
	return names
}

// Text returns the whole report as text of at most width columns: header, tables, answer, configurations and paths. dir is
// where the files are; "" when nothing was saved.
func Text(r *result.Result, dir string, width int, color bool) string {
	paint := palette{color}
	v := newView(r, nil)
	var b strings.Builder
	for _, line := range header(r) {
		b.WriteString(wrap(line, width, "  "))
	}
	if len(r.Cells) > 0 {
		b.WriteString("\n" + v.overview(nil).text(width, paint))
	}
	b.WriteString(v.detail(dir, width, paint))
	return b.String()
}

// detail is what follows the matrix at a glance.
func (v *view) detail(dir string, width int, paint palette) string {
	var b strings.Builder
	if g := v.performance(); g != nil {
		b.WriteString("\n" + g.text(width, paint))
	}
	if g := v.memory(); g != nil {
		b.WriteString("\n" + g.text(width, paint))
	}
	for _, g := range v.faultGrids(false) {
		b.WriteString("\n" + g.text(width, paint))
	}
	b.WriteString(v.harness(width, paint))
	if g := v.agreement(); g != nil {
		b.WriteString("\n" + g.text(width, paint))
	}
	for _, g := range v.claimTables() {
		b.WriteString("\n" + g.text(width, paint))
	}
	a := v.answer()
	b.WriteString("\n" + paint.strong("Answer") + "\n")
	if text := incompleteText(v.r); text != "" {
		b.WriteString(paint.tone(doubtful, wrap(text, width, "")))
	}
	for _, s := range a.Sentences {
		b.WriteString(wrap(s, width, ""))
	}
	for _, trap := range a.Traps {
		b.WriteString(wrap(trap, width, ""))
	}
	if a.Control != "" {
		alarm := plain
		if a.Failed {
			alarm = bad
		}
		b.WriteString(paint.tone(alarm, wrap(a.Control, width, "")))
	}
	if len(a.Open) > 0 {
		b.WriteString("\n" + paint.strong("Look at") + "\n")
		for _, line := range a.Open {
			b.WriteString(wrap(line, width, "  "))
		}
	}
	b.WriteString(v.configurations(width, paint))
	b.WriteString(paths(dir))
	return b.String()
}

// harness is what stands below the tables of faults about the harness itself.
func (v *view) harness(width int, paint palette) string {
	line, warning := v.harnessLine(), v.stallWarning()
	if line == "" {
		return ""
	}
	text := "\n" + paint.dim(wrap(line, width, "  "))
	if warning != "" {
		text += paint.tone(doubtful, wrap(warning, width, "  "))
	}
	return text
}

// incompleteText says what is missing from an interrupted or unfinished matrix, "" when nothing is.
func incompleteText(r *result.Result) string {
	switch {
	case len(r.Cells) == 0:
		return "Nothing was measured."
	case r.Interrupted || len(r.Cells) < r.Planned:
		return fmt.Sprintf("Partial: %d of %s measured; what follows speaks of these alone.", len(r.Cells), plural(max(r.Planned, len(r.Cells)), "cell"))
	}
	return ""
}

// configurations lists the broker.conf lines of each row, and the command that repeats it.
func (v *view) configurations(width int, paint palette) string {
	var b strings.Builder
	title := false
	for _, row := range v.rows {
		conf := row.BrokerConf()
		if len(conf) == 0 {
			continue
		}
		if !title {
			b.WriteString("\n" + paint.strong("broker.conf of each row (master; slave), and the command that repeats it") + "\n")
			title = true
		}
		b.WriteString(wrap(strings.Join(conf, " ")+"; "+strings.Join(row.SlaveConf(), " "), width, "  "))
		if command := v.repeat(row); command != "" {
			b.WriteString("  " + paint.dim(command) + "\n")
		}
	}
	return b.String()
}

// repeat returns the command that repeats a row, "" when the result has none.
func (v *view) repeat(row matrixRow) string {
	for _, r := range v.r.Rows {
		if r.Contract == row.Contract && r.System == row.system {
			return r.Repeat
		}
	}
	return ""
}

// paths says where the files of a saved matrix are.
func paths(dir string) string {
	if dir == "" {
		return ""
	}
	return fmt.Sprintf("\nresults  %s\npage     %s\n", filepath.Join(dir, result.FileName), filepath.Join(dir, PageName))
}
