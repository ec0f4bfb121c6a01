// Package checker turns a history into a verdict. It composes the checkers of its subpackages and judges nothing itself
// but which finding outweighs which, and whether the run can tell anything at all. It sees only the history: no broker,
// no clock, no network.
// Source: contracts.md sections 3, 5, 6.
package checker

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"holdfast/checker/anomaly"
	"holdfast/checker/evidence"
	"holdfast/checker/history"
	"holdfast/checker/linear"
	"holdfast/checker/loss"
	"holdfast/checker/offsets"
	"holdfast/checker/order"
	"holdfast/checker/replicas"
)

// Verdict is what a history comes to. Larger is worse, and the worst of several counts.
type Verdict int8

// Verdicts, in their order. Source: contracts.md section 3.
const (
	Kept Verdict = iota
	LossWithinContract
	Inconclusive
	Violated
)

var verdictNames = [...]string{"kept", "loss-within-contract", "inconclusive", "violated"}

func (v Verdict) String() string { return verdictNames[v] }

// MarshalText gives the word of the verdict.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText reads the word of a verdict.
func (v *Verdict) UnmarshalText(text []byte) error {
	i := slices.Index(verdictNames[:], string(text))
	if i < 0 {
		return fmt.Errorf("checker: unknown verdict %q", text)
	}
	*v = Verdict(i)
	return nil
}

// Finding is one anomaly, explained.
type Finding = anomaly.Finding

// Words of Result.Linearizable.
const (
	Valid   = "valid"
	Invalid = "invalid"
	Unknown = "unknown"
)

// Result is the judgement of one history. Its JSON is what `check --output json` prints.
type Result struct {
	File         string           `json:"file,omitempty"`
	Verdict      Verdict          `json:"verdict"`
	Linearizable string           `json:"linearizable"`       // valid, invalid, unknown
	Acked        map[string]int64 `json:"acked"`              // messages by the status of their first acknowledgement
	Lost         map[string]int64 `json:"lost"`               // of these; only what was lost
	Unknown      int64            `json:"unknown"`            // sends without a definite outcome
	Anomalies    map[string]int64 `json:"anomalies"`          // messages, for polls answers; absent when zero
	Violated     []string         `json:"violated,omitempty"` // anomalies that break a promise, where a verdict may be founded on them
	Findings     []Finding        `json:"findings"`           // at least one of each anomaly, 100 at most
	Reasons      []string         `json:"reasons"`
	Figures      Figures          `json:"figures"`
}

// Figures are measured beside the verdict. A figure that the history does not give is nil.
type Figures struct {
	Failed     int64            `json:"failed"`                      // sends that certainly did not happen
	Duplicates int64            `json:"duplicates"`                  // copies of messages beyond their first
	Reordered  int64            `json:"reordered"`                   // operations out of real-time order
	Phantoms   int64            `json:"phantoms"`                    // messages delivered that nobody sent
	LostWindow *float64         `json:"lostWindowMS,omitempty"`      // from the first lost acknowledgement to the last, in ms
	LostBefore *float64         `json:"lostBeforeFaultMS,omitempty"` // from the first lost acknowledgement to the start of the first fault after it, in ms
	RTO        map[string]int64 `json:"rtoNS,omitempty"`             // queue group -> longest ns from a fault's start to the first OK send invoked after it
	// DeliveryRTO is RTO for the first poll that brought a message.
	DeliveryRTO map[string]int64 `json:"deliveryRtoNS,omitempty"`
	Causes      map[string]int64 `json:"causes,omitempty"` // cause of death -> lost messages
}

