package rocketmq

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"holdfast/loadgen/driver"
	"holdfast/loadgen/driver/rocketmq/client"
)

// connectStep is how often a blocking start looks whether its context has ended.
const connectStep = 10 * time.Millisecond

// clients counts the clients of this process, for their ids.
var clients atomic.Int64

// Producer implements driver.System.
func (s *System) Producer(ctx context.Context, cfg driver.ProducerConfig) (driver.Producer, driver.Env, error) {
	settings := s.settings(cfg.Topic, cfg.Queues, cfg.Slots, cfg.Timeout)
	settings.Connections = max(cfg.Connections, 1)
	session, err := s.connect(ctx, settings, cfg.Clock)
	if err != nil {
		return nil, nil, err
	}
	session.spin = cfg.Spin
	return producer{session}, session, nil
}

// Consumer implements driver.System.
func (s *System) Consumer(ctx context.Context, cfg driver.ConsumerConfig) (driver.Consumer, driver.Env, error) {
	settings := s.settings(cfg.Topic, cfg.Queues, cfg.Slots, cfg.Timeout)
	settings.ConsumerGroup, settings.Hold = cfg.Group, cfg.Hold
	session, err := s.connect(ctx, settings, cfg.Clock)
	if err != nil {
		return nil, nil, err
	}
	return consumer{session}, session, nil
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
		ClientID: fmt.Sprintf("holdfast@%d#%d", os.Getpid(), clients.Add(1)),
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
func (s *System) connect(ctx context.Context, settings client.Config, clock func() time.Duration) (*session, error) {
	start := time.Now()
	if clock == nil {
		clock = func() time.Duration { return time.Since(start) }
	}
	settings.WallMS = start.UnixMilli() - clock().Milliseconds()
	session := newSession(client.New(settings, clock()), clock)
	var none [1]driver.Completion
	for !session.c.Connected() {
		if err := ctx.Err(); err != nil {
			_ = session.Close() // the context's error says why
			return nil, fmt.Errorf("find the masters of topic %s at %v: %w", settings.Topic, settings.NameServers, err)
		}
		session.Wait(clock()+connectStep, none[:])
	}
	return session, nil
}

// producer implements driver.Producer.
type producer struct{ s *session }

func (p producer) Send(slot uint32, m *driver.Message) error {
	if err := p.s.c.Send(p.s.now, slot, m); err != nil {
		return err
	}
	p.s.sent(len(m.Body))
	return nil
}

// Abandon implements driver.Abandoner.
func (p producer) Abandon(node string) { p.s.c.Abandon(p.s.now, node) }

func (p producer) Close() error { return p.s.Close() }

// consumer implements driver.Consumer.
type consumer struct{ s *session }

func (c consumer) Poll(slot uint32, queue int32, from int64, limit int) error {
	return c.s.c.Poll(c.s.now, slot, queue, from, limit)
}

func (c consumer) Polled(slot uint32) *driver.Polled { return c.s.c.Polled(slot) }

func (c consumer) Commit(slot uint32, queue int32, offset int64) error {
	return c.s.c.Commit(c.s.now, slot, queue, offset)
}

// Abandon implements driver.Abandoner.
func (c consumer) Abandon(node string) { c.s.c.Abandon(c.s.now, node) }

func (c consumer) Close() error { return c.s.Close() }
