package scenarios

import (
	"context"
	"time"

	"holdfast/checker/history"
	"holdfast/loadgen"
	"holdfast/loadgen/driver"
	"holdfast/nemesis"
	"holdfast/reports/result"
)

// World is where clusters run and what can be done to them there.
type World interface {
	// Name is sandbox, loopback or sim.
	Name() string
	// Possible returns nil, or why the fault cannot be done in this world to this system.
	Possible(f nemesis.Fault) error
	// Open starts a cluster on fresh stores and returns when every replica has caught up and the topic is there.
	Open(ctx context.Context, spec Spec) (Cluster, error)
}

// Spec says what cluster to open.
type Spec struct {
	Dir      string // logs, configurations and stores go below it; exists and is empty
	Contract result.Contract
	Seed     uint64 // of what a simulated world leaves to chance
	Topic    string
	Queues   int            // in each broker group
	Topics   map[string]int // further topics, with their queues
	Faulty   bool           // the world's faults must be possible: stores on its disks, nodes on its network
	Site     Site
}

// Site is what a cluster stands on, beside its contract.
type Site struct {
	Brokers   int               // of each group, a master and its slaves: 1 to 5; 0: 2
	Groups    int               // broker groups over which the topic's queues are spread; 0: 1. Faults strike the first
	RTT       time.Duration     // base round trip between any two hosts; 0: as fast as the world goes
	DiskBytes int64             // size of each simulated disk; 0: more than a run fills
	Posix     bool              // names of files need a sync of their directory; default: as ext4
	RealFsync bool              // each fsync of a lossy disk reaches the real one, too; default: durability is modelled
	Mode      string            // who decides which broker is the master: classic (default), controller, dledger
	Settings  map[string]string // lines of the brokers' configuration that come after all others
	Metrics   bool              // each node serves its metrics
	Short     bool              // the contract stands although it waits for more brokers than the group has
}

// Stamps records what the nemesis does, each at the instant of the call, so callers stamp before acting and after.
type Stamps interface {
	// Fault records one phase of a fault.
	Fault(step history.FaultStep)
	// Role records that a node serves a queue group from now on. It precedes the first answer of that node in its role. It may be
	// called while Fault is.
	Role(group, node string)
}

// QueueGroup is a broker group: its name, the first part of the names of its queues, and its nodes that are up, the master first.
type QueueGroup struct {
	Name  string
	Nodes []string
}

// Cluster is one broker group under test with its name server: real processes, or simulated ones. Other groups may stand beside it,
// which no fault strikes.
type Cluster interface {
	// Clock is the time in which it lives.
	Clock() Clock
	// Stage is what the threads of its load run on; nil: threads of the operating system.
	Stage() loadgen.Stage
	Driver() driver.System
	// QueueGroup is the broker name, the first part of the names of its queues.
	QueueGroup() string
	// Nodes lists the brokers, the master of the start first.
	Nodes() []string
	// Beside lists the other groups.
	Beside() []QueueGroup
	// Serving lists the nodes that are up and can be read, the one that serves the group first.
	Serving() []string
	// Dark lists the nodes that lost their power and did not get it back: nothing comes from them any more.
	Dark() []string
	// Master is the node that serves the group now.
	Master() string
	// LogEnd is the physical end of the master's commit log in bytes.
	LogEnd(ctx context.Context) (int64, error)
	// CatchUp returns the slaves that run and hold by now all that the master held when it was called, waiting for
	// them until ctx ends.
	CatchUp(ctx context.Context) (held []string, err error)
	// Aim blocks until the instant of a power cut has come and returns how long before it the disk completed an fsync of
	// the master's commit log. It errs when the disk sees no fsync.
	Aim(ctx context.Context, aim Aim) (sinceSync time.Duration, err error)
	// Inject does the fault and stamps start and, when nodes were stopped, down with the measured effect.
	Inject(ctx context.Context, f nemesis.Fault, stamps Stamps) (Struck, error)
	// CPUSeconds returns the processor time, user and system, of each process so far: the nodes, and the disk where there is one.
	CPUSeconds() map[string]float64
	// Memory returns what each node that runs keeps resident now.
	Memory() map[string]result.Memory
	// Settings returns the effective configuration of the nodes, "a-0.flushDiskType" and so on, without what differs by run.
	Settings() map[string]string
	// Harness measures the processes of the harness that serve this cluster: switch, disk.
	Harness() map[string]result.Process
	// CompareStores ends every process and compares the store of the node that serves the group with that of each other node, byte by
	// byte. The dump of each and the comparisons are written to files below dir.
	CompareStores(ctx context.Context, dir string) ([]result.StorePair, error)
	// Close ends every process and removes the stores, but not the logs.
	Close() error
}

// Process is a node's running process, for what looks at it from outside.
type Process struct {
	PID     int
	Store   string // directory of its store; empty without one
	Metrics string // address of its metrics, HOST:PORT; empty: it has none
}

// Processes is a Cluster of real processes.
type Processes interface {
	// Processes returns those that run, by node, the name server among them.
	Processes() map[string]Process
	// NameServer is its address, for clients that are programs of their own.
	NameServer() string
}

// Struck is a fault that has been injected.
type Struck interface {
	// Heal ends it as its recovery says, stamps restart, role and heal, and returns when the heal is verified: nodes answer,
	// packets pass, the group is served again. It is called once.
	Heal(ctx context.Context, stamps Stamps) error
}

// Aim says when a cut falls: cut Stratum of Of at Phase(Stratum, Of, U, Window) after an fsync of the commit log ended.
type Aim struct {
	Stratum, Of int
	U           float64 // in [0, 1], 1 only to cut at the end of the window
	Window      time.Duration
	Synchronous bool // the window is the time from one fsync to the next, whatever Window says
}