// Check judges h by every checker.
func Check(h *history.History) Result {
	ev := evidence.Build(h)
	var (
		lost              *loss.Result
		contents          *order.Result
		times             *linear.Result
		copies, consumers *anomaly.Report
		wg                sync.WaitGroup
	)
	wg.Go(func() { lost = loss.Check(ev) })
	wg.Go(func() { contents = order.Check(ev) })
	wg.Go(func() { times = linear.Check(ev) })
	wg.Go(func() { copies = replicas.Check(ev) })
	wg.Go(func() { consumers = offsets.Check(ev) })
	wg.Wait()
	var all anomaly.Report
	for _, r := range []*anomaly.Report{&contents.Report, &times.Report, &lost.Report, copies, consumers} {
		all.Merge(r)
	}
	r := Result{
		Linearizable: Valid,
		Acked:        lost.Acked,
		Lost:         lost.Lost,
		Anomalies:    all.Counts(),
		Findings:     all.Findings(anomaly.FindingsMax),
		Reasons:      []string{},
	}
	damaged := len(h.Cut) > 0 // what is missing may be the send that a phantom wants, or the fault that excuses a loss
	if damaged {
		r.Linearizable = Unknown
	} else if len(contents.Invalid)+len(times.Invalid) > 0 {
		r.Linearizable = Invalid
	}
	var failed int64
	for i := range h.Sends {
		switch h.Sends[i].Type {
		case history.Info:
			r.Unknown++
		case history.Fail:
			failed++
		}
	}
	r.Figures = figures(ev, lost)
	r.Figures.Failed = failed
	r.Figures.Duplicates = contents.Copies
	r.Figures.Reordered = all.Count(anomaly.RealtimeOrder)
	r.Figures.Phantoms = all.Count(anomaly.Phantom)
	doubts := doubts(ev, lost)
	switch {
	case all.Worst() == anomaly.Violation && !damaged:
		r.Verdict, r.Violated = Violated, all.Violated()
		r.Reasons = append(r.Reasons, "promised and not kept: "+strings.Join(r.Violated, ", "))
	case len(doubts) > 0:
		r.Verdict = Inconclusive
	case all.Worst() == anomaly.Excused:
		r.Verdict = LossWithinContract
	}
	r.Reasons = append(r.Reasons, doubts...)
	if reason := ev.Court.Set.Reason; reason != "" {
		r.Reasons = append(r.Reasons, reason)
	}
	return r
}

// Compose joins the results of several histories of one cell: counts add up, the worst verdict counts.
func Compose(results ...Result) Result {
	total := Result{Linearizable: Valid, Acked: map[string]int64{}, Lost: map[string]int64{}, Anomalies: map[string]int64{},
		Findings: []Finding{}, Reasons: []string{}, Figures: Figures{RTO: map[string]int64{}, DeliveryRTO: map[string]int64{}, Causes: map[string]int64{}}}
	for _, r := range results {
		total.Verdict = max(total.Verdict, r.Verdict)
		switch {
		case r.Linearizable == Invalid, r.Linearizable == Unknown && total.Linearizable == Valid:
			total.Linearizable = r.Linearizable
		}
		add(total.Acked, r.Acked)
		add(total.Lost, r.Lost)
		add(total.Anomalies, r.Anomalies)
		add(total.Figures.Causes, r.Figures.Causes)
		total.Unknown += r.Unknown
		total.Figures.Failed += r.Figures.Failed
		total.Figures.Duplicates += r.Figures.Duplicates
		total.Figures.Reordered += r.Figures.Reordered
		total.Figures.Phantoms += r.Figures.Phantoms
		total.Figures.LostWindow = largest(total.Figures.LostWindow, r.Figures.LostWindow)
		total.Figures.LostBefore = largest(total.Figures.LostBefore, r.Figures.LostBefore)
		for group, ns := range r.Figures.RTO {
			total.Figures.RTO[group] = max(total.Figures.RTO[group], ns)
		}
		for group, ns := range r.Figures.DeliveryRTO {
			total.Figures.DeliveryRTO[group] = max(total.Figures.DeliveryRTO[group], ns)
		}
		total.Findings = append(total.Findings, r.Findings[:min(len(r.Findings), anomaly.FindingsMax-len(total.Findings))]...)
		for _, reason := range r.Reasons {
			if !slices.Contains(total.Reasons, reason) {
				total.Reasons = append(total.Reasons, reason)
			}
		}
	}
	return total
}

func add(to, from map[string]int64) {
	for _, key := range slices.Sorted(maps.Keys(from)) {
		to[key] += from[key]
	}
}

func largest(a, b *float64) *float64 {
	if a == nil || b != nil && *b > *a {
		return b
	}
	return a
}
