package server

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"holdfast/broker/durability"
	"holdfast/broker/remoting"
)

// scrape returns the value of every series at addr, by name and labels as they are written.
func scrape(t testing.TB, addr string) map[string]float64 {
	t.Helper()
	code, body := get(t, addr, "/metrics")
	if code != http.StatusOK {
		t.Fatalf("/metrics: %d %s", code, body)
	}
	series := map[string]float64{}
	for line := range strings.Lines(body) {
		at := strings.LastIndexByte(line, ' ')
		if at < 0 || strings.HasPrefix(line, "#") {
			continue
		}
		value, err := strconv.ParseFloat(strings.TrimSpace(line[at:]), 64)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		series[line[:at]] = value
	}
	return series
}

func get(t testing.TB, addr, path string) (code int, body string) {
	t.Helper()
	resp, err := http.Get("http://" + addr + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// exported returns the names and labels that Apache RocketMQ was seen to export.
func exported(t *testing.T) map[string]string {
	t.Helper()
	f, err := os.Open("testdata/metrics-5.5.0.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	names := map[string]string{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if name, labels, ok := strings.Cut(lines.Text(), " "); ok && name != "#" {
			names[name] = labels
		}
	}
	return names
}

// labelNames returns the sorted names of a series' labels.
func labelNames(series string) string {
	_, labels, _ := strings.Cut(strings.TrimSuffix(series, "}"), "{")
	var names []string
	for pair := range strings.SplitSeq(labels, `",`) {
		name, _, _ := strings.Cut(pair, "=")
		if name != "le" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ",")
}

func monitored(t testing.TB) *Server {
	cfg := DefaultConfig(durability.RocketMQ5)
	cfg.StoreDir, cfg.MetricsListen = t.TempDir(), "127.0.0.1:0"
	return mustStart(t, cfg)
}

// TestMetrics counts what clients do, under the names and labels that Apache RocketMQ exports.
func TestMetrics(t *testing.T) {
	s := monitored(t)
	c := dial(t, s.Addr())
	send := func(props string, bytes int) remoting.SendReply {
		c.opaque++
		c.write(sendFrame(nil, c.opaque, "T", 0, []byte(props), []byte(strings.Repeat("x", bytes))))
		f := c.read()
		var r remoting.SendReply
		if err := remoting.ParseSendReply(f.Ext, &r); err != nil || f.Code != 0 {
			t.Fatalf("send: %d %s %v", f.Code, f.Remark, err)
		}
		return r
	}
	for range 3 {
		send("", 10)
	}
	send("", 2000)
	send("__SHARDINGKEY\x01k\x02", 10)
	send("DELAY\x018\x02", 10)
	heartbeat := remoting.Heartbeat{ClientID: "c1", Producers: []string{"p1", "p2"}, Consumers: []remoting.ConsumerData{{Group: "g", Type: remoting.ConsumePassively, Model: remoting.Clustering,
		Subscriptions: []remoting.Subscription{{Topic: "T", Expression: "*"}}}}}
	c.call(remoting.RequestHeartBeat, nil, heartbeat.Append(nil))
	if code, _, bodies := c.pull("T", 0, 0, 0); code != 0 || len(bodies) != 5 {
		t.Fatalf("pull: %d, %d messages", code, len(bodies))
	}
	send("", 10)
	commit := remoting.ConsumerOffsetHeader{ConsumerGroup: []byte("g"), Topic: []byte("T"), CommitOffset: 2}
	c.call(remoting.RequestUpdateConsumerOffset, func(w *remoting.Writer) { commit.Append(w, remoting.RequestUpdateConsumerOffset) }, nil)
	back := remoting.SendBackHeader{Group: "g", DelayLevel: -1, OriginTopic: "T"}
	if f := c.call(remoting.RequestConsumerSendMsgBack, back.Append, nil); f.Code != 0 {
		t.Fatalf("send back: %d %s", f.Code, f.Remark)
	}

	got := scrape(t, s.MetricsAddr())
	const node = `cluster="DefaultCluster",`
	const tail = `node_id="broker-a",node_type="broker"`
	in := func(kind string) string {
		return `{` + node + `is_system="false",message_type="` + kind + `",` + tail + `,topic="T"}`
	}
	of := `{` + node + `consumer_group="g",is_system="false",` + tail + `,topic="T"}`
	lag := `{` + node + `consumer_group="g",is_retry="false",is_system="false",` + tail + `,topic="T"}`
	for series, value := range map[string]float64{
		"rocketmq_messages_in_total" + in("normal"):                                                                              5,
		"rocketmq_messages_in_total" + in("fifo"):                                                                                1,
		"rocketmq_message_size_count" + in("normal"):                                                                             5,
		"rocketmq_message_size_bucket" + strings.Replace(in("normal"), `topic="T"`, `topic="T",le="1024"`, 1):                    4,
		"rocketmq_message_size_bucket" + strings.Replace(in("normal"), `topic="T"`, `topic="T",le="4096"`, 1):                    5,
		`rocketmq_messages_in_total{` + node + `is_system="true",message_type="delay",` + tail + `,topic="SCHEDULE_TOPIC_XXXX"}`: 1,
		"rocketmq_messages_out_total" + of:                                                                                       5,
		"rocketmq_send_to_dlq_messages_total" + of:                                                                               1,
		"rocketmq_consumer_lag_messages" + lag:                                                                                   4,
		"rocketmq_consumer_inflight_messages" + lag:                                                                              3,
		"rocketmq_consumer_ready_messages" + lag:                                                                                 1,
		`rocketmq_broker_permission{` + node + tail + `}`:                                                                        6,
		`rocketmq_consumer_connections{` + node + `consume_mode="push",consumer_group="g",is_system="false",language="go",` + tail + `,protocol_type="remoting",version="v4_9_4"}`: 1,
		`rocketmq_producer_connections{` + node + `language="go",` + tail + `,protocol_type="remoting",version="v4_9_4"}`:                                                          2,
	} {
		if v, ok := got[series]; !ok || v != value {
			t.Errorf("%s: got %v (there: %t), want %v", series, v, ok, value)
		}
	}
	if out, in := got["rocketmq_throughput_out_total"+of], got["rocketmq_throughput_in_total"+in("normal")]; out < 2000 || in < out-2000 {
		t.Errorf("%v bytes in, %v out", in, out)
	}
	for _, name := range []string{"go_goroutines", "process_open_fds", "process_resident_memory_bytes", "go_memstats_heap_inuse_bytes"} {
		if got[name] < 1 {
			t.Errorf("%s: got %v", name, got[name])
		}
	}
}

// TestMetricNames: what is called rocketmq_* is what Apache RocketMQ calls so, with its labels.
func TestMetricNames(t *testing.T) {
	s := monitored(t)
	c := dial(t, s.Addr())
	c.send("T", 0, "m")
	c.pull("T", 0, 0, 0)
	commit := remoting.ConsumerOffsetHeader{ConsumerGroup: []byte("g"), Topic: []byte("T"), CommitOffset: 0}
	c.call(remoting.RequestUpdateConsumerOffset, func(w *remoting.Writer) { commit.Append(w, remoting.RequestUpdateConsumerOffset) }, nil)
	heartbeat := remoting.Heartbeat{ClientID: "c1", Producers: []string{"p"}}
	c.call(remoting.RequestHeartBeat, nil, heartbeat.Append(nil))
	known, seen := exported(t), map[string]bool{}
	for series := range scrape(t, s.MetricsAddr()) {
		name, _, _ := strings.Cut(series, "{")
		if !strings.HasPrefix(name, "rocketmq_") {
			continue
		}
		name = strings.Replace(name, "_bucket", "_count", 1)
		seen[name] = true
		if labels, ok := known[name]; !ok || labels != labelNames(series) {
			t.Errorf("%s has the labels %s; Apache RocketMQ has %q", name, labelNames(series), labels)
		}
	}
	if len(seen) < 15 {
		t.Errorf("only %d names: %v", len(seen), seen)
	}
}

// TestLagLatencyIsRead: the age of what was not consumed is found also where consume queue and log are no longer in memory.
func TestLagLatencyIsRead(t *testing.T) {
	cfg := DefaultConfig(durability.RocketMQ5)
	cfg.StoreDir, cfg.MetricsListen = t.TempDir(), "127.0.0.1:0"
	cfg.Store.HotUnits, cfg.Store.HotBytes, cfg.Store.ChunkBytes = 8, 1<<10, 1<<12
	s := mustStart(t, cfg)
	c := dial(t, s.Addr())
	for i := range 200 {
		c.send("T", 0, fmt.Sprintf("message %d %s", i, strings.Repeat("x", 200)))
	}
	commit := remoting.ConsumerOffsetHeader{ConsumerGroup: []byte("g"), Topic: []byte("T"), CommitOffset: 1}
	c.call(remoting.RequestUpdateConsumerOffset, func(w *remoting.Writer) { commit.Append(w, remoting.RequestUpdateConsumerOffset) }, nil)
	time.Sleep(2 * time.Millisecond) // the age is in milliseconds
	lag := `{cluster="DefaultCluster",consumer_group="g",is_retry="false",is_system="false",node_id="broker-a",node_type="broker",topic="T"}`
	got := scrape(t, s.MetricsAddr())
	want(t, "lag", got["rocketmq_consumer_lag_messages"+lag], 199)
	if age := got["rocketmq_consumer_lag_latency_milliseconds"+lag]; age < 1 || age > 60_000 {
		t.Errorf("age of the oldest message: %v ms", age)
	}
}

// TestHealth: alive is not ready.
func TestHealth(t *testing.T) {
	ready := func(s *Server, code int, text string) {
		t.Helper()
		gotCode, body := get(t, s.MetricsAddr(), "/readyz")
		if gotCode != code || !strings.Contains(body, text) {
			t.Errorf("/readyz: %d %q, want %d %q", gotCode, body, code, text)
		}
	}
	alive := func(s *Server) {
		t.Helper()
		code, body := get(t, s.MetricsAddr(), "/healthz")
		want(t, "/healthz "+body, code, http.StatusOK)
	}
	s := monitored(t)
	ready(s, 200, "ok")
	alive(s)

	cfg := DefaultConfig(durability.RocketMQ5)
	cfg.MetricsListen, cfg.Node.NameServers = "127.0.0.1:0", []string{unusedAddr(t)}
	lonely := mustStart(t, cfg)
	ready(lonely, 503, "not registered at a name server")
	alive(lonely)

	cfg = DefaultConfig(durability.RocketMQ5)
	cfg.MetricsListen, cfg.HAListen = "127.0.0.1:0", "127.0.0.1:0"
	cfg.Node.Choice.Role, cfg.Node.BrokerID = durability.Slave, 1
	ready(mustStart(t, cfg), 503, "not connected to the master")
}

// unusedAddr returns an address at which nobody listens.
func unusedAddr(t *testing.T) string {
	s := mustStart(t, DefaultConfig(durability.RocketMQ5))
	defer s.Close()
	return s.Addr()
}

// BenchmarkScrape is a scrape of a broker with 10,000 topics that 10,000 groups lag behind; held-max-us is the longest that it held
// the node at once.
func BenchmarkScrape(b *testing.B) {
	cfg := DefaultConfig(durability.RocketMQ5)
	cfg.Listen, cfg.MetricsListen, cfg.Log, cfg.Node.RegisterInterval = "127.0.0.1:0", "127.0.0.1:0", quiet, time.Hour
	s, err := Start(context.Background(), cfg)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	c := dial(b, s.Addr())
	const topics = 9_900
	for i := range topics {
		topic := fmt.Sprintf("T%05d", i)
		if code, _ := c.send(topic, 0, "m"); code != 0 {
			b.Fatalf("send: %d", code)
		}
		h := remoting.ConsumerOffsetHeader{ConsumerGroup: []byte("g"), Topic: []byte(topic), CommitOffset: 0}
		if f := c.call(remoting.RequestUpdateConsumerOffset, func(w *remoting.Writer) { h.Append(w, remoting.RequestUpdateConsumerOffset) }, nil); f.Code != 0 {
			b.Fatalf("commit: %d %s", f.Code, f.Remark)
		}
	}
	m := newMetrics(s, s.node.(sampled))
	longest := time.Duration(0)
	m.held = func(d time.Duration) { longest = max(longest, d) }
	for b.Loop() {
		series := make(chan prometheus.Metric, 1<<20)
		m.Collect(series)
		if len(series) < 6*topics {
			b.Fatalf("%d series", len(series))
		}
	}
	b.ReportMetric(float64(longest.Nanoseconds())/1e3, "held-max-us")
}
