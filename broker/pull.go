package broker

import (
	"fmt"
	"iter"
	"strings"
	"time"

	"holdfast/broker/durability"
	"holdfast/broker/remoting"
	"holdfast/broker/store"
)

// pull serves PULL_MESSAGE and LITE_PULL_MESSAGE. Order of checks and codes: PullMessageProcessor (RocketMQ 5.3.3).
func (n *Node) pull(c ConnID, r *Request, out *Output) {
	f := &r.Frame
	if r.Fault != "" {
		n.refuse(c, f, r.Code, r.Fault, out)
		return
	}
	if n.role == roleSlave && !n.cfg.SlaveReadEnable {
		n.refuse(c, f, remoting.ResponseSystemBusy, "[REJECTREQUEST]system busy, start flow control for a while", out)
		return
	}
	h := r.Pull
	q, g, code, fault := n.pullQueue(c, h, out)
	if fault != "" {
		n.refuse(c, f, code, fault, out)
		return
	}
	tags, code, fault := n.pullFilter(h)
	if fault != "" {
		n.refuse(c, f, code, fault, out)
		return
	}
	next, reset := n.offsets.takeReset(h.Topic, h.ConsumerGroup, h.QueueID)
	if h.SysFlag&remoting.PullCommitOffset != 0 && h.CommitOffset >= 0 && !reset {
		n.offsets.set(h.Topic, h.ConsumerGroup, h.QueueID, h.CommitOffset, n.cfg.Limits.OffsetKeys)
	}
	bytes := n.cfg.MaxPullBytes
	if h.MaxMsgBytes > 0 {
		bytes = min(bytes, int(h.MaxMsgBytes))
	}
	p := &poll{
		group: g,
		to:    n.outflow(q.topic, h.ConsumerGroup), conn: c, opaque: f.Opaque, form: f.Form, queue: q, from: h.QueueOffset,
		want: store.Want{Count: int(max(1, min(h.MaxMsgNums, n.cfg.MaxPullMessages))), Bytes: min(bytes, n.cfg.Limits.PullBytes), Tags: tags},
	}
	if h.SysFlag&remoting.PullSuspend != 0 && h.SuspendTimeoutMS > 0 {
		p.deadline = n.now.Mono + time.Duration(min(h.SuspendTimeoutMS, maxSuspendMS))*time.Millisecond
	}
	if reset {
		n.replyReset(p, next, out)
		return
	}
	n.serve(p, out)
}

// maxSuspendMS bounds how long a client may ask a pull to wait.
const maxSuspendMS = 10 * 60 * 1000

// pullQueue checks group, topic and queue.
func (n *Node) pullQueue(c ConnID, h *remoting.PullHeader, out *Output) (q *queue, g *group, code int32, fault string) {
	if n.cfg.Permission&remoting.PermRead == 0 {
		return nil, nil, remoting.ResponseNoPermission, "the broker[" + n.cfg.Addr.Addr().String() + "] pulling message is forbidden"
	}
	g = n.groupOf(h.ConsumerGroup, out)
	if g == nil {
		return nil, nil, remoting.ResponseSubscriptionGroupNotExist, "subscription group [" + string(h.ConsumerGroup) + "] does not exist"
	}
	if !g.conf.ConsumeEnable {
		return nil, nil, remoting.ResponseNoPermission, "subscription group no permission, " + g.conf.Name
	}
	t := n.topics.get(h.Topic)
	if t == nil {
		return nil, nil, remoting.ResponseTopicNotExist, "topic[" + string(h.Topic) + "] not exist, apply first please!"
	}
	if t.conf.Perm&remoting.PermRead == 0 {
		return nil, nil, remoting.ResponseNoPermission, "the topic[" + t.conf.Name + "] pulling message is forbidden"
	}
	if h.QueueID < 0 || h.QueueID >= t.conf.ReadQueues {
		return nil, nil, invalidParameter(n.cfg.isRocketMQ4()), fmt.Sprintf("queueId[%d] is illegal, topic:[%s] topicConfig.readQueueNums:[%d] consumer:[/%s]", h.QueueID, t.conf.Name, t.conf.ReadQueues, n.conns[c])
	}
	q, err := n.queue(t, h.QueueID)
	if err != nil {
		return nil, nil, remoting.ResponseSystemError, err.Error()
	}
	return q, g, 0, ""
}

