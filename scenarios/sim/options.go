package sim

import (
	"math/rand/v2"
	"time"
)

// Options are what a run draws from its seed beside its faults: how fast disks and network are, and how large the pieces of a store.
type Options struct {
	Seed    uint64
	Latency [2]time.Duration // of a packet between two hosts, from and to
	Write   [2]time.Duration // of a write to the page cache
	Sync    [2]time.Duration // of an fsync
	Segment int64            // bytes of a commit log file
	Chunk   int              // bytes of a piece of the log in memory
	Binary  bool             // clients write their headers in RocketMQ's binary form, else as JSON
	Talk    bool             // there are requests by message beside the load
}

// speeds are how long the jobs of a disk take.
type speeds struct{ write, sync [2]time.Duration }

// Draw returns the options of a seed. A third of the runs has the pace of a quick machine, a third that of a slow one, and a third has
// commit log files so small that the log rolls over many times.
func Draw(seed uint64) Options {
	rng := rand.New(rand.NewPCG(seed, 0x6f7074696f6e73))
	o := Plain(seed)
	o.Segment, o.Chunk = 1<<20, 32<<10
	if rng.IntN(3) == 0 {
		o.Latency = [2]time.Duration{200 * time.Microsecond, 5 * time.Millisecond}
		o.Sync = [2]time.Duration{2 * time.Millisecond, 40 * time.Millisecond}
	}
	o.Binary = rng.IntN(4) > 0
	if rng.IntN(3) == 0 {
		o.Segment, o.Chunk = 32<<10<<rng.IntN(3), 4<<10
	}
	o.Talk = rng.IntN(4) == 0
	return o
}

// capacity is a rate (msg/s) that the machine holds easily with so many sends outstanding, whatever the contract waits for.
func (o Options) capacity(outstanding int) int {
	slowest := 3*o.Sync[1] + 6*o.Latency[1] + 4*o.Write[1]
	return int(int64(outstanding) * int64(time.Second) / int64(slowest))
}

// rateMin is the least rate (msg/s) at which a run has enough messages to tell anything.
const rateMin = 100

// Plain returns the options of a seed that stand for an ordinary machine.
func Plain(seed uint64) Options {
	return Options{
		Seed:    seed,
		Latency: [2]time.Duration{40 * time.Microsecond, 120 * time.Microsecond},
		Write:   [2]time.Duration{10 * time.Microsecond, 60 * time.Microsecond},
		Sync:    [2]time.Duration{300 * time.Microsecond, 3 * time.Millisecond},
		Segment: 64 << 20, Chunk: 256 << 10,
	}
}
