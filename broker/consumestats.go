package broker

import (
	"slices"

	"holdfast/broker/remoting"
)

// consumeStats serves GET_CONSUME_STATS: how far a group has come in its topics.
// Source: AdminBrokerProcessor.getConsumeStats (RocketMQ 5.3.3).
func (n *Node) consumeStats(c ConnID, f *remoting.Frame, out *Output) {
	h, err := remoting.ParseConsumeStats(f.Ext)
	if err != nil {
		n.refuse(c, f, remoting.ResponseSystemError, err.Error(), out)
		return
	}
	topics := h.Topics
	if len(topics) == 0 && h.Topic != "" && n.mayRead(h.ConsumerGroup, h.Topic) {
		topics = []string{h.Topic}
	}
	all := len(h.Topics) == 0 && h.Topic == "" // that the group has offsets in: looked for on the way
	after := ""
	var stats remoting.ConsumeStats
	pending := 0 // of stats.Queues: from there on without a time
	n.inquire(c, f, func(i *inquiry, out *Output) bool {
		fillTimes(stats.Queues[pending:], i.questions)
		pending, i.questions = len(stats.Queues), i.questions[:0]
		if all {
			topics, after, all = n.offsets.nextTopic(h.ConsumerGroup, after)
			topics = slices.DeleteFunc(topics, func(name string) bool { return !n.mayRead(h.ConsumerGroup, name) })
		} else if len(topics) == 0 {
			n.okLater(i.conn, &i.frame, stats.Append, out)
			return false
		}
		if len(topics) > 0 {
			if t := n.topics.byName[topics[0]]; t != nil {
				var one remoting.ConsumeStats
				one, i.questions = n.progressIn(t, h.ConsumerGroup, t.conf.ReadQueues, i.questions)
				stats.Queues, stats.Rate = append(stats.Queues, one.Queues...), stats.Rate+one.Rate
			}
			topics = topics[1:]
		}
		return true
	}, out)
}

// nextTopic looks at some of the pairs behind the key after. It returns the first topic among them in which the group has
// offsets, the key to go on after, and whether there are more pairs.
func (t *offsetTable) nextTopic(group, after string) (topic []string, last string, more bool) {
	const pairs = 64
	rest := behind(t.sorted, after, func(p *progress) string { return p.key })
	for _, p := range rest[:min(pairs, len(rest))] {
		after = p.key
		if p.group == group {
			return []string{p.topic}, after, true
		}
	}
	return nil, after, len(rest) > pairs
}

// fillTimes puts the answers of progressIn's questions into what it returned.
func fillTimes(queues []remoting.QueueProgress, questions []question) {
	for i := range questions {
		queues[i].LastTimestamp = max(0, questions[i].answer)
	}
}

// mayRead reports whether a group reads a topic, as far as its members say; nobody says so of a group without members.
func (n *Node) mayRead(group, topic string) bool {
	g := n.groups.byName[group]
	return g == nil || len(g.data.Subscriptions) == 0 || g.subscription([]byte(topic)) != nil
}

// topicsOf returns the topics in which a group has committed offsets.
func (t *offsetTable) topicsOf(group string) (topics []string) {
	for _, p := range t.sorted {
		if p.group == group {
			topics = append(topics, p.topic)
		}
	}
	return topics
}

// progressIn returns how far a group has come in the first queues of t, and appends a question for each: when the last message
// was stored that the group consumed.
func (n *Node) progressIn(t *topic, group string, queues int32, questions []question) (remoting.ConsumeStats, []question) {
	var stats remoting.ConsumeStats
	var pulled []int64
	if at, found := t.outflowAt([]byte(group)); found {
		pulled, stats.Rate = t.out[at].pulled, t.out[at].trend.perSecond(n.now.Mono)
	}
	p := n.offsets.find([]byte(t.conf.Name), []byte(group))
	for id := range min(queues, int32(len(t.queues))) {
		e := remoting.QueueProgress{Queue: remoting.MessageQueue{Topic: t.conf.Name, BrokerName: n.cfg.BrokerName, QueueID: id}}
		if p != nil && int(id) < len(p.offsets) {
			e.ConsumerOffset = max(0, p.offsets[id])
		}
		if e.PullOffset = e.ConsumerOffset; int(id) < len(pulled) {
			e.PullOffset = max(e.ConsumerOffset, pulled[id])
		}
		ask := question{answer: -1}
		if q := n.stored(t, id); q != nil {
			e.BrokerOffset = n.visible(q)
			ask = n.storedAt(q, e.ConsumerOffset-1)
		}
		stats.Queues, questions = append(stats.Queues, e), append(questions, ask)
	}
	return stats, questions
}

