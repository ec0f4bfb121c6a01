package scenarios

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"holdfast/loadgen"
	"holdfast/nemesis"
)

// campaign does the faults of one trial under its load.
type campaign struct {
	trial   *Trial
	cluster Cluster
	clock   Clock
	counts  func() loadgen.Snapshot // of the load
	journal *journal
	say     func(string)
	rng     *rand.Rand
	quiet   func(bool) // has the load stand still, or go on
	struck  []Struck   // by index in the schedule; nil: not struck, or healed
	stopped int        // nodes were stopped by so many faults that are healed
}

// act is one end of a fault: its beginning or its healing.
type act struct {
	at    time.Duration
	fault int // index in the schedule
	heal  bool
	ends  bool // what has been done for a while: it makes room for what begins at the same instant
}

// acts puts the two ends of every fault in order. At one instant what ends comes before what begins, and a fault that heals at
// once heals after it has begun.
func acts(schedule nemesis.Schedule) []act {
	var all []act
	for i, f := range schedule {
		all = append(all, act{at: f.At, fault: i}, act{at: f.At + f.For, fault: i, heal: true, ends: f.For > 0})
	}
	slices.SortStableFunc(all, func(a, b act) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(index(b.ends), index(a.ends)), cmp.Compare(a.fault, b.fault))
	})
	return all
}

func index(b bool) int {
	if b {
		return 1
	}
	return 0
}

// run goes through the schedule. Its clock stands still while a fault is being done or ended, with what is waited for before:
// a fault lasts as long as was planned, and what is planned between two of them is there, however long the first recovery takes.
// Whatever happens, every fault that was struck and stopped no process is healed before it returns.
func (c *campaign) run(ctx context.Context) (err error) {
	defer func() {
		if err != nil {
			c.healAll(context.WithoutCancel(ctx))
		}
	}()
	c.struck = make([]Struck, len(c.trial.Schedule))
	if err := c.still(ctx); err != nil {
		return err
	}
	clock := c.clock.Now()
	for _, a := range acts(c.trial.Schedule) {
		if err := c.clock.Sleep(ctx, clock+a.at-c.clock.Now()); err != nil {
			return err
		}
		began := c.clock.Now()
		if a.heal {
			err = c.heal(ctx, a.fault)
		} else {
			err = c.strike(ctx, a.fault)
		}
		if err != nil {
			return err
		}
		clock += c.clock.Now() - began
	}
	return nil
}

// strike does fault i.
func (c *campaign) strike(ctx context.Context, i int) error {
	f := c.trial.Schedule[i]
	if f.Kind == nemesis.None {
		return nil
	}
	if f.Seed == 0 {
		f.Seed = c.rng.Uint64()
	}
	f.Off = c.trial.Twin
	if c.stopped > 0 {
		if err := c.fit(ctx, f); err != nil {
			return err
		}
	}
	if f.Kind == nemesis.Power {
		if err := c.weigh(ctx); err != nil {
			return err
		}
		if i > 0 || c.trial.Load.Quiet == 0 { // while nothing is written there is no fsync to aim at
			if err := c.aim(ctx, f.Params.After); err != nil {
				return err
			}
		}
	}
	c.say(f.String())
	struck, err := c.cluster.Inject(ctx, f, c.journal)
	if err != nil {
		return fmt.Errorf("%s: %w", f, err)
	}
	c.struck[i] = struck
	if c.trial.Load.Quiet > 0 {
		c.quiet(false)
	}
	return nil
}

// still has the load stand still for a while before the first fault. When that begins is spread over the flush window: trials take the same
// time to get there, and all pauses of RocketMQ 5.5.0 met the flush that comes every 10 s.
func (c *campaign) still(ctx context.Context) error {
	t := c.trial
	if t.Load.Quiet == 0 {
		return nil
	}
	if err := c.clock.Sleep(ctx, Phase(t.Index, max(t.Of, 1), c.rng.Float64(), t.Load.Window)); err != nil {
		return err
	}
	c.say(fmt.Sprintf("nothing is sent for %v", t.Load.Quiet))
	c.quiet(true)
	return c.clock.Sleep(ctx, t.Load.Quiet)
}

// fit waits until a later fault may strike: the group serves again, and the slaves hold what the master holds. One that
// does not get there is no reason to wait for ever: classic HA has such slaves. Then its copies do not count as caught up.
func (c *campaign) fit(ctx context.Context, f nemesis.Fault) error {
	c.say("serving before " + f.String())
	if err := keepsServing(ctx, c.clock, c.counts, c.trial.Load.Rate, between); err != nil {
		return err
	}
	waiting, cancel := c.clock.WithTimeout(ctx, catchUpLimit)
	defer cancel()
	held, err := c.cluster.CatchUp(waiting)
	for _, node := range held {
		c.journal.CaughtUp(c.cluster.QueueGroup(), node)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		c.say("not every slave has caught up")
	}
	return nil
}

// between is for how long a group must have served between two faults.
const between = 300 * time.Millisecond

// catchUpLimit bounds the wait for slaves before a later fault.
const catchUpLimit = 5 * time.Second

// weigh measures what a message takes of the commit log, from which the loss of a cut is predicted.
func (c *campaign) weigh(ctx context.Context) error {
	bytes, err := c.cluster.LogEnd(ctx)
	if err != nil {
		return fmt.Errorf("aim the cut: %w", err)
	}
	if acked := c.counts().AckedTotal; acked > 0 {
		c.journal.recordBytes = float64(bytes) / float64(acked)
	}
	return nil
}

// aim waits for the instant of a cut, that long after an fsync or, without a time, spread over the window.
func (c *campaign) aim(ctx context.Context, after time.Duration) error {
	t := c.trial
	c.say("aiming")
	aim := Aim{Stratum: t.Index, Of: t.Of, U: c.rng.Float64(), Window: t.Load.Window, Synchronous: t.Contract.FlushDiskType == "SYNC_FLUSH"}
	if after > 0 {
		aim = Aim{Of: 1, U: 1, Window: after}
	}
	since, err := c.cluster.Aim(ctx, aim)
	if err != nil {
		return fmt.Errorf("aim the cut: %w", err)
	}
	if c.journal.sinceSync == 0 {
		c.journal.sinceSync = since
	}
	return nil
}

// heal ends fault i.
func (c *campaign) heal(ctx context.Context, i int) error {
	struck := c.struck[i]
	if struck == nil {
		return nil
	}
	f := c.trial.Schedule[i]
	c.say("recovering from " + f.String())
	c.struck[i] = nil
	if err := struck.Heal(ctx, c.journal); err != nil {
		return fmt.Errorf("recover from %s: %w", f, err)
	}
	if f.Kind.TakesDown() {
		c.stopped++
	}
	return nil
}

// healAll ends what is still struck after an error or an interrupt, as well as it can be: nothing of ours may outlive the run.
func (c *campaign) healAll(ctx context.Context) {
	ctx, cancel := c.clock.WithTimeout(ctx, healLimit)
	defer cancel()
	for i, struck := range c.struck {
		if struck != nil && !c.trial.Schedule[i].Kind.TakesDown() { // what was stopped ends with the cluster
			_ = struck.Heal(ctx, c.journal) // the first error is the one to report
		}
	}
}

const healLimit = 5 * time.Second
