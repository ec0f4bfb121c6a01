package result

// Trial is one cut of a fault cell, or one run of a fault that cuts nothing.
type Trial struct {
	Seed        uint64           `json:"seed"`
	Verdict     Verdict          `json:"verdict"`
	Acked       map[string]int64 `json:"acked,omitzero"`
	Lost        map[string]int64 `json:"lost,omitzero"`
	WindowMS    float64          `json:"windowMs,omitzero"`
	RTOMS       float64          `json:"rtoMs,omitzero"`       // from the fault to the first OK send; counts when the trial ran Alone
	SinceSyncMS float64          `json:"sinceSyncMs,omitzero"` // from the last fsync of the commit log to the cut; absent when not known

	Effect  map[string]int64 `json:"effect,omitzero"`  // of all faults together
	History string           `json:"history,omitzero"` // path below the directory of results.json
	Reasons []string         `json:"reasons,omitzero"`
	Broken  bool             `json:"broken,omitzero"` // the harness or the system could not run: no verdict of the contract

	// What the cut should have destroyed, from the bytes written to the commit log since that fsync began: in messages and in
	// bytes. Absent where another node serves the queue in the end, for its loss has nothing to do with that disk.
	Predicted      *float64 `json:"predicted,omitzero"`
	PredictedBytes *int64   `json:"predictedBytes,omitzero"`

	Alone         bool          `json:"alone,omitzero"`         // nothing else ran on the machine
	DeliveryRTOMS float64       `json:"deliveryRtoMs,omitzero"` // from the fault to the first delivery; counts when the trial ran Alone
	Faults        []FaultEffect `json:"faults,omitzero"`        // each by itself, in the order of their start

	Availability *Availability `json:"availability,omitzero"` // from the first fault on
	Phases       []Phase       `json:"phases,omitzero"`       // of the first fault; without a fault all is before
	Reads        *ReadTimes    `json:"reads,omitzero"`        // of the consumers
	Stores       []StorePair   `json:"stores,omitzero"`       // where the scenario asks for it
}

// Availability is what senders saw of a fault.
type Availability struct {
	GapMS   float64 `json:"gapMs"`   // longest time without a send that succeeded
	Failed  int64   `json:"failed"`  // messages whose sends all failed for certain
	Unknown int64   `json:"unknown"` // messages of which no send succeeded and one may have
}

// Phase is what was acknowledged and delivered before, during or after the first fault, or after it was over and before its heal was
// verified.
type Phase struct {
	Name      string                `json:"name"` // before, during, healing, after
	Statuses  map[string]StatusTime `json:"statuses"`
	Delivered int64                 `json:"delivered,omitzero"` // messages that consumers got
	GapMS     float64               `json:"gapMs,omitzero"`     // the longest time in which one of them got none; absent without consumers
}

// ReadTimes is when consumers first got what was acknowledged, counted from the acknowledgement: negative before it.
type ReadTimes struct {
	Count      int64   `json:"count"`
	Early      int64   `json:"early"` // more than 50 ms before
	EarliestMS float64 `json:"earliestMs"`
	MedianMS   float64 `json:"medianMs"`
}

// StatusTime is how often a status came in a phase, and when.
type StatusTime struct {
	Count    int64   `json:"count"`
	MedianMS float64 `json:"medianMs"` // from the send to the answer
	MaxMS    float64 `json:"maxMs"`
	FirstMS  float64 `json:"firstMs"` // the first and the last such answer, from the begin of the phase
	LastMS   float64 `json:"lastMs"`
}

// StorePair is two stores of a group, held against each other byte by byte after the trial: that of the node that serves the group, and
// that of another. The first of two figures is the serving node's.
type StorePair struct {
	Nodes     [2]string `json:"nodes"`
	Ends      [2]int64  `json:"ends"`     // bytes of commit log, the last that is not zero included
	Valid     [2]int64  `json:"valid"`    // up to here record follows record
	Compared  int64     `json:"compared"` // bytes that both have
	Differing int64     `json:"differing"`
	Runs      int64     `json:"runs"`            // of differing bytes
	First     int64     `json:"first,omitzero"`  // physical offset of the first difference
	Missing   int64     `json:"missing"`         // messages in the consume queues of the first beyond the ends of those of the other
	Frozen    bool      `json:"frozen,omitzero"` // messages are missing there although its commit log is as long
}

// Equal says that both logs hold the same bytes and are equally long.
func (p StorePair) Equal() bool { return p.Differing == 0 && p.Ends[0] == p.Ends[1] }

// FaultEffect is what one fault of a trial was measured to have done.
type FaultEffect struct {
	Name    string           `json:"name"`            // kill, power ...
	Target  string           `json:"target,omitzero"` // the role that was aimed at
	Nodes   []string         `json:"nodes,omitzero"`  // who had it at that instant
	Effect  map[string]int64 `json:"effect,omitzero"` // processes, bytesLost, files, ms, packets, calls
	StartMS float64          `json:"startMs"`         // ms since the start of the run
	HealMS  float64          `json:"healMs,omitzero"` // verified; absent when it was not
}

// ScheduleStep is one fault of a schedule, as it was asked for.
type ScheduleStep struct {
	Kind     string  `json:"kind"`              // kill, power, partition ...
	Target   string  `json:"target,omitzero"`   // master, slave, all ...
	AtMS     float64 `json:"atMs"`              // after the load has held its rate
	ForMS    float64 `json:"forMs,omitzero"`    // until the recovery begins; absent: at once
	Recovery string  `json:"recovery,omitzero"` // returns, promoted; absent for faults that stop no node
	Params   string  `json:"params,omitzero"`   // figures of the kind, as text: "isolate", "delay 20 ms"
}

// Expectation is what a scenario said must come out, with what did.
type Expectation struct {
	What string `json:"what"` // "lost SEND_OK"
	Want string `json:"want"` // "at most 1,200"
	Got  string `json:"got"`  // "1,002"
	Met  bool   `json:"met"`
}

// Unmet returns the expectations of the cell that failed, in order.
func (c *Cell) Unmet() []Expectation {
	var failed []Expectation
	for _, e := range c.Expect {
		if !e.Met {
			failed = append(failed, e)
		}
	}
	return failed
}

// Process is what a process of the harness itself used and how long it was held up, over the trials of a cell.
type Process struct {
	CPUSeconds float64 `json:"cpuSeconds"` // sum
	StallMS    float64 `json:"stallMs"`    // the longest time in which it did not run although it wanted to
}

// StallMaxMS is how long a process of the harness may be held up before the figures of its cell deserve doubt: a stall of this
// length shows in a lost window and in an RTO.
const StallMaxMS = 100.0
