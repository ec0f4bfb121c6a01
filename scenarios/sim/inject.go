package sim

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"time"

	"holdfast/broker"
	"holdfast/broker/vfs"
	"holdfast/checker/history"
	"holdfast/nemesis"
	"holdfast/nemesis/network/rule"
	"holdfast/scenarios"
)

// struck is a fault that has been done.
type struck struct {
	c     *Cluster
	fault nemesis.Fault
	on    []*member
	names []string
	undo  func() nemesis.Impact
	late  nemesis.Impact
}

// Inject implements scenarios.Cluster.
func (c *Cluster) Inject(ctx context.Context, f nemesis.Fault, stamps scenarios.Stamps) (scenarios.Struck, error) {
	c.stamps = stamps
	on, err := c.targets(f.Target, f.Seed)
	if err != nil {
		return nil, err
	}
	s := &struck{c: c, fault: f, on: on}
	for _, m := range on {
		s.names = append(s.names, m.name)
	}
	c.injected++
	c.tell("fault", "%s of %v", f.Kind, s.names)
	stamps.Fault(s.step(f.Kind, "start", nil))
	if !f.Kind.TakesDown() {
		s.undo, err = c.begin(f, on)
		return s, err
	}
	effect, err := s.stop(ctx, stamps)
	if err != nil {
		return nil, err
	}
	for _, m := range on {
		m.down = true
	}
	if f.Kind == nemesis.BitFlip || s.beside() {
		s.late = effect
		return s, nil
	}
	stamps.Fault(s.step(f.Kind, "down", effect))
	return s, nil
}

func (s *struck) step(kind nemesis.Kind, phase string, effect nemesis.Impact) history.FaultStep {
	return history.FaultStep{Name: string(kind), Nodes: s.names, Phase: phase, Effect: effect}
}

func (c *Cluster) tell(kind, format string, args ...any) {
	if c.l.trace.wanted() {
		c.l.trace.line(c.l.now, "nemesis", kind, format, args...)
	}
}

// targets are the members that a fault strikes, by their present roles.
func (c *Cluster) targets(t nemesis.Target, seed uint64) ([]*member, error) {
	all, rng := c.members, rngFor(seed)
	pick := func(n int) []*member {
		chosen := rng.Perm(len(all))[:n]
		slices.Sort(chosen)
		var out []*member
		for _, i := range chosen {
			out = append(out, all[i])
		}
		return out
	}
	var on []*member
	switch t {
	case nemesis.All:
		on = all
	case nemesis.Master, nemesis.Leader:
		on = []*member{c.masterMember()}
	case nemesis.Slave:
		on = slices.DeleteFunc(slices.Clone(all), func(m *member) bool { return m.role != slave })
	case nemesis.Random:
		on = pick(1)
	case nemesis.Minority:
		on = pick((len(all) - 1) / 2)
	case nemesis.Majority:
		on = pick(len(all)/2 + 1)
	default:
		return nil, fmt.Errorf("target %q names no broker", t)
	}
	if len(on) == 0 {
		return nil, fmt.Errorf("a group of %d brokers has no %s", len(all), t)
	}
	return on, nil
}

// begin starts a fault under which every process goes on, and returns what ends it.
func (c *Cluster) begin(f nemesis.Fault, on []*member) (func() nemesis.Impact, error) {
	switch {
	case f.Off:
		return func() nemesis.Impact { return nil }, nil
	case f.Kind == nemesis.Pause:
		return c.pause(on), nil
	case f.Kind.OfNetwork():
		return c.disturb(f, on)
	case f.Kind.OfDisk():
		return c.spoil(f, on), nil
	case f.Kind.OfClock():
		return c.shift(f, on), nil
	}
	return nil, fmt.Errorf("%s is not possible here", f.Kind)
}

func (c *Cluster) pause(on []*member) func() nemesis.Impact {
	began := c.l.now
	for _, m := range on {
		if m.running() {
			m.process.paused = true
		}
	}
	return func() nemesis.Impact {
		for _, m := range on {
			if m.running() {
				m.process.resume()
			}
		}
		return nemesis.Impact{"ms": (c.l.now - began).Milliseconds()}
	}
}

