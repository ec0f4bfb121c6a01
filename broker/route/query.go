package route

import (
	"cmp"
	"slices"

	"holdfast/broker/remoting"
)

// OrderNamespace is the KV namespace of the order of topics.
const OrderNamespace = "ORDER_TOPIC_CONFIG"

// Route returns where a topic's queues and their brokers are; ok is false when no broker that has the topic lives. What it
// returns is the caller's.
func (r *Registry) Route(name string) (info remoting.RouteInfo, ok bool) {
	i, found := r.findTopic(name)
	if !found {
		return info, false
	}
	info.Queues = slices.Clone(r.topics[i].queues)
	for _, q := range info.Queues {
		if j, found := r.findGroup(q.BrokerName); found {
			info.Brokers = append(info.Brokers, r.groups[j].data())
		}
	}
	if r.cfg.OrderMessage {
		info.OrderConf, _ = r.Get(OrderNamespace, name)
	}
	return info, len(info.Brokers) > 0
}

func (g *group) data() remoting.BrokerData {
	return remoting.BrokerData{Cluster: g.cluster, BrokerName: g.name, Addrs: slices.Clone(g.addrs), EnableActingMaster: g.actingMaster}
}

// Clusters returns all groups by name, and their names by cluster.
func (r *Registry) Clusters() (info remoting.ClusterInfo) {
	for i := range r.groups {
		g := &r.groups[i]
		info.Brokers = append(info.Brokers, g.data())
		j, found := slices.BinarySearchFunc(info.Clusters, g.cluster, func(c remoting.Cluster, name string) int { return cmp.Compare(c.Name, name) })
		if !found {
			info.Clusters = slices.Insert(info.Clusters, j, remoting.Cluster{Name: g.cluster})
		}
		info.Clusters[j].Brokers = append(info.Clusters[j].Brokers, g.name)
	}
	return info
}

// Topics returns the names of all topics, sorted.
func (r *Registry) Topics() []string {
	names := make([]string, len(r.topics))
	for i := range r.topics {
		names[i] = r.topics[i].name
	}
	return names
}

func (r *Registry) findKV(namespace, key string) (int, bool) {
	return slices.BinarySearchFunc(r.kv, key, func(kv remoting.KVHeader, key string) int {
		return cmp.Or(cmp.Compare(kv.Namespace, namespace), cmp.Compare(kv.Key, key))
	})
}

// Put sets a key of the KV table.
func (r *Registry) Put(namespace, key, value string) {
	i, found := r.findKV(namespace, key)
	if !found {
		r.kv = slices.Insert(r.kv, i, remoting.KVHeader{Namespace: namespace, Key: key})
	}
	r.kv[i].Value = value
	r.kvChanged++
}

// Get returns the value of a key of the KV table. It errs with ErrNotFound.
func (r *Registry) Get(namespace, key string) (string, error) {
	i, found := r.findKV(namespace, key)
	if !found {
		return "", ErrNotFound
	}
	return r.kv[i].Value, nil
}

// Delete removes a key of the KV table; one that is not there is no matter.
func (r *Registry) Delete(namespace, key string) {
	if i, found := r.findKV(namespace, key); found {
		r.kv = slices.Delete(r.kv, i, i+1)
		r.kvChanged++
	}
}

// List returns the keys and values of a namespace, sorted by key.
func (r *Registry) List(namespace string) (table remoting.KVTable) {
	for _, kv := range r.kv {
		if kv.Namespace == namespace {
			table = append(table, remoting.KV{Key: kv.Key, Value: kv.Value})
		}
	}
	return table
}
