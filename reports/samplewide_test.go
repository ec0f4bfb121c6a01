package reports

import (
	"fmt"
	"strings"
	"time"

	"holdfast/reports/result"
)

// wideFaults are the columns of the full matrix. The figures are as invented as those of sample.
var wideFaults = []struct {
	faultColumn
	steps []result.ScheduleStep
}{
	{faultColumn{"kill-returns", "kill", "master", "returns"}, nil},
	{faultColumn{"power-returns", "power", "master", "returns"}, nil},
	{faultColumn{"power-promoted", "power", "master", "promoted"}, nil},
	{faultColumn{"power-returns-then-promoted", "power", "master", "returns"}, []result.ScheduleStep{
		{Kind: "power", Target: "master", Recovery: "returns"}, {Kind: "kill", Target: "master", AtMS: 3000, Recovery: "promoted"}}},
	{faultColumn{"power-all", "power", "all", "returns"}, nil},
	{faultColumn{"disk-lost-promoted", "disk-lost", "master", "promoted"}, nil},
	{faultColumn{"disk-lost-returns", "disk-lost", "master", "returns"}, nil},
	{faultColumn{"partition-slave", "partition", "master", ""}, []result.ScheduleStep{{Kind: "partition", Target: "master", ForMS: 2000, Params: "full, from the slave"}}},
	{faultColumn{"isolate-master", "partition", "master", ""}, nil},
	{faultColumn{"slow-slave", "delay", "slave", ""}, nil},
	{faultColumn{"fsync-error", "fsync-error", "master", "returns"}, nil},
	{faultColumn{"trickle", "power", "master", "returns"}, nil},
	{faultColumn{"full-disk-then-clock-jump", "disk-full", "master", "returns"}, nil}, // a scenario of a user
}

// wide is a full matrix of invented figures: twelve columns and one of a user, twelve cuts each.
func wide() *result.Result {
	r := without(sample(0), func(c *result.Cell) bool { return !c.IsPerformance() })
	r.Planned = len(sampleContracts) * (1 + len(wideFaults))
	for i, contract := range sampleContracts {
		for j, f := range wideFaults {
			r.Put(wideCell(contract, i, j, f.faultColumn, f.steps))
		}
	}
	return r
}

func wideCell(contract result.Contract, i, j int, f faultColumn, steps []result.ScheduleStep) result.Cell {
	lossy := f.fault == "power" && contract.FlushDiskType == "ASYNC_FLUSH" && f.recovery == "returns" || f.fault == "disk-lost" && f.recovery == "returns"
	lost := make([]int64, 12)
	var predicted []float64
	var sum int64
	for n := range lost {
		since := 41.5 * float64(n+1)
		predicted = append(predicted, since*4)
		if lossy {
			lost[n] = int64(since*4) - int64(7*n+i)
		}
		sum += lost[n]
	}
	c := sampleFault(contract, f, lost[:1], i == 0 && f.name == "power-returns", 0)
	c.ID, c.History, c.Timeline, c.Series, c.Schedule = sampleID(contract, f.name), "cells/"+sampleID(contract, f.name), nil, nil, steps
	if f.name != result.Column(f.fault, f.target, f.recovery) || len(steps) > 0 {
		c.Name = f.name
	}
	if f.fault == "disk-full" {
		c.Shows = "A full disk is an error that clients are told of, and a clock that jumps changes nothing of it."
	}
	if f.name == "trickle" {
		c.Load.Offered = 100
	}
	c.Lost["SEND_OK"], c.Verdict, c.LossWindow = sum, result.Kept, nil
	c.Trials = nil
	for n, k := range lost {
		t := result.Trial{Seed: uint64(n), Verdict: result.Kept, Acked: map[string]int64{"SEND_OK": 2845}, Lost: map[string]int64{"SEND_OK": k},
			WindowMS: float64(k) / 4, SinceSyncMS: 41.5 * float64(n+1), Effect: map[string]int64{"processes": 1}}
		if f.fault == "power" && f.recovery == "returns" && contract.FlushDiskType == "ASYNC_FLUSH" {
			t.Predicted, t.PredictedBytes = new(predicted[n]), new(int64(predicted[n]*1100))
		}
		if n == 0 && f.target == "master" && f.recovery != "" && f.name != "trickle" { // one trial of some columns ran alone
			t.Alone, t.RTOMS, t.DeliveryRTOMS = true, 1310+float64(10*j), 1350+float64(10*j)
		}
		if k > 0 {
			t.Verdict, c.Verdict = result.LossWithinContract, result.LossWithinContract
			c.LossWindow = &result.Window{MS: float64(k) / 4}
		}
		c.Trials = append(c.Trials, t)
	}
	c.RPO, c.RTO = result.PoolRPO(c.Trials), result.PoolRTO(c.Trials)
	c.Harness = map[string]result.Process{"generator": {CPUSeconds: 6.1, StallMS: 4.5}, "switch": {CPUSeconds: 2.2, StallMS: 3}, "disk": {CPUSeconds: 1.4, StallMS: 8 + float64(i+j)}}
	return c
}

