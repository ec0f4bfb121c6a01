package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// AwaitMaster returns when clients that ask the name server for any of the topics are sent to the group's present master.
func (g *Group) AwaitMaster(ctx context.Context) error {
	return g.Master().await(ctx, pollGroup, "in the route", g.routed)
}

// routed returns nil when every topic's route leads to the master. A topic that the master does not know is made there.
func (g *Group) routed(ctx context.Context) error {
	if g.elects() {
		n, err := g.leader(ctx)
		if err == nil && n == nil {
			err = errors.New("no broker is elected")
		}
		if err == nil {
			g.lead(n)
		}
		return err
	}
	m := g.Master()
	for _, t := range g.opt.Topics {
		brokers, err := route(ctx, g.NameServer(), t.Name, g.Name)
		if err != nil {
			return err
		}
		if brokers["0"] == m.Addr.String() {
			continue
		}
		if brokers == nil {
			if err := createTopic(ctx, m.Addr.String(), t); err != nil {
				return err
			}
		}
		return fmt.Errorf("the route of %s has the brokers %v", t.Name, brokers)
	}
	return nil
}

// CaughtUp returns when every running slave is connected to the master and holds as much as it: the commit logs end at
// one offset and so do all queues, which a slave that diverged cannot fake with frozen queues. It compares ends, not
// contents: two logs of equal length may differ inside, which only a read of both can tell. With no slave running it
// returns at once.
func (g *Group) CaughtUp(ctx context.Context) error {
	for _, n := range g.Brokers() {
		if !n.follows() {
			continue
		}
		if err := n.await(ctx, pollGroup, "caught up", func(ctx context.Context) error { return g.level(ctx, n) }); err != nil {
			return err
		}
	}
	return nil
}

// level returns nil when slave n is connected and ends where the master ends.
func (g *Group) level(ctx context.Context, n *Node) error {
	m := g.Master()
	if err := g.linked(ctx, m, n); err != nil {
		return err
	}
	slave, err := logEnd(ctx, n.Addr.String())
	if err != nil {
		return err
	}
	master, err := logEnd(ctx, m.Addr.String()) // after the slave's: it may grow meanwhile, and then the pair is asked again
	if err != nil {
		return err
	}
	if slave != master {
		return fmt.Errorf("its commit log ends at %d, that of %s at %d", slave, m.Name, master)
	}
	for _, t := range g.opt.Topics {
		for queue := range t.Queues {
			slave, err := maxOffset(ctx, n.Addr.String(), t.Name, queue)
			if err != nil {
				return err
			}
			master, err := maxOffset(ctx, m.Addr.String(), t.Name, queue)
			if err != nil {
				return err
			}
			if slave != master {
				return fmt.Errorf("its queue %s/%d ends at %d, that of %s at %d", t.Name, queue, slave, m.Name, master)
			}
		}
	}
	return nil
}

// holds returns nil when slave n is connected to master m and its log reaches end.
func (g *Group) holds(ctx context.Context, m, n *Node, end int64) error {
	if err := g.linked(ctx, m, n); err != nil {
		return err
	}
	has, err := logEnd(ctx, n.Addr.String())
	if err == nil && has < end {
		err = fmt.Errorf("its commit log ends at %d, that of %s reached %d before", has, m.Name, end)
	}
	return err
}

// linked returns nil when the slave has a replication connection: equal ends say nothing of an empty group.
func (g *Group) linked(ctx context.Context, m, n *Node) error {
	if g.opt.Mode == DLedger {
		return nil // its entries go another way, which no request asks about
	}
	open, err := connected(n.process.PID(), m.haPort)
	if err != nil {
		return err
	}
	if !open {
		return fmt.Errorf("it has no connection to the HA port of %s", m.Name)
	}
	status, supported, err := slavesOf(ctx, m.Addr.String())
	if err != nil {
		return err
	}
	if supported && len(status.HAConnectionInfo) == 0 {
		return fmt.Errorf("%s does not count it as a slave", m.Name)
	}
	if g.opt.Mode == Controller {
		return g.electable(ctx, n)
	}
	return nil
}

// electable returns nil when the controller would make the broker a master if the present one died. One that connected is not yet in the
// SyncStateSet: the master adds it when it next looks, and until then nobody is elected.
func (g *Group) electable(ctx context.Context, n *Node) error {
	addrs, err := inSync(ctx, g.controller().String(), g.Name)
	if err == nil && !slices.Contains(addrs, n.Addr.String()) {
		err = fmt.Errorf("it is not in the SyncStateSet %v", addrs)
	}
	return err
}
