package server

import (
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"holdfast/broker"
	"holdfast/broker/message"
	"holdfast/broker/remoting"
	"holdfast/broker/store"
)

// sampled is what a broker's node tells for metrics.
type sampled interface {
	Sample() broker.Sample
	Flows(after string, max int, dst []broker.Flow) ([]broker.Flow, string)
	Lags(after string, max int, dst []broker.Lag) ([]broker.Lag, string)
	Members(after string, max int, dst []broker.Members) ([]broker.Members, string)
	Producers(after string, max int, dst []broker.Members) ([]broker.Members, string)
	Record(topic string, f broker.Front, loaded *store.LoadJob) (store.Range, *store.LoadJob, bool)
	Oldest(bytes int) (store.Range, bool)
}

// How much one look at the node takes, so that a put waits for a scrape no longer than for a burst of other puts; and how much a
// scrape reads from the disk.
const (
	pageRows    = 64
	pageReadMax = 256
)

// metrics collects the metrics of one broker, under the names and labels of RocketMQ 5.5.0's Prometheus exporter. Everything is
// read when it is asked for: nothing but counting is done for a message.
// Source: BrokerMetricsManager, DefaultStoreMetricsManager (RocketMQ 5.5.0).
type metrics struct {
	s    *Server
	node sampled
	desc descriptions
	held func(time.Duration) // nil, or told how long the node was held each time
}

// descriptions are the metrics that there are; the names end with the unit, as that exporter has them.
type descriptions struct {
	permission, topics, groups, watermark *prometheus.Desc
	in, bytesIn, size, out, bytesOut      *prometheus.Desc
	dead                                  *prometheus.Desc
	lag, lagLatency, inflight, queueing   *prometheus.Desc
	ready                                 *prometheus.Desc
	consumers, producers                  *prometheus.Desc
	storage, flush, dispatch, reserve     *prometheus.Desc
	clients, parked, follower             *prometheus.Desc
}

func newMetrics(s *Server, node sampled) *metrics {
	common := prometheus.Labels{"cluster": s.cfg.Node.ClusterName, "node_type": "broker", "node_id": s.cfg.Node.BrokerName}
	one := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, common)
	}
	disk := prometheus.Labels{"storage_type": "local", "storage_medium": "disk"}
	for k, v := range common {
		disk[k] = v
	}
	stored := func(name, help string) *prometheus.Desc { return prometheus.NewDesc(name, help, nil, disk) }
	lag := []string{"topic", "consumer_group", "is_retry", "is_system"}
	return &metrics{s: s, node: node, desc: descriptions{
		permission: one("rocketmq_broker_permission", "What clients may do here: 4 read, 2 write, 6 both."),
		topics:     one("rocketmq_topic_number", "Topics."),
		groups:     one("rocketmq_consumer_group_number", "Consumer groups."),
		watermark:  one("rocketmq_processor_watermark", "Requests that are not answered: sends that wait for flush or replica, pulls that wait for the disk.", "processor"),
		in:         one("rocketmq_messages_in_total", "Messages stored.", "topic", "message_type", "is_system"),
		bytesIn:    one("rocketmq_throughput_in_total", "Bytes of the records stored.", "topic", "message_type", "is_system"),
		size:       one("rocketmq_message_size", "Bytes of a record.", "topic", "message_type", "is_system"),
		out:        one("rocketmq_messages_out_total", "Messages handed out.", "topic", "consumer_group", "is_system"),
		bytesOut:   one("rocketmq_throughput_out_total", "Bytes of the records handed out.", "topic", "consumer_group", "is_system"),
		dead:       one("rocketmq_send_to_dlq_messages_total", "Messages that went to the dead letters.", "topic", "consumer_group", "is_system"),
		lag:        one("rocketmq_consumer_lag_messages", "Messages behind the committed offsets.", lag...),
		lagLatency: one("rocketmq_consumer_lag_latency_milliseconds", "Age of the oldest message behind the committed offsets.", lag...),
		inflight:   one("rocketmq_consumer_inflight_messages", "Messages handed out and not committed.", lag...),
		queueing:   one("rocketmq_consumer_queueing_latency_milliseconds", "Age of the oldest message that was not handed out.", lag...),
		ready:      one("rocketmq_consumer_ready_messages", "Messages that were not handed out.", lag...),
		consumers:  one("rocketmq_consumer_connections", "Members of a group.", "consumer_group", "language", "version", "consume_mode", "protocol_type", "is_system"),
		producers:  one("rocketmq_producer_connections", "Members of all producer groups.", "language", "version", "protocol_type"),
		storage:    stored("rocketmq_storage_size_bytes", "Bytes in use on the file system of the store."),
		flush:      stored("rocketmq_storage_flush_behind_bytes", "Bytes of the commit log that are not on the disk."),
		dispatch:   stored("rocketmq_storage_dispatch_behind_bytes", "Bytes of the commit log that are in no consume queue."),
		reserve:    stored("rocketmq_storage_message_reserve_time_milliseconds", "Age of the oldest message."),
		clients:    one("holdfast_connections", "Connections of clients."),
		parked:     one("holdfast_parked_pulls", "Pulls that wait for a message."),
		follower:   one("holdfast_replication_connections", "Connections of the replication port."),
	}}
}

