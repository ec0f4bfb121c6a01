package route

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"holdfast/broker/remoting"
)

// ControllerConfig is how a Controller behaves.
type ControllerConfig struct {
	// ElectAfter is the time without a heartbeat after which a master counts as gone; default 3 s
	// (controllerHeartbeatTimeout, 10 s in RocketMQ).
	ElectAfter time.Duration
	// Lease is for how long a master may go on after it sent a heartbeat that was answered; default 2.5 s. It must be over before
	// another is elected, by the master's clock: what ElectAfter has more is what two clocks may differ by in that time.
	Lease time.Duration
	// Durable says that every change is saved before anybody hears of it, and that the metadata were read back. Without, a
	// controller that starts may have forgotten everything: it waits until the leases of its past are over.
	Durable bool
	// Limits bound the nodes that are known and their names; the zero value stands for DefaultLimits.
	Limits Limits
}

// DefaultControllerConfig returns the defaults.
func DefaultControllerConfig() ControllerConfig {
	return ControllerConfig{ElectAfter: 3 * time.Second, Lease: 2500 * time.Millisecond}
}

// Validate names the bad field and its range.
func (c ControllerConfig) Validate() error {
	if c.Lease <= 0 || c.ElectAfter <= c.Lease {
		return fmt.Errorf("route: Lease %v, ElectAfter %v: a lease must be above 0 and below ElectAfter", c.Lease, c.ElectAfter)
	}
	return nil
}

// Controller decides who leads each broker group. It elects from the SyncStateSet, whose members have all that was
// acknowledged, unless they stopped uncleanly and may have lost it: such a one is doubtful until the master attests that
// it has caught up. When all members are doubtful, it waits until every one of them is back, and takes the longest log.
//
// It is a state machine beside the Registry: it owns no clock, no socket and no file. What changed is in Changed, and
// nobody may hear of it before it is saved.
// Source: ReplicasInfoManager, DefaultElectPolicy, DefaultBrokerHeartbeatManager (RocketMQ 5.3.3). Without source there:
// the lease, doubtful members, and that a winner's SyncStateSet stays what it was until it alters it.
type Controller struct {
	cfg    ControllerConfig
	begun  time.Duration
	groups []replicaGroup // sorted by name

	changed bool
	notices []Notice
}

// Notice is a message to a node whose view has changed.
type Notice struct {
	Addr  string
	State remoting.SyncState
}

// replicaGroup is what is known of one broker name. What follows volatile is not saved.
type replicaGroup struct {
	name, cluster string
	epoch         int32 // of the last election
	version       int32 // of the SyncStateSet
	master        int64 // 0: nobody leads
	floor         logEnd
	nodes         []replicaNode // sorted by id

	masterSeen time.Duration // volatile: when the master showed that it lives
	vacant     int32         // volatile: the version since which nobody leads
}

// logEnd is how far a log is. Of two logs the one with the larger end holds all that the other holds and was acknowledged.
type logEnd struct {
	epoch  int32
	offset int64
}

func (a logEnd) compare(b logEnd) int {
	return cmp.Or(cmp.Compare(a.epoch, b.epoch), cmp.Compare(a.offset, b.offset))
}

// replicaNode is one node of a group.
type replicaNode struct {
	id          int64
	addr, ha    string
	incarnation int64
	inSync      bool // member of the SyncStateSet
	doubtful    bool // stopped uncleanly, and has not caught up since

	alive bool // volatile, as what follows
	seen  time.Duration
	conn  uint64
	alone bool // as a master it waits for nobody
	end   logEnd
	heard int32 // version of the newest state that it had heard of when it told end
}

// NewController returns a controller with the metadata of an earlier one; nil for none. It errs with ErrMetadata.
func NewController(cfg ControllerConfig, metadata []byte) (*Controller, error) {
	if cfg.Limits == (Limits{}) {
		cfg.Limits = DefaultLimits()
	}
	c := &Controller{cfg: cfg, begun: -1}
	return c, c.read(metadata)
}

