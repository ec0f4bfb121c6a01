package cluster

import "context"

// Promote makes a slave the master, as an operator does in classic HA: it is stopped, its configuration gets brokerId=0 and
// the contract's role for a group in which the old master is gone, and it is started again. The old master is a slave from
// now on, should anybody start it again. It must not run, unless beside says that the operator errs on purpose. The slave
// is killed: what it wrote is in the page cache, and Apache RocketMQ takes half a minute to stop otherwise. It returns when
// the route leads to the new master.
func (g *Group) Promote(ctx context.Context, name string, beside bool) error {
	n, old := g.Node(name), g.Master()
	if n.Role != Slave {
		return broken("%s is no slave", name)
	}
	if old.Running() && !beside {
		return broken("%s cannot be promoted: the master %s runs", name, old.Name)
	}
	if err := n.Kill(ctx); err != nil {
		return err
	}
	old.rival = old.Running()
	g.swap(n)
	if err := g.StartNode(ctx, name); err != nil {
		return err
	}
	return g.AwaitMaster(ctx)
}

// swap gives slave n the master's part, and the master that of n.
func (g *Group) swap(n *Node) {
	old := g.Master()
	old.Role, old.brokerID = Slave, n.brokerID
	n.Role, n.brokerID = Master, 0
	g.promoted = true
}
