package scenarios

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"holdfast/checker"
	"holdfast/checker/history"
	"holdfast/loadgen"
	"holdfast/nemesis"
	"holdfast/reports/result"
)

// topic is the topic of every trial; its queues are enough to show interleaving and few enough to fill.
const (
	topic  = "holdfast"
	queues = 4
)

// Trial is one cluster from fresh stores to a verdict: one load, one fault, one history.
type Trial struct {
	Name     string // of the cell, for the history's header
	System   result.System
	Contract result.Contract
	Fault    nemesis.Fault
	Index    int // trial Index of Of, from 0: the stratum of a power cut
	Of       int
	Seed     uint64
	Load     FaultLoad
	Dir      string // of the history and the logs; made by Run
	// Twin runs everything but the fault's own act: no process is stopped, no byte dropped. A twin must come out
	// inconclusive, or the harness counts faults that did nothing.
	Twin bool
}

// FaultLoad is the load under which faults strike.
type FaultLoad struct {
	Rate     int           // msg/s offered
	Size     int           // mean body bytes; sizes vary by a quarter, for fixed ones hide divergence
	Hold     time.Duration // how long the load must have held its rate before the fault
	After    time.Duration // how long it goes on after the heal: the liveness phase
	MinAcks  int64         // fewer acknowledgements make the trial inconclusive
	Window   time.Duration // flush window that cuts are spread over
	Drain    time.Duration // deadline of the complete reads
	Timeout  time.Duration // of a client's request
	Restart  time.Duration // what the system takes to start and to serve again, for estimates
	Clients  int           // connections
	InFlight int           // sends outstanding on each connection at most
}

// Outcome is what a trial found.
type Outcome struct {
	Verdict checker.Result
	Effect  map[string]int64
	// SinceSync is how long before the cut the disk had completed an fsync of the commit log; 0 when it is not known.
	SinceSync time.Duration
	History   *history.History
}

// Run does the trial in a world. An error means that the harness or the system could not run: it is no verdict. The history
// is on disk even then.
func (t Trial) Run(ctx context.Context, world World, progress func(string)) (out Outcome, err error) {
	if err := freshDir(t.Dir); err != nil {
		return out, err
	}
	progress("starting the cluster")
	cluster, err := world.Open(ctx, Spec{Dir: filepath.Join(t.Dir, "cluster"), Contract: t.Contract, Topic: topic, Queues: queues, Replicas: 2, Faulty: true})
	if err != nil {
		return out, fmt.Errorf("start the cluster: %w", err)
	}
	defer func() { err = errors.Join(err, cluster.Close()) }()
	rec, err := history.Create(t.Dir, t.header(cluster), history.Options{})
	if err != nil {
		return out, fmt.Errorf("history: %w", err)
	}
	err = errors.Join(t.record(ctx, cluster, rec, &out, progress), rec.Close())
	if err != nil {
		return out, err
	}
	progress("checking")
	if out.History, err = history.Open(t.Dir); err != nil { // from the file, as anybody else would
		return out, fmt.Errorf("read the history back: %w", err)
	}
	out.Verdict = checker.Check(out.History)
	return out, nil
}

// freshDir makes dir, without what an interrupted matrix left in it.
func freshDir(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return os.MkdirAll(dir, 0o755)
}

// record runs the load with its fault and reads what is left; everything goes into rec.
func (t Trial) record(ctx context.Context, cluster Cluster, rec *history.Recorder, out *Outcome, progress func(string)) error {
	journal, err := newJournal(rec)
	if err != nil {
		return err
	}
	err = t.underLoad(ctx, cluster, rec, journal, progress)
	out.Effect, out.SinceSync = journal.effect, journal.sinceSync
	if err != nil {
		return err
	}
	progress("reading every replica to its end, twice")
	return drain(ctx, cluster, rec, t.Load.Drain)
}

// underLoad runs the load with the fault in the middle of it.
func (t Trial) underLoad(ctx context.Context, cluster Cluster, rec *history.Recorder, journal *journal, progress func(string)) error {
	load, err := loadgen.Start(ctx, loadgen.Config{
		System: cluster.Driver(), Topic: topic, Queues: queues,
		Connections: t.Load.Clients, Outstanding: t.Load.InFlight,
		Rate: t.Load.Rate, Poisson: true, Body: loadgen.Around(t.Load.Size), Seed: t.Seed,
		Recorder: rec, FirstProcess: 1, FirstValue: 1, Timeout: t.Load.Timeout,
	})
	if err != nil {
		return fmt.Errorf("start the load: %w", err)
	}
	err = t.strike(ctx, cluster, load, journal, progress)
	return errors.Join(err, load.Stop().Err)
}

func (t Trial) strike(ctx context.Context, cluster Cluster, load *loadgen.Load, journal *journal, progress func(string)) error {
	progress(fmt.Sprintf("holding %d msg/s", t.Load.Rate))
	if err := hold(ctx, load, t.Load.Rate, t.Load.Hold); err != nil {
		return err
	}
	rng := rand.New(rand.NewPCG(t.Seed, uint64(t.Index)))
	fault := t.Fault
	fault.Seed, fault.Off = rng.Uint64(), t.Twin
	if fault.Kind == "power" {
		aim := Aim{Stratum: t.Index, Of: t.Of, U: rng.Float64(), Window: t.Load.Window, Synchronous: t.Contract.FlushDiskType == "SYNC_FLUSH"}
		var err error
		if journal.sinceSync, err = cluster.Aim(ctx, aim); err != nil {
			return fmt.Errorf("aim the cut: %w", err)
		}
	}
	progress(FaultName(fault))
	if err := cluster.Strike(ctx, fault, journal); err != nil {
		return fmt.Errorf("%s: %w", FaultName(fault), err)
	}
	progress("recovering")
	if err := cluster.Recover(ctx, fault, journal); err != nil {
		return fmt.Errorf("recover from %s: %w", FaultName(fault), err)
	}
	progress("serving again")
	return keepsServing(ctx, load, t.Load.After)
}

func (t Trial) header(cluster Cluster) history.Header {
	profile := history.Profile{Name: semantics(t.System), InSyncReplicas: t.Contract.InSyncReplicas}
	return history.Header{
		Version: 1, Name: t.Name, Seed: t.Seed, System: t.System.String(),
		Contract: t.Contract.BrokerRole + "+" + t.Contract.FlushDiskType, Profile: profile,
		Nodes: cluster.Nodes(), Masters: map[string]string{cluster.QueueGroup(): cluster.Master()},
		Expect: history.Expect{MinAcks: t.Load.MinAcks},
	}
}

// semantics names the profile of promises that a system is judged by.
func semantics(s result.System) string {
	switch {
	case s.Profile != "":
		return s.Profile
	case strings.HasPrefix(s.Version, "4."):
		return "rocketmq-4.9"
	}
	return "rocketmq-5"
}
