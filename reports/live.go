// Package reports shows results to people: the table that fills while a matrix runs, the answer below it, and the page,
// JUnit and markdown files made from saved results. Everything it says is computed from a result.Result; it measures
// and judges nothing.
package reports

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"holdfast/reports/result"
)

// Plan is what a matrix is about to do.
type Plan struct {
	Header result.Result // tool, system, host, notes; its Cells are those that a resumed run has already
	Cells  []PlannedCell // all cells in the order of their rows and columns, also those already done
	Dir    string        // where results.json and index.html will be; "" when nothing is saved
	Expect time.Duration // how long what is left will take; 0: unknown
}

// PlannedCell is one cell that a matrix will fill.
type PlannedCell struct {
	ID       string
	System   string // as result.Cell.System
	Contract result.Contract
	Fault    string // result.NoFault, kill, power ...
	Target   string
	Recovery string
	Column   string        // name of the column; "" when Fault, Target and Recovery make it up
	Cuts     int           // trials; 0 for performance cells
	Expect   time.Duration // how long it will take; 0: unknown
}

// column is the column that the planned cell stands in.
func (p PlannedCell) column() faultColumn {
	return columnOf(&result.Cell{Name: p.Column, Fault: p.Fault, Target: p.Target, Recovery: p.Recovery})
}

// title names the planned cell in words.
func (p PlannedCell) title() string {
	f := p.column()
	if f.name == result.NoFault {
		return matrixRow{p.System, p.Contract}.String() + ", throughput and latency"
	}
	return matrixRow{p.System, p.Contract}.String() + ", " + f.title()
}

// Options says how a Live report draws.
type Options struct {
	Width    int              // columns; 0: 120
	Height   int              // lines of the terminal; 0: 24. A table that is higher is not redrawn in place
	Terminal bool             // stdout is a terminal: the table is redrawn in place; else a line a finished cell
	Color    bool             // false on a pipe and with NO_COLOR
	Every    time.Duration    // between redraws: at least, and while nothing happens about; 0: 250 ms
	Now      func() time.Time // nil: time.Now
}

// Live reports a matrix while it runs: header, table and answer on stdout, progress on stderr. Its methods may be
// called from several goroutines.
type Live struct {
	mu     sync.Mutex
	stdout io.Writer
	stderr io.Writer
	opt    Options
	paint  palette
	screen screen

	plan    Plan
	current result.Result // header and the cells so far
	began   time.Time
	last    time.Time // of the last redraw
	running []runningCell
	stop    chan struct{} // ends the ticker
	ticked  sync.WaitGroup
}

// runningCell is a cell that has begun.
type runningCell struct {
	planned PlannedCell
	began   time.Time
	text    string // what it is doing
}

// NewLive returns a report that has written nothing yet.
func NewLive(stdout, stderr io.Writer, opt Options) *Live {
	if opt.Width <= 0 {
		opt.Width = 120
	}
	if opt.Height <= 0 {
		opt.Height = 24
	}
	if opt.Every <= 0 {
		opt.Every = 250 * time.Millisecond
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	return &Live{stdout: stdout, stderr: stderr, opt: opt, paint: palette{opt.Color}, screen: screen{w: stdout}}
}

// Start writes the header: host, kernel, file system, fsync, round trip, what runs and how long it takes. On a terminal it starts
// the clock below the table, which Finish or Stop ends.
func (l *Live) Start(p Plan) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.plan, l.current, l.began = p, p.Header, l.opt.Now()
	l.current.Cells = slices.Clone(p.Header.Cells) // Put changes cells in place
	for _, line := range header(&p.Header) {
		l.print(wrap(line, l.opt.Width, "  "))
	}
	l.print(wrap(p.summary(), l.opt.Width, "  ") + "\n")
	if l.opt.Terminal {
		l.stop = make(chan struct{})
		stop := l.stop
		l.ticked.Go(func() { l.tick(stop) })
		l.redraw()
	}
}

