package client

import (
	"slices"
	"time"

	"holdfast/broker/remoting"
)

// nameServers is where routes are asked for: one name server at a time, the next one when it does not answer.
type nameServers struct {
	index    int           // into Config.NameServers
	conn     int           // the connection to it
	asking   bool          // a request is under way
	opaque   int32         // its id
	deadline time.Duration // its end
	at       time.Duration // when to ask next
	isUp     bool          // conn is up
	answers  int           // routes received
}

// due returns when the route needs a Wake.
func (n *nameServers) due() time.Duration {
	switch {
	case n.asking:
		return n.deadline
	case n.isUp:
		return n.at
	}
	return never // its connection has a timer of its own
}

// wakeRoute asks for the route if it is time, and gives up a name server that does not answer.
func (c *Client) wakeRoute() {
	n := &c.ns
	n.isUp = c.conns[n.conn].state == up
	if n.asking && c.now >= n.deadline {
		c.drop(n.conn)
		return
	}
	if n.asking || !n.isUp || c.now < n.at {
		return
	}
	k := &c.conns[n.conn]
	n.asking, n.opaque, n.deadline = true, c.nextOpaque(), c.now+RouteTimeout
	header := remoting.TopicHeader{Topic: c.cfg.Topic}
	from := len(k.out)
	w := c.begin(k, remoting.RequestGetRouteInfoByTopic, n.opaque)
	header.Append(&w)
	k.out = w.Finish(nil)
	k.queue(from)
}

// routeLost turns to the next name server: the connection to the present one is gone.
func (c *Client) routeLost() {
	n := &c.ns
	n.asking, n.isUp, n.at = false, false, c.now
	if len(c.cfg.NameServers) == 1 {
		return
	}
	c.conns[n.conn].wanted = false
	n.index = (n.index + 1) % len(c.cfg.NameServers)
	n.conn = c.connTo(c.cfg.NameServers[n.index], 0, true)
}

// routeReply takes a name server's answer. A topic that it does not know (any more) leaves the last route in use.
func (c *Client) routeReply(f *remoting.Frame) {
	c.ns.asking = false
	c.ns.at = c.now + c.cfg.RouteInterval
	c.timer = c.now
	if f.Code != remoting.ResponseSuccess {
		return
	}
	route, err := remoting.ParseRouteInfo(f.Body)
	if err != nil {
		return
	}
	c.ns.answers++
	for i := range c.groups {
		c.follow(&c.groups[i], &route)
	}
}

// follow moves a group to the node that the route gives for it.
func (c *Client) follow(g *group, route *remoting.RouteInfo) {
	at := slices.IndexFunc(route.Brokers, func(b remoting.BrokerData) bool { return b.BrokerName == g.name })
	if at < 0 {
		return
	}
	c.takeNodes(g, route.Brokers[at].Addrs)
	address := chooseNode(route.Brokers[at].Addrs, c.cfg.ConsumerGroup != "")
	if address == "" || address == g.address {
		return
	}
	g.address = address
	for _, id := range g.lanes {
		c.release(id)
	}
	g.lanes = g.lanes[:0]
	for lane := range c.cfg.Connections {
		g.lanes = append(g.lanes, c.connTo(address, lane, false))
	}
}

// chooseNode returns the address of the master; for consumers, when there is none, that of the slave with the lowest id.
// Source: MQClientInstance.findBrokerAddressInPublish, findBrokerAddressInSubscribe (RocketMQ 5.3.3).
func chooseNode(nodes []remoting.BrokerAddr, slaves bool) string {
	best := remoting.BrokerAddr{ID: -1}
	for _, n := range nodes {
		if (n.ID == 0 || slaves) && (best.ID < 0 || n.ID < best.ID) {
			best = n
		}
	}
	return best.Addr
}
