package scenarios

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"holdfast/checker/history"
	"holdfast/loadgen"
	"holdfast/nemesis"
)

func TestActs(t *testing.T) {
	at := func(from, length time.Duration) nemesis.Fault {
		return nemesis.Fault{At: from * time.Second, For: length * time.Second}
	}
	for _, row := range []struct {
		says     string
		schedule nemesis.Schedule
		want     string // + begins, - heals, by index
	}{
		{"nothing", nil, ""},
		{"one after the other", nemesis.Schedule{at(0, 1), at(2, 1)}, "+0 -0 +1 -1"},
		{"one within the other", nemesis.Schedule{at(0, 5), at(1, 1)}, "+0 +1 -1 -0"},
		{"what ends comes before what begins", nemesis.Schedule{at(0, 5), at(5, 1)}, "+0 -0 +1 -1"},
		{"what ends comes before what begins and heals at once", nemesis.Schedule{at(0, 5), at(5, 0)}, "+0 -0 +1 -1"},
		{"likewise when it stands later in the schedule", nemesis.Schedule{at(5, 0), at(0, 5)}, "+1 -1 +0 -0"},
		{"a fault that heals at once heals after it began", nemesis.Schedule{at(3, 0)}, "+0 -0"},
		{"two of one instant that heal at once stay whole", nemesis.Schedule{at(3, 0), at(3, 0)}, "+0 -0 +1 -1"},
		{"two of one instant that end together", nemesis.Schedule{at(3, 2), at(3, 2)}, "+0 +1 -0 -1"},
	} {
		var got []string
		for _, a := range acts(row.schedule) {
			sign := "+"
			if a.heal {
				sign = "-"
			}
			got = append(got, fmt.Sprint(sign, a.fault))
		}
		if strings.Join(got, " ") != row.want {
			t.Errorf("%s: got %v, want %s", row.says, got, row.want)
		}
	}
}

// fakeCluster notes what a campaign does to it, with the instant at which it begins.
type fakeCluster struct {
	Cluster // nil: a campaign calls nothing beyond the methods below
	start   time.Time
	takes   map[string]time.Duration // how long an act takes
	fails   map[string]error         // what an act comes to
	log     []noted
	faults  []nemesis.Fault // as injected
	aims    []Aim
	lag     []string      // slaves that hold what the master holds; the others never will
	outage  time.Duration // how long nothing is acknowledged after a heal of what stopped nodes
	frozen  time.Time     // end of the present outage
	acked   int64
	looked  time.Time
}

type noted struct {
	what string
	at   time.Duration
}

// act takes its time, whatever becomes of ctx, and fails when it is to.
func (c *fakeCluster) act(ctx context.Context, what string) error {
	c.log = append(c.log, noted{what, time.Since(c.start)})
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", what, ctx.Err())
	}
	time.Sleep(c.takes[what])
	return c.fails[what]
}

func (c *fakeCluster) Inject(ctx context.Context, f nemesis.Fault, stamps Stamps) (Struck, error) {
	c.faults = append(c.faults, f)
	stamps.Fault(history.FaultStep{Name: string(f.Kind), Nodes: []string{"a-0"}, Phase: "start"})
	if err := c.act(ctx, "strike "+string(f.Kind)); err != nil {
		return nil, err
	}
	return fakeStruck{c, f}, nil
}

func (c *fakeCluster) QueueGroup() string { return "a" }

func (c *fakeCluster) Beside() []QueueGroup { return nil }

func (c *fakeCluster) LogEnd(context.Context) (int64, error) { return 2500, c.fails["log end"] }

func (c *fakeCluster) Aim(ctx context.Context, aim Aim) (time.Duration, error) {
	c.aims = append(c.aims, aim)
	return 70 * time.Millisecond, c.act(ctx, "aim")
}

func (c *fakeCluster) CatchUp(ctx context.Context) ([]string, error) {
	c.log = append(c.log, noted{"catch up", time.Since(c.start)})
	if c.fails["catch up"] != nil {
		<-ctx.Done()
		return c.lag, ctx.Err()
	}
	return c.lag, nil
}

