package broker

import (
	"cmp"
	"slices"
	"time"

	"holdfast/broker/message"
	"holdfast/broker/remoting"
)

// group is one consumer group: its settings and the clients that are in it now.
type group struct {
	conf remoting.SubscriptionGroup
	members
	data remoting.ConsumerData
}

// members are the clients that are in a group of consumers or producers now.
type members struct {
	clients []*client // by id
}

// client is one member of a group.
type client struct {
	id       string
	conn     ConnID
	addr     string
	language remoting.Language
	version  int16
	seen     time.Duration // last heartbeat
	seenAt   int64         // the same as Unix ms
}

// groupTable is all groups: a map to find them, a slice by name to walk them.
type groupTable struct {
	byName  map[string]*group
	sorted  []*group
	version remoting.DataVersion
}

func (t *groupTable) get(name []byte) *group { return t.byName[string(name)] }

func (t *groupTable) put(c remoting.SubscriptionGroup) *group {
	g := t.byName[c.Name]
	if g == nil {
		g = &group{}
		t.byName[c.Name] = g
		at, _ := slices.BinarySearchFunc(t.sorted, c.Name, func(e *group, name string) int { return cmp.Compare(e.conf.Name, name) })
		t.sorted = slices.Insert(t.sorted, at, g)
	}
	g.conf = c
	return g
}

func (t *groupTable) table() remoting.SubscriptionGroupTable {
	out := remoting.SubscriptionGroupTable{DataVersion: t.version, Groups: make([]remoting.SubscriptionGroup, 0, len(t.sorted))}
	for _, g := range t.sorted {
		out.Groups = append(out.Groups, g.conf)
	}
	return out
}

// presetGroups are there from the start. Source: SubscriptionGroupManager.init (RocketMQ 5.3.3, 4.9.7).
func presetGroups(cfg *Config) []string {
	names := []string{"TOOLS_CONSUMER", "FILTERSRV_CONSUMER", "SELF_TEST_C_GROUP", "CID_ONS-HTTP-PROXY", "CID_ONSAPI_PULL", "CID_ONSAPI_PERMISSION", "CID_ONSAPI_OWNER"}
	if !cfg.isRocketMQ4() {
		names = append(names, "CID_RMQ_SYS_TRANS")
	}
	return names
}

// groupOf returns the group, created when that is allowed; nil otherwise.
// Source: SubscriptionGroupManager.findSubscriptionGroupConfig (RocketMQ 5.3.3).
func (n *Node) groupOf(name []byte, out *Output) *group {
	if g := n.groups.get(name); g != nil {
		return g
	}
	if !n.cfg.AutoCreateGroup || len(name) == 0 || len(name) > 255 || len(n.groups.sorted) >= n.cfg.Limits.Groups {
		return nil
	}
	g := n.groups.put(remoting.NewSubscriptionGroup(string(name)))
	n.groupsChanged(out)
	return g
}

// heartbeat serves HEART_BEAT: the client's groups are entered, and their members told when that changed them.
// Source: ClientManageProcessor.heartBeat (RocketMQ 5.3.3).
func (n *Node) heartbeat(c ConnID, r *Request, out *Output) {
	f, h := &r.Frame, r.Beat
	if r.Fault != "" {
		n.refuse(c, f, r.Code, r.Fault, out)
		return
	}
	n.joined[c] = true
	for _, name := range h.Producers {
		n.joinProducer(c, name, h, f)
	}
	for i := range h.Consumers {
		d := &h.Consumers[i]
		g := n.groupOf([]byte(d.Group), out)
		if g == nil {
			continue
		}
		n.retryTopic(g, out)
		changed := g.join(c, h, f, n.conns[c], n.now, n.cfg.Limits.GroupSize)
		if g.subscribe(*d) || changed {
			n.notify(g, out)
		}
	}
	n.ok(c, f, nil, out)
}

// retryTopic makes the topic to which the group's failed messages go.
func (n *Node) retryTopic(g *group, out *Output) {
	name := string(retryPrefix) + g.conf.Name
	if n.role == roleSlave || n.topics.byName[name] != nil || len(n.topics.sorted) >= n.cfg.Limits.Topics || g.conf.RetryQueues < 1 {
		return
	}
	queues := min(g.conf.RetryQueues, n.cfg.Limits.Queues) // of a file, or of a master, the number may be any
	n.putTopic(remoting.TopicConfig{Name: name, ReadQueues: queues, WriteQueues: queues, Perm: remoting.PermRead | remoting.PermWrite}, out)
}

// join enters a client or refreshes it, and reports whether the members changed.
func (g *members) join(c ConnID, h *remoting.Heartbeat, f *remoting.Frame, addr string, now Instant, limit int) bool {
	at, found := slices.BinarySearchFunc(g.clients, h.ClientID, func(e *client, id string) int { return cmp.Compare(e.id, id) })
	if found {
		e := g.clients[at]
		changed := e.conn != c
		e.conn, e.addr, e.seen, e.seenAt = c, addr, now.Mono, now.Wall
		return changed
	}
	if len(g.clients) >= limit {
		return false
	}
	g.clients = slices.Insert(g.clients, at, &client{id: h.ClientID, conn: c, addr: addr, language: f.Language, version: f.Version,
		seen: now.Mono, seenAt: now.Wall})
	return true
}

