// Package rocketmq speaks to a running RocketMQ, Apache's or any that speaks its protocol: the sockets around the pure
// client of its subpackage, and the blocking calls of an administrator.
//
// A producer or consumer lives on its caller's thread: Env.Wait polls its sockets itself, so that no goroutine stands
// between an answer and the worker that waits for it, and a wake-up is as exact as the kernel's timer.
package rocketmq

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"holdfast/broker/remoting"
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