// scenarioRun is one scenario under two contracts: as expected under the first, not under the second.
func scenarioRun() *result.Result {
	r := &result.Result{
		Schema: result.Schema, Tool: result.Tool{Version: "v0.0.0-sample", Commit: "0123456789ab"},
		Started: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC), Finished: time.Date(2030, 1, 2, 3, 4, 25, 0, time.UTC),
		Seed: 7, World: "sandbox", System: result.System{Name: "reference", Profile: "rocketmq-5"}, Host: sample(0).Host, ConfigDigest: "sha256:77aa",
	}
	for i, contract := range []result.Contract{sampleContracts[0], sampleContracts[4]} {
		id := sampleID(contract, "cut-after-partition")
		unknown := int64(31)
		c := result.Cell{
			ID: id, Contract: contract, Fault: "partition", Target: "master", Name: "cut-after-partition",
			Shows: "A master that is cut off from its slave, and then loses power, has nothing left of what only it had acknowledged.",
			Schedule: []result.ScheduleStep{
				{Kind: "partition", Target: "master", AtMS: 500, ForMS: 2000, Params: "full, from the slave"},
				{Kind: "power", Target: "master", AtMS: 1500, Recovery: "promoted"},
			},
			Load: result.Load{Offered: 2000, Producers: 2, Outstanding: 256, Size: 1024}, Acked: map[string]int64{"SEND_OK": 9120}, Unknown: &unknown,
			Verdict: result.LossWithinContract, History: "cells/" + id, Linearizable: "valid", Seconds: 9.5,
			Repeat:  fmt.Sprintf("bin/holdfast run cut-after-partition --seed 7 --contracts %s", strings.ReplaceAll(contract.String(), " ", "")),
			Harness: map[string]result.Process{"generator": {CPUSeconds: 1.5, StallMS: 3}, "disk": {CPUSeconds: 0.4, StallMS: 4 + 200*float64(i)}},
			Expect:  []result.Expectation{{What: "verdict", Want: "loss-within-contract", Got: "loss-within-contract", Met: true}},
		}
		lost := []int64{2010, 1987}[i]
		c.Lost = map[string]int64{"SEND_OK": lost}
		if i == 1 {
			c.Verdict = result.Violated
			c.Expect[0].Got, c.Expect[0].Met = "violated", false
			c.Reasons = []string{"lost although the slave's copy lived"}
			for n := range 5 {
				c.Findings = append(c.Findings, result.Finding{Anomaly: "lost-suffix", Queue: fmt.Sprintf("a/T/%d", n%4), Ops: []uint64{17, 21},
					Explain: "acknowledged at 2,100 ms with SEND_OK at queue offset 911, absent from the complete read of a-1 that ends at 640"})
			}
		}
		c.Expect = append(c.Expect, result.Expectation{What: "lost SEND_OK", Want: "at most 2,400", Got: count(lost), Met: true})
		c.Trials = []result.Trial{{
			Seed: 7, Verdict: c.Verdict, Acked: c.Acked, Lost: c.Lost, WindowMS: 1005, Alone: true, RTOMS: 840, DeliveryRTOMS: 861, History: c.History,
			Effect: map[string]int64{"packets": 812, "processes": 1, "bytesLost": 2_210_000},
			Faults: []result.FaultEffect{
				{Name: "partition", Target: "master", Nodes: []string{"a-0", "a-1"}, Effect: map[string]int64{"packets": 812}, StartMS: 2510, HealMS: 4540},
				{Name: "power", Target: "master", Nodes: []string{"a-0"}, Effect: map[string]int64{"processes": 1, "bytesLost": 2_210_000}, StartMS: 3512, HealMS: 4350},
			},
		}}
		c.RPO, c.RTO, c.LossWindow = result.PoolRPO(c.Trials), result.PoolRTO(c.Trials), &result.Window{MS: 1005}
		r.Put(c)
	}
	return r
}
