package reports

import (
	"fmt"
	"maps"
	"slices"

	"holdfast/reports/result"
)

// memory is what each node kept resident at the end of the closed loops, anonymous and file pages apart; nil where that was not measured.
func (v *view) memory() *grid {
	var nodes []string
	for _, row := range v.rows {
		if c := v.cell(row, result.NoFault); c != nil {
			for name := range maps.Keys(c.Memory) {
				if !slices.Contains(nodes, name) {
					nodes = append(nodes, name)
				}
			}
		}
	}
	if len(nodes) == 0 {
		return nil
	}
	slices.Sort(nodes)
	g := &grid{Title: "Memory at saturation, MiB: anonymous / file pages", Stub: v.stubWidth(), Columns: v.stub(),
		Note: "Resident, the largest over the passes. Anonymous: heaps, stacks, buffers. File: mapped stores, jars and programs, which the page cache can drop."}
	for _, name := range nodes {
		g.Columns = append(g.Columns, column{Head: name, Right: true})
	}
	for _, row := range v.rows {
		c := v.cell(row, result.NoFault)
		if c == nil {
			continue
		}
		entries := v.stubEntries(row)
		for _, name := range nodes {
			m, known := c.Memory[name]
			if !known {
				entries = append(entries, entry{"-", muted})
				continue
			}
			entries = append(entries, entry{fmt.Sprintf("%s / %s", count(m.Anonymous>>20), count(m.File>>20)), plain})
		}
		g.row(entries...)
	}
	return g
}

// mostAnonymous is the anonymous memory of the broker that has most of it, in bytes; 0 when it was not measured.
func mostAnonymous(c *result.Cell) int64 {
	most := int64(0)
	for _, m := range c.Memory {
		most = max(most, m.Anonymous)
	}
	return most
}

// mebibytes writes bytes in MiB.
func mebibytes(bytes int64) string { return count(bytes>>20) + " MiB" }
