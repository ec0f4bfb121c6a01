package result

import (
	"fmt"
	"math"
)

// WorldPair holds one cell that was run in two worlds.
type WorldPair struct {
	Cell     string     `json:"cell"`
	Contract Contract   `json:"contract"`
	Worlds   [2]string  `json:"worlds"`
	Verdicts [2]Verdict `json:"verdicts"`
	Lost     [2]Span    `json:"lost"`         // messages lost in a cut: least and most
	WindowMS [2]Span    `json:"windowMS"`     // from the first lost acknowledgement to the fault
	Agree    string     `json:"agree"`        // AgreeYes, AgreeNo, AgreeUndecided
	Why      string     `json:"why,omitzero"` // not yes
}

// What holding two worlds against each other comes to.
const (
	AgreeYes       = "yes"
	AgreeNo        = "no"
	AgreeUndecided = "undecided"
)

// chanceMax is how probable it may be at most that two worlds that agree are told apart.
const chanceMax = 0.05

// apart returns the probability that all of n cuts lie beyond all of m others, on either side, although nothing tells them apart: 2 of the
// ways to order them.
func apart(n, m int) float64 {
	ways := 1.0
	for i := 1; i <= m; i++ {
		ways *= float64(n+i) / float64(i)
	}
	return min(1, 2/ways)
}

// Span is a range of a figure over the trials of a cell.
type Span struct{ Least, Most float64 }

// meets reports whether two spans have a value in common.
func (s Span) meets(o Span) bool { return s.Least <= o.Most && o.Least <= s.Most }

// CompareWorlds holds the cells of two results that have the same contract and scenario against each other. They agree when their verdicts
// do, and when the ranges of their windows meet. Ranges that do not meet tell the worlds apart only when there are cuts enough for that to be
// no accident: 4 in each.
func CompareWorlds(a, b *Result) []WorldPair {
	var all []WorldPair
	for i := range a.Cells {
		x := &a.Cells[i]
		y := b.Cell(x.ID)
		if y == nil {
			continue
		}
		p := WorldPair{Cell: x.ID, Contract: x.Contract, Worlds: [2]string{a.World, b.World}, Verdicts: [2]Verdict{x.Verdict, y.Verdict}}
		for k, c := range []*Cell{x, y} {
			p.Lost[k], p.WindowMS[k] = spanOf(c.Trials, func(t *Trial) float64 { return float64(Sum(t.Lost)) }), spanOf(c.Trials, func(t *Trial) float64 { return t.WindowMS })
		}
		switch {
		case p.Verdicts[0] != p.Verdicts[1]:
			p.Why = fmt.Sprintf("%s: %s in %s, %s in %s", x.ID, p.Verdicts[0], p.Worlds[0], p.Verdicts[1], p.Worlds[1])
			p.Agree = AgreeNo
		case !p.WindowMS[0].meets(p.WindowMS[1]):
			p.Why = fmt.Sprintf("%s: the last %.0f to %.0f ms lost in %s, %.0f to %.0f ms in %s", x.ID, p.WindowMS[0].Least, p.WindowMS[0].Most, p.Worlds[0],
				p.WindowMS[1].Least, p.WindowMS[1].Most, p.Worlds[1])
			if p.Agree = AgreeNo; apart(judged(x.Trials), judged(y.Trials)) > chanceMax {
				p.Agree = AgreeUndecided
				p.Why += "; too few cuts to tell: 4 in each are needed"
			}
		default:
			p.Agree = AgreeYes
		}
		all = append(all, p)
	}
	return all
}

// judged counts the trials that came to a verdict.
func judged(trials []Trial) int {
	n := 0
	for i := range trials {
		if trials[i].Verdict != Inconclusive {
			n++
		}
	}
	return n
}

// spanOf is the range of a figure over the trials that came to a verdict.
func spanOf(trials []Trial, figure func(t *Trial) float64) Span {
	s := Span{Least: math.Inf(1), Most: math.Inf(-1)}
	for i := range trials {
		if t := &trials[i]; t.Verdict != Inconclusive {
			s.Least, s.Most = min(s.Least, figure(t)), max(s.Most, figure(t))
		}
	}
	if s.Least > s.Most {
		return Span{}
	}
	return s
}
