package result

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
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

// power is a trial that had its effect, with a prediction unless that is negative.
func power(lost int64, predicted float64) Trial {
	t := Trial{Verdict: LossWithinContract, Lost: map[string]int64{"SEND_OK": lost}}
	if predicted >= 0 {
		t.Predicted = &predicted
	}
	return t
}

func TestPoolRPO(t *testing.T) {
	void := power(0, 0)
	void.Verdict = Inconclusive
	ten := []Trial{}
	for i := range 10 {
		ten = append(ten, power(int64(100*(i+1)), -1))
	}
	for _, row := range []struct {
		says   string
		trials []Trial
		want   *RPO
	}{
		{"nothing had its effect", []Trial{void}, nil},
		{"without a prediction", []Trial{power(4, -1), void}, &RPO{Median: 4, Max: 4, LossyCuts: 1, Cuts: 1, Upper95: 1}},
		{"one agrees, one does not, one has none", []Trial{power(100, 120), power(10, 120), power(7, -1)},
			&RPO{Median: 10, Max: 100, LossyCuts: 3, Cuts: 3, Upper95: 1, Predicted: new(120.0), PredictedCuts: 2, Agreeing: 1, Ratio: new((100.0/120 + 10.0/120) / 2)}},
		{"nothing predicted and nothing lost", []Trial{power(0, 0)},
			&RPO{Cuts: 1, Upper95: 0.95, Predicted: new(0.0), PredictedCuts: 1, Agreeing: 1}},
		{"nothing predicted and something lost", []Trial{power(1, 0)},
			&RPO{Median: 1, Max: 1, LossyCuts: 1, Cuts: 1, Upper95: 1, Predicted: new(0.0), PredictedCuts: 1}},
		{"ten cuts have a quantile", ten, &RPO{Median: 550, P90: new(900.0), Max: 1000, LossyCuts: 10, Cuts: 10, Upper95: 1}},
	} {
		got := PoolRPO(row.trials)
		if diff := cmp.Diff(got, row.want, cmpopts.EquateApprox(0, 1e-9)); diff != "" {
			t.Errorf("%s: got -, want +:\n%s", row.says, diff)
		}
	}
}

// TestQuantile holds the definition: so many values lie at or below it, and fewer below the next smaller value.
func TestQuantile(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Float64Range(0, 1000), 1, 40).Draw(t, "values")
		q := rapid.Float64Range(0.01, 1).Draw(t, "q")
		got := Quantile(values, q)
		below, at := 0, 0
		for _, v := range values {
			if v < got {
				below++
			}
			if v <= got {
				at++
			}
		}
		need := q * float64(len(values))
		if float64(at) < need-1e-9 || float64(below) >= need+1e-9 {
			t.Fatalf("%v of %v: %d below, %d at or below", q, values, below, at)
		}
	})
	if got := Quantile(nil, 0.5); got != 0 {
		t.Errorf("of nothing: got %v, want 0", got)
	}
}

func TestPoolRTO(t *testing.T) {
	alone := Trial{Verdict: Kept, Alone: true, RTOMS: 900, DeliveryRTOMS: 950}
	beside := Trial{Verdict: Kept, RTOMS: 5000, DeliveryRTOMS: 5001}
	void := Trial{Verdict: Inconclusive, Alone: true, RTOMS: 7000}
	for _, row := range []struct {
		says   string
		trials []Trial
		asked  bool
		want   *RTO
	}{
		{"nobody ran alone", []Trial{beside}, false, nil},
		{"those beside others do not count", []Trial{beside, alone}, true, &RTO{MS: 900, DeliveryMS: 950, MedianMS: 900}},
		{"an inconclusive trial does not count", []Trial{void}, true, nil},
		{"the longest, and the median", []Trial{alone, {Verdict: Kept, Alone: true, RTOMS: 1100}}, true, &RTO{MS: 1100, DeliveryMS: 950, MedianMS: 1000}},
	} {
		if diff := cmp.Diff(PoolRTO(row.trials), row.want); diff != "" {
			t.Errorf("%s: got -, want +:\n%s", row.says, diff)
		}
		if got := (&Cell{Trials: row.trials}).AskedRTO(); got != row.asked {
			t.Errorf("%s: asked %v, want %v", row.says, got, row.asked)
		}
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
