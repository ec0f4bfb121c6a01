package loadgen

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"holdfast/checker/history"
	"holdfast/loadgen/driver"
)

// Defaults of ConsumeConfig.
const (
	DefaultBatch          = 32 // what Apache's clients ask for
	DefaultHold           = time.Second
	DefaultCommitInterval = 5 * time.Second
)

// ConsumeConfig describes one consumer of a group that polls every queue of a topic, from its first offset on.
type ConsumeConfig struct {
	System driver.System
	Topic  string
	Queues int    // of the topic over all queue groups
	Group  string // consumer group

	Pace           int           // messages a second at most; 0: as fast as they come
	Batch          int           // messages asked for in one poll; default DefaultBatch, with a Pace what that makes of a tenth of a second
	Hold           time.Duration // how long the system may hold a poll back; default DefaultHold
	CommitInterval time.Duration // between the commits of a queue that moved; default DefaultCommitInterval
	Timeout        time.Duration // of a request beyond Hold; default DefaultTimeout
	Pause          time.Duration // rest of a queue after a failure; default DefaultFailPause

	Stage    Stage             // what its thread runs on; default: a thread of the operating system
	Recorder *history.Recorder // nil: nothing is recorded
	Process  int32             // client in the history
}

func (c ConsumeConfig) withDefaults() ConsumeConfig {
	if c.Pace > 0 {
		c.Batch = orDefault(c.Batch, min(max(c.Pace/10, 1), DefaultBatch))
	}
	c.Batch = orDefault(c.Batch, DefaultBatch)
	c.Hold = orDefault(c.Hold, DefaultHold)
	c.CommitInterval = orDefault(c.CommitInterval, DefaultCommitInterval)
	c.Timeout = orDefault(c.Timeout, DefaultTimeout)
	c.Pause = orDefault(c.Pause, DefaultFailPause)
	if c.Stage == nil {
		c.Stage = threads{}
	}
	return c
}

// Consumption is a running consumer.
type Consumption struct {
	worker   PollWorker
	consumer driver.Consumer
	join     func()
	err      error // read after join
}

// Consume connects a consumer and begins to poll; see Start. The end of ctx ends it as Stop does.
func Consume(ctx context.Context, cfg ConsumeConfig) (*Consumption, error) {
	cfg = cfg.withDefaults()
	if cfg.System == nil || cfg.Topic == "" || cfg.Group == "" || cfg.Queues < 1 {
		return nil, fmt.Errorf("%w: a consumer needs System, Topic, Group and Queues", ErrConfig)
	}
	consumer, env, err := cfg.System.Consumer(ctx, driver.ConsumerConfig{
		Topic: cfg.Topic, Queues: cfg.Queues, Group: cfg.Group, Slots: 2 * cfg.Queues, Hold: cfg.Hold, Timeout: cfg.Timeout,
		Clock: newClock(cfg.Recorder),
	})
	if err != nil {
		return nil, fmt.Errorf("consumer of topic %s: %w", cfg.Topic, err)
	}
	c := &Consumption{consumer: consumer}
	c.worker = PollWorker{
		Process: cfg.Process, Group: cfg.Group, Queues: cfg.Queues, Batch: cfg.Batch, Pace: cfg.Pace, CommitInterval: cfg.CommitInterval, Pause: cfg.Pause,
		QueueName: func(queue int32) string { return cfg.System.QueueName(cfg.Topic, cfg.Queues, queue) },
	}
	c.join = cfg.Stage.Go(func() {
		c.err = errors.Join(c.worker.Run(env, consumer, cfg.Recorder), consumer.Close())
	})
	cfg.Stage.Ended(ctx, func() { c.worker.stopped.Store(true) })
	return c, nil
}

// ConsumeSnapshot is what a consumer has done so far.
type ConsumeSnapshot struct {
	Polls, Failed int64 // polls that were answered; that were not
	Delivered     int64 // messages
	Corrupt       int64 // of them with a wrong checksum
}

// Snapshot returns the live counters.
func (c *Consumption) Snapshot() ConsumeSnapshot {
	n := &c.worker.live
	return ConsumeSnapshot{Polls: n.polls.Load(), Failed: n.failed.Load(), Delivered: n.delivered.Load(), Corrupt: n.corrupt.Load()}
}

// Abandon is Load.Abandon.
func (c *Consumption) Abandon(node string) { c.worker.parting.Abandon(node) }

// Stop ends the consumer: what is outstanding is waited for, up to hold plus client timeout.
func (c *Consumption) Stop() (ConsumeSnapshot, error) {
	c.worker.stopped.Store(true)
	c.join()
	return c.Snapshot(), c.err
}

