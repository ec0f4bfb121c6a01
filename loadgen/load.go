package loadgen

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"holdfast/checker/history"
	"holdfast/loadgen/driver"
)

// Load is a running load: one thread of its stage for each of Config.Threads.
type Load struct {
	cfg     Config
	clock   func() time.Duration
	threads []*thread
	joins   []func()
	rate    rateMeter
	quit    func() // ends the measuring of the live rate
	end     sync.Once

	window struct{ begin, end processorTime } // of the machine
}

// thread is one worker with its producer and what it left behind.
type thread struct {
	worker  Worker
	control Control
	p       driver.Producer
	env     driver.Env
	usage   cpuMeter
	err     error // read after the thread has ended
}

// Start connects the producers and begins to send. It returns when every producer has a connection to the topic's masters,
// or with an error, and then nothing was sent. The end of ctx ends the load as Stop does.
func Start(ctx context.Context, cfg Config) (*Load, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	l := &Load{cfg: cfg, clock: newClock(cfg.Recorder)}
	for i := range cfg.Threads {
		t, err := l.newThread(ctx, i)
		if err != nil {
			return nil, errors.Join(err, l.closeProducers())
		}
		l.threads = append(l.threads, t)
	}
	begin := l.clock() + 2*time.Millisecond // all threads pace from one instant
	for _, t := range l.threads {
		t.worker.Start = begin
		t.control.mark.Store(int64(begin))
		l.joins = append(l.joins, cfg.Stage.Go(func() { l.run(t) }))
	}
	l.window.begin = l.processors()
	l.quit = cfg.Stage.Every(rateStep, l.sample)
	cfg.Stage.Ended(ctx, l.stop)
	return l, nil
}

// newClock returns the clock of the history, or one that starts now.
func newClock(rec *history.Recorder) func() time.Duration {
	if rec != nil {
		return func() time.Duration { return time.Duration(rec.Now()) }
	}
	start := time.Now()
	return func() time.Duration { return time.Since(start) }
}

// newThread connects a producer with its share of the connections.
func (l *Load) newThread(ctx context.Context, i int) (*thread, error) {
	cfg := l.cfg
	connections := (cfg.Connections - i + cfg.Threads - 1) / cfg.Threads
	slots := connections * cfg.Outstanding
	t := &thread{}
	var err error
	t.p, t.env, err = cfg.System.Producer(ctx, driver.ProducerConfig{
		Topic: cfg.Topic, Queues: cfg.Queues, Slots: slots, Connections: connections, Timeout: cfg.Timeout, Clock: l.clock,
		Spin: spinFor(cfg.Rate / cfg.Threads),
	})
	if err != nil {
		return nil, fmt.Errorf("producer %d of topic %s: %w", i, cfg.Topic, err)
	}
	t.worker = Worker{
		Process:  cfg.FirstProcess + int32(i),
		Workload: &RoundRobin{Queues: int32(cfg.Queues), First: int32(i % cfg.Queues), Body: cfg.Body},
		Pacer:    newPacer(cfg),
		Slots:    slots,
		Lanes:    connections,
		First:    uint64(i), Stride: uint64(cfg.Threads), Value: cfg.FirstValue, RunID: cfg.System.RunID(),
		Rng:       rand.New(rand.NewPCG(cfg.Seed, uint64(i))),
		Retries:   cfg.Retries,
		Timeout:   cfg.Timeout,
		Pause:     cfg.FailPause,
		QueueName: func(queue int32) string { return cfg.System.QueueName(cfg.Topic, cfg.Queues, queue) },
		Control:   &t.control,
		Latency:   NewLatency(),
	}
	return t, nil
}

// An open loop is awake spinMax before an operation is due, as long as that takes no more than a quarter of a processor.
// On two idle cores at 5,000 msg/s it took the median lateness from 35 us to 1 us, that is half of the median latency.
const (
	spinMax    = 50 * time.Microsecond
	spinBudget = time.Second / 4 // a second
)

// spinFor returns how early a thread that starts rate operations a second wakes.
func spinFor(rate int) time.Duration {
	if rate == 0 || time.Duration(rate)*spinMax > spinBudget {
		return 0
	}
	return spinMax
}

// newPacer returns the pacer of one thread; nil for a closed loop.
func newPacer(cfg Config) Pacer {
	switch {
	case cfg.Rate == 0:
		return nil
	case cfg.Poisson:
		return &Poisson{Rate: uint64(cfg.Rate), Seed: cfg.Seed}
	}
	return Constant{Rate: uint64(cfg.Rate)}
}

// run is the life of one thread.
func (l *Load) run(t *thread) {
	if l.onThreads() {
		t.usage.begin()
	}
	t.err = t.worker.Run(t.env, t.p, l.cfg.Recorder)
	if l.onThreads() {
		t.usage.finish()
	}
	t.err = errors.Join(t.err, t.p.Close())
}

// onThreads says whether the load runs on threads: the processor time of a coroutine is nobody's.
func (l *Load) onThreads() bool {
	_, ok := l.cfg.Stage.(threads)
	return ok
}

// processors returns what the machine's processors did so far.
func (l *Load) processors() processorTime {
	if !l.onThreads() {
		return processorTime{}
	}
	return readProcessorTime()
}

// sample measures the live rate.
func (l *Load) sample() {
	n := l.live()
	l.rate.add(l.clock(), n.ackedTotal())
}

// stop tells the threads to end.
func (l *Load) stop() {
	l.end.Do(func() {
		l.window.end = l.processors()
		now := l.clock()
		for _, t := range l.threads {
			t.control.Stop(now)
		}
		if l.quit != nil {
			l.quit()
		}
	})
}

// live adds up what the threads published.
func (l *Load) live() counts {
	var n counts
	for _, t := range l.threads {
		part := t.control.live()
		n.plus(&part)
	}
	return n
}

// Mark begins a new measured window: the summary's figures leave out what came before, such as the warm-up.
func (l *Load) Mark() {
	l.window.begin = l.processors()
	now := l.clock()
	for _, t := range l.threads {
		t.control.Mark(now)
		t.usage.mark()
	}
}

// Quiet is Control.Quiet, for all threads.
func (l *Load) Quiet(on bool) {
	for _, t := range l.threads {
		t.control.Quiet(on)
	}
}

// Abandon gives up on a node that cannot answer any more, such as one without power: Stop need not wait for its timeouts.
func (l *Load) Abandon(node string) {
	for _, t := range l.threads {
		t.control.Abandon(node)
	}
}

// Stop ends the load: nothing more is sent, and outstanding outcomes are waited for, which takes up to the client timeout.
// It returns what the load was; a second call waits as well and returns the same.
func (l *Load) Stop() Summary {
	l.stop()
	for _, join := range l.joins {
		join()
	}
	return l.summary()
}

// closeProducers closes the producers of a load that did not begin.
func (l *Load) closeProducers() error {
	var err error
	for _, t := range l.threads {
		err = errors.Join(err, t.p.Close())
	}
	return err
}