// brokerConsumeStats serves GET_BROKER_CONSUME_STATS: how far every group has come in every topic.
// Source: AdminBrokerProcessor.fetchAllConsumeStatsInBroker (RocketMQ 5.3.3).
func (n *Node) brokerConsumeStats(c ConnID, f *remoting.Frame, out *Output) {
	h := remoting.ParseBrokerConsumeStats(f.Ext)
	groups := make([]string, len(n.groups.sorted))
	for i, g := range n.groups.sorted {
		groups[i] = g.conf.Name
	}
	byGroup := make([][]remoting.ConsumeStats, len(groups))
	var last *remoting.ConsumeStats
	after := ""
	n.inquire(c, f, func(i *inquiry, out *Output) bool {
		if last != nil {
			fillTimes(last.Queues, i.questions)
		}
		i.questions, last = i.questions[:0], nil
		rest := behind(n.offsets.sorted, after, func(p *progress) string { return p.key })
		if len(rest) == 0 {
			n.answerBrokerStats(i, groups, byGroup, out)
			return false
		}
		p := rest[0]
		after = p.key
		at, known := slices.BinarySearch(groups, p.group)
		t := n.topics.byName[p.topic]
		if !known || t == nil || h.OrderedOnly && !t.conf.Order || !n.mayRead(p.group, p.topic) {
			return true
		}
		var one remoting.ConsumeStats
		one, i.questions = n.progressIn(t, p.group, t.conf.WriteQueues, i.questions)
		byGroup[at] = append(byGroup[at], one)
		last = &byGroup[at][len(byGroup[at])-1]
		return true
	}, out)
}

func (n *Node) answerBrokerStats(i *inquiry, groups []string, byGroup [][]remoting.ConsumeStats, out *Output) {
	addr := n.cfg.Addr.String()
	n.okLater(i.conn, &i.frame, func(dst []byte) []byte {
		stats := remoting.BrokerConsumeStats{BrokerAddr: addr}
		for at, name := range groups {
			for _, s := range byGroup[at] {
				for _, q := range s.Queues {
					stats.Behind += q.BrokerOffset - q.ConsumerOffset
					stats.Inflight += q.PullOffset - q.ConsumerOffset
				}
			}
			stats.Groups = append(stats.Groups, remoting.GroupConsumeStats{Group: name, Topics: byGroup[at]})
		}
		return stats.Append(dst)
	}, out)
}

// timeSpans serves QUERY_CONSUME_TIME_SPAN: from when the messages of a topic's queues are that a group has and has not consumed.
// Source: AdminBrokerProcessor.queryConsumeTimeSpan (RocketMQ 5.3.3).
func (n *Node) timeSpans(c ConnID, f *remoting.Frame, out *Output) {
	h, err := remoting.ParseTimeSpan(f.Ext)
	if err != nil {
		n.refuse(c, f, remoting.ResponseSystemError, err.Error(), out)
		return
	}
	t := n.topics.byName[h.Topic]
	if t == nil {
		n.refuse(c, f, remoting.ResponseTopicNotExist, "topic["+h.Topic+"] not exist", out)
		return
	}
	p := n.offsets.find([]byte(h.Topic), []byte(h.Group))
	const perQueue = 4
	var questions []question
	consumed := make([]int64, t.conf.WriteQueues)
	for id := range t.conf.WriteQueues {
		if p != nil && int(id) < len(p.offsets) {
			consumed[id] = max(0, p.offsets[id])
		}
		q := n.stored(t, id)
		if q == nil {
			none := question{answer: -1}
			questions = append(questions, none, none, none, none)
			continue
		}
		questions = append(questions, n.storedAt(q, q.store.Min()), n.storedAt(q, n.visible(q)-1), n.storedAt(q, consumed[id]-1), n.storedAt(q, consumed[id]))
	}
	n.inquire(c, f, askAll(questions, func(i *inquiry, out *Output) {
		spans := make([]remoting.QueueTimeSpan, len(consumed))
		for id := range spans {
			a := i.questions[id*perQueue:]
			s := remoting.QueueTimeSpan{Queue: remoting.MessageQueue{Topic: h.Topic, BrokerName: n.cfg.BrokerName, QueueID: int32(id)},
				First: a[0].answer, Last: a[1].answer, Consumed: a[0].answer}
			if consumed[id] > 0 {
				s.Consumed = a[2].answer
			}
			if a[3].answer >= 0 {
				s.DelayMilliseconds = n.now.Wall - a[3].answer
			}
			spans[id] = s
		}
		n.ok(i.conn, &i.frame, remoting.AppendTimeSpans(nil, spans), out)
	}), out)
}
