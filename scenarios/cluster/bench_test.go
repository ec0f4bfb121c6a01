package cluster

import (
	"fmt"
	"testing"
	"time"

	"holdfast/loadgen"
	"holdfast/scenarios"
)

// BenchmarkContracts measures the reference broker, master and slave with the client on the same machine and the real disk, per
// contract: one sender, 16 connections x 64 outstanding, 64 outstanding on one connection; bodies of 1 KiB, closed loop.
// One iteration is one run of benchWindow. Hypothesis: >= 200 k msg/s ASYNC_FLUSH and >= 100 k msg/s SYNC_FLUSH at 16 x 64 on 2 cores.
func BenchmarkContracts(b *testing.B) {
	sys, err := ParseSystem("reference")
	if err != nil {
		b.Fatal(err)
	}
	for _, contract := range scenarios.Contracts() {
		for _, shape := range []struct{ connections, outstanding int }{{1, 1}, {16, 64}, {1, 64}} {
			b.Run(fmt.Sprintf("%s/%dx%d", scenarios.ContractName(contract), shape.connections, shape.outstanding), func(b *testing.B) {
				for b.Loop() {
					b.StopTimer()
					c, err := Loopback{System: sys}.Open(b.Context(), scenarios.Spec{
						Dir: b.TempDir(), Contract: contract, Topic: "bench", Queues: 4,
					})
					if err != nil {
						b.Fatal(err)
					}
					b.StartTimer()
					benchLoad(b, c, shape.connections, shape.outstanding)
					b.StopTimer()
					if err := c.Close(); err != nil {
						b.Fatal(err)
					}
					b.StartTimer()
				}
			})
		}
	}
}

const (
	benchWarm   = 300 * time.Millisecond
	benchWindow = 1200 * time.Millisecond
)

func benchLoad(b *testing.B, c scenarios.Cluster, connections, outstanding int) {
	b.Helper()
	load, err := loadgen.Start(b.Context(), loadgen.Config{
		System: c.Driver(), Topic: "bench", Queues: 4, Connections: connections, Outstanding: outstanding,
		Body: loadgen.BodyBytes{Min: 1024, Max: 1024}, Seed: 1,
	})
	if err != nil {
		b.Fatal(err)
	}
	time.Sleep(benchWarm)
	load.Mark()
	time.Sleep(benchWindow)
	sum := load.Stop()
	if sum.Err != nil || sum.Failed+sum.Unknown > 0 {
		b.Fatalf("%d failed, %d unknown: %v", sum.Failed, sum.Unknown, sum.Err)
	}
	b.ReportMetric(sum.Throughput, "msg/s")
	b.ReportMetric(float64(sum.Latency.Service.ValueAtPercentile(50))/1e6, "p50-ms")
	b.ReportMetric(float64(sum.Latency.Service.ValueAtPercentile(99))/1e6, "p99-ms")
}
