package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"holdfast/loadgen/driver"
	"holdfast/loadgen/driver/rocketmq"
	"holdfast/reports/result"
)

// FirstSend starts a name server, then a single master with one topic, and returns the time from the master's exec to the first SEND_OK
// of a client that looks for its route all the while. Everything is ended before it returns; dir keeps the logs.
func FirstSend(ctx context.Context, sys System, c result.Contract, dir string) (took time.Duration, err error) {
	const topic = "first"
	g, err := New(sys, c, Options{Dir: dir, Brokers: 1, Topics: []Topic{{Name: topic, Queues: 1}}})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, g.Close(), os.RemoveAll(filepath.Join(dir, "stores"))) }()
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	m := g.Master()
	if err := g.Seed(m.Store); err != nil {
		return 0, err
	}
	if err := g.StartNode(ctx, nameServerName); err != nil {
		return 0, err
	}
	system, err := rocketmq.New(rocketmq.Config{
		NameServers: []string{g.NameServer()}, Groups: []string{g.Name}, Nodes: g.Addresses(), RouteInterval: time.Millisecond, DialBackoff: time.Millisecond,
	})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, system.Close()) }()
	began := time.Now()
	if err := g.launch(m); err != nil {
		return 0, err
	}
	producer, env, err := system.Producer(ctx, driver.ProducerConfig{Topic: topic, Queues: 1, Slots: 1})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, producer.Close()) }()
	body := driver.EncodeBody(nil, system.RunID(), 1, 1024)
	for ctx.Err() == nil {
		if err := producer.Send(0, &driver.Message{Value: 1, Queue: 0, Body: body}); err != nil {
			continue // not connected yet
		}
		var done [1]driver.Completion
		if env.Wait(env.Now()+startLimit, done[:]) == 1 && done[0].Status == driver.SendOK {
			return time.Since(began), nil
		}
	}
	return 0, fmt.Errorf("%s: no SEND_OK: %w", sys, errors.Join(ctx.Err(), errors.New(logTail(m.Log))))
}
