package result

import (
	"fmt"
	"slices"
	"strings"
)

// Pair is one cell of the reference broker beside that of a system which it imitates: the same contract under the same fault.
type Pair struct {
	Contract    Contract   `json:"contract"`
	Column      string     `json:"column"`
	Systems     [2]string  `json:"systems"` // the reference, the other
	Cells       [2]string  `json:"cells"`   // their ids
	Verdicts    [2]Verdict `json:"verdicts"`
	Agree       Accord     `json:"agree"`
	Differences []string   `json:"differences,omitzero"` // in sentences, of pairs that differ or are open
}

// Accord says whether the two cells of a pair tell the same.
type Accord string

// The accords.
const (
	Agree  Accord = "agree"
	Differ Accord = "differ"
	Open   Accord = "open" // one of them proves nothing
)

// agreement pairs the cells of faults of each reference broker with those of the systems of its profile.
func agreement(r *Result) []Pair {
	var pairs []Pair
	systems := r.Compared()
	for _, ref := range systems {
		for _, other := range systems {
			if ref.Name == "reference" && other.Name != "reference" && ref.Profile == other.Profile && !other.Tuned {
				pairs = append(pairs, pairsOf(r.Cells, ref.String(), other.String())...)
			}
		}
	}
	return pairs
}

// pairsOf pairs the cells of two systems, in the order of those of the first.
func pairsOf(cells []Cell, ref, other string) []Pair {
	var pairs []Pair
	for i := range cells {
		a := &cells[i]
		if a.System != ref || a.IsPerformance() {
			continue
		}
		at := slices.IndexFunc(cells, func(b Cell) bool { return b.System == other && b.Contract == a.Contract && b.Column() == a.Column() })
		if at >= 0 {
			pairs = append(pairs, newPair(a, &cells[at]))
		}
	}
	return pairs
}

// newPair compares two cells: verdicts, whether any cut was lossy, and which anomalies appeared. How much was lost is a matter of rate
// and phase, so it is not compared.
func newPair(a, b *Cell) Pair {
	p := Pair{
		Contract: a.Contract, Column: a.Column(), Systems: [2]string{a.System, b.System}, Cells: [2]string{a.ID, b.ID},
		Verdicts: [2]Verdict{a.Verdict, b.Verdict}, Agree: Agree,
	}
	for i, c := range []*Cell{a, b} {
		if c.Verdict == Inconclusive {
			p.Agree = Open
			p.Differences = append(p.Differences, fmt.Sprintf("%s is inconclusive: %s", p.Systems[i], strings.Join(c.Reasons, "; ")))
		}
	}
	if p.Agree == Open {
		return p
	}
	differ := func(what string, ref, other any) {
		p.Agree = Differ
		p.Differences = append(p.Differences, fmt.Sprintf("%s: %v by the reference, %v by the other", what, ref, other))
	}
	if a.Verdict != b.Verdict {
		differ("verdict", a.Verdict, b.Verdict)
	}
	if lossy(a) != lossy(b) {
		differ("messages lost", Sum(a.Lost), Sum(b.Lost))
	}
	if p.Agree == Differ {
		for _, name := range anomaliesOf(a, b) {
			if (a.Anomalies[name] > 0) != (b.Anomalies[name] > 0) {
				differ("anomaly "+name, a.Anomalies[name], b.Anomalies[name])
			}
		}
	}
	return p
}

func lossy(c *Cell) bool { return Sum(c.Lost) > 0 }

// anomaliesOf lists the names of the anomalies of either cell.
func anomaliesOf(a, b *Cell) []string {
	names := append(Names(a.Anomalies), Names(b.Anomalies)...)
	slices.Sort(names)
	return slices.Compact(names)
}
