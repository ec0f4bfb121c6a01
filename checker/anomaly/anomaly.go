// Package anomaly names what can be wrong with a history and collects what was found. It judges nothing: the checkers
// say of each finding how much it weighs.
// Source: contracts.md section 5.
package anomaly

import (
	"cmp"
	"maps"
	"slices"
)

// Names of anomalies, as they appear in results.
const (
	Phantom             = "phantom"
	AbortedRead         = "aborted-read"
	Corrupt             = "corrupt"
	InconsistentOffsets = "inconsistent-offsets"
	RealtimeOrder       = "realtime-order"
	NonmonotonicSend    = "nonmonotonic-send"
	Duplicate           = "duplicate"
	Hole                = "hole"
	StaleRead           = "stale-read"
	LostWrite           = "lost-write"
	LostSuffix          = "lost-suffix"
	LostPrefix          = "lost-prefix"
	LostMiddle          = "lost-middle"
	DirtyRead           = "dirty-read"
	OffsetReuse         = "offset-reuse"
	Divergence          = "divergence"
	PollSkip            = "poll-skip"
	NonmonotonicPoll    = "nonmonotonic-poll"
	Redelivery          = "redelivery"
	Unseen              = "unseen"
)

// Class says how much a finding weighs. Larger is worse.
type Class int8

// Classes, in their order.
const (
	Reported  Class = iota // a figure, no verdict
	Excused                // what it lost had no promised copy left
	Violation              // a promise was broken
)

// FindingsMax bounds the findings of a result.
const FindingsMax = 100

// perAnomaly bounds the findings kept of one anomaly while checking, enough to fill a result alone.
const perAnomaly = FindingsMax

// Finding is one anomaly, explained.
type Finding struct {
	Anomaly string   `json:"anomaly"`
	Queue   string   `json:"queue"`
	Ops     []uint64 `json:"ops"`     // operations of the history that show it
	Explain string   `json:"explain"` // a few lines at most
}

// Report collects what one checker found. The zero value is empty.
type Report struct {
	counts   map[string]int64
	worst    map[string]Class
	findings map[string][]judged
}

type judged struct {
	Finding
	class Class
}

// Add counts n occurrences of an anomaly of one class. It calls explain for the finding unless there are enough.
func (r *Report) Add(name string, n int64, class Class, explain func() Finding) {
	if n <= 0 {
		return
	}
	if r.counts == nil {
		r.counts, r.worst, r.findings = map[string]int64{}, map[string]Class{}, map[string][]judged{}
	}
	if _, found := r.counts[name]; !found || class > r.worst[name] {
		r.worst[name] = class
	}
	r.counts[name] += n
	have := r.findings[name]
	if len(have) < perAnomaly {
		f := explain()
		f.Anomaly = name
		r.findings[name] = append(have, judged{f, class})
		return
	}
	if class < Violation {
		return
	}
	// A violation is worth more than an excused finding that came first.
	if i := slices.IndexFunc(have, func(j judged) bool { return j.class < class }); i >= 0 {
		f := explain()
		f.Anomaly = name
		have[i] = judged{f, class}
	}
}

// Merge adds what another checker found.
func (r *Report) Merge(o *Report) {
	for name, n := range o.counts {
		if r.counts == nil {
			r.counts, r.worst, r.findings = map[string]int64{}, map[string]Class{}, map[string][]judged{}
		}
		r.counts[name] += n
		r.worst[name] = max(r.worst[name], o.worst[name])
		r.findings[name] = append(r.findings[name], o.findings[name]...)
	}
}

// Count returns how often an anomaly was found.
func (r *Report) Count(name string) int64 { return r.counts[name] }

// Counts returns all counts that are not zero.
func (r *Report) Counts() map[string]int64 {
	if r.counts == nil {
		return map[string]int64{}
	}
	return maps.Clone(r.counts)
}

// Worst returns the largest class of any finding; Reported when there is none.
func (r *Report) Worst() Class {
	worst := Reported
	for _, c := range r.worst {
		worst = max(worst, c)
	}
	return worst
}

// Violated returns the names of the anomalies that broke a promise, sorted.
func (r *Report) Violated() []string {
	var names []string
	for name, c := range r.worst {
		if c == Violation {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Findings returns at most limit findings, the worst first, at least one of each anomaly while limit allows.
func (r *Report) Findings(limit int) []Finding {
	names := slices.Sorted(maps.Keys(r.findings))
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(r.worst[b], r.worst[a]) })
	share := limit
	if len(names) > 0 {
		share = max(1, limit/len(names))
	}
	out := []Finding{}
	for _, name := range names {
		all := slices.Clone(r.findings[name])
		slices.SortStableFunc(all, func(a, b judged) int { return cmp.Compare(b.class, a.class) })
		for i := 0; i < len(all) && i < share && len(out) < limit; i++ {
			out = append(out, all[i].Finding)
		}
	}
	return out
}