// Describe sends nothing: which series there are depends on the topics.
func (m *metrics) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(out chan<- prometheus.Metric) {
	m.numbers(out)
	m.flows(out)
	m.members(out)
	m.producers(out)
	m.lags(out)
}

// hold runs f while nothing steps the node.
func (m *metrics) hold(f func()) {
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	begun := time.Now()
	f()
	if m.held != nil {
		m.held(time.Since(begun))
	}
}

func gauge(out chan<- prometheus.Metric, d *prometheus.Desc, value int64, labels ...string) {
	out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(value), labels...)
}

func total(out chan<- prometheus.Metric, d *prometheus.Desc, value uint64, labels ...string) {
	out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(value), labels...)
}

func (m *metrics) numbers(out chan<- prometheus.Metric) {
	var sample broker.Sample
	var oldest store.Range
	var any bool
	conns := 0
	m.hold(func() {
		sample = m.node.Sample()
		oldest, any = m.node.Oldest(message.StoreTimeBytes)
		conns = m.s.conns.len()
	})
	d := &m.desc
	gauge(out, d.permission, int64(sample.Permission))
	gauge(out, d.topics, int64(sample.Topics))
	gauge(out, d.groups, int64(sample.Groups))
	gauge(out, d.watermark, int64(sample.Waiting), "send")
	gauge(out, d.watermark, int64(sample.Loading), "pull")
	gauge(out, d.flush, sample.Marks.Appended-sample.Marks.Synced)
	gauge(out, d.dispatch, sample.Marks.Appended-sample.Marks.Indexed)
	gauge(out, d.clients, int64(conns))
	gauge(out, d.parked, int64(sample.Parked))
	gauge(out, d.follower, int64(sample.Peers))
	if m.s.cfg.FS == nil && m.s.cfg.StoreDir != "" {
		if used, err := usedBytes(m.s.cfg.StoreDir); err == nil {
			gauge(out, d.storage, used)
		}
	}
	if any {
		if at, ok := storeTime(oldest); ok {
			gauge(out, d.reserve, m.age(at))
		}
	}
	if r := sample.Unlabelled; r.Messages > 0 {
		total(out, d.out, r.Messages, overflow, overflow, "false")
		total(out, d.bytesOut, r.Bytes, overflow, overflow, "false")
	}
}

// overflow stands for the topics and groups that are too many to be counted one by one.
const overflow = "_others"

func (m *metrics) flows(out chan<- prometheus.Metric) {
	var page []broker.Flow
	for after, more := "", true; more; more = after != "" {
		m.hold(func() { page, after = m.node.Flows(after, pageRows, page[:0]) })
		for i := range page {
			if f := &page[i]; f.Group == "" {
				m.inflow(out, f)
			} else {
				m.outflow(out, f)
			}
		}
	}
}

func (m *metrics) inflow(out chan<- prometheus.Metric, f *broker.Flow) {
	if broker.IsRetryOrDLQ(f.Topic) {
		return
	}
	for kind, in := range f.In {
		if in.Messages == 0 {
			continue
		}
		labels := []string{f.Topic, broker.MessageType(kind).String(), strconv.FormatBool(systemTopic(f.Topic))}
		total(out, m.desc.in, in.Messages, labels...)
		total(out, m.desc.bytesIn, in.Bytes, labels...)
		buckets, below := map[float64]uint64{}, uint64(0)
		for i, bound := range broker.MessageSizes {
			below += in.Sizes[i]
			buckets[float64(bound)] = below
		}
		out <- prometheus.MustNewConstHistogram(m.desc.size, in.Messages, float64(in.Bytes), buckets, labels...)
	}
}

func (m *metrics) outflow(out chan<- prometheus.Metric, f *broker.Flow) {
	labels := []string{f.Topic, f.Group, strconv.FormatBool(systemTopic(f.Topic) || systemGroup(f.Group))}
	if f.Out.Messages > 0 && !broker.IsRetryOrDLQ(f.Topic) {
		total(out, m.desc.out, f.Out.Messages, labels...)
		total(out, m.desc.bytesOut, f.Out.Bytes, labels...)
	}
	if f.Out.Dead > 0 {
		total(out, m.desc.dead, f.Out.Dead, labels...)
	}
}

