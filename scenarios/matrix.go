package scenarios

import (
	"context"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"sync"
	"time"

	"holdfast/reports/result"
)

// Watcher is told how a matrix goes on. Its methods may be called from several goroutines.
type Watcher interface {
	CellStarted(id string)
	Progress(id, text string)
	CellDone(c result.Cell)
	Note(text string)
}

// Matrix measures every cell of contract x fault for one system.
type Matrix struct {
	System    result.System
	Several   bool  // other systems are measured beside it: cells and their ids name the system
	World     World // of the fault cells
	Speed     World // of the performance cells: the real disk, alone on the machine
	Contracts []result.Contract
	Columns   []Column
	Cuts      int      // trials of each fault cell; 0: as many as its scenario says
	Alone     int      // of them so many run alone on the machine, the first ones: they measure the time to recover
	AloneIn   []string // columns of which that is asked; nil: all
	Seed      uint64
	Out       string // directory of results.json; trials go below it
	Fault     FaultLoad
	Perf      *Performance // nil: no performance cells
	Parallel  int          // fault cells side by side; their latency is compared with nothing
	Command   string       // program and flags that a cell's repeat command begins with
	Single    bool         // the command names the one column
}

// Comparison is the matrices of several systems, or of one, that are measured in one run: alike but for the system, its worlds,
// its contracts and its loads. Their performance is measured at one rate, in interleaved passes.
type Comparison []*Matrix

// Planned is a cell that the matrix will fill.
type Planned struct {
	ID       string
	Contract result.Contract
	Column   *Column // nil: a performance cell
	Cuts     int
	Expect   time.Duration

	m *Matrix
}

// System is that of the cell where several are measured; empty: there is one.
func (p Planned) System() string { return p.m.label() }

// label names the system in cells; empty where it is alone.
func (m *Matrix) label() string {
	if !m.Several {
		return ""
	}
	return m.System.String()
}

// id is that of a cell: unique in a run, safe as a directory name.
func (m *Matrix) id(row result.Contract, column string) string {
	if !m.Several {
		return cellID(row, column)
	}
	return strings.ReplaceAll(m.System.String(), ":", "-") + "." + cellID(row, column)
}

// Plan lists the cells in the order of rows and columns, with how long each takes alone.
func (m *Matrix) Plan() []Planned {
	var cells []Planned
	for _, row := range m.Contracts {
		if m.Perf != nil {
			cells = append(cells, Planned{
				ID: m.id(row, "performance"), Contract: row, Expect: m.Perf.expect(), m: m,
			})
		}
		for i := range m.Columns {
			c := &m.Columns[i]
			for _, own := range m.rowsOf(c, row) {
				cells = append(cells, Planned{
					ID: m.id(own, c.Name()), Contract: own, Column: c, Cuts: m.cuts(c), Expect: time.Duration(m.cuts(c)) * c.expectTime(m.Fault), m: m,
				})
			}
		}
	}
	return cells
}

// rowsOf is what a column makes of a row. Those of the matrix are done to every contract, others to those that their scenario names,
// with the axes that it adds, and to the systems that it is for.
func (m *Matrix) rowsOf(c *Column, row result.Contract) []result.Contract {
	if m.Single || slices.Contains(columnNames, c.Name()) {
		return []result.Contract{row}
	}
	if !c.Scenario.For(m.System.String()) {
		return nil
	}
	var own []result.Contract
	for _, r := range c.Scenario.Rows() {
		if ContractName(r) == ContractName(row) {
			own = append(own, r)
		}
	}
	return own
}

// Plan lists the cells of all systems.
func (all Comparison) Plan() []Planned {
	var cells []Planned
	for _, m := range all {
		cells = append(cells, m.Plan()...)
	}
	return cells
}

// Expect returns how long the cells that are not done take together.
func (all Comparison) Expect(done func(id string) bool) time.Duration {
	var total time.Duration
	for _, m := range all {
		total += m.Expect(done)
	}
	return total
}

// cuts is how many trials a column has.
func (m *Matrix) cuts(c *Column) int { return max(orElse(m.Cuts, c.Scenario.Cuts), 1) }

