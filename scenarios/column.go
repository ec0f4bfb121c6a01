package scenarios

import (
	"time"

	"holdfast/nemesis"
	"holdfast/reports/result"
)

// Column is one experiment, done to each contract of a matrix: what stands, what load runs, which faults strike.
type Column struct {
	Name     string // as --faults takes it: power-returns
	Shows    string // one sentence
	Schedule nemesis.Schedule
	Site     Site
	Load     LoadChange
	Quick    bool // of the quick set
}

// LoadChange says where the load of a column differs from that of the others; zero: it does not.
type LoadChange struct {
	Rate     int           // msg/s
	Size     int           // mean body bytes
	Clients  int           // connections
	InFlight int           // sends outstanding on each
	Hold     time.Duration // before the first fault
	After    time.Duration // after the last heal
	Timeout  time.Duration // of a client's request
	Window   time.Duration // that power cuts are spread over
	Readers  int           // consumers
	MinAcks  int64
}

// apply returns the load of a column.
func (c LoadChange) apply(l FaultLoad) FaultLoad {
	l.Rate, l.Size = orElse(c.Rate, l.Rate), orElse(c.Size, l.Size)
	l.Clients, l.InFlight = orElse(c.Clients, l.Clients), orElse(c.InFlight, l.InFlight)
	l.Hold, l.After, l.Timeout = orElse(c.Hold, l.Hold), orElse(c.After, l.After), orElse(c.Timeout, l.Timeout)
	l.Window, l.Readers = orElse(c.Window, l.Window), orElse(c.Readers, l.Readers)
	l.MinAcks = orElse(c.MinAcks, min(l.MinAcks, int64(l.Rate)))
	return l
}

func orElse[T comparable](given, otherwise T) T {
	var zero T
	if given != zero {
		return given
	}
	return otherwise
}

// first is the fault that names the column's cells: kind, target and recovery in results.json.
func (c Column) first() nemesis.Fault {
	if len(c.Schedule) == 0 {
		return nemesis.Fault{Kind: nemesis.None}
	}
	return c.Schedule[0]
}

// expect estimates how long the faults of the column take: their times, and the recovery of each that stops a node.
func (c Column) expect(l FaultLoad) time.Duration {
	l = c.Load.apply(l)
	total := l.Restart + l.Hold + l.After
	last := time.Duration(0)
	for _, f := range c.Schedule {
		last = max(last, f.At+f.For)
		switch {
		case f.Kind == nemesis.Power:
			total += l.Window/2 + recoveryTime
		case f.Kind.TakesDown():
			total += recoveryTime
		}
	}
	return total + last
}

// recoveryTime is what a stopped node takes to serve again, for estimates.
const recoveryTime = 700 * time.Millisecond

// IsControl reports whether the cell must lose something, or the harness is broken: ASYNC_MASTER + ASYNC_FLUSH whose
// master loses power and returns. Source: contracts.md section 5.
func IsControl(c result.Contract, column Column) bool {
	f := column.first()
	return c.BrokerRole == "ASYNC_MASTER" && c.FlushDiskType == "ASYNC_FLUSH" &&
		len(column.Schedule) == 1 && f.Kind == nemesis.Power && f.Recovery == nemesis.Returns && f.Target != nemesis.Slave && f.Params.Survive == nemesis.Survive{}
}

// scheduleOf describes a schedule for the results.
func scheduleOf(s nemesis.Schedule) []result.ScheduleStep {
	steps := make([]result.ScheduleStep, len(s))
	for i, f := range s {
		steps[i] = result.ScheduleStep{Kind: string(f.Kind), Target: string(f.Target), Recovery: string(f.Recovery), AtMS: ms(f.At), ForMS: ms(f.For)}
	}
	return steps
}
