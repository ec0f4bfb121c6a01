package route

import (
	"slices"

	"holdfast/broker/remoting"
)

// Bits of a topic's SysFlag. Source: TopicSysFlag (RocketMQ 5.3.3).
const (
	topicUnit    int32 = 1 // of one unit alone
	topicUnitSub int32 = 2 // subscribed to by units
)

// topicList answers the requests for some of the topics.
func (r *Registry) topicList(f *remoting.Frame, dst []byte) []byte {
	var names []string
	switch f.Code {
	case remoting.RequestGetTopicsByCluster:
		h, err := remoting.ParseCluster(f.Ext)
		if err != nil {
			return done(dst, f, err)
		}
		names = r.TopicsOf(h.Cluster)
	case remoting.RequestGetSystemTopicListFromNS:
		names, addr := r.SystemTopics()
		return reply(dst, f, remoting.AppendBrokerTopicList(nil, addr, names))
	case remoting.RequestGetUnitTopicList:
		names = r.topicsWith(func(flags int32) bool { return flags&topicUnit != 0 })
	case remoting.RequestGetHasUnitSubTopicList:
		names = r.topicsWith(func(flags int32) bool { return flags&topicUnitSub != 0 })
	default:
		names = r.topicsWith(func(flags int32) bool { return flags&topicUnit == 0 && flags&topicUnitSub != 0 })
	}
	return reply(dst, f, remoting.AppendTopicList(nil, names))
}

// TopicsOf returns the names of the topics that a group of the cluster has, sorted.
func (r *Registry) TopicsOf(cluster string) (names []string) {
	for i := range r.topics {
		if slices.ContainsFunc(r.topics[i].queues, func(q remoting.QueueData) bool {
			g, found := r.findGroup(q.BrokerName)
			return found && r.groups[g].cluster == cluster
		}) {
			names = append(names, r.topics[i].name)
		}
	}
	return names
}

// SystemTopics returns the names of all clusters and groups, each of which is a topic of the broker's own, and the address of a
// broker that can tell the others; "" when there is none.
func (r *Registry) SystemTopics() (names []string, addr string) {
	info := r.Clusters()
	for _, c := range info.Clusters {
		names = append(append(names, c.Name), c.Brokers...)
	}
	for _, b := range info.Brokers {
		if addr == "" && len(b.Addrs) > 0 {
			addr = b.Addrs[0].Addr
		}
	}
	return names, addr
}

// topicsWith returns the names of the topics whose first group has such flags, sorted.
func (r *Registry) topicsWith(such func(flags int32) bool) (names []string) {
	for i := range r.topics {
		if q := r.topics[i].queues; len(q) > 0 && such(q[0].SysFlag) {
			names = append(names, r.topics[i].name)
		}
	}
	return names
}

// registerTopic serves REGISTER_TOPIC_IN_NAMESRV: queues of one topic, whose brokers must be known.
func (r *Registry) registerTopic(f *remoting.Frame, dst []byte) []byte {
	h, err := remoting.ParseTopic(f.Ext)
	var info remoting.RouteInfo
	if err == nil {
		info, err = remoting.ParseRouteInfo(f.Body)
	}
	if err == nil {
		_, err = r.RegisterTopic(h.Topic, info.Queues)
	}
	return done(dst, f, err)
}

// RegisterTopic sets the queues of a topic in the groups that are named, and reports whether all of those are known: up to the
// first that is not they are taken, when the topic is there. It errs with ErrLimit. Source: RouteInfoManager.registerTopic (RocketMQ 5.3.3).
func (r *Registry) RegisterTopic(name string, queues []remoting.QueueData) (bool, error) {
	i, there := r.findTopic(name)
	unknown := slices.IndexFunc(queues, func(q remoting.QueueData) bool { _, found := r.findGroup(q.BrokerName); return !found })
	if unknown >= 0 && !there {
		return false, nil
	}
	if unknown >= 0 {
		queues = queues[:unknown]
	}
	if len(queues) == 0 {
		return unknown < 0, nil
	}
	if err := r.roomForTopic(name, queues); err != nil {
		return false, err
	}
	if !there {
		r.topics = slices.Insert(r.topics, i, topic{name: name})
	}
	t := &r.topics[i]
	for _, q := range queues {
		j, found := t.find(q.BrokerName)
		if !found {
			t.queues = slices.Insert(t.queues, j, q)
		}
		t.queues[j] = q
	}
	return unknown < 0, nil
}

// memberGroup serves GET_BROKER_MEMBER_GROUP: the nodes of a group.
func (r *Registry) memberGroup(f *remoting.Frame, dst []byte) []byte {
	h, err := remoting.ParseMemberGroup(f.Ext)
	if err != nil {
		return done(dst, f, err)
	}
	data := remoting.BrokerData{Cluster: h.ClusterName, BrokerName: h.BrokerName}
	if i, found := r.findGroup(h.BrokerName); found {
		data.Addrs = r.groups[i].addrs
	}
	return reply(dst, f, remoting.AppendMemberGroup(nil, data))
}
