package client

import (
	"slices"
	"time"

	"holdfast/broker/remoting"
	"holdfast/loadgen/driver"
)

// How long new sends avoid a group after a failure of one. Source: MQFaultStrategy (RocketMQ 5.3.3): a failure counts as a latency
// of 10 s, which makes a broker unavailable for 10 s; a refusal is of the broker's state, and that changes sooner.
const (
	avoidAfterLoss    = 10 * time.Second
	avoidAfterRefusal = 2 * time.Second
)

// Choose returns the queue number that a new send had better go to: queue itself unless its group is not connected or failed of
// late, else the queue of the same place in the next group that is fit; where all failed of late, in the first that is connected; queue
// again when none is. As Apache's clients do with sendLatencyFaultEnable, and on a retry.
func (c *Client) Choose(now time.Duration, queue int32) int32 {
	if len(c.groups) == 1 || queue < 0 || int(queue) >= c.cfg.Queues {
		return queue
	}
	at, connected := c.templates[queue].group, int32(-1)
	for i := range int32(len(c.groups)) {
		next := (at + i) % int32(len(c.groups))
		other := queue + (next-at)*c.each
		if g := &c.groups[next]; int(other) < c.cfg.Queues && c.reachable(g) {
			if now >= g.avoid {
				return other
			}
			if connected < 0 {
				connected = other
			}
		}
	}
	if connected >= 0 {
		return connected
	}
	return queue
}

// reachable reports whether a group has a connection that is up.
func (c *Client) reachable(g *group) bool {
	return slices.ContainsFunc(g.lanes, func(id int) bool { return c.conns[id].state == up })
}

// avoid has new sends go to other groups than that of a queue, after a send that was not acknowledged.
func (c *Client) avoid(queue int32, kind driver.Kind) {
	if len(c.groups) == 1 || kind == driver.OK {
		return
	}
	d := avoidAfterLoss
	if kind == driver.Fail {
		d = avoidAfterRefusal
	}
	g := &c.groups[c.templates[queue].group]
	g.avoid = max(g.avoid, c.now+d)
}

// source returns the connection that a pull of a queue goes to: that of the node which the last answer suggested, if the route has
// it and it is up, else that of the node that all operations use. Source: PullAPIWrapper.recalculatePullFromWhichNode,
// MQClientInstance.findBrokerAddressInSubscribe (RocketMQ 5.3.3).
func (c *Client) source(slot uint32, queue int32) (int, error) {
	id, err := c.place(slot, queue)
	if len(c.sources) == 0 || queue < 0 || int(queue) >= len(c.sources) || c.sources[queue] == 0 {
		return id, err
	}
	g := &c.groups[c.templates[queue].group]
	if other, known := c.other(g, c.sources[queue]); known && c.conns[other].state == up {
		return other, nil
	}
	return id, err
}

// other returns the connection to a node of a group by its broker id, wanted from now on; false when the route does not give it.
func (c *Client) other(g *group, brokerID int64) (int, bool) {
	at := slices.IndexFunc(g.nodes, func(n remoting.BrokerAddr) bool { return n.ID == brokerID })
	if at < 0 {
		return 0, false
	}
	return c.connTo(g.nodes[at].Addr, 0, false), true
}

// suggested takes what an answer says of where to pull next; a connection there is made now, so that it is up by then.
func (c *Client) suggested(queue int32, brokerID int64) {
	c.sources[queue] = brokerID
	if brokerID != 0 {
		c.other(&c.groups[c.templates[queue].group], brokerID)
	}
}

// unsuggested has the queues that were pulled over a connection which is lost be pulled from the node that all operations use.
func (c *Client) unsuggested(conn int) {
	for q, id := range c.sources {
		if id == 0 {
			continue
		}
		for _, n := range c.groups[c.templates[q].group].nodes {
			if n.ID == id && n.Addr == c.conns[conn].address {
				c.sources[q] = 0
			}
		}
	}
}

// takeNodes takes over what the route gives for a group. Connections to nodes that it gives no longer are not wanted but by the lanes,
// which follow moves.
func (c *Client) takeNodes(g *group, nodes []remoting.BrokerAddr) {
	for id := range c.conns {
		k := &c.conns[id]
		given := func(list []remoting.BrokerAddr) bool {
			return slices.ContainsFunc(list, func(n remoting.BrokerAddr) bool { return n.Addr == k.address })
		}
		if k.wanted && !k.nameServer && given(g.nodes) && !given(nodes) && !slices.Contains(g.lanes, id) {
			c.release(id)
		}
	}
	g.nodes = nodes
}