// summary says what runs and how long it takes.
func (p Plan) summary() string {
	perf, cuts := 0, 0
	for _, c := range p.Cells {
		if c.column().name == result.NoFault {
			perf++
		}
		cuts += c.Cuts
	}
	s := fmt.Sprintf("runs: %s: %d of speed, %d of loss", plural(len(p.Cells), "cell"), perf, len(p.Cells)-perf)
	if cuts > 0 {
		s += " with " + plural(cuts, "trial")
	}
	if done := len(p.Header.Cells); done > 0 {
		s += fmt.Sprintf("; %d done before", done)
	}
	if p.Expect > 0 {
		s += "; about " + lasting(p.Expect)
	}
	if p.Dir != "" {
		s += "; results go to " + p.Dir
	}
	return s
}

// tick redraws the clock until the report stops.
func (l *Live) tick(stop <-chan struct{}) {
	t := time.NewTicker(l.opt.Every)
	defer t.Stop()
	for {
		select {
		case <-stop:
			return
		case <-t.C:
			l.mu.Lock()
			l.redraw()
			l.mu.Unlock()
		}
	}
}

// CellStarted says that a cell runs now. Several may run side by side. An id that is not planned is ignored.
func (l *Live) CellStarted(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.IndexFunc(l.plan.Cells, func(p PlannedCell) bool { return p.ID == id })
	if i < 0 {
		return
	}
	l.running = append(l.running, runningCell{planned: l.plan.Cells[i], began: l.opt.Now()})
	l.changed()
	if !l.opt.Terminal {
		_, _ = fmt.Fprintf(l.stderr, "%s: started\n", l.plan.Cells[i].title())
	}
}

// Progress says what a running cell is doing: "cut 2 of 3", "warming up". It may be called as often as wanted.
func (l *Live) Progress(id, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.running {
		r := &l.running[i]
		if r.planned.ID != id || r.text == text {
			continue
		}
		r.text = text
		if l.opt.Terminal {
			l.changed()
		} else {
			_, _ = fmt.Fprintf(l.stderr, "%s: %s\n", r.planned.title(), text)
		}
	}
}

// CellDone fills the cell of the table.
func (l *Live) CellDone(c result.Cell) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running = slices.DeleteFunc(l.running, func(r runningCell) bool { return r.planned.ID == c.ID })
	l.current.Put(c)
	if !l.opt.Terminal {
		l.print(doneLine(&c))
		return
	}
	l.last = time.Time{}
	l.changed()
}

// doneLine is a finished cell on a pipe.
func doneLine(c *result.Cell) string {
	var parts []string
	if t := c.Throughput; t != nil {
		parts = append(parts, rate(t.Acked)+" msg/s")
	}
	if l := c.Latency; l != nil && l.P50 != nil && l.P99 != nil {
		parts = append(parts, fmt.Sprintf("p50 %s, p99 %s at %s msg/s", span(*l.P50), span(*l.P99), rate(l.Rate)))
	}
	if c.Lost != nil && len(c.Acked) > 0 {
		parts = append(parts, fmt.Sprintf("lost %s of %s", count(result.Sum(c.Lost)), count(result.Sum(c.Acked))))
	}
	if r := c.RPO; r != nil {
		parts = append(parts, fmt.Sprintf("%d of %s lossy", r.LossyCuts, plural(r.Cuts, trial(c.Fault))))
	}
	for _, e := range c.Unmet() {
		parts = append(parts, "expectation failed: "+expectationText(e))
	}
	switch {
	case c.Verdict.Rank() >= result.Inconclusive.Rank():
		parts = append(parts, string(c.Verdict)+": "+brief(c))
	case !c.IsPerformance(): // speed is neither kept nor lost
		parts = append(parts, string(c.Verdict))
	}
	return fmt.Sprintf("%s, %s: %s\n", rowOf(c), cellTitle(c), strings.Join(parts, "; "))
}

// Note writes a line that concerns the whole run, such as a world that is not possible here, above the table.
func (l *Live) Note(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.above(l.stderr, text+"\n")
}

// Logs returns a writer for the log of the process: what is written to it goes to stderr, above a table that is being redrawn.
func (l *Live) Logs() io.Writer { return logs{l} }

