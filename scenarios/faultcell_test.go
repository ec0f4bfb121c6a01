package scenarios

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"holdfast/checker"
	"holdfast/checker/history"
	"holdfast/nemesis"
	"holdfast/reports/result"
)

// fakeWorld refuses kinds of faults, and opens nothing.
type fakeWorld struct {
	refused map[nemesis.Kind]error
	opened  int
}

func (*fakeWorld) Name() string                     { return "fake" }
func (w *fakeWorld) Possible(f nemesis.Fault) error { return w.refused[f.Kind] }
func (w *fakeWorld) Open(context.Context, Spec) (Cluster, error) {
	w.opened++
	return nil, errors.New("no machine\nthe node's log")
}

// silent watches nothing.
type silent struct{}

func (silent) CellStarted(string)      {}
func (silent) Progress(string, string) {}
func (silent) CellDone(result.Cell)    {}
func (silent) Note(string)             {}

var weakest = result.Contract{BrokerRole: "ASYNC_MASTER", FlushDiskType: "ASYNC_FLUSH"}

// matrixOf has one contract and the columns of those names.
func matrixOf(t *testing.T, w World, names ...string) *Matrix {
	t.Helper()
	m := &Matrix{
		System: result.System{Name: "reference", Profile: "rocketmq-5"}, World: w, Contracts: []result.Contract{weakest},
		Fault: worldLoad, Out: t.TempDir(), Seed: 3, Command: "holdfast matrix",
	}
	for _, name := range names {
		m.Columns = append(m.Columns, embedded(t, name))
	}
	return m
}

func TestFaultThatIsNotPossible(t *testing.T) {
	w := &fakeWorld{refused: map[nemesis.Kind]error{nemesis.Kill: errors.New("no processes here")}}
	m := matrixOf(t, w, "power-slave-then-promoted") // the second fault is the one
	m.Single = true
	c := m.open(m.Plan()[0], silent{})
	c.run(t.Context(), c.plan.Cuts)
	cell := c.finish()
	if cell.Verdict != result.Inconclusive || strings.Join(cell.Reasons, "; ") != "not possible here: no processes here" {
		t.Errorf("got %s, %v; want it inconclusive with the world's reason", cell.Verdict, cell.Reasons)
	}
	if w.opened > 0 || len(cell.Trials) > 0 {
		t.Errorf("%d clusters were opened for %d trials, want none", w.opened, len(cell.Trials))
	}
}

func TestHarnessThatCannotRun(t *testing.T) {
	w := &fakeWorld{}
	m := matrixOf(t, w, "power-returns")
	m.Cuts = 2
	c := m.open(m.Plan()[0], silent{})
	c.run(t.Context(), 1)
	c.run(t.Context(), 2)
	cell := c.finish()
	if w.opened != 2 || len(cell.Trials) != 2 {
		t.Fatalf("%d clusters were opened for %d trials, want two", w.opened, len(cell.Trials))
	}
	if cell.Verdict != result.Inconclusive || !cell.Trials[0].Broken {
		t.Errorf("got %s with trials %+v, want it inconclusive and broken", cell.Verdict, cell.Trials)
	}
	if got, want := cell.Reasons[0], "cut 1: start the cluster: no machine"; got != want {
		t.Errorf("got the reason %q, want %q without the log behind it", got, want)
	}
	if cell.Trials[0].Seed == cell.Trials[1].Seed {
		t.Error("two trials have one seed")
	}
	again := m.open(m.Plan()[0], silent{})
	if got, want := again.trial(1).Seed, cell.Trials[1].Seed; got != want {
		t.Errorf("the cell run again draws seed %d for its second trial, want %d", got, want)
	}
}

func TestInterruptedCellIsPartial(t *testing.T) {
	m := matrixOf(t, &fakeWorld{}, "power-returns")
	m.Cuts = 3
	c := m.open(m.Plan()[0], silent{})
	c.run(t.Context(), 1)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	c.run(ended, 3)
	cell := c.finish()
	if !cell.Partial || cell.Verdict != result.Inconclusive || len(cell.Trials) != 1 {
		t.Errorf("got partial %v, %s, %d trials; want a partial cell of one trial", cell.Partial, cell.Verdict, len(cell.Trials))
	}
}

