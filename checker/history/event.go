// Package history holds what happened in a run: the operations of clients, the faults of the nemesis and the
// complete reads of replicas, as recorded (crash-proof binary shards) and as exchanged (JSON Lines).
// It is a leaf: it judges nothing and knows no broker.
// Source: contracts.md section 3.
package history

// Type says whether an event invokes an operation or completes it.
type Type uint8

const (
	Invoke Type = iota + 1 // the operation begins; recorded before its system call
	OK                     // it certainly happened
	Fail                   // it certainly did not happen
	Info                   // unknown: it may have happened, or may yet happen
)

// F is the function of an operation.
type F uint8

const (
	Send     F = iota + 1 // append one message
	Poll                  // a consumer's pull
	Read                  // a complete read of one replica after the run
	Commit                // a consumer group's offset
	FaultF                // a step of a fault
	Role                  // a node serves a queue group from now on
	CaughtUp              // a node verified to hold all that its master holds
)

// Sym is a string interned in a history: queue, node, status, group, error. 0 is the empty string.
type Sym uint32

// Msg is one message as delivered.
type Msg struct {
	Offset  int64  // queue offset
	Value   uint64 // unique id of the message; meaningless when Corrupt
	Corrupt bool   // the body's checksum failed
}

// Event is one line of a history. Which fields count depends on F and Type (contracts.md section 3).
// Absent integers are -1 (Offset, From, End, Epoch) or 0 (Retry).
type Event struct {
	T     int64 // ns since the start of the run
	At    int64 // intended start in ns, of an invoke; equals T when there was none
	Op    uint64
	Value uint64
	P     int32 // client; -1 is the nemesis
	Type  Type
	F     F
	Retry uint16

	Queue, Group, Node, Status, Error Sym // Queue is group/topic/queueID

	Offset, From, End, Epoch int64
	First                    int64 // read: the lowest offset that the node still holds (retention); 0 when it holds all

	Msgs   []Msg      // poll, read: owned by the caller, copied by Record
	Filter bool       // poll: a filter may have left offsets out
	Fault  *FaultStep // fault lines only
	Role   string     // role lines only: "master" or "slave"; Queue holds the queue group
}

// FaultStep is one phase of a fault.
type FaultStep struct {
	Name   string           // kill, power, disk-lost, pause, partition ...
	Nodes  []string         // the nodes it strikes
	Phase  string           // start, down, restart, heal
	Effect map[string]int64 // measured, on the down line or on heal: processes, bytesLost, files, ms, packets, calls

	malformed string // the field of its line that has another form
}
