package cluster

import (
	"context"
	"errors"
	"fmt"

	"holdfast/checker/history"
	"holdfast/nemesis"
	"holdfast/scenarios"
)

// struck is a fault that has been done to a cell.
type struck struct {
	c     *cell
	fault nemesis.Fault
	nodes []*Node // that it struck
	names []string
	// undo ends a fault that stopped no process and says what it was measured to have done.
	undo func(ctx context.Context) (nemesis.Impact, error)
	late nemesis.Impact // the effect of a fault whose line of the heal has it
}

// Inject does a fault. Lines are stamped before acting and after.
func (c *cell) Inject(ctx context.Context, f nemesis.Fault, stamps scenarios.Stamps) (scenarios.Struck, error) {
	c.watchElections(stamps)
	c.follow()
	nodes, err := c.targets(f.Target, f.Seed)
	if err != nil {
		return nil, err
	}
	s := &struck{c: c, fault: f, nodes: nodes, names: namesOf(nodes)}
	stamps.Fault(s.step(f.Kind, "start", nil))
	if !f.Kind.TakesDown() {
		s.undo, err = c.begin(ctx, f, nodes)
		return s, err
	}
	effect, err := s.stop(ctx, stamps)
	if err != nil {
		return nil, err
	}
	for _, name := range s.names {
		c.down[name] = true
	}
	if f.Kind == nemesis.BitFlip || s.beside() { // the kill in it stopped the node; nobody is stopped yet
		s.late = effect
		return s, nil
	}
	stamps.Fault(s.step(f.Kind, "down", effect))
	return s, nil
}

func (s *struck) step(kind nemesis.Kind, phase string, effect nemesis.Impact) history.FaultStep {
	return history.FaultStep{Name: string(kind), Nodes: s.names, Phase: phase, Effect: effect}
}

// begin starts a fault under which every process goes on, and returns what ends it.
func (c *cell) begin(ctx context.Context, f nemesis.Fault, nodes []*Node) (func(context.Context) (nemesis.Impact, error), error) {
	switch {
	case f.Off:
		return func(context.Context) (nemesis.Impact, error) { return nil, nil }, nil
	case f.Kind == nemesis.Pause:
		return pause(ctx, nodes)
	case f.Kind.OfNetwork() && c.hosts != nil:
		return c.hosts.begin(f, nodes, c.Group)
	case f.Kind.OfDisk() && c.disks != nil:
		return c.disks.begin(f, nodes)
	case f.Kind.OfClock() && c.clocks != nil:
		return c.clocks.begin(f, nodes)
	}
	return nil, fmt.Errorf("%s is not possible here", f.Kind)
}

// Heal ends the fault and verifies that it has ended.
func (s *struck) Heal(ctx context.Context, stamps scenarios.Stamps) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	s.c.follow()
	if s.fault.Kind.TakesDown() {
		if err := s.recover(ctx, stamps); err != nil {
			return err
		}
		for _, n := range s.nodes {
			s.c.down[n.Name] = !n.Running()
		}
		if s.fault.Kind == nemesis.BitFlip {
			stamps.Fault(s.step(nemesis.Kill, "heal", nil))
		}
		stamps.Fault(s.step(s.fault.Kind, "heal", s.late))
		return nil
	}
	effect, err := s.undo(ctx)
	if err != nil {
		return err
	}
	if err := s.supervise(ctx, stamps); err != nil {
		return err
	}
	if err := s.c.whole(ctx); err != nil {
		return fmt.Errorf("the heal is not verified: %w", err)
	}
	stamps.Fault(s.step(s.fault.Kind, "heal", effect))
	return nil
}

// halt is the name in the history of a node's end by its own decision: a broker that halts for a failed fsync. It excuses no loss.
const halt = "halt"

// supervise starts the struck nodes that have ended by themselves again, as an operator's supervisor does.
func (s *struck) supervise(ctx context.Context, stamps scenarios.Stamps) error {
	for _, n := range s.nodes {
		if n.Running() || s.c.down[n.Name] {
			continue
		}
		line := func(phase string, effect nemesis.Impact) {
			stamps.Fault(history.FaultStep{Name: halt, Nodes: []string{n.Name}, Phase: phase, Effect: effect})
		}
		line("start", nil)
		line("down", nemesis.Impact{"processes": 1})
		line("restart", nil)
		if err := s.c.StartNode(ctx, n.Name); err != nil {
			return err
		}
		line("heal", nil)
	}
	return nil
}

// whole returns when every node that runs answers the clients, the route leads to the master, and every slave is connected.
func (c *cell) whole(ctx context.Context) error {
	for _, n := range c.Group.Nodes() {
		if !n.Running() {
			continue
		}
		if err := n.await(ctx, pollGroup, "answering", n.answers); err != nil {
			return err
		}
	}
	m := c.Group.Master()
	if !m.Running() {
		return nil
	}
	if err := c.AwaitMaster(ctx); err != nil {
		return err
	}
	for _, n := range c.Brokers() {
		if !n.follows() {
			continue
		}
		if err := n.await(ctx, pollGroup, "connected to its master", func(ctx context.Context) error { return c.linked(ctx, m, n) }); err != nil {
			return err
		}
	}
	return nil
}

// recover brings the struck nodes back, or lets another take over.
func (s *struck) recover(ctx context.Context, stamps scenarios.Stamps) error {
	switch {
	case s.fault.Kind == nemesis.Restart, s.fault.Kind == nemesis.Upgrade:
		return nil // every node was brought back on the way
	case s.fault.Kind == nemesis.Promote, s.fault.Recovery == nemesis.Promoted:
		return s.promote(ctx, stamps)
	case s.fault.Recovery == nemesis.Returns, s.fault.Recovery == "" && s.fault.Kind == nemesis.Stop:
		kind := s.fault.Kind
		if kind == nemesis.BitFlip {
			kind = nemesis.Kill
		}
		stamps.Fault(s.step(kind, "restart", nil))
		return s.restart(ctx)
	}
	return fmt.Errorf("recovery %q is unknown", s.fault.Recovery)
}

// beside reports whether a slave is promoted while its master runs on.
func (s *struck) beside() bool {
	return s.fault.Kind == nemesis.Promote && s.fault.Target == nemesis.Slave
}

// promote makes the first slave that runs the master; where the system elects it waits until it has.
func (s *struck) promote(ctx context.Context, stamps scenarios.Stamps) error {
	if s.c.elects() && !s.fault.Off {
		return s.c.awaitElected(ctx)
	}
	for _, n := range s.c.Brokers() {
		if n.Role != Slave || !n.Running() {
			continue
		}
		if s.fault.Off {
			return nil
		}
		stamps.Role(s.c.Name, n.Name)
		err := s.c.Promote(ctx, n.Name, s.beside())
		if err == nil && s.beside() {
			s.late = nemesis.Impact{"processes": 1} // the slave's, started anew as a master
		}
		return err
	}
	return errors.New("no running slave to promote")
}
