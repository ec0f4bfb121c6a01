package cluster

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"holdfast/checker/history"
	"holdfast/loadgen"
	"holdfast/nemesis"
	"holdfast/reports/result"
	"holdfast/scenarios"
)

// lines keeps what a nemesis stamps.
type lines struct {
	mu    sync.Mutex
	steps []history.FaultStep
	roles []string
}

func (l *lines) Fault(step history.FaultStep) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.steps = append(l.steps, step)
}

func (l *lines) Role(group, node string) { l.roles = append(l.roles, group+" "+node) }

// phases are those of one fault, in order.
func (l *lines) phases(name string) (phases []string, effect nemesis.Impact, nodes []string) {
	effect = nemesis.Impact{}
	for _, s := range l.steps {
		if s.Name != name {
			continue
		}
		phases, nodes = append(phases, s.Phase), s.Nodes
		for unit, n := range s.Effect {
			effect[unit] += n
		}
	}
	return phases, effect, nodes
}

// inSandbox opens a cell of the reference in the sandbox, with a load that runs until the test ends.
func inSandbox(t *testing.T, contract result.Contract) (*cell, *loadgen.Load) {
	t.Helper()
	if outside != nil {
		t.Skip(outside)
	}
	sys, err := ParseSystem("reference")
	if err != nil {
		t.Fatal(err)
	}
	opened, err := Sandbox{System: sys}.Open(t.Context(), scenarios.Spec{Dir: t.TempDir(), Contract: contract, Topic: "t", Queues: 2, Faulty: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := opened.Close(); err != nil {
			t.Error(err)
		}
	})
	load, err := loadgen.Start(t.Context(), loadgen.Config{
		System: opened.Driver(), Topic: "t", Queues: 2, Outstanding: 64, Rate: 300, Body: loadgen.Around(256), Seed: 1, Timeout: time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { load.Stop() })
	awaitAcks(t, load, 50)
	c := opened.(*cell)
	replicates(t, c) // a slave that has just connected waits before it asks for the log
	return c, load
}

// awaitAcks returns when n more sends have been acknowledged.
func awaitAcks(t *testing.T, load *loadgen.Load, n int64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for first := load.Snapshot().AckedTotal; load.Snapshot().AckedTotal < first+n; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("no %d more sends were acknowledged: %+v", n, load.Snapshot())
		}
	}
}

var (
	asyncAsync = result.Contract{BrokerRole: "ASYNC_MASTER", FlushDiskType: "ASYNC_FLUSH"}
	asyncSync  = result.Contract{BrokerRole: "ASYNC_MASTER", FlushDiskType: "SYNC_FLUSH"}
)

// TestFaultsTakeEffect does one fault of each family and holds it against what its effect must have been, and the heal against
// the service after it.
func TestFaultsTakeEffect(t *testing.T) {
	for _, row := range []struct {
		name     string
		contract result.Contract
		fault    nemesis.Fault
		unit     string
		least    int64
		nodes    []string
		phases   []string
	}{
		{"pause", asyncAsync, nemesis.Fault{Kind: nemesis.Pause, Target: nemesis.Slave}, "ms", 100, []string{"a-1"}, []string{"start", "heal"}},
		{"partition", asyncAsync, nemesis.Fault{Kind: nemesis.Partition, Target: nemesis.Slave, Params: nemesis.Params{Peer: nemesis.Master}}, "packets", 1, []string{"a-1"}, []string{"start", "heal"}},
		{"fsync-slow", asyncSync, nemesis.Fault{Kind: nemesis.FsyncSlow, Target: nemesis.Master, Params: nemesis.Params{Delay: 20 * time.Millisecond}}, "calls", 1, []string{"a-0"}, []string{"start", "heal"}},
		{"clock-jump", asyncAsync, nemesis.Fault{Kind: nemesis.ClockJump, Target: nemesis.Master, Params: nemesis.Params{Delay: time.Hour}}, "ms", 3_600_000, []string{"a-0"}, []string{"start", "heal"}},
		{"disk-lost", asyncAsync, nemesis.Fault{Kind: nemesis.DiskLost, Target: nemesis.Slave, Recovery: nemesis.Returns}, "bytesLost", 1, []string{"a-1"}, []string{"start", "down", "restart", "heal"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			c, load := inSandbox(t, row.contract)
			stamped := &lines{}
			struck, err := c.Inject(t.Context(), row.fault, stamped)
			if err != nil {
				t.Fatal(err)
			}
			strikesFor(t, 150*time.Millisecond)
			if err := struck.Heal(t.Context(), stamped); err != nil {
				t.Fatal(err)
			}
			phases, effect, nodes := stamped.phases(row.name)
			if !slices.Equal(phases, row.phases) || !slices.Equal(nodes, row.nodes) {
				t.Errorf("got the phases %v of %v, want %v of %v", phases, nodes, row.phases, row.nodes)
			}
			if effect[row.unit] < row.least {
				t.Errorf("got the effect %v, want %d %s or more", effect, row.least, row.unit)
			}
			if n := c.Node(row.nodes[0]); !n.Running() {
				t.Errorf("%s does not run after the heal", n.Name)
			}
			if skew := c.clocks.byNode[row.nodes[0]].Skew(); skew != 0 {
				t.Errorf("the clock of %s is %v off after the heal", row.nodes[0], skew)
			}
			awaitAcks(t, load, 20)
			replicates(t, c)
		})
	}
}

