package route

import (
	"errors"
	"fmt"

	"holdfast/broker/remoting"
)

// Limits bound what a Registry and a Controller keep of what anybody may tell them. What would go beyond is refused with ErrLimit.
type Limits struct {
	Nodes     int // registered brokers, in all groups
	Topics    int
	Entries   int // of topics in broker groups: a topic with queues in three groups has three
	NameBytes int // of the name of a topic, group or cluster, and of an address
	Keys      int // of the KV table
	KVBytes   int // of its keys and values, in all
}

// DefaultLimits are generous for a cluster and small against memory.
func DefaultLimits() Limits {
	return Limits{Nodes: 1000, Topics: 100_000, Entries: 500_000, NameBytes: 255, Keys: 10_000, KVBytes: 16 << 20}
}

// ErrLimit refuses what would be more than is allowed.
var ErrLimit = errors.New("route: more than is allowed")

// Validate names the bad field and its range.
func (l *Limits) Validate() error {
	for _, f := range []struct {
		name  string
		value int
	}{{"Nodes", l.Nodes}, {"Topics", l.Topics}, {"Entries", l.Entries}, {"NameBytes", l.NameBytes}, {"Keys", l.Keys}, {"KVBytes", l.KVBytes}} {
		if f.value < 1 {
			return fmt.Errorf("route: Limits.%s %d: must be above 0", f.name, f.value)
		}
	}
	return nil
}

func beyond(count, limit int, what string) error {
	if count <= limit {
		return nil
	}
	return fmt.Errorf("%w: %d %s, the limit is %d", ErrLimit, count, what, limit)
}

// excess says what of a registration is more than is allowed.
func (r *Registry) excess(h *remoting.RegisterBrokerHeader, topics []remoting.TopicConfig) error {
	l := &r.cfg.Limits
	for _, name := range []string{h.ClusterName, h.BrokerName, h.BrokerAddr, h.HAServerAddr} {
		if err := beyond(len(name), l.NameBytes, "bytes in a name or an address"); err != nil {
			return err
		}
	}
	if r.find(h.ClusterName, h.BrokerAddr) == nil {
		if err := beyond(len(r.live)+1, l.Nodes, "brokers"); err != nil {
			return err
		}
	}
	newTopics, newEntries := 0, 0
	for i := range topics {
		if err := beyond(len(topics[i].Name), l.NameBytes, "bytes in the name of a topic"); err != nil {
			return err
		}
		at, found := r.findTopic(topics[i].Name)
		if !found {
			newTopics, newEntries = newTopics+1, newEntries+1
		} else if _, found := r.topics[at].find(h.BrokerName); !found {
			newEntries++
		}
	}
	return r.room(newTopics, newEntries)
}

// roomForTopic says whether one topic may be kept with the queues of some groups.
func (r *Registry) roomForTopic(name string, queues []remoting.QueueData) error {
	if err := beyond(len(name), r.cfg.Limits.NameBytes, "bytes in the name of a topic"); err != nil {
		return err
	}
	at, found := r.findTopic(name)
	if !found {
		return r.room(1, len(queues))
	}
	entries := 0
	for i := range queues {
		if _, found := r.topics[at].find(queues[i].BrokerName); !found {
			entries++
		}
	}
	return r.room(0, entries)
}

// nodeIDMax bounds the id that a node says it was given: the next one must be a number, too.
const nodeIDMax = 1 << 31

// excess says what of a registration at the controller is more than is allowed. A node that is known may always come back.
func (c *Controller) excess(h *remoting.NodeHeader) error {
	for _, name := range []string{h.ClusterName, h.BrokerName, h.BrokerAddr, h.HAAddr} {
		if err := beyond(len(name), c.cfg.Limits.NameBytes, "bytes in a name or an address"); err != nil {
			return err
		}
	}
	if h.BrokerID < 0 || h.BrokerID > nodeIDMax {
		return fmt.Errorf("%w: brokerId %d, allowed: 0 to %d", ErrLimit, h.BrokerID, nodeIDMax)
	}
	if g := c.group(h.BrokerName); g != nil && g.known(h) != nil {
		return nil
	}
	nodes := 1
	for i := range c.groups {
		nodes += len(c.groups[i].nodes)
	}
	return beyond(nodes, c.cfg.Limits.Nodes, "brokers")
}

// room says whether so many new topics, and entries of topics in groups, may be kept.
func (r *Registry) room(topics, entries int) error {
	l := &r.cfg.Limits
	if topics > 0 {
		if err := beyond(len(r.topics)+topics, l.Topics, "topics"); err != nil {
			return err
		}
	}
	if entries == 0 {
		return nil
	}
	for i := range r.topics {
		entries += len(r.topics[i].queues)
	}
	return beyond(entries, l.Entries, "queue entries of topics in broker groups")
}

// roomForKV says whether the KV table may hold value under a key.
func (r *Registry) roomForKV(namespace, key, value string) error {
	keys, bytes := len(r.kv), len(namespace)+len(key)+len(value)
	if at, found := r.findKV(namespace, key); !found {
		keys++
	} else {
		bytes -= len(namespace) + len(key) + len(r.kv[at].Value)
	}
	for i := range r.kv {
		bytes += len(r.kv[i].Namespace) + len(r.kv[i].Key) + len(r.kv[i].Value)
	}
	if err := beyond(keys, r.cfg.Limits.Keys, "keys in the KV table"); err != nil {
		return err
	}
	return beyond(bytes, r.cfg.Limits.KVBytes, "bytes in the KV table")
}
