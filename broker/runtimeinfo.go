package broker

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"holdfast/broker/remoting"
)

// runtimeInfo serves GET_BROKER_RUNTIME_INFO: RocketMQ's keys as far as they mean something here, and the marks.
// Source: AdminBrokerProcessor.prepareRuntimeInfo, StoreStatsService.getRuntimeInfo (RocketMQ 5.3.3).
func (n *Node) runtimeInfo(c ConnID, f *remoting.Frame, out *Output) {
	m := n.store.Marks()
	var questions []question
	if m.Min < m.Written {
		questions = append(questions, recordStoredAt(m.Min))
	}
	n.inquire(c, f, askAll(questions, func(i *inquiry, out *Output) {
		earliest := int64(-1)
		if len(i.questions) > 0 {
			earliest = i.questions[0].answer
		}
		n.ok(i.conn, &i.frame, n.runtime(earliest).Append(nil), out)
	}), out)
}

// runtime returns the table. earliest is the store time of the first message in the log, -1 when there is none.
func (n *Node) runtime(earliest int64) remoting.KVTable {
	n.stats.newDay(n.now.Wall)
	var table remoting.KVTable
	text := func(key, value string) { table = append(table, remoting.KV{Key: key, Value: value}) }
	number := func(key string, v int64) { text(key, strconv.FormatInt(v, 10)) }
	n.flowInfo(text, number)
	n.logInfo(text, number)

	number("bootTimestamp", n.stats.boot)
	text("brokerActive", strconv.FormatBool(n.role == roleMaster))
	number("brokerVersion", int64(remoting.Version))
	text("brokerVersionDesc", "holdfast "+string(n.cfg.Choice.Profile))
	number("earliestMessageTimeStamp", earliest)
	number("startAcceptSendRequestTimeStamp", 0)
	text("runtime", span(n.now.Mono))
	// There are no thread pools: what is queued there waits for the disk, for replicas or for messages here.
	for _, pool := range []string{"send", "pull", "litePull", "query", "ack"} {
		waiting, capacity := 0, 0
		switch pool {
		case "send":
			waiting, capacity = n.waiters.len(), n.cfg.Limits.Waiters
		case "pull":
			waiting, capacity = len(n.polls.loading), n.cfg.Limits.Polls
		case "query":
			waiting, capacity = len(n.inquiries), n.cfg.Limits.Inquiries
		}
		number(pool+"ThreadPoolQueueSize", int64(waiting))
		number(pool+"ThreadPoolQueueCapacity", int64(capacity))
		number(pool+"ThreadPoolQueueHeadWaitTimeMills", 0)
	}
	number("EndTransactionQueueSize", 0)
	number("EndTransactionThreadPoolQueueCapacity", 0)
	number("timerReadBehind", 0)
	number("timerOffsetBehind", 0)
	number("timerCongestNum", 0)
	text("timerEnqueueTps", "0.0")
	text("timerDequeueTps", "0.0")
	number("pullsParked", int64(len(n.polls.heap)))
	if bad := n.store.Bad(); bad != nil {
		text("logDiverged", bad.String())
	}
	return table
}

// flowInfo tells what went in and out.
func (n *Node) flowInfo(text func(key, value string), number func(key string, v int64)) {
	s, now := &n.stats, n.now.Mono
	number("putMessageTimesTotal", int64(max(1, s.puts.total))) // RocketMQ's never is 0 either
	number("putMessageSizeTotal", int64(s.bytes))
	text("putMessageAverageSize", decimal(int64(s.bytes*1000/max(1, s.puts.total))))
	text("putTps", rates(s.puts.averages(now)))
	text("getTransferredTps", rates(s.gets.averages(now)))
	text("getTransferedTps", rates(s.gets.averages(now))) // as 4.9 spells it: its mqadmin clusterList fails without
	found, missed := s.found.averages(now), s.missed.averages(now)
	text("getFoundTps", rates(found))
	text("getMissTps", rates(missed))
	for i := range found {
		found[i] += missed[i]
	}
	text("getTotalTps", rates(found))
	number("msgPutTotalYesterdayMorning", int64(s.putsYesterday))
	number("msgPutTotalTodayMorning", int64(s.putsToday))
	number("msgPutTotalTodayNow", int64(s.puts.total))
	number("msgGetTotalYesterdayMorning", int64(s.getsYesterday))
	number("msgGetTotalTodayMorning", int64(s.getsToday))
	number("msgGetTotalTodayNow", int64(s.gets.total))
}

