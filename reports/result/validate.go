package result

import (
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"
)

// Validate returns the first breach of the form, with the name of its field; it wraps ErrSchema or ErrMalformed.
func (r *Result) Validate() error {
	if r.Schema != Schema {
		return fmt.Errorf("%w: schema: %d, want %d", ErrSchema, r.Schema, Schema)
	}
	v := &validator{}
	v.word("world", r.World)
	v.word("system.name", r.System.Name)
	v.word("configDigest", r.ConfigDigest)
	v.check(!r.Started.IsZero(), "started", "missing")
	v.verdict("verdict", r.Verdict)
	v.number("host.rtt", r.Host.RTT)
	v.number("host.fsync.p50", r.Host.Fsync.P50)
	v.number("host.fsync.p99", r.Host.Fsync.P99)
	seen := map[string]bool{}
	for i := range r.Cells {
		at := fmt.Sprintf("cells[%d].", i)
		id := r.Cells[i].ID
		v.check(!seen[id], at+"id", fmt.Sprintf("%q stands twice", id))
		seen[id] = true
		v.cell(at, &r.Cells[i])
	}
	for i, c := range r.Claims {
		at := fmt.Sprintf("claims[%d].", i)
		v.word(at+"claim", c.Claim)
		v.check(slices.Contains([]Standing{Holds, Refuted, Untested}, c.Standing), at+"standing", fmt.Sprintf("%q, want holds, refuted or inconclusive", c.Standing))
		v.probability(at+"upper95", c.Upper95)
	}
	return v.err
}

// validator keeps the first error.
type validator struct{ err error }

func (v *validator) check(ok bool, field, rule string) {
	if !ok && v.err == nil {
		v.err = fmt.Errorf("%w: %s: %s", ErrMalformed, field, rule)
	}
}

func (v *validator) word(field, s string) { v.check(s != "", field, "missing") }

func (v *validator) verdict(field string, w Verdict) {
	v.check(w.Rank() >= 0, field, fmt.Sprintf("%q, want kept, loss-within-contract, inconclusive or violated", w))
}

func (v *validator) number(field string, f float64) {
	v.check(f >= 0 && !math.IsInf(f, 0), field, fmt.Sprintf("%v, want a number from 0", f)) // NaN fails every comparison
}

// optional checks a figure that may not have been measured.
func (v *validator) optional(field string, f *float64) {
	if f != nil {
		v.number(field, *f)
	}
}

func (v *validator) probability(field string, f float64) {
	v.check(f >= 0 && f <= 1, field, fmt.Sprintf("%v, want 0 to 1", f))
}

func (v *validator) counts(field string, m map[string]int64) {
	for _, name := range Names(m) {
		v.check(m[name] >= 0, field+"."+name, fmt.Sprintf("%d, want a count from 0", m[name]))
	}
}

func (v *validator) count(field string, n *int64) {
	v.check(n == nil || *n >= 0, field, "negative")
}

// local refuses a path that leaves the directory of the results.
func (v *validator) local(field, path string) {
	v.check(path == "" || filepath.IsLocal(path), field, fmt.Sprintf("%q is not below the directory of the results", path))
}

