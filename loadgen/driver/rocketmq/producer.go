package rocketmq

import (
	"context"
	"fmt"
	"time"

	"holdfast/loadgen/driver"
	"holdfast/loadgen/driver/rocketmq/client"
)

// connectStep is how often a blocking start looks whether its context has ended.
const connectStep = 10 * time.Millisecond

// Producer implements driver.System.
func (s *System) Producer(ctx context.Context, cfg driver.ProducerConfig) (driver.Producer, driver.Env, error) {
	settings := s.settings(cfg.Topic, cfg.Queues, cfg.Slots, cfg.Timeout)
	settings.Connections = max(cfg.Connections, 1)
	session, err := s.connect(ctx, settings, cfg.Clock)
	if err != nil {
		return nil, nil, err
	}
	session.SpinFor(cfg.Spin)
	return producer{session.Session, session.c}, session, nil
}

// Consumer implements driver.System.
func (s *System) Consumer(ctx context.Context, cfg driver.ConsumerConfig) (driver.Consumer, driver.Env, error) {
	settings := s.settings(cfg.Topic, cfg.Queues, cfg.Slots, cfg.Timeout)
	settings.ConsumerGroup, settings.Hold = cfg.Group, cfg.Hold
	session, err := s.connect(ctx, settings, cfg.Clock)
	if err != nil {
		return nil, nil, err
	}
	return consumer{session.Session, session.c}, session, nil
}

// settings returns what producers and consumers have in common.
func (s *System) settings(topic string, queues, slots int, timeout time.Duration) client.Config {
	if timeout == 0 {
		timeout = DefaultTimeout
	}
	return client.Config{
		NameServers: s.cfg.NameServers, Groups: s.cfg.Groups, Topic: topic, Queues: queues,
		ProducerGroup: s.cfg.Group, Slots: slots, Timeout: timeout,
		RouteInterval: s.cfg.RouteInterval, DialBackoff: s.cfg.DialBackoff, Form: s.cfg.Form, RunID: s.cfg.RunID,
		ClientID: s.cfg.World.ClientID(),
		NodeName: s.nodeName, Quorum: s.cfg.Quorum,
	}
}

// nodeName returns the name of the node at an address.
func (s *System) nodeName(address string) string {
	if name, ok := s.cfg.Nodes[address]; ok {
		return name
	}
	return address
}

// connect makes a client and drives it until it has all its connections.
func (s *System) connect(ctx context.Context, settings client.Config, clock func() time.Duration) (*connected, error) {
	start := s.cfg.World.Wall()
	if clock == nil {
		clock = func() time.Duration { return time.Since(start) }
	}
	settings.WallMS = start.UnixMilli() - clock().Milliseconds()
	c := client.New(settings, clock())
	session := &connected{s.cfg.World.Session(c, clock), c}
	var none [1]driver.Completion
	for !c.Connected() {
		if err := ctx.Err(); err != nil {
			_ = session.Close() // the context's error says why
			return nil, fmt.Errorf("find the masters of topic %s at %v: %w", settings.Topic, settings.NameServers, err)
		}
		session.Wait(clock()+connectStep, none[:])
	}
	return session, nil
}

// connected is a client with what drives it.
type connected struct {
	Session
	c *client.Client
}

// producer implements driver.Producer.
type producer struct {
	s Session
	c *client.Client
}

func (p producer) Send(slot uint32, m *driver.Message) error {
	if err := p.c.Send(p.s.Instant(), slot, m); err != nil {
		return err
	}
	p.s.Sent(len(m.Body))
	return nil
}

// Choose implements driver.Chooser.
func (p producer) Choose(queue int32) int32 { return p.c.Choose(p.s.Instant(), queue) }

// Abandon implements driver.Abandoner.
func (p producer) Abandon(node string) { p.c.Abandon(p.s.Instant(), node) }

func (p producer) Close() error { return p.s.Close() }

// consumer implements driver.Consumer.
type consumer struct {
	s Session
	c *client.Client
}

func (c consumer) Poll(slot uint32, queue int32, from int64, limit int) error {
	return c.c.Poll(c.s.Instant(), slot, queue, from, limit)
}

func (c consumer) Polled(slot uint32) *driver.Polled { return c.c.Polled(slot) }

func (c consumer) Commit(slot uint32, queue int32, offset int64) error {
	return c.c.Commit(c.s.Instant(), slot, queue, offset)
}

// Abandon implements driver.Abandoner.
func (c consumer) Abandon(node string) { c.c.Abandon(c.s.Instant(), node) }

func (c consumer) Close() error { return c.s.Close() }
