package result

import "slices"

// Series counts sends by outcome over time, for plots. Bucket i covers [i, i+1) x BucketMS from StartMS on; a send counts in
// the bucket of its completion, an unknown one in that of its intended start.
type Series struct {
	StartMS  float64 `json:"startMs,omitzero"` // ms since the start of the run, as the T of a Timeline
	BucketMS int     `json:"bucketMs"`
	Acked    []int64 `json:"acked"`
	Failed   []int64 `json:"failed,omitzero"`
	Unknown  []int64 `json:"unknown,omitzero"`
}

// Fate is what became of a send.
type Fate string

// The fates of a send.
const (
	FateKept    Fate = "kept"    // acknowledged, and in the final read
	FateLost    Fate = "lost"    // acknowledged, and gone
	FateUnknown Fate = "unknown" // no definite answer
	FateFailed  Fate = "failed"  // certainly not stored
)

// Timeline is a sample of the operations around a fault, of one trial.
type Timeline struct {
	Trial int     `json:"trial,omitzero"` // counted from 1
	Of    int64   `json:"of"`             // operations before sampling
	Ops   []Op    `json:"ops"`            // ascending by T
	Marks []Mark  `json:"marks"`          // ascending by T
	EndMS float64 `json:"endMs"`          // end of the load
}

// Op is one send of a timeline.
type Op struct {
	T    float64 `json:"t"`           // intended start, ms since the start of the run
	MS   float64 `json:"ms,omitzero"` // response time; of an unknown send the client timeout
	Fate Fate    `json:"fate"`
}

// Mark is one phase of a fault.
type Mark struct {
	T     float64  `json:"t"`     // ms since the start of the run
	Phase string   `json:"phase"` // start, down, restart, heal, and role for a promotion
	Name  string   `json:"name"`  // kill, power ...
	Nodes []string `json:"nodes,omitzero"`
}

// Sample returns at most limit operations of ops, ascending by T: what is rare stays, what is common is thinned evenly.
// Fates share the limit equally; what one does not need is left to the others. ops is not changed.
func Sample(ops []Op, limit int) []Op {
	byFate := map[Fate][]Op{}
	for _, op := range ops {
		byFate[op.Fate] = append(byFate[op.Fate], op)
	}
	groups := [][]Op{}
	for _, fate := range []Fate{FateKept, FateLost, FateUnknown, FateFailed} {
		if g := byFate[fate]; len(g) > 0 {
			slices.SortStableFunc(g, byTime)
			groups = append(groups, g)
		}
	}
	slices.SortStableFunc(groups, func(a, b []Op) int { return len(a) - len(b) })
	var out []Op
	for i, g := range groups {
		share := (limit - len(out)) / (len(groups) - i)
		out = append(out, thin(g, share)...)
	}
	slices.SortStableFunc(out, byTime)
	return out
}

// thin returns n of g at even distances, or all of g when it has no more.
func thin(g []Op, n int) []Op {
	if len(g) <= n {
		return g
	}
	out := make([]Op, 0, n)
	for i := range n {
		out = append(out, g[i*len(g)/n])
	}
	return out
}

func byTime(a, b Op) int {
	switch {
	case a.T < b.T:
		return -1
	case a.T > b.T:
		return 1
	}
	return 0
}