// start notes when the controller came to life: a master may hold a lease that it was given just before.
func (c *Controller) start(now time.Duration) {
	if c.begun >= 0 {
		return
	}
	c.begun = now
	for i := range c.groups {
		c.groups[i].masterSeen, c.groups[i].vacant = now, c.groups[i].version
	}
}

// Changed reports, once, that Metadata is to be saved.
func (c *Controller) Changed() bool {
	changed := c.changed
	c.changed = false
	return changed
}

// Notices returns, once, who should hear of a change.
func (c *Controller) Notices() []Notice {
	n := c.notices
	c.notices = nil
	return n
}

func (c *Controller) group(name string) *replicaGroup {
	i, found := c.find(name)
	if !found {
		return nil
	}
	return &c.groups[i]
}

func (c *Controller) find(name string) (int, bool) {
	return slices.BinarySearchFunc(c.groups, name, func(g replicaGroup, name string) int { return cmp.Compare(g.name, name) })
}

func (g *replicaGroup) node(id int64) *replicaNode {
	i, found := slices.BinarySearchFunc(g.nodes, id, func(n replicaNode, id int64) int { return cmp.Compare(n.id, id) })
	if !found {
		return nil
	}
	return &g.nodes[i]
}

// Register takes a node that comes to life, or that this controller does not know. It is known again by its id, or by its
// address: one that lost its disk comes back with nothing, and is not somebody else.
func (c *Controller) Register(now time.Duration, conn uint64, h *remoting.NodeHeader) remoting.SyncState {
	c.start(now)
	i, found := c.find(h.BrokerName)
	if !found {
		c.groups = slices.Insert(c.groups, i, replicaGroup{name: h.BrokerName, cluster: h.ClusterName, masterSeen: now})
	}
	g := &c.groups[i]
	n := g.known(h)
	if n == nil {
		n = g.enter(h.BrokerID)
	}
	if n.incarnation != h.Incarnation {
		if g.restarted(n, h.Clean) {
			c.tellAll(g)
		}
	}
	c.changed = c.changed || n.incarnation != h.Incarnation || n.addr != h.BrokerAddr || n.ha != h.HAAddr
	n.incarnation, n.addr, n.ha = h.Incarnation, h.BrokerAddr, h.HAAddr
	c.beat(now, conn, g, n, h)
	return c.state(g, n.id)
}

// known returns the node that registers, nil for a new one. An id that a living node of another address bears was given
// by another controller, to somebody else.
func (g *replicaGroup) known(h *remoting.NodeHeader) *replicaNode {
	for i := range g.nodes {
		if g.nodes[i].addr == h.BrokerAddr {
			return &g.nodes[i]
		}
	}
	if n := g.node(h.BrokerID); n != nil && !n.alive {
		return n
	}
	return nil
}

// enter makes a node of a new one: with the id that it was given before, if that is free, else with the next one.
func (g *replicaGroup) enter(id int64) *replicaNode {
	if id <= 0 || g.node(id) != nil {
		id = 1
		if len(g.nodes) > 0 {
			id = g.nodes[len(g.nodes)-1].id + 1
		}
	}
	g.nodes = append(g.nodes, replicaNode{id: id})
	slices.SortFunc(g.nodes, func(a, b replicaNode) int { return cmp.Compare(a.id, b.id) })
	return g.node(id)
}

// restarted takes a new process of a node, which follows nobody yet: its log is what it says. The old process is dead: if it
// led, nobody does, and restarted returns true.
func (g *replicaGroup) restarted(n *replicaNode, clean bool) (vacant bool) {
	if !clean {
		n.doubtful = true
	}
	if n.inSync || g.master == n.id {
		g.version++ // an older attest of it is void
	}
	n.heard = g.version
	if g.master != n.id {
		return false
	}
	g.master, g.vacant = 0, g.version
	return true
}

