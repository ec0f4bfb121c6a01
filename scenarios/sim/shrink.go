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
	ops   int // operations of all runs
	say   func(runs int, best *Run)
}

// shrinkSeeds is how many seeds each smaller case is tried with: other instants may show the same with less. With few messages an instant
// is rarely the right one, and a run takes next to no time: then it is sweepSeeds.
const (
	shrinkSeeds = 6
	sweepSeeds  = 400
	shrinkOps   = 2_500_000 // operations of all runs: half a minute
)

// Shrink makes a failing case smaller as long as it still breaks the promise that it broke: fewer faults, then fewer clients, brokers and
// messages, then smaller sizes and times (delta debugging; Zeller and Hildebrandt, Simplifying and Isolating Failure-Inducing Input, 2002).
// The scenario of the result has its faults listed and its load spelled out. limit bounds the runs.
func Shrink(ctx context.Context, failed Run, limit int, say func(runs int, best *Run)) (Shrunk, error) {
	s := &shrinker{ctx: ctx, first: failed.Verdict.Violated[0], best: failed, limit: limit, say: say}
	spelled := failed.Case
	spelled.Scenario = spell(failed.Case)
	if r, same := s.run(spelled); same {
		s.take(r)
	}
	for !s.spent() && s.round() {
	}
	for !s.spent() && s.sweep() {
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

// spent reports whether there is nothing left to run.
func (s *shrinker) spent() bool { return s.ctx.Err() != nil || s.runs >= s.limit || s.ops >= shrinkOps }

// sweep tries very few messages with many seeds.
func (s *shrinker) sweep() bool {
	for _, rate := range []int{2, 3, 5, 10, 20} {
		sc := s.best.Case.Scenario
		sc.Faults = slices.Clone(sc.Faults)
		sc.Load.Rate, sc.Load.Clients, sc.Load.Consumers = rate, 1, min(sc.Load.Consumers, 2)
		if s.best.Case.Scenario.Load.Rate > 0 && rate >= s.best.Case.Scenario.Load.Rate {
			return false
		}
		if s.try(sc, sweepSeeds) {
			return true
		}
	}
	return false
}

// round tries everything once, and reports whether anything got smaller.
func (s *shrinker) round() bool {
	smaller := false
	for _, pass := range []func() bool{s.dropFaults, s.shrinkLoad, s.shrinkTimes} {
		for pass() {
			smaller = true
			if s.spent() {
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
		if s.spent() {
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
	return s.try(sc, shrinkSeeds)
}

// try runs a scenario with the seed of the best case and others, and takes it over when it fails in the same way with less.
func (s *shrinker) try(sc scenario.Scenario, seeds uint64) bool {
	for k := range seeds {
		c := s.best.Case
		c.Scenario, c.Seed = sc, c.Seed+k
		r, same := s.run(c)
		if same && smaller(&r, &s.best) {
			s.take(r)
			return true
		}
		if s.spent() {
			return false
		}
	}
	return false
}

// run runs a case and reports whether it fails in the same way.
func (s *shrinker) run(c Case) (r Run, same bool) {
	s.runs++
	r, err := c.Do(s.ctx, Watch{})
	s.ops += r.Ops
	return r, err == nil && r.Broken == "" && r.Verdict.Verdict == checker.Violated && slices.Contains(r.Verdict.Violated, s.first)
}

func (s *shrinker) take(r Run) {
	s.best = r
	if s.say != nil {
		s.say(s.runs, &r)
	}
}

// smaller compares cases by their faults, messages, operations and time.
func smaller(a, b *Run) bool {
	return cmp.Or(
		cmp.Compare(a.Faults, b.Faults), cmp.Compare(a.Sends, b.Sends), cmp.Compare(a.Case.Scenario.Cluster.Brokers, b.Case.Scenario.Cluster.Brokers),
		cmp.Compare(a.Ops, b.Ops), cmp.Compare(a.Virtual/time.Millisecond, b.Virtual/time.Millisecond),
	) < 0
}
