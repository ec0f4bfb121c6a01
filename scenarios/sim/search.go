package sim

import (
	"context"
	"runtime"
	"sync"
)

// Range is seeds From to To, both of them; of these a shard takes every Of-th, beginning with its own.
type Range struct {
	From, To uint64
	Shard    int // 1 to Of; 0: all
	Of       int
}

// Seeds lists them in order.
func (r Range) Seeds() []uint64 {
	step, first := uint64(1), r.From
	if r.Of > 1 {
		step, first = uint64(r.Of), r.From+uint64(r.Shard-1)
	}
	var seeds []uint64
	for seed := first; seed <= r.To && seed >= first; seed += step {
		seeds = append(seeds, seed)
	}
	return seeds
}

// Search runs the seeds of a case on all cores and hands each run over in the order of the seeds, until one says that it was enough.
// It errs when ctx ends, or with what a run erred with.
func Search(ctx context.Context, c Case, seeds []uint64, workers int, take func(r Run) (enough bool)) error {
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type done struct {
		run Run
		err error
	}
	results := make([]chan done, len(seeds))
	for i := range results {
		results[i] = make(chan done, 1)
	}
	// So far ahead of the one that is waited for a worker may run: what lies there is held in memory.
	ahead := make(chan struct{}, 8*workers)
	var next sync.Mutex
	at := 0
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for {
				select {
				case ahead <- struct{}{}:
				case <-ctx.Done():
					return
				}
				next.Lock()
				i := at
				at++
				next.Unlock()
				if i >= len(seeds) {
					return
				}
				mine := c
				mine.Seed = seeds[i]
				run, err := mine.Do(ctx, Watch{})
				results[i] <- done{run, err}
			}
		})
	}
	defer all.Wait()
	defer cancel()
	for i := range results {
		select {
		case d := <-results[i]:
			<-ahead
			if d.err != nil {
				return d.err
			}
			if take(d.run) {
				return nil
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
