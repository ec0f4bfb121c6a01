package loadgen

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestConstant(t *testing.T) {
	for _, row := range []struct {
		what string
		rate uint64
		n    uint64
		want time.Duration
	}{
		{"the first is at once", 3, 0, 0},
		{"a third of a second, rounded down", 3, 1, 333_333_333},
		{"thirds do not drift", 3, 3, time.Second},
		{"after a year at 1 M/s, still exact", 1_000_000, 31_536_000_000_000 + 1, 31_536_000*time.Second + time.Microsecond},
		{"one an operation a second", 1, 86_400, 86_400 * time.Second},
		{"faster than a nanosecond each", 3_000_000_000, 4, 1},
	} {
		if got, more := (Constant{row.rate}).At(row.n); got != row.want || !more {
			t.Errorf("%s: got %v, want %v", row.what, got, row.want)
		}
	}
}

// TestPacersNeverGoBack covers both pacers: in order, seekable, and with the mean rate kept.
func TestPacersNeverGoBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.Uint64Range(1, 10_000_000).Draw(t, "rate")
		from := rapid.Uint64Range(0, 1<<32).Draw(t, "from")
		seed := rapid.Uint64().Draw(t, "seed")
		for _, p := range []Pacer{Constant{rate}, &Poisson{Rate: rate, Seed: seed}} {
			last, _ := p.At(from)
			for n := from; n < from+600; n++ {
				at, more := p.At(n)
				if at < last || !more {
					t.Fatalf("%T: operation %d at %v after %v", p, n, at, last)
				}
				last = at
			}
			exact, _ := Constant{rate}.At(from)
			window := time.Duration(poissonBlock * uint64(time.Second) / rate)
			if again, _ := p.At(from); again < exact-window-1 || again > exact+window+1 {
				t.Fatalf("%T: operation %d at %v, far from %v", p, from, again, exact)
			}
		}
	})
}

// TestPoissonBursts: the intervals must be as uneven as those of independent clients. For exponential intervals the
// share above the mean is 1/e = 36.8%; for equal ones it would be none.
func TestPoissonBursts(t *testing.T) {
	p := Poisson{Rate: 1000, Seed: 1}
	const n = 100_000
	longer := 0
	last, _ := p.At(0)
	for i := uint64(1); i <= n; i++ {
		at, _ := p.At(i)
		if at-last > time.Millisecond {
			longer++
		}
		last = at
	}
	if share := longer * 1000 / n; share < 360 || share > 376 {
		t.Errorf("got %d of 1000 intervals above the mean, want about 368", share)
	}
}

func TestSpinStaysWithinItsBudget(t *testing.T) {
	for rate, want := range map[int]time.Duration{0: 0, 1: spinMax, 5000: spinMax, 5001: 0, 1_000_000: 0} {
		if got := spinFor(rate); got != want {
			t.Errorf("%d a second: got %v, want %v", rate, got, want)
		}
	}
}
