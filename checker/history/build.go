package history

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// builder pairs events to operations and holds them against the rules of contracts.md section 3. Events come in the
// order of their lines, or, of a binary history, in that of each shard.
type builder struct {
	h     *History
	names *interner
	ops   opTable

	statuses, nodes []uint16 // by Sym: 1 + its number, 0 for none yet
	queues          []bool   // by Sym: is of the form group/topic/id
	faults          map[uint64]int
}

func newBuilder(h Header, names *interner) *builder {
	b := &builder{names: names, faults: map[uint64]int{}}
	b.h = &History{Header: h, Statuses: []string{""}, Nodes: []string{""}, LastSend: -1}
	return b
}

// event adds e and returns the rule that it breaks, or "".
func (b *builder) event(e *Event) string {
	if e.T > b.h.End {
		b.h.End = e.T
	}
	switch e.F {
	case FaultF:
		return b.fault(e)
	case Role, CaughtUp:
		return b.role(e)
	}
	if e.Type == Invoke {
		return b.invoke(e)
	}
	return b.complete(e)
}

func (b *builder) invoke(e *Event) string {
	if _, found := b.ops.get(b, e.Op); found {
		return fmt.Sprintf("a second invoke of operation %d", e.Op)
	}
	if rule := b.fields(e); rule != "" {
		return rule
	}
	h := b.h
	switch e.F {
	case Send:
		h.LastSend = max(h.LastSend, e.T)
		b.ops.put(b, e.Op, refSend|uint32(len(h.Sends)))
		h.Sends = append(h.Sends, SendOp{Value: e.Value, Op: e.Op, Invoke: e.T, Return: Never, Offset: -1, Queue: e.Queue,
			P: e.P, Node: b.node(e.Node), Retry: e.Retry > 0})
	case Poll, Read:
		b.ops.put(b, e.Op, refFetch|uint32(len(h.Fetches)))
		h.Fetches = append(h.Fetches, FetchOp{Op: e.Op, Invoke: e.T, Return: Never, From: e.From, End: -1, P: e.P,
			Queue: e.Queue, Group: e.Group, Node: b.node(e.Node), F: e.F, Filter: e.Filter})
	case Commit:
		if e.Queue == 0 || e.Group == 0 || e.Offset < 0 {
			return "a commit without queue, group or offset"
		}
		b.ops.put(b, e.Op, refCommit|uint32(len(h.Commits)))
		h.Commits = append(h.Commits, CommitOp{Op: e.Op, Invoke: e.T, Return: Never, P: e.P, Queue: e.Queue, Group: e.Group,
			Offset: e.Offset})
	default:
		return "an unknown f"
	}
	return ""
}

// fields holds the fields of an operation's line against the rules that need no other line.
func (b *builder) fields(e *Event) string {
	if e.Queue != 0 && !b.queue(e.Queue) {
		return fmt.Sprintf("queue %q is not group/topic/id", b.names.name(e.Queue))
	}
	if e.F == Read && e.Node == 0 {
		return "a read without node"
	}
	return ""
}

func (b *builder) complete(e *Event) string {
	ref, found := b.ops.get(b, e.Op)
	if !found {
		return fmt.Sprintf("a completion of operation %d, which was not invoked", e.Op)
	}
	if rule := b.fields(e); rule != "" {
		return rule
	}
	i := ref & refIndex
	switch ref &^ refIndex {
	case refSend:
		return b.completeSend(e, &b.h.Sends[i])
	case refFetch:
		return b.completeFetch(e, &b.h.Fetches[i])
	case refCommit:
		return b.completeCommit(e, &b.h.Commits[i])
	}
	return fmt.Sprintf("operation %d is used twice", e.Op)
}

