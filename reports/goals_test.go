package reports

import (
	"strings"
	"testing"

	"holdfast/reports/result"
)

// benchResult is a bench of two systems under one contract with two shapes.
func benchResult() *result.Result {
	contract := result.Contract{BrokerRole: "ASYNC_MASTER", FlushDiskType: "ASYNC_FLUSH", InSyncReplicas: 1}
	r := &result.Result{Systems: []result.System{{Name: "reference", Profile: "rocketmq-5"}, {Name: "rocketmq", Version: "5.5.0"}}}
	for system, speed := range map[string]float64{"reference:rocketmq-5": 100_000, "rocketmq:5.5.0": 10_000} {
		for _, shape := range []result.Load{{Producers: 16, Outstanding: 64}, {Producers: 1, Outstanding: 1}} {
			c := result.Cell{ID: system + shape.Shape(), System: system, Contract: contract, Fault: result.NoFault, Load: shape, Verdict: result.Kept}
			c.Throughput = result.NewThroughput([]float64{speed * float64(shape.InFlight()) / 1024})
			r.Cells = append(r.Cells, c)
		}
	}
	g := result.Goal{What: "throughput", System: "reference:rocketmq-5", Against: "rocketmq:5.5.0", Contract: "ASYNC_MASTER+ASYNC_FLUSH", Load: "16x64", Unit: "msg/s",
		Own: []float64{100_000, 90_000}, Other: []float64{10_000, 10_000}, Target: 10}
	g.Judge(true, nil, nil)
	start := result.Goal{What: "start", System: "reference:rocketmq-5", Unit: "ms", Own: []float64{30}, Target: 100}
	start.Judge(false, nil, nil)
	r.Goals = []result.Goal{g, start}
	return r
}

func TestBenchText(t *testing.T) {
	text := Bench(benchResult(), "", 140, false)
	for _, want := range []string{"100,000 (100,000-100,000)", "16x64", "1x1", "9.5x (9x-10x)", ">= 10x", "inconclusive", "met in some of 2 passes", "< 100 ms", "30.0 ms"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// TestMatrixShowsTheLoadThatSaturates whatever the order of the cells is.
func TestMatrixShowsTheLoadThatSaturates(t *testing.T) {
	r := benchResult()
	for range 2 {
		v := newView(r, nil)
		for _, row := range v.rows {
			if c := v.cell(row, result.NoFault); c.Load.Shape() != "16x64" {
				t.Errorf("%s shows %s", row, c.Load.Shape())
			}
		}
		r.Cells[0], r.Cells[1], r.Cells[2], r.Cells[3] = r.Cells[1], r.Cells[0], r.Cells[3], r.Cells[2]
	}
}
