// Package result is the form of results.json: what one matrix, bench or run measured, cell by cell, and how sure it is.
// It reads the file strictly, writes it atomically after each finished cell, and holds the few sums that every
// reader must do alike: bounds, medians, claims. It draws nothing and imports nothing of holdfast.
// Source: contracts.md section 4.
package result

import "time"

// Schema is the version of the form. Fields are added freely; to change or drop one raises it.
const Schema = 1

// Attached is the World of a cluster that ran anyway: nothing is known of its machines.
const Attached = "attached"

// FileName is the name of the results in the directory of a matrix.
const FileName = "results.json"

// Result is all that one invocation measured. A figure that was not measured is absent.
type Result struct {
	Schema       int       `json:"schema"` // always Schema
	Tool         Tool      `json:"tool"`
	Started      time.Time `json:"started"`
	Finished     time.Time `json:"finished,omitzero"` // absent while the matrix runs, and when it was interrupted
	Seed         uint64    `json:"seed"`
	World        string    `json:"world"`  // of the fault cells: sandbox, loopback, sim, or attached; performance cells always run in loopback
	System       System    `json:"system"` // the first of Systems
	Host         Host      `json:"host"`
	ConfigDigest string    `json:"configDigest"` // hash of everything that makes two runs comparable; a resume with another one is refused
	Verdict      Verdict   `json:"verdict"`      // the worst of Cells
	Claims       []Claim   `json:"claims"`
	Cells        []Cell    `json:"cells"`

	Systems     []System  `json:"systems,omitzero"`     // of a run of several: all, in print order; absent: System alone
	Settings    []Setting `json:"settings,omitzero"`    // the effective configuration, in print order
	Notes       []string  `json:"notes,omitzero"`       // what a reader must know of all cells: shortened HA intervals, a world that fell back
	Interrupted bool      `json:"interrupted,omitzero"` // ended by SIGINT before the last cell
	Planned     int       `json:"planned,omitzero"`     // cells that the matrix has when complete
	Scenario    string    `json:"scenario,omitzero"`    // of a single scenario: its name; absent for a matrix
	Command     string    `json:"command,omitzero"`     // the command line that repeats the whole
	Rows        []Row     `json:"rows,omitzero"`        // how to repeat each row
	Goals       []Goal    `json:"goals,omitzero"`       // of a bench of several systems: how many times faster, smaller, quicker
	Agreement   []Pair    `json:"agreement,omitzero"`   // of the reference broker with the systems that it imitates
}

// Row is one contract of the matrix.
type Row struct {
	System   string   `json:"system,omitzero"` // as Cell.System
	Contract Contract `json:"contract"`
	Repeat   string   `json:"repeat"` // the command that repeats all cells of the row
}

// Tool is the program that measured.
type Tool struct {
	Version string `json:"version"`
	Commit  string `json:"commit"`
}

// System is what was measured.
type System struct {
	Name    string `json:"name"`             // reference, rocketmq, jetstream, kafka
	Version string `json:"version,omitzero"` // 5.5.0
	Profile string `json:"profile,omitzero"` // rocketmq-4.9, rocketmq-5, holdfast
	Tuned   bool   `json:"tuned,omitzero"`   // with the settings that operators choose for throughput, none of which weakens a promise
}

// String returns the system as --system takes it: reference:rocketmq-5, rocketmq:5.5.0, rocketmq:5.5.0:tuned.
func (s System) String() string {
	detail := s.Version
	if detail == "" {
		detail = s.Profile
	}
	name := s.Name
	if detail != "" {
		name += ":" + detail
	}
	if s.Tuned {
		name += ":tuned"
	}
	return name
}

// Compared returns the systems of the run, in print order: one or more.
func (r *Result) Compared() []System {
	if len(r.Systems) > 0 {
		return r.Systems
	}
	return []System{r.System}
}

// Host is the machine, as far as it bears on the figures.
type Host struct {
	Name         string  `json:"name,omitzero"`
	CPU          string  `json:"cpu"`
	Cores        int     `json:"cores"`
	Kernel       string  `json:"kernel"`
	Filesystem   string  `json:"filesystem"` // of the stores in performance cells
	Fsync        Fsync   `json:"fsync"`
	FsyncTrusted bool    `json:"fsyncTrusted"` // false on tmpfs, on an overlay without a disk, or when p50 < 20 us
	RTT          float64 `json:"rtt"`          // ms, median round trip between nodes
	SharedDisk   bool    `json:"sharedDisk"`   // all nodes on one disk
}

// Fsync is how long fdatasync of 4 KiB took on the file system of the stores.
type Fsync struct {
	P50  float64 `json:"p50"`
	P99  float64 `json:"p99"`
	Unit string  `json:"unit"` // always ms
}

// Setting is one effective value of the configuration.
type Setting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Cell returns the cell with this id, or nil.
func (r *Result) Cell(id string) *Cell {
	for i := range r.Cells {
		if r.Cells[i].ID == id {
			return &r.Cells[i]
		}
	}
	return nil
}

// Put adds a finished cell, or replaces the one with its id, and derives Verdict and Claims anew.
func (r *Result) Put(c Cell) {
	if old := r.Cell(c.ID); old != nil {
		*old = c
	} else {
		r.Cells = append(r.Cells, c)
	}
	r.Derive()
}

// Derive computes Verdict and Claims from Cells.
func (r *Result) Derive() {
	r.Verdict = Kept
	if len(r.Cells) == 0 {
		r.Verdict = Inconclusive
	}
	for i := range r.Cells {
		r.Verdict = Worse(r.Verdict, r.Cells[i].Verdict)
	}
	r.Claims = OneMachineMayFail(r.Cells)
	r.Agreement = agreement(r)
}
