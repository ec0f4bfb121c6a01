package broker

import (
	"cmp"
	"slices"
	"strings"

	"holdfast/broker/remoting"
	"holdfast/broker/store"
)

// topic is one topic with its queues.
type topic struct {
	conf   remoting.TopicConfig
	queues []*queue // by queue id; max(read, write) of them, nil until first used
	in     [messageTypes]Inflow
	out    []*outflow // by group
	trend  *trend     // of the messages in; nil for none
}

// queue is one queue of a topic.
type queue struct {
	topic  *topic
	id     int32
	store  *store.Queue
	polls  []*poll // parked pulls, in the order of their arrival; among them some that left
	left   int     // of polls, that are no longer parked
	walked bool    // polls are being walked
	noted  bool    // it is among the arrivals
}

// topicTable is all topics: a map to find them, a slice by name to walk them.
type topicTable struct {
	byName  map[string]*topic
	sorted  []*topic
	version remoting.DataVersion
	changes int64 // since the start
	saved   int64 // of these, in the file and in registrations
}

func (t *topicTable) get(name []byte) *topic { return t.byName[string(name)] }

// put creates the topic or replaces its settings; queues are never taken away from it.
func (t *topicTable) put(c remoting.TopicConfig) *topic {
	if c.FilterType == "" {
		c.FilterType = "SINGLE_TAG"
	}
	known := t.byName[c.Name]
	if known == nil {
		known = &topic{}
		t.byName[c.Name] = known
		at, _ := slices.BinarySearchFunc(t.sorted, c.Name, func(e *topic, name string) int { return cmp.Compare(e.conf.Name, name) })
		t.sorted = slices.Insert(t.sorted, at, known)
	}
	known.conf = c
	for want := int(max(c.ReadQueues, c.WriteQueues)); len(known.queues) < want; {
		known.queues = append(known.queues, nil)
	}
	return known
}

func (t *topicTable) remove(name string) {
	delete(t.byName, name)
	t.sorted = slices.DeleteFunc(t.sorted, func(e *topic) bool { return e.conf.Name == name })
}

// table returns the topics as the wire and topics.json hold them.
func (t *topicTable) table() remoting.TopicTable {
	out := remoting.TopicTable{DataVersion: t.version, Topics: make([]remoting.TopicConfig, 0, len(t.sorted))}
	for _, e := range t.sorted {
		out.Topics = append(out.Topics, e.conf)
	}
	return out
}

// queue returns a queue of t, made on its first use. id is within t's queues.
func (n *Node) queue(t *topic, id int32) (*queue, error) {
	if q := t.queues[id]; q != nil {
		return q, nil
	}
	sq, err := n.store.Queue(t.conf.Name, id)
	if err != nil {
		return nil, err
	}
	t.queues[id] = &queue{topic: t, id: id, store: sq}
	return t.queues[id], nil
}

// stored returns a queue of t that holds or has held messages, nil otherwise.
func (n *Node) stored(t *topic, id int32) *queue {
	if int(id) >= len(t.queues) || t.queues[id] == nil && !n.store.Has(t.conf.Name, id) {
		return nil
	}
	q, err := n.queue(t, id)
	if err != nil {
		return nil
	}
	return q
}

// presetTopics are there from the start. Source: TopicConfigManager (RocketMQ 5.3.3).
func presetTopics(cfg *Config) []remoting.TopicConfig {
	const readWrite = remoting.PermRead | remoting.PermWrite
	set := func(name string, queues, perm int32) remoting.TopicConfig {
		return remoting.TopicConfig{Name: name, ReadQueues: queues, WriteQueues: queues, Perm: perm}
	}
	topics := []remoting.TopicConfig{
		set(cfg.ClusterName, 16, readWrite|remoting.PermInherit),
		set(cfg.BrokerName, 1, readWrite|remoting.PermInherit),
		set("SELF_TEST_TOPIC", 1, readWrite),
		set("OFFSET_MOVED_EVENT", 1, readWrite),
		set(cfg.ClusterName+"_REPLY_TOPIC", 1, readWrite),
	}
	if cfg.AutoCreateTopic {
		topics = append(topics, set(templateTopic, cfg.DefaultQueues, readWrite|remoting.PermInherit))
	}
	return topics
}

