package scenario

import (
	"slices"
	"strings"
	"time"

	"math/rand/v2"

	"holdfast/nemesis"
	"holdfast/reports/result"
)

// Scenario is what is done to a system under a load, and what must come out.
type Scenario struct {
	Name      string // of the file, without .yaml
	Shows     string // one line
	Covers    []int  // rows of the catalogue of known bugs that it reproduces
	Claim     string // what people say, tested beside the contract
	Systems   []string
	Contracts []result.Contract // it runs for, unless the caller asks for others; empty: all
	Cluster   Cluster
	Disk      Disk
	Load      Workload
	Faults    nemesis.Schedule // with their defaults; empty: the healthy system, or Plan
	Plan      *Plan            // instead of Faults
	Promise   *Promise         // what SEND_OK stands for, where brokerRole and flushDiskType do not say it; nil: they do
	Stores    string           // compare, or none
	Cuts      int              // trials, 1 or more
	Marks     []string         // states that a search of seeds in the simulator must reach
	Expect    []Expect         // the first that is for a system and a contract holds
}

// Cluster is the group of brokers under test.
type Cluster struct {
	Brokers            int           // master and slaves
	Groups             int           // of so many brokers each, over which the topic's queues are spread; faults strike the first
	Mode               string        // who decides which broker is the master: classic, controller or dledger
	RTT                time.Duration // base round trip of the network; 0: whatever the world has
	SlaveFlushDiskType string        // ASYNC_FLUSH or SYNC_FLUSH; empty: as the master's
	TransientStorePool bool
	Settings           map[string]string // further lines of every broker.conf
}

// Promise is what an acknowledgement stands for in a group that elects its master: so many copies, and a failover keeps what any of them
// holds.
type Promise struct {
	Copies int    // 1 to the number of brokers
	Level  string // memory, cache or disk: what a copy survives
}

// Disk is how the lossy disk behaves.
type Disk struct {
	Model string // worst or writeback: what a power cut leaves
	Names string // ext4 or posix: which syncs make a name durable
	Fsync string // modelled: durable by bookkeeping; real: the disk below is synced as well
	Size  int64  // bytes, in the simulator alone: its retention measures it, and no file is made beyond it; 0: more than a run fills
}

// Workload is what clients do while faults strike. A zero Rate, Hold or After is the world's own for the system.
type Workload struct {
	Rate        int           // msg/s offered
	Size        int64         // mean body bytes
	Clients     int           // connections
	Outstanding int           // sends outstanding on each connection at most
	Hold        time.Duration // how long the rate must have been held before the schedule begins
	After       time.Duration // how long it goes on after the last heal
	Timeout     time.Duration // of a client's request
	Retries     int           // further sends of a message whose send certainly failed
	Degraded    bool          // it may begin with other acknowledgements than SEND_OK
	Consumers   int           // that poll while faults strike
	Pace        int           // msg/s that each consumer takes at most; 0: as fast as it can
	Quiet       time.Duration // how long the load stands still before the first fault
}

// Plan is a schedule that is drawn from a seed.
type Plan struct {
	Seed   uint64
	Timing nemesis.Timing
	Mix    nemesis.Mix
}

// Amount is a rough number of messages.
type Amount string

// The amounts. An empty one is Any.
const (
	Nothing Amount = "none"
	Some    Amount = "some" // one or more
	Any     Amount = "any"
)

// Expect is what must come out, pooled over the trials.
type Expect struct {
	Systems     []string          // it is for these; empty: for all
	Contracts   []result.Contract // likewise
	Verdict     []string          // one of these; empty: any
	Lost        Amount            // acknowledged messages lost
	Anomalies   []string          // must appear
	NoAnomalies []string          // must not
	Statuses    map[string]Amount // acknowledgements by status
	Before      map[string]Amount // those until the first fault
	During      map[string]Amount // those of what was sent while it was in force
	After       map[string]Amount // and after it was healed
	Delivered   map[string]Amount // messages that consumers got, by phase of the first fault
	EarlyReads  Amount            // messages that consumers got well before they were acknowledged
	Logs        string            // equal or different; empty: any
	Queues      string            // level or frozen; empty: any
	MinAcks     int64             // fewer acknowledgements make a trial inconclusive
}