// alone is how many trials of a column run alone.
func (m *Matrix) alone(c *Column) int {
	if m.AloneIn != nil && !slices.Contains(m.AloneIn, c.Name()) {
		return 0
	}
	return min(m.Alone, m.cuts(c))
}

// Expect returns how long the cells that are not done take together.
func (m *Matrix) Expect(done func(id string) bool) time.Duration {
	var alone, together time.Duration
	for _, c := range m.Plan() {
		switch {
		case done(c.ID):
		case c.Column == nil:
			alone += c.Expect
		default:
			share := c.Expect * time.Duration(m.alone(c.Column)) / time.Duration(c.Cuts)
			alone += share
			together += c.Expect - share
		}
	}
	return alone + together/time.Duration(max(m.Parallel, 1))
}

// Run fills every cell that r does not have yet and calls save after each. Performance cells run first and alone, then
// the trials of fault cells that measure the time to recover, alone too, then the others up to Parallel at once, one system
// after the other. When ctx ends, the cells under way are reported as far as they got and the error is that of ctx.
func (all Comparison) Run(ctx context.Context, r *result.Result, watch Watcher, save func(*result.Result) error) error {
	done := func(id string) bool { return r.Cell(id) != nil }
	put := newKeeper(r, watch, save)
	if err := all.performance(ctx, done, watch, put.cell); err != nil {
		return err
	}
	for _, m := range all {
		m.faults(ctx, done, watch, put.cell)
	}
	if err := put.err(); err != nil {
		return err
	}
	return ctx.Err()
}

// Run is that of a comparison of one system.
func (m *Matrix) Run(ctx context.Context, r *result.Result, watch Watcher, save func(*result.Result) error) error {
	return Comparison{m}.Run(ctx, r, watch, save)
}

// faults runs the fault cells that are not done.
func (m *Matrix) faults(ctx context.Context, done func(string) bool, watch Watcher, put func(result.Cell)) {
	var todo []*faultCell
	for _, c := range m.Plan() {
		if c.Column != nil && !done(c.ID) {
			todo = append(todo, m.open(c, watch))
		}
	}
	for _, c := range todo {
		c.run(ctx, m.alone(c.plan.Column))
	}
	m.sideBySide(ctx, todo, put)
}

// sideBySide runs what is left of fault cells, up to Parallel at once. Columns are interleaved, so that no fault has all
// quiet minutes.
func (m *Matrix) sideBySide(ctx context.Context, todo []*faultCell, put func(result.Cell)) {
	work := make(chan *faultCell)
	var workers sync.WaitGroup
	for range max(m.Parallel, 1) {
		workers.Go(func() {
			for c := range work {
				c.run(ctx, c.plan.Cuts)
				if cell := c.finish(); ctx.Err() == nil || len(cell.Trials) > 0 {
					put(cell)
				}
			}
		})
	}
	for _, c := range todo {
		work <- c // a cell whose context has ended runs nothing, and reports what its first trials found
	}
	close(work)
	workers.Wait()
}

// keeper puts finished cells into the result, one at a time, and saves it.
type keeper struct {
	mu     sync.Mutex
	r      *result.Result
	watch  Watcher
	save   func(*result.Result) error
	failed error
}

func newKeeper(r *result.Result, watch Watcher, save func(*result.Result) error) *keeper {
	return &keeper{r: r, watch: watch, save: save}
}

func (k *keeper) cell(c result.Cell) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.r.Put(c)
	if err := k.save(k.r); err != nil && k.failed == nil {
		k.failed = err
	}
	k.watch.CellDone(c)
}

func (k *keeper) err() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.failed
}

// repeat returns the command that runs one cell again.
func (m *Matrix) repeat(row result.Contract, column string) string {
	words := []string{m.Command, "--contracts", ContractName(row)}
	switch {
	case m.Single:
	case column == result.NoFault:
		words = append(words, "--faults", result.NoFault)
	default:
		words = append(words, "--faults", column, "--no-performance")
	}
	return strings.Join(words, " ")
}

// subSeed derives the seed of one trial from the matrix's.
func subSeed(seed uint64, cell string, trial int) uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d/%s/%d", seed, cell, trial)
	return h.Sum64() >> 1 // histories hold integers below 2^63
}
