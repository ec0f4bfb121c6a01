package soak

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"holdfast/checker"
	"holdfast/loadgen"
)

// Report is what a soak found. It is soak.json.
type Report struct {
	Schema   int            `json:"schema"` // 1
	Verdict  string         `json:"verdict"`
	Reasons  []string       `json:"reasons"` // of a verdict that is not kept
	Contract string         `json:"contract"`
	Seed     uint64         `json:"seed"`
	Started  time.Time      `json:"started"`
	Seconds  float64        `json:"seconds"` // of the load, as asked for
	Rate     int            `json:"rate"`    // msg/s offered
	Acked    int64          `json:"acked"`
	Failed   int64          `json:"failed"`
	Unknown  int64          `json:"unknown"`
	Faults   map[string]int `json:"faults"` // by kind and target
	Members  Tally          `json:"members"`
	Groups   []Group        `json:"groups"`
	Nodes    []Node         `json:"nodes"`
	Bounds   []string       `json:"bounds"`
	Growth   []Grown        `json:"growth"`
	History  checker.Result `json:"history"`
}

// Group is what a consumer group was given.
type Group struct {
	Name    string   `json:"name"`
	Topic   string   `json:"topic"`
	Ordered bool     `json:"ordered"`
	Given   int64    `json:"given"` // messages, each counted once
	Again   int64    `json:"again"` // deliveries beyond the first
	Moves   int64    `json:"moves"` // of queues from a member to another
	Missing int64    `json:"missing"`
	Missed  []Missed `json:"missed,omitempty"` // the first of them
	Skipped int64    `json:"skipped"`          // deliveries before a smaller offset was: of an ordered group, wrong
	Skips   []Skip   `json:"skips,omitempty"`  // the first of them
}

// Missed is a message that the group was never given.
type Missed struct {
	Queue  int   `json:"queue"`
	Offset int64 `json:"offset"`
}

// Verdicts of a soak.
const (
	Kept         = "kept"         // nothing lost, nothing out of order, nothing grown
	Failed       = "failed"       // one of these
	Inconclusive = "inconclusive" // it does not show what a soak is to show
)

func newReport(cfg Config) *Report {
	r := &Report{
		Schema: 1, Contract: cfg.Contract.String(), Seed: cfg.Seed, Started: time.Now().UTC().Truncate(time.Second), Seconds: cfg.For.Seconds(), Rate: cfg.Rate,
		Faults: map[string]int{}, Reasons: []string{},
	}
	for _, b := range bounds {
		r.Bounds = append(r.Bounds, b.Text())
	}
	return r
}

// count adds what a load did.
func (r *Report) count(_ *stream, sum *loadgen.Summary) {
	for _, n := range sum.Acked {
		r.Acked += n
	}
	r.Failed += sum.Failed
	r.Unknown += sum.Unknown
}