// templateTopic is what topics are made after that are created by a send.
const templateTopic = "TBW102"

// autoCreate makes the topic of a send after its template; nil when that is not allowed.
// Source: TopicConfigManager.createTopicInSendMessageMethod, createTopicInSendMessageBackMethod (RocketMQ 5.3.3).
func (n *Node) autoCreate(s *Send, out *Output) *topic {
	name := string(s.Topic)
	if len(n.topics.sorted) >= n.cfg.Limits.Topics {
		return nil
	}
	if strings.HasPrefix(name, string(retryPrefix)) {
		return n.putTopic(remoting.TopicConfig{Name: name, ReadQueues: 1, WriteQueues: 1, Perm: remoting.PermRead | remoting.PermWrite}, out)
	}
	template := n.topics.get(s.DefaultTopic)
	if template == nil || template.conf.Perm&remoting.PermInherit == 0 || template.conf.Name == templateTopic && !n.cfg.AutoCreateTopic {
		return nil
	}
	queues := min(s.DefaultQueues, template.conf.WriteQueues)
	if queues < 1 {
		return nil
	}
	return n.putTopic(remoting.TopicConfig{
		Name: name, ReadQueues: queues, WriteQueues: queues, Perm: template.conf.Perm &^ remoting.PermInherit, SysFlag: template.conf.SysFlag,
	}, out)
}

// putTopic creates or changes a topic, saves the table and tells the name servers at once.
func (n *Node) putTopic(c remoting.TopicConfig, out *Output) *topic {
	t := n.topics.put(c)
	n.topicsChanged(out)
	return t
}

// createTopic serves UPDATE_AND_CREATE_TOPIC.
func (n *Node) createTopic(c ConnID, f *remoting.Frame, out *Output) {
	if n.slaveRefuses(c, f, out) {
		return
	}
	h, err := remoting.ParseCreateTopic(f.Ext)
	if err != nil {
		n.refuse(c, f, remoting.ResponseSystemError, err.Error(), out)
		return
	}
	if code, fault := n.topicFault(&h.Topic); fault != "" {
		n.refuse(c, f, code, fault, out)
		return
	}
	if n.topics.byName[h.Topic.Name] == nil && len(n.topics.sorted) >= n.cfg.Limits.Topics {
		n.refuse(c, f, remoting.ResponseSystemBusy, "too many topics", out)
		return
	}
	n.putTopic(h.Topic, out)
	n.okRegistered(c, f, out)
}

// deleteTopic serves DELETE_TOPIC_IN_BROKER: the topic is forgotten with what groups have consumed of it, its messages stay in
// the log, and its queues their offsets: see docs/broker.md. Source: AdminBrokerProcessor.deleteTopic (RocketMQ 5.3.3).
func (n *Node) deleteTopic(c ConnID, f *remoting.Frame, out *Output) {
	if n.slaveRefuses(c, f, out) {
		return
	}
	h, err := remoting.ParseTopic(f.Ext)
	switch {
	case err != nil:
		n.refuse(c, f, remoting.ResponseSystemError, err.Error(), out)
		return
	case h.Topic == "":
		n.refuse(c, f, remoting.ResponseInvalidParameter, "The specified topic is blank.", out)
		return
	case IsSystemTopic(h.Topic):
		n.refuse(c, f, remoting.ResponseInvalidParameter, "The topic["+h.Topic+"] is conflict with system topic.", out)
		return
	}
	if n.topics.get([]byte(h.Topic)) != nil {
		if n.forgetTopic(h.Topic, out) {
			n.saveOffsets(out)
		}
		n.topicsChanged(out)
	}
	n.ok(c, f, nil, out)
}

// forgetTopic takes a topic away, with the pulls that wait in it and the offsets that groups have in it, and reports whether
// there were such.
func (n *Node) forgetTopic(name string, out *Output) bool {
	for _, q := range n.topics.byName[name].queues {
		n.expel(q, out)
	}
	n.topics.remove(name)
	return n.offsets.clean(func(p *progress) bool { return p.topic == name })
}
