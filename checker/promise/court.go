package promise

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"holdfast/checker/history"
)

// Stops says whether a fault stops processes, and so ends what the node held at a level.
func Stops(fault string) bool { return severity(fault) > 0 }

// severity is the largest rank of a level that a fault destroys; 0: none.
func severity(fault string) int {
	for i, kind := range []string{"kill", "power", "disk-lost"} {
		if fault == kind || strings.HasPrefix(fault, kind+"-") {
			return i + 1
		}
	}
	return 0
}

func rank(l history.Level) int {
	switch l {
	case history.Memory:
		return 1
	case history.Cache:
		return 2
	case history.Disk:
		return 3
	}
	return 0
}

// Court decides whether the faults of one history destroyed the copies of a message.
type Court struct {
	Set    Set
	faults []history.FaultOp // those that stop processes, by Start
	caught []history.CaughtUpOp
}

// NewCourt returns the court of a history.
func NewCourt(h *history.History) *Court {
	c := &Court{Set: Of(h.Header), caught: h.Caught}
	for _, f := range h.Faults {
		if Stops(f.Name) {
			c.faults = append(c.faults, f)
		}
	}
	return c
}

// Group is what the court must know about a queue group.
type Group interface {
	Members() []string       // all nodes
	MasterAt(t int64) string // "" when unknown
}

// Ack is one acknowledgement, or one delivery.
type Ack struct {
	Promise Promise
	Listed  bool   // Promise holds
	Acker   string // the node
	At      int64  // when it was known
}

// Excused says whether the absence of a message from node f, observed at until, is within what ack promised, and why
// or why not. Until is history.Never for the end of the run.
func (c *Court) Excused(g Group, ack Ack, f string, until int64) (bool, string) {
	switch p := ack.Promise; {
	case !ack.Listed:
		if name := c.struck(ack.Acker, ack.At, until); name != "" {
			return true, fmt.Sprintf("its status promises nothing under the %s of %s", name, ack.Acker)
		}
		return false, fmt.Sprintf("no fault stopped %s, which acknowledged it", ack.Acker)
	case p.Merging:
		return c.merged(g, ack, until)
	case f == ack.Acker && p.Acker == "":
		name := c.struck(f, ack.At, until)
		return name != "", "no copy of " + f + " was promised"
	case f == ack.Acker:
		if c.lives(g, f, ack, until) {
			return false, fmt.Sprintf("%s acknowledged it, promised its %s, and no fault destroyed that", f, p.Acker)
		}
		return true, fmt.Sprintf("its copy in the %s of %s died", p.Acker, f)
	case p.covers(g):
		if c.lives(g, f, ack, until) {
			return false, fmt.Sprintf("a copy in the %s of %s was promised, and no fault destroyed that", p.Replicas, f)
		}
		return true, fmt.Sprintf("its copy in the %s of %s died", p.Replicas, f)
	}
	if name := cmp.Or(c.struck(ack.Acker, ack.At, until), c.struck(f, ack.At, until)); name != "" {
		return true, fmt.Sprintf("after a %s %s serves, where no copy was promised", name, f)
	}
	return false, fmt.Sprintf("%s serves although no fault stopped %s, which acknowledged it", f, ack.Acker)
}

// covers says that every replica of the group holds a copy.
func (p Promise) covers(g Group) bool {
	return p.Replicas != "" && (p.InSync == 0 || p.InSync >= len(g.Members()))
}

// Covers says whether ack promised a copy on node and no fault destroyed it by until.
func (c *Court) Covers(g Group, ack Ack, node string, until int64) bool {
	if !ack.Listed || node != ack.Acker && !ack.Promise.covers(g) || node == ack.Acker && ack.Promise.Acker == "" {
		return false
	}
	return c.lives(g, node, ack, until)
}

// level returns the level of the copy that ack promised on node; empty: none.
func (p Promise) level(acker, node string) history.Level {
	if node == acker {
		return p.Acker
	}
	return p.Replicas
}

// event is something that ends or restores a copy.
type event struct {
	at     int64
	node   string
	caught bool
}

// events returns what ended or restored copies of ack on nodes, by time.
func (c *Court) events(nodes []string, ack Ack, until int64) []event {
	var all []event
	for i := range c.faults {
		f := &c.faults[i]
		if !before(ack.At, f) || f.Start >= until {
			continue
		}
		for _, node := range f.Nodes {
			if slices.Contains(nodes, node) && severity(f.Name) >= rank(ack.Promise.level(ack.Acker, node)) {
				all = append(all, event{at: max(f.Start, ack.At), node: node})
			}
		}
	}
	for _, up := range c.caught {
		if up.T >= ack.At && up.T < until && slices.Contains(nodes, up.Node) {
			all = append(all, event{at: up.T, node: up.Node, caught: true})
		}
	}
	slices.SortStableFunc(all, func(a, b event) int { return cmp.Compare(a.at, b.at) })
	return all
}

// before says that what was acknowledged at t is struck by f: it came before the node's restart.
func before(t int64, f *history.FaultOp) bool { return f.Restart < 0 || t < f.Restart }

// lives says that node's copy is there at until. After caught-up a copy counts again if its master's did then.
func (c *Court) lives(g Group, node string, ack Ack, until int64) bool {
	alive := true
	for _, e := range c.events([]string{node}, ack, until) {
		switch {
		case !e.caught:
			alive = false
		case !alive:
			master := g.MasterAt(e.at)
			alive = master == "" || master == node || ack.Promise.level(ack.Acker, master) != "" && c.lives(g, master, ack, e.at)
		}
	}
	return alive
}

// merged says whether at some time as many nodes had lost their copy as copies were promised.
func (c *Court) merged(g Group, ack Ack, until int64) (bool, string) {
	p := ack.Promise
	nodes := g.Members()
	if p.Replicas == "" && p.Acker != "" && p.Copies <= 1 {
		nodes = []string{ack.Acker}
	}
	need := p.Copies
	if need == 0 {
		need = len(nodes)
	}
	gone := map[string]bool{}
	for _, e := range c.events(nodes, ack, until) {
		if e.caught {
			delete(gone, e.node)
			continue
		}
		gone[e.node] = true
		if len(gone) >= need {
			return true, fmt.Sprintf("%d of its %d promised copies died", len(gone), need)
		}
	}
	return false, fmt.Sprintf("%d copies were promised, at most %d died", need, len(gone))
}

// struck returns the name of a fault that stopped node after t and began before until; "" when none did.
func (c *Court) struck(node string, t, until int64) string {
	for i := range c.faults {
		f := &c.faults[i]
		if before(t, f) && f.Start < until && slices.Contains(f.Nodes, node) {
			return f.Name
		}
	}
	return ""
}
