package scenarios

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"holdfast/checker"
	"holdfast/checker/history"
	"holdfast/loadgen"
	"holdfast/nemesis"
	"holdfast/reports/result"
	"holdfast/scenarios/scenario"
)

// topic is the topic of every trial; its queues are enough to show interleaving and few enough to fill.
const (
	topic  = "holdfast"
	queues = 4
)

// Trial is one cluster from fresh stores to a verdict: one load, one fault, one history.
type Trial struct {
	Name     string // of the cell, for the history's header
	Scenario string // that the schedule is of
	System   result.System
	Contract result.Contract
	Schedule nemesis.Schedule
	Site     Site
	Index    int // trial Index of Of, from 0: the stratum of a power cut
	Of       int
	Seed     uint64
	Load     FaultLoad
	Dir      string            // of the history and the logs; made by Run
	Promise  *scenario.Promise // what SEND_OK stands for, where the contract does not say it; nil: it does
	Compare  bool              // the stores after the reads, byte by byte
	Alone    bool              // nothing else runs on the machine: the time to recover means something
	// Twin runs everything but the fault's own act: no process is stopped, no byte dropped. A twin must come out
	// inconclusive, or the harness counts faults that did nothing.
	Twin bool
}

// FaultLoad is the load under which faults strike.
type FaultLoad struct {
	Rate     int           // msg/s offered
	Degraded bool          // it may begin with other acknowledgements than SEND_OK
	Size     int           // mean body bytes; sizes vary by a quarter, for fixed ones hide divergence
	Hold     time.Duration // how long the load must have held its rate before the fault
	After    time.Duration // how long it goes on after the heal: the liveness phase
	MinAcks  int64         // fewer acknowledgements make the trial inconclusive
	Window   time.Duration // flush window that cuts are spread over
	Readers  int           // consumers of a group that poll all the while
	Pace     int           // msg/s that each takes at most; 0: as fast as it can
	Quiet    time.Duration // how long nothing is sent before the first fault
	Drain    time.Duration // deadline of the complete reads
	Timeout  time.Duration // of a client's request
	Restart  time.Duration // what the system takes to start and to serve again, for estimates
	Clients  int           // connections
	Retries  int           // further sends of a message whose send certainly failed
	InFlight int           // sends outstanding on each connection at most
}

// Outcome is what a trial found.
type Outcome struct {
	Verdict checker.Result
	Effect  map[string]int64
	// SinceSync is how long before the cut the disk had completed an fsync of the commit log; 0 when it is not known.
	SinceSync time.Duration
	// RecordBytes is what a message took of the commit log on average, before the last cut; 0 without one.
	RecordBytes float64
	Harness     map[string]result.Process // of the processes of the harness beside the generator
	Settings    map[string]string         // effective configuration of the nodes
	Stores      []result.StorePair        // where they are compared
	History     *history.History
}

// Run does the trial in a world. An error means that the harness or the system could not run: it is no verdict. The history
// is on disk even then.
func (t Trial) Run(ctx context.Context, world World, progress func(string)) (out Outcome, err error) {
	if err := freshDir(t.Dir); err != nil {
		return out, err
	}
	saved := scenario.Saved{Version: scenario.ScheduleVersion, Seed: t.Seed, Scenario: t.Scenario, Faults: t.Schedule}
	if err := scenario.WriteSchedule(filepath.Join(t.Dir, "schedule.yaml"), saved); err != nil {
		return out, err
	}
	progress("starting the cluster")
	cluster, err := world.Open(ctx, t.Spec())
	if err != nil {
		return out, fmt.Errorf("start the cluster: %w", err)
	}
	defer func() { err = errors.Join(err, cluster.Close()) }()
	rec, err := history.Create(t.Dir, t.header(cluster), history.Options{Now: cluster.Clock().Recorded()})
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
	return out, out.judge()
}