func (b *builder) completeSend(e *Event, s *SendOp) string {
	switch {
	case s.Type != 0:
		return second(e)
	case e.F != Send:
		return contradicts("f")
	case e.Value != s.Value:
		return contradicts("value")
	case s.Queue != 0 && e.Queue != 0 && e.Queue != s.Queue:
		return contradicts("queue")
	case s.Node != 0 && e.Node != 0 && b.node(e.Node) != s.Node:
		return contradicts("node")
	case e.Type == OK && e.Queue == 0:
		return "an ok send without queue"
	case e.Type == OK && e.Offset < 0:
		return "an ok send without offset"
	case e.Type == OK && e.Status == 0:
		return "an ok send without status"
	}
	b.h.LastSend = max(b.h.LastSend, e.T)
	s.Type = e.Type
	if e.Queue != 0 {
		s.Queue = e.Queue
	}
	if e.Node != 0 {
		s.Node = b.node(e.Node)
	}
	s.Status = b.status(e.Status)
	s.Retry = s.Retry || e.Retry > 0
	if e.Type != Info {
		s.Return = e.T
	}
	if e.Type == OK {
		s.Offset = e.Offset
		for int(s.Queue) >= len(b.h.acks) {
			b.h.acks = append(b.h.acks, make([]int, int(s.Queue)+1-len(b.h.acks))...)
		}
		b.h.acks[s.Queue]++
	}
	return ""
}

func (b *builder) completeFetch(e *Event, f *FetchOp) string {
	switch {
	case f.ok || f.Return != Never:
		return second(e)
	case e.F != f.F:
		return contradicts("f")
	case f.Queue != 0 && e.Queue != 0 && e.Queue != f.Queue:
		return contradicts("queue")
	case f.Node != 0 && e.Node != 0 && b.node(e.Node) != f.Node:
		return contradicts("node")
	case f.From >= 0 && e.From >= 0 && e.From != f.From:
		return contradicts("from")
	}
	f.Return = e.T
	if e.Type != OK {
		return ""
	}
	if e.Msgs == nil {
		return "an ok " + functionNames[e.F] + " without msgs"
	}
	if e.Queue != 0 {
		f.Queue = e.Queue
	}
	if f.Queue == 0 {
		return "an ok " + functionNames[e.F] + " without queue"
	}
	if e.Node != 0 {
		f.Node = b.node(e.Node)
	}
	if e.Group != 0 {
		f.Group = e.Group
	}
	f.From = max(f.From, e.From)
	f.End, f.First, f.Filter, f.ok = e.End, max(e.First, 0), f.Filter || e.Filter, true
	f.msgs = b.h.arena.add(e.Msgs)
	return ""
}

func (b *builder) completeCommit(e *Event, c *CommitOp) string {
	switch {
	case c.Type != 0:
		return second(e)
	case e.F != Commit:
		return contradicts("f")
	case e.Queue != 0 && e.Queue != c.Queue:
		return contradicts("queue")
	}
	c.Type = e.Type
	if e.Type != Info {
		c.Return = e.T
	}
	return ""
}

func second(e *Event) string { return fmt.Sprintf("a second completion of operation %d", e.Op) }

func contradicts(field string) string {
	return "a completion that contradicts its invoke: " + field
}

// phases of a fault, in their order.
var phases = []string{"start", "down", "restart", "heal"}

func (b *builder) fault(e *Event) string {
	step := e.Fault
	switch {
	case step != nil && step.malformed != "":
		return "a fault with a malformed " + step.malformed
	case step == nil || step.Name == "":
		return "a fault without name"
	case e.Type != Info:
		return "a fault of a type other than info"
	}
	phase := slices.Index(phases, step.Phase)
	if phase < 0 {
		return fmt.Sprintf("unknown phase %q of a fault", step.Phase)
	}
	i, known := b.faults[e.Op]
	if !known {
		if _, found := b.ops.get(b, e.Op); found {
			return fmt.Sprintf("operation %d is used twice", e.Op)
		}
		if phase != 0 {
			return fmt.Sprintf("fault phases out of order: %s without start", step.Phase)
		}
		i = len(b.h.Faults)
		b.faults[e.Op] = i
		b.ops.put(b, e.Op, refOther)
		b.h.Faults = append(b.h.Faults, FaultOp{Op: e.Op, Name: step.Name, Start: -1, Down: -1, Restart: -1, Heal: -1})
	}
	f := &b.h.Faults[i]
	times := []*int64{&f.Start, &f.Down, &f.Restart, &f.Heal}
	for later := phase; later < len(times); later++ {
		if *times[later] >= 0 {
			return fmt.Sprintf("fault phases out of order: %s after %s", step.Phase, phases[later])
		}
	}
	if f.Name != step.Name {
		return fmt.Sprintf("operation %d is of two faults, %s and %s", e.Op, f.Name, step.Name)
	}
	*times[phase] = e.T
	for _, node := range step.Nodes {
		if !slices.Contains(f.Nodes, node) {
			f.Nodes = append(f.Nodes, node)
		}
	}
	if (step.Phase == "down" || step.Phase == "heal") && f.Effect == nil {
		f.Effect = step.Effect
	}
	return ""
}

