package route

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"holdfast/broker/remoting"
)

// Config is how a Registry behaves.
type Config struct {
	// HeartbeatTimeout is how long a broker lives without a registration when its request does not say. Default 120 s.
	HeartbeatTimeout time.Duration
	// OrderMessage puts the ORDER_TOPIC_CONFIG of a topic into its route. Default false.
	OrderMessage bool
	// Limits bound what is kept.
	Limits Limits
}

// DefaultConfig returns RocketMQ's defaults, and limits of which it has none.
func DefaultConfig() Config {
	return Config{HeartbeatTimeout: 120 * time.Second, Limits: DefaultLimits()}
}

// Validate names the bad field and its range.
func (c Config) Validate() error {
	if c.HeartbeatTimeout <= 0 {
		return fmt.Errorf("route: HeartbeatTimeout %v: must be above 0", c.HeartbeatTimeout)
	}
	return c.Limits.Validate()
}

var (
	// ErrPartial refuses a registration of one topic by a broker that has not registered whole: with equal data versions
	// its other topics would never be taken.
	ErrPartial = errors.New("route: broker unknown, register all topics first")
	// ErrNotFound says that a key of the KV table does not exist.
	ErrNotFound = errors.New("route: no such key")
)

// Registry holds what the brokers have told. It is not safe for concurrent use.
type Registry struct {
	cfg    Config
	live   []live              // sorted by cluster, address
	groups []group             // sorted by name
	topics []topic             // sorted by name
	kv     []remoting.KVHeader // sorted by namespace, key
	// kvChanged counts the changes of kv, for whoever keeps it in a file.
	kvChanged int
}

// live is a node that registered and has not left.
type live struct {
	cluster, addr string
	brokerName    string
	haAddr        string
	conn          uint64
	seen          time.Duration
	timeout       time.Duration
	version       remoting.DataVersion
}

// group is a broker name with its nodes.
type group struct {
	name         string
	cluster      string
	actingMaster bool
	addrs        []remoting.BrokerAddr // sorted by id; no two with one address
}

// topic is where a topic's queues are.
type topic struct {
	name   string
	queues []remoting.QueueData // sorted by broker name
}

// New returns an empty Registry. cfg must be valid.
func New(cfg Config) *Registry { return &Registry{cfg: cfg} }

// Register takes the registration of a node that came over conn, and tells a slave where its master is. A node that
// claims the id of another living node is refused without an error, as brokers expect it, if that node's state version is
// higher, and replaces it otherwise. It errs with ErrPartial, and with ErrLimit before anything is kept.
func (r *Registry) Register(now time.Duration, conn uint64, h remoting.RegisterBrokerHeader, table remoting.TopicTable) (remoting.RegisterBrokerReply, error) {
	if err := r.excess(&h, table.Topics); err != nil {
		return remoting.RegisterBrokerReply{}, err
	}
	g := r.groupOf(&h)
	if old := g.addr(h.BrokerID); old != "" && old != h.BrokerAddr {
		if l := r.find(h.ClusterName, old); l != nil && l.version.StateVersion > table.DataVersion.StateVersion {
			r.dropLive(h.ClusterName, h.BrokerAddr)
			return remoting.RegisterBrokerReply{}, nil
		}
	}
	first := g.addr(h.BrokerID) == ""
	if first && len(table.Topics) == 1 {
		r.dropGroupIfEmpty(h.BrokerName)
		return remoting.RegisterBrokerReply{}, ErrPartial
	}
	g.set(h.BrokerID, h.BrokerAddr)
	primeSlave := h.HasActingMaster && h.BrokerID != 0 && g.addrs[0].ID == h.BrokerID
	if h.BrokerID == 0 || primeSlave {
		previous := r.find(h.ClusterName, h.BrokerAddr)
		whole := first || previous == nil || previous.version != table.DataVersion
		r.update(g, table.Topics, whole, primeSlave && g.actingMaster)
	}
	r.setLive(now, conn, &h, table.DataVersion)
	return r.masterOf(g, h.BrokerID), nil
}

// groupOf returns the group of h, made anew if need be, after what h says about it and without an entry of another id
// for h's address: a slave that was promoted must not stand there twice.
func (r *Registry) groupOf(h *remoting.RegisterBrokerHeader) *group {
	i, found := r.findGroup(h.BrokerName)
	if !found {
		r.groups = slices.Insert(r.groups, i, group{name: h.BrokerName, cluster: h.ClusterName})
	}
	g := &r.groups[i]
	g.cluster, g.actingMaster = h.ClusterName, h.HasActingMaster && h.EnableActingMaster
	g.addrs = slices.DeleteFunc(g.addrs, func(a remoting.BrokerAddr) bool { return a.Addr == h.BrokerAddr && a.ID != h.BrokerID })
	return g
}

