// Package driver is the seam between a load and the system under test: messages in, completions out.
// It decides what an outcome may be called (ok, fail, info) and how a message body carries its identity; how a
// particular system is spoken to is the business of its subpackages. It measures and records nothing.
package driver

import (
	"context"
	"errors"
	"time"
)

// Kind is what is known about the outcome of an operation.
type Kind uint8

const (
	OK   Kind = iota + 1 // it certainly happened
	Fail                 // it certainly did not happen, and never will
	Info                 // unknown: it may have happened, or may yet happen
)

// String returns the word that a history uses for k.
func (k Kind) String() string {
	switch k {
	case OK:
		return "ok"
	case Fail:
		return "fail"
	case Info:
		return "info"
	}
	return "none"
}

// Status is the system's own word for an acknowledgement, interned so that a completion needs no string.
type Status uint8

// The acknowledgements of all systems. Of RocketMQ's four, each means that the message is stored.
const (
	NoStatus Status = iota
	SendOK
	FlushDiskTimeout
	FlushSlaveTimeout
	SlaveNotAvailable
	PubAck
	Statuses int = iota // how many statuses there are
)

// statusNames holds the systems' own spelling.
var statusNames = [Statuses]string{"", "SEND_OK", "FLUSH_DISK_TIMEOUT", "FLUSH_SLAVE_TIMEOUT", "SLAVE_NOT_AVAILABLE", "PUBACK"}

// String returns the system's own spelling of s; empty for NoStatus.
func (s Status) String() string { return statusNames[s] }

// AnyQueue as Message.Queue lets the driver choose a queue, round robin.
const AnyQueue int32 = -1

// Message is one message to send. The driver copies what it needs before Send returns.
type Message struct {
	Value uint64 // unique id, also carried inside Body
	Queue int32  // queue number in [0, queues), see System.QueueName; AnyQueue: the driver chooses
	Body  []byte // owned by the caller
}

// Completion is the outcome of one operation, delivered by Env.Wait.
type Completion struct {
	Slot   uint32
	Kind   Kind
	Status Status // of an acknowledged send; else NoStatus
	Queue  int32  // queue number that the operation went to; AnyQueue when it never went to one
	Offset int64  // queue offset of an acknowledged send, or the next offset to poll; -1 when unknown
	Node   string // the node that answered, or whose answer is missing; empty when no node was involved
	Err    error  // why it is not OK; one of a small fixed set per driver, so that its text can be interned
}

// Errors of any driver.
var (
	ErrNotConnected = errors.New("not connected")       // nothing was written: Fail
	ErrTimeout      = errors.New("timeout")             // no answer within the client's timeout: Info
	ErrClosed       = errors.New("connection lost")     // closed after the request may have left: Info
	ErrNoQueue      = errors.New("no such queue")       // nothing was written: Fail
	ErrTooLarge     = errors.New("message too large")   // nothing was written: Fail
	ErrShutDown     = errors.New("client shut down")    // the client was closed with the operation outstanding: Info
	ErrMalformed    = errors.New("malformed response")  // answered, but not understood: Info
	ErrUnavailable  = errors.New("replica unavailable") // a node refuses to be read
)

// Env is where a worker parks, and its only clock. A thread's Env drives the sockets of its Producer or Consumer
// while it waits; a simulator's Env yields its coroutine. It is used by one goroutine.
type Env interface {
	// Now returns the time since the start of the run, monotonic.
	Now() time.Duration
	// Wait hands everything sent so far to the system, then parks until a completion is there or the time is until.
	// It fills buf, which must not be empty, from the oldest completion on and returns their number; 0 means that the
	// time has come. What does not fit is returned by the next call, which then does not park.
	Wait(until time.Duration, buf []Completion) int
}

// Producer sends messages. It never retries: a retry is a new operation of the caller. It is used by one goroutine.
type Producer interface {
	// Send takes message m as operation slot, in [0, ProducerConfig.Slots), which must have no operation under way.
	// Its completion comes from Env.Wait. An error means that nothing was sent and nothing will complete: Fail.
	// Nothing leaves before the next Wait, unless a batch has grown to the size of a socket buffer.
	Send(slot uint32, m *Message) error
	// Close drops the connections. Operations under way complete no more: their outcome is unknown.
	Close() error
}

// Abandoner is a Producer or a Consumer that can give up on a node. Used as they are, by the same goroutine.
type Abandoner interface {
	// Abandon closes the connections to a node. What is under way there completes by Env.Wait: Info, or Fail where nothing left.
	Abandon(node string)
}