func (b *builder) role(e *Event) string {
	name := functionNames[e.F]
	group := b.names.name(e.Queue)
	switch _, found := b.ops.get(b, e.Op); {
	case e.Type != Info:
		return "a " + name + " line of a type other than info"
	case e.P != -1:
		return "a " + name + " line of a client other than -1"
	case found:
		return fmt.Sprintf("a %s line with the operation %d of another", name, e.Op)
	case group == "":
		return "a " + name + " line without queueGroup"
	case e.Node == 0:
		return "a " + name + " line without node"
	case e.F == Role && e.Role == "":
		return "a role line without role"
	}
	b.ops.put(b, e.Op, refOther)
	node := b.names.name(e.Node)
	if e.F == CaughtUp {
		b.h.Caught = append(b.h.Caught, CaughtUpOp{Op: e.Op, T: e.T, Node: node, Group: group})
	} else {
		b.h.Roles = append(b.h.Roles, RoleOp{Op: e.Op, T: e.T, Node: node, Group: group, Role: e.Role})
	}
	return ""
}

// finish returns the history; operations without a completion are of unknown outcome.
func (b *builder) finish() *History {
	h := b.h
	for i := range h.Sends {
		if h.Sends[i].Type == 0 {
			h.Sends[i].Type = Info
		}
	}
	for i := range h.Commits {
		if h.Commits[i].Type == 0 {
			h.Commits[i].Type = Info
		}
	}
	h.Fetches = slices.DeleteFunc(h.Fetches, func(f FetchOp) bool { return !f.ok })
	byReturn := func(x, y FetchOp) int {
		return cmp.Or(cmp.Compare(x.Return, y.Return), cmp.Compare(x.Invoke, y.Invoke), cmp.Compare(x.Op, y.Op))
	}
	if !slices.IsSortedFunc(h.Fetches, byReturn) {
		slices.SortFunc(h.Fetches, byReturn)
	}
	slices.SortStableFunc(h.Faults, func(x, y FaultOp) int { return cmp.Compare(x.Start, y.Start) })
	slices.SortStableFunc(h.Roles, func(x, y RoleOp) int { return cmp.Compare(x.T, y.T) })
	slices.SortStableFunc(h.Caught, func(x, y CaughtUpOp) int { return cmp.Compare(x.T, y.T) })
	h.names = b.names.all()
	b.ops = opTable{}
	return h
}

func (b *builder) status(s Sym) uint16 { return number(&b.statuses, &b.h.Statuses, b.names, s) }
func (b *builder) node(s Sym) uint16   { return number(&b.nodes, &b.h.Nodes, b.names, s) }

// number gives symbols of one kind small numbers. Symbols beyond 65535 share the last.
func number(of *[]uint16, words *[]string, names *interner, s Sym) uint16 {
	if s == 0 {
		return 0
	}
	for int(s) >= len(*of) {
		*of = append(*of, make([]uint16, int(s)+1-len(*of))...)
	}
	if n := (*of)[s]; n != 0 {
		return n
	}
	if len(*words) <= math.MaxUint16 {
		*words = append(*words, names.name(s))
	}
	(*of)[s] = uint16(len(*words) - 1)
	return (*of)[s]
}

// queue says that s names a queue, and remembers it.
func (b *builder) queue(s Sym) bool {
	if int(s) < len(b.queues) && b.queues[s] {
		return true
	}
	if !IsQueue(b.names.name(s)) {
		return false
	}
	for int(s) >= len(b.queues) {
		b.queues = append(b.queues, make([]bool, int(s)+1-len(b.queues))...)
	}
	b.queues[s] = true
	return true
}

// IsQueue says that s has the form group/topic/id.
func IsQueue(s string) bool {
	group, rest, ok := strings.Cut(s, "/")
	topic, id, ok2 := strings.Cut(rest, "/")
	if !ok || !ok2 || group == "" || topic == "" || id == "" || len(id) > 18 {
		return false
	}
	return strings.Trim(id, "0123456789") == ""
}
