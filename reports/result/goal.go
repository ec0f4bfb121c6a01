package result

import "fmt"

// Standing of a goal.
const (
	Met    Standing = "met"    // in every pass
	Missed Standing = "missed" // in every pass

)

// Goal is a ratio of one system to another, measured side by side in interleaved passes, and what it is to be.
type Goal struct {
	What     string    `json:"what"`   // throughput, p99, memory, start
	System   string    `json:"system"` // whose goal it is
	Against  string    `json:"against,omitzero"`
	Contract string    `json:"contract,omitzero"`
	Load     string    `json:"load,omitzero"` // 16x64: connections x outstanding sends on each
	Unit     string    `json:"unit"`          // of Own and Other: msg/s, ms, MiB
	Own      []float64 `json:"own"`           // a pass each
	Other    []float64 `json:"other,omitzero"`
	Ratio    *Ratio    `json:"ratio,omitzero"` // how many times better; absent where the goal is a figure
	Target   float64   `json:"target"`         // at least so many times; of a figure: below
	Standing Standing  `json:"standing"`
	Reasons  []string  `json:"reasons,omitzero"` // of what is not met or not known, and how a figure was counted otherwise
}

// Ratio is the median over the passes, each paired with the one beside it.
type Ratio struct {
	Median float64   `json:"median"`
	Min    float64   `json:"min"`
	Max    float64   `json:"max"`
	Passes []float64 `json:"passes"`
}

// ratios pairs the passes: over/under of each.
func ratios(over, under []float64) *Ratio {
	r := &Ratio{}
	for i := range min(len(over), len(under)) {
		if under[i] > 0 {
			r.Passes = append(r.Passes, over[i]/under[i])
		}
	}
	r.Min, r.Median, r.Max = Spread(r.Passes)
	return r
}

// Judge computes Ratio and Standing. more says that a larger figure is the better one. harder are reasons why the figures of the system
// itself may be worse than it is, such as a generator that was the limit: then what was met is met, and what was not is open.
// easier are reasons why the ratio may be better than it is: then it is open in any case.
func (g *Goal) Judge(more bool, harder, easier []string) {
	met, missed := true, true
	values := g.Own
	reached := func(v float64) bool { return v < g.Target }
	if g.Against != "" {
		g.Ratio = ratios(g.Own, g.Other)
		if !more {
			g.Ratio = ratios(g.Other, g.Own)
		}
		values = g.Ratio.Passes
		reached = func(v float64) bool { return v >= g.Target }
	}
	for _, v := range values {
		met, missed = met && reached(v), missed && !reached(v)
	}
	switch {
	case len(values) == 0:
		g.Standing, g.Reasons = Untested, []string{"not measured"}
	case len(easier) > 0:
		g.Standing, g.Reasons = Untested, easier
	case met:
		g.Standing = Met
	case len(harder) > 0:
		g.Standing, g.Reasons = Untested, harder
	case missed:
		g.Standing = Missed
	default:
		g.Standing, g.Reasons = Untested, []string{fmt.Sprintf("met in some of %d passes, missed in others", len(values))}
	}
}
