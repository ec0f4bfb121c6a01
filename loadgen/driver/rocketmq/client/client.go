// Package client is a RocketMQ client as a pure state machine: routes, connections, request ids, deadlines, and what
// every answer, or its absence, says about an operation. Bytes and instants go in, bytes and actions come out; sockets
// and clocks belong to whoever drives it, a thread or a simulator. It never retries an operation.
package client

import (
	"fmt"
	"time"

	"holdfast/broker/remoting"
	"holdfast/loadgen/driver"
)

// Limits of a client.
const (
	SlotsMax        = 1 << 20
	ConnectionsMax  = 1 << 10
	DialTimeout     = 2 * time.Second
	RouteTimeout    = 3 * time.Second  // of a route request; then the next name server is asked
	HeartbeatPeriod = 30 * time.Second // a broker closes a connection that was silent for 120 s
)

// Config describes a client. Every field must be set but those with a default.
type Config struct {
	NameServers   []string // addresses
	Groups        []string // broker names, in the order in which queue numbers count them
	Topic         string
	Queues        int // over all groups
	ProducerGroup string
	ConsumerGroup string // empty: a producer

	Slots         int
	Connections   int // to each group; default 1
	Timeout       time.Duration
	Hold          time.Duration // how long a broker may hold a poll back
	RouteInterval time.Duration
	DialBackoff   time.Duration

	Form     remoting.Form
	Quorum   bool   // the brokers' log is replicated by DLedger: a lack of replicas is noticed after the append
	WallMS   int64  // Unix ms at instant 0, for born timestamps
	ClientID string // in heartbeats
	RunID    uint64 // in unique keys; messages of other runs are reported as values that nobody sent
	// NodeName names the node at an address; default: the address.
	NodeName func(address string) string
}

// ActionKind says what a driver must do.
type ActionKind uint8

const (
	Dial ActionKind = iota + 1 // connect, then call Opened or Closed
	Drop                       // close the connection and forget it; Closed is not called
)

// Action is something that only a driver can do.
type Action struct {
	Kind    ActionKind
	Conn    int
	Address string // of a Dial
}

// Client is the state machine. Its methods are called by one goroutine, with instants that never go back.
type Client struct {
	cfg       Config
	slotBits  int
	each      int32 // queues of one group
	now       time.Duration
	conns     []conn
	groups    []group
	ns        nameServers
	ops       []op
	first     int32 // slot with the earliest deadline; -1: none under way
	last      int32
	ready     []driver.Completion // ring, Slots long: an operation completes once
	readyHead int
	readyLen  int
	actions   []Action
	opaque    int32 // of the last request that is no operation
	heartbeat time.Duration
	beat      []byte // heartbeat body
	next      int32  // queue for driver.AnyQueue
	templates []template
	born      digits
	errs      remoteErrors
	frame     remoting.Frame     // the response that is looked at
	sent      remoting.SendReply // its header, when it answers a send
	polled    []driver.Polled    // by slot, for consumers
	sources   []int64            // by queue number, for consumers: the broker id that the last answer suggested
	timer     time.Duration      // next instant at which connections or the route need a Wake
}

// group is a broker group and the connections that operations on its queues use.
type group struct {
	name    string
	address string                // of the node that is used now; empty: unknown
	lanes   []int                 // connection of each lane
	nodes   []remoting.BrokerAddr // that the route gives
	avoid   time.Duration         // new sends go to other groups until then
}

// New returns a client that has done nothing yet; Wake at instant now begins. cfg must be valid.
func New(cfg Config, now time.Duration) *Client {
	if cfg.Slots < 1 || cfg.Slots > SlotsMax || cfg.Connections > ConnectionsMax || len(cfg.NameServers) == 0 || len(cfg.Groups) == 0 || cfg.Queues < 1 {
		panic(fmt.Sprintf("rocketmq client: invalid config %+v", cfg))
	}
	cfg.Connections = max(cfg.Connections, 1)
	if cfg.NodeName == nil {
		cfg.NodeName = func(address string) string { return address }
	}
	c := &Client{cfg: cfg, now: now, first: -1, last: -1}
	for 1<<c.slotBits < cfg.Slots {
		c.slotBits++
	}
	c.each = max(int32(cfg.Queues/len(cfg.Groups)), 1)
	c.ops = make([]op, cfg.Slots)
	c.ready = make([]driver.Completion, cfg.Slots)
	if cfg.ConsumerGroup != "" {
		c.polled = make([]driver.Polled, cfg.Slots)
		c.sources = make([]int64, cfg.Queues)
	}
	for _, name := range cfg.Groups {
		c.groups = append(c.groups, group{name: name})
	}
	c.beat = heartbeatBody(cfg)
	c.templates = newTemplates(cfg, c.each)
	c.ns.conn = c.connTo(cfg.NameServers[0], 0, true)
	c.heartbeat = now + HeartbeatPeriod
	c.timer = now
	return c
}

// Wake does what is due at instant now: deadlines, connections, the route, heartbeats.
func (c *Client) Wake(now time.Duration) {
	c.now = now
	c.expire()
	if now < c.timer {
		return
	}
	c.wakeRoute()
	if now >= c.heartbeat {
		c.heartbeat = now + HeartbeatPeriod
		for i := range c.conns {
			c.sendHeartbeat(i)
		}
	}
	for i := range c.conns {
		c.wakeConn(i)
	}
	c.timer = c.nextTimer()
}

// WakeAt returns the instant at which Wake has something to do.
func (c *Client) WakeAt() time.Duration {
	if c.first >= 0 {
		return min(c.timer, c.ops[c.first].deadline)
	}
	return c.timer
}

// nextTimer returns the earliest instant at which a connection, the route or the heartbeat is due.
func (c *Client) nextTimer() time.Duration {
	at := min(c.heartbeat, c.ns.due())
	for i := range c.conns {
		at = min(at, c.conns[i].due())
	}
	return at
}

// Actions returns what the driver must do now, and forgets it. The slice is valid until the next call of any method.
func (c *Client) Actions() []Action {
	list := c.actions
	c.actions = c.actions[:0]
	return list
}

// Completions moves finished operations into buf, the oldest first, and returns their number.
func (c *Client) Completions(buf []driver.Completion) int {
	n := min(len(buf), c.readyLen)
	for i := range n {
		buf[i] = c.ready[c.readyHead]
		if c.readyHead++; c.readyHead == len(c.ready) {
			c.readyHead = 0
		}
	}
	c.readyLen -= n
	return n
}

// Connected reports whether every group has all its connections.
func (c *Client) Connected() bool {
	for i := range c.groups {
		if len(c.groups[i].lanes) == 0 {
			return false
		}
		for _, id := range c.groups[i].lanes {
			if c.conns[id].state != up {
				return false
			}
		}
	}
	return true
}

// Connections returns how many connections there ever were; they are numbered from 0.
func (c *Client) Connections() int { return len(c.conns) }
