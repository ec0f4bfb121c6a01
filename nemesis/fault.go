// Package nemesis says what is done to a system under test: faults, their targets, recoveries, schedules and
// measured impacts. It is data only; the injectors are its subpackages.
package nemesis

import "time"

// Fault is one thing done to one or several nodes.
type Fault struct {
	Kind     string        // kill, power, pause, disk-lost, fsync-slow, fsync-error
	Target   Target        // by role, resolved when it strikes
	At       time.Duration // after the load has held its rate
	For      time.Duration // how long until recovery begins
	Recovery Recovery
	Seed     uint64 // of what chance decides: which un-synced pages survive
	Off      bool   // go through every step and strike nothing: the twin of a control
}

// Target names nodes by role, not by index.
type Target string

const (
	Master Target = "master"
	Slave  Target = "slave"
	All    Target = "all"
)

// Recovery says how the system comes back after a fault that stopped a node.
type Recovery string

const (
	Returns  Recovery = "returns"  // the node returns in its role
	Promoted Recovery = "promoted" // another node takes over its role
)

// Impact is what a fault was measured to have done, in the units of its kind (contracts.md section 3, Effects):
// processes, bytesLost, files, ms, packets, calls.
type Impact map[string]int64