func (c *Cluster) disturb(f nemesis.Fault, on []*member) (func() nemesis.Impact, error) {
	var targets, brokers, all []string
	for _, m := range on {
		targets = append(targets, m.name)
	}
	for _, m := range c.members {
		brokers = append(brokers, m.name)
	}
	for _, h := range c.w.hosts {
		all = append(all, h.name)
	}
	peers, err := c.peers(f, targets)
	if err != nil {
		return nil, err
	}
	rules, err := rule.Of(f, targets, peers, brokers, all)
	if err != nil {
		return nil, err
	}
	clear := c.w.set(rules)
	return func() nemesis.Impact { return nemesis.Impact{"packets": clear()} }, nil
}

// peers are the hosts at the other end of a network fault; none: everybody else.
func (c *Cluster) peers(f nemesis.Fault, targets []string) ([]string, error) {
	if f.Params.Peer == "" {
		return nil, nil
	}
	var peers []string
	for _, h := range c.w.hosts {
		i := slices.IndexFunc(c.members, func(m *member) bool { return m.host == h })
		is := false
		switch f.Params.Peer {
		case nemesis.Servers:
			is = h.name != clientHost
		case nemesis.Clients:
			is = h.name == clientHost
		case nemesis.Master, nemesis.Leader:
			is = i >= 0 && c.members[i].role == master
		case nemesis.Slave:
			is = i >= 0 && c.members[i].role == slave
		case nemesis.All:
			is = i >= 0
		}
		if is && !slices.Contains(targets, h.name) {
			peers = append(peers, h.name)
		}
	}
	if len(peers) == 0 {
		return nil, fmt.Errorf("%s: no peer %q beside the targets %v", f.Kind, f.Params.Peer, targets)
	}
	return peers, nil
}

func (c *Cluster) spoil(f nemesis.Fault, on []*member) func() nemesis.Impact {
	var clears []func() (int64, int64)
	for _, m := range on {
		clears = append(clears, m.disk.spoil(f))
	}
	return func() nemesis.Impact {
		effect := nemesis.Impact{}
		for _, clear := range clears {
			calls, bytes := clear()
			effect["calls"] += calls
			effect["bytes"] += bytes
		}
		return effect
	}
}

func (c *Cluster) shift(f nemesis.Fault, on []*member) func() nemesis.Impact {
	for _, m := range on {
		if f.Kind == nemesis.ClockJump {
			m.clock.offset += f.Params.Delay
		} else {
			m.clock.run(c.l.now, int64(f.Params.PPM))
		}
	}
	return func() nemesis.Impact {
		off := int64(0)
		for _, m := range on {
			off = max(off, m.clock.skew(c.l.now))
			m.clock.run(c.l.now, 0)
			m.clock.offset = 0
		}
		return nemesis.Impact{"ms": off}
	}
}

// stop does a fault that stops processes, and measures it.
func (s *struck) stop(ctx context.Context, stamps scenarios.Stamps) (nemesis.Impact, error) {
	c := s.c
	switch s.fault.Kind {
	case nemesis.Kill:
		return c.kill(s.on, s.fault.Off), nil
	case nemesis.Stop, nemesis.Promote:
		if s.fault.Off || s.beside() {
			return nemesis.Impact{"processes": 0}, nil
		}
		return c.stopInOrder(ctx, s.on)
	case nemesis.Restart:
		return s.rolling(ctx)
	case nemesis.DiskLost:
		return c.loseDisks(s.on, s.fault.Off)
	case nemesis.Power:
		return c.cutPower(s.on, s.fault), nil
	case nemesis.BitFlip:
		return s.flipBits(stamps)
	}
	return nil, fmt.Errorf("%s is not possible here", s.fault.Kind)
}

func (c *Cluster) kill(on []*member, off bool) nemesis.Impact {
	ended := int64(0)
	for _, m := range on {
		if m.running() && !off {
			m.process.end(false)
			ended++
		}
	}
	if ended > 0 { // whoever waits for the end of a process does so for longer than its last packets are on their way
		_ = c.l.pump(background, c.l.now+exitTime, nil)
	}
	return nemesis.Impact{"processes": ended}
}

// exitTime is what the end of a killed process takes.
const exitTime = time.Millisecond

