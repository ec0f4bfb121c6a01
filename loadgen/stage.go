package loadgen

import (
	"context"
	"runtime"
	"sync"
	"time"
)

// Stage is what the threads of a load run on: threads of the operating system, or the coroutines of a simulator, where time is virtual.
type Stage interface {
	// Go starts a thread, which parks in driver.Env.Wait alone. join returns when it has ended.
	Go(run func()) (join func())
	// Every calls f each step until it is stopped.
	Every(step time.Duration, f func()) (stop func())
	// Ended calls f when ctx ends, if whoever started the load does not end it then anyway.
	Ended(ctx context.Context, f func())
}

// threads is the Stage of a real load.
type threads struct{}

// Go locks the thread to run, so that it ends with it and its settings with the thread.
// Real-time priority was tried: on two busy cores it took twice the processor time, for it breaks up the system's batches,
// and was still up to 75 ms late when the Go runtime's other threads were starved.
func (threads) Go(run func()) (join func()) {
	var done sync.WaitGroup
	done.Go(func() {
		runtime.LockOSThread()
		sharpenTimers()
		run()
	})
	return done.Wait
}

func (threads) Ended(ctx context.Context, f func()) { context.AfterFunc(ctx, f) }

func (threads) Every(step time.Duration, f func()) (stop func()) {
	quit := make(chan struct{})
	go func() {
		tick := time.NewTicker(step)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
				f()
			}
		}
	}()
	return sync.OnceFunc(func() { close(quit) })
}