// Fresh returns a scenario with the defaults of every key that a file may leave out.
func Fresh() Scenario {
	return Scenario{
		Cluster: Cluster{Brokers: 2, Groups: 1, Mode: "classic"},
		Disk:    Disk{Model: "worst", Names: "ext4", Fsync: "modelled"},
		Load:    Workload{Size: 1024, Clients: 2, Outstanding: 4096, Timeout: 8 * time.Second, Consumers: 1},
		Stores:  "none",
		Cuts:    3,
	}
}

// freshPlan has the defaults of a plan.
func freshPlan() Plan {
	quiet := 2 * time.Second
	return Plan{Seed: 1, Timing: nemesis.Timing{
		Length: 30 * time.Second, Quiet: nemesis.Range{From: quiet, To: quiet}, For: nemesis.Range{From: time.Second, To: 3 * time.Second},
	}}
}

// Rows returns the contracts that the scenario runs for, with the axes that its cluster adds: the slave's flushDiskType and the
// transient store pool.
func (s Scenario) Rows() []result.Contract {
	rows := slices.Clone(s.Contracts)
	if len(rows) == 0 {
		rows = Contracts()
	}
	if s.Cluster.TransientStorePool && len(s.Contracts) == 0 { // RocketMQ has the pool under ASYNC_FLUSH alone
		rows = slices.DeleteFunc(rows, func(c result.Contract) bool { return c.FlushDiskType != asyncFlush })
	}
	for i := range rows {
		rows[i].SlaveFlushDiskType = s.Cluster.SlaveFlushDiskType
		rows[i].TransientStorePool = s.Cluster.TransientStorePool
	}
	return rows
}

// For says whether the scenario is for a system, as --system takes it: rocketmq:5.5.0.
func (s Scenario) For(system string) bool { return ofSystem(s.Systems, system) }

// Schedule returns the faults in their order. Those of a plan are drawn from its seed; seed 0 stands for the file's own. What the
// disk's model lets survive is in each power cut. Seeds of faults that have none are drawn from seed as well.
func (s Scenario) Schedule(seed uint64) nemesis.Schedule {
	if s.Plan != nil && seed == 0 {
		seed = s.Plan.Seed
	}
	rng := rand.New(rand.NewPCG(seed, 0))
	faults := slices.Clone(s.Faults)
	if s.Plan != nil {
		faults = nemesis.Plan(rng, s.Plan.Mix, s.Plan.Timing)
	}
	for i := range faults {
		drawn := rng.Uint64() >> 1 // histories hold integers below 2^63
		if faults[i].Seed == 0 {
			faults[i].Seed = drawn
		}
		if faults[i].Kind == nemesis.Power && s.Disk.Model == "writeback" {
			faults[i].Params.Survive.Writeback = true
		}
	}
	return faults
}

// Expected returns what must come out for a system and a contract; false when the scenario expects nothing of them.
func (s Scenario) Expected(system string, c result.Contract) (Expect, bool) {
	for _, e := range s.Expect {
		if ofSystem(e.Systems, system) && (len(e.Contracts) == 0 || slices.ContainsFunc(e.Contracts, func(x result.Contract) bool { return sameRow(x, c) })) {
			return e, true
		}
	}
	return Expect{}, false
}

// ofSystem says whether system is one of names: the same, or any version or profile where a name has none. An empty list has all.
func ofSystem(names []string, system string) bool {
	return len(names) == 0 || slices.ContainsFunc(names, func(name string) bool {
		return system == name || strings.HasPrefix(system, name+":")
	})
}

func sameRow(a, b result.Contract) bool {
	return a.Role() == b.Role() && a.FlushDiskType == b.FlushDiskType
}
