package broker

import (
	"time"

	"holdfast/broker/remoting"
	"holdfast/broker/replica"
	"holdfast/broker/store"
)

// Instant is a node's view of time at one event. Wall may be skewed by a nemesis; Mono never goes back.
type Instant struct {
	Mono time.Duration // since the node's start
	Wall int64         // Unix ms
}

// ConnID names a client's connection. The driver never gives one number twice; 0 is no connection.
type ConnID uint64

// Kind says what happened.
type Kind uint8

// Events of a node.
const (
	KindReceived  Kind = iota // Requests came in on Conn, in one burst
	KindOpened                // Conn was opened by Addr
	KindClosed                // Conn is gone
	KindWritten               // the write job has run: Err
	KindSynced                // the sync job has run: Err
	KindAuxDone               // the aux job has run: Err
	KindLoaded                // Load has run
	KindSaved                 // the save of the file Name has run: Err
	KindAnswered              // the call Call was answered by Frame, or failed with Err
	KindReplica               // Replica happened on the replication port
	KindWoke                  // the time asked for by Output.WakeAt has come
	KindStop                  // the node is to stop: what is to be saved is put out, nothing more is accepted
	KindTruncated             // the truncate job has run: Err
	KindSpace                 // the disk was measured: Space
)

// Event is one thing that happened to a node. What it points to is valid during the Step only.
type Event struct {
	Kind     Kind
	Conn     ConnID
	Addr     string
	Requests []Request
	Name     string
	Call     int32
	Frame    *remoting.Frame
	Replica  replica.Event // its Log is filled in by the node
	Load     *store.LoadJob
	Space    Space
	Err      error
}

// Space is how full the disk of the store is, in bytes. Without a Total nobody knows.
type Space struct{ Used, Total int64 }

// Output is what one Step decided; everything in it may be done at once, in any order but that of the slices.
type Output struct {
	Write *store.WriteJob // run it, then step KindWritten. At most one is outstanding
	Sync  *store.SyncJob  // run it, then step KindSynced. At most one is outstanding, beside a write
	Aux   *store.AuxJob   // run it, then step KindAuxDone. At most one is outstanding
	// Truncate is run alone: no other job is outstanding. Then step KindTruncated.
	Truncate *store.TruncateJob
	Loads    []*store.LoadJob // run each, then step KindLoaded
	Replies  []Reply          // to clients, also requests of this node to them
	Replica  []Transfer       // to the peers of the replication port
	Calls    []Call           // requests to other nodes
	Saves    []Save           // small files to replace
	Close    []ConnID         // connections of clients to close

	ReplicaClose []replica.ConnID // connections of the replication port to close
	ReplicaDial  string           // slave: connect to this address and tell by replica events
	Consumed     int              // KindReplica with bytes: how many were used

	Notes   []Note
	WakeAt  time.Duration // the node's earliest deadline; replaces the last one; 0 = none
	Stopped bool          // after KindStop: nothing is outstanding any more
	Halt    error         // cannot go on safely: nothing else is emitted, the process stops
}

// Transfer is one message to a peer of the replication port: the header, and behind it ranges of the commit log.
type Transfer struct {
	Conn   replica.ConnID
	Header [replica.HeaderBytes]byte
	Len    int32 // bytes of Header in use
	Ranges []store.Range
}

// Call is a request to another node. It is answered by a KindAnswered with its ID, in time or with an error.
type Call struct {
	ID      int32
	Addr    string
	Frame   []byte // a whole frame whose opaque is ID
	Timeout time.Duration
}

// Save asks for a file to be replaced, durably; Name is relative to the store's root. The bytes are the driver's.
type Save struct {
	Name  string
	Bytes []byte
}

// Note is a remark for the node's log.
type Note struct {
	Text string
	Bad  bool // an operator should look
}

// reset empties o and keeps its memory.
func (o *Output) reset() {
	clear(o.Replies)
	clear(o.Replica)
	clear(o.Loads)
	*o = Output{
		Loads: o.Loads[:0], Replies: o.Replies[:0], Replica: o.Replica[:0], Calls: o.Calls[:0], Saves: o.Saves[:0], Close: o.Close[:0],
		ReplicaClose: o.ReplicaClose[:0], Notes: o.Notes[:0],
	}
}

// ReplyKind says how a Reply is written.
type ReplyKind uint8

// Kinds of replies.
const (
	ReplyPut   ReplyKind = iota // to a send: written from the fields, outside the lock
	ReplyPull                   // to a pull: Pull and the ranges
	ReplyFrame                  // Frame is the whole frame
	ReplyBody                   // SUCCESS with a long body that Body appends: written outside the lock
)

// Reply is one frame for a client.
type Reply struct {
	Conn        ConnID
	Opaque      int32
	Code        int32
	Form        remoting.Form
	Kind        ReplyKind
	Push        bool // a request of the broker to the client: no answer to anything
	QueueID     int32
	QueueOffset int64
	PhysOffset  int64
	More        []int64 // physical offsets of the second and further records of a batch
	Pull        *PullAnswer
	Frame       []byte
	Body        func(dst []byte) []byte // reads nothing of the node

	unique      [56]byte // UNIQ_KEY of the put, 32 bytes or, of a host with an IPv6 address, 56: no slice, so that a put allocates nothing
	uniqueBytes uint8
	madeTopic   bool // the put made its topic: see heldReply
}

// setUnique has the reply repeat the UNIQ_KEY of its put. A longer one, which no client makes, is left out.
func (r *Reply) setUnique(key []byte) {
	if len(key) <= len(r.unique) {
		r.uniqueBytes = uint8(copy(r.unique[:], key))
	}
}

// PullAnswer is the answer to a pull; its ranges hold whole records and never change.
type PullAnswer struct {
	Header remoting.PullReply
	Remark string
	Bytes  int
	Ranges []store.Range
	Parked bool // it waited for a message
}
