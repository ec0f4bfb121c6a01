package reports

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"

	"holdfast/reports/result"
)

// The figures below are invented. They have the shape of a real matrix, no more.

var sampleContracts = []result.Contract{
	{BrokerRole: "ASYNC_MASTER", FlushDiskType: "ASYNC_FLUSH"},
	{BrokerRole: "ASYNC_MASTER", FlushDiskType: "SYNC_FLUSH"},
	{BrokerRole: "SYNC_MASTER", FlushDiskType: "ASYNC_FLUSH", InSyncReplicas: 1},
	{BrokerRole: "SYNC_MASTER", FlushDiskType: "SYNC_FLUSH", InSyncReplicas: 1},
	{BrokerRole: "SYNC_MASTER", FlushDiskType: "ASYNC_FLUSH", InSyncReplicas: 2},
	{BrokerRole: "SYNC_MASTER", FlushDiskType: "SYNC_FLUSH", InSyncReplicas: 2},
}

var sampleFaults = []faultColumn{
	{"kill-returns", "kill", "master", "returns"},
	{"power-returns", "power", "master", "returns"},
	{"power-promoted", "power", "master", "promoted"},
	{"power-all", "power", "all", "returns"},
}

// sampleLost is the loss of each contract (down) under each fault (across), as three cuts.
var sampleLost = [][][]int64{
	{{0, 0, 0}, {611, 1002, 1204}, {12, 0, 41}, {590, 1111, 871}},
	{{0, 0, 0}, {0, 0, 0}, {9, 22, 3}, {0, 0, 0}},
	{{0, 0, 0}, {702, 333, 1190}, {17, 0, 8}, {650, 720, 1010}},
	{{0, 0, 0}, {0, 0, 0}, {31, 4, 6}, {0, 0, 0}},
	{{0, 0, 0}, {888, 401, 1130}, {0, 0, 0}, {498, 1300, 77}},
	{{0, 0, 0}, {0, 0, 0}, {0, 0, 0}, {0, 0, 0}},
}

var sampleSpeed = []float64{212_345, 141_200, 209_876, 139_900, 128_400, 101_300}
var sampleP99 = []float64{1.02, 2.31, 1.05, 2.4, 1.9, 3.3}

// sample is a complete matrix of invented figures, with about ops operations in each timeline.
func sample(ops int) *result.Result {
	r := &result.Result{
		Schema: result.Schema, Tool: result.Tool{Version: "v0.0.0-sample", Commit: "0123456789ab"},
		Started: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC), Finished: time.Date(2030, 1, 2, 3, 6, 55, 0, time.UTC),
		Seed: 7, World: "sandbox", System: result.System{Name: "reference", Profile: "rocketmq-5"},
		Host: result.Host{CPU: "Fictional 9000", Cores: 2, Kernel: "6.18.0", Filesystem: "ext4",
			Fsync: result.Fsync{P50: 0.18, P99: 0.91, Unit: "ms"}, FsyncTrusted: true, RTT: 0.031, SharedDisk: true},
		ConfigDigest: "sha256:5a3b1e", Planned: 30, Command: "holdfast matrix --quick --seed 7",
		Settings: []result.Setting{{Name: "cuts", Value: "3"}, {Name: "bodyBytes", Value: "1024"}, {Name: "powerModel", Value: "worst, names ext4"}},
		Notes:    []string{"quick: the HA intervals of the brokers are shortened (haSendHeartbeatInterval 1 s)."},
	}
	for i, contract := range sampleContracts {
		r.Rows = append(r.Rows, result.Row{Contract: contract, Repeat: "holdfast matrix --quick --seed 7 --contracts " + strings.ReplaceAll(contract.String(), " ", "")})
		r.Put(samplePerformance(contract, i))
	}
	for i, contract := range sampleContracts {
		for j, f := range sampleFaults {
			r.Put(sampleFault(contract, f, sampleLost[i][j], i == 0 && f.name == "power-returns", ops))
		}
	}
	return r
}

func sampleID(c result.Contract, column string) string {
	name := strings.ToLower(strings.NewReplacer("/", "-", "_", "-", " + ", ".").Replace(c.String()))
	return name + "." + column
}

func samplePerformance(contract result.Contract, i int) result.Cell {
	speed, p99 := sampleSpeed[i], sampleP99[i]
	p50, p999, top := p99/5, p99*3.1, p99*9
	c := result.Cell{
		ID: sampleID(contract, "none"), Contract: contract, Fault: result.NoFault,
		Load:       result.Load{Producers: 16, Outstanding: 64, Size: 1024},
		Throughput: result.NewThroughput([]float64{speed * 0.96, speed, speed * 1.03}),
		Latency: &result.Latency{P50: &p50, P99: &p99, P999: &p999, Max: &top, Unit: "ms", Rate: 50_000, Samples: 300_000,
			P99Min: p99 * 0.93, P99Max: p99 * 1.1},
		Lateness: &result.Lateness{P99: 0.02, Max: 0.3, Unit: "ms"},
		CPU:      map[string]float64{"generator": 6.1, "master": 5.2, "slave": 1.4},
		Verdict:  result.Kept, Seconds: 9.5, Repeat: "holdfast bench --contracts " + strings.ReplaceAll(contract.String(), " ", ""),
		Series: sampleSeries(speed, 30),
	}
	for _, p := range []float64{0, 10, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 99.95, 99.99, 100} {
		c.Latency.Curve = append(c.Latency.Curve, result.Point{Percentile: p, Value: curveAt(p, p50, p99)})
	}
	return c
}