// subscribe takes over what the client says about the group, its subscriptions sorted by topic, and reports whether those changed.
// Source: ConsumerGroupInfo.updateSubscription (RocketMQ 5.3.3).
func (g *group) subscribe(d remoting.ConsumerData) bool {
	same := slices.EqualFunc(d.Subscriptions, g.data.Subscriptions, func(a, b remoting.Subscription) bool {
		return a.Topic == b.Topic && a.Expression == b.Expression
	})
	g.data = d
	return !same
}

func (g *group) subscription(topic []byte) *remoting.Subscription {
	for i := range g.data.Subscriptions {
		if g.data.Subscriptions[i].Topic == string(topic) {
			return &g.data.Subscriptions[i]
		}
	}
	return nil
}

// notify sends NOTIFY_CONSUMER_IDS_CHANGED to every member.
func (n *Node) notify(g *group, out *Output) {
	if !g.conf.NotifyConsumerIDsChanged {
		return
	}
	h := remoting.ConsumerGroupHeader{ConsumerGroup: g.conf.Name}
	for _, e := range g.clients {
		n.push(e, remoting.RequestNotifyConsumerIDsChanged, h.Append, nil, out)
	}
}

// push sends a oneway request to a client.
func (n *Node) push(to *client, code int32, fields func(*remoting.Writer), body []byte, out *Output) {
	n.pushes++
	w := remoting.Begin(nil, &remoting.Frame{Code: code, Opaque: n.pushes, Flag: remoting.FlagOneway, Version: remoting.Version, Language: remoting.Go})
	fields(&w)
	out.Replies = append(out.Replies, Reply{Conn: to.conn, Kind: ReplyFrame, Push: true, Frame: w.Finish(body)})
}

// leave takes the members of consumer groups out for which gone says so, and tells the others.
func (n *Node) leave(gone func(*group, *client) bool, out *Output) {
	for _, g := range n.groups.sorted {
		if g.without(func(e *client) bool { return gone(g, e) }) {
			n.notify(g, out)
		}
	}
}

// without takes the members out for which gone says so, and reports whether there were any.
func (g *members) without(gone func(*client) bool) bool {
	before := len(g.clients)
	g.clients = slices.DeleteFunc(g.clients, gone)
	return len(g.clients) != before
}

// connections returns the members as the wire has them.
func (g *members) connections() (list []remoting.Connection) {
	for _, e := range g.clients {
		list = append(list, remoting.Connection{ClientID: e.id, ClientAddr: e.addr, Language: e.language, Version: e.version})
	}
	return list
}

// find returns the member with that id, nil when there is none.
func (g *members) find(id string) *client {
	if at, found := slices.BinarySearchFunc(g.clients, id, func(e *client, id string) int { return cmp.Compare(e.id, id) }); found {
		return g.clients[at]
	}
	return nil
}

// unregister serves UNREGISTER_CLIENT.
func (n *Node) unregister(c ConnID, f *remoting.Frame, out *Output) {
	h, err := remoting.ParseUnregisterClient(f.Ext)
	if err != nil {
		n.refuse(c, f, remoting.ResponseSystemError, err.Error(), out)
		return
	}
	n.leave(func(g *group, e *client) bool { return g.conf.Name == h.ConsumerGroup && e.id == h.ClientID }, out)
	n.leaveProducers(func(p *producers, e *client) bool { return p.name == h.ProducerGroup && e.id == h.ClientID })
	n.ok(c, f, nil, out)
}

// consumerList serves GET_CONSUMER_LIST_BY_GROUP.
func (n *Node) consumerList(c ConnID, f *remoting.Frame, out *Output) {
	h, err := remoting.ParseConsumerGroup(f.Ext)
	if err != nil {
		n.refuse(c, f, remoting.ResponseSystemError, err.Error(), out)
		return
	}
	g := n.groups.get([]byte(h.ConsumerGroup))
	if g == nil || len(g.clients) == 0 {
		n.refuse(c, f, remoting.ResponseSystemError, "no consumer for this group, "+h.ConsumerGroup, out)
		return
	}
	var ids []string
	for _, e := range g.clients {
		ids = append(ids, e.id)
	}
	n.ok(c, f, remoting.AppendConsumerList(nil, ids), out)
}

// connections serves GET_CONSUMER_CONNECTION_LIST.
func (n *Node) connections(c ConnID, f *remoting.Frame, out *Output) {
	h, err := remoting.ParseConsumerGroup(f.Ext)
	if err != nil {
		n.refuse(c, f, remoting.ResponseSystemError, err.Error(), out)
		return
	}
	g := n.groups.get([]byte(h.ConsumerGroup))
	if g == nil || len(g.clients) == 0 {
		n.refuse(c, f, remoting.ResponseConsumerNotOnline, "the consumer group["+h.ConsumerGroup+"] not online", out)
		return
	}
	list := remoting.ConsumerConnections{Connections: g.connections(), Data: g.data}
	n.ok(c, f, list.Append(nil), out)
}

// tagsOf returns the tags codes that an expression asks for: "*", or tags with || between; none stands for all. Codes
// collide: consumers compare the tags themselves again.
func tagsOf(expression string) []int64 {
	var codes []int64
	for part := range splitTags(expression) {
		if part == "*" {
			return nil
		}
		codes = append(codes, int64(message.HashCode(part)))
	}
	return codes
}