func (c *Cluster) stopInOrder(ctx context.Context, on []*member) (nemesis.Impact, error) {
	ended := int64(0)
	for _, m := range on {
		if !m.running() {
			continue
		}
		p := m.process
		p.when(func() { p.step(&broker.Event{Kind: broker.KindStop}) })
		limited, cancel := c.Clock().WithTimeout(ctx, startLimit)
		err := c.l.pump(limited, never, func() bool { return p.ended })
		cancel()
		if err != nil {
			return nil, &scenarios.Unfit{Reason: m.name + " does not stop"}
		}
		ended++
	}
	return nemesis.Impact{"processes": ended}, nil
}

// rolling stops and starts one node after the other, slaves first, each caught up before the next.
func (s *struck) rolling(ctx context.Context) (nemesis.Impact, error) {
	ended := int64(0)
	if s.fault.Off {
		return nemesis.Impact{"processes": 0}, nil
	}
	for _, turn := range []role{slave, master} {
		for _, m := range s.on {
			if m.role != turn {
				continue
			}
			if _, err := s.c.stopInOrder(ctx, []*member{m}); err != nil {
				return nil, err
			}
			if err := s.c.launch(m); err != nil {
				return nil, err
			}
			ended++
			limited, cancel := s.c.Clock().WithTimeout(ctx, startLimit)
			err := s.c.awaitMaster(limited)
			if err == nil {
				_, err = s.c.CatchUp(limited)
			}
			cancel()
			if err != nil {
				return nil, err
			}
		}
	}
	return nemesis.Impact{"processes": ended}, nil
}

// loseDisks kills the members and empties their disks.
func (c *Cluster) loseDisks(on []*member, off bool) (nemesis.Impact, error) {
	effect := c.kill(on, off)
	if off {
		return effect, nil
	}
	for _, m := range on {
		files, bytes, err := measure(m.disk.mem, ".")
		if err != nil {
			return nil, err
		}
		effect["files"] += files
		effect["bytesLost"] += bytes
		m.disk.use(vfs.NewMem())
		if err := c.seed(m); err != nil {
			return nil, err
		}
	}
	return effect, nil
}

// measure counts files and bytes below dir.
func measure(fsys vfs.FS, dir string) (files, bytes int64, err error) {
	names, err := fsys.List(dir)
	if err != nil {
		return 0, 0, err
	}
	for _, name := range names {
		name = path.Join(dir, name)
		if f, err := fsys.Open(name); err == nil {
			size, err := f.Size()
			f.Close()
			if err != nil {
				return 0, 0, err
			}
			files, bytes = files+1, bytes+size
			continue
		}
		n, b, err := measure(fsys, name)
		if err != nil {
			return 0, 0, err
		}
		files, bytes = files+n, bytes+b
	}
	return files, bytes, nil
}

// cutPower takes the power of the members at one instant.
func (c *Cluster) cutPower(on []*member, f nemesis.Fault) nemesis.Impact {
	effect := nemesis.Impact{"processes": 0, "bytesLost": 0}
	names := vfs.Ext4
	if c.spec.Site.Posix {
		names = vfs.Posix
	}
	boss := c.masterMember()
	if slices.Contains(on, boss) && boss.running() && !f.Off {
		m := boss.process.store.Marks()
		effect[scenarios.CommitLogUnsynced] = m.Written - m.Synced
	}
	if f.Off {
		return effect
	}
	for _, m := range on {
		c.w.blackout(m.host)
	}
	for i, m := range on {
		if m.running() {
			effect["processes"]++
			marks := m.process.store.Marks()
			effect["bytesLost"] += marks.Written - marks.Synced
			m.process.end(false)
		}
		m.disk.mem.SetTime(c.l.now)
		m.disk.use(m.disk.mem.Crash(rngFor(f.Seed+uint64(i)), f.Params.Survive.Loss(names)))
	}
	return effect
}

// flipBits kills the members and flips bits of what their disks hold. Two faults in one: each with its lines.
func (s *struck) flipBits(stamps scenarios.Stamps) (nemesis.Impact, error) {
	stamps.Fault(s.step(nemesis.Kill, "start", nil))
	stamps.Fault(s.step(nemesis.Kill, "down", s.c.kill(s.on, s.fault.Off)))
	effect := nemesis.Impact{"bytes": 0}
	rng := rngFor(s.fault.Seed)
	prefix := s.fault.Params.Path
	if prefix == "" {
		prefix = "commitlog"
	}
	for _, m := range s.on {
		if s.fault.Off {
			break
		}
		n, err := m.disk.flip(prefix, int(max(s.fault.Params.Bytes, 1)), rng.Int64N)
		if err != nil {
			return nil, err
		}
		effect["bytes"] += n
	}
	return effect, nil
}

