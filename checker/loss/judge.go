package loss

import (
	"fmt"
	"sort"

	"holdfast/checker/evidence"
	"holdfast/checker/history"
	"holdfast/checker/promise"
)

// Judge holds acknowledgements and deliveries against the faults of a history. It remembers its decisions: of the many
// messages between two steps of faults all have one fate.
type Judge struct {
	ev    *evidence.Evidence
	times []int64 // of all steps that matter, ascending
	known map[caseKey]decision
}

type caseKey struct {
	group     *evidence.Group
	status    int // of History.Statuses; -1 - rank for a delivery
	acker, f  string
	at, until int
}

type decision struct {
	excused bool
	why     string
}

// NewJudge returns the judge of a history.
func NewJudge(ev *evidence.Evidence) *Judge {
	j := &Judge{ev: ev, known: map[caseKey]decision{}}
	for i := range ev.H.Faults {
		f := &ev.H.Faults[i]
		j.times = append(j.times, f.Start, f.Restart)
	}
	for _, c := range ev.H.Caught {
		j.times = append(j.times, c.T)
	}
	for _, r := range ev.H.Roles {
		j.times = append(j.times, r.T)
	}
	sort.Slice(j.times, func(a, b int) bool { return j.times[a] < j.times[b] })
	return j
}

// since returns how many steps came by t. Twice, and one more when a step is at t itself: before differs from at.
func (j *Judge) since(t int64) int {
	n := 2 * sort.Search(len(j.times), func(i int) bool { return j.times[i] > t })
	if n > 0 && j.times[n/2-1] == t {
		n--
	}
	return n
}

// decide asks the court once for each case.
func (j *Judge) decide(key caseKey, ack promise.Ack, until int64) (bool, string) {
	d, found := j.known[key]
	if !found {
		d.excused, d.why = j.ev.Court.Excused(key.group, ack, key.f, until)
		j.known[key] = d
	}
	return d.excused, d.why
}

// Ack says whether one acknowledgement allows its message to be absent from node f at until.
func (j *Judge) Ack(q *evidence.Queue, send uint32, f string, until int64) (bool, string) {
	s := &j.ev.H.Sends[send]
	p, listed := j.ev.Court.Set.Status(j.ev.H.Statuses[s.Status])
	why := ""
	for _, acker := range j.ev.Ackers(q, s) {
		var excused bool
		ack := promise.Ack{Promise: p, Listed: listed, Acker: acker, At: s.Return}
		key := caseKey{q.Group, int(s.Status), acker, f, j.since(s.Return), j.since(until)}
		if excused, why = j.decide(key, ack, until); excused {
			return true, why
		}
	}
	return false, why
}

// Message says whether every acknowledgement of a message allows it to be absent from node f at until.
func (j *Judge) Message(q *evidence.Queue, send uint32, f string, until int64) (bool, string) {
	first, _ := j.ev.First(j.ev.H.Sends[send].Value)
	if !j.ev.Again(first) {
		return j.Ack(q, send, f, until)
	}
	why := ""
	for _, i := range j.ev.Attempts(first) {
		if s := &j.ev.H.Sends[i]; s.Type != history.OK || s.Queue != q.Sym {
			continue
		}
		var excused bool
		if excused, why = j.Ack(q, i, f, until); !excused {
			return false, why
		}
	}
	return true, why
}

// Delivery says whether a poll's answer allows what it returned to be gone from the final master. It is evidence of a
// copy on the node that answered, at the level at which consumers may read.
func (j *Judge) Delivery(q *evidence.Queue, f *history.FetchOp) (bool, string) {
	node, final := j.ev.NodeOf(q, f), q.Group.Final()
	if !j.ev.Master(q, f) && node != final {
		return true, fmt.Sprintf("%s, a replica, delivered it, and %s promised nothing", node, final)
	}
	return j.Evidence(q, node, f.Return, final, history.Never)
}

// Evidence says whether what node delivered by at may be absent from node f at until.
func (j *Judge) Evidence(q *evidence.Queue, node string, at int64, f string, until int64) (bool, string) {
	ack := promise.Ack{Promise: promise.Promise{Acker: j.ev.Court.Set.Reads.Level}, Listed: true, Acker: node, At: at}
	return j.decide(caseKey{q.Group, -1, node, f, j.since(at), j.since(until)}, ack, until)
}
