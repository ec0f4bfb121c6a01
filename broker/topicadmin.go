package broker

import (
	"slices"
	"strings"

	"holdfast/broker/remoting"
)

// topicConfig serves GET_TOPIC_CONFIG, which Apache's tools ask before GET_TOPIC_STATS_INFO.
func (n *Node) topicConfig(c ConnID, f *remoting.Frame, out *Output) {
	h, err := remoting.ParseTopic(f.Ext)
	if err != nil {
		n.refuse(c, f, remoting.ResponseSystemError, err.Error(), out)
		return
	}
	t := n.topics.get([]byte(h.Topic))
	if t == nil {
		n.refuse(c, f, remoting.ResponseTopicNotExist, "No topic in this broker. topic: "+h.Topic, out)
		return
	}
	n.ok(c, f, remoting.AppendTopicConfig(nil, t.conf), out)
}

// topicStats serves GET_TOPIC_STATS_INFO.
func (n *Node) topicStats(c ConnID, f *remoting.Frame, out *Output) {
	h, err := remoting.ParseTopic(f.Ext)
	if err != nil {
		n.refuse(c, f, remoting.ResponseSystemError, err.Error(), out)
		return
	}
	t := n.topics.get([]byte(h.Topic))
	if t == nil {
		n.refuse(c, f, remoting.ResponseTopicNotExist, "topic["+h.Topic+"] not exist", out)
		return
	}
	var queues []remoting.QueueStats
	var questions []question
	for id := range max(t.conf.ReadQueues, t.conf.WriteQueues) {
		s := remoting.QueueStats{Queue: remoting.MessageQueue{Topic: h.Topic, BrokerName: n.cfg.BrokerName, QueueID: id}}
		ask := question{}
		if q := n.stored(t, id); q != nil {
			s.MinOffset, s.MaxOffset = q.store.Min(), n.visible(q)
			ask = n.storedAt(q, s.MaxOffset-1)
		}
		queues, questions = append(queues, s), append(questions, ask)
	}
	rate := t.trend.perSecond(n.now.Mono)
	n.inquire(c, f, askAll(questions, func(i *inquiry, out *Output) {
		for id := range queues {
			queues[id].LastUpdateTimestamp = max(0, i.questions[id].answer)
		}
		n.okLater(i.conn, &i.frame, func(dst []byte) []byte { return remoting.AppendTopicStats(dst, queues, rate) }, out)
	}), out)
}

// createTopics serves UPDATE_AND_CREATE_TOPIC_LIST. Either all topics are taken or none.
func (n *Node) createTopics(c ConnID, f *remoting.Frame, out *Output) {
	if n.slaveRefuses(c, f, out) {
		return
	}
	topics, err := remoting.ParseCreateTopics(f.Body)
	if err != nil || len(topics) == 0 {
		n.refuse(c, f, remoting.ResponseSystemError, "malformed list of topics", out)
		return
	}
	fresh := 0
	for i := range topics {
		if code, fault := n.topicFault(&topics[i]); fault != "" {
			n.refuse(c, f, code, fault, out)
			return
		}
		if n.topics.byName[topics[i].Name] == nil {
			fresh++
		}
	}
	if len(n.topics.sorted)+fresh > n.cfg.Limits.Topics {
		n.refuse(c, f, remoting.ResponseSystemBusy, "too many topics", out)
		return
	}
	for _, t := range topics {
		n.topics.put(t)
	}
	n.topicsChanged(out)
	n.okRegistered(c, f, out)
}

// topicFault says why a topic cannot be made or changed to conf; empty when it can.
// Source: TopicValidator.validateTopic, isSystemTopic (RocketMQ 5.3.3).
func (n *Node) topicFault(conf *remoting.TopicConfig) (code int32, fault string) {
	old, limit := n.cfg.isRocketMQ4(), n.cfg.Limits.Queues
	code = invalidParameter(old)
	if fault := topicFault([]byte(conf.Name), old); fault != "" {
		return code, fault
	}
	switch {
	case IsSystemTopic(conf.Name):
		return code, "The topic[" + conf.Name + "] is conflict with system topic."
	case conf.ReadQueues < 1 || conf.WriteQueues < 1 || conf.ReadQueues > limit || conf.WriteQueues > limit:
		return remoting.ResponseInvalidParameter, "queue numbers are out of range"
	}
	return 0, ""
}

// systemTopics are the topics that are no one's to change. Source: TopicValidator (RocketMQ 5.3.3).
var systemTopics = []string{"OFFSET_MOVED_EVENT", "RMQ_SYS_TRACE_TOPIC", "RMQ_SYS_TRANS_HALF_TOPIC", "RMQ_SYS_TRANS_OP_HALF_TOPIC",
	"SCHEDULE_TOPIC_XXXX", "SELF_TEST_TOPIC", "TBW102", "TRANS_CHECK_MAX_TIME_TOPIC", "BenchmarkTest"}

// IsSystemTopic reports whether a topic is the broker's own.
func IsSystemTopic(name string) bool {
	return slices.Contains(systemTopics, name) || strings.HasPrefix(name, "rmq_sys_")
}
