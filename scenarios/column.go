package scenarios

import (
	"time"

	"holdfast/nemesis"
	"holdfast/reports/result"
	"holdfast/scenarios/scenario"
)

// Column is one scenario as the matrix does it to each contract.
type Column struct {
	Scenario scenario.Scenario
	// Replay are the faults instead of the scenario's own: a schedule that was saved. nil: the scenario's.
	Replay nemesis.Schedule
	// Seed is the one that the faults of the first trial are drawn from, those of the others from the numbers after it; 0: each
	// trial's own.
	Seed uint64
	// Expect asks whether the scenario's expectations are met.
	Expect bool
}

// Name is the column's, as --faults takes it: power-returns.
func (c Column) Name() string { return c.Scenario.Name }

// Schedule returns the faults of a trial with that seed; 0: those that stand for all trials.
func (c Column) Schedule(seed uint64) nemesis.Schedule {
	if c.Replay != nil {
		return c.Replay
	}
	return c.Scenario.Schedule(seed)
}

// site is what its clusters stand on.
func (c Column) site() Site {
	s := c.Scenario
	return Site{
		Brokers: s.Cluster.Brokers, Groups: s.Cluster.Groups, RTT: s.Cluster.RTT, Mode: s.Cluster.Mode, Settings: s.Cluster.Settings,
		DiskBytes: s.Disk.Size,
		Posix:     s.Disk.Names == "posix", RealFsync: s.Disk.Fsync == "real", Short: s.Load.Degraded,
	}
}

// Trial returns trial index of a cell of the column, for a contract of a system; what the scenario leaves open of the load is l's.
func (c Column) Trial(sys result.System, contract result.Contract, l FaultLoad, seed uint64, index, of int) Trial {
	return Trial{
		Name: cellID(contract, c.Name()), Scenario: c.Name(), System: sys, Contract: contract, Site: c.site(), Index: index, Of: of, Seed: seed,
		Load: c.load(l), Schedule: c.Schedule(seed), Compare: c.Scenario.Stores == "compare", Promise: c.Scenario.Promise,
	}
}

// load returns the column's load: what the scenario says, and what it leaves open as the world has it for the system.
func (c Column) load(l FaultLoad) FaultLoad {
	w := c.Scenario.Load
	l.Rate, l.Hold, l.After = orElse(w.Rate, l.Rate), orElse(w.Hold, l.Hold), orElse(w.After, l.After)
	l.Size, l.Clients, l.InFlight, l.Timeout = int(w.Size), w.Clients, w.Outstanding, w.Timeout
	l.Retries = w.Retries
	l.Readers, l.Pace, l.Degraded, l.Quiet = w.Consumers, w.Pace, w.Degraded, w.Quiet
	l.MinAcks = min(l.MinAcks, int64(l.Rate))
	for _, f := range c.Schedule(0) {
		l.Window = orElse(f.Params.Window, l.Window)
	}
	return l
}

func orElse[T comparable](given, otherwise T) T {
	var zero T
	if given != zero {
		return given
	}
	return otherwise
}

// First is the fault that names the column's cells: kind, target and recovery in results.json.
func (c Column) First() nemesis.Fault {
	if schedule := c.Schedule(0); len(schedule) > 0 {
		return schedule[0]
	}
	return nemesis.Fault{Kind: nemesis.None}
}

// expectTime estimates how long a trial takes: its start, the times of its faults, and the recovery of each that takes a node down.
func (c Column) expectTime(l FaultLoad) time.Duration {
	l = c.load(l)
	schedule := c.Schedule(0)
	total := l.Restart + l.Hold + l.Quiet + l.After + schedule.End()
	for _, f := range schedule {
		switch {
		case f.Kind == nemesis.Power:
			total += l.Window/2 + recoveryTime
		case f.Kind.TakesDown():
			total += recoveryTime
		}
	}
	return total
}

// recoveryTime is what a stopped node takes to serve again, for estimates.
const recoveryTime = 700 * time.Millisecond

// IsControl reports whether the cell must lose something, or the harness is broken: ASYNC_MASTER + ASYNC_FLUSH whose
// master loses power and returns. Source: contracts.md section 5.
func IsControl(c result.Contract, column Column) bool {
	schedule := column.Schedule(0)
	if c.BrokerRole != "ASYNC_MASTER" || c.FlushDiskType != "ASYNC_FLUSH" || len(schedule) != 1 {
		return false
	}
	f := schedule[0]
	return f.Kind == nemesis.Power && f.Recovery == nemesis.Returns && f.Target != nemesis.Slave && f.Params.Survive == nemesis.Survive{}
}

// steps describes a schedule for the results.
func steps(s nemesis.Schedule) []result.ScheduleStep {
	var all []result.ScheduleStep
	for _, f := range s {
		all = append(all, result.ScheduleStep{
			Kind: string(f.Kind), Target: string(f.Target), Recovery: string(f.Recovery), AtMS: ms(f.At), ForMS: ms(f.For), Params: f.Params.String(),
		})
	}
	return all
}