// conclude gives the verdict.
func (r *Report) conclude() {
	var wrong []string
	switch h := &r.History; {
	case h.Verdict == checker.Violated, h.Verdict == checker.LossWithinContract:
		wrong = append(wrong, fmt.Sprintf("the history is %s: lost %v, anomalies %v; %s", h.Verdict, h.Lost, h.Anomalies, strings.Join(h.Reasons, "; ")))
	case h.Verdict != checker.Kept:
		r.Reasons = append(r.Reasons, "the history is inconclusive: "+strings.Join(h.Reasons, "; "))
	}
	for _, g := range r.Groups {
		if g.Missing > 0 {
			wrong = append(wrong, fmt.Sprintf("%s was never given %d messages of %s, such as %v", g.Name, g.Missing, g.Topic, g.Missed))
		}
		if g.Skipped > 0 {
			wrong = append(wrong, fmt.Sprintf("%s was given %d messages before earlier ones of their queue, such as %v", g.Name, g.Skipped, g.Skips))
		}
		if g.Moves < int64(len(r.Groups)) {
			r.Reasons = append(r.Reasons, fmt.Sprintf("%s: no queue moved from a member to another", g.Name))
		}
	}
	for _, g := range r.Growth {
		if !g.Ok {
			wrong = append(wrong, fmt.Sprintf("%s has more %s over %s: %.4g early, %.4g late, at most %.4g allowed", g.Node, g.What, g.Over, g.Early, g.Late, g.Bound))
		}
	}
	if len(r.Growth) == 0 {
		r.Reasons = append(r.Reasons, fmt.Sprintf("no process was looked at %d times beyond its first %d s: growth is not known", samplesMin, youngSeconds))
	}
	for _, n := range r.Nodes {
		if n.Goroutines == nil {
			r.Reasons = append(r.Reasons, n.Name+": its goroutines were not measured")
		}
	}
	for _, f := range rounds {
		if name := fmt.Sprintf("%s %s", f.Kind, f.Target); r.Faults[name] == 0 {
			r.Reasons = append(r.Reasons, "no "+name+" within the time")
		}
	}
	if r.Members.Left == 0 || r.Members.Crashed == 0 {
		r.Reasons = append(r.Reasons, "no member left, or none crashed")
	}
	if r.Members.Died > 0 {
		r.Reasons = append(r.Reasons, fmt.Sprintf("%d members ended by themselves; see members.log", r.Members.Died))
	}
	switch {
	case len(wrong) > 0:
		r.Verdict, r.Reasons = Failed, append(wrong, r.Reasons...)
	case len(r.Reasons) > 0:
		r.Verdict = Inconclusive
	default:
		r.Verdict = Kept
	}
}

// Write prints the report for people.
func (r *Report) Write(w io.Writer) {
	fmt.Fprintf(w, "soak of %v, %s, %d msg/s offered: %s\n", time.Duration(r.Seconds*1e9), r.Contract, r.Rate, r.Verdict)
	for _, reason := range r.Reasons {
		fmt.Fprintf(w, "  %s\n", reason)
	}
	fmt.Fprintf(w, "acknowledged %d, failed %d, unknown %d; complete reads of every replica: %s, linearizable: %s\n", r.Acked, r.Failed, r.Unknown, r.History.Verdict, r.History.Linearizable)
	var faults []string
	for _, name := range slices.Sorted(maps.Keys(r.Faults)) {
		faults = append(faults, fmt.Sprintf("%s %d", name, r.Faults[name]))
	}
	fmt.Fprintf(w, "faults: %s\n%s\n", strings.Join(faults, ", "), r.Members)
	for _, g := range r.Groups {
		kind := "at least once"
		if g.Ordered {
			kind = "in order"
		}
		fmt.Fprintf(w, "%s (%s, %s): given %d, missing %d, skipped %d, given again %d; queues moved %d times\n", g.Name, g.Topic, kind, g.Given, g.Missing, g.Skipped, g.Again, g.Moves)
	}
	for _, n := range r.Nodes {
		goroutines := "not measured"
		if n.Goroutines != nil {
			goroutines = n.Goroutines.String()
		}
		fmt.Fprintf(w, "%-3s processes %d, looks %d; median (least-most): anonymous MiB %v, goroutines %s, files and sockets %v, of the store %v, threads %v\n",
			n.Name, n.Lives, n.Looks, n.Anonymous, goroutines, n.Open, n.StoreOpen, n.Threads)
	}
	fmt.Fprintf(w, "growth, median of the last third of the looks against that of the first, over the run and over each process, beyond its first %d s:\n", youngSeconds)
	for _, b := range bounds {
		worst, n := worstOf(r.Growth, b.Name)
		if n == 0 {
			fmt.Fprintf(w, "  %s: not measured\n", b.Text())
			continue
		}
		fmt.Fprintf(w, "  %s: nearest to that %s over %s, %.4g early, %.4g late (%d comparisons)\n", b.Text(), worst.Node, worst.Over, worst.Early, worst.Late, n)
	}
}

// worstOf is the comparison that leaves the least room, of n.
func worstOf(grown []Grown, what string) (worst Grown, n int) {
	for _, g := range grown {
		if g.What != what {
			continue
		}
		if n++; n == 1 || g.Bound-g.Late < worst.Bound-worst.Late {
			worst = g
		}
	}
	return worst, n
}
