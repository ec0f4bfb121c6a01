package sim

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"time"

	"holdfast/scenarios"
)

// loop is virtual time: what is to happen, in order. Events of one instant happen in the order in which they were planned.
type loop struct {
	now     time.Duration
	heap    []event
	planned uint64 // events ever
	steps   uint64 // events that happened
	instant int    // of them at now
	rng     *rand.Rand
	trace   *trace
	running *coroutine // nil: whoever pumps
}

type event struct {
	at   time.Duration
	seq  uint64
	what func()
}

// A run that does not end is one whose events spin at one instant, or that has far more of them than any trial.
const (
	stepsMax   = 200_000_000
	instantMax = 200_000
)

func (e *event) before(o *event) bool { return e.at < o.at || e.at == o.at && e.seq < o.seq }

// at plans what for instant t, not earlier than now.
func (l *loop) at(t time.Duration, what func()) {
	l.planned++
	l.heap = append(l.heap, event{max(t, l.now), l.planned, what})
	for i := len(l.heap) - 1; i > 0; {
		parent := (i - 1) / 2
		if !l.heap[i].before(&l.heap[parent]) {
			break
		}
		l.heap[i], l.heap[parent] = l.heap[parent], l.heap[i]
		i = parent
	}
}

// after plans what for d from now.
func (l *loop) after(d time.Duration, what func()) { l.at(l.now+d, what) }

// pop takes the first event.
func (l *loop) pop() event {
	first := l.heap[0]
	last := len(l.heap) - 1
	l.heap[0] = l.heap[last]
	l.heap[last] = event{}
	l.heap = l.heap[:last]
	for i := 0; ; {
		child := 2*i + 1
		if child >= last {
			break
		}
		if right := child + 1; right < last && l.heap[right].before(&l.heap[child]) {
			child = right
		}
		if !l.heap[child].before(&l.heap[i]) {
			break
		}
		l.heap[i], l.heap[child] = l.heap[child], l.heap[i]
		i = child
	}
	return first
}

// pump lets events happen until done says so, until instant t has come, or until ctx ends. It belongs to the thread of the trial, never to
// a coroutine. An event that is nowhere planned will not come: then time jumps to t.
func (l *loop) pump(ctx context.Context, t time.Duration, done func() bool) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if done != nil && done() {
			return nil
		}
		if len(l.heap) == 0 || l.heap[0].at > t {
			l.now = max(l.now, t)
			return nil
		}
		e := l.pop()
		if l.instant++; e.at > l.now {
			l.instant = 0
		}
		if l.steps++; l.steps > stepsMax || l.instant > instantMax {
			return fmt.Errorf("sim: %d events, %d of them at %v, and no end", l.steps, l.instant, e.at)
		}
		l.now = e.at
		e.what()
	}
}

// draw returns a duration in [low, high].
func (l *loop) draw(low, high time.Duration) time.Duration {
	if high <= low {
		return low
	}
	return low + time.Duration(l.rng.Uint64N(uint64(high-low)+1))
}

// chance is true in percent of the draws.
func (l *loop) chance(percent int) bool { return percent > 0 && l.rng.IntN(100) < percent }

// coroutine is a thread of a client: it runs until it parks, and again when it is woken.
type coroutine struct {
	l     *loop
	next  func() (struct{}, bool)
	stop  func()
	yield func(struct{}) bool
	ended bool
}

// errStopped unwinds a coroutine whose run is over.
type errStopped struct{}

// spawn makes a thread that begins at once.
func (l *loop) spawn(run func()) *coroutine {
	c := &coroutine{l: l}
	c.next, c.stop = iter.Pull(func(yield func(struct{}) bool) {
		defer func() {
			if r := recover(); r != nil {
				if _, stopped := r.(errStopped); !stopped {
					panic(r)
				}
			}
		}()
		c.yield = yield
		run()
	})
	l.after(0, c.wake)
	return c
}

// wake runs the thread until it parks or ends.
func (c *coroutine) wake() {
	if c.ended {
		return
	}
	before := c.l.running
	c.l.running = c
	if _, more := c.next(); !more {
		c.ended = true
	}
	c.l.running = before
}

// park gives the loop back until the thread is woken.
func (c *coroutine) park() {
	if !c.yield(struct{}{}) {
		panic(errStopped{})
	}
}

// Go implements loadgen.Stage.
func (l *loop) Go(run func()) (join func()) {
	c := l.spawn(run)
	return func() {
		// The load's own timeouts end it: a join that waits for ever is the step limit's.
		_ = l.pump(background, never, func() bool { return c.ended })
	}
}

// never is an instant that does not come.
const never = time.Duration(1 << 62)

// Every implements loadgen.Stage.
func (l *loop) Every(step time.Duration, f func()) (stop func()) {
	stopped := false
	var tick func()
	tick = func() {
		if !stopped {
			f()
			l.after(step, tick)
		}
	}
	l.after(step, tick)
	return func() { stopped = true }
}

// Ended implements loadgen.Stage: the trial's next wait errs, and it ends its load itself.
func (l *loop) Ended(context.Context, func()) {}

// clock is the loop as a trial sees it.
type clock struct{ l *loop }

var _ scenarios.Clock = clock{}

func (c clock) Now() time.Duration { return c.l.now }

func (c clock) Sleep(ctx context.Context, d time.Duration) error {
	return c.l.pump(ctx, c.l.now+max(d, 0), nil)
}

func (c clock) WithTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	limited, cancel := context.WithCancelCause(ctx)
	open := true
	c.l.after(d, func() {
		if open {
			cancel(context.DeadlineExceeded)
		}
	})
	return limited, func() { open = false; cancel(context.Canceled) }
}

// Recorded implements scenarios.Clock: a history begins when the cluster stands.
func (c clock) Recorded() func() int64 {
	start := c.l.now
	return func() int64 { return int64(c.l.now - start) }
}
