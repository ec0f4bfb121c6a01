package sim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"holdfast/broker/durability"
	"holdfast/checker"
	"holdfast/checker/history"
	"holdfast/reports/result"
	"holdfast/scenarios"
	"holdfast/scenarios/scenario"
)

// Case is what a run of the simulator depends on, all of it: the same case is the same run, event for event.
type Case struct {
	Scenario scenario.Scenario
	Profile  string // of the reference broker
	Contract result.Contract
	Seed     uint64
}

// Run is what came of a case.
type Run struct {
	Case    Case
	Hash    uint64 // of everything that happened
	Steps   uint64 // events
	Virtual time.Duration
	Sends   int
	Ops     int // sends, polls, commits and reads
	Faults  int
	Verdict checker.Result
	Broken  string // why there is no verdict: the harness, or the system, could not go on
	Unfit   bool   // Broken says why the run proves nothing; else the harness is at fault
	Stuck   bool   // after its faults had ended the group did not get to serve again, for the reason that Broken says
	Marks   map[string]int
	Moves   []Move // when asked for
	Nodes   []string
	History *history.History
}

// Watch is what of a run somebody wants to see.
type Watch struct {
	Lines io.Writer // a line for each change of state; nil: none
	Moves bool      // for a diagram
}

// strata is how many cuts a flush window is spread over: seeds that follow each other cover it.
const strata = 16

// What Run.Broken begins with where the code that is simulated is at fault.
const (
	Panicked   = "panic: "       // its stack follows
	FalseReply = "false reply: " // a request by message was not answered as it went: see talk
)

// Do runs the case. It errs when ctx ends.
func (c Case) Do(ctx context.Context, watch Watch) (r Run, err error) {
	opt := Draw(c.Seed)
	r = Run{Case: c}
	l := newLoop(c.Seed)
	defer func() {
		if p := recover(); p != nil { // the seed is what leads there again
			r.Broken = fmt.Sprintf("%s%v\n%s", Panicked, p, debug.Stack())
		}
		r.Steps, r.Virtual, r.Marks, r.Hash = l.steps, l.now, l.trace.marks, l.trace.hash
	}()
	l.trace.lines, l.trace.keep = watch.Lines, watch.Moves
	t := c.trial(opt)
	r.Faults = len(t.Schedule)
	cluster, err := open(ctx, l, c.Profile, opt, t.Spec())
	var out scenarios.Outcome
	var replies *talk
	if err == nil {
		if opt.Talk {
			replies = startTalk(cluster)
		}
		out, err = t.RunInMemory(ctx, cluster)
		r.Nodes = cluster.Nodes()
		err = errors.Join(err, cluster.Close())
	}
	r.Moves, r.History = l.trace.moves, out.History
	if replies != nil && replies.fault != "" {
		r.Broken = FalseReply + replies.fault
		return r, nil
	}
	if err != nil {
		if ctx.Err() != nil {
			return r, ctx.Err()
		}
		var unfit *scenarios.Unfit
		r.Broken, r.Unfit = err.Error(), errors.As(err, &unfit)
		r.Stuck = r.Unfit && cluster != nil && cluster.injected > 0
	} else {
		h := out.History
		r.Verdict, r.Sends, r.Ops = out.Verdict, len(h.Sends), len(h.Sends)+len(h.Fetches)+len(h.Commits)
		l.trace.mix(uint64(out.Verdict.Verdict), uint64(len(h.Sends)), uint64(len(h.Fetches)))
	}
	return r, nil
}

// trial draws what the scenario leaves open: how many clients send what, and how fast.
func (c Case) trial(opt Options) scenarios.Trial {
	rng := rand.New(rand.NewPCG(c.Seed, 0x747269616c))
	fresh := scenario.Fresh().Load
	s := c.Scenario
	draw := func(field *int, plain int, from ...int) {
		if *field == plain {
			*field = from[rng.IntN(len(from))]
		}
	}
	size := int(s.Load.Size)
	draw(&s.Load.Clients, fresh.Clients, 1, 2, 3)
	draw(&s.Load.Outstanding, fresh.Outstanding, 1, 8, 4096)
	if s.Load.Rate == 0 && opt.capacity(s.Load.Clients*s.Load.Outstanding) < rateMin {
		s.Load.Outstanding = fresh.Outstanding
	}
	draw(&size, int(fresh.Size), 64, 128, 256, 1024)
	draw(&s.Load.Consumers, fresh.Consumers, 0, 1, 2)
	s.Load.Size = int64(size)
	base := scenarios.FaultLoad{
		Rate: min(200+rng.IntN(400), opt.capacity(s.Load.Clients*s.Load.Outstanding)), Hold: 300 * time.Millisecond, After: 300 * time.Millisecond, MinAcks: 20,
		Window: scenarios.WindowUnderLoad, Drain: 20 * time.Second, Timeout: 8 * time.Second,
	}
	column := scenarios.Column{Scenario: s}
	sys := result.System{Name: "reference", Profile: c.Profile}
	return column.Trial(sys, c.Contract, base, c.Seed, int(c.Seed%strata), strata)
}

// Supports returns nil, or why the scenario cannot be simulated.
func Supports(s scenario.Scenario, profile string) error {
	if mode := s.Cluster.Mode; mode != "classic" && (mode != "controller" || profile != string(durability.Holdfast)) {
		return fmt.Errorf("scenario %s has cluster.mode %s; the simulator has classic groups, and controllers with the profile holdfast", s.Name, mode)
	}
	for _, f := range s.Schedule(0) {
		if err := (World{}).Possible(f); err != nil {
			return fmt.Errorf("scenario %s: %w", s.Name, err)
		}
	}
	return nil
}

// Replay is the command that repeats the run.
func (r *Run) Replay(file string) string {
	return fmt.Sprintf("holdfast sim %s --system reference:%s --contracts %s --seed %d", file, r.Case.Profile, scenarios.ContractName(r.Case.Contract), r.Case.Seed)
}