// Heartbeat takes a sign of life. It returns false when the node must register first.
func (c *Controller) Heartbeat(now time.Duration, conn uint64, h *remoting.NodeHeader) (remoting.SyncState, bool) {
	c.start(now)
	g := c.group(h.BrokerName)
	if g == nil {
		return remoting.SyncState{}, false
	}
	n := g.node(h.BrokerID)
	if n == nil || n.incarnation != h.Incarnation {
		return remoting.SyncState{}, false
	}
	c.beat(now, conn, g, n, h)
	return c.state(g, n.id), true
}

func (c *Controller) beat(now time.Duration, conn uint64, g *replicaGroup, n *replicaNode, h *remoting.NodeHeader) {
	n.alive, n.seen, n.conn, n.alone, n.end = true, now, conn, h.Alone, logEnd{h.Epoch, h.MaxOffset}
	n.heard = max(n.heard, h.Version)
	if n.id == g.master {
		g.masterSeen = now
	}
	c.elect(now, g)
}

// Closed notes that a connection is gone: whoever spoke over it is no candidate before its next heartbeat. A master keeps
// its lease.
func (c *Controller) Closed(conn uint64) {
	for i := range c.groups {
		for j := range c.groups[i].nodes {
			if n := &c.groups[i].nodes[j]; n.conn == conn {
				n.alive = false
			}
		}
	}
}

// Leave takes a node that stops in order: a master that says so over its own connection serves nobody any more.
func (c *Controller) Leave(now time.Duration, conn uint64, h *remoting.BrokerHeader) {
	g := c.group(h.BrokerName)
	if g == nil {
		return
	}
	for i := range g.nodes {
		n := &g.nodes[i]
		if n.addr != h.BrokerAddr || n.conn != conn {
			continue
		}
		n.alive = false
		if g.master == n.id {
			c.depose(g)
			c.elect(now, g)
		}
	}
}

// Tick does what is due by the clock, and returns when it will have more to do; 0 = never.
func (c *Controller) Tick(now time.Duration) (next time.Duration) {
	c.start(now)
	for i := range c.groups {
		g := &c.groups[i]
		c.elect(now, g)
		at := now + c.cfg.ElectAfter // a candidate may be missed, or a start waited for
		if g.master != 0 {
			at = g.masterSeen + c.cfg.ElectAfter + 1
		} else if g.fresh() {
			at = max(c.begun+c.cfg.ElectAfter, now+1)
		}
		if next == 0 || at < next {
			next = at
		}
	}
	return next
}

// fresh says that nobody was ever elected.
func (g *replicaGroup) fresh() bool {
	return !slices.ContainsFunc(g.nodes, func(n replicaNode) bool { return n.inSync })
}

// state returns the view of one node.
func (c *Controller) state(g *replicaGroup, id int64) remoting.SyncState {
	s := remoting.SyncState{BrokerID: id, MasterID: g.master, MasterEpoch: g.epoch, Version: g.version, LeaseMS: c.cfg.Lease.Milliseconds()}
	if m := g.node(g.master); m != nil {
		s.MasterAddr, s.MasterHAAddr = m.addr, m.ha
	}
	for i := range g.nodes {
		if n := &g.nodes[i]; n.inSync {
			s.Members = append(s.Members, remoting.SyncMember{ID: n.id, Incarnation: n.incarnation, Doubtful: n.doubtful})
		}
	}
	return s
}

// States returns all groups for CONTROLLER_GET_SYNC_STATE_DATA. In sync is who could be elected.
func (c *Controller) States() []remoting.GroupState {
	var out []remoting.GroupState
	for i := range c.groups {
		g := &c.groups[i]
		s := remoting.GroupState{BrokerName: g.name, MasterID: g.master, MasterEpoch: g.epoch, Version: g.version}
		for j := range g.nodes {
			n := &g.nodes[j]
			r := remoting.ReplicaState{BrokerID: n.id, Addr: n.addr, Alive: n.alive}
			if n.id == g.master {
				s.MasterAddr = n.addr
			}
			if n.inSync && !n.doubtful {
				s.InSync = append(s.InSync, r)
			} else {
				s.Other = append(s.Other, r)
			}
		}
		out = append(out, s)
	}
	return out
}