// pullFilter returns the tags codes wanted, none for all: of the request, or of the group's heartbeat.
func (n *Node) pullFilter(h *remoting.PullHeader) (tags []int64, code int32, fault string) {
	if len(h.ExpressionType) > 0 && string(h.ExpressionType) != "TAG" {
		return nil, remoting.ResponseSystemError, "The broker does not support consumer to filter message by " + string(h.ExpressionType)
	}
	if h.SysFlag&remoting.PullSubscription != 0 {
		return tagsOf(string(h.Subscription)), 0, ""
	}
	g := n.groups.get(h.ConsumerGroup)
	if g == nil || len(g.clients) == 0 {
		return nil, remoting.ResponseSubscriptionNotExist, "the consumer's group info not exist"
	}
	sub := g.subscription(h.Topic)
	if sub == nil {
		return nil, remoting.ResponseSubscriptionNotExist, "the consumer's subscription not exist"
	}
	if sub.Version < h.SubVersion {
		return nil, remoting.ResponseSubscriptionNotLatest, "the consumer's subscription not latest"
	}
	return tagsOf(sub.Expression), 0, ""
}

// splitTags yields the parts of an expression with || between, without spaces.
func splitTags(expression string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for part := range strings.SplitSeq(expression, "||") {
			if part = strings.TrimSpace(part); part != "" && !yield(part) {
				return
			}
		}
	}
}

// visible returns the queue offset behind the last message that consumers may read.
func (n *Node) visible(q *queue) int64 { return q.store.Max(n.contract.Readable(&n.marks)) }

func (n *Node) wanted(p *poll) store.Want {
	w := p.want
	w.Limit = n.contract.Readable(&n.marks)
	return w
}

// queueFor returns a queue of a topic that exists, nil otherwise.
func (n *Node) queueFor(topic []byte, id int32) *queue {
	t := n.topics.get(topic)
	if t == nil || id < 0 || int(id) >= len(t.queues) {
		return nil
	}
	q, err := n.queue(t, id)
	if err != nil {
		return nil
	}
	return q
}

// serve answers a pull, or parks it when there is nothing and it may wait.
// Source: DefaultMessageStore.getMessage, PullMessageProcessor (RocketMQ 5.3.3).
func (n *Node) serve(p *poll, out *Output) {
	low, high := p.queue.store.Min(), n.visible(p.queue)
	switch {
	case p.from >= high && n.behind():
		n.turnAway(p, out) // what is not here may be acknowledged elsewhere
	case high == 0 && p.from != 0:
		n.moved21(p, 0, "NO_MESSAGE_IN_QUEUE", out)
	case p.from < low:
		n.moved21(p, low, "OFFSET_TOO_SMALL", out)
	case p.from > high && low == 0 && n.cfg.ResetToZeroBelow:
		n.moved21(p, 0, "OFFSET_OVERFLOW_BADLY", out)
	case p.from > high:
		n.moved21(p, high, "OFFSET_OVERFLOW_BADLY", out)
	case p.from == high:
		n.empty(p, out)
	default:
		ranges, found := n.find(p)
		n.deliver(p, ranges, found, out)
	}
}

// find looks for the messages that p gets. What is too far behind the end of the log to be in memory is handed out in smaller
// batches. Source: DefaultMessageStore.getMessage, isTheBatchFull (RocketMQ 5.3.3).
func (n *Node) find(p *poll) ([]store.Range, store.Found) {
	want := n.wanted(p)
	from := max(p.from, p.passed)
	ranges, found := n.store.Lookup(p.queue.store, from, want, nil)
	if found.Count > 0 && n.onDisk(ranges[0].Phys) && (found.Count > int(n.cfg.DiskPullMessages) || found.Bytes > n.cfg.DiskPullBytes) {
		want.Count, want.Bytes = min(want.Count, int(n.cfg.DiskPullMessages)), min(want.Bytes, n.cfg.DiskPullBytes)
		ranges, found = n.store.Lookup(p.queue.store, from, want, ranges[:0])
	}
	return ranges, found
}

// onDisk reports whether the record at a physical offset counts as no longer in memory.
func (n *Node) onDisk(phys int64) bool {
	return n.cfg.InMemoryBytes > 0 && n.marks.Written-phys > n.cfg.InMemoryBytes
}

// suggested returns the id of the node that the consumer of p should pull from next. slow says that it is so far behind that
// its messages come from the disk: another node's disk may serve it while this one serves the rest.
// Source: PullMessageProcessor.composeResponseHeader (RocketMQ 5.3.3).
func (n *Node) suggested(p *poll, slow bool) int64 {
	switch {
	case !n.cfg.SlaveReadEnable:
		return 0
	case slow:
		return p.group.conf.WhichBrokerWhenConsumeSlowly
	}
	return p.group.conf.BrokerID
}

