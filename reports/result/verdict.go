package result

// Verdict is one of four words, ordered by severity: kept < loss-within-contract < inconclusive < violated.
// Source: contracts.md section 5.
type Verdict string

// The four verdicts.
const (
	Kept               Verdict = "kept"                 // nothing acknowledged is lost
	LossWithinContract Verdict = "loss-within-contract" // lost, all of classes whose copies the faults destroyed
	Inconclusive       Verdict = "inconclusive"         // the cell proves nothing; its reasons say why
	Violated           Verdict = "violated"             // lost although a promised copy lived, or an impossible history
)

// Verdicts lists them from the mildest to the worst.
var Verdicts = []Verdict{Kept, LossWithinContract, Inconclusive, Violated}

// Rank returns 0 for kept up to 3 for violated, and -1 for a word that is no verdict.
func (v Verdict) Rank() int {
	for i, w := range Verdicts {
		if v == w {
			return i
		}
	}
	return -1
}

// Worse returns the worse of two verdicts; a word that is no verdict yields to one that is.
func Worse(a, b Verdict) Verdict {
	if b.Rank() > a.Rank() {
		return b
	}
	return a
}