func (m *metrics) members(out chan<- prometheus.Metric) {
	var page []broker.Members
	for after, more := "", true; more; more = after != "" {
		m.hold(func() { page, after = m.node.Members(after, pageRows, page[:0]) })
		for _, g := range page {
			mode := "pull"
			if g.Push {
				mode = "push"
			}
			gauge(out, m.desc.consumers, int64(g.Count), g.Group, strings.ToLower(g.Language.String()), remoting.VersionName(g.Version), mode, "remoting",
				strconv.FormatBool(systemGroup(g.Group)))
		}
	}
}

// producers counts who is in several groups in each of them, as RocketMQ does.
func (m *metrics) producers(out chan<- prometheus.Metric) {
	type kind struct {
		language remoting.Language
		version  int16
	}
	var page []broker.Members
	count := map[kind]int64{}
	for after, more := "", true; more; more = after != "" {
		m.hold(func() { page, after = m.node.Producers(after, pageRows, page[:0]) })
		for _, g := range page {
			count[kind{g.Language, g.Version}] += int64(g.Count)
		}
	}
	for k, n := range count {
		gauge(out, m.desc.producers, n, strings.ToLower(k.language.String()), remoting.VersionName(k.version), "remoting")
	}
}

func (m *metrics) lags(out chan<- prometheus.Metric) {
	var page []broker.Lag
	reads := 0
	for after, more := "", true; more; more = after != "" {
		m.hold(func() { page, after = m.node.Lags(after, pageRows, page[:0]) })
		for i := range page {
			l := &page[i]
			labels := []string{l.Topic, l.Group, "false", strconv.FormatBool(systemTopic(l.Topic) || systemGroup(l.Group))}
			gauge(out, m.desc.lag, l.Messages, labels...)
			gauge(out, m.desc.inflight, l.InFlight, labels...)
			gauge(out, m.desc.ready, l.Ready, labels...)
			if age, ok := m.oldest(l.Topic, l.Consumed, &reads); ok {
				gauge(out, m.desc.lagLatency, age, labels...)
			}
			if age, ok := m.oldest(l.Topic, l.Pulled, &reads); ok {
				gauge(out, m.desc.queueing, age, labels...)
			}
		}
	}
}

// oldest returns the age of the oldest of some messages, 0 when there are none; ok is false when one cannot be looked at: the
// scrape has read enough from the disk, or it is gone.
func (m *metrics) oldest(topic string, fronts []broker.Front, reads *int) (age int64, ok bool) {
	for _, f := range fronts {
		r, ok := m.record(topic, f, reads)
		if !ok {
			return 0, false
		}
		if r.Mem == nil {
			*reads++
		}
		at, ok := storeTime(r)
		if !ok {
			return 0, false
		}
		age = max(age, m.age(at))
	}
	return age, true
}

// record finds a record, reading the consume queue where it must.
func (m *metrics) record(topic string, f broker.Front, reads *int) (r store.Range, ok bool) {
	var job *store.LoadJob
	for *reads < pageReadMax {
		m.hold(func() { r, job, ok = m.node.Record(topic, f, job) })
		if job == nil {
			return r, ok
		}
		*reads++
		if job.Run() != nil {
			break
		}
	}
	return store.Range{}, false
}

func storeTime(r store.Range) (ms int64, ok bool) {
	r.Len = min(r.Len, message.StoreTimeBytes)
	if r.Mem != nil {
		r.Mem = r.Mem[:r.Len]
	}
	front, err := r.AppendTo(nil)
	if err != nil {
		return 0, false
	}
	return message.StoreTime(front)
}

// age is how many milliseconds ago the wall clock showed at.
func (m *metrics) age(at int64) int64 {
	now := time.Now()
	if m.s.skew != nil {
		return max(0, m.s.skew.wall(now.UnixNano())-at)
	}
	return max(0, now.UnixMilli()-at)
}

// systemTopic reports whether the exporter calls a topic the system's: CHECKPOINT_TOPIC is one there, though anyone may make it.
func systemTopic(name string) bool {
	return broker.IsSystemTopic(name) || name == "CHECKPOINT_TOPIC"
}

// systemGroup reports whether a group is the broker's own. Source: MixAll.isSysConsumerGroup (RocketMQ 5.3.3), and the group
// that stands for the delivery of delayed messages.
func systemGroup(name string) bool {
	return len(name) >= 12 && strings.EqualFold(name[:12], "CID_RMQ_SYS_") || name == "SCHEDULE_CONSUMER"
}
