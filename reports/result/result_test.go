package result

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestVerdictOrder(t *testing.T) {
	for i, a := range Verdicts {
		for j, b := range Verdicts {
			if got, want := Worse(a, b), Verdicts[max(i, j)]; got != want {
				t.Errorf("Worse(%s, %s) = %s, want %s", a, b, got, want)
			}
		}
	}
	if got := Worse("passed", Kept); got != Kept {
		t.Errorf("a word that is no verdict: got %s, want %s", got, Kept)
	}
}

func TestContractWords(t *testing.T) {
	for _, row := range []struct {
		contract           Contract
		label              string
		conf, slaveAsLines []string
	}{
		{Contract{BrokerRole: "ASYNC_MASTER", FlushDiskType: "SYNC_FLUSH"}, "ASYNC_MASTER + SYNC_FLUSH",
			[]string{"brokerRole=ASYNC_MASTER", "flushDiskType=SYNC_FLUSH"}, []string{"brokerRole=SLAVE", "flushDiskType=SYNC_FLUSH"}},
		{Contract{BrokerRole: "SYNC_MASTER", FlushDiskType: "ASYNC_FLUSH", InSyncReplicas: 2, SlaveFlushDiskType: "SYNC_FLUSH"}, "SYNC_MASTER/2 + ASYNC_FLUSH",
			[]string{"brokerRole=SYNC_MASTER", "flushDiskType=ASYNC_FLUSH", "inSyncReplicas=2"}, []string{"brokerRole=SLAVE", "flushDiskType=SYNC_FLUSH"}},
		{Contract{BrokerRole: "SYNC_MASTER", FlushDiskType: "ASYNC_FLUSH"}, "SYNC_MASTER/1 + ASYNC_FLUSH",
			[]string{"brokerRole=SYNC_MASTER", "flushDiskType=ASYNC_FLUSH", "inSyncReplicas=1"}, []string{"brokerRole=SLAVE", "flushDiskType=ASYNC_FLUSH"}},
		{Contract{Name: "R3, sync every 2 min"}, "R3, sync every 2 min", nil, nil},
	} {
		if got := row.contract.String(); got != row.label {
			t.Errorf("label: got %q, want %q", got, row.label)
		}
		if got := row.contract.BrokerConf(); !slices.Equal(got, row.conf) {
			t.Errorf("%s: got %q, want %q", row.label, got, row.conf)
		}
		if got := row.contract.SlaveConf(); !slices.Equal(got, row.slaveAsLines) {
			t.Errorf("%s, slave: got %q, want %q", row.label, got, row.slaveAsLines)
		}
	}
}

func TestColumn(t *testing.T) {
	for _, row := range []struct{ fault, target, recovery, want string }{
		{"kill", "master", "returns", "kill-returns"},
		{"power", "master", "returns", "power-returns"},
		{"power", "master", "promoted", "power-promoted"},
		{"power", "all", "returns", "power-all"},
		{"pause", "slave", "", "pause-slave"},
		{"disk-lost", "slave", "returns", "disk-lost-slave-returns"},
		{"fsync-error", "master", "", "fsync-error"},
		{NoFault, "", "", NoFault},
	} {
		if got := Column(row.fault, row.target, row.recovery); got != row.want {
			t.Errorf("Column(%q, %q, %q) = %q, want %q", row.fault, row.target, row.recovery, got, row.want)
		}
	}
}

// cut is a fault cell of ASYNC_MASTER for the tests of claims.
func cut(id, fault, target, recovery string, verdict Verdict, lost ...int64) Cell {
	return Cell{
		ID: id, Contract: Contract{BrokerRole: "ASYNC_MASTER", FlushDiskType: "ASYNC_FLUSH"}, Fault: fault, Target: target, Recovery: recovery,
		Verdict: verdict, RPO: NewRPO(lost), Reasons: []string{"because"}, Acked: map[string]int64{"SEND_OK": 100},
	}
}

// named gives a cell a column of its own and a schedule of these kinds.
func named(name string, c Cell, kinds ...string) Cell {
	c.Name = name
	for _, kind := range kinds {
		c.Schedule = append(c.Schedule, ScheduleStep{Kind: kind, Target: c.Target})
	}
	return c
}