// PollWorker polls every queue of a topic, one poll of each at a time, and commits what it has seen. As Worker, it parks in
// Env.Wait only. Fill the exported fields, then call Run once.
type PollWorker struct {
	Process        int32 // client in the history
	Group          string
	Queues         int
	Batch          int
	Pace           int // messages a second over all queues at most; 0: as fast as they come
	CommitInterval time.Duration
	Pause          time.Duration
	QueueName      func(queue int32) string

	stopped atomic.Bool
	parting parting
	live    struct{ polls, failed, delivered, corrupt atomic.Int64 }
	env     driver.Env
	c       driver.Consumer
	rec     *pollScribe
	queues  []pollQueue
}

// pollQueue is where the consumer stands in one queue. Slot i polls queue i; slot Queues + i commits it.
type pollQueue struct {
	next       int64 // queue offset to poll next
	committed  int64
	from       int64 // of the poll under way
	commitAt   time.Duration
	retryAt    time.Duration // when to poll again after a failure
	polling    bool
	committing bool
	pollID     uint64 // operations under way, in the history
	commitID   uint64
}

// Stop ends the worker once what is outstanding is known.
func (w *PollWorker) Stop() { w.stopped.Store(true) }

// Run polls until it is stopped and nothing is outstanding. rec may be nil; the error is that of opening its shard.
func (w *PollWorker) Run(env driver.Env, c driver.Consumer, rec *history.Recorder) error {
	w.env, w.c = env, c
	w.queues = make([]pollQueue, w.Queues)
	if rec != nil {
		var err error
		if w.rec, err = newPollScribe(rec, w.Process, w.Group, w.Queues, w.QueueName); err != nil {
			return err
		}
	}
	buf := make([]driver.Completion, 2*w.Queues)
	for {
		w.parting.obey(c)
		now := env.Now()
		outstanding := w.issue(now)
		if w.stopped.Load() && outstanding == 0 {
			return nil
		}
		n := env.Wait(now+parkMax, buf)
		now = env.Now()
		for i := range buf[:n] {
			w.complete(&buf[i], now)
		}
	}
}

// issue starts the polls and commits that are due, and returns how many operations are under way.
func (w *PollWorker) issue(now time.Duration) int {
	outstanding := 0
	stopped := w.stopped.Load()
	for i := range w.queues {
		q := &w.queues[i]
		if !q.polling && !stopped && now >= q.retryAt {
			w.poll(int32(i), q, now)
		}
		if !q.committing && q.next != q.committed && (now >= q.commitAt || stopped && now >= q.retryAt && !q.polling) {
			w.commit(int32(i), q, now)
		}
		if q.polling {
			outstanding++
		}
		if q.committing {
			outstanding++
		}
	}
	return outstanding
}

func (w *PollWorker) poll(queue int32, q *pollQueue, now time.Duration) {
	q.from = q.next
	if w.rec != nil {
		q.pollID = w.rec.invokePoll(queue, q.from, now)
	}
	q.polling = true
	if err := w.c.Poll(uint32(queue), queue, q.from, w.Batch); err != nil {
		w.complete(&driver.Completion{Slot: uint32(queue), Kind: driver.Fail, Queue: queue, Err: err}, now)
	}
}

func (w *PollWorker) commit(queue int32, q *pollQueue, now time.Duration) {
	q.committed = q.next
	q.commitAt = now + w.CommitInterval
	if w.rec != nil {
		q.commitID = w.rec.invokeCommit(queue, q.committed, now)
	}
	q.committing = true
	slot := uint32(w.Queues) + uint32(queue)
	if err := w.c.Commit(slot, queue, q.committed); err != nil {
		w.complete(&driver.Completion{Slot: slot, Kind: driver.Fail, Queue: queue, Err: err}, now)
	}
}

// complete takes the outcome of a poll or a commit.
func (w *PollWorker) complete(c *driver.Completion, now time.Duration) {
	if int(c.Slot) >= w.Queues {
		q := &w.queues[int(c.Slot)-w.Queues]
		q.committing = false
		if w.rec != nil {
			w.rec.completeCommit(q.commitID, int32(int(c.Slot)-w.Queues), q.committed, c, now)
		}
		return
	}
	q := &w.queues[c.Slot]
	q.polling = false
	if c.Kind != driver.OK {
		w.live.failed.Add(1)
		q.retryAt = now + w.Pause
		if w.rec != nil {
			w.rec.completePoll(q.pollID, int32(c.Slot), q.from, c, nil, now)
		}
		return
	}
	p := w.c.Polled(c.Slot)
	w.live.polls.Add(1)
	w.live.delivered.Add(int64(len(p.Msgs)))
	for i := range p.Msgs {
		if p.Msgs[i].Corrupt {
			w.live.corrupt.Add(1)
		}
	}
	if w.rec != nil {
		w.rec.completePoll(q.pollID, int32(c.Slot), q.from, c, p, now)
	}
	q.next = p.Next
	if len(p.Msgs) == 0 && !p.Moved && now-q.retryAt < time.Millisecond {
		q.retryAt = now + w.Pause // an empty answer at once: do not spin
		return
	}
	q.retryAt = now
	if w.Pace > 0 {
		q.retryAt += time.Duration(len(p.Msgs)*w.Queues) * time.Second / time.Duration(w.Pace)
	}
}