// strikesFor lets a fault last.
func strikesFor(t *testing.T, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
		t.Fatal(t.Context().Err())
	}
}

// replicates returns when the slave replicates: it has got what the master has by now.
func replicates(t *testing.T, c *cell) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if held, err := c.CatchUp(ctx); err != nil || !slices.Equal(held, []string{"a-1"}) {
		t.Errorf("the slaves that caught up: %v, %v; want a-1", held, err)
	}
}

func TestFaultThatIsOffHasNoEffect(t *testing.T) {
	c, _ := inSandbox(t, asyncAsync)
	for _, f := range []nemesis.Fault{
		{Kind: nemesis.Pause, Target: nemesis.Slave}, {Kind: nemesis.Kill, Target: nemesis.Master, Recovery: nemesis.Returns},
		{Kind: nemesis.DiskLost, Target: nemesis.Slave, Recovery: nemesis.Returns}, {Kind: nemesis.BitFlip, Target: nemesis.Slave, Recovery: nemesis.Returns},
		{Kind: nemesis.Stop, Target: nemesis.Master, Recovery: nemesis.Promoted}, {Kind: nemesis.Restart, Target: nemesis.All},
	} {
		f.Off = true
		before := c.Node("a-0").Process().PID()
		stamped := &lines{}
		struck, err := c.Inject(t.Context(), f, stamped)
		if err == nil {
			err = struck.Heal(t.Context(), stamped)
		}
		if err != nil {
			t.Errorf("%s: %v", f.Kind, err)
			continue
		}
		phases, effect, _ := stamped.phases(string(f.Kind))
		if len(phases) < 2 || phases[0] != "start" || phases[len(phases)-1] != "heal" {
			t.Errorf("%s: got the phases %v, want those from start to heal", f.Kind, phases)
		}
		for unit, n := range effect {
			if n != 0 {
				t.Errorf("%s: measured %d %s", f.Kind, n, unit)
			}
		}
		if c.Node("a-0").Process().PID() != before || c.Master() != "a-0" || len(stamped.roles) > 0 {
			t.Errorf("%s: the master is another", f.Kind)
		}
	}
}

// TestHaltedBrokerIsStartedAgain lets an fsync of the master fail under SYNC_FLUSH: the reference halts, and what supervises it
// starts it again once the fault has ended.
func TestHaltedBrokerIsStartedAgain(t *testing.T) {
	c, load := inSandbox(t, asyncSync)
	stamped := &lines{}
	struck, err := c.Inject(t.Context(), nemesis.Fault{Kind: nemesis.FsyncError, Target: nemesis.Master, Params: nemesis.Params{Times: 1}}, stamped)
	if err != nil {
		t.Fatal(err)
	}
	master := c.Group.Master()
	ended := master.Process()
	select {
	case <-ended.Done():
	case <-time.After(20 * time.Second):
		t.Fatal("the broker goes on after a failed fsync")
	}
	if err := struck.Heal(t.Context(), stamped); err != nil {
		t.Fatal(err)
	}
	if !master.Running() || master.Process() == ended {
		t.Error("the broker was not started again")
	}
	phases, effect, nodes := stamped.phases(halt)
	if want := []string{"start", "down", "restart", "heal"}; !slices.Equal(phases, want) || !slices.Equal(nodes, []string{"a-0"}) {
		t.Errorf("got the halt's phases %v of %v, want %v of a-0", phases, nodes, want)
	}
	if effect["processes"] != 1 || len(effect) != 1 {
		t.Errorf("got the halt's effect %v, want one process", effect)
	}
	if phases, effect, _ := stamped.phases("fsync-error"); !slices.Equal(phases, []string{"start", "heal"}) || effect["calls"] != 1 {
		t.Errorf("got the fault's phases %v with %v, want start and heal with one call", phases, effect)
	}
	if last := stamped.steps[len(stamped.steps)-1]; last.Name != "fsync-error" {
		t.Errorf("the last line is of %s, want the heal of the fault, once the broker is back", last.Name)
	}
	awaitAcks(t, load, 20)
	replicates(t, c)
}

func TestNodeThatAFaultTookDownIsNotSupervised(t *testing.T) {
	c, _ := inSandbox(t, asyncAsync)
	stamped := &lines{}
	slow, err := c.Inject(t.Context(), nemesis.Fault{Kind: nemesis.FsyncSlow, Target: nemesis.Slave, Params: nemesis.Params{Delay: time.Millisecond}}, stamped)
	if err != nil {
		t.Fatal(err)
	}
	killed, err := c.Inject(t.Context(), nemesis.Fault{Kind: nemesis.Kill, Target: nemesis.Slave, Recovery: nemesis.Returns}, stamped)
	if err != nil {
		t.Fatal(err)
	}
	if err := slow.Heal(t.Context(), stamped); err != nil {
		t.Fatal(err)
	}
	if phases, _, _ := stamped.phases(halt); len(phases) > 0 || c.Node("a-1").Running() {
		t.Errorf("the heal of another fault brought the killed node back: %v", phases)
	}
	if err := killed.Heal(t.Context(), stamped); err != nil {
		t.Fatal(err)
	}
	replicates(t, c)
}
