// Package nemesis says what is done to a system under test: faults, their targets, recoveries, schedules and
// measured impacts. It is data only; the injectors are its subpackages.
package nemesis

import "time"

// Fault is one thing done to one or several nodes, and how it ends.
type Fault struct {
	Kind     Kind
	Target   Target        // by role, resolved when it strikes
	Params   Params        // figures of the kind
	At       time.Duration // after the load has held its rate; in a schedule after the schedule began
	For      time.Duration // how long until recovery begins; 0: at once
	Recovery Recovery      // of faults that stop a node; empty for others, which are simply ended
	Seed     uint64        // of what chance decides: which un-synced pages survive, which packets are lost
	Off      bool          // go through every step and strike nothing: the twin of a control
}

// Kind is what a fault does. Source: faults.md section 1.
type Kind string

// The kinds, by what they strike.
const (
	None Kind = "none" // nothing: the healthy system

	// Processes.
	Kill     Kind = "kill"      // SIGKILL; the page cache lives on
	Pause    Kind = "pause"     // SIGSTOP until it ends
	Stop     Kind = "stop"      // SIGTERM, a graceful stop
	Restart  Kind = "restart"   // each node in turn: graceful stop, start, caught up
	Upgrade  Kind = "upgrade"   // as Restart, with another version of the system
	Promote  Kind = "promote"   // by hand: the master is stopped, the slave takes over; of the slave: while the master runs on
	Power    Kind = "power"     // un-synced bytes and names vanish, packets drop from that instant on
	DiskLost Kind = "disk-lost" // killed, and returns on an empty disk

	// The network.
	Partition Kind = "partition" // packets dropped, by Params.Shape
	Delay     Kind = "delay"     // packets late
	Loss      Kind = "loss"      // a share of packets dropped
	Duplicate Kind = "duplicate" // a share of packets twice
	Reorder   Kind = "reorder"   // a share of packets overtaken
	Bandwidth Kind = "bandwidth" // at most Params.Rate
	Clog      Kind = "clog"      // connections stay open, no bytes pass until it ends

	// The disk.
	FsyncError Kind = "fsync-error" // EIO
	FsyncSlow  Kind = "fsync-slow"  // each fsync later by Params.Delay
	WriteError Kind = "write-error" // EIO
	ReadError  Kind = "read-error"  // EIO
	DiskFull   Kind = "disk-full"   // ENOSPC
	BitFlip    Kind = "bit-flip"    // bits of bytes that an fsync covered, flipped while the node is down

	// The clock.
	ClockJump  Kind = "clock-jump"  // the wall clock, by Params.Delay, forwards or (negative) backwards
	ClockDrift Kind = "clock-drift" // the wall clock, by Params.PPM
)

// Target names nodes by role, not by index.
type Target string

// The targets.
const (
	Master   Target = "master"
	Slave    Target = "slave"    // every slave
	Leader   Target = "leader"   // in classic HA the master
	Minority Target = "minority" // the largest number of nodes that is less than half, drawn by seed
	Majority Target = "majority" // the smallest number that is more than half, drawn by seed
	All      Target = "all"
	Random   Target = "random"  // one node, drawn by seed
	Clients  Target = "clients" // as a peer of network faults: the load and whoever else is no node
	Servers  Target = "servers" // as a peer of network faults: every other node and the name server, but no client
)

// Recovery says how the system comes back after a fault that stopped a node.
type Recovery string

// The recoveries.
const (
	Returns  Recovery = "returns"  // the node returns in its role
	Promoted Recovery = "promoted" // another node takes over its role
)

// Params are the figures of a fault; each kind has some of them, and Validate refuses the others.
type Params struct {
	Shape        Shape         // Partition
	Peer         Target        // network faults: the other end; empty: everybody else, clients among them
	Percent      float64       // Loss, Duplicate, Reorder: share of packets, (0, 100]
	Delay        time.Duration // Delay, Reorder, FsyncSlow; ClockJump (may be negative)
	Jitter       time.Duration // Delay: spread around Delay
	Distribution string        // Delay: uniform (default), normal, pareto
	Rate         int64         // Bandwidth: bytes/s
	Path         string        // disk faults: prefix of the file's path below the store; default "commitlog"
	Times        int           // FsyncError, WriteError, ReadError: calls that fail; 0: all until it ends
	Pages        string        // FsyncError: what becomes of the pages: drop (default) or keep
	Bytes        int64         // DiskFull: free bytes that are left; BitFlip: how many bits
	PPM          float64       // ClockDrift: parts per million, may be negative
	Version      string        // Upgrade: of the system, as --system takes it after the colon
	After        time.Duration // Power: how long after an fsync of the commit log ended the cut falls; 0: spread over the window
	Window       time.Duration // Power: the flush window that the cuts of a cell are spread over; 0: the contract's own
	Survive      Survive       // Power
}

// Survive says what a power cut leaves of what no fsync covered.
type Survive struct {
	Percent   int  // share of younger pages that survive all the same, 0 to 100
	Writeback bool // pages older than the kernel's expiry survive (model writeback; default worst)
	Tear      bool // the youngest survivor may be torn
	Reorder   bool // survivors need not be the oldest
}

// Shape is the form of a partition.
type Shape string

// The shapes.
const (
	Full    Shape = "full"    // the targets from their peers, both ways
	OneWay  Shape = "one-way" // what the targets send to their peers is lost, what they receive is not
	Isolate Shape = "isolate" // each target from everybody, clients and name server among them
	Bridge  Shape = "bridge"  // two halves that see each other only through one node
	Ring    Shape = "ring"    // each node sees its two neighbours alone
)

// Impact is what a fault was measured to have done, in the units of its kind (contracts.md section 3, Effects):
// processes, bytesLost, files, ms, packets, calls, bytes.
type Impact map[string]int64
