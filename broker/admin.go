package broker

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"holdfast/broker/remoting"
)

// admin serves what operators and slaves ask for. A code that nobody here knows is answered REQUEST_CODE_NOT_SUPPORTED
// with its name.
func (n *Node) admin(c ConnID, f *remoting.Frame, out *Output) {
	switch f.Code {
	case remoting.RequestGetAllTopicConfig:
		t := n.topics.table()
		n.ok(c, f, t.Append(nil), out)
	case remoting.RequestGetAllConsumerOffset:
		t := n.offsets.table()
		n.ok(c, f, t.Append(nil), out)
	case remoting.RequestGetAllSubscriptionGroupConfig:
		t := n.groups.table()
		n.ok(c, f, t.Append(nil), out)
	case remoting.RequestGetAllDelayOffset:
		t := n.delayed.table(n.control != nil)
		n.ok(c, f, t.Append(nil), out)
	case remoting.RequestUpdateAndCreateSubscriptionGroup:
		n.createGroup(c, f, out)
	case remoting.RequestGetTopicConfig:
		n.topicConfig(c, f, out)
	case remoting.RequestGetTopicStatsInfo:
		n.topicStats(c, f, out)
	case remoting.RequestGetBrokerRuntimeInfo:
		n.ok(c, f, n.runtime().Append(nil), out)
	case remoting.RequestGetBrokerHAStatus:
		n.haStatus(c, f, out)
	case remoting.RequestGetBrokerConfig:
		n.ok(c, f, []byte(n.cfg.Properties()), out)
	case remoting.RequestNotifyBrokerRoleChanged:
		n.roleChanged(c, f, out)
	case remoting.RequestCheckClientConfig:
		n.ok(c, f, nil, out)
	default:
		if n.asksOfSlaves(c, f, out) {
			return
		}
		n.refuse(c, f, remoting.ResponseRequestCodeNotSupported, fmt.Sprintf("request code %d (%s) is not supported", f.Code, remoting.RequestName(f.Code)), out)
	}
}

// createGroup serves UPDATE_AND_CREATE_SUBSCRIPTIONGROUP.
func (n *Node) createGroup(c ConnID, f *remoting.Frame, out *Output) {
	g, err := remoting.ParseSubscriptionGroup(f.Body)
	switch {
	case err != nil || g.Name == "" || len(g.Name) > 255:
		n.refuse(c, f, remoting.ResponseSystemError, "malformed subscription group", out)
	case n.groups.byName[g.Name] == nil && len(n.groups.sorted) >= n.cfg.Limits.Groups:
		n.refuse(c, f, remoting.ResponseSystemBusy, "too many groups", out)
	default:
		n.groups.put(g)
		n.groupsChanged(out)
		n.ok(c, f, nil, out)
	}
}

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
	for id := range t.queues {
		if q, err := n.queue(t, int32(id)); err == nil {
			queues = append(queues, remoting.QueueStats{
				Queue:     remoting.MessageQueue{Topic: h.Topic, BrokerName: n.cfg.BrokerName, QueueID: int32(id)},
				MinOffset: q.store.Min(), MaxOffset: n.visible(q),
			})
		}
	}
	n.ok(c, f, remoting.AppendTopicStats(nil, queues), out)
}