type logs struct{ l *Live }

func (w logs) Write(p []byte) (int, error) {
	w.l.mu.Lock()
	defer w.l.mu.Unlock()
	w.l.above(w.l.stderr, string(p))
	return len(p), nil
}

// above writes text to w with the redrawn table out of its way.
func (l *Live) above(w io.Writer, text string) {
	l.screen.erase()
	_, _ = io.WriteString(w, text)
	if l.stop != nil {
		l.redraw()
	}
}

// Stop ends the redrawing and leaves the table as it stands; nothing more is drawn until Finish. Calling it twice is fine.
func (l *Live) Stop() {
	l.mu.Lock()
	stop := l.stop
	l.stop = nil
	if stop != nil {
		close(stop)
	}
	l.mu.Unlock()
	l.ticked.Wait()
}

// Finish ends the redrawing and writes the final tables, the answer and the paths. dir is where WriteFiles put the page; ""
// when nothing was saved.
func (l *Live) Finish(r *result.Result, dir string) {
	l.Stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.screen.erase()
	if r.Scenario != "" {
		l.print(scenarioBody(r, dir, l.opt.Width, l.paint))
		return
	}
	v := newView(r, l.plan.Cells)
	if len(r.Cells) > 0 {
		l.print(v.overview(nil).text(l.opt.Width, l.paint))
	}
	l.print(v.detail(dir, l.opt.Width, l.paint))
}

func (l *Live) print(text string) { _, _ = io.WriteString(l.stdout, text) }

// changed redraws unless the last redraw was a moment ago; then the clock will.
func (l *Live) changed() {
	if l.opt.Terminal && l.stop != nil && l.opt.Now().Sub(l.last) >= l.opt.Every {
		l.redraw()
	}
}

// redraw draws the matrix so far and what runs now. Of a matrix higher than the terminal only the last lines can be redrawn.
func (l *Live) redraw() {
	if l.stop == nil {
		return
	}
	l.last = l.opt.Now()
	texts := map[string]string{}
	for _, r := range l.running {
		texts[r.planned.ID] = "running"
	}
	l.screen.draw(l.frame(newView(&l.current, l.plan.Cells).overview(texts)))
}

// frame is the table with the status below it, in as many lines as the terminal can redraw. Of a table that is higher the blocks in
// which nothing runs are left out, and then the first lines.
func (l *Live) frame(g *grid) string {
	status, room := l.status(), l.opt.Height-1
	text := g.text(l.opt.Width, l.paint) + status
	if strings.Count(text, "\n") > room {
		blocks := g.blocks(l.opt.Width, l.paint)
		active := slices.DeleteFunc(slices.Clone(blocks), func(block string) bool { return !strings.Contains(block, "running") })
		if len(active) == 0 {
			active = blocks
		}
		text = strings.Join(active, "\n") + status
	}
	lines := strings.SplitAfter(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) > room {
		lines = lines[len(lines)-room:]
	}
	return strings.Join(lines, "") + "\n"
}

// status says what runs now, how far the matrix is and how long it will take: one line, cut to the width.
func (l *Live) status() string {
	now := l.opt.Now()
	elapsed := now.Sub(l.began)
	s := fmt.Sprintf("%d of %d done, %s", len(l.current.Cells), len(l.plan.Cells), lasting(elapsed))
	if left := l.plan.Expect - elapsed; l.plan.Expect > 0 && left > 0 {
		s += ", about " + lasting(left) + " left"
	}
	lines := []string{"", s}
	for _, r := range l.running {
		line := "  " + r.planned.title()
		if r.text != "" {
			line += ": " + r.text
		}
		line += ", " + lasting(now.Sub(r.began))
		if r.planned.Expect > 0 {
			line += " of about " + lasting(r.planned.Expect)
		}
		lines = append(lines, line)
	}
	for i, line := range lines {
		if runes := []rune(line); len(runes) > l.opt.Width {
			lines[i] = string(runes[:l.opt.Width-1]) + "…"
		}
		lines[i] = l.paint.dim(lines[i])
	}
	return strings.Join(lines, "\n") + "\n"
}
