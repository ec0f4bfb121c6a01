package scenarios

import (
	"context"
	"fmt"
	"math"
	"time"

	"holdfast/loadgen"
)

const (
	look      = 20 * time.Millisecond  // between two looks at a running load
	holdLimit = 20 * time.Second       // beyond the hold itself, for a system that warms up
	backLimit = 60 * time.Second       // for a system that must serve again
	rateShare = 0.9                    // of the offered rate that counts as held; arrivals are random
	healthy   = 300 * time.Millisecond // without an acknowledgement: not serving
)

// Unfit is why a trial proves nothing although nothing is broken: the load could not be held, the system did not serve
// again.
type Unfit struct{ Reason string }

func (u *Unfit) Error() string { return u.Reason }

// hold returns when the load has held its rate for d, with nothing but SEND_OK unless others will do: a slave that does not replicate
// yet shows in the status, and only there.
func hold(ctx context.Context, clock Clock, counts func() loadgen.Snapshot, load FaultLoad) error {
	rate, d := load.Rate, load.Hold
	began := clock.Now()
	since, degraded := began, int64(0)
	for clock.Now()-since < d {
		if err := clock.Sleep(ctx, look); err != nil {
			return err
		}
		s := counts()
		other := s.AckedTotal - s.Acked[fullStatus]
		if float64(s.Rate) < held(rate) || other > degraded && !load.Degraded {
			since, degraded = clock.Now(), other
			if since-began > d+holdLimit {
				return &Unfit{fmt.Sprintf("the load did not hold %d msg/s before the fault: %d msg/s acknowledged after %.0f s (%v)", rate, s.Rate, (since - began).Seconds(), s.Acked)}
			}
		}
	}
	return nil
}

// held is the rate in msg/s that counts as rate held: arrivals are random, and few arrivals more so.
func held(rate int) float64 {
	return min(rateShare*float64(rate), float64(rate)-float64(4*math.Sqrt(float64(rate)))) // converted: not fused, on any processor
}

// fullStatus is the acknowledgement that stands for all that the contract promises.
const fullStatus = "SEND_OK"

// replicating returns when a few sends have been acknowledged in full: a slave that has just connected may take its time to
// ask for the log, and what waits for it then is no latency of the contract.
func replicating(ctx context.Context, cluster Cluster) error {
	load, err := loadgen.Start(ctx, loadgen.Config{System: cluster.Driver(), Topic: topic, Queues: queues, Outstanding: 1, Body: loadgen.Around(256), Seed: 1})
	if err != nil {
		return err
	}
	defer load.Stop()
	for began := time.Now(); load.Snapshot().Acked[fullStatus] < probes; {
		if err := sleep(ctx, look); err != nil {
			return err
		}
		if time.Since(began) > holdLimit {
			return fmt.Errorf("no %d sends were acknowledged in full within %v: %v", probes, holdLimit, load.Snapshot().Acked)
		}
	}
	return nil
}

const probes = 20

// gapOf over the rate is how long the gap between random arrivals may be: ten times the mean.
const gapOf = 10 * time.Second

// keepsServing returns when sends have been acknowledged without a gap for d: the liveness phase.
func keepsServing(ctx context.Context, clock Clock, counts func() loadgen.Snapshot, rate int, d time.Duration) error {
	began := clock.Now()
	gap := max(healthy, gapOf/time.Duration(max(rate, 1)))
	since, last, lastAcks := began, began, counts().AckedTotal
	for {
		if err := clock.Sleep(ctx, look); err != nil {
			return err
		}
		now, acks := clock.Now(), counts().AckedTotal
		switch {
		case acks > lastAcks:
			last, lastAcks = now, acks
		case now-last > gap:
			since = now
		}
		if last > began && last-since >= d {
			return nil
		}
		if now-began > d+backLimit {
			return &Unfit{fmt.Sprintf("the system did not serve again within %.0f s after the heal", backLimit.Seconds())}
		}
	}
}
