// Package reports shows results to people: the table that fills while a matrix runs, the answer below it, and the page,
// JUnit and markdown files made from saved results. Everything it says is computed from a result.Result; it measures
// and judges nothing.
package reports

import (
	"io"
	"sync"
	"time"

	"holdfast/reports/result"
)

// Plan is what a matrix is about to do.
type Plan struct {
	Header result.Result // tool, system, host, settings; its Cells are those that a resumed run has already
	Cells  []PlannedCell // all cells in the order of their rows and columns, also those already done
	Dir    string        // where results.json and index.html will be
	Expect time.Duration // how long what is left will take
}

// PlannedCell is one cell that a matrix will fill.
type PlannedCell struct {
	ID       string
	Contract result.Contract
	Fault    string // result.NoFault, kill, power ...
	Target   string
	Recovery string
	Cuts     int           // trials; 0 for performance cells
	Expect   time.Duration // 0: unknown
}

// Options says how a Live report draws.
type Options struct {
	Width    int           // columns; 0: 120
	Height   int           // rows of the terminal; 0: 24. A table that is higher is not redrawn
	Terminal bool          // stdout is a terminal: the table is redrawn in place; else a line a finished cell
	Color    bool          // false on a pipe and with NO_COLOR
	Every    time.Duration // shortest time between two redraws; 0: 200 ms
	Now      func() time.Time
}

// Live reports a matrix while it runs: header, table and answer on stdout, progress on stderr. Its methods may be
// called from several goroutines; each returns after writing. Nothing is drawn from a goroutine of its own.
type Live struct {
	mu     sync.Mutex
	stdout io.Writer
	stderr io.Writer
	opt    Options
}

// NewLive returns a report that has written nothing yet.
func NewLive(stdout, stderr io.Writer, opt Options) *Live {
	return &Live{stdout: stdout, stderr: stderr, opt: opt}
}

// Start writes the header: host, kernel, file system, fsync, round trip, what runs and how long it takes.
func (l *Live) Start(p Plan) {}

// CellStarted says that a cell runs now. Several may run side by side.
func (l *Live) CellStarted(id string) {}

// Progress says what a running cell is doing: "cut 2 of 3", "warming up". It may be called as often as wanted.
func (l *Live) Progress(id, text string) {}

// CellDone fills the cell of the table.
func (l *Live) CellDone(c result.Cell) {}

// Note writes a line that concerns the whole run, such as a world that is not possible here.
func (l *Live) Note(text string) {}

// Finish writes the final tables, the answer and the paths. dir is where WriteFiles put them; "" when nothing was saved.
func (l *Live) Finish(r *result.Result, dir string) {}

// WriteFiles writes index.html and junit.xml for r into dir, beside results.json, each at once.
func WriteFiles(dir string, r *result.Result) error { return nil }
