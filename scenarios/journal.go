package scenarios

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"holdfast/checker/history"
)

// nemesisClient is the client of the nemesis in a history. Source: contracts.md section 3.
const nemesisClient = -1

// journal writes the lines of the nemesis: one shard of the history.
type journal struct {
	mu     sync.Mutex // over the shard: a system that elects changes roles whenever it will
	rec    *history.Recorder
	shard  *history.Shard
	faults map[string]uint64 // operation of each fault under way, by name and nodes

	effect      map[string]int64 // of all faults, summed
	sinceSync   time.Duration    // before the first cut
	recordBytes float64          // of a message in the commit log, on average, at the last aim
}

// NewStamps returns what writes the lines of the nemesis into a history.
func NewStamps(rec *history.Recorder) (Stamps, error) { return newJournal(rec) }

func newJournal(rec *history.Recorder) (*journal, error) {
	shard, err := rec.Shard(nemesisClient)
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	return &journal{rec: rec, shard: shard, faults: map[string]uint64{}, effect: map[string]int64{}}, nil
}

// Fault records a phase now. The phases of a fault share one operation.
func (j *journal) Fault(step history.FaultStep) {
	j.mu.Lock()
	defer j.mu.Unlock()
	key := step.Name + " " + strings.Join(step.Nodes, " ")
	op, known := j.faults[key]
	if !known || step.Phase == "start" {
		op = j.shard.NextOp()
		j.faults[key] = op
	}
	for unit, n := range step.Effect {
		j.effect[unit] += n
	}
	j.record(history.Event{F: history.FaultF, Op: op, Fault: &step})
}

// Role records that node serves group from now on.
func (j *journal) Role(group, node string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.record(history.Event{F: history.Role, Op: j.shard.NextOp(), Queue: j.rec.Sym(group), Node: j.rec.Sym(node), Role: "master"})
}

// CaughtUp records that node was verified to hold all that the master of group holds.
func (j *journal) CaughtUp(group, node string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.record(history.Event{F: history.CaughtUp, Op: j.shard.NextOp(), Queue: j.rec.Sym(group), Node: j.rec.Sym(node)})
}

func (j *journal) record(e history.Event) {
	e.T, e.P, e.Type = j.rec.Now(), nemesisClient, history.Info
	e.At, e.Offset, e.From, e.End, e.Epoch = e.T, -1, -1, -1, -1
	j.shard.Record(&e)
}
