package evidence

import (
	"slices"
	"sort"
	"strings"

	"holdfast/checker/history"
	"holdfast/checker/promise"
)

// Group is a queue group: the queues that one master at a time serves.
type Group struct {
	Name   string
	nodes  []string
	reigns []reign // by since; the first begins at 0 unless the header names no master
	bounds []int64 // ends of epochs, ascending
}

type reign struct {
	since int64
	node  string
}

// Members returns all nodes of the group.
func (g *Group) Members() []string { return g.nodes }

// MasterAt returns the node that serves the group at t, "" when nobody said.
func (g *Group) MasterAt(t int64) string {
	i := sort.Search(len(g.reigns), func(i int) bool { return g.reigns[i].since > t })
	if i == 0 {
		return ""
	}
	return g.reigns[i-1].node
}

// Final returns the node that serves the group at the end, "" when nobody said.
func (g *Group) Final() string { return g.MasterAt(history.Never) }

// Epochs returns the number of epochs.
func (g *Group) Epochs() int { return len(g.bounds) + 1 }

// EpochAt returns the epoch of an instant, from 0.
func (g *Group) EpochAt(t int64) int {
	if len(g.bounds) == 0 || t < g.bounds[0] {
		return 0
	}
	return sort.Search(len(g.bounds), func(i int) bool { return g.bounds[i] > t })
}

// EpochEnd returns when an epoch ends, history.Never for the last.
func (g *Group) EpochEnd(epoch int) int64 {
	if epoch < len(g.bounds) {
		return g.bounds[epoch]
	}
	return history.Never
}

// Span is the epochs that an operation may belong to: one, unless it spans a boundary.
type Span struct{ Lo, Hi int }

// Definite says that there is one epoch.
func (s Span) Definite() bool { return s.Lo == s.Hi }

// SpanOf returns the epochs of [invoke, ret].
func (g *Group) SpanOf(invoke, ret int64) Span {
	if len(g.bounds) == 0 {
		return Span{}
	}
	return Span{g.EpochAt(invoke), g.EpochAt(ret)}
}

// groupsOf finds the groups of a history, their nodes, masters and epochs.
func groupsOf(h *history.History) map[string]*Group {
	groups := map[string]*Group{}
	get := func(name string) *Group {
		g := groups[name]
		if g == nil {
			g = &Group{Name: name}
			groups[name] = g
		}
		return g
	}
	for name, node := range h.Header.Masters {
		get(name).reigns = []reign{{0, node}}
	}
	for _, r := range h.Roles {
		if g := get(r.Group); r.Role == "master" && g.Final() != r.Node {
			g.reigns = append(g.reigns, reign{r.T, r.Node})
			if len(g.reigns) > 1 {
				g.bounds = append(g.bounds, r.T)
			}
		}
	}
	for _, g := range groups {
		g.nodes = members(h, g, groups)
		for i := range h.Faults {
			f := &h.Faults[i]
			if promise.Stops(f.Name) && f.Restart >= 0 && slices.Contains(f.Nodes, g.MasterAt(f.Restart)) {
				g.bounds = append(g.bounds, f.Restart)
			}
		}
		slices.Sort(g.bounds)
		g.bounds = slices.Compact(g.bounds)
	}
	return groups
}

// members returns the nodes of a group: all when there is one group, else those that a role, a catch-up or their name
// (group-n) puts there.
func members(h *history.History, g *Group, groups map[string]*Group) []string {
	var nodes []string
	add := func(node string) {
		if node != "" && !slices.Contains(nodes, node) {
			nodes = append(nodes, node)
		}
	}
	for _, r := range g.reigns {
		add(r.node)
	}
	for _, r := range h.Roles {
		if r.Group == g.Name {
			add(r.Node)
		}
	}
	for _, c := range h.Caught {
		if c.Group == g.Name {
			add(c.Node)
		}
	}
	for _, node := range h.Header.Nodes {
		if len(groups) == 1 || strings.HasPrefix(node, g.Name+"-") {
			add(node)
		}
	}
	slices.Sort(nodes)
	return nodes
}