func TestOneMachineMayFail(t *testing.T) {
	for _, row := range []struct {
		says     string
		cells    []Cell
		standing []Standing // by recovery, in the order of the cells
		cuts     int        // of the first claim
		upper    float64    // of the first claim
	}{
		{"holds: nothing was lost, with the bound of the fewest cuts",
			[]Cell{cut("a", "kill", "master", "returns", Kept, 0), cut("b", "power", "master", "returns", Kept, 0, 0, 0)}, []Standing{Holds}, 1, 0.95},
		{"refuted by one lossy cut of three",
			[]Cell{cut("a", "power", "master", "returns", LossWithinContract, 0, 5, 0)}, []Standing{Refuted}, 3, Upper95(1, 3)},
		{"refuted, though another cell proves nothing",
			[]Cell{cut("a", "kill", "master", "returns", Inconclusive), cut("b", "power", "master", "returns", Violated, 1)}, []Standing{Refuted}, 0, 1},
		{"refuted by a lossy cut of an inconclusive cell",
			[]Cell{cut("a", "power", "master", "returns", Inconclusive, 4)}, []Standing{Refuted}, 1, 1},
		{"inconclusive: one of its faults had no effect",
			[]Cell{cut("a", "kill", "master", "returns", Kept, 0), cut("b", "power", "master", "returns", Inconclusive)}, []Standing{Untested}, 0, 1},
		{"inconclusive: two cuts lost nothing, a third had no effect",
			[]Cell{cut("a", "power", "master", "returns", Inconclusive, 0, 0)}, []Standing{Untested}, 2, Upper95(0, 2)},
		{"inconclusive: nothing was acknowledged, so nothing can have been lost",
			[]Cell{{Fault: "power", Target: "master", Recovery: "returns", Verdict: Kept, RPO: NewRPO([]int64{0}), Acked: map[string]int64{"SEND_OK": 0}}}, []Standing{Untested}, 1, 0.95},
		{"a claim a recovery",
			[]Cell{cut("a", "power", "master", "returns", LossWithinContract, 9), cut("b", "power", "master", "promoted", Kept, 0)}, []Standing{Refuted, Holds}, 1, 1},
		{"two machines are not one", []Cell{cut("a", "power", "all", "returns", LossWithinContract, 9)}, nil, 0, 0},
		{"nor are most of them", []Cell{cut("a", "kill", "majority", "returns", LossWithinContract, 9)}, nil, 0, 0},
		{"the loss of a disk is a failure of one machine", []Cell{cut("a", "disk-lost", "master", "returns", LossWithinContract, 9)}, []Standing{Refuted}, 1, 1},
		{"a column with a name of its own counts as its fault",
			[]Cell{named("trickle", cut("a", "power", "master", "returns", Kept, 0)), cut("b", "power", "master", "returns", Kept, 0, 0, 0)}, []Standing{Holds}, 1, 0.95},
		{"two failures in a row are not one",
			[]Cell{named("power-returns-then-promoted", cut("a", "power", "master", "returns", Violated, 9), "power", "kill")}, nil, 0, 0},
		{"nor when the recovery alone says so", []Cell{cut("a", "power", "master", "returns-then-promoted", Violated, 9)}, nil, 0, 0},
		{"one step is one failure", []Cell{named("mine", cut("a", "power", "master", "returns", Kept, 0), "power")}, []Standing{Holds}, 1, 0.95},
		{"a partition stops no machine", []Cell{cut("a", "partition", "master", "", LossWithinContract, 9)}, nil, 0, 0},
		{"a pause takes no machine down", []Cell{cut("a", "pause", "master", "", Kept, 0)}, nil, 0, 0},
	} {
		claims := OneMachineMayFail(row.cells)
		var standing []Standing
		for _, c := range claims {
			standing = append(standing, c.Standing)
		}
		if diff := cmp.Diff(standing, row.standing); diff != "" {
			t.Errorf("%s: got -, want +:\n%s", row.says, diff)
			continue
		}
		if len(claims) > 0 && (claims[0].Cuts != row.cuts || claims[0].Upper95 != row.upper) {
			t.Errorf("%s: %d cuts, bound %v; want %d, %v", row.says, claims[0].Cuts, claims[0].Upper95, row.cuts, row.upper)
		}
	}
}

func TestColumnOfACell(t *testing.T) {
	for _, row := range []struct {
		cell        Cell
		want        string
		performance bool
	}{
		{Cell{Fault: NoFault}, NoFault, true},
		{Cell{Fault: NoFault, Name: "healthy"}, "healthy", false},
		{Cell{Fault: "power", Target: "master", Recovery: "returns"}, "power-returns", false},
		{Cell{Fault: "power", Target: "master", Recovery: "returns", Name: "trickle"}, "trickle", false},
		{Cell{Fault: "power", Target: "all", Recovery: "returns"}, "power-all", false},
		{Cell{Fault: "pause", Target: "slave"}, "pause-slave", false},
	} {
		if got, performance := row.cell.Column(), row.cell.IsPerformance(); got != row.want || performance != row.performance {
			t.Errorf("%+v: got %q, performance %v; want %q, %v", row.cell, got, performance, row.want, row.performance)
		}
	}
}

func TestPutReplacesAndDerives(t *testing.T) {
	var r Result
	r.Put(cut("a", "power", "master", "returns", Inconclusive))
	r.Put(cut("b", "power", "master", "promoted", Kept, 0))
	if r.Verdict != Inconclusive {
		t.Errorf("verdict %s, want the worst of the cells, %s", r.Verdict, Inconclusive)
	}
	r.Put(cut("a", "power", "master", "returns", LossWithinContract, 3))
	if len(r.Cells) != 2 || r.Cell("a").Verdict != LossWithinContract || r.Verdict != LossWithinContract || r.Claims[0].Standing != Refuted {
		t.Errorf("after a was measured again: %d cells, verdict %s, claims %+v", len(r.Cells), r.Verdict, r.Claims)
	}
	if got := r.Cell("c"); got != nil {
		t.Errorf("a cell that is not there: got %+v", got)
	}
}
