package reports

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"holdfast/reports/result"
)

// harnessLine says what the processes of the harness itself used, over all cells, and how long the worst of them was held up; "" when
// that was not measured.
func (v *view) harnessLine() string {
	total := map[string]result.Process{}
	var worst *result.Cell
	culprit := ""
	for _, c := range v.ordered() {
		for _, name := range processes(c.Harness) {
			p, sum := c.Harness[name], total[name]
			if worst == nil || p.StallMS > worst.Harness[culprit].StallMS {
				worst, culprit = c, name
			}
			total[name] = result.Process{CPUSeconds: sum.CPUSeconds + p.CPUSeconds, StallMS: max(sum.StallMS, p.StallMS)}
		}
	}
	if worst == nil {
		return ""
	}
	return fmt.Sprintf("Harness, over all cells: longest stall %s (%s; %s, %s); CPU: %s.", span(worst.Harness[culprit].StallMS), culprit,
		rowOf(worst), cellTitle(worst), processorTime(total))
}

// stallWarning names the cells in which the harness was held up too long, "" when there are none.
func (v *view) stallWarning() string {
	var cells []*result.Cell
	for _, c := range v.ordered() {
		if stalled(c) != "" {
			cells = append(cells, c)
		}
	}
	if len(cells) == 0 {
		return ""
	}
	return fmt.Sprintf("WARNING: the harness stalled for more than %s in %s: windows and times measured there deserve doubt.", span(result.StallMaxMS), cellsTitle(cells))
}

// stalled names the processes of the harness that were held up too long in a cell, "" when none was.
func stalled(c *result.Cell) string {
	var late []string
	for _, name := range processes(c.Harness) {
		if p := c.Harness[name]; p.StallMS > result.StallMaxMS {
			late = append(late, name)
		}
	}
	return list(late)
}

// harnessText is what the processes of the harness used in one cell: "generator 6.1 s of CPU, longest stall 12 ms; ...".
func harnessText(harness map[string]result.Process) string {
	var parts []string
	for _, name := range processes(harness) {
		p := harness[name]
		part := fmt.Sprintf("%s %s of CPU, longest stall %s", name, span(p.CPUSeconds*1000), span(p.StallMS))
		if p.StallMS > result.StallMaxMS {
			part += " (WARNING: too long)"
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, "; ")
}

func processorTime(total map[string]result.Process) string {
	var parts []string
	for _, name := range processes(total) {
		parts = append(parts, name+" "+span(total[name].CPUSeconds*1000))
	}
	return strings.Join(parts, ", ")
}

// processes lists the names in print order: the load first, then what stands between it and the system.
func processes(m map[string]result.Process) []string {
	order := []string{"generator", "switch", "disk"}
	return slices.SortedFunc(maps.Keys(m), func(a, b string) int {
		return cmp.Or(cmp.Compare(position(order, a), position(order, b)), strings.Compare(a, b))
	})
}