// logInfo tells of the log and what is behind it.
func (n *Node) logInfo(text func(key, value string), number func(key string, v int64)) {
	m := n.store.Marks()
	number("commitLogMinOffset", m.Min)
	number("commitLogMaxOffset", m.Written)
	number("flushedWhere", m.Synced)
	number("dispatchBehindBytes", m.Appended-m.Indexed)
	text("remainHowManyDataToFlush", strconv.FormatInt(m.Appended-m.Synced, 10)+" B")
	ratio := "-1.0" // nobody knows
	if n.space.Total > 0 {
		ratio = decimal(n.space.Used * 1000 / n.space.Total)
	}
	text("commitLogDiskRatio", ratio)
	text("consumeQueueDiskRatio", ratio) // on the same disk
	number("remainTransientStoreBufferNumbs", 0)
	if n.cfg.Choice.TransientPool {
		text("remainHowManyDataToCommit", strconv.FormatInt(m.Appended-m.Written, 10)+" B")
	}
	number("pageCacheLockTimeMills", 0) // writes run beside the lock
	number("flushGroupWaiting", int64(n.waiters.len()))
	number("flushTimes", int64(n.stats.syncs))
	number("flushTimeMeanMicros", n.stats.syncTime.Microseconds()/max(1, int64(n.stats.syncs)))
	levels := n.delayed.table(false)
	for _, l := range levels.Levels {
		high := int64(0)
		if q := n.queueFor([]byte(scheduleTopic), l.QueueID-1); q != nil {
			high = n.visible(q)
		}
		text(fmt.Sprintf("scheduleMessageOffset_%d", l.QueueID), fmt.Sprintf("%d,%d", l.Offset, high))
	}
}

// rates writes three rates as RocketMQ does: apart by spaces.
func rates(thousandths [3]int64) string {
	return strings.Join([]string{decimal(thousandths[0]), decimal(thousandths[1]), decimal(thousandths[2])}, " ")
}

// decimal writes thousandths with three decimals.
func decimal(thousandths int64) string {
	return fmt.Sprintf("%d.%03d", thousandths/1000, thousandths%1000)
}

func span(d time.Duration) string {
	s := int64(d / time.Second)
	return fmt.Sprintf("[ %d days, %d hours, %d minutes, %d seconds ]", s/86400, s/3600%24, s/60%60, s%60)
}

// viewStats serves VIEW_BROKER_STATS_DATA for the statistics that mqadmin's statsAll reads.
func (n *Node) viewStats(c ConnID, f *remoting.Frame, out *Output) {
	h, err := remoting.ParseStats(f.Ext)
	if err != nil {
		n.refuse(c, f, remoting.ResponseSystemError, err.Error(), out)
		return
	}
	t := n.trendOf(h.Name, h.Key)
	if t == nil {
		n.refuse(c, f, remoting.ResponseSystemError, fmt.Sprintf("The stats <%s> <%s> not exist", h.Name, h.Key), out)
		return
	}
	minute, hour, day := t.items(n.now.Mono)
	n.ok(c, f, remoting.AppendStats(nil, minute, hour, day), out)
}

// trendOf returns what a statistic counts, nil for one that is not kept or has counted nothing.
func (n *Node) trendOf(name, key string) *trend {
	switch name {
	case "TOPIC_PUT_NUMS":
		if t := n.topics.byName[key]; t != nil {
			return t.trend
		}
	case "GROUP_GET_NUMS":
		topic, group, _ := strings.Cut(key, "@")
		if t := n.topics.byName[topic]; t != nil {
			if at, found := t.outflowAt([]byte(group)); found {
				return t.out[at].trend
			}
		}
	}
	return nil
}
