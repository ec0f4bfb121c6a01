package broker

import (
	"cmp"
	"slices"

	"holdfast/broker/remoting"
)

// producers is one producer group: it is there as long as a client is in it.
type producers struct {
	name string
	members
}

// producerTable is all producer groups by name. Source: ProducerManager (RocketMQ 5.3.3).
type producerTable struct {
	sorted  []*producers
	clients map[string]*requester // by client id: those that are in at least one group
}

// requester is a client that is in groups of producers: what answers its messages goes to it.
type requester struct {
	conn   ConnID // of its last heartbeat
	groups int
}

// entered notes the heartbeat of a client that has entered so many groups more.
func (t *producerTable) entered(id string, c ConnID, groups int) {
	r := t.clients[id]
	if r == nil {
		if groups == 0 {
			return
		}
		r = &requester{}
		t.clients[id] = r
	}
	r.conn = c
	r.groups += groups
}

// left notes that a client is no longer in a group.
func (t *producerTable) left(id string) {
	if r := t.clients[id]; r.groups > 1 {
		r.groups--
	} else {
		delete(t.clients, id)
	}
}

func (t *producerTable) find(name string) (int, bool) {
	return slices.BinarySearchFunc(t.sorted, name, func(e *producers, name string) int { return cmp.Compare(e.name, name) })
}

// joinProducer enters a client into a producer group.
func (n *Node) joinProducer(c ConnID, name string, h *remoting.Heartbeat, f *remoting.Frame) {
	at, found := n.producers.find(name)
	if !found {
		if name == "" || len(name) > 255 || len(n.producers.sorted) >= n.cfg.Limits.Groups {
			return
		}
		n.producers.sorted = slices.Insert(n.producers.sorted, at, &producers{name: name})
	}
	p := n.producers.sorted[at]
	before := len(p.clients)
	p.join(c, h, f, n.conns[c], n.now, n.cfg.Limits.GroupSize)
	n.producers.entered(h.ClientID, c, len(p.clients)-before)
}

// leaveProducers takes the members out for which gone says so, and forgets the groups that are empty then.
func (n *Node) leaveProducers(gone func(*producers, *client) bool) {
	left := false
	for _, p := range n.producers.sorted {
		left = p.without(func(e *client) bool {
			out := gone(p, e)
			if out {
				n.producers.left(e.id)
			}
			return out
		}) || left
	}
	if left {
		n.producers.sorted = slices.DeleteFunc(n.producers.sorted, func(p *producers) bool { return len(p.clients) == 0 })
	}
}

// producerConnections serves GET_PRODUCER_CONNECTION_LIST.
func (n *Node) producerConnections(c ConnID, f *remoting.Frame, out *Output) {
	h, err := remoting.ParseProducerGroup(f.Ext)
	if err != nil {
		n.refuse(c, f, remoting.ResponseSystemError, err.Error(), out)
		return
	}
	at, found := n.producers.find(h.ProducerGroup)
	if !found {
		n.refuse(c, f, remoting.ResponseSystemError, "the producer group["+h.ProducerGroup+"] not exist", out)
		return
	}
	list := remoting.ConsumerConnections{Connections: n.producers.sorted[at].connections()}
	n.ok(c, f, list.Append(nil), out)
}

// allProducers serves GET_ALL_PRODUCER_INFO.
func (n *Node) allProducers(c ConnID, f *remoting.Frame, out *Output) {
	var groups []remoting.ProducerGroup
	for _, p := range n.producers.sorted {
		g := remoting.ProducerGroup{Name: p.name}
		for _, e := range p.clients {
			g.Producers = append(g.Producers, remoting.Producer{Connection: remoting.Connection{ClientID: e.id, ClientAddr: e.addr, Language: e.language, Version: e.version},
				LastSeen: e.seenAt})
		}
		groups = append(groups, g)
	}
	n.okLater(c, f, func(dst []byte) []byte { return remoting.AppendProducers(dst, groups) }, out)
}
