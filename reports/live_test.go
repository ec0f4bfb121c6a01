package reports

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"holdfast/reports/result"
)

// samplePlan is the plan whose outcome is sample.
func samplePlan() Plan {
	p := Plan{Header: *without(sample(0), func(*result.Cell) bool { return true }), Dir: "out/sample", Expect: 170 * time.Second}
	for _, c := range sample(0).Cells {
		cuts := 3
		if c.IsPerformance() {
			cuts = 0
		}
		p.Cells = append(p.Cells, PlannedCell{ID: c.ID, Contract: c.Contract, Fault: c.Fault, Target: c.Target, Recovery: c.Recovery, Cuts: cuts, Expect: 12 * time.Second})
	}
	return p
}

// clock is a time that moves when it is told to.
type clock struct{ now time.Time }

func (c *clock) Now() time.Time { return c.now }

// play runs the first cells of the sample: the last one is still running when it returns.
func play(l *Live, c *clock, cells int) {
	l.Start(samplePlan())
	for i, cell := range sample(0).Cells[:cells] {
		l.CellStarted(cell.ID)
		c.now = c.now.Add(4 * time.Second)
		l.Progress(cell.ID, "cut 2 of 3: load")
		if i < cells-1 {
			l.CellDone(cell)
		}
	}
}

func TestLivePiped(t *testing.T) {
	var stdout, stderr bytes.Buffer
	c := &clock{now: time.Unix(1_900_000_000, 0)}
	l := NewLive(&stdout, &stderr, Options{Now: c.Now})
	l.Start(samplePlan())
	l.Note("world loopback: no /dev/fuse")
	for _, cell := range sample(0).Cells {
		l.CellStarted(cell.ID)
		l.Progress(cell.ID, "warming up")
		l.Progress(cell.ID, "warming up") // said once
		l.CellDone(cell)
	}
	l.CellStarted("not planned")
	l.Finish(sample(0), "out/sample")
	golden(t, "live-piped.stdout.txt", stdout.String())
	golden(t, "live-piped.stderr.txt", stderr.String())
}

func TestLiveTerminal(t *testing.T) {
	for _, width := range []int{80, 120} {
		var tty bytes.Buffer
		c := &clock{now: time.Unix(1_900_000_000, 0)}
		l := NewLive(&tty, &tty, Options{Terminal: true, Width: width, Height: 50, Now: c.Now, Every: time.Hour})
		play(l, c, 15)
		_, _ = io.WriteString(l.Logs(), "level=WARN msg=\"a node said something\"\n")
		l.Stop()
		golden(t, fmt.Sprintf("live-terminal-%d.txt", width), replay(t, tty.String()))
		l.Finish(sample(0), "out/sample")
		if got := replay(t, tty.String()); strings.Count(got, "slave promoted") != 1 || strings.Contains(got, "running") {
			t.Errorf("%d columns: the table that was redrawn is left behind:\n%s", width, got)
		}
	}
}

// TestLiveLowTerminal: more lines than the terminal has cannot be redrawn in place, and would fill the scrollback.
func TestLiveLowTerminal(t *testing.T) {
	const height = 10
	var tty bytes.Buffer
	c := &clock{now: time.Unix(1_900_000_000, 0)}
	l := NewLive(&tty, io.Discard, Options{Terminal: true, Width: 80, Height: height, Now: c.Now, Every: time.Hour})
	play(l, c, 10)
	l.Stop()
	for i, frame := range strings.Split(tty.String(), "\x1b[J")[1:] {
		if n := strings.Count(frame, "\n"); n >= height {
			t.Fatalf("frame %d has %d lines in a terminal of %d", i, n, height)
		}
	}
	if got := replay(t, tty.String()); !strings.Contains(got, "9 of 30 done") {
		t.Errorf("the line that says how far it is was cut off:\n%s", got)
	}
}

// TestLiveShowsWhatRuns: of a matrix that is higher than the terminal the blocks with running cells stay.
func TestLiveShowsWhatRuns(t *testing.T) {
	g := newView(wide(), nil).overview(nil)
	g.Rows[4][7].Text = "running" // in the second block of four
	l := NewLive(io.Discard, io.Discard, Options{Width: 120, Height: 24})
	frame := l.frame(g)
	if n := strings.Count(frame, "\n"); n >= 24 || !strings.Contains(frame, "running") || !strings.Contains(frame, "writes go on") {
		t.Errorf("%d lines:\n%s", n, frame)
	}
	l.opt.Height = 60
	if frame := l.frame(g); !strings.Contains(frame, "at a trickle") || !strings.Contains(frame, "inSyncReplicas=n") {
		t.Errorf("with room for all:\n%s", frame)
	}
}

func TestLiveResumedCountsWhatWasDone(t *testing.T) {
	var stdout bytes.Buffer
	p := samplePlan()
	p.Header.Cells = sample(0).Cells[:7]
	before := p.Header.Cells[0].Verdict
	l := NewLive(&stdout, io.Discard, Options{})
	l.Start(p)
	changed := sample(0).Cells[0]
	changed.Verdict, changed.Reasons = result.Inconclusive, []string{"x"}
	l.CellDone(changed)
	if !strings.Contains(stdout.String(), "30 cells: 6 of speed, 24 of loss with 72 trials; 7 done before") {
		t.Errorf("what runs is not said:\n%s", stdout.String())
	}
	if p.Header.Cells[0].Verdict != before {
		t.Error("the caller's cells were changed")
	}
}

// TestRaceLive draws from many goroutines while the clock ticks; the race detector watches.
func TestRaceLive(t *testing.T) {
	var tty bytes.Buffer
	l := NewLive(&tty, io.Discard, Options{Terminal: true, Width: 100, Height: 60, Every: time.Millisecond})
	l.Start(samplePlan())
	var cells sync.WaitGroup
	for _, cell := range sample(0).Cells {
		cells.Go(func() {
			l.CellStarted(cell.ID)
			for i := range 20 {
				l.Progress(cell.ID, strconv.Itoa(i))
			}
			l.CellDone(cell)
		})
	}
	cells.Wait()
	l.Finish(sample(0), "")
	l.Stop()
	if got := replay(t, tty.String()); strings.Count(got, "slave promoted") != 1 {
		t.Errorf("frames are left behind:\n%s", got)
	}
}

// replay is what a terminal of unlimited height shows after these bytes: it knows the three sequences that a screen uses.
func replay(t *testing.T, bytes string) string {
	t.Helper()
	lines, row := []string{""}, 0
	for len(bytes) > 0 {
		switch {
		case strings.HasPrefix(bytes, "\x1b[J"):
			lines = append(lines[:row], "")
			bytes = bytes[3:]
		case strings.HasPrefix(bytes, "\x1b["):
			code, rest, _ := strings.Cut(bytes[2:], "A")
			up, err := strconv.Atoi(code)
			if err != nil || up > row {
				t.Fatalf("%q moves up from line %d", bytes[:min(8, len(bytes))], row)
			}
			row -= up
			bytes = rest
		case bytes[0] == '\r':
			bytes = bytes[1:]
		default:
			text, rest, ended := strings.Cut(bytes, "\n")
			if at := strings.IndexByte(text, '\x1b'); at >= 0 {
				text, rest, ended = text[:at], bytes[at:], false
			}
			lines[row] += text
			bytes = rest
			if ended {
				row++
				if row == len(lines) {
					lines = append(lines, "")
				}
			}
		}
	}
	return strings.Join(lines, "\n")
}
