package reports

import (
	"strings"
	"testing"

	"holdfast/reports/result"
)

// several is a run of invented figures: the reference, Apache RocketMQ, and the same with settings for throughput.
func several() *result.Result {
	r := sample(0)
	base := r.Cells
	r.Systems = []result.System{r.System, {Name: "rocketmq", Version: "5.5.0", Profile: "rocketmq-5"}, {Name: "rocketmq", Version: "5.5.0", Profile: "rocketmq-5", Tuned: true}}
	r.Cells, r.Rows = nil, nil
	for i, s := range r.Systems {
		for _, c := range base {
			if c.Contract.InSyncReplicas == 1 || s.Tuned && !c.IsPerformance() {
				continue
			}
			r.Put(cellOf(s, c, i))
		}
		for _, contract := range sampleContracts {
			r.Rows = append(r.Rows, result.Row{System: s.String(), Contract: contract, Repeat: "holdfast matrix --system " + s.String() + " --contracts " + strings.ReplaceAll(contract.String(), " ", "")})
		}
	}
	return r
}

// cellOf gives a cell to a system. The second one's lost messages where the first one's kept them all, in one cell, and proved nothing in another.
func cellOf(s result.System, c result.Cell, i int) result.Cell {
	c.System, c.ID = s.String(), strings.ReplaceAll(s.String(), ":", "-")+"."+c.ID
	if c.IsPerformance() {
		slower := []float64{1, 12, 9}[i]
		t := *c.Throughput
		t.Acked, t.Min, t.Max, t.Passes = t.Acked/slower, t.Min/slower, t.Max/slower, nil
		c.Throughput = &t
		c.Memory = map[string]result.Memory{"a-0": {Anonymous: int64(i*700+50) << 20, File: 210 << 20}, "a-1": {Anonymous: int64(i*600+40) << 20, File: 190 << 20}}
	}
	c.Settings = map[string]string{"a-0.flushDiskType": c.Contract.FlushDiskType}
	if !c.IsPerformance() && i == 1 {
		c.Load.Offered = 500
		if c.Contract.BrokerRole == "ASYNC_MASTER" && c.Contract.FlushDiskType == "SYNC_FLUSH" && c.Column() == "kill-returns" {
			c.Verdict, c.Lost, c.RPO = result.Violated, map[string]int64{"SEND_OK": 7}, result.NewRPO([]int64{7, 0, 0})
			c.Anomalies = map[string]int64{"lost-write": 7}
		}
		if c.Contract.BrokerRole == "SYNC_MASTER" && c.Column() == "power-all" {
			c.Verdict, c.Reasons = result.Inconclusive, []string{"cut 1: the load did not hold"}
		}
	}
	return c
}

func TestSeveralSystems(t *testing.T) {
	r := several()
	golden(t, "several-text.txt", Text(r, "out/several", 130, false))
	golden(t, "several-markdown.md", Markdown(r))
	for _, line := range strings.Split(Text(r, "", 100, false), "\n") {
		if len([]rune(line)) > 100 && !strings.Contains(line, "holdfast matrix --system") {
			t.Errorf("a line of %d columns at a width of 100: %q", len([]rune(line)), line)
		}
	}
}

// TestAgreementIsTold: a disagreement is a red word in the table and a sentence below it.
func TestAgreementIsTold(t *testing.T) {
	text := Text(several(), "", 200, false)
	for _, want := range []string{
		"DIFFER: kept / violated", "13 of 16 pairs agree, 1 differ, 2 are open", "messages lost: 0 by the reference, 7 by the other", "anomaly lost-write: 0 by the reference, 7 by the other",
	} {
		if !strings.Contains(strings.Join(strings.Fields(text), " "), want) {
			t.Errorf("the report lacks %q", want)
		}
	}
}

func TestPageOfSeveralSystems(t *testing.T) {
	page, err := Page(several())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"<h2>Agreement</h2>", "rocketmq:5.5.0:tuned, ASYNC_MASTER", "Memory at saturation", "a-0.flushDiskType=ASYNC_FLUSH"} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}
