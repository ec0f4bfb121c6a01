package sim

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"holdfast/checker"
	"holdfast/reports/result"
	"holdfast/scenarios"
	"holdfast/scenarios/scenario"
)

var rewrite = flag.Bool("rewrite", false, "write testdata/hashes.txt anew")

// caseOf is a case of an embedded scenario.
func caseOf(t testing.TB, name, contract string, seed uint64) Case {
	t.Helper()
	s, err := scenario.Embedded(name)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := scenarios.SelectContracts([]string{contract})
	if err != nil {
		t.Fatal(err)
	}
	return Case{Scenario: s, Profile: "rocketmq-5", Contract: rows[0], Seed: seed}
}

func do(t testing.TB, c Case) Run {
	t.Helper()
	r, err := c.Do(t.Context(), Watch{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// many is how many seeds a test takes: more where somebody asks for it.
func many(t testing.TB, few int) uint64 {
	t.Helper()
	n, err := strconv.Atoi(os.Getenv("HOLDFAST_SEEDS"))
	if os.Getenv("HOLDFAST_SEEDS") != "" && err != nil {
		t.Fatalf("HOLDFAST_SEEDS: %v", err)
	}
	return uint64(max(n, few))
}

// TestReplay runs seeds again and again, with other numbers of processors: the hash of all that happens is one.
func TestReplay(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	c := caseOf(t, "storm", "SYNC_MASTER/2+ASYNC_FLUSH", 1)
	want := do(t, c).Hash
	for i := range many(t, 10) {
		runtime.GOMAXPROCS(1 + int(i)%2)
		if got := do(t, c).Hash; got != want {
			t.Fatalf("run %d: hash %016x, want %016x", i+2, got, want)
		}
	}
	c.Seed++
	if other := do(t, c).Hash; other == want {
		t.Errorf("seeds 1 and 2 have one hash, %016x", want)
	}
}

// TestHashes holds the hashes of some seeds against those of another processor: what differs by architecture differs here.
func TestHashes(t *testing.T) {
	const file = "testdata/hashes.txt"
	var b strings.Builder
	for _, name := range []string{"storm", "storm-pair", "power-returns", "reads-from-slave", "clock-drift"} {
		for _, contract := range []string{"ASYNC_MASTER+SYNC_FLUSH", "SYNC_MASTER/2+ASYNC_FLUSH"} {
			for _, seed := range []uint64{11, 12} { // without and with requests by message
				r := do(t, caseOf(t, name, contract, seed))
				fmt.Fprintf(&b, "%s %s %d %016x\n", name, contract, seed, r.Hash)
			}
		}
	}
	if *rewrite {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("hashes on %s are\n%swant\n%s(a change of the broker, the client or the simulator changes them: -rewrite)", runtime.GOARCH, b.String(), want)
	}
}

// TestTheTraceTellsTheRun and changes nothing of it.
func TestTheTraceTellsTheRun(t *testing.T) {
	c := caseOf(t, "power-returns", "ASYNC_MASTER+SYNC_FLUSH", 4)
	var lines bytes.Buffer
	told, err := c.Do(t.Context(), Watch{Lines: &lines, Moves: true})
	if err != nil {
		t.Fatal(err)
	}
	if silent := do(t, c); told.Hash != silent.Hash {
		t.Errorf("hash %016x with a trace, %016x without", told.Hash, silent.Hash)
	}
	for _, want := range []string{"nemesis  power of [a-0]", "a-0      starts: commit log", "sync up to", "SUCCESS #"} {
		if !strings.Contains(lines.String(), want) {
			t.Errorf("the trace does not say %q", want)
		}
	}
	if len(told.Moves) == 0 {
		t.Error("nothing to draw")
	}
}

// TestSyncFlushLosesNothing in any single power loss whose nodes return, under any contract.
func TestSyncFlushLosesNothing(t *testing.T) {
	for _, contract := range []string{"ASYNC_MASTER+SYNC_FLUSH", "SYNC_MASTER/1+SYNC_FLUSH", "SYNC_MASTER/2+SYNC_FLUSH"} {
		t.Run(contract, func(t *testing.T) {
			kept := 0
			tell(t, caseOf(t, "power-returns", contract, 0), many(t, 25), func(r Run) {
				if lost := result.Sum(r.Verdict.Lost); lost > 0 {
					t.Errorf("seed %d lost %d messages: %v", r.Case.Seed, lost, r.Verdict.Anomalies)
				}
				if r.Broken == "" && r.Verdict.Verdict != checker.Inconclusive {
					kept++
				}
			})
			if kept == 0 {
				t.Error("no seed proves anything")
			}
		})
	}
}

// TestControlledKeeps holds a group under a controller in every schedule of a storm: what is lost had lost all its copies.
func TestControlledKeeps(t *testing.T) {
	for _, contract := range []string{"SYNC_MASTER/2+ASYNC_FLUSH", "SYNC_MASTER/2+SYNC_FLUSH"} {
		t.Run(contract, func(t *testing.T) {
			c := caseOf(t, "storm", contract, 0)
			c.Profile = "holdfast"
			judged := 0
			tell(t, c, many(t, 8), func(r Run) {
				if r.Verdict.Verdict == checker.Violated {
					t.Errorf("seed %d: violated: %v", r.Case.Seed, r.Verdict.Violated)
				}
				if r.Broken == "" && r.Verdict.Verdict != checker.Inconclusive {
					judged++
				}
			})
			if judged == 0 {
				t.Error("no seed proves anything")
			}
		})
	}
}

// TestTheControlLoses holds the simulator itself: ASYNC_FLUSH loses in nearly every power loss.
func TestTheControlLoses(t *testing.T) {
	lossy, all := 0, many(t, 25)
	tell(t, caseOf(t, "power-returns", "ASYNC_MASTER+ASYNC_FLUSH", 0), all, func(r Run) {
		if result.Sum(r.Verdict.Lost) > 0 {
			lossy++
		}
		if r.Verdict.Verdict == checker.Violated {
			t.Errorf("seed %d: violated: %v", r.Case.Seed, r.Verdict.Violated)
		}
	})
	if lossy*10 < int(all)*8 {
		t.Errorf("%d of %d cuts lost something", lossy, all)
	}
}

// tell runs seeds 1 to n on all cores.
func tell(t *testing.T, c Case, n uint64, take func(r Run)) {
	t.Helper()
	err := Search(t.Context(), c, Range{From: 1, To: n}.Seeds(), 0, func(r Run) bool {
		if r.Broken != "" && !r.Unfit {
			t.Fatalf("seed %d: %s", r.Case.Seed, r.Broken)
		}
		take(r)
		return false
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestTransientPool: kill -9 takes what was acknowledged from the broker's own memory, and nothing where that is the page cache.
func TestTransientPool(t *testing.T) {
	for seed := range many(t, 3) {
		pool := caseOf(t, "kill-transient-pool", "ASYNC_MASTER+ASYNC_FLUSH", seed+1)
		pool.Contract = pool.Scenario.Rows()[0]
		if r := do(t, pool); r.Verdict.Verdict != checker.LossWithinContract {
			t.Errorf("with the pool, seed %d: %v, want loss-within-contract", seed+1, r.Verdict.Verdict)
		}
		if r := do(t, caseOf(t, "kill-returns", "ASYNC_MASTER+ASYNC_FLUSH", seed+1)); r.Verdict.Verdict != checker.Kept {
			t.Errorf("without it, seed %d: %v, want kept", seed+1, r.Verdict.Verdict)
		}
	}
}

// TestDivergenceIsFoundAndShrunk finds the flaw of classic HA and makes it small; the scenario file that comes out is the run.
func TestDivergenceIsFoundAndShrunk(t *testing.T) {
	var failed *Run
	err := Search(t.Context(), caseOf(t, "storm-pair", "SYNC_MASTER/2+ASYNC_FLUSH", 0), Range{From: 1, To: 50}.Seeds(), 0, func(r Run) bool {
		if slices.Contains(r.Verdict.Violated, "divergence") {
			failed = &r
		}
		return failed != nil
	})
	if err != nil || failed == nil {
		t.Fatalf("no divergence in 50 seeds: %v", err)
	}
	small, err := Shrink(t.Context(), *failed, 120, nil)
	if err != nil {
		t.Fatal(err)
	}
	r := small.Run
	if r.Faults > 3 || r.Sends > 10 {
		t.Errorf("%d faults and %d messages after %d runs, want at most 3 and 10", r.Faults, r.Sends, small.Runs)
	}
	i := slices.IndexFunc(r.Verdict.Findings, func(f checker.Finding) bool { return f.Anomaly == r.Verdict.Violated[0] && len(f.Ops) >= 2 })
	if i < 0 {
		t.Errorf("no finding names two operations: %+v", r.Verdict.Findings)
	}
	r.Case.Scenario.Name = "small"
	s, err := scenario.Parse("small.yaml", r.Case.Scenario.Encode())
	if err != nil {
		t.Fatal(err)
	}
	again := r.Case
	again.Scenario = s
	if got := do(t, again).Hash; got != r.Hash {
		t.Errorf("the file's hash is %016x, that of the run %016x:\n%s", got, r.Hash, r.Case.Scenario.Encode())
	}
}

func TestShards(t *testing.T) {
	var all []uint64
	for i := range 3 {
		all = append(all, Range{From: 5, To: 14, Shard: i + 1, Of: 3}.Seeds()...)
	}
	slices.Sort(all)
	if want := (Range{From: 5, To: 14}).Seeds(); !slices.Equal(all, want) {
		t.Errorf("got %v, want %v", all, want)
	}
}

// TestSearchHandsOverInOrder and stops where it is told to.
func TestSearchHandsOverInOrder(t *testing.T) {
	c := caseOf(t, "healthy", "ASYNC_MASTER+ASYNC_FLUSH", 0)
	var seeds []uint64
	err := Search(t.Context(), c, Range{From: 3, To: 40}.Seeds(), 4, func(r Run) bool {
		seeds = append(seeds, r.Case.Seed)
		return r.Case.Seed == 9
	})
	if err != nil || !slices.Equal(seeds, []uint64{3, 4, 5, 6, 7, 8, 9}) {
		t.Errorf("got %v, %v", seeds, err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Search(ended, c, []uint64{1}, 1, func(Run) bool { return false }); err == nil {
		t.Error("a search whose context has ended does not err")
	}
}

// BenchmarkSeeds runs three brokers under some three faults with some thousand operations.
func BenchmarkSeeds(b *testing.B) {
	c := caseOf(b, "storm", "SYNC_MASTER/2+SYNC_FLUSH", 0)
	c.Scenario.Load.Rate = 70
	ops, faults := 0, 0
	for b.Loop() {
		c.Seed++
		r := do(b, c)
		ops += r.Ops
		faults += r.Faults
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "seeds/s")
	b.ReportMetric(float64(ops)/b.Elapsed().Seconds(), "operations/s")
	b.ReportMetric(float64(ops)/float64(b.N), "operations/seed")
	b.ReportMetric(float64(faults)/float64(b.N), "faults/seed")
}

type panicking struct{}

func (panicking) Write([]byte) (int, error) { panic("boom") }

// A panic of what is simulated is told with its seed, and ends no search of others.
func TestPanicIsTold(t *testing.T) {
	r, err := caseOf(t, "power-returns", "ASYNC_MASTER+SYNC_FLUSH", 7).Do(t.Context(), Watch{Lines: panicking{}})
	if err != nil || r.Unfit || !strings.HasPrefix(r.Broken, Panicked+"boom\n") || !strings.Contains(r.Broken, "sim_test.go") || r.Case.Seed != 7 {
		t.Errorf("seed %d: %v, unfit %v, %.100q", r.Case.Seed, err, r.Unfit, r.Broken)
	}
}
