package broker

import (
	"fmt"
	"slices"

	"holdfast/broker/remoting"
)

// slaveRefuses answers a change of the tables that a slave takes from its master. RocketMQ 5 changes its own, which the next
// synchronisation takes back. Source: AdminBrokerProcessor.validateSlave (RocketMQ 4.9.7).
func (n *Node) slaveRefuses(c ConnID, f *remoting.Frame, out *Output) bool {
	if n.role != roleSlave {
		return false
	}
	n.refuse(c, f, remoting.ResponseSystemError, "Can't modify topic or subscription group from slave broker, please execute it from master broker.", out)
	return true
}

// createGroups serves UPDATE_AND_CREATE_SUBSCRIPTIONGROUP and UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST. Either all groups are
// taken or none.
func (n *Node) createGroups(c ConnID, f *remoting.Frame, out *Output) {
	if n.slaveRefuses(c, f, out) {
		return
	}
	var groups []remoting.SubscriptionGroup
	var err error
	if f.Code == remoting.RequestUpdateAndCreateSubscriptionGroupList {
		groups, err = remoting.ParseSubscriptionGroups(f.Body)
	} else {
		groups = make([]remoting.SubscriptionGroup, 1)
		groups[0], err = remoting.ParseSubscriptionGroup(f.Body)
	}
	if err != nil {
		n.refuse(c, f, remoting.ResponseSystemError, "malformed subscription group", out)
		return
	}
	fresh := 0
	for _, g := range groups {
		if fault := groupFault(g.Name); fault != "" {
			n.refuse(c, f, remoting.ResponseInvalidParameter, fault, out)
			return
		}
		if limit := n.cfg.Limits.Queues; g.RetryQueues > limit {
			n.refuse(c, f, remoting.ResponseInvalidParameter, fmt.Sprintf("retryQueueNums is %d, must be at most %d", g.RetryQueues, limit), out)
			return
		}
		if n.groups.byName[g.Name] == nil {
			fresh++
		}
	}
	if len(n.groups.sorted)+fresh > n.cfg.Limits.Groups {
		n.refuse(c, f, remoting.ResponseSystemBusy, "too many groups", out)
		return
	}
	for _, g := range groups {
		n.groups.put(g)
	}
	n.groupsChanged(out)
	n.ok(c, f, nil, out)
}

// groupFault says why name can be no group; empty when it can. Source: TopicValidator.validateGroup (RocketMQ 5.3.3).
func groupFault(name string) string {
	switch {
	case name == "":
		return "The specified group is blank."
	case len(name) > 255:
		return "The specified group is longer than group max length 255."
	case !validTopic([]byte(name)):
		return "The specified group[" + name + "] contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$"
	}
	return ""
}

// deleteGroup serves DELETE_SUBSCRIPTIONGROUP. Source: AdminBrokerProcessor.deleteSubscriptionGroup (RocketMQ 5.3.3).
func (n *Node) deleteGroup(c ConnID, f *remoting.Frame, out *Output) {
	if n.slaveRefuses(c, f, out) {
		return
	}
	h, err := remoting.ParseDeleteGroup(f.Ext)
	if err != nil {
		n.refuse(c, f, remoting.ResponseSystemError, err.Error(), out)
		return
	}
	if n.dropGroup(h.Group) {
		n.groupsChanged(out)
	}
	if h.CleanOffset && n.offsets.clean(func(p *progress) bool { return p.group == h.Group }) {
		n.saveOffsets(out)
	}
	n.ok(c, f, nil, out)
}

// dropGroup forgets a group, and reports whether it was there. Clients that are in it do not notice where groups are made as they
// are named: theirs is as new. Elsewhere they are out of it, and refused.
func (n *Node) dropGroup(name string) bool {
	g := n.groups.byName[name]
	switch {
	case g == nil:
		return false
	case len(g.clients) > 0 && n.cfg.AutoCreateGroup:
		g.conf = remoting.NewSubscriptionGroup(name)
		return true
	}
	delete(n.groups.byName, name)
	n.groups.sorted = slices.DeleteFunc(n.groups.sorted, func(g *group) bool { return g.conf.Name == name })
	return true
}