// RunInMemory is Run on a cluster that stands already, without a file: for simulations by the thousand. The caller closes the cluster.
func (t Trial) RunInMemory(ctx context.Context, cluster Cluster) (out Outcome, err error) {
	rec, err := history.Create("", t.header(cluster), history.Options{Memory: true, SegmentBytes: segmentInMemory, Now: cluster.Clock().Recorded()})
	if err != nil {
		return out, fmt.Errorf("history: %w", err)
	}
	if err := errors.Join(t.record(ctx, cluster, rec, &out, func(string) {}), rec.Close()); err != nil {
		return out, err
	}
	if out.History, err = rec.History(); err != nil {
		return out, fmt.Errorf("history: %w", err)
	}
	return out, out.judge()
}

// segmentInMemory is the size of a shard's first piece: a simulated load has some thousand operations.
const segmentInMemory = 64 << 10

// judge checks the history.
func (o *Outcome) judge() error {
	if err := early(o.History); err != nil {
		return err
	}
	o.Verdict = checker.Check(o.History)
	return nil
}

// Spec says what cluster the trial needs.
func (t Trial) Spec() Spec {
	return Spec{Dir: filepath.Join(t.Dir, "cluster"), Contract: t.Contract, Seed: t.Seed, Topic: topic, Queues: queues, Faulty: true, Site: t.Site}
}

// queues is how many queues the topic has over all broker groups.
func (t Trial) queues() int { return queues * max(t.Site.Groups, 1) }

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
	sum, err := t.underLoad(ctx, cluster, rec, journal, progress)
	out.Effect, out.SinceSync, out.RecordBytes = journal.effect, journal.sinceSync, journal.recordBytes
	out.Harness, out.Settings = cluster.Harness(), cluster.Settings()
	out.Harness["generator"] = result.Process{CPUSeconds: sum.CPU.Seconds(), StallMS: ms(sum.Stall)}
	if err != nil {
		return err
	}
	progress("reading every replica to its end, twice")
	if t.Contract.TransientStorePool {
		if err := cluster.Clock().Sleep(ctx, poolCommits); err != nil {
			return err
		}
	}
	if err := drain(ctx, cluster, rec, t.queues(), t.Load.Drain); err != nil || !t.Compare {
		return err
	}
	progress("comparing the stores")
	out.Stores, err = cluster.CompareStores(ctx, filepath.Join(t.Dir, "stores"))
	return err
}

// underLoad runs the load with the faults in the middle of it.
func (t Trial) underLoad(ctx context.Context, cluster Cluster, rec *history.Recorder, journal *journal, progress func(string)) (sum loadgen.Summary, err error) {
	load, err := loadgen.Start(ctx, loadgen.Config{
		System: cluster.Driver(), Topic: topic, Queues: t.queues(), Retries: t.Load.Retries,
		Connections: t.Load.Clients, Outstanding: t.Load.InFlight,
		Rate: t.Load.Rate, Poisson: true, Body: loadgen.Around(t.Load.Size), Seed: t.Seed,
		Stage: cluster.Stage(), Recorder: rec, FirstProcess: 1, FirstValue: 1, Timeout: t.Load.Timeout,
	})
	if err != nil {
		return sum, fmt.Errorf("start the load: %w", err)
	}
	readers, err := t.readers(ctx, cluster, rec)
	if err == nil {
		err = t.strike(ctx, cluster, load, journal, progress)
	}
	for _, node := range cluster.Dark() { // what was sent there is unknown for ever: its timeouts need not be waited for
		load.Abandon(node)
		for _, r := range readers {
			r.Abandon(node)
		}
	}
	sum = load.Stop()
	err = errors.Join(err, sum.Err)
	for _, r := range readers {
		_, failed := r.Stop()
		err = errors.Join(err, failed)
	}
	return sum, err
}

// readerClient is the history's client of the first reader; loads count up from 1.
const readerClient = 1 << 16

// readers starts the consumers: each reads every queue for a group of its own, so that what it sees is a history by itself.
func (t Trial) readers(ctx context.Context, cluster Cluster, rec *history.Recorder) ([]*loadgen.Consumption, error) {
	var all []*loadgen.Consumption
	for i := range t.Load.Readers {
		c, err := loadgen.Consume(ctx, loadgen.ConsumeConfig{
			System: cluster.Driver(), Topic: topic, Queues: t.queues(), Group: fmt.Sprintf("readers-%d", i+1), Pace: t.Load.Pace,
			Timeout: t.Load.Timeout, Stage: cluster.Stage(), Recorder: rec, Process: readerClient + int32(i), CommitInterval: readerCommits, Hold: readerHold,
		})
		if err != nil {
			return all, fmt.Errorf("start a consumer: %w", err)
		}
		all = append(all, c)
	}
	return all, nil
}