// counts is a load of one acknowledgement each millisecond, but for outages.
func (c *fakeCluster) counts() loadgen.Snapshot {
	now := time.Now()
	if from := latest(c.looked, c.frozen); now.After(from) {
		c.acked += now.Sub(from).Milliseconds()
	}
	c.looked = now
	return loadgen.Snapshot{AckedTotal: c.acked, Acked: map[string]int64{fullStatus: c.acked}, Rate: 1000}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

type fakeStruck struct {
	c *fakeCluster
	f nemesis.Fault
}

func (s fakeStruck) Heal(ctx context.Context, stamps Stamps) error {
	if err := s.c.act(ctx, "heal "+string(s.f.Kind)); err != nil {
		return err
	}
	if s.f.Kind.TakesDown() {
		s.c.frozen = time.Now().Add(s.c.outage)
	}
	stamps.Fault(history.FaultStep{Name: string(s.f.Kind), Nodes: []string{"a-0"}, Phase: "heal", Effect: map[string]int64{"processes": 1}})
	return nil
}

// at returns the instants at which an act began.
func (c *fakeCluster) at(what string) []time.Duration {
	var all []time.Duration
	for _, n := range c.log {
		if n.what == what {
			all = append(all, n.at)
		}
	}
	return all
}

func (c *fakeCluster) acts() string {
	var all []string
	for _, n := range c.log {
		all = append(all, n.what)
	}
	return strings.Join(all, ", ")
}

// campaignOn lays out a campaign, which must run in a bubble of synctest, and returns it with what reads its history back.
func campaignOn(t *testing.T, cluster *fakeCluster, trial Trial) (*campaign, func() *history.History) {
	t.Helper()
	dir := t.TempDir()
	rec, err := history.Create(dir, history.Header{Nodes: []string{"a-0", "a-1"}, Masters: map[string]string{"a": "a-0"}}, history.Options{})
	if err != nil {
		t.Fatal(err)
	}
	closed := false
	t.Cleanup(func() {
		if !closed {
			rec.Close()
		}
	})
	j, err := newJournal(rec)
	if err != nil {
		t.Fatal(err)
	}
	cluster.start = time.Now()
	cluster.looked = cluster.start
	trial.Load.Rate = 1000
	c := &campaign{trial: &trial, cluster: cluster, clock: MachineClock{Start: time.Now()}, counts: cluster.counts, journal: j, say: func(string) {}, rng: rand.New(rand.NewPCG(1, 2))}
	return c, func() *history.History {
		closed = true
		if err := rec.Close(); err != nil {
			t.Fatal(err)
		}
		h, err := history.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
}

func TestClockStandsStillWhileFaultsAreDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := &fakeCluster{
			takes: map[string]time.Duration{"strike kill": 500 * time.Millisecond, "heal kill": 7 * time.Second, "heal pause": time.Second},
		}
		c, _ := campaignOn(t, cluster, Trial{Schedule: nemesis.Schedule{
			{Kind: nemesis.Kill, At: time.Second, Recovery: nemesis.Returns},
			{Kind: nemesis.Pause, At: 4 * time.Second, For: time.Second},
			{Kind: nemesis.Clog, At: 6 * time.Second, For: time.Second},
		}})
		if err := c.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got, want := cluster.acts(), "strike kill, heal kill, catch up, strike pause, heal pause, catch up, strike clog, heal clog"; got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
		if got, want := cluster.at("heal kill")[0], 1500*time.Millisecond; got != want {
			t.Errorf("what heals at once was healed at %v, want %v: when it had struck", got, want)
		}
		healed := cluster.at("heal kill")[0] + 7*time.Second
		// Beyond the 3 s that the schedule has between the two, what is fit waits for the group to serve.
		if quiet := cluster.at("strike pause")[0] - healed; quiet < 3*time.Second+between || quiet > 3*time.Second+2*between {
			t.Errorf("%v from the recovery to the next fault, want 3 s and the wait of %v", quiet, between)
		}
		if length := cluster.at("heal pause")[0] - cluster.at("strike pause")[0]; length != time.Second {
			t.Errorf("paused for %v, want 1s: the wait before it is none of it", length)
		}
		if quiet := cluster.at("strike clog")[0] - cluster.at("heal pause")[0] - time.Second; quiet < time.Second {
			t.Errorf("%v from one heal to the next fault, want the schedule's 1s", quiet)
		}
	})
}