// Heal implements scenarios.Struck.
func (s *struck) Heal(ctx context.Context, stamps scenarios.Stamps) error {
	c := s.c
	ctx, cancel := c.Clock().WithTimeout(ctx, startLimit)
	defer cancel()
	c.tell("fault", "recover from %s", s.fault.Kind)
	if s.fault.Kind.TakesDown() {
		if err := s.recover(ctx, stamps); err != nil {
			return err
		}
		for _, m := range s.on {
			m.down = !m.running()
		}
		if s.fault.Kind == nemesis.BitFlip {
			stamps.Fault(s.step(nemesis.Kill, "heal", nil))
		}
		stamps.Fault(s.step(s.fault.Kind, "heal", s.late))
		return nil
	}
	effect := s.undo()
	if err := s.supervise(stamps); err != nil {
		return err
	}
	if err := c.whole(ctx); err != nil {
		return fmt.Errorf("the heal is not verified: %w", err)
	}
	stamps.Fault(s.step(s.fault.Kind, "heal", effect))
	return nil
}

// halt is the name in the history of a node's end by its own decision.
const halt = "halt"

// supervise starts the struck members that have ended by themselves again, as an operator's supervisor does.
func (s *struck) supervise(stamps scenarios.Stamps) error {
	for _, m := range s.on {
		if m.running() || m.down {
			continue
		}
		line := func(phase string, effect nemesis.Impact) {
			stamps.Fault(history.FaultStep{Name: halt, Nodes: []string{m.name}, Phase: phase, Effect: effect})
		}
		line("start", nil)
		line("down", nemesis.Impact{"processes": 1})
		line("restart", nil)
		if err := s.c.launch(m); err != nil {
			return err
		}
		line("heal", nil)
	}
	return nil
}

// whole returns when the route leads to the master, and every slave that runs is connected.
func (c *Cluster) whole(ctx context.Context) error {
	if !c.masterMember().running() {
		return nil
	}
	if err := c.awaitMaster(ctx); err != nil {
		return err
	}
	for _, m := range c.members {
		if m.follows() {
			if err := c.await(ctx, m.name+" is not connected to its master", func() bool { return c.linked(m) }); err != nil {
				return err
			}
		}
	}
	return nil
}

// recover brings the struck members back, or lets another take over.
func (s *struck) recover(ctx context.Context, stamps scenarios.Stamps) error {
	switch {
	case s.fault.Kind == nemesis.Restart:
		return nil
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

// restart starts the struck members on the disks that they have by now.
func (s *struck) restart(ctx context.Context) error {
	for _, m := range s.on {
		if m.running() {
			continue
		}
		if m.host.dark {
			s.c.w.boot(m.host)
		}
		if err := s.c.launch(m); err != nil {
			return err
		}
	}
	return s.c.awaitMaster(ctx)
}

// beside reports whether a slave is promoted while its master runs on.
func (s *struck) beside() bool {
	return s.fault.Kind == nemesis.Promote && s.fault.Target == nemesis.Slave
}

// promote makes the first slave that runs the master, as an operator does in classic HA.
func (s *struck) promote(ctx context.Context, stamps scenarios.Stamps) error {
	c := s.c
	if c.elects() && !s.fault.Off {
		if err := c.await(ctx, "no broker that runs is elected", func() bool { return c.masterMember().running() }); err != nil {
			return err
		}
		return c.awaitMaster(ctx)
	}
	for _, m := range c.members {
		if !m.follows() {
			continue
		}
		if s.fault.Off {
			return nil
		}
		stamps.Role(c.name, m.name)
		m.process.end(false)
		old := c.masterMember()
		old.rival = old.running()
		old.role, old.brokerID, m.role, m.brokerID = slave, m.brokerID, master, 0
		c.promoted = true
		if err := c.launch(m); err != nil {
			return err
		}
		if s.beside() {
			s.late = nemesis.Impact{"processes": 1}
		}
		return c.awaitMaster(ctx)
	}
	return errors.New("no running slave to promote")
}
