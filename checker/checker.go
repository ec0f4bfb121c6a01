// Package checker turns a history into a verdict. It composes the checkers of its subpackages and judges nothing itself
// but which finding outweighs which. It sees only the history: no broker, no clock, no network.
// Source: contracts.md sections 3, 5, 6.
package checker

import "holdfast/checker/history"

// Verdict is what a history comes to. Larger is worse, and the worst of several counts.
type Verdict int8

// Verdicts, in their order. Source: contracts.md section 3.
const (
	Kept Verdict = iota
	LossWithinContract
	Inconclusive
	Violated
)

func (v Verdict) String() string {
	return [...]string{"kept", "loss-within-contract", "inconclusive", "violated"}[v]
}

// MarshalText gives the word of the verdict.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// Finding is one anomaly, explained.
type Finding struct {
	Anomaly string   `json:"anomaly"`
	Queue   string   `json:"queue"`
	Ops     []uint64 `json:"ops"`
	Explain string   `json:"explain"`
}

// Result is the judgement of one history. Its JSON is what `check --output json` prints.
type Result struct {
	File         string           `json:"file,omitempty"`
	Verdict      Verdict          `json:"verdict"`
	Linearizable string           `json:"linearizable"` // valid, invalid, unknown
	Acked        map[string]int64 `json:"acked"`        // by status
	Lost         map[string]int64 `json:"lost"`         // by status; only what was lost
	Unknown      int64            `json:"unknown"`      // sends without a definite outcome
	Anomalies    map[string]int64 `json:"anomalies"`    // messages, for polls answers; absent when zero
	Findings     []Finding        `json:"findings"`     // at least one of each anomaly, 100 at most
	Reasons      []string         `json:"reasons"`
	Figures      Figures          `json:"figures"`
}

// Figures are measured beside the verdict. A figure that the history does not give is nil or -1.
type Figures struct {
	Failed     int64            `json:"failed"`                      // sends that certainly did not happen
	Duplicates int64            `json:"duplicates"`                  // copies of messages beyond their first
	Reordered  int64            `json:"reordered"`                   // appends out of real-time order
	Phantoms   int64            `json:"phantoms"`                    // messages delivered that nobody sent
	LostWindow *float64         `json:"lostWindowMS,omitempty"`      // from the first lost acknowledgement to the last, in ms
	LostBefore *float64         `json:"lostBeforeFaultMS,omitempty"` // from the first lost acknowledgement to the fault's start, in ms
	RTO        map[string]int64 `json:"rtoNS,omitempty"`             // queue group -> ns from the last fault's start to the first OK send invoked after it
	Causes     map[string]int64 `json:"causes,omitempty"`            // cause of death -> lost messages
}

// Check judges h by every checker.
func Check(h *history.History) Result { return Result{} }
