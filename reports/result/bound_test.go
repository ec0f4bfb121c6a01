package result

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestUpper95Stated(t *testing.T) {
	for _, row := range []struct {
		says        string
		lossy, cuts int
		want        float64
	}{
		{"one cut proves next to nothing", 0, 1, 0.95},
		{"three cuts", 0, 3, 0.6316},
		{"sixty cuts", 0, 60, 0.0487},
		{"every cut was lossy", 3, 3, 1},
		{"one of three: 1 - the root of p^3 + 3 p^2 (1-p) ...", 1, 3, 0.8647},
		{"no cut at all", 0, 0, 1},
	} {
		if got := Upper95(row.lossy, row.cuts); math.Abs(got-row.want) > 0.0001 {
			t.Errorf("%s: Upper95(%d, %d) = %.4f, want %.4f", row.says, row.lossy, row.cuts, got, row.want)
		}
	}
}

// TestUpper95Exact holds the bound against its definition: were the probability the bound, so few lossy cuts would come with 5%.
func TestUpper95Exact(t *testing.T) {
	for cuts := 1; cuts <= 25; cuts++ {
		for lossy := range cuts {
			p := Upper95(lossy, cuts)
			tail, term := 0.0, math.Pow(1-p, float64(cuts))
			for i := 0; i <= lossy; i++ {
				tail += term
				term *= float64(cuts-i) / float64(i+1) * p / (1 - p)
			}
			if math.Abs(tail-0.05) > 1e-9 {
				t.Errorf("%d of %d lossy: bound %v leaves %v, want 0.05", lossy, cuts, p, tail)
			}
		}
	}
}

func TestSpread(t *testing.T) {
	for _, row := range []struct {
		says   string
		values []float64
		want   [3]float64
	}{
		{"nothing", nil, [3]float64{}},
		{"one", []float64{7}, [3]float64{7, 7, 7}},
		{"odd, unsorted", []float64{9, 1, 4}, [3]float64{1, 4, 9}},
		{"even: the mean of the middle", []float64{1, 4, 6, 9}, [3]float64{1, 5, 9}},
	} {
		lo, mid, hi := Spread(row.values)
		if got := [3]float64{lo, mid, hi}; got != row.want {
			t.Errorf("%s: got %v, want %v", row.says, got, row.want)
		}
	}
}

func TestNewRPO(t *testing.T) {
	if got := NewRPO(nil); got != nil {
		t.Errorf("no cut with its effect: got %+v, want nil", got)
	}
	got := NewRPO([]int64{0, 1002, 611})
	want := &RPO{Median: 611, Max: 1002, LossyCuts: 2, Cuts: 3, Upper95: Upper95(2, 3)}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("got -, want +:\n%s", diff)
	}
}

func TestSampleKeepsTheRare(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fates := []Fate{FateKept, FateKept, FateKept, FateKept, FateLost, FateUnknown, FateFailed}
		var ops []Op
		total := map[Fate]int{}
		for i := range rapid.IntRange(0, 300).Draw(t, "ops") {
			op := Op{T: rapid.Float64Range(0, 1000).Draw(t, "t"), MS: float64(i), Fate: rapid.SampledFrom(fates).Draw(t, "fate")}
			ops = append(ops, op)
			total[op.Fate]++
		}
		limit := rapid.IntRange(0, 200).Draw(t, "limit")
		sample := Sample(ops, limit)
		if want := min(limit, len(ops)); len(sample) != want {
			t.Fatalf("%d of %d operations with a limit of %d, want %d", len(sample), len(ops), limit, want)
		}
		kept, seen := map[Fate]int{}, map[float64]bool{}
		for i, op := range sample {
			if i > 0 && op.T < sample[i-1].T {
				t.Fatalf("operation %d at %v after one at %v", i, op.T, sample[i-1].T)
			}
			if seen[op.MS] {
				t.Fatalf("operation %v stands twice", op.MS)
			}
			seen[op.MS] = true
			kept[op.Fate]++
		}
		for fate, n := range total {
			if want := min(n, limit/len(total)); kept[fate] < want {
				t.Fatalf("%d of %d %s operations kept, want at least %d", kept[fate], n, fate, want)
			}
		}
	})
}
