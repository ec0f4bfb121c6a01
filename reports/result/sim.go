package result

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// SimSchema is the version of sim.json. Fields are added freely; to change or drop one raises it.
const SimSchema = 1

// SimName is the name of the results in the directory of a search.
const SimName = "sim.json"

// Sim is what a search of seeds in the simulator found.
type Sim struct {
	Schema   int          `json:"schema"` // always SimSchema
	Tool     Tool         `json:"tool"`
	Scenario string       `json:"scenario"`
	System   string       `json:"system"`
	From     uint64       `json:"from"` // first and last seed, both included
	To       uint64       `json:"to"`
	Shard    int          `json:"shard,omitzero"` // of the seeds every Of-th, from this one on; absent: all
	Of       int          `json:"of,omitzero"`
	Rows     []SimRow     `json:"rows"`
	Failures []SimFailure `json:"failures"`
	Wanted   []string     `json:"wanted,omitzero"` // marks that the scenario names
}

// SimRow is the search of one contract.
type SimRow struct {
	Contract   string         `json:"contract"`
	Seeds      int            `json:"seeds"`
	Seconds    float64        `json:"seconds"`
	Virtual    float64        `json:"virtualSeconds"` // of all runs
	Operations int64          `json:"operations"`     // sends, polls, commits and reads of all runs
	Verdicts   map[string]int `json:"verdicts"`       // runs by verdict
	Marks      map[string]int `json:"marks"`          // how often each named state was reached
	Why        string         `json:"why,omitzero"`   // of the first run that proves nothing
}

// SimFailure is a run that broke a promise.
type SimFailure struct {
	Contract  string   `json:"contract"`
	Seed      uint64   `json:"seed"`
	TraceHash string   `json:"traceHash"`
	Violated  []string `json:"violated"` // anomalies
	Findings  []string `json:"findings"`
	Faults    int      `json:"faults"`
	Messages  int      `json:"messages"`
	Shrunk    bool     `json:"shrunk,omitzero"` // the smallest case of the one before
	Replay    string   `json:"replay"`          // command
}

// Missing lists the wanted marks that no run reached.
func (s *Sim) Missing() []string {
	var missing []string
	for _, mark := range s.Wanted {
		if !slices.ContainsFunc(s.Rows, func(r SimRow) bool { return r.Marks[mark] > 0 }) {
			missing = append(missing, mark)
		}
	}
	return missing
}

// WriteSim writes sim.json into dir, all of it or nothing.
func WriteSim(dir string, s *Sim) error {
	data, err := json.MarshalIndent(s, "", " ")
	if err != nil {
		return err
	}
	return WriteFile(filepath.Join(dir, SimName), append(data, '\n'))
}

// ReadSim reads the results of a search. The error wraps os.ErrNotExist, ErrMalformed or ErrSchema.
func ReadSim(dir string) (*Sim, error) {
	path := filepath.Join(dir, SimName)
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var s Sim
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrMalformed, path, err)
	}
	if s.Schema != SimSchema {
		return nil, fmt.Errorf("%w: %s has schema %d, known is %d", ErrSchema, path, s.Schema, SimSchema)
	}
	return &s, nil
}

// ErrShards says that results are not the shards of one search.
var ErrShards = errors.New("not the shards of one search")

// MergeSim joins the shards of one search. Seeds that no shard has are an ErrShards, as are seeds that two have.
func MergeSim(shards []*Sim) (*Sim, error) {
	if len(shards) == 0 {
		return nil, fmt.Errorf("%w: there are none", ErrShards)
	}
	first := shards[0]
	all := &Sim{Schema: SimSchema, Tool: first.Tool, Scenario: first.Scenario, System: first.System, From: first.From, To: first.To, Wanted: first.Wanted}
	seen := map[int]bool{}
	for _, s := range shards {
		if s.Scenario != first.Scenario || s.System != first.System || s.From != first.From || s.To != first.To || max(s.Of, 1) != max(first.Of, 1) || s.Tool.Commit != first.Tool.Commit {
			return nil, fmt.Errorf("%w: %s of %s, seeds %d..%d, %d shards, commit %s beside %s of %s, seeds %d..%d, %d shards, commit %s", ErrShards,
				s.Scenario, s.System, s.From, s.To, max(s.Of, 1), s.Tool.Commit, first.Scenario, first.System, first.From, first.To, max(first.Of, 1), first.Tool.Commit)
		}
		if seen[s.Shard] {
			return nil, fmt.Errorf("%w: shard %d is there twice", ErrShards, s.Shard)
		}
		seen[s.Shard] = true
		for _, row := range s.Rows {
			all.row(row)
		}
		all.Failures = append(all.Failures, s.Failures...)
	}
	if missing := max(first.Of, 1) - len(shards); missing > 0 {
		return nil, fmt.Errorf("%w: %d of %d are missing", ErrShards, missing, first.Of)
	}
	return all, nil
}

// row adds a shard's row to that of its contract.
func (s *Sim) row(r SimRow) {
	i := slices.IndexFunc(s.Rows, func(known SimRow) bool { return known.Contract == r.Contract })
	if i < 0 {
		s.Rows = append(s.Rows, SimRow{Contract: r.Contract, Verdicts: map[string]int{}, Marks: map[string]int{}})
		i = len(s.Rows) - 1
	}
	sum := &s.Rows[i]
	sum.Seeds, sum.Seconds, sum.Virtual, sum.Operations = sum.Seeds+r.Seeds, sum.Seconds+r.Seconds, sum.Virtual+r.Virtual, sum.Operations+r.Operations
	for v, n := range r.Verdicts {
		sum.Verdicts[v] += n
	}
	for m, n := range r.Marks {
		sum.Marks[m] += n
	}
	if sum.Why == "" {
		sum.Why = r.Why
	}
}