// outcome is that of a trial of a power cut which lost n messages.
func outcome(n int64) Outcome {
	o := Outcome{
		Effect: map[string]int64{CommitLogUnsynced: 4000, "processes": 1}, RecordBytes: 400, History: &history.History{},
		Verdict: checker.Result{
			Verdict: checker.LossWithinContract, Acked: map[string]int64{"SEND_OK": 100}, Lost: map[string]int64{"SEND_OK": n},
			Figures: checker.Figures{RTO: map[string]int64{"a": int64(700 * time.Millisecond), "b": int64(900 * time.Millisecond)}, DeliveryRTO: map[string]int64{"a": int64(time.Second)}},
		},
	}
	if n == 0 {
		o.Verdict.Verdict, o.Verdict.Lost = checker.Kept, nil
	}
	return o
}

func TestRTOIsOfTrialsThatRanAlone(t *testing.T) {
	cell := result.Cell{}
	p := newPool(&cell)
	beside := outcome(1)
	beside.Verdict.Figures.RTO = map[string]int64{"a": int64(50 * time.Second)}
	void := outcome(0)
	void.Verdict.Verdict, void.Verdict.Figures.RTO = checker.Inconclusive, map[string]int64{"a": int64(60 * time.Second)}
	p.add(Trial{Alone: true}, outcome(1), nil)
	p.add(Trial{Index: 1}, beside, nil)
	p.add(Trial{Index: 2, Alone: true}, void, nil)
	p.finish()
	if cell.RTO == nil || cell.RTO.MS != 900 || cell.RTO.DeliveryMS != 1000 {
		t.Errorf("got RTO %+v, want 900 ms to the first send of the slowest group and 1000 ms to the first delivery", cell.RTO)
	}
	for i, want := range []float64{900, 0, 0} {
		if got := cell.Trials[i].RTOMS; got != want {
			t.Errorf("trial %d: got an RTO of %v ms, want %v", i+1, got, want)
		}
	}
}

func TestPredict(t *testing.T) {
	power := result.ScheduleStep{Kind: "power"}
	for _, row := range []struct {
		says     string
		change   func(c *result.Cell, o *Outcome)
		messages float64 // -1: no prediction
	}{
		{"a single cut whose node returns", func(*result.Cell, *Outcome) {}, 10},
		{"a cut after which all was synced", func(_ *result.Cell, o *Outcome) { o.Effect[CommitLogUnsynced] = 0 }, 0},
		{"after a promotion another log counts", func(c *result.Cell, _ *Outcome) { c.Recovery = "promoted" }, -1},
		{"two faults share one sum", func(c *result.Cell, _ *Outcome) { c.Schedule = append(c.Schedule, power) }, -1},
		{"no effect was measured", func(_ *result.Cell, o *Outcome) { delete(o.Effect, CommitLogUnsynced) }, -1},
		{"the size of a record is not known", func(_ *result.Cell, o *Outcome) { o.RecordBytes = 0 }, -1},
		{"a trial that proves nothing", func(_ *result.Cell, o *Outcome) { o.Verdict.Verdict = checker.Inconclusive }, -1},
	} {
		cell, out := result.Cell{Recovery: "returns", Schedule: []result.ScheduleStep{power}}, outcome(9)
		row.change(&cell, &out)
		newPool(&cell).add(Trial{}, out, nil)
		got := cell.Trials[0]
		switch {
		case row.messages < 0 && (got.Predicted != nil || got.PredictedBytes != nil):
			t.Errorf("%s: got a prediction", row.says)
		case row.messages >= 0 && (got.Predicted == nil || *got.Predicted != row.messages || *got.PredictedBytes != out.Effect[CommitLogUnsynced]):
			t.Errorf("%s: got %v, want %v messages", row.says, got.Predicted, row.messages)
		}
	}
}

