package result

import "fmt"

// NoFault is the Fault of a performance cell.
const NoFault = "none"

// Cell is one combination of contract, fault and load: a performance cell when Fault is NoFault, else a fault cell.
type Cell struct {
	ID       string   `json:"id"`              // unique in a result, safe as a directory name: sync-master-2.async-flush.power-returns
	System   string   `json:"system,omitzero"` // in a run of several systems: which, as --system takes it
	Contract Contract `json:"contract"`
	Fault    string   `json:"fault"`             // none, kill, power, pause, disk-lost ...
	Target   string   `json:"target,omitzero"`   // master, slave, all
	Recovery string   `json:"recovery,omitzero"` // returns, promoted
	Load     Load     `json:"load"`

	Name     string         `json:"column,omitzero"`   // of the column; absent when Fault, Target and Recovery make it up
	Shows    string         `json:"shows,omitzero"`    // what the column shows, in one sentence
	Schedule []ScheduleStep `json:"schedule,omitzero"` // in the order in which the faults strike; one step or none: a single fault

	// Performance, of fault-free cells.
	Throughput *Throughput        `json:"throughput,omitzero"` // closed loop, saturation
	Latency    *Latency           `json:"latency,omitzero"`    // open loop, at the rate common to all rows
	Lateness   *Lateness          `json:"lateness,omitzero"`
	Stolen     *Stolen            `json:"stolen,omitzero"` // by the host of a virtual machine
	CPU        map[string]float64 `json:"cpu,omitzero"`    // seconds of processor time by process: generator, master, slave
	Memory     map[string]Memory  `json:"memory,omitzero"` // by node, at the end of a closed loop: the largest over the passes

	// Effective configuration, "a-0.flushDiskType" and so on: what the nodes were given, and how their virtual machines were sized.
	Settings map[string]string `json:"settings,omitzero"`

	// Counts, pooled over the cuts of a fault cell.
	Acked   map[string]int64 `json:"acked,omitzero"`   // by SendStatus
	Unknown *int64           `json:"unknown,omitzero"` // sends without a definite outcome
	Failed  *int64           `json:"failed,omitzero"`  // sends that certainly were not stored
	Lost    map[string]int64 `json:"lost,omitzero"`    // acknowledged and absent, by SendStatus; empty, not absent, when nothing was

	LossWindow *Window          `json:"lossWindow,omitzero"` // from the first lost acknowledgement to the cut, the largest over the cuts
	RPO        *RPO             `json:"rpo,omitzero"`
	Duplicates *int64           `json:"duplicates,omitzero"`
	Reordered  *int64           `json:"reordered,omitzero"`
	Phantoms   *int64           `json:"phantoms,omitzero"`
	Anomalies  map[string]int64 `json:"anomalies,omitzero"` // by name, as checkers give them

	Linearizable string `json:"linearizable,omitzero"` // valid, invalid, unknown
	RTO          *RTO   `json:"rto,omitzero"`

	FaultEffect map[string]int64 `json:"faultEffect,omitzero"` // summed over the cuts: processes, bytesLost, files, ms, packets, calls

	Verdict  Verdict   `json:"verdict"`
	Reasons  []string  `json:"reasons,omitzero"` // why, in sentences; of inconclusive always at least one
	History  string    `json:"history,omitzero"` // path below the directory of results.json: the run, or the parent of its trials
	Causes   []Cause   `json:"causes,omitzero"`
	Repeat   string    `json:"repeat,omitzero"` // the command that repeats this cell
	Findings []Finding `json:"findings,omitzero"`

	Partial bool               `json:"partial,omitzero"` // cut short by an interrupt; a resumed matrix measures it anew
	Expect  []Expectation      `json:"expect,omitzero"`  // what the scenario said must come out, and what did
	Harness map[string]Process `json:"harness,omitzero"` // switch, disk, generator: whether the harness itself was in the way

	Control  bool      `json:"control,omitzero"` // must lose something, or the harness is broken
	Trials   []Trial   `json:"trials,omitzero"`  // one a cut, in order
	Series   *Series   `json:"series,omitzero"`
	Timeline *Timeline `json:"timeline,omitzero"` // of one trial
	Seconds  float64   `json:"seconds,omitzero"`  // wall time that the cell took
}

// IsPerformance says whether the cell measured speed, not loss. A scenario without faults has a name and measured loss.
func (c *Cell) IsPerformance() bool { return c.Column() == NoFault }

// Column returns the name of the cell's column, as --faults takes it: kill-returns, power-returns, trickle ...; "none" for
// performance cells.
func (c *Cell) Column() string {
	if c.Name != "" {
		return c.Name
	}
	return Column(c.Fault, c.Target, c.Recovery)
}

// Column names a fault with its target and recovery as --faults takes it.
func Column(fault, target, recovery string) string {
	switch {
	case fault == NoFault || fault == "":
		return NoFault
	case target == "all" && recovery == "returns":
		return fault + "-all"
	case target == "master" || target == "":
		if recovery == "" {
			return fault
		}
		return fault + "-" + recovery
	case recovery == "":
		return fault + "-" + target
	}
	return fault + "-" + target + "-" + recovery
}

// Sum returns the total of counts by status.
func Sum(byStatus map[string]int64) int64 {
	var n int64
	for _, v := range byStatus {
		n += v
	}
	return n
}

// Load is what the generator was asked to do.
type Load struct {
	Offered     float64 `json:"offered,omitzero"` // msg/s of the open loop; absent for a closed loop
	Producers   int     `json:"producers"`
	Outstanding int     `json:"outstanding"` // sends in flight per producer at most
	Size        int     `json:"size"`        // mean body bytes
}

// InFlight is how many sends are in flight at most.
func (l Load) InFlight() int { return l.Producers * l.Outstanding }

// Shape names the load: 16x64.
func (l Load) Shape() string { return fmt.Sprintf("%dx%d", l.Producers, l.Outstanding) }

// Memory is what a process keeps resident, in bytes. Source: RssAnon and RssFile + RssShmem of /proc/PID/status.
type Memory struct {
	Anonymous int64 `json:"anonymous"` // heaps, stacks, buffers: the process's own
	File      int64 `json:"file"`      // pages of mapped files, the page cache's too: stores, jars, programs
}

// Window is a span of time.
type Window struct {
	MS float64 `json:"ms"`
}

// Cause counts lost messages by where they died.
type Cause struct {
	Cause string `json:"cause"` // "in the master's page cache only", "on the replica only" ...
	Count int64  `json:"count"`
}

// Finding is one thing that a checker found.
type Finding struct {
	Anomaly string   `json:"anomaly"`
	Queue   string   `json:"queue,omitzero"`
	Ops     []uint64 `json:"ops,omitzero"`
	Explain string   `json:"explain"`
	Trial   int      `json:"trial,omitzero"` // counted from 1; absent when the cell has one history
}