// Chooser is a Producer that knows which queue groups take sends. Used as it is, by the same goroutine.
type Chooser interface {
	// Choose returns the queue number that a new send had better go to instead of queue: queue itself unless its group is gone or
	// failed of late.
	Choose(queue int32) int32
}

// Polled is what a poll brought.
type Polled struct {
	From int64 // queue offset that was asked for
	Next int64 // queue offset to ask for next
	End  int64 // log end that the answer stated; -1 when it did not
	Msgs []Received
	// Suggested is the number of the node that the system has the consumer poll next, as the system counts its nodes; 0: the master.
	Suggested int64
	// Moved says that From was outside the log and the system moved the consumer to Next.
	Moved bool
}

// Received is one message as delivered.
type Received struct {
	Offset  int64  // queue offset
	Value   uint64 // meaningless when Corrupt
	Corrupt bool   // the body's checksum failed
}

// Consumer polls the queues of a topic for a consumer group. It is used by one goroutine.
type Consumer interface {
	// Poll asks for up to limit messages of a queue from a queue offset on; its completion comes from Env.Wait. The
	// system may hold the answer back for ConsumerConfig.Hold while there is nothing new. Errors as Producer.Send.
	Poll(slot uint32, queue int32, from int64, limit int) error
	// Polled returns the result of a poll that completed OK, valid until the slot is used again.
	Polled(slot uint32) *Polled
	// Commit stores the next queue offset to consume for the group. Errors as Producer.Send.
	Commit(slot uint32, queue int32, offset int64) error
	Close() error
}

// ReplicaRead is a complete read of one queue of one replica.
type ReplicaRead struct {
	First int64 // first queue offset that the node still holds; what lies below it is expired
	End   int64 // log end that the node itself reports
	Msgs  []Received
}

// Admin does what a load needs done before and after it. Its methods block; they may be called concurrently.
type Admin interface {
	// CreateTopic makes a topic with that many queues on every master and returns when clients can find it.
	CreateTopic(ctx context.Context, topic string, queues int) error
	// MaxOffset returns the log end (next queue offset) of a queue, named as in a history, that the node reports.
	MaxOffset(ctx context.Context, node, queue string) (int64, error)
	// ReadReplica reads a queue, named as in a history, from a queue offset to the end that the node reports, from that
	// node alone whatever its role. It errs when the node cannot be reached, refuses or stands still; then nothing is known.
	ReadReplica(ctx context.Context, node, queue string, from int64) (ReplicaRead, error)
	// Master returns the node that clients are told to send to for a queue group; empty when they are told of none.
	Master(ctx context.Context, topic, group string) (string, error)
}

// ProducerConfig is what a Producer is made from.
type ProducerConfig struct {
	Topic       string
	Queues      int                  // of the topic over all queue groups; numbers are [0, Queues)
	Slots       int                  // operations that may be outstanding; slot i uses connection i mod Connections
	Connections int                  // to each master; default 1
	Timeout     time.Duration        // of a request; default 8 s: above the 5 s after which a broker reports FLUSH_DISK_TIMEOUT
	Clock       func() time.Duration // time since the start of the run; default: since the producer was made
	// Spin is how long before its time Env.Wait wakes, to be awake when it comes: a processor that slept takes tens of
	// microseconds to wake. It costs that much processor time a wait. Default 0.
	Spin time.Duration
}

// ConsumerConfig is what a Consumer is made from.
type ConsumerConfig struct {
	Topic   string
	Queues  int // as in ProducerConfig
	Group   string
	Slots   int
	Hold    time.Duration        // how long the system may hold a poll back; 0: it answers at once
	Timeout time.Duration        // of a request beyond Hold; default 8 s
	Clock   func() time.Duration // as in ProducerConfig
}

// System is a system under test that runs already. Its methods may be called concurrently.
type System interface {
	// Producer returns a connected producer and the Env that drives it. It blocks until the topic's masters are found.
	Producer(ctx context.Context, cfg ProducerConfig) (Producer, Env, error)
	// Consumer returns a connected consumer and the Env that drives it, as Producer does.
	Consumer(ctx context.Context, cfg ConsumerConfig) (Consumer, Env, error)
	Admin() Admin
	// RunID returns the number that every body carries, so that messages of an earlier run are told apart.
	RunID() uint64
	// QueueName returns the name in a history, group/topic/queueID, of a queue number. Numbers count the queues of the
	// first queue group, then those of the second, and so on.
	QueueName(topic string, queues int, queue int32) string
	// Close releases what the system holds, but not its producers and consumers.
	Close() error
}
