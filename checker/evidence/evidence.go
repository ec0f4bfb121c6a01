// Package evidence gathers what a history proves about each queue, once for all checkers: which offset was acknowledged
// for which message, what was delivered from where, in which epochs. It judges nothing.
// Source: contracts.md sections 3 and 6.
package evidence

import (
	"cmp"
	"maps"
	"runtime"
	"slices"
	"sort"
	"strings"
	"sync"
	"sync/atomic"

	"holdfast/checker/history"
	"holdfast/checker/promise"
)

// Evidence is what a history proves. It is read-only once built.
type Evidence struct {
	H      *history.History
	Court  *promise.Court
	Groups map[string]*Group
	Queues []*Queue // by name

	// Unrouted are unknown sends that name no queue.
	Unrouted []uint32

	// LastHeal is the last heal of any fault, -1 without one.
	LastHeal int64

	values *values
	marks  []mark // by send; of a value that is sent more than once, at its first send
}

// mark says what became of a message.
type mark uint8

// Marks of a message.
const (
	Delivered mark = 1 << iota // a poll of the master returned it
	Survived                   // the complete read of the final master returned it
	Replica                    // a read of another node returned it
	Seen                       // any answer returned it
)

// Queue is the evidence about one queue.
type Queue struct {
	Name  string
	Sym   history.Sym
	Group *Group
	Base  int64 // below it all is inherited

	// Acks are the acknowledged sends, by offset, then by Return. Rows are the same.
	Acks []uint32
	Rows []Row
	// Chosen are the unknown sends that name the queue, in the order of H.Sends.
	Chosen []uint32
	// Fetches are the answers of any node, by Return.
	Fetches []uint32

	// Complete is the complete read of the final master; nil: there is none.
	Complete *Complete

	// Extra are the messages that masters returned at offsets at which they were not acknowledged, by offset; of equal
	// ones the first.
	Extra []Sighting
	// Foreign are the first sends of messages that a node other than the master delivered at offsets at which they were
	// not acknowledged.
	Foreign []uint32
	// Strange are messages that no master may return: never sent, failed, corrupt, or before they were sent.
	Strange []Strange
	// Contested are offsets at which more than one value stood, ascending.
	Contested []int64

	// Unique says that no offset was acknowledged twice; false also where offsets are sparse.
	Unique bool

	sends    []history.SendOp
	lo       int64    // offset of start[0]
	start    []uint32 // by offset - lo: index into Acks; nil when offsets are sparse
	extraSet map[extraKey]int
}

// Row is what most walks over acknowledgements need, side by side: walking the sends themselves in the order of offsets
// costs a cache miss each.
type Row struct {
	Offset, Invoke, Return int64
	Value                  uint64
}

// Complete is what two complete reads of one node that agree say.
type Complete struct {
	Node  string
	End   int64
	First int64    // lowest offset that the node held
	Reads []uint32 // fetches with this end, ascending
}

// Sighting is a message as a master returned it.
type Sighting struct {
	Offset int64
	Value  uint64
	Send   uint32 // the first send of the value
	Fetch  uint32 // that returned it first
	Span   Span   // of the first fetch that lies in one epoch; else of the first
}

type extraKey struct {
	offset int64
	value  uint64
}

// Strange is a message that was returned and should not have been.
type Strange struct {
	Why    string // an anomaly's name
	Offset int64
	Value  uint64
	Fetch  uint32
	Send   uint32 // its first send; meaningless when it was never sent
}

// Build gathers the evidence of h.
func Build(h *history.History) *Evidence {
	ev := &Evidence{H: h, Court: promise.NewCourt(h), Groups: groupsOf(h), LastHeal: -1}
	for i := range h.Faults {
		ev.LastHeal = max(ev.LastHeal, h.Faults[i].Heal)
	}
	ev.values = newValues(h.Sends)
	ev.marks = make([]mark, len(h.Sends))
	ev.gather()
	ev.eachQueue(func(q *Queue) {
		q.index()
		ev.complete(q)
		ev.sight(q)
		ev.contested(q)
	})
	return ev
}

// eachQueue calls f for every queue: on all cores, unless values are sent more than once: then two queues may mark one
// message.
func (ev *Evidence) eachQueue(f func(*Queue)) {
	workers := min(runtime.GOMAXPROCS(0), len(ev.Queues))
	if len(ev.values.again) > 0 {
		workers = 1
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(ev.Queues)); i = next.Add(1) - 1 {
				f(ev.Queues[i])
			}
		})
	}
	wg.Wait()
}

