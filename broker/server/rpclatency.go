package server

import (
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"holdfast/broker"
	"holdfast/broker/remoting"
)

// rpcBuckets are upper bounds in milliseconds. Source: RemotingMetricsManager.getMetricsView (RocketMQ 5.5.0).
var rpcBuckets = []float64{1, 3, 5, 7, 10, 100, 1000, 2000, 3000}

// rpcLatency is how long requests took, from when their last byte was read to when the last byte of their answer was taken by the
// kernel. Nothing is measured before somebody asks for metrics. Oneway requests, which have no answer, and answers that could not be
// written are not counted.
type rpcLatency struct {
	wanted    atomic.Bool
	histogram *prometheus.HistogramVec
}

func newRPCLatency(cfg *broker.Config) *rpcLatency {
	return &rpcLatency{histogram: prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "rocketmq_rpc_latency_milliseconds", Help: "From a request to its answer.", Buckets: rpcBuckets,
		ConstLabels: prometheus.Labels{"cluster": cfg.ClusterName, "node_type": "broker", "node_id": cfg.BrokerName, "protocol_type": "remoting", "result": "success"},
	}, []string{"request_code", "response_code", "is_long_polling"})}
}

// rpcKind is a series of the histogram.
type rpcKind struct {
	request, response int32
	parked            bool
}

// rpcClock keeps when the requests of one connection came that are not answered.
type rpcClock struct {
	mu     sync.Mutex
	open   map[int32]rpcRequest // by opaque
	series map[rpcKind]prometheus.Observer
}

type rpcRequest struct {
	code int32
	came time.Time
}

// came notes down a burst.
func (k *rpcClock) came(requests []broker.Request) {
	now := time.Now()
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.open == nil {
		k.open, k.series = map[int32]rpcRequest{}, map[rpcKind]prometheus.Observer{}
	}
	for i := range requests {
		if f := &requests[i].Frame; !f.IsResponse() && !f.IsOneway() {
			k.open[f.Opaque] = rpcRequest{f.Code, now}
		}
	}
}

// answered counts what was written.
func (k *rpcClock) answered(replies []broker.Reply, to *rpcLatency) {
	now := time.Now()
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := range replies {
		kind, opaque, ok := rpcAnswer(&replies[i])
		request, known := k.open[opaque]
		if !ok || !known {
			continue
		}
		delete(k.open, opaque)
		kind.request = request.code
		series := k.series[kind]
		if series == nil {
			series = to.histogram.WithLabelValues(requestWord(kind.request), strings.ToLower(remoting.ResponseName(kind.response)), strconv.FormatBool(kind.parked))
			k.series[kind] = series
		}
		series.Observe(float64(now.Sub(request.came)) / float64(time.Millisecond))
	}
}

// rpcAnswer tells which request a reply answers, and how; ok is false for a request of the broker.
func rpcAnswer(r *broker.Reply) (kind rpcKind, opaque int32, ok bool) {
	if r.Push {
		return kind, 0, false
	}
	kind.response, opaque = r.Code, r.Opaque
	switch r.Kind {
	case broker.ReplyPull:
		kind.parked = r.Pull.Parked
	case broker.ReplyFrame:
		f, n, err := remoting.Decode(r.Frame)
		if err != nil || n == 0 {
			return kind, 0, false
		}
		kind.response, opaque = f.Code, f.Opaque
	}
	return kind, opaque, true
}

// requestWord is a code's name as the exporter has it; those without one share a series, for a client may send any number.
func requestWord(code int32) string {
	name := strings.ToLower(remoting.RequestName(code))
	if strings.Contains(name, " ") {
		return overflow
	}
	return name
}