func TestControlMustLose(t *testing.T) {
	for _, row := range []struct {
		lost []int64
		want result.Verdict
	}{
		{[]int64{0, 0, 0}, result.Inconclusive},
		{[]int64{0, 5, 0}, result.LossWithinContract},
	} {
		cell := result.Cell{Control: true}
		p := newPool(&cell)
		for i, n := range row.lost {
			p.add(Trial{Index: i}, outcome(n), nil)
		}
		p.finish()
		if cell.Verdict != row.want {
			t.Errorf("a control that lost %v: got %s (%v), want %s", row.lost, cell.Verdict, cell.Reasons, row.want)
		}
	}
}

func TestPoolHarness(t *testing.T) {
	cell := result.Cell{}
	p := newPool(&cell)
	p.harness(map[string]result.Process{"disk": {CPUSeconds: 1, StallMS: 30}, "switch": {CPUSeconds: 4}})
	p.harness(map[string]result.Process{"disk": {CPUSeconds: 2, StallMS: 20}})
	want := map[string]result.Process{"disk": {CPUSeconds: 3, StallMS: 30}, "switch": {CPUSeconds: 4}}
	if fmt.Sprint(cell.Harness) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v: times add up, the longest stall stands", cell.Harness, want)
	}
}

func TestEffects(t *testing.T) {
	second := int64(time.Second)
	h := &history.History{Faults: []history.FaultOp{
		{Name: "fsync-error", Nodes: []string{"a-0"}, Start: second, Heal: 2 * second, Effect: map[string]int64{"calls": 1}},
		{Name: "halt", Nodes: []string{"a-0"}, Start: 2 * second, Heal: 3 * second, Effect: map[string]int64{"processes": 1}},
		{Name: "power", Nodes: []string{"a-0"}, Start: 4 * second, Heal: -1, Effect: map[string]int64{"bytesLost": 7}},
	}}
	schedule := nemesis.Schedule{
		{Kind: nemesis.None}, {Kind: nemesis.FsyncError, Target: nemesis.Master}, {Kind: nemesis.Power, Target: nemesis.All},
	}
	want := []result.FaultEffect{
		{Name: "fsync-error", Nodes: []string{"a-0"}, Target: "master", Effect: map[string]int64{"calls": 1}, StartMS: 1000, HealMS: 2000},
		{Name: "halt", Nodes: []string{"a-0"}, Effect: map[string]int64{"processes": 1}, StartMS: 2000, HealMS: 3000},
		{Name: "power", Nodes: []string{"a-0"}, Target: "all", Effect: map[string]int64{"bytesLost": 7}, StartMS: 4000},
	}
	if got := effects(h, schedule); fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := effects(nil, schedule); got != nil {
		t.Errorf("without a history: got %v", got)
	}
}

func TestMatrixExpectCountsAloneApart(t *testing.T) {
	m := matrixOf(t, &fakeWorld{}, "kill-returns", "power-returns")
	m.Cuts = 4
	kill, power := m.Columns[0].expectTime(m.Fault), m.Columns[1].expectTime(m.Fault)
	none := func(string) bool { return false }
	for _, row := range []struct {
		says            string
		alone, parallel int
		done            func(string) bool
		want            time.Duration
	}{
		{"one after the other", 0, 1, none, 4*kill + 4*power},
		{"two side by side", 0, 2, none, 2*kill + 2*power},
		{"the first of each alone, the rest side by side", 1, 3, none, kill + power + (3*kill+3*power)/3},
		{"all alone, whatever may run side by side", 9, 3, none, 4*kill + 4*power},
		{"what is done takes no time", 0, 1, func(id string) bool { return strings.HasSuffix(id, ".kill-returns") }, 4 * power},
	} {
		m.Alone, m.Parallel = row.alone, row.parallel
		if got := m.Expect(row.done); got != row.want {
			t.Errorf("%s: got %v, want %v", row.says, got, row.want)
		}
	}
}