func TestLaterFaultWaitsForService(t *testing.T) {
	for _, row := range []struct {
		says   string
		lag    []string
		fails  error
		waits  time.Duration // for slaves
		caught []string
	}{
		{says: "slaves that hold it all", lag: []string{"a-1", "a-2"}, caught: []string{"a-1", "a-2"}},
		{says: "a slave that never catches up does not count, and is waited for no longer than the limit",
			lag: []string{"a-1"}, fails: errors.New("never"), waits: catchUpLimit, caught: []string{"a-1"}},
	} {
		synctest.Test(t, func(t *testing.T) {
			cluster := &fakeCluster{lag: row.lag, outage: 2 * time.Second, fails: map[string]error{"catch up": row.fails}}
			c, read := campaignOn(t, cluster, Trial{Schedule: nemesis.Schedule{
				{Kind: nemesis.Kill, Recovery: nemesis.Returns}, {Kind: nemesis.Stop, At: time.Second, Recovery: nemesis.Returns},
			}})
			if err := c.run(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got, want := cluster.acts(), "strike kill, heal kill, catch up, strike stop, heal stop"; got != want {
				t.Errorf("%s: got %s, want %s", row.says, got, want)
			}
			if got := cluster.at("catch up")[0]; got < cluster.outage+between || got > cluster.outage+2*between {
				t.Errorf("%s: looked for the slaves at %v, want once the group had served for %v after %v", row.says, got, between, cluster.outage)
			}
			if got := cluster.at("strike stop")[0] - cluster.at("catch up")[0]; got != row.waits {
				t.Errorf("%s: waited %v for the slaves, want %v", row.says, got, row.waits)
			}
			var caught []string
			for _, line := range read().Caught {
				caught = append(caught, line.Node)
			}
			if !slices.Equal(caught, row.caught) {
				t.Errorf("%s: the history says that %v caught up, want %v", row.says, caught, row.caught)
			}
		})
	}
}

func TestServiceThatStaysAwayIsUnfit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := &fakeCluster{outage: time.Hour}
		c, _ := campaignOn(t, cluster, Trial{Schedule: nemesis.Schedule{
			{Kind: nemesis.Pause, For: time.Hour},
			{Kind: nemesis.Kill, Recovery: nemesis.Returns}, {Kind: nemesis.Stop, At: time.Second, Recovery: nemesis.Returns},
		}})
		var unfit *Unfit
		if err := c.run(t.Context()); !errors.As(err, &unfit) {
			t.Errorf("got %v, want why the trial proves nothing", err)
		}
		if got, want := cluster.acts(), "strike pause, strike kill, heal kill, heal pause"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}

func TestWhatWasStruckIsHealedAfterAnError(t *testing.T) {
	broken := errors.New("broken")
	pauseThenKill := nemesis.Schedule{
		{Kind: nemesis.Pause, For: 20 * time.Second}, {Kind: nemesis.Clog, At: time.Second, For: 20 * time.Second},
		{Kind: nemesis.Kill, At: 2 * time.Second, For: time.Second, Recovery: nemesis.Returns},
	}
	for _, row := range []struct {
		says  string
		fails string
		ends  time.Duration // when the context ends; 0: never
		want  string
	}{
		{"a fault that cannot be done", "strike kill", 0, "strike pause, strike clog, strike kill, heal pause, heal clog"},
		{"a recovery that fails is not tried twice", "heal kill", 0, "strike pause, strike clog, strike kill, heal kill, heal pause, heal clog"},
		{"the end of the context between two faults", "", 1500 * time.Millisecond, "strike pause, strike clog, heal pause, heal clog"},
		{"the end of the context while a node is down: it ends with the cluster", "", 2500 * time.Millisecond, "strike pause, strike clog, strike kill, heal pause, heal clog"},
		{"a heal that fails keeps no other from its heal", "heal pause", 2500 * time.Millisecond, "strike pause, strike clog, strike kill, heal pause, heal clog"},
	} {
		synctest.Test(t, func(t *testing.T) {
			cluster := &fakeCluster{fails: map[string]error{row.fails: broken}}
			c, _ := campaignOn(t, cluster, Trial{Schedule: pauseThenKill})
			ctx, want := t.Context(), broken
			if row.ends > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, row.ends)
				defer cancel()
				want = context.DeadlineExceeded
			}
			if err := c.run(ctx); !errors.Is(err, want) {
				t.Errorf("%s: got %v, want %v", row.says, err, want)
			}
			if got := cluster.acts(); got != row.want {
				t.Errorf("%s: got %s, want %s", row.says, got, row.want)
			}
		})
	}
}