// gather finds the queues and hands them their operations.
func (ev *Evidence) gather() {
	h := ev.H
	bySym := map[history.Sym]*Queue{}
	queue := func(sym history.Sym) *Queue {
		q := bySym[sym]
		if q == nil {
			q = &Queue{Name: h.Name(sym), Sym: sym, sends: h.Sends, extraSet: map[extraKey]int{}}
			q.Base = h.Header.Base[q.Name]
			group, _, _ := strings.Cut(q.Name, "/")
			if q.Group = ev.Groups[group]; q.Group == nil {
				q.Group = &Group{Name: group}
				ev.Groups[group] = q.Group
			}
			q.Acks = make([]uint32, 0, h.Acks(sym))
			q.Rows = make([]Row, 0, h.Acks(sym))
			bySym[sym] = q
		}
		return q
	}
	var lastQueue *Queue
	for i := range h.Sends {
		s := &h.Sends[i]
		switch {
		case s.Type == history.OK:
			if lastQueue == nil || lastQueue.Sym != s.Queue {
				lastQueue = queue(s.Queue)
			}
			lastQueue.Acks = append(lastQueue.Acks, uint32(i))
			lastQueue.Rows = append(lastQueue.Rows, Row{s.Offset, s.Invoke, s.Return, s.Value})
		case s.Type == history.Info && s.Queue != 0:
			q := queue(s.Queue)
			q.Chosen = append(q.Chosen, uint32(i))
		case s.Type == history.Info:
			ev.Unrouted = append(ev.Unrouted, uint32(i))
		}
	}
	for i := range h.Fetches {
		q := queue(h.Fetches[i].Queue)
		q.Fetches = append(q.Fetches, uint32(i))
	}
	ev.Queues = slices.SortedFunc(maps.Values(bySym), func(a, b *Queue) int { return cmp.Compare(a.Name, b.Name) })
}

// index sorts the acknowledgements by offset: by counting where offsets are dense.
func (q *Queue) index() {
	if len(q.Acks) == 0 {
		return
	}
	lo, hi := int64(history.Never), int64(0)
	for i := range q.Rows {
		lo, hi = min(lo, q.Rows[i].Offset), max(hi, q.Rows[i].Offset)
	}
	q.lo = lo
	if hi-lo < 4*int64(len(q.Acks)) {
		q.count(lo, hi)
		return
	}
	both := &byOffset{q.Rows, q.Acks}
	sort.Sort(both)
}

// byOffset sorts rows and their sends by offset, then by Return.
type byOffset struct {
	rows []Row
	acks []uint32
}

func (b *byOffset) Len() int { return len(b.rows) }

func (b *byOffset) Less(i, k int) bool {
	x, y := &b.rows[i], &b.rows[k]
	return cmp.Or(cmp.Compare(x.Offset, y.Offset), cmp.Compare(x.Return, y.Return), cmp.Compare(b.acks[i], b.acks[k])) < 0
}

func (b *byOffset) Swap(i, k int) {
	b.rows[i], b.rows[k] = b.rows[k], b.rows[i]
	b.acks[i], b.acks[k] = b.acks[k], b.acks[i]
}

// count sorts by counting; offsets are in [lo, hi].
func (q *Queue) count(lo, hi int64) {
	start := make([]uint32, hi-lo+2)
	for i := range q.Rows {
		start[q.Rows[i].Offset-lo+1]++
	}
	most := uint32(0)
	for i := 1; i < len(start); i++ {
		most = max(most, start[i])
		start[i] += start[i-1]
	}
	acks, rows := make([]uint32, len(q.Acks)), make([]Row, len(q.Rows))
	for i := range q.Rows {
		at := &start[q.Rows[i].Offset-lo]
		acks[*at], rows[*at] = q.Acks[i], q.Rows[i]
		*at++
	}
	copy(start[1:], start[:len(start)-1]) // each had moved on to its end
	start[0] = 0
	q.Acks, q.Rows, q.start, q.Unique = acks, rows, start, most <= 1
	for o := 0; o < len(start)-1 && !q.Unique; o++ {
		if from, to := start[o], start[o+1]; to-from > 1 {
			sort.Sort(&byOffset{rows[from:to], acks[from:to]})
		}
	}
}

