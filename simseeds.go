package main

import (
	"fmt"
	"io"
	"time"

	"holdfast/reports"
	"holdfast/reports/result"
	"holdfast/scenarios"
	"holdfast/scenarios/sim"
)

// toolSeen is this program, as results name it.
func toolSeen() result.Tool { return result.Tool{Version: version, Commit: commit} }

// seedsBar says now and then how far a search has come.
type seedsBar struct {
	w           io.Writer
	name        string
	done, all   int
	began, said time.Time
}

// sayEvery is how often.
const sayEvery = 2 * time.Second

// newSeedsBar returns a bar that is silent where nobody reads along.
func newSeedsBar(w io.Writer, name string, all int, loud bool) *seedsBar {
	if !loud {
		w = io.Discard
	}
	return &seedsBar{w: w, name: name, all: all, began: time.Now(), said: time.Now()}
}

func (b *seedsBar) step() {
	b.done++
	if time.Since(b.said) >= sayEvery {
		b.said = time.Now()
		b.say()
	}
}

func (b *seedsBar) say() {
	fmt.Fprintf(b.w, "%s: %d of %d seeds, %.0f seeds/s\n", b.name, b.done, b.all, float64(b.done)/time.Since(b.began).Seconds())
}

func (b *seedsBar) end() { b.say() }

// beforeFault is how much of a run a diagram shows before its first fault.
const beforeFault = 50 * time.Millisecond

// diagram is a run as it is drawn, from shortly before its first fault on.
func diagram(r *sim.Run) reports.Diagram {
	d := reports.Diagram{
		Title: fmt.Sprintf("%s, %s, seed %d", r.Case.Scenario.Name, scenarios.ContractName(r.Case.Contract), r.Case.Seed),
		Nodes: append([]string{"clients", "ns"}, r.Nodes...), Till: r.Virtual,
	}
	for _, m := range r.Moves {
		if m.Kind == "fault" {
			d.From = max(m.At-beforeFault, 0)
			break
		}
	}
	for _, m := range r.Moves {
		if m.At >= d.From {
			d.Happenings = append(d.Happenings, reports.Happening(m))
		}
	}
	return d
}