// curveAt is a log-normal quantile, near enough, through p50 and p99.
func curveAt(p, p50, p99 float64) float64 {
	nines := -math.Log10(1 - min(p, 99.999)/100)
	return p50 * math.Pow(p99/p50, (nines-0.301)/1.699)
}

func sampleSeries(perSecond float64, buckets int) *result.Series {
	s := &result.Series{BucketMS: 100}
	for i := range buckets {
		s.Acked = append(s.Acked, int64(perSecond/10*(1+0.05*math.Sin(float64(i)))))
	}
	return s
}

func sampleFault(contract result.Contract, f faultColumn, lost []int64, control bool, ops int) result.Cell {
	unknown, failed, zero := int64(190), int64(0), int64(0)
	var total int64
	for _, n := range lost {
		total += n
	}
	c := result.Cell{
		ID: sampleID(contract, f.name), Contract: contract, Fault: f.fault, Target: f.target, Recovery: f.recovery, Control: control,
		Load:  result.Load{Offered: 4000, Producers: 4, Outstanding: 64, Size: 1024},
		Acked: map[string]int64{"SEND_OK": 34_150}, Unknown: &unknown, Failed: &failed,
		Lost: map[string]int64{"SEND_OK": total}, RPO: result.NewRPO(lost), Duplicates: &zero, Reordered: &zero, Phantoms: &zero,
		Linearizable: "valid", RTO: &result.RTO{MS: 1310, DeliveryMS: 1350, MedianMS: 1200}, FaultEffect: map[string]int64{"processes": 3},
		Verdict: result.Kept, History: "cells/" + sampleID(contract, f.name),
		Repeat: "holdfast run power-loss --seed 7", Seconds: 12.25,
	}
	if f.fault == "power" {
		c.FaultEffect["bytesLost"] = 3 * 812_000
	}
	if contract.InSyncReplicas == 2 {
		c.Acked["FLUSH_SLAVE_TIMEOUT"] = 12
		c.Lost["FLUSH_SLAVE_TIMEOUT"] = 0
	}
	if total > 0 {
		c.Verdict = result.LossWithinContract
		c.LossWindow = &result.Window{MS: float64(c.RPO.Max) / 4.2}
		c.Causes = []result.Cause{{Cause: "in the master's page cache only", Count: total}}
		c.Findings = []result.Finding{{Anomaly: "lost-suffix", Queue: "a/T/0", Ops: []uint64{17, 21}, Explain: "acknowledged at 2,100 ms with SEND_OK at queue offset 911, absent from the complete read of a-0 that ends at 640", Trial: 1}}
	}
	for i, n := range lost {
		c.Trials = append(c.Trials, result.Trial{Seed: uint64(70 + i), Verdict: c.Verdict, Acked: map[string]int64{"SEND_OK": 11_383}, Lost: map[string]int64{"SEND_OK": n}, WindowMS: float64(n) / 4.2, RTOMS: 1200, SinceSyncMS: 30 + 120*float64(i), Effect: map[string]int64{"processes": 1}})
	}
	c.Timeline = sampleTimeline(lost[0], ops)
	c.Series = &result.Series{BucketMS: 100}
	for i := range 60 {
		n := int64(400)
		if i >= 25 && i < 38 {
			n = 0
		}
		c.Series.Acked = append(c.Series.Acked, n)
	}
	return c
}

// sampleTimeline is six seconds of load with a cut at 2.5 s, the recovery at 3 s and service again at 3.8 s.
func sampleTimeline(lost int64, ops int) *result.Timeline {
	rng := rand.New(rand.NewPCG(7, uint64(lost)))
	t := &result.Timeline{Trial: 1, Of: 24_000, EndMS: 6000, Marks: []result.Mark{
		{T: 2500, Phase: "start", Name: "power", Nodes: []string{"a-0"}}, {T: 2501, Phase: "down", Name: "power", Nodes: []string{"a-0"}},
		{T: 3000, Phase: "restart", Name: "power", Nodes: []string{"a-0"}}, {T: 3800, Phase: "heal", Name: "power", Nodes: []string{"a-0"}},
	}}
	window := 2500 - float64(lost)/4
	for i := range ops {
		at := 6000 * float64(i) / float64(ops)
		op := result.Op{T: math.Round(at), MS: math.Round(100*math.Exp(rng.NormFloat64()*0.6)*0.7) / 100, Fate: result.FateKept}
		switch {
		case at > 2495 && at < 2500:
			op.Fate, op.MS = result.FateUnknown, 3000
		case at >= 2500 && at < 3800:
			op.Fate, op.MS = result.FateFailed, 3800-at
		case at >= window && at < 2500:
			op.Fate = result.FateLost
		}
		t.Ops = append(t.Ops, op)
	}
	return t
}

// without returns r without the cells that drop matches.
func without(r *result.Result, drop func(c *result.Cell) bool) *result.Result {
	var cells []result.Cell
	for _, c := range r.Cells {
		if !drop(&c) {
			cells = append(cells, c)
		}
	}
	r.Cells = cells
	r.Derive()
	return r
}

// edit changes the cell of a contract and column and derives what follows from it.
func edit(r *result.Result, contract int, column string, change func(c *result.Cell)) *result.Result {
	c := r.Cell(sampleID(sampleContracts[contract], column))
	if c == nil {
		panic(fmt.Sprint("no cell ", contract, column))
	}
	change(c)
	r.Derive()
	return r
}