// clean forgets the progress for which gone says so, and reports whether there was any.
func (t *offsetTable) clean(gone func(*progress) bool) bool {
	before := len(t.sorted)
	t.sorted = slices.DeleteFunc(t.sorted, func(p *progress) bool {
		if !gone(p) {
			return false
		}
		delete(t.byKey, p.key)
		for _, pending := range p.reset {
			if pending {
				t.resets--
			}
		}
		return true
	})
	if len(t.sorted) == before {
		return false
	}
	t.dirty = true
	t.version.Counter++
	return true
}

// groupConfig serves GET_SUBSCRIPTIONGROUP_CONFIG.
func (n *Node) groupConfig(c ConnID, f *remoting.Frame, out *Output) {
	h, err := remoting.ParseGroup(f.Ext)
	if err != nil {
		n.refuse(c, f, remoting.ResponseSystemError, err.Error(), out)
		return
	}
	g := n.groupOf([]byte(h.Group), out)
	if g == nil {
		n.refuse(c, f, remoting.ResponseSubscriptionGroupNotExist, "No group in this broker", out)
		return
	}
	n.ok(c, f, remoting.AppendSubscriptionGroup(nil, g.conf), out)
}

// consumedBy serves QUERY_TOPIC_CONSUME_BY_WHO: the groups that subscribe to a topic, and those that have offsets in it.
func (n *Node) consumedBy(c ConnID, f *remoting.Frame, out *Output) {
	h, err := remoting.ParseTopic(f.Ext)
	if err != nil {
		n.refuse(c, f, remoting.ResponseSystemError, err.Error(), out)
		return
	}
	var groups []string
	for _, g := range n.groups.sorted {
		if len(g.clients) > 0 && g.subscription([]byte(h.Topic)) != nil {
			groups = append(groups, g.conf.Name)
		}
	}
	for _, p := range behind(n.offsets.sorted, h.Topic+"@", func(p *progress) string { return p.key }) {
		if p.topic != h.Topic {
			break
		}
		groups = append(groups, p.group)
	}
	slices.Sort(groups)
	n.ok(c, f, remoting.AppendGroupList(nil, slices.Compact(groups)), out)
}

// topicsByConsumer serves QUERY_TOPICS_BY_CONSUMER: the topics in which a group has offsets.
func (n *Node) topicsByConsumer(c ConnID, f *remoting.Frame, out *Output) {
	h, err := remoting.ParseGroup(f.Ext)
	if err != nil {
		n.refuse(c, f, remoting.ResponseSystemError, err.Error(), out)
		return
	}
	n.ok(c, f, remoting.AppendBrokerTopicList(nil, n.cfg.Addr.String(), n.offsets.topicsOf(h.Group)), out)
}

// subscriptionOf serves QUERY_SUBSCRIPTION_BY_CONSUMER: what a group wants of a topic.
func (n *Node) subscriptionOf(c ConnID, f *remoting.Frame, out *Output) {
	h, err := remoting.ParseTimeSpan(f.Ext)
	if err != nil {
		n.refuse(c, f, remoting.ResponseSystemError, err.Error(), out)
		return
	}
	var sub *remoting.Subscription
	if g := n.groups.byName[h.Group]; g != nil && len(g.clients) > 0 {
		sub = g.subscription([]byte(h.Topic))
	}
	n.ok(c, f, remoting.AppendSubscriptionOf(nil, h.Group, h.Topic, sub), out)
}

// cloneOffsets serves CLONE_GROUP_OFFSET. Source: AdminBrokerProcessor.cloneGroupOffset (RocketMQ 5.3.3).
func (n *Node) cloneOffsets(c ConnID, f *remoting.Frame, out *Output) {
	h, err := remoting.ParseCloneOffset(f.Ext)
	if err != nil {
		n.refuse(c, f, remoting.ResponseSystemError, err.Error(), out)
		return
	}
	topics := []string{h.Topic}
	if h.Topic == "" {
		topics = n.offsets.topicsOf(h.From)
	}
	for _, topic := range topics {
		from := n.offsets.find([]byte(topic), []byte(h.From))
		if from == nil || n.topics.byName[topic] == nil || !h.Offline && !n.mayRead(h.From, topic) {
			continue
		}
		for id, offset := range slices.Clone(from.offsets) {
			if offset >= 0 && !n.offsets.set([]byte(topic), []byte(h.To), int32(id), offset, n.cfg.Limits.OffsetKeys) {
				n.refuse(c, f, remoting.ResponseSystemBusy, "too many groups", out)
				return
			}
		}
	}
	n.ok(c, f, nil, out)
}
