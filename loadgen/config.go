// Package loadgen offers messages to a system under test at intended times, records every operation in the history
// before its bytes may leave and every outcome after, and measures latency so that no stall hides: from the intended
// start, failures included.
//
// It speaks to systems through loadgen/driver only, decides nothing about correctness and injects no faults. A Worker
// parks in Env.Wait alone, so the same code runs as a thread and as a coroutine of a simulator; Load is the thread form.
package loadgen

import (
	"errors"
	"fmt"
	"time"

	"holdfast/checker/history"
	"holdfast/loadgen/driver"
)

// ErrConfig says that a Config contradicts itself; the text names the field and what it may be.
var ErrConfig = errors.New("loadgen: wrong config")

// Defaults of Config.
const (
	DefaultTimeout   = 8 * time.Second // above the 5 s after which a broker reports FLUSH_DISK_TIMEOUT
	DefaultFailPause = 100 * time.Millisecond
)

// retriesMax bounds Config.Retries: each is a call within the one before it.
const retriesMax = 16

// slotsMax bounds the operations under way.
const slotsMax = 1 << 20

// BodyBytes is a range of body sizes in bytes, drawn uniformly from [Min, Max]; Min == Max fixes the size.
// Fixed sizes hide divergence of replicas: where a log is torn, the next record starts at a record boundary again.
type BodyBytes struct{ Min, Max int }

// Around returns the range of sizes with this mean that the harness uses: a quarter less to a quarter more.
func Around(meanBytes int) BodyBytes {
	return BodyBytes{Min: max(meanBytes-meanBytes/4, driver.MinBodyBytes), Max: meanBytes + meanBytes/4}
}

// Config describes one load: what is sent, how fast, by how many, and where it is recorded.
type Config struct {
	System driver.System
	Topic  string
	Queues int // of the topic over all queue groups; queue numbers are [0, Queues)

	Connections int // to each master; default 1
	Outstanding int // operations that may be under way on each connection; default 64
	Threads     int // operating-system threads that share the connections; default 1: one saturates a broker on two cores

	Rate    int       // operations a second that are started whatever the system does; 0: closed loop, as fast as answers come
	Poisson bool      // intended starts as a Poisson process instead of equal intervals; open loop only
	Body    BodyBytes // default Around(1024)
	Seed    uint64    // of sizes and arrival times

	Stage        Stage             // what its threads run on; default: threads of the operating system
	Recorder     *history.Recorder // nil: nothing is recorded, for pure performance cells
	FirstProcess int32             // history process of the first thread; the others count up from it
	FirstValue   uint64            // value of the first message; the others count up without gaps. Must be unique to a run

	Retries   int           // further sends of a message whose send certainly failed, [0, 16]: new operations with its value. Default 0
	Timeout   time.Duration // of a request; default DefaultTimeout
	FailPause time.Duration // rest of a slot after a failure in a closed loop; default DefaultFailPause
}

// withDefaults returns c with every default filled in.
func (c Config) withDefaults() Config {
	c.Connections = orDefault(c.Connections, 1)
	c.Outstanding = orDefault(c.Outstanding, 64)
	c.Threads = orDefault(c.Threads, 1)
	c.Timeout = orDefault(c.Timeout, DefaultTimeout)
	c.FailPause = orDefault(c.FailPause, DefaultFailPause)
	c.Body = orDefault(c.Body, Around(1024))
	if c.Stage == nil {
		c.Stage = threads{}
	}
	return c
}

func orDefault[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

// Validate says which field is wrong and what it may be; defaults are taken as filled in. The error is an ErrConfig.
func (c Config) Validate() error {
	c = c.withDefaults()
	switch {
	case c.System == nil:
		return fmt.Errorf("%w: no System", ErrConfig)
	case c.Topic == "":
		return fmt.Errorf("%w: no Topic", ErrConfig)
	case c.Queues < 1:
		return fmt.Errorf("%w: Queues %d, must be at least 1", ErrConfig, c.Queues)
	case c.Threads < 1 || c.Threads > c.Connections:
		return fmt.Errorf("%w: Threads %d, must be in [1, Connections = %d]", ErrConfig, c.Threads, c.Connections)
	case c.Outstanding < 1 || c.Connections*c.Outstanding > slotsMax:
		return fmt.Errorf("%w: Outstanding %d on each of %d connections, must be in [1, %d] in all", ErrConfig, c.Outstanding, c.Connections, slotsMax)
	case c.Rate < 0 || c.Rate > 100_000_000:
		return fmt.Errorf("%w: Rate %d, must be in [0, 100000000]", ErrConfig, c.Rate)
	case c.Poisson && c.Rate == 0:
		return fmt.Errorf("%w: Poisson arrivals need a Rate", ErrConfig)
	case c.Body.Min < driver.MinBodyBytes || c.Body.Max < c.Body.Min || c.Body.Max > 4<<20:
		return fmt.Errorf("%w: Body %d-%d bytes, must be within [%d, 4194304]", ErrConfig, c.Body.Min, c.Body.Max, driver.MinBodyBytes)
	case c.Retries < 0 || c.Retries > retriesMax:
		return fmt.Errorf("%w: Retries %d, must be in [0, %d]", ErrConfig, c.Retries, retriesMax)
	case c.Timeout < 0 || c.FailPause < 0:
		return fmt.Errorf("%w: negative Timeout or FailPause", ErrConfig)
	}
	return nil
}
