// Package soak runs a broker group for as long as it is told to, under a moderate load, with its nodes stopped, killed and
// started again and with members joining, leaving and crashing out of consumer groups all the while. It holds what was
// acknowledged against complete reads, what the groups were given against what there was, and the memory, goroutines and open
// files of every node against bounds. It starts no nodes itself: the world does.
package soak

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"time"

	"holdfast/checker"
	"holdfast/checker/history"
	"holdfast/loadgen"
	"holdfast/loadgen/driver"
	"holdfast/reports/result"
	"holdfast/scenarios"
)

// Config says what to run, and for how long.
type Config struct {
	World    scenarios.World // of real processes
	Contract result.Contract
	For      time.Duration // of the load; start, last deliveries and reads come on top
	Rate     int           // msg/s over all topics
	Seed     uint64
	Out      string   // directory: history, samples, logs; must exist and be empty
	Member   []string // program of a member of a consumer group and its first arguments
	Say      func(string)
}

// Limits of Config.
const (
	ForMin  = 30 * time.Second
	RateMin = 20
	RateMax = 20_000
)

// stream is a topic with its load and the group that consumes it.
type stream struct {
	topic, group string
	queues       int
	ordered      bool
	share        int // of the rate, in percent
	load         *loadgen.Load
	reader       *loadgen.Consumption
	ledger       *ledger
}

// bodies are small and varied: two hours of them must fit a disk, and records of one size hide what tears between them.
var bodies = loadgen.BodyBytes{Min: 64, Max: 512}

func streams() []*stream {
	return []*stream{
		{topic: "events", group: "event-workers", queues: 8, share: 75},
		{topic: "orders", group: "order-workers", queues: 4, share: 25, ordered: true},
	}
}

// History clients. Loads are the first, one a stream.
const (
	firstReader = 1 << 16
	drainReader = 1 << 20
)

// firstValue is that of the first message of a stream: values are unique to the run.
func firstValue(stream int) uint64 { return 1 + uint64(stream)<<28 }

// run is one soak under way.
type run struct {
	cfg     Config
	streams []*stream
	cluster scenarios.Cluster
	rec     *history.Recorder
	rng     *rand.Rand
	began   time.Time
	crew    *crew
	gauge   *gauge
	report  *Report
}

// Run soaks. An error means that the harness or the system could not run; what was found wrong is in the report. The end of ctx ends
// it early: every process is ended, and the error is that of ctx.
func Run(ctx context.Context, cfg Config) (report *Report, err error) {
	r := &run{cfg: cfg, streams: streams(), rng: rand.New(rand.NewPCG(cfg.Seed, 1)), began: time.Now(), report: newReport(cfg)}
	cfg.Say("starting the group")
	r.cluster, err = cfg.World.Open(ctx, scenarios.Spec{
		Dir: filepath.Join(cfg.Out, "cluster"), Contract: cfg.Contract, Seed: cfg.Seed, Topic: r.streams[0].topic, Queues: r.streams[0].queues, Faulty: true,
		Topics: map[string]int{r.streams[1].topic: r.streams[1].queues}, Site: scenarios.Site{Metrics: true},
	})
	if err != nil {
		return nil, fmt.Errorf("start the group: %w", err)
	}
	defer func() { err = errors.Join(err, r.cluster.Close()) }()
	if r.rec, err = history.Create(cfg.Out, r.header(), history.Options{}); err != nil {
		return nil, err
	}
	err = errors.Join(r.load(ctx), r.rec.Close())
	if err != nil {
		return nil, err
	}
	cfg.Say("checking the history")
	h, err := history.Open(cfg.Out)
	if err != nil {
		return nil, err
	}
	r.report.History = checker.Check(h)
	r.report.conclude()
	return r.report, nil
}

func (r *run) header() history.Header {
	c := r.cfg.Contract
	return history.Header{
		Version: 1, Name: "soak", Seed: r.cfg.Seed, System: "reference:rocketmq-5", Contract: c.BrokerRole + "+" + c.FlushDiskType,
		Profile: history.Profile{Name: "rocketmq-5", InSyncReplicas: c.InSyncReplicas}, Nodes: r.cluster.Nodes(),
		Masters: map[string]string{r.cluster.QueueGroup(): r.cluster.Master()}, Expect: history.Expect{MinAcks: int64(r.cfg.Rate) * int64(r.cfg.For.Seconds()) / 2},
	}
}