func (v *validator) cell(at string, c *Cell) {
	v.word(at+"id", c.ID)
	v.check(!strings.ContainsAny(c.ID, `/\`) && c.ID != "." && c.ID != "..", at+"id", fmt.Sprintf("%q is no directory name", c.ID))
	v.word(at+"contract", c.Contract.String())
	v.word(at+"fault", c.Fault)
	v.verdict(at+"verdict", c.Verdict)
	v.check(c.Verdict != Inconclusive || len(c.Reasons) > 0, at+"reasons", "inconclusive without a reason")
	v.number(at+"load.offered", c.Load.Offered)
	v.performance(at, c)
	v.counts(at+"acked", c.Acked)
	v.counts(at+"lost", c.Lost)
	v.counts(at+"anomalies", c.Anomalies)
	v.counts(at+"faultEffect", c.FaultEffect)
	for _, status := range Names(c.Lost) {
		v.check(c.Lost[status] <= c.Acked[status], at+"lost."+status, fmt.Sprintf("%d lost of %d acknowledged", c.Lost[status], c.Acked[status]))
	}
	v.count(at+"unknown", c.Unknown)
	v.count(at+"failed", c.Failed)
	v.count(at+"duplicates", c.Duplicates)
	v.count(at+"reordered", c.Reordered)
	v.count(at+"phantoms", c.Phantoms)
	v.check(slices.Contains([]string{"", "valid", "invalid", "unknown"}, c.Linearizable), at+"linearizable", fmt.Sprintf("%q, want valid, invalid or unknown", c.Linearizable))
	if r := c.RPO; r != nil {
		v.check(r.Cuts > 0, at+"rpo.cuts", "no cut")
		v.check(r.LossyCuts >= 0 && r.LossyCuts <= r.Cuts, at+"rpo.lossyCuts", fmt.Sprintf("%d of %d cuts", r.LossyCuts, r.Cuts))
		v.number(at+"rpo.median", r.Median)
		v.check(r.Max >= 0, at+"rpo.max", "negative")
		v.probability(at+"rpo.upper95", r.Upper95)
		v.optional(at+"rpo.p90", r.P90)
		v.optional(at+"rpo.predicted", r.Predicted)
		v.optional(at+"rpo.ratio", r.Ratio)
		v.check(r.PredictedCuts >= 0 && r.PredictedCuts <= r.Cuts, at+"rpo.predictedCuts", fmt.Sprintf("%d of %d cuts", r.PredictedCuts, r.Cuts))
		v.check(r.Agreeing >= 0 && r.Agreeing <= r.PredictedCuts, at+"rpo.agreeing", fmt.Sprintf("%d of %d predicted cuts", r.Agreeing, r.PredictedCuts))
	}
	if c.LossWindow != nil {
		v.number(at+"lossWindow.ms", c.LossWindow.MS)
	}
	if c.RTO != nil {
		v.number(at+"rto.ms", c.RTO.MS)
	}
	v.local(at+"history", c.History)
	v.plan(at, c)
	for i := range c.Trials {
		v.trial(fmt.Sprintf("%strials[%d].", at, i), &c.Trials[i])
	}
	if c.Timeline != nil {
		v.timeline(at+"timeline.", c.Timeline)
	}
}

// plan checks what was asked for, and what the harness used for it.
func (v *validator) plan(at string, c *Cell) {
	for i, s := range c.Schedule {
		field := fmt.Sprintf("%sschedule[%d].", at, i)
		v.word(field+"kind", s.Kind)
		v.number(field+"atMs", s.AtMS)
		v.number(field+"forMs", s.ForMS)
	}
	for i, e := range c.Expect {
		v.word(fmt.Sprintf("%sexpect[%d].what", at, i), e.What)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Harness)) {
		field := at + "harness." + name + "."
		v.number(field+"cpuSeconds", c.Harness[name].CPUSeconds)
		v.number(field+"stallMs", c.Harness[name].StallMS)
	}
}

func (v *validator) trial(at string, t *Trial) {
	v.verdict(at+"verdict", t.Verdict)
	v.local(at+"history", t.History)
	v.number(at+"windowMs", t.WindowMS)
	v.number(at+"rtoMs", t.RTOMS)
	v.number(at+"deliveryRtoMs", t.DeliveryRTOMS)
	v.optional(at+"predicted", t.Predicted)
	v.count(at+"predictedBytes", t.PredictedBytes)
	for i, f := range t.Faults {
		field := fmt.Sprintf("%sfaults[%d].", at, i)
		v.word(field+"name", f.Name)
		v.number(field+"startMs", f.StartMS)
		v.check(f.HealMS == 0 || f.HealMS >= f.StartMS, field+"healMs", fmt.Sprintf("%v, before the start at %v", f.HealMS, f.StartMS))
		v.counts(field+"effect", f.Effect)
	}
}

func (v *validator) timeline(at string, t *Timeline) {
	for i, op := range t.Ops {
		field := fmt.Sprintf("%sops[%d].", at, i)
		v.number(field+"t", op.T)
		v.number(field+"ms", op.MS)
		v.check(slices.Contains([]Fate{FateKept, FateLost, FateUnknown, FateFailed}, op.Fate), field+"fate", fmt.Sprintf("%q", op.Fate))
	}
}

func (v *validator) performance(at string, c *Cell) {
	if t := c.Throughput; t != nil {
		v.number(at+"throughput.acked", t.Acked)
		v.check(t.Unit == "msg/s", at+"throughput.unit", fmt.Sprintf("%q, want msg/s", t.Unit))
	}
	if l := c.Latency; l != nil {
		v.check(l.Unit == "ms", at+"latency.unit", fmt.Sprintf("%q, want ms", l.Unit))
		v.number(at+"latency.rate", l.Rate)
		for i, p := range []*float64{l.P50, l.P99, l.P999, l.Max} {
			if p != nil {
				v.number(at+"latency."+[]string{"p50", "p99", "p999", "max"}[i], *p)
			}
		}
		for i, p := range l.Curve {
			v.number(fmt.Sprintf("%slatency.curve[%d].ms", at, i), p.Value)
			v.check(p.Percentile >= 0 && p.Percentile <= 100, fmt.Sprintf("%slatency.curve[%d].p", at, i), "want 0 to 100")
		}
	}
}

// Names returns the keys of m in ascending order.
func Names(m map[string]int64) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
