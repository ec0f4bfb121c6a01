package result

import "fmt"

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
	Claim    string   `json:"claim"`
	Contract Contract `json:"contract"`
	Recovery string   `json:"recovery"` // returns, promoted
	Faults   []string `json:"faults"`   // that it was tested under
	Standing Standing `json:"standing"`
	Cuts     int      `json:"cuts"`      // of the fault with the fewest: the weakest link
	Lossy    int      `json:"lossyCuts"` // over all faults
	Upper95  float64  `json:"upper95"`   // the largest over the faults, (0, 1]
	Evidence []string `json:"evidence"`  // a sentence a cell
	Cells    []string `json:"cells"`     // their ids
}

// OneMachineMayFail judges OneMachine for each contract and recovery of the cells, in the order of the cells: over every
// fault that stops one machine. Faults of several machines, and performance cells, say nothing about it.
func OneMachineMayFail(cells []Cell) []Claim {
	claims := []Claim{}
	index := map[string]int{}
	for i := range cells {
		c := &cells[i]
		if !stopsOneMachine(c) {
			continue
		}
		key := c.Contract.String() + "\x00" + c.Contract.SlaveFlushDiskType + "\x00" + c.Recovery
		at, seen := index[key]
		if !seen {
			at = len(claims)
			index[key] = at
			claims = append(claims, Claim{Claim: OneMachine, Contract: c.Contract, Recovery: c.Recovery, Standing: Holds})
		}
		claims[at].add(c)
	}
	return claims
}

// stopsOneMachine says whether the cell's fault takes a single machine down.
func stopsOneMachine(c *Cell) bool {
	switch c.Fault {
	case "kill", "power", "disk-lost":
		return c.Target != "all"
	}
	return false
}

// add weighs one cell: a lossy cut that had its effect refutes, whatever the other cells say.
func (cl *Claim) add(c *Cell) {
	cl.Faults = append(cl.Faults, c.Fault)
	cl.Cells = append(cl.Cells, c.ID)
	lost := Sum(c.Lost)
	where := fmt.Sprintf("%s of the %s", c.Fault, c.Target)
	if c.RPO == nil {
		if cl.Standing == Holds {
			cl.Standing = Untested
		}
		cl.Upper95, cl.Cuts = 1, 0
		cl.Evidence = append(cl.Evidence, where+": no cut had its effect")
		return
	}
	if len(cl.Faults) == 1 || c.RPO.Cuts < cl.Cuts {
		cl.Cuts = c.RPO.Cuts
	}
	cl.Upper95 = max(cl.Upper95, c.RPO.Upper95)
	cl.Lossy += c.RPO.LossyCuts
	switch {
	case c.RPO.LossyCuts > 0:
		cl.Standing = Refuted
		cl.Evidence = append(cl.Evidence, fmt.Sprintf("%s: %d of %d acknowledged lost, in %d of %d cuts",
			where, lost, Sum(c.Acked), c.RPO.LossyCuts, c.RPO.Cuts))
	case c.Verdict == Inconclusive:
		if cl.Standing == Holds {
			cl.Standing = Untested
		}
		cl.Evidence = append(cl.Evidence, where+": inconclusive")
	default:
		cl.Evidence = append(cl.Evidence, fmt.Sprintf("%s: none of %d acknowledged lost in %d cuts", where, Sum(c.Acked), c.RPO.Cuts))
	}
}