// load offers the load, disturbs group and members, and reads everything at the end.
func (r *run) load(ctx context.Context) (err error) {
	processes, ok := r.cluster.(scenarios.Processes)
	if !ok {
		return fmt.Errorf("the world %s has no processes to look at", r.cfg.World.Name())
	}
	if r.gauge, err = newGauge(filepath.Join(r.cfg.Out, "samples.jsonl"), processes); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.gauge.close()) }()
	r.crew = newCrew(r.cfg, processes.NameServer(), r.streams)
	defer r.crew.end()
	if err := r.start(ctx); err != nil {
		return err
	}
	churned := make(chan error, 1)
	churning, cease := context.WithCancel(ctx)
	go func() { churned <- r.crew.churn(churning) }()
	err = r.disturb(ctx)
	cease()
	err = errors.Join(err, <-churned)
	return errors.Join(err, r.finish(ctx, err == nil))
}

// start starts loads, readers and the first members.
func (r *run) start(ctx context.Context) error {
	for i, s := range r.streams {
		var err error
		s.load, err = loadgen.Start(ctx, loadgen.Config{
			System: r.cluster.Driver(), Topic: s.topic, Queues: s.queues, Outstanding: 1024, Rate: max(r.cfg.Rate*s.share/100, 1), Poisson: true,
			Body: bodies, Seed: r.cfg.Seed + uint64(i), Recorder: r.rec, FirstProcess: int32(1 + i), FirstValue: firstValue(i),
		})
		if err != nil {
			return err
		}
		s.reader, err = loadgen.Consume(ctx, loadgen.ConsumeConfig{
			System: r.cluster.Driver(), Topic: s.topic, Queues: s.queues, Group: "reader-of-" + s.topic, Recorder: r.rec, Process: firstReader + int32(i),
		})
		if err != nil {
			return err
		}
	}
	return r.crew.muster(ctx)
}

// finish ends the load. Where all went well so far, it waits until the groups have been given everything, and reads every replica.
func (r *run) finish(ctx context.Context, well bool) error {
	var errs []error
	for _, s := range r.streams {
		if s.load == nil {
			continue
		}
		sum := s.load.Stop()
		errs = append(errs, sum.Err)
		r.report.count(s, &sum)
		if s.reader != nil {
			_, err := s.reader.Stop()
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil || !well {
		return err
	}
	r.cfg.Say("the load has ended; waiting until every group has been given everything")
	if err := r.delivered(ctx); err != nil {
		return err
	}
	r.crew.end()
	r.report.Members = r.crew.tally()
	for _, s := range r.streams {
		r.report.Groups = append(r.report.Groups, s.ledger.judge(s))
	}
	r.report.Nodes, r.report.Growth = r.gauge.judge()
	r.cfg.Say("reading every replica to its end, twice")
	return r.drain(ctx)
}

// drainLimit bounds the reads of one replica.
const drainLimit = 5 * time.Minute

// drain reads every queue of every node twice.
func (r *run) drain(ctx context.Context) error {
	var names []string
	for _, s := range r.streams {
		for q := range s.queues {
			names = append(names, r.queueName(s, q))
		}
	}
	for i, node := range r.cluster.Serving() {
		reading, cancel := context.WithTimeout(ctx, drainLimit)
		err := loadgen.Drain{
			Admin: r.cluster.Driver().Admin(), Recorder: r.rec, Process: drainReader + int32(i), Nodes: []string{node}, Queues: names,
		}.Run(reading)
		cancel()
		if err != nil {
			r.report.Reasons = append(r.report.Reasons, fmt.Sprintf("%s was not read to its end: %v", node, err))
		}
	}
	return ctx.Err()
}

func (r *run) queueName(s *stream, queue int) string {
	return r.cluster.Driver().QueueName(s.topic, s.queues, int32(queue))
}

// deliveredLimit bounds how long groups may take for what is left: a crashed member is missed after two minutes, and the lock of a
// queue that it had lives for one.
const deliveredLimit = 4 * time.Minute

// delivered returns when every group has been given all that its topic holds, or cannot be expected to be any more.
func (r *run) delivered(ctx context.Context) error {
	waiting, cancel := context.WithTimeout(ctx, deliveredLimit)
	defer cancel()
	for _, s := range r.streams {
		for q := range s.queues {
			end, err := r.end(waiting, r.queueName(s, q))
			if err != nil {
				return err
			}
			s.ledger.expect(q, end)
		}
	}
	for waiting.Err() == nil {
		missing := int64(0)
		for _, s := range r.streams {
			missing += s.ledger.missing()
		}
		if missing == 0 {
			break
		}
		_ = pause(waiting, 500*time.Millisecond)
	}
	return ctx.Err()
}

// end asks the master for the log end of a queue.
func (r *run) end(ctx context.Context, queue string) (int64, error) {
	var admin driver.Admin = r.cluster.Driver().Admin()
	return admin.MaxOffset(ctx, r.cluster.Master(), queue)
}

// pause waits for d, or errs when ctx ends before.
func pause(ctx context.Context, d time.Duration) error { return scenarios.MachineClock{}.Sleep(ctx, d) }
