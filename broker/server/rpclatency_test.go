package server

import (
	"testing"
	"time"

	"holdfast/broker/durability"
	"holdfast/broker/remoting"
)

// TestRPCLatency counts every answer under what it answers, with the time that a parked pull waited.
func TestRPCLatency(t *testing.T) {
	s := monitored(t)
	c := dial(t, s.Addr())
	for range 3 {
		c.send("T", 0, "m")
	}
	c.pull("T", 0, 0, 0)
	c.pull("T", 0, 3, 30*time.Millisecond)
	c.call(9999, nil, nil)
	c.call(9998, nil, nil)
	c.call(remoting.RequestGetAllTopicConfig, nil, nil)
	c.call(remoting.RequestGetBrokerRuntimeInfo, nil, nil) // what was written before it has been counted
	got := scrape(t, s.MetricsAddr())
	of := func(request, response, parked, bucket string) string {
		return `rocketmq_rpc_latency_milliseconds_` + bucket + `{cluster="DefaultCluster",is_long_polling="` + parked + `",node_id="broker-a",node_type="broker",protocol_type="remoting",request_code="` +
			request + `",response_code="` + response + `",result="success"`
	}
	for series, value := range map[string]float64{
		of("send_message_v2", "success", "false", "count") + "}":             3,
		of("pull_message", "success", "false", "count") + "}":                1,
		of("pull_message", "pull_not_found", "true", "count") + "}":          1,
		of("pull_message", "pull_not_found", "true", "bucket") + `,le="10"}`: 0,
		of("get_all_topic_config", "success", "false", "count") + "}":        1,
		of(overflow, "request_code_not_supported", "false", "count") + "}":   2,
	} {
		if v, ok := got[series]; !ok || v != value {
			t.Errorf("%s: got %v (there: %t), want %v", series, v, ok, value)
		}
	}
	if sum := got[of("pull_message", "pull_not_found", "true", "sum")+"}"]; sum < 30 {
		t.Errorf("a pull that waited for 30 ms took %v ms", sum)
	}
}

// TestRPCLatencyUnasked: a broker that nobody asks for metrics keeps nothing of requests.
func TestRPCLatencyUnasked(t *testing.T) {
	s := mustStart(t, DefaultConfig(durability.RocketMQ5))
	c := dial(t, s.Addr())
	c.send("T", 0, "m")
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, conn := range s.conns.all() {
		if conn.clock.open != nil {
			t.Errorf("%d requests are kept", len(conn.clock.open))
		}
	}
}
