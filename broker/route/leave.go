package route

import (
	"slices"
	"time"

	"holdfast/broker/remoting"
)

// Unregister removes a node that says goodbye; one that is not there is no matter.
func (r *Registry) Unregister(h remoting.BrokerHeader) {
	r.dropLive(h.ClusterName, h.BrokerAddr)
	r.dropAddr(h.BrokerName, h.BrokerAddr)
}

// Closed removes the nodes that registered last over conn. A node that has come back over another connection stays.
func (r *Registry) Closed(conn uint64) {
	r.leave(func(l *live) bool { return l.conn == conn })
}

// Expire removes the nodes that have been silent for longer than their timeout, and returns the connections they used,
// which the caller should close. Call it every few seconds.
func (r *Registry) Expire(now time.Duration) (conns []uint64) {
	for _, l := range r.leave(func(l *live) bool { return now-l.seen > l.timeout }) {
		conns = append(conns, l.conn)
	}
	return conns
}

// leave removes the nodes that gone picks and returns them.
func (r *Registry) leave(gone func(*live) bool) (left []live) {
	r.live = slices.DeleteFunc(r.live, func(l live) bool {
		if !gone(&l) {
			return false
		}
		left = append(left, l)
		return true
	})
	for _, l := range left {
		r.dropAddr(l.brokerName, l.addr)
	}
	return left
}

func (r *Registry) dropLive(cluster, addr string) {
	if i, found := r.findLive(cluster, addr); found {
		r.live = slices.Delete(r.live, i, i+1)
	}
}

// dropAddr removes an address from its group. The last one takes the group with it, and the group's queues out of the
// topics; a master that leaves a group whose slave may act for it leaves the topics readable only.
func (r *Registry) dropAddr(brokerName, addr string) {
	i, found := r.findGroup(brokerName)
	if !found {
		return
	}
	g := &r.groups[i]
	g.addrs = slices.DeleteFunc(g.addrs, func(a remoting.BrokerAddr) bool { return a.Addr == addr })
	if r.dropGroupIfEmpty(brokerName) {
		return
	}
	if g.actingMaster && g.addr(0) == "" {
		r.setPerm(brokerName, func(perm int32) int32 { return perm &^ remoting.PermWrite })
	}
}

// dropGroupIfEmpty removes a group without nodes and its queues, and reports whether it did.
func (r *Registry) dropGroupIfEmpty(brokerName string) bool {
	i, found := r.findGroup(brokerName)
	if !found || len(r.groups[i].addrs) > 0 {
		return false
	}
	r.groups = slices.Delete(r.groups, i, i+1)
	r.dropQueues(func(_ *topic, q *remoting.QueueData) bool { return q.BrokerName == brokerName })
	return true
}

// dropQueues removes the queues that gone picks, and topics without any.
func (r *Registry) dropQueues(gone func(*topic, *remoting.QueueData) bool) {
	for i := range r.topics {
		t := &r.topics[i]
		t.queues = slices.DeleteFunc(t.queues, func(q remoting.QueueData) bool { return gone(t, &q) })
	}
	r.topics = slices.DeleteFunc(r.topics, func(t topic) bool { return len(t.queues) == 0 })
}

// DeleteTopic removes a topic from the groups of a cluster, from all when cluster is "".
func (r *Registry) DeleteTopic(name, cluster string) {
	r.dropQueues(func(t *topic, q *remoting.QueueData) bool {
		if t.name != name {
			return false
		}
		i, found := r.findGroup(q.BrokerName)
		return cluster == "" || (found && r.groups[i].cluster == cluster)
	})
}

// SetWritable gives or takes the write permission of all topics of a group, until its next changed registration, and
// returns how many topics that concerned.
func (r *Registry) SetWritable(brokerName string, writable bool) (topics int) {
	return r.setPerm(brokerName, func(perm int32) int32 {
		if writable {
			return remoting.PermWrite | remoting.PermRead // also of a template, which is none any more; as RocketMQ does
		}
		return perm &^ remoting.PermWrite
	})
}

func (r *Registry) setPerm(brokerName string, change func(int32) int32) (topics int) {
	for i := range r.topics {
		t := &r.topics[i]
		if j, found := t.find(brokerName); found {
			t.queues[j].Perm = change(t.queues[j].Perm)
			topics++
		}
	}
	return topics
}
