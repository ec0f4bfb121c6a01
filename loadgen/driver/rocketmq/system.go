// Package rocketmq speaks to a running RocketMQ, Apache's or any that speaks its protocol: the sockets around the pure
// client of its subpackage, and the blocking calls of an administrator.
//
// A producer or consumer lives on its caller's thread: Env.Wait polls its sockets itself, so that no goroutine stands
// between an answer and the worker that waits for it, and a wake-up is as exact as the kernel's timer.
package rocketmq

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"holdfast/broker/remoting"
	"holdfast/loadgen/driver"
	"holdfast/loadgen/driver/rocketmq/client"
)

// ErrConfig says that a Config is wrong; the text names the field and what it may be.
var ErrConfig = errors.New("rocketmq: wrong config")

// Defaults of Config.
const (
	DefaultTimeout       = 8 * time.Second
	DefaultRouteInterval = time.Second
	DefaultDialBackoff   = 100 * time.Millisecond
)

// Config describes how to reach a cluster.
type Config struct {
	NameServers []string          // host:port each; the first that answers is used
	Groups      []string          // broker names in the order in which queue numbers count them; at least one
	Nodes       map[string]string // broker address (host:port, as the name server gives it) to node name; default: the address
	Addresses   map[string]string // node name to broker address, for ReadReplica; default: the inverse of Nodes

	Form          remoting.Form // of request headers; Binary costs either side a fifth of JSON
	RouteInterval time.Duration // how often the route is refreshed; default 1 s (Apache's clients: 30 s)
	DialBackoff   time.Duration // between attempts to connect; default 100 ms
	Quorum        bool          // the brokers' log is replicated by DLedger: a lack of replicas is noticed after the append
	Group         string        // producer group; default "holdfast"
	RunID         uint64        // carried by every body; messages of other runs are reported as values that nobody sent

	World World // how to get at the cluster and at time; the zero value: sockets and the machine's clock
}

// World replaces the machine that clients run on, for a simulator. A nil field is the machine's own.
type World struct {
	// Session returns what drives a client on the thread of whoever calls its Wait.
	Session func(c *client.Client, clock func() time.Duration) Session
	// Dial connects for the blocking calls of an administrator. It need not know deadlines that are set to any other time than
	// that of a request.
	Dial  func(ctx context.Context, address string) (net.Conn, error)
	Sleep func(ctx context.Context, d time.Duration) error
	Wall  func() time.Time
	// ClientID names the next client.
	ClientID func() string
}

// Session drives one client: it does what the client asks for and tells it what happens, while somebody waits.
type Session interface {
	driver.Env
	// Instant is the time of the last look at the clock, at which the client is called.
	Instant() time.Duration
	// Sent counts bytes that were queued, so that a large batch may leave before Wait.
	Sent(bytes int)
	// SpinFor has Wait be awake so long before its time.
	SpinFor(d time.Duration)
	Close() error
}

// withDefaults fills in the machine.
func (w World) withDefaults() World {
	if w.Session == nil {
		w.Session = func(c *client.Client, clock func() time.Duration) Session { return newSession(c, clock) }
	}
	if w.Dial == nil {
		w.Dial = func(ctx context.Context, address string) (net.Conn, error) {
			dialer := net.Dialer{Timeout: client.DialTimeout}
			return dialer.DialContext(ctx, "tcp", address)
		}
	}
	if w.Sleep == nil {
		w.Sleep = sleep
	}
	if w.Wall == nil {
		w.Wall = time.Now
	}
	if w.ClientID == nil {
		w.ClientID = func() string { return fmt.Sprintf("holdfast@%d#%d", os.Getpid(), clients.Add(1)) }
	}
	return w
}

// clients counts the clients of this process, for their ids.
var clients atomic.Int64

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// withDefaults returns c with every default filled in.
func (c Config) withDefaults() Config {
	if c.RouteInterval == 0 {
		c.RouteInterval = DefaultRouteInterval
	}
	if c.DialBackoff == 0 {
		c.DialBackoff = DefaultDialBackoff
	}
	if c.Group == "" {
		c.Group = "holdfast"
	}
	if c.Addresses == nil {
		c.Addresses = make(map[string]string, len(c.Nodes))
		for address, node := range c.Nodes {
			c.Addresses[node] = address
		}
	}
	c.World = c.World.withDefaults()
	return c
}

// Validate says which field is wrong; the error is an ErrConfig.
func (c Config) Validate() error {
	switch {
	case len(c.NameServers) == 0:
		return fmt.Errorf("%w: no NameServers", ErrConfig)
	case len(c.Groups) == 0 || slices.Contains(c.Groups, ""):
		return fmt.Errorf("%w: Groups %q, must name every broker group", ErrConfig, c.Groups)
	case c.RouteInterval < 0 || c.DialBackoff < 0:
		return fmt.Errorf("%w: negative RouteInterval or DialBackoff", ErrConfig)
	}
	return nil
}

// System is a cluster that runs.
type System struct {
	cfg Config
}

// New returns the System that cfg describes. It connects to nothing yet.
func New(cfg Config) (*System, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &System{cfg: cfg.withDefaults()}, nil
}

// RunID returns Config.RunID.
func (s *System) RunID() uint64 { return s.cfg.RunID }

// QueueName returns the name of a queue number: the groups share the queues evenly, in the order of Config.Groups.
func (s *System) QueueName(topic string, queues int, queue int32) string {
	each := max(int32(queues/len(s.cfg.Groups)), 1)
	group := min(int(queue/each), len(s.cfg.Groups)-1)
	return fmt.Sprintf("%s/%s/%d", s.cfg.Groups[group], topic, queue-int32(group)*each)
}

// Close releases nothing: connections belong to producers and consumers, and each call of Admin has its own.
func (s *System) Close() error { return nil }