// runtime returns what GET_BROKER_RUNTIME_INFO tells: RocketMQ's keys as far as they mean something here, and the marks.
func (n *Node) runtime() remoting.KVTable {
	seconds := max(1, int64(n.now.Mono/time.Second))
	perSecond := func(count uint64) string {
		rate := strconv.FormatInt(int64(count)/seconds, 10)
		return rate + " " + rate + " " + rate
	}
	number := func(v int64) string { return strconv.FormatInt(v, 10) }
	syncTime := int64(0)
	if n.stats.syncs > 0 {
		syncTime = int64(n.stats.syncTime) / int64(n.stats.syncs) / 1000
	}
	m := n.store.Marks()
	table := remoting.KVTable{
		{Key: "bootTimestamp", Value: number(n.stats.boot)},
		{Key: "brokerActive", Value: "true"},
		{Key: "brokerVersion", Value: number(int64(remoting.Version))},
		{Key: "brokerVersionDesc", Value: "holdfast " + string(n.cfg.Choice.Profile)},
		{Key: "commitLogMaxOffset", Value: number(m.Written)},
		{Key: "commitLogMinOffset", Value: number(m.Min)},
		{Key: "dispatchBehindBytes", Value: number(m.Appended - m.Indexed)},
		{Key: "flushGroupWaiting", Value: strconv.Itoa(n.waiters.len())},
		{Key: "flushTimes", Value: strconv.FormatUint(n.stats.syncs, 10)},
		{Key: "flushTimeMeanMicros", Value: number(syncTime)},
		{Key: "flushedWhere", Value: number(m.Synced)},
		{Key: "getTransferredTps", Value: perSecond(n.stats.gets)},
		{Key: "msgPutTotalTodayNow", Value: strconv.FormatUint(n.stats.puts, 10)},
		{Key: "msgGetTotalTodayNow", Value: strconv.FormatUint(n.stats.gets, 10)},
		{Key: "pullThreadPoolQueueSize", Value: strconv.Itoa(len(n.polls.heap))},
		{Key: "putMessageSizeTotal", Value: strconv.FormatUint(n.stats.bytes, 10)},
		{Key: "putTps", Value: perSecond(n.stats.puts)},
		{Key: "remainHowManyDataToFlush", Value: number(m.Appended-m.Synced) + " B"},
		{Key: "runtime", Value: fmt.Sprintf("[ 0 days, 0 hours, 0 minutes, %d seconds ]", seconds)},
		{Key: "sendThreadPoolQueueSize", Value: "0"},
	}
	if bad := n.store.Bad(); bad != nil {
		table = append(table, remoting.KV{Key: "logDiverged", Value: bad.String()})
	}
	return table
}

// Properties returns the effective configuration as broker.conf would hold it, a line a key, sorted by the order here.
func (c *Config) Properties() string {
	var b strings.Builder
	k := &c.Choice
	pairs := [][2]any{
		{"holdfastProfile", k.Profile}, {"brokerClusterName", c.ClusterName}, {"brokerName", c.BrokerName}, {"brokerId", c.BrokerID},
		{"brokerRole", k.Role}, {"flushDiskType", k.FlushType}, {"inSyncReplicas", k.InSync}, {"transientStorePoolEnable", k.TransientPool},
		{"flushIntervalCommitLog", k.FlushInterval.Milliseconds()}, {"flushCommitLogLeastPages", k.FlushPages},
		{"flushCommitLogThoroughInterval", k.FlushThorough.Milliseconds()}, {"syncFlushTimeout", k.DiskTimeout.Milliseconds()},
		{"slaveTimeout", k.SlaveTimeout.Milliseconds()}, {"haSlaveFallbehindMax", k.MaxBehind},
		{"haSendHeartbeatInterval", c.HA.HeartbeatInterval.Milliseconds()}, {"haHousekeepingInterval", c.HA.Housekeeping.Milliseconds()},
		{"haTransferBatchSize", c.HA.BatchBytes}, {"slaveReadEnable", c.SlaveReadEnable}, {"autoCreateTopicEnable", c.AutoCreateTopic},
		{"autoCreateSubscriptionGroup", c.AutoCreateGroup}, {"defaultTopicQueueNums", c.DefaultQueues}, {"maxMessageSize", c.MaxMessageBytes},
		{"maxTransferBytesOnMessageInMemory", c.MaxPullBytes}, {"maxTransferCountOnMessageInMemory", c.MaxPullMessages},
		{"registerNameServerPeriod", c.RegisterInterval.Milliseconds()}, {"flushConsumerOffsetInterval", c.OffsetsInterval.Milliseconds()},
		{"namesrvAddr", strings.Join(c.NameServers, ";")},
	}
	if k.Controlled {
		pairs = append(pairs, [][2]any{
			{"enableControllerMode", k.Controlled}, {"controllerAddr", c.Controller},
			{"brokerHeartbeatInterval", c.BeatInterval.Milliseconds()}, {"haMaxTimeSlaveNotCatchup", c.MaxTimeBehind.Milliseconds()},
		}...)
	}
	for _, kv := range pairs {
		fmt.Fprintf(&b, "%v=%v\n", kv[0], kv[1])
	}
	return b.String()
}
