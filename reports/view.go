package reports

import (
	"cmp"
	"slices"
	"strings"

	"holdfast/reports/result"
)

// view is a result laid out as a matrix: contracts down, faults across. Cells may be missing.
type view struct {
	r       *result.Result
	several bool // systems: rows name theirs
	rows    []matrixRow
	faults  []faultColumn
	hasPerf bool
	cells   map[place]*result.Cell
	planned map[place]string // id of the cell that is to fill a place
}

// matrixRow is a contract of a system.
type matrixRow struct {
	system string // empty: there is one
	result.Contract
}

// rowOf is the row that a cell stands in.
func rowOf(c *result.Cell) matrixRow { return matrixRow{c.System, c.Contract} }

// String names the row, with its system where there are several.
func (m matrixRow) String() string {
	if m.system == "" {
		return m.Contract.String()
	}
	return m.system + ", " + m.Contract.String()
}

// place is where a cell stands.
type place struct {
	row    matrixRow
	column string
}

// newView lays out r and, for a matrix that still runs, the places that are yet to fill. Rows and columns stand in the order
// of the plan; without one the milder stands before the worse.
func newView(r *result.Result, plan []PlannedCell) *view {
	v := &view{r: r, several: len(r.Compared()) > 1, cells: map[place]*result.Cell{}, planned: map[place]string{}}
	for _, p := range plan {
		v.planned[v.place(matrixRow{p.System, p.Contract}, p.column())] = p.ID
	}
	for i := range r.Cells {
		c := &r.Cells[i]
		at := v.place(rowOf(c), columnOf(c))
		if other := v.cells[at]; other != nil && c.IsPerformance() && (c.Throughput == nil || c.Load.InFlight() < other.Load.InFlight()) {
			continue // of a bench with several loads the matrix shows the one that saturates
		}
		v.cells[at] = c
	}
	if len(plan) == 0 { // cells that ran side by side end in any order
		slices.SortStableFunc(v.rows, v.compareRows)
		slices.SortStableFunc(v.faults, compareFaults)
	}
	return v
}

// compareRows puts the systems in their order, and of a system the contract that promises less before the one that promises more.
func (v *view) compareRows(a, b matrixRow) int {
	return cmp.Or(
		cmp.Compare(v.systemIndex(a.system), v.systemIndex(b.system)),
		strings.Compare(a.BrokerRole, b.BrokerRole), // ASYNC_MASTER, SYNC_MASTER
		cmp.Compare(a.InSyncReplicas, b.InSyncReplicas),
		strings.Compare(a.FlushDiskType, b.FlushDiskType), // ASYNC_FLUSH, SYNC_FLUSH
		strings.Compare(a.SlaveFlushDiskType, b.SlaveFlushDiskType),
	)
}

// compareFaults puts the columns of the matrix in print order; of others, which stand behind them, the fault that destroys less before
// the one that destroys more.
func compareFaults(a, b faultColumn) int {
	kinds, targets := []string{"pause", "kill", "power", "disk-lost"}, []string{"slave", "master", "all"}
	return cmp.Or(
		cmp.Compare(knownColumn(a.name), knownColumn(b.name)),
		cmp.Compare(position(kinds, a.fault), position(kinds, b.fault)),
		cmp.Compare(position(targets, a.target), position(targets, b.target)),
		compareRecoveries(a.recovery, b.recovery),
		strings.Compare(a.name, b.name),
	)
}

func compareRecoveries(a, b string) int {
	recoveries := []string{"returns", "promoted"}
	return cmp.Compare(position(recoveries, a), position(recoveries, b))
}

// position is the index of word, and behind all for one that is not listed.
func position(words []string, word string) int {
	if i := slices.Index(words, word); i >= 0 {
		return i
	}
	return len(words)
}

// systemIndex is where a system stands among those of the run.
func (v *view) systemIndex(system string) int {
	return slices.IndexFunc(v.r.Compared(), func(s result.System) bool { return s.String() == system })
}

// place returns where a cell stands and makes its row and column known.
func (v *view) place(row matrixRow, f faultColumn) place {
	if !slices.Contains(v.rows, row) {
		v.rows = append(v.rows, row)
	}
	if f.name == result.NoFault {
		v.hasPerf = true
		return place{row, f.name}
	}
	if !slices.ContainsFunc(v.faults, func(known faultColumn) bool { return known.name == f.name }) {
		v.faults = append(v.faults, f)
	}
	return place{row, f.name}
}

// cell returns the finished cell of a row and column, or nil.
func (v *view) cell(row matrixRow, column string) *result.Cell {
	return v.cells[place{row, column}]
}

// ordered lists the finished cells, row by row: performance first, then the faults.
func (v *view) ordered() []*result.Cell {
	var cells []*result.Cell
	for _, row := range v.rows {
		if c := v.cell(row, result.NoFault); c != nil {
			cells = append(cells, c)
		}
		for _, f := range v.faults {
			if c := v.cell(row, f.name); c != nil {
				cells = append(cells, c)
			}
		}
	}
	return cells
}

// commonRate returns the offered rate at which latencies were taken, 0 when there are none, and whether it was one for all rows.
func (v *view) commonRate() (perSecond float64, common bool) {
	common = true
	for _, row := range v.rows {
		c := v.cell(row, result.NoFault)
		if c == nil || c.Latency == nil {
			continue
		}
		if perSecond != 0 && perSecond != c.Latency.Rate {
			common = false
		}
		perSecond = c.Latency.Rate
	}
	return perSecond, common
}

// find returns the first row of a system that fits, and whether there is one.
func (v *view) find(system, role, flush string, inSync int) (matrixRow, bool) {
	for _, c := range v.rows {
		if c.system == system && c.BrokerRole == role && c.FlushDiskType == flush && (inSync == 0 || max(c.InSyncReplicas, 1) == inSync) {
			return c, true
		}
	}
	return matrixRow{}, false
}
