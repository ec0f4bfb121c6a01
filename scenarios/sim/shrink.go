package sim

import (
	"cmp"
	"context"
	"slices"
	"time"

	"holdfast/checker"
	"holdfast/nemesis"
	"holdfast/scenarios/scenario"
)

// Shrunk is the smallest case that was found to fail in the same way.
type Shrunk struct {
	Run  Run
	Runs int // that it took
}

// shrinker looks for smaller cases of one failure.
type shrinker struct {
	ctx   context.Context
	first string // the anomaly that the case must show
	best  Run
	runs  int
	limit int
	say   func(runs int, best *Run)
}

// shrinkSeeds is how many seeds each smaller case is tried with: other instants may show the same with less.
const shrinkSeeds = 6

// Shrink makes a failing case smaller as long as it still breaks the promise that it broke: fewer faults, then fewer clients, brokers and
// messages, then smaller sizes and times (delta debugging; Zeller and Hildebrandt, Simplifying and Isolating Failure-Inducing Input, 2002).
// The scenario of the result has its faults listed and its load spelled out. limit bounds the runs.
func Shrink(ctx context.Context, failed Run, limit int, say func(runs int, best *Run)) (Shrunk, error) {
	s := &shrinker{ctx: ctx, first: failed.Verdict.Violated[0], best: failed, limit: limit, say: say}
	spelled := failed.Case
	spelled.Scenario = spell(failed.Case)
	if !s.try(spelled.Scenario, true) { // the numbers that were drawn do not fail by themselves any more: keep those of the seed
		s.best = failed
	}
	for s.ctx.Err() == nil && s.runs < s.limit {
		before := s.runs
		if !s.round() || s.runs == before {
			break
		}
	}
	return Shrunk{Run: s.best, Runs: s.runs}, s.ctx.Err()
}

// spell writes into the scenario what its seed drew of the schedule.
func spell(c Case) scenario.Scenario {
	s := c.Scenario
	s.Faults = c.trial(Draw(c.Seed)).Schedule
	s.Plan = nil
	return s
}

// round tries everything once, and reports whether anything got smaller.
func (s *shrinker) round() bool {
	smaller := false
	for _, pass := range []func() bool{s.dropFaults, s.shrinkLoad, s.shrinkTimes} {
		for pass() {
			smaller = true
			if s.ctx.Err() != nil || s.runs >= s.limit {
				return smaller
			}
		}
	}
	return smaller
}

// dropFaults leaves faults out: halves, quarters, then single ones.
func (s *shrinker) dropFaults() bool {
	faults := s.best.Case.Scenario.Faults
	for size := (len(faults) + 1) / 2; size >= 1; size /= 2 {
		for from := 0; from < len(faults); from += size {
			fewer := slices.Delete(slices.Clone(faults), from, min(from+size, len(faults)))
			if len(fewer) > 0 && s.with(func(sc *scenario.Scenario) { sc.Faults = fewer }) {
				return true
			}
		}
	}
	return false
}

// change is something that makes a scenario smaller.
type change func(sc *scenario.Scenario)

// shrinkLoad tries fewer brokers, clients and messages.
func (s *shrinker) shrinkLoad() bool {
	all := []change{
		func(sc *scenario.Scenario) { sc.Cluster.Brokers = 2 },
		func(sc *scenario.Scenario) { sc.Load.Consumers = 0 },
		func(sc *scenario.Scenario) { sc.Load.Clients = 1 },
		func(sc *scenario.Scenario) { sc.Load.Outstanding = 64 },
	}
	for _, rate := range []int{2, 5, 10, 20, 50, 100} {
		for _, size := range []int64{20_000, 6000, 256, 64} {
			all = append(all, func(sc *scenario.Scenario) { sc.Load.Rate, sc.Load.Size = rate, size })
		}
	}
	return s.any(all)
}

// shrinkTimes tries shorter times.
func (s *shrinker) shrinkTimes() bool {
	all := []change{
		func(sc *scenario.Scenario) { sc.Load.Hold = 50 * time.Millisecond },
		func(sc *scenario.Scenario) { sc.Load.After = 50 * time.Millisecond },
	}
	for i := range s.best.Case.Scenario.Faults {
		all = append(all,
			func(sc *scenario.Scenario) { compress(sc.Faults, i) },
			func(sc *scenario.Scenario) { sc.Faults[i].For /= 2 },
			func(sc *scenario.Scenario) {
				if sc.Faults[i].Kind == nemesis.Power {
					sc.Faults[i].Params.After = 10 * time.Millisecond
				}
			},
		)
	}
	return s.any(all)
}

// compress halves the pause before fault i.
func compress(faults nemesis.Schedule, i int) {
	free := time.Duration(0)
	if i > 0 {
		free = faults[i-1].At + faults[i-1].For
	}
	pause := max(faults[i].At-free, 0) / 2
	for k := i; k < len(faults); k++ {
		faults[k].At -= min(pause, faults[k].At)
	}
}

// any takes the first change that makes the case smaller.
func (s *shrinker) any(all []change) bool {
	for _, c := range all {
		if s.with(c) {
			return true
		}
		if s.ctx.Err() != nil || s.runs >= s.limit {
			return false
		}
	}
	return false
}

// with tries the best case with a change.
func (s *shrinker) with(c change) bool {
	sc := s.best.Case.Scenario
	sc.Faults = slices.Clone(sc.Faults)
	c(&sc)
	return s.try(sc, false)
}

// try runs a scenario with the seed of the best case and a few others, and takes it over when it fails in the same way with less.
func (s *shrinker) try(sc scenario.Scenario, anyway bool) bool {
	for k := range uint64(shrinkSeeds) {
		c := s.best.Case
		c.Scenario, c.Seed = sc, c.Seed+k
		s.runs++
		r, err := c.Do(s.ctx, Watch{})
		if err != nil {
			return false
		}
		if r.Broken == "" && r.Verdict.Verdict == checker.Violated && slices.Contains(r.Verdict.Violated, s.first) && (anyway || smaller(&r, &s.best)) {
			s.best = r
			if s.say != nil {
				s.say(s.runs, &r)
			}
			return true
		}
		if anyway {
			return false
		}
	}
	return false
}

// smaller compares cases by their faults, messages, operations and time.
func smaller(a, b *Run) bool {
	return cmp.Or(
		cmp.Compare(a.Faults, b.Faults), cmp.Compare(a.Sends, b.Sends), cmp.Compare(a.Case.Scenario.Cluster.Brokers, b.Case.Scenario.Cluster.Brokers),
		cmp.Compare(a.Ops, b.Ops), cmp.Compare(a.Virtual/time.Millisecond, b.Virtual/time.Millisecond),
	) < 0
}
