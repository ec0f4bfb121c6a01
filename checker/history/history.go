package history

import "math"

// Never is the Return of an operation that has not completed, or whose outcome is unknown: it may yet happen.
const Never = math.MaxInt64

// SendOp is one append of one message.
type SendOp struct {
	Value  uint64
	Op     uint64
	Invoke int64  // ns since the start of the run
	Return int64  // of OK and Fail; else Never
	Offset int64  // queue offset; -1 when it is not known
	Queue  Sym    // of the acknowledgement; else the one that the client chose, or 0
	P      int32  // client
	Epoch  int32  // of the master that answered; -1 when it is not known
	Status uint16 // History.Statuses
	Node   uint16 // History.Nodes; the node that answered; 0 when it is not known
	Type   Type   // OK, Fail or Info
	Retry  bool   // a client's second or later try of the value
}

// FetchOp is a poll or a complete read that was answered. History.Msgs gives what it delivered.
type FetchOp struct {
	Op             uint64
	Invoke, Return int64
	From, End      int64 // End is -1 when the answer did not say
	First          int64 // reads: the lowest offset that the node holds
	P              int32
	Queue, Group   Sym
	Node           uint16 // History.Nodes; 0: the master
	F              F      // Poll or Read
	Filter         bool
	ok             bool
	msgs           msgRange
}

// CommitOp is an offset that a group committed.
type CommitOp struct {
	Op             uint64
	Invoke, Return int64
	P              int32
	Queue, Group   Sym
	Offset         int64 // the next to consume
	Type           Type  // OK, Fail or Info
}

// FaultOp is one fault; a phase that did not come has the time -1.
type FaultOp struct {
	Op                         uint64
	Name                       string
	Nodes                      []string
	Start, Down, Restart, Heal int64
	Effect                     map[string]int64 // of the down line, else of heal; nil when neither gave one
}

// RoleOp says that a node serves a queue group from T on, or no longer.
type RoleOp struct {
	Op          uint64
	T           int64
	Node, Group string
	Role        string // master or slave
}

// CaughtUpOp says that a node was verified to hold all that its master holds.
type CaughtUpOp struct {
	Op          uint64
	T           int64
	Node, Group string
}

// History is a whole history in memory, operations paired, in no particular order of sends.
// It is read-only and may be shared.
type History struct {
	Header  Header
	Sends   []SendOp
	Fetches []FetchOp // by Return
	Commits []CommitOp
	Faults  []FaultOp    // by Start
	Roles   []RoleOp     // by T
	Caught  []CaughtUpOp // by T

	Statuses []string // by SendOp.Status; 0 is none
	Nodes    []string // by SendOp.Node; 0 is none

	// Cut says what of a damaged binary file was left out; such a history has no good verdict.
	Cut []string
	// LastSend is the T of the last line of any send, -1 without one; End is that of the last line.
	LastSend, End int64

	names []string // by Sym
	acks  []int    // by Sym of a queue
	arena msgArena
}

// Acks returns the number of acknowledged sends of a queue.
func (h *History) Acks(queue Sym) int {
	if int(queue) < len(h.acks) {
		return h.acks[queue]
	}
	return 0
}

// Msgs returns what f delivered.
func (h *History) Msgs(f *FetchOp) Msgs { return h.arena.get(f.msgs) }

// Name returns the string that s stands for.
func (h *History) Name(s Sym) string { return h.names[s] }