// readerHold is how long a poll may be held back: each trial ends with one that finds nothing.
const readerHold = 200 * time.Millisecond

// readerCommits is how often a reader commits: more often than Apache's clients, so that a fault of seconds meets commits.
const readerCommits = 500 * time.Millisecond

// replicated returns when every slave holds what the master held: one that has only connected shows in no status of ASYNC_MASTER.
func replicated(ctx context.Context, cluster Cluster) error {
	waiting, cancel := cluster.Clock().WithTimeout(ctx, holdLimit)
	defer cancel()
	if _, err := cluster.CatchUp(waiting); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		reason, _, _ := strings.Cut(err.Error(), "\n")
		return &Unfit{"not every slave had caught up before the first fault: " + reason}
	}
	return nil
}

// strike lets the load hold its rate, does the faults, and sees that the system serves again.
func (t Trial) strike(ctx context.Context, cluster Cluster, load *loadgen.Load, journal *journal, progress func(string)) error {
	progress(fmt.Sprintf("holding %d msg/s", t.Load.Rate))
	clock := cluster.Clock()
	if err := hold(ctx, clock, load.Snapshot, t.Load); err != nil {
		return err
	}
	if err := replicated(ctx, cluster); err != nil {
		return err
	}
	c := campaign{
		trial: &t, cluster: cluster, clock: clock, counts: load.Snapshot, journal: journal, say: progress, rng: rand.New(rand.NewPCG(t.Seed, uint64(t.Index))),
		quiet: load.Quiet,
	}
	if err := c.run(ctx); err != nil {
		return err
	}
	progress("serving again")
	return keepsServing(ctx, clock, load.Snapshot, t.Load.Rate, t.Load.After)
}

// poolCommits is for how long complete reads wait under transientStorePoolEnable: readers see nothing of what is in the broker's own memory,
// so that two reads may agree on an end that is none. It is five times commitIntervalCommitLog.
const poolCommits = time.Second

func (t Trial) header(cluster Cluster) history.Header {
	profile := history.Profile{
		Name: semantics(t.System), InSyncReplicas: t.Contract.InSyncReplicas, TransientStorePool: t.Contract.TransientStorePool,
	}
	nodes, masters := cluster.Nodes(), map[string]string{cluster.QueueGroup(): cluster.Master()}
	for _, g := range cluster.Beside() {
		nodes, masters[g.Name] = append(nodes, g.Nodes...), g.Nodes[0]
	}
	h := history.Header{
		Version: 1, Name: t.Name, Seed: t.Seed, System: t.System.String(),
		Contract: t.Contract.BrokerRole + "+" + t.Contract.FlushDiskType, Profile: profile,
		Nodes: nodes, Masters: masters,
		Expect: history.Expect{MinAcks: t.Load.MinAcks},
	}
	if p := t.Promise; p != nil {
		h.Promises = map[string]history.Promise{fullStatus: {Copies: p.Copies, Level: history.Level(p.Level), Merging: true}}
		h.ReadsLevel = history.Cache
	}
	return h
}

// early returns why a history proves nothing: a node answered a send as master before the line that says that it serves. Whoever reads
// the history would take the answer for one of the master before.
func early(h *history.History) error {
	for i := range h.Roles {
		r := &h.Roles[i]
		for j := range h.Sends {
			op := &h.Sends[j]
			if op.Type == history.OK && h.Nodes[op.Node] == r.Node && op.Return < r.T && !servedBefore(h, i, r.Node) {
				return &Unfit{fmt.Sprintf("%s answered as master %v before that was seen", r.Node, time.Duration(r.T-op.Return))}
			}
		}
	}
	return nil
}

// servedBefore says whether a node served its group at any time before role line i.
func servedBefore(h *history.History, i int, node string) bool {
	for _, master := range h.Header.Masters {
		if master == node {
			return true
		}
	}
	return slices.ContainsFunc(h.Roles[:i], func(r history.RoleOp) bool { return r.Node == node })
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