// update takes topics of a group: all of them if whole, else those that are new to it.
func (r *Registry) update(g *group, topics []remoting.TopicConfig, whole, readOnly bool) {
	for _, c := range topics {
		q := remoting.QueueData{BrokerName: g.name, ReadQueues: c.ReadQueues, WriteQueues: c.WriteQueues, Perm: c.Perm, SysFlag: c.SysFlag}
		if readOnly {
			q.Perm &^= remoting.PermWrite
		}
		i, found := r.findTopic(c.Name)
		if !found {
			r.topics = slices.Insert(r.topics, i, topic{name: c.Name})
		}
		t := &r.topics[i]
		j, found := t.find(g.name)
		if !found {
			t.queues = slices.Insert(t.queues, j, q)
		} else if whole {
			t.queues[j] = q
		}
	}
}

// masterOf returns where the node with that id finds the master of its group; nothing for the master itself.
func (r *Registry) masterOf(g *group, id int64) (reply remoting.RegisterBrokerReply) {
	if id == 0 {
		return reply
	}
	if l := r.find(g.cluster, g.addr(0)); l != nil {
		reply.MasterAddr, reply.HAServerAddr = l.addr, l.haAddr
	}
	return reply
}

// Touch keeps a node alive without a registration, as BROKER_HEARTBEAT does. A node that is not registered is no matter.
func (r *Registry) Touch(now time.Duration, cluster, addr string) {
	if l := r.find(cluster, addr); l != nil {
		l.seen = now
	}
}

// DataVersion returns the data version that a node registered with last, and whether version differs from it, in which
// case the node should register. A query with the same version keeps the node alive.
func (r *Registry) DataVersion(now time.Duration, cluster, addr string, version remoting.DataVersion) (known remoting.DataVersion, changed bool) {
	l := r.find(cluster, addr)
	if l == nil {
		return known, true
	}
	if l.version == version {
		l.seen = now
	}
	return l.version, l.version != version
}

func (r *Registry) setLive(now time.Duration, conn uint64, h *remoting.RegisterBrokerHeader, version remoting.DataVersion) {
	l := live{cluster: h.ClusterName, addr: h.BrokerAddr, brokerName: h.BrokerName, haAddr: h.HAServerAddr, conn: conn,
		seen: now, timeout: r.cfg.HeartbeatTimeout, version: version}
	if h.HeartbeatTimeoutMS > 0 && h.HeartbeatTimeoutMS <= int64(24*time.Hour/time.Millisecond) {
		l.timeout = time.Duration(h.HeartbeatTimeoutMS) * time.Millisecond
	}
	i, found := r.findLive(l.cluster, l.addr)
	if !found {
		r.live = slices.Insert(r.live, i, l)
	}
	r.live[i] = l
}

func (r *Registry) findLive(cluster, addr string) (int, bool) {
	return slices.BinarySearchFunc(r.live, addr, func(l live, addr string) int {
		return cmp.Or(cmp.Compare(l.cluster, cluster), cmp.Compare(l.addr, addr))
	})
}

func (r *Registry) find(cluster, addr string) *live {
	if i, found := r.findLive(cluster, addr); found {
		return &r.live[i]
	}
	return nil
}

func (r *Registry) findGroup(name string) (int, bool) {
	return slices.BinarySearchFunc(r.groups, name, func(g group, name string) int { return cmp.Compare(g.name, name) })
}

func (r *Registry) findTopic(name string) (int, bool) {
	return slices.BinarySearchFunc(r.topics, name, func(t topic, name string) int { return cmp.Compare(t.name, name) })
}

func (t *topic) find(brokerName string) (int, bool) {
	return slices.BinarySearchFunc(t.queues, brokerName, func(q remoting.QueueData, name string) int { return cmp.Compare(q.BrokerName, name) })
}

func (g *group) find(id int64) (int, bool) {
	return slices.BinarySearchFunc(g.addrs, id, func(a remoting.BrokerAddr, id int64) int { return cmp.Compare(a.ID, id) })
}

// addr returns the address of the node with that id, or "".
func (g *group) addr(id int64) string {
	if i, found := g.find(id); found {
		return g.addrs[i].Addr
	}
	return ""
}

func (g *group) set(id int64, addr string) {
	i, found := g.find(id)
	if !found {
		g.addrs = slices.Insert(g.addrs, i, remoting.BrokerAddr{ID: id})
	}
	g.addrs[i].Addr = addr
}
