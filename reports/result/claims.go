package result

// OneMachine is the claim that every matrix tests.
const OneMachine = "one machine may fail and nothing is lost"

// Standing is what the evidence says of a claim.
type Standing string

// The standings of a claim.
const (
	Holds    Standing = "holds"        // in every cut, with the bound
	Refuted  Standing = "refuted"      // at least one cut lost an acknowledged message
	Untested Standing = "inconclusive" // not refuted, and at least one cell proves nothing
)

// Claim is what people say of a contract, tested apart from what the contract promises.
type Claim struct {
	Claim    string     `json:"claim"`
	System   string     `json:"system,omitzero"` // as Cell.System
	Contract Contract   `json:"contract"`
	Recovery string     `json:"recovery"` // returns, promoted
	Standing Standing   `json:"standing"`
	Cuts     int        `json:"cuts"`    // of the fault with the fewest: the weakest link
	Upper95  float64    `json:"upper95"` // the largest over the faults, (0, 1]
	Evidence []Evidence `json:"evidence"`
}

// Evidence is what one cell says of a claim.
type Evidence struct {
	Cell      string  `json:"cell"`            // id
	Column    string  `json:"column,omitzero"` // where the cell gives its column a name
	Fault     string  `json:"fault"`
	Target    string  `json:"target"`
	Verdict   Verdict `json:"verdict"`
	Acked     int64   `json:"acked"`
	Lost      int64   `json:"lost"`
	LossyCuts int     `json:"lossyCuts"`
	Cuts      int     `json:"cuts"` // that had their effect
}

// OneMachineMayFail judges OneMachine for each system, contract and recovery of the cells, in the order of the cells: over every
// fault that takes one machine down. Faults of several machines, several faults in a row, faults that stop no machine, and
// performance cells say nothing about it.
func OneMachineMayFail(cells []Cell) []Claim {
	type key struct {
		system   string
		contract Contract
		recovery string
	}
	claims := []Claim{}
	index := map[key]int{}
	for i := range cells {
		c := &cells[i]
		if !stopsOneMachine(c) {
			continue
		}
		k := key{c.System, c.Contract, c.Recovery}
		at, seen := index[k]
		if !seen {
			at = len(claims)
			index[k] = at
			claims = append(claims, Claim{Claim: OneMachine, System: c.System, Contract: c.Contract, Recovery: c.Recovery, Standing: Holds})
		}
		claims[at].add(c)
	}
	return claims
}

// stopsOneMachine says whether the cell is one failure of one machine: killed, without power, or without its disk. A schedule of
// several faults is several failures; a fault that leaves every machine running, such as a partition, is none.
func stopsOneMachine(c *Cell) bool {
	if len(c.Schedule) > 1 || c.Recovery != "returns" && c.Recovery != "promoted" {
		return false
	}
	switch c.Fault {
	case "kill", "power", "disk-lost":
		return c.Target != "all" && c.Target != "minority" && c.Target != "majority"
	}
	return false
}

// add weighs one cell. A lossy cut that had its effect refutes, whatever the other cells say; the claim holds only as long
// as every cell is conclusive.
func (cl *Claim) add(c *Cell) {
	e := Evidence{Cell: c.ID, Column: c.Name, Fault: c.Fault, Target: c.Target, Verdict: c.Verdict, Acked: Sum(c.Acked), Lost: Sum(c.Lost)}
	bound := 1.0
	if c.RPO != nil {
		e.LossyCuts, e.Cuts, bound = c.RPO.LossyCuts, c.RPO.Cuts, c.RPO.Upper95
	}
	if len(cl.Evidence) == 0 || e.Cuts < cl.Cuts {
		cl.Cuts = e.Cuts
	}
	cl.Upper95 = max(cl.Upper95, bound)
	cl.Evidence = append(cl.Evidence, e)
	switch {
	case e.LossyCuts > 0:
		cl.Standing = Refuted
	case cl.Standing == Holds && (c.Verdict == Inconclusive || e.Cuts == 0 || e.Acked == 0):
		cl.Standing = Untested
	}
}