// Rank returns how many acknowledgements have an offset below o.
func (q *Queue) Rank(o int64) int {
	if q.start != nil {
		if o <= q.lo {
			return 0
		}
		return int(q.start[min(o-q.lo, int64(len(q.start)-1))])
	}
	i, _ := slices.BinarySearchFunc(q.Rows, o, func(r Row, o int64) int { return cmp.Compare(r.Offset, o) })
	return i
}

// AcksAt returns the acknowledgements of offset o, by Return.
func (q *Queue) AcksAt(o int64) []uint32 {
	from, to := q.at(o)
	return q.Acks[from:to]
}

// at returns the range of Acks with offset o.
func (q *Queue) at(o int64) (from, to int) {
	if q.start != nil {
		if i := o - q.lo; i >= 0 && i < int64(len(q.start)-1) {
			return int(q.start[i]), int(q.start[i+1])
		}
		return 0, 0
	}
	from = q.Rank(o)
	to = from
	for to < len(q.Rows) && q.Rows[to].Offset == o {
		to++
	}
	return from, to
}

// Master says whether a fetch was answered by the node that served the queue during at least a part of it.
func (ev *Evidence) Master(q *Queue, f *history.FetchOp) bool {
	if f.Node == 0 {
		return true
	}
	node := ev.H.Nodes[f.Node]
	return node == q.Group.MasterAt(f.Invoke) || node == q.Group.MasterAt(f.Return)
}

// NodeOf returns the node that answered a fetch.
func (ev *Evidence) NodeOf(q *Queue, f *history.FetchOp) string {
	if f.Node != 0 {
		return ev.H.Nodes[f.Node]
	}
	return q.Group.MasterAt(f.Return)
}

// Ackers returns the nodes that may have acknowledged a send: one, unless it did not say and the master changed meanwhile.
func (ev *Evidence) Ackers(q *Queue, s *history.SendOp) []string {
	if s.Node != 0 {
		return ev.H.Nodes[s.Node : s.Node+1]
	}
	from, to := q.Group.MasterAt(s.Invoke), q.Group.MasterAt(s.Return)
	if from == to {
		return []string{to}
	}
	return []string{from, to}
}

// Span returns the epochs of a send.
func (q *Queue) Span(s *history.SendOp) Span { return q.Group.SpanOf(s.Invoke, s.Return) }

// First returns the first send of a value: marks and retries are found by it.
func (ev *Evidence) First(value uint64) (uint32, bool) { return ev.values.first(value) }

// Again says whether a value is sent more than once.
func (ev *Evidence) Again(first uint32) bool { return len(ev.values.again[first]) > 0 }

// Repeated gives the first send of each value that is sent more than once.
func (ev *Evidence) Repeated() []uint32 { return slices.Sorted(maps.Keys(ev.values.again)) }

// Attempts gives all sends of the value whose first send is first.
func (ev *Evidence) Attempts(first uint32) []uint32 {
	return append([]uint32{first}, ev.values.again[first]...)
}

// Has says whether a message has a mark; send is any of its sends.
func (ev *Evidence) Has(send uint32, m mark) bool { return ev.marks[ev.head(send)]&m != 0 }

// head returns the first send of the value of send.
func (ev *Evidence) head(send uint32) uint32 {
	if len(ev.values.again) == 0 {
		return send
	}
	first, _ := ev.values.first(ev.H.Sends[send].Value)
	return first
}

// FirstAck says whether send is the earliest acknowledgement of its message.
func (ev *Evidence) FirstAck(send uint32) bool {
	head := ev.head(send)
	if !ev.Again(head) {
		return true
	}
	best := send
	for _, i := range ev.Attempts(head) {
		s, b := &ev.H.Sends[i], &ev.H.Sends[best]
		if s.Type == history.OK && (s.Return < b.Return || s.Return == b.Return && i < best) {
			best = i
		}
	}
	return best == send
}

// EarliestInvoke returns the first invoke of any send of the value whose first send is first.
func (ev *Evidence) EarliestInvoke(first uint32) int64 {
	t := ev.H.Sends[first].Invoke
	for _, i := range ev.values.again[first] {
		t = min(t, ev.H.Sends[i].Invoke)
	}
	return t
}
