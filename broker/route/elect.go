package route

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"holdfast/broker/remoting"
)

// Errors of requests to a controller; each has a response code.
var (
	ErrFencedEpoch   = errors.New("route: not the master's epoch")
	ErrFencedVersion = errors.New("route: the SyncStateSet has changed since")
	ErrNotMaster     = errors.New("route: not the master")
	ErrNotAttested   = errors.New("route: a replica is unknown, or its process has changed since it was attested")
	ErrMasterExists  = errors.New("route: the group has a master")
	ErrNoCandidate   = errors.New("route: nobody can be elected")
)

// elect gives the group a master if it has none and can have one.
func (c *Controller) elect(now time.Duration, g *replicaGroup) {
	if g.master != 0 {
		if now-g.masterSeen <= c.cfg.ElectAfter {
			return
		}
		c.depose(g)
	}
	for i := range g.nodes {
		if n := &g.nodes[i]; now-n.seen > c.cfg.ElectAfter {
			n.alive = false
		}
	}
	if n := c.candidate(now, g); n != nil {
		c.enthrone(now, g, n)
	}
}

// depose ends a reign whose lease is over, or whose master is gone.
func (c *Controller) depose(g *replicaGroup) {
	g.master = 0
	g.version++
	g.vacant = g.version
	c.changed = true
	c.tellAll(g)
}

// tellAll has everybody who lives hear of the group's state.
func (c *Controller) tellAll(g *replicaGroup) {
	for i := range g.nodes {
		if n := &g.nodes[i]; n.alive {
			c.notices = append(c.notices, Notice{n.addr, c.state(g, n.id)})
		}
	}
}

// candidate returns the node to elect, nil when there is none now.
func (c *Controller) candidate(now time.Duration, g *replicaGroup) *replicaNode {
	alive := func(n *replicaNode) bool { return n.alive }
	if g.fresh() {
		empty := !slices.ContainsFunc(g.nodes, func(n replicaNode) bool { return n.end != logEnd{} })
		if c.cfg.Durable && empty || now-c.begun >= c.cfg.ElectAfter {
			return g.longest(alive)
		}
		return nil
	}
	if n := g.longest(func(n *replicaNode) bool { return n.alive && n.inSync && !n.doubtful }); n != nil {
		return n
	}
	// Nobody is beyond doubt. What was acknowledged is on some member, and whoever is back has it if all are: but for what
	// several lost at once, the longest log. Where even that lacks what is known to have been acknowledged, somebody who
	// left the set may still have it. Only what was told since nobody leads counts: a slave's last heartbeat before may lack
	// what it has acknowledged to the last master since then.
	told := func(n *replicaNode) bool { return n.alive && n.heard >= g.vacant }
	all, members := true, true
	for i := range g.nodes {
		n := &g.nodes[i]
		all = all && told(n)
		members = members && (told(n) || !n.inSync)
	}
	n := g.longest(told)
	if n == nil || !members || !all && n.end.compare(g.floor) < 0 {
		return nil
	}
	return n
}

// longest returns the node with the largest log end of those that may; among equals the first master's id, which is the
// smallest.
func (g *replicaGroup) longest(may func(*replicaNode) bool) (best *replicaNode) {
	for i := range g.nodes {
		n := &g.nodes[i]
		if may(n) && (best == nil || cmp.Or(n.end.compare(best.end), boolCompare(n.inSync, best.inSync)) > 0) {
			best = n
		}
	}
	return best
}

func boolCompare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// enthrone begins a reign. The SyncStateSet stays what it was: the winner waits for its members, also for one that is
// gone, until it has made its own log durable and takes them out. One that waits for nobody is alone in it.
func (c *Controller) enthrone(now time.Duration, g *replicaGroup, n *replicaNode) {
	for i := range g.nodes {
		g.epoch = max(g.epoch, g.nodes[i].end.epoch)
	}
	g.epoch++
	g.version++
	g.master, g.masterSeen = n.id, now
	for i := range g.nodes {
		g.nodes[i].inSync = g.nodes[i].inSync && !n.alone
	}
	n.inSync, n.doubtful = true, false
	c.changed = true
	c.tellAll(g)
}

// Alter changes the SyncStateSet as its master asks. Whoever is new to it, or was doubtful, must be attested: the
// incarnation that the master has seen catch up must be the one that is registered.
// Source: ReplicasInfoManager.alterSyncStateSet (RocketMQ 5.3.3).
func (c *Controller) Alter(h *remoting.AlterSyncStateSetHeader) (remoting.SyncState, error) {
	g := c.group(h.BrokerName)
	switch {
	case g == nil || g.master == 0 || g.master != h.MasterID:
		return remoting.SyncState{}, ErrNotMaster
	case g.epoch != h.MasterEpoch:
		return remoting.SyncState{}, ErrFencedEpoch
	case g.version != h.Version:
		return remoting.SyncState{}, ErrFencedVersion
	}
	own := false
	for _, m := range h.Members {
		n := g.node(m.ID)
		if n == nil || !n.inSync && m.Incarnation != n.incarnation {
			return remoting.SyncState{}, ErrNotAttested
		}
		own = own || m.ID == g.master
	}
	if !own {
		return remoting.SyncState{}, ErrNotAttested
	}
	left := false
	for i := range g.nodes {
		n := &g.nodes[i]
		j := slices.IndexFunc(h.Members, func(m remoting.SyncMember) bool { return m.ID == n.id })
		left = left || n.inSync && j < 0
		n.inSync = j >= 0
		if n.inSync && h.Members[j].Incarnation == n.incarnation {
			n.doubtful = false
		}
	}
	if floor := (logEnd{h.MasterEpoch, h.Confirmed}); left && floor.compare(g.floor) > 0 {
		g.floor = floor // the master has that much on disk: whoever lacks it has lost something, or is somebody else
	}
	g.version++
	c.changed = true
	return c.state(g, g.master), nil
}

// Elect serves an operator's CONTROLLER_ELECT_MASTER for a group without a master: with unclean the longest log that is
// alive, or the node that is named, becomes one although acknowledged messages may be lost.
func (c *Controller) Elect(now time.Duration, h *remoting.ElectMasterHeader) (remoting.SyncState, error) {
	g := c.group(h.BrokerName)
	if g == nil {
		return remoting.SyncState{}, ErrNoCandidate
	}
	c.elect(now, g)
	if g.master != 0 {
		if h.BrokerID != 0 && h.BrokerID != g.master {
			return c.state(g, 0), ErrMasterExists
		}
		return c.state(g, 0), nil
	}
	n := g.longest(func(n *replicaNode) bool { return n.alive && (h.BrokerID == 0 || n.id == h.BrokerID) })
	if !h.Unclean || n == nil {
		return c.state(g, 0), ErrNoCandidate
	}
	for i := range g.nodes {
		g.nodes[i].inSync = false
	}
	g.floor = logEnd{}
	c.enthrone(now, g, n)
	return c.state(g, 0), nil
}
