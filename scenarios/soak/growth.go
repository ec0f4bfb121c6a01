package soak

import (
	"fmt"
	"maps"
	"slices"
)

// bound is how much of a thing a process may have more of late than it had early.
type bound struct {
	Name  string
	Unit  string
	Share float64 // of what it had early
	More  float64 // beside that, in its unit
	of    func(*sample) (float64, bool)
}

// bounds are what growth is held against. The absolute part is what a garbage collector's heap, or a few clients more, make.
var bounds = []bound{
	{"anonymous memory", "MiB", 0.25, 16, func(s *sample) (float64, bool) { return mib(s.Anonymous), true }},
	{"goroutines", "", 0.25, 16, func(s *sample) (float64, bool) { return float64(s.Goroutines), s.Goroutines >= 0 }},
	{"open files and sockets", "", 0.25, 12, func(s *sample) (float64, bool) { return float64(s.Open), true }},
	{"open files of the store beyond those there are", "", 0, 4, func(s *sample) (float64, bool) { return float64(max(s.StoreOpen-s.StoreFiles, 0)), true }},
	{"threads", "", 0.25, 12, func(s *sample) (float64, bool) { return float64(s.Threads), true }},
}

// Text says the bound in words.
func (b bound) Text() string {
	if b.Share == 0 {
		return fmt.Sprintf("%s: at most %g%s more", b.Name, b.More, unit(b.Unit))
	}
	return fmt.Sprintf("%s: at most %g%% and %g%s more", b.Name, 100*b.Share, b.More, unit(b.Unit))
}

func unit(u string) string {
	if u == "" {
		return ""
	}
	return " " + u
}

// A process is young until then: its buffers and its heap are not yet what the load makes of them.
const youngSeconds = 20

// samplesMin is how many looks a comparison needs: a third of them is what a median is taken of.
const samplesMin = 12

// Grown is one comparison: the median of the last third of the looks against that of the first third.
type Grown struct {
	Node  string  `json:"node"`
	What  string  `json:"what"`
	Over  string  `json:"over"` // "the run", or the process
	Early float64 `json:"early"`
	Late  float64 `json:"late"`
	Bound float64 `json:"bound"` // Late may not be above it
	Looks int     `json:"looks"`
	Ok    bool    `json:"ok"`
}

// judge compares, for each node, over the whole run and over each of its processes that lived long enough.
func (g *gauge) judge() (nodes []Node, grown []Grown) {
	byNode := map[string][]sample{}
	for _, s := range g.samples {
		byNode[s.Node] = append(byNode[s.Node], s)
	}
	for _, node := range slices.Sorted(maps.Keys(byNode)) {
		all := byNode[node]
		nodes = append(nodes, describe(node, all))
		grown = append(grown, compare(node, "the run", all)...)
		for number := 1; number <= all[len(all)-1].Life; number++ {
			of := slices.DeleteFunc(slices.Clone(all), func(s sample) bool { return s.Life != number })
			grown = append(grown, compare(node, fmt.Sprintf("process %d", number), of)...)
		}
	}
	return nodes, grown
}

// compare holds the late looks against the early ones, for each bound.
func compare(node, over string, all []sample) (grown []Grown) {
	for _, b := range bounds {
		var values []float64
		for i := range all {
			if v, known := b.of(&all[i]); known && all[i].Age >= youngSeconds {
				values = append(values, v)
			}
		}
		if len(values) < samplesMin {
			continue
		}
		third := len(values) / 3
		early, late := median(values[:third]), median(values[len(values)-third:])
		limit := early*(1+b.Share) + b.More
		grown = append(grown, Grown{node, b.Name, over, early, late, limit, len(values), late <= limit})
	}
	return grown
}

// median of values, which has some.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	if n := len(sorted); n%2 == 0 {
		return (sorted[n/2-1] + sorted[n/2]) / 2
	}
	return sorted[len(sorted)/2]
}

// Node is what the processes of a node had.
type Node struct {
	Name       string  `json:"name"`
	Lives      int     `json:"lives"`
	Looks      int     `json:"looks"`
	Anonymous  Range   `json:"anonymousMiB"`
	Goroutines *Range  `json:"goroutines,omitempty"` // nil: not measured
	Open       Range   `json:"openFiles"`
	StoreOpen  Range   `json:"openStoreFiles"`
	Threads    Range   `json:"threads"`
	File       float64 `json:"fileMiBMax"`
}

// Range is the least, the median and the most of what was seen.
type Range struct {
	Min    float64 `json:"min"`
	Median float64 `json:"median"`
	Max    float64 `json:"max"`
}

func (r Range) String() string { return fmt.Sprintf("%.3g (%.3g-%.3g)", r.Median, r.Min, r.Max) }

func describe(node string, all []sample) Node {
	over := func(of func(*sample) float64) Range { return spread(all, of) }
	n := Node{
		Name: node, Lives: all[len(all)-1].Life, Looks: len(all),
		Anonymous: over(func(s *sample) float64 { return mib(s.Anonymous) }),
		Open:      over(func(s *sample) float64 { return float64(s.Open) }),
		StoreOpen: over(func(s *sample) float64 { return float64(s.StoreOpen) }),
		Threads:   over(func(s *sample) float64 { return float64(s.Threads) }),
		File:      over(func(s *sample) float64 { return mib(s.File) }).Max,
	}
	known := slices.DeleteFunc(slices.Clone(all), func(s sample) bool { return s.Goroutines < 0 })
	if len(known) > 0 {
		n.Goroutines = new(spread(known, func(s *sample) float64 { return float64(s.Goroutines) }))
	}
	return n
}

// spread is the range of a figure over some looks, of which there is at least one.
func spread(all []sample, of func(*sample) float64) Range {
	values := make([]float64, len(all))
	for i := range all {
		values[i] = of(&all[i])
	}
	return Range{slices.Min(values), median(values), slices.Max(values)}
}