// empty parks a pull that found nothing, or answers PULL_NOT_FOUND.
func (n *Node) empty(p *poll, out *Output) {
	if !p.answered && p.deadline > n.now.Mono && n.polls.live < n.cfg.Limits.Polls && len(p.queue.polls)-p.queue.left < n.cfg.Limits.QueuePolls {
		n.polls.park(p)
		n.arrived(p.queue) // it may be appended, and not readable yet
		return
	}
	remark := "OFFSET_OVERFLOW_ONE"
	if p.from == 0 {
		remark = "NO_MESSAGE_IN_QUEUE"
	}
	n.stats.missed.add(n.now.Mono, 1)
	n.replyPull(p, remoting.ResponsePullNotFound, remark, p.from, nil, 0, out)
}

// moved21 answers PULL_OFFSET_MOVED. A slave never moves a consumer: what it lacks its master may have. A Java client that is told
// that its offset has moved drops the queue, and takes it again no sooner than 10 s later.
// Source: PullMessageProcessor.processRequest, DefaultMessageStore.nextOffsetCorrection (RocketMQ 5.3.3), offsetCheckInSlave false.
func (n *Node) moved21(p *poll, next int64, remark string, out *Output) {
	if n.role == roleSlave {
		n.replyPull(p, remoting.ResponsePullRetryImmediately, remark, p.from, nil, 0, out)
		return
	}
	n.replyPull(p, remoting.ResponsePullOffsetMoved, remark, next, nil, 0, out)
}

// deliver answers with what a lookup found, or asks for what it needs first.
func (n *Node) deliver(p *poll, ranges []store.Range, found store.Found, out *Output) {
	switch {
	case found.Load != nil:
		n.polls.loading = append(n.polls.loading, loading{found.Load, p})
		out.Loads = append(out.Loads, found.Load)
	case found.Count > 0:
		n.stats.gets.add(n.now.Mono, uint64(found.Count))
		n.stats.found.add(n.now.Mono, 1)
		p.to.add(found.Count, found.Bytes, p.queue.id, found.Next)
		p.to.trend = p.to.trend.count(n.now.Mono, found.Count)
		n.replyPull(p, remoting.ResponseSuccess, "FOUND", found.Next, ranges, found.Bytes, out)
	case found.Next > p.from:
		n.replyPull(p, remoting.ResponsePullRetryImmediately, "NO_MATCHED_MESSAGE", found.Next, nil, 0, out)
	case n.behind(): // below what is confirmed, as far as this node has heard
		n.turnAway(p, out)
	default:
		n.replyPull(p, remoting.ResponsePullNotFound, "OFFSET_FOUND_NULL", p.from, nil, 0, out)
	}
}

// loaded goes on with the pull for which consume queue units were read.
func (n *Node) loaded(job *store.LoadJob, out *Output) {
	if n.loadedDelayed(job, out) || n.loadedBack(job, out) || n.loadedInquiry(job, out) || n.loadedQuery(job, out) {
		return
	}
	for i, l := range n.polls.loading {
		if l.job != job {
			continue
		}
		n.polls.loading = append(n.polls.loading[:i], n.polls.loading[i+1:]...)
		if err := n.store.Loaded(job); err != nil {
			note(out, true, "read of a consume queue: %v", err)
			out.Replies = append(out.Replies, Reply{Conn: l.poll.conn, Kind: ReplyFrame,
				Frame: remoting.AppendReply(nil, l.poll.form, remoting.ResponseSystemError, l.poll.opaque, err.Error(), nil)})
			return
		}
		n.serve(l.poll, out)
		return
	}
}

func (n *Node) replyPull(p *poll, code int32, remark string, next int64, ranges []store.Range, bytes int, out *Output) {
	slow := len(ranges) > 0 && n.onDisk(ranges[len(ranges)-1].Phys)
	out.Replies = append(out.Replies, Reply{Conn: p.conn, Opaque: p.opaque, Form: p.form, Code: code, Kind: ReplyPull, Pull: &PullAnswer{
		Header: remoting.PullReply{SuggestWhichBrokerID: n.suggested(p, slow), NextBeginOffset: next, MinOffset: p.queue.store.Min(), MaxOffset: n.visible(p.queue)},
		Remark: remark, Ranges: ranges, Bytes: bytes, Parked: p.answered,
	}})
}

// isRocketMQ4 reports whether the profile is that of RocketMQ 4.9.
func (c *Config) isRocketMQ4() bool { return c.Choice.Profile == durability.RocketMQ4 }
