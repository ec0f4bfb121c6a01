// Package replica holds the replication state machines of a broker: None for a broker alone, Primary for RocketMQ's classic
// high availability over its own wire protocol, Controlled for a group whose master a controller elects. A state machine decides what to send, apply, dial and close; it owns no
// socket, log or clock. What an acknowledgement of a replica is worth to a producer is decided in package durability.
package replica

import (
	"time"

	"holdfast/broker/durability"
)

// Offset is a physical offset of the commit log, in bytes.
type Offset = durability.Offset

// ConnID names one connection of the HA port; the driver gives a new number to each.
type ConnID uint64

// Kind says what happened.
type Kind uint8

// Events of a Replicator.
const (
	KindMoved      Kind = iota // the own log's marks moved
	KindWoke                   // the time asked for by Out.WakeAt has come
	KindConnected              // master: a slave connected; slave: the connection asked for by Out.Dial stands
	KindRefused                // slave: the connection asked for by Out.Dial failed
	KindReceived               // Data are the bytes received and not yet consumed
	KindClosed                 // the connection is gone
	KindDrained                // everything emitted for Conn has been handed to the kernel
	KindMaster                 // slave: Addr is the master's HA address as the name server told it
	KindView                   // Controlled: View is what the controller says
	KindRefusedSet             // Controlled: what Out.Ask asked for was refused, or nobody answered
	KindTruncated              // Controlled: the log ends where Out.Truncate asked
	KindSaved                  // Controlled: the newest Out.Epochs is durable
)

// Event is one thing that happened.
type Event struct {
	Kind Kind
	Conn ConnID
	Data []byte // KindReceived; valid during the Step
	Addr string // KindConnected: the peer; KindMaster: the address to dial
	// Dialed tells the connection that Out.Dial asked for from one that a peer made (KindConnected).
	Dialed bool
	View   View
	Log    Log // the own log at this instant
}

// Log is what a state machine must know of its own commit log. Invariant: Min <= Written <= Appended, Whole <= Appended.
type Log struct {
	Min       Offset // start of the oldest file
	Written   Offset // end of what the kernel has: this much may be sent and acknowledged
	Whole     Offset // end of the last whole record in memory
	Appended  Offset // end of what is in memory
	Synced    Offset // end of what an fsync covered
	FileBytes int64  // size of a log file
	Bad       bool   // what was applied is no record: nothing more becomes whole
}

// HeaderBytes is the size of the longest header.
const HeaderBytes = 28

// Envelope is one message for a peer: the header, and behind it the bytes [From, From+Size) of the own log.
type Envelope struct {
	Conn   ConnID
	Header [HeaderBytes]byte
	Len    int32  // bytes of Header in use
	Body   []byte // behind the header; then Size is 0
	Size   int32  // bytes of the log behind the header
	From   Offset // where they begin
}

// Chunk is a run of log bytes that a slave has to append at At.
type Chunk struct {
	At   Offset
	Data []byte // inside Event.Data
}

// Out is what one Step decided. The caller empties it (Reset) between Steps.
type Out struct {
	Envelopes []Envelope
	Apply     []Chunk // in order; each begins where the own log ends
	Close     []ConnID
	Dial      string        // slave: connect to this address; the outcome is an event
	Consumed  int           // bytes of Event.Data that were used
	WakeAt    time.Duration // the earliest deadline; 0 = none
	Notes     []Note        // what a log should say

	Cut      bool        // Controlled: cut the log off at Truncate, then step KindTruncated; until then nothing is applied
	Truncate Offset      // the end of a record
	Save     bool        // Controlled: make Epochs durable, then step KindSaved
	Epochs   Epochs      // valid until the next Step
	SyncTo   Offset      // Controlled: sync this much of the log soon, whatever the flush policy; 0 = no wish
	Ask      *SetRequest // Controlled: ask the controller; the answer is KindView or KindRefusedSet
}

// Note is a remark for the node's log.
type Note struct {
	Text string
	A, B int64 // offsets the text speaks of
}

// Reset empties o and keeps its memory.
func (o *Out) Reset() {
	o.Envelopes, o.Apply, o.Close, o.Notes = o.Envelopes[:0], o.Apply[:0], o.Close[:0], o.Notes[:0]
	o.Dial, o.Consumed, o.WakeAt = "", 0, 0
	o.Cut, o.Truncate, o.Save, o.Epochs, o.SyncTo, o.Ask = false, 0, false, nil, 0, nil
}

// Role is a replicator's role.
type Role uint8

// Roles.
const (
	RoleMaster Role = iota
	RoleSlave
)

// Replicator is a replication state machine. Step never blocks and never fails.
type Replicator interface {
	// Step takes one event and adds what follows from it to out; out.WakeAt is set anew by every Step.
	Step(now time.Duration, ev *Event, out *Out)
	// Marks fills in the replicas' part of m; the slices are valid until the next Step.
	Marks(m *durability.Marks)
	// Role returns the role played.
	Role() Role
	// Epoch returns the master's epoch; 0 where the protocol has none.
	Epoch() int32
	// Peers appends what is known of the connected peers to dst, in the order of their connections.
	Peers(dst []Peer) []Peer
}

// Peer is what a state machine knows of one connection.
type Peer struct {
	Conn     ConnID
	Addr     string
	Acked    Offset        // master: the slave's last report, -1 before the first; slave: the own last report
	Next     Offset        // master: where the next chunk begins, -1 before the first report
	LastRead time.Duration // monotonic
	LastSent time.Duration // monotonic
}

// None is the replicator of a broker that is alone.
type None struct{}

// Step does nothing.
func (None) Step(_ time.Duration, _ *Event, out *Out) { out.WakeAt = 0 }

// Marks reports that there are no replicas.
func (None) Marks(m *durability.Marks) { m.Replicas, m.Pushed, m.Connections = nil, 0, 0 }

// Role is master.
func (None) Role() Role { return RoleMaster }

// Epoch is 0.
func (None) Epoch() int32 { return 0 }

// Peers has none.
func (None) Peers(dst []Peer) []Peer { return dst }
