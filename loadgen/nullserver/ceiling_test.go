package nullserver

import (
	"fmt"
	"testing"
	"time"

	"holdfast/broker/remoting"
	"holdfast/loadgen"
	"holdfast/loadgen/driver/rocketmq"
)

// BenchmarkCeiling shows what the generator could offer a core: hypothesis, at least 500 k msg/s of its own processor time.
func BenchmarkCeiling(b *testing.B) {
	for _, form := range []remoting.Form{remoting.Binary, remoting.JSON} {
		for _, shape := range []struct{ connections, outstanding int }{{1, 1}, {1, 64}, {16, 64}, {4, 256}} {
			for _, body := range []int{128, 1024} {
				b.Run(fmt.Sprintf("%v/%dx%d/%dB", form, shape.connections, shape.outstanding, body), func(b *testing.B) {
					var last Ceiling
					for b.Loop() {
						cfg := loadgen.Config{Connections: shape.connections, Outstanding: shape.outstanding, Body: loadgen.Around(body), Seed: 1}
						c, err := Measure(b.Context(), cfg, rocketmq.Config{Form: form}, time.Second)
						if err != nil {
							b.Fatal(err)
						}
						last = c
					}
					b.ReportMetric(last.PerSecond, "msg/s")
					b.ReportMetric(last.PerCPUSecond, "msg/cpu-s")
					b.ReportMetric(0, "ns/op")
				})
			}
		}
	}
}
