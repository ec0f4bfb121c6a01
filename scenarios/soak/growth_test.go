package soak

import (
	"slices"
	"testing"

	"holdfast/checker"
	"holdfast/reports/result"
)

// looks returns n looks at one process of a node, one a second, each made by at.
func looks(node string, life, n int, at func(i int, s *sample)) []sample {
	var all []sample
	for i := range n {
		s := sample{Node: node, Life: life, At: float64(i), Age: float64(i), Anonymous: 40 << 20, Open: 20, StoreOpen: 10, StoreFiles: 12, Goroutines: 30, Threads: 8}
		at(i, &s)
		all = append(all, s)
	}
	return all
}

func steady(int, *sample) {}

func TestGrowth(t *testing.T) {
	for _, tc := range []struct {
		name    string
		samples []sample
		grown   []string // what is beyond its bound, and over what
	}{
		{"nothing grows", looks("a-0", 1, 100, steady), nil},
		{"too few looks say nothing", looks("a-0", 1, youngSeconds+samplesMin-1, func(i int, s *sample) { s.Goroutines = i * 100 }), nil},
		{"a goroutine a second", looks("a-0", 1, 100, func(i int, s *sample) { s.Goroutines += i }), []string{"goroutines over the run", "goroutines over process 1"}},
		{"a MiB a second", looks("a-0", 1, 100, func(i int, s *sample) { s.Anonymous += int64(i) << 20 }), []string{"anonymous memory over the run", "anonymous memory over process 1"}},
		{"a socket every other second", looks("a-0", 1, 100, func(i int, s *sample) { s.Open += i / 2 }), []string{"open files and sockets over the run", "open files and sockets over process 1"}},
		{"a file of the store opened again and again", looks("a-0", 1, 100, func(i int, s *sample) { s.StoreOpen += i }),
			[]string{"open files of the store beyond those there are over the run", "open files of the store beyond those there are over process 1"}},
		{"the store has more files, each open once", looks("a-0", 1, 100, func(i int, s *sample) { s.StoreOpen, s.StoreFiles = i, i }), nil},
		{"a young process fills its buffers", looks("a-0", 1, 100, func(i int, s *sample) {
			if i < youngSeconds {
				s.Anonymous = int64(i) << 20
			}
		}), nil},
		{"each process more than the one before", slices.Concat(looks("a-0", 1, 50, steady), looks("a-0", 2, 50, steady), looks("a-0", 3, 50, func(_ int, s *sample) { s.Threads = 40 })),
			[]string{"threads over the run"}},
		{"what is not measured is not compared", looks("a-0", 1, 100, func(i int, s *sample) { s.Goroutines = -1 }), nil},
	} {
		g := gauge{samples: tc.samples}
		_, all := g.judge()
		var grown []string
		for _, one := range all {
			if !one.Ok {
				grown = append(grown, one.What+" over "+one.Over)
			}
		}
		if !slices.Equal(grown, tc.grown) {
			t.Errorf("%s: got %q, want %q", tc.name, grown, tc.grown)
		}
	}
}

// whole is a report of a soak in which all was well.
func whole() *Report {
	r := newReport(Config{Contract: result.Contract{BrokerRole: "SYNC_MASTER", InSyncReplicas: 2, FlushDiskType: "ASYNC_FLUSH"}})
	for _, f := range rounds {
		r.Faults[string(f.Kind)+" "+string(f.Target)] = 1
	}
	r.Members = Tally{Joined: 9, Left: 3, Crashed: 2}
	r.Groups = []Group{{Name: "g", Moves: 5}}
	g := gauge{samples: looks("a-0", 1, 100, steady)}
	r.Nodes, r.Growth = g.judge()
	return r
}

func TestVerdict(t *testing.T) {
	for _, tc := range []struct {
		name  string
		spoil func(r *Report)
		want  string
	}{
		{"all is well", func(*Report) {}, Kept},
		{"a message is lost", func(r *Report) { r.History.Verdict = checker.LossWithinContract }, Failed},
		{"the history proves nothing", func(r *Report) { r.History.Verdict = checker.Inconclusive }, Inconclusive},
		{"a group was not given a message", func(r *Report) { r.Groups[0].Missing = 1 }, Failed},
		{"a group was given a message too early", func(r *Report) { r.Groups[0].Skipped = 1 }, Failed},
		{"nothing was rebalanced", func(r *Report) { r.Groups[0].Moves = 0 }, Inconclusive},
		{"something grew", func(r *Report) { r.Growth[0].Ok = false }, Failed},
		{"nothing was compared", func(r *Report) { r.Growth = nil }, Inconclusive},
		{"goroutines were not seen", func(r *Report) { r.Nodes[0].Goroutines = nil }, Inconclusive},
		{"the master was never killed", func(r *Report) { delete(r.Faults, "kill master") }, Inconclusive},
		{"no member crashed", func(r *Report) { r.Members.Crashed = 0 }, Inconclusive},
		{"a member died", func(r *Report) { r.Members.Died = 1 }, Inconclusive},
		{"a loss outweighs what proves nothing", func(r *Report) { r.Groups[0].Missing = 1; r.Members.Crashed = 0 }, Failed},
	} {
		r := whole()
		tc.spoil(r)
		r.conclude()
		if r.Verdict != tc.want || (len(r.Reasons) == 0) != (tc.want == Kept) {
			t.Errorf("%s: got %s %q, want %s", tc.name, r.Verdict, r.Reasons, tc.want)
		}
	}
}