func TestTwinStrikesNothing(t *testing.T) {
	schedule := nemesis.Schedule{
		{Kind: nemesis.Power, Recovery: nemesis.Returns}, {Kind: nemesis.Pause, At: time.Second, For: time.Second, Seed: 9},
	}
	for _, twin := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			cluster := &fakeCluster{}
			c, _ := campaignOn(t, cluster, Trial{Schedule: schedule, Twin: twin})
			if err := c.run(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got, want := cluster.acts(), "aim, strike power, heal power, catch up, strike pause, heal pause"; got != want {
				t.Errorf("twin %v: got %s, want %s: a twin goes through every step", twin, got, want)
			}
			for _, f := range cluster.faults {
				if f.Off != twin {
					t.Errorf("twin %v: %s was injected with Off %v", twin, f.Kind, f.Off)
				}
				if f.Seed == 0 || f.Kind == nemesis.Pause && f.Seed != 9 {
					t.Errorf("%s was injected with seed %d; want one drawn where there is none, and the given one kept", f.Kind, f.Seed)
				}
			}
		})
	}
}

func TestCutsAreAimed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := &fakeCluster{}
		trial := Trial{Index: 1, Of: 3, Schedule: nemesis.Schedule{{Kind: nemesis.Power, At: time.Second, Recovery: nemesis.Returns}}}
		trial.Contract.FlushDiskType, trial.Load.Window = "SYNC_FLUSH", WindowUnderLoad
		c, _ := campaignOn(t, cluster, trial)
		if err := c.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(cluster.aims) != 1 {
			t.Fatalf("aimed %d times, want once", len(cluster.aims))
		}
		aim := cluster.aims[0]
		if u := aim.U; u < 0 || u >= 1 {
			t.Errorf("got u = %v, want it in [0, 1)", u)
		}
		aim.U = 0
		if want := (Aim{Stratum: 1, Of: 3, Window: WindowUnderLoad, Synchronous: true}); aim != want {
			t.Errorf("got %+v, want %+v", aim, want)
		}
		if c.journal.sinceSync != 70*time.Millisecond || c.journal.recordBytes != 2.5 {
			t.Errorf("got %v since the sync and %v bytes a record, want 70ms and 2500 bytes over 1000 acknowledgements", c.journal.sinceSync, c.journal.recordBytes)
		}
	})
}

// TestQuietBeforeTheFirstFault: nothing is sent until it has struck, and nothing is aimed at, for there may be no fsync.
func TestQuietBeforeTheFirstFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := &fakeCluster{}
		c, _ := campaignOn(t, cluster, Trial{Index: 1, Of: 2, Load: FaultLoad{Quiet: 4 * time.Second, Window: 10 * time.Second}, Schedule: nemesis.Schedule{
			{Kind: nemesis.Power, Recovery: nemesis.Returns}, {Kind: nemesis.Power, At: time.Second, Recovery: nemesis.Returns},
		}})
		c.quiet = func(on bool) { cluster.act(t.Context(), fmt.Sprint("quiet ", on)) }
		if err := c.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got, want := cluster.acts(), "quiet true, strike power, quiet false, heal power, catch up, aim, strike power, quiet false, heal power"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		begin := cluster.at("quiet true")[0]
		if begin < 5*time.Second || begin >= 10*time.Second {
			t.Errorf("the second pause of two began at %v, want it in the second half of the window of 10s", begin)
		}
		if at := cluster.at("strike power")[0]; at != begin+4*time.Second {
			t.Errorf("the first fault struck %v after the pause began, want 4s", at-begin)
		}
		if c.journal.recordBytes == 0 {
			t.Error("what the cut takes was not predicted")
		}
	})
}

func TestNoneDoesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := &fakeCluster{}
		c, read := campaignOn(t, cluster, Trial{Schedule: nemesis.Schedule{{Kind: nemesis.None, For: 3 * time.Second}}})
		if err := c.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(cluster.log) > 0 {
			t.Errorf("got %s, want nothing", cluster.acts())
		}
		if got := time.Since(cluster.start); got != 3*time.Second {
			t.Errorf("it took %v, want the 3 s that the schedule lasts", got)
		}
		if h := read(); len(h.Faults) > 0 {
			t.Errorf("the history has faults %v", h.Faults)
		}
	})
}
