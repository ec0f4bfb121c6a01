package soak

import (
	"context"
	"fmt"
	"time"

	"holdfast/nemesis"
	"holdfast/scenarios"
)

// rounds are the faults of a soak, again and again: each broker is stopped as an operator does it, and killed.
var rounds = []nemesis.Fault{
	{Kind: nemesis.Kill, Target: nemesis.Master, Recovery: nemesis.Returns},
	{Kind: nemesis.Stop, Target: nemesis.Slave, Recovery: nemesis.Returns},
	{Kind: nemesis.Stop, Target: nemesis.Master, Recovery: nemesis.Returns},
	{Kind: nemesis.Kill, Target: nemesis.Slave, Recovery: nemesis.Returns},
}

// Between two faults: an eighth of the run, within these. Nodes must live long enough for growth to show.
const (
	betweenMin = 12 * time.Second
	betweenMax = 3 * time.Minute
	downMax    = 6 * time.Second // how long a node is away at most
)

// between is the time from one fault to the next.
func (c Config) between() time.Duration { return min(max(c.For/8, betweenMin), betweenMax) }

// Between two looks at the processes.
const (
	lookMin = time.Second
	lookMax = 5 * time.Second
)

func (c Config) lookEvery() time.Duration { return min(max(c.For/600, lookMin), lookMax) }

// disturb does the faults and looks at the processes until the time is over. The last quarter of the time between two faults is quiet,
// so that the group is whole at the end.
func (r *run) disturb(ctx context.Context) error {
	stamps, err := scenarios.NewStamps(r.rec)
	if err != nil {
		return err
	}
	began := time.Now()
	end, next := began.Add(r.cfg.For), began.Add(r.cfg.between())
	told, n := began, 0
	for time.Now().Before(end) {
		if err := pause(ctx, r.cfg.lookEvery()); err != nil {
			return err
		}
		r.gauge.look()
		if time.Since(told) >= tellEvery {
			told = time.Now()
			r.tell(time.Since(began))
		}
		if now := time.Now(); now.Before(next) || now.After(end.Add(-r.cfg.between()/4)) {
			continue
		}
		fault := rounds[n%len(rounds)]
		n++
		if err := r.strike(ctx, fault, stamps); err != nil {
			return fmt.Errorf("%s %s: %w", fault.Kind, fault.Target, err)
		}
		next = time.Now().Add(r.cfg.between())
	}
	return nil
}

// tellEvery is how often a soak says how it goes on.
const tellEvery = 15 * time.Second

// strike does one fault, lets the node be away for a while, and brings it back.
func (r *run) strike(ctx context.Context, f nemesis.Fault, stamps scenarios.Stamps) error {
	away := time.Duration(r.rng.Int64N(int64(downMax)))
	name := fmt.Sprintf("%s %s", f.Kind, f.Target)
	r.cfg.Say(fmt.Sprintf("%s for %v", name, away.Round(100*time.Millisecond)))
	struck, err := r.cluster.Inject(ctx, f, stamps)
	if err != nil {
		return err
	}
	if err := pause(ctx, away); err != nil {
		return err
	}
	r.report.Faults[name]++
	return struck.Heal(ctx, stamps)
}

// tell says how it goes on.
func (r *run) tell(since time.Duration) {
	text := fmt.Sprintf("%v of %v:", since.Round(time.Second), r.cfg.For)
	for _, s := range r.streams {
		live := s.load.Snapshot()
		given, again := s.ledger.counts()
		text += fmt.Sprintf(" %s %d acked, %d given, %d again;", s.topic, live.AckedTotal, given, again)
	}
	r.cfg.Say(text + " " + r.crew.tally().String() + "; " + r.gauge.String())
}
