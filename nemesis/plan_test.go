package nemesis

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// drawMix draws a valid mix and its timing.
func drawMix(t *rapid.T) (Mix, Timing) {
	second := func(name string, from, to int) time.Duration {
		return time.Duration(rapid.IntRange(from, to).Draw(t, name)) * time.Second
	}
	timing := Timing{Length: second("length", 1, 120)}
	timing.Quiet.From = time.Duration(rapid.IntRange(200, 3000).Draw(t, "quiet")) * time.Millisecond
	timing.Quiet.To = timing.Quiet.From + second("more quiet", 0, 3)
	timing.For.From = time.Duration(rapid.IntRange(1, 5000).Draw(t, "for")) * time.Millisecond
	timing.For.To = timing.For.From + second("longer", 0, 5)
	mix := make(Mix, rapid.IntRange(1, 8).Draw(t, "choices"))
	for i := range mix {
		mix[i] = drawChoice(t)
	}
	return mix, timing
}

func drawChoice(t *rapid.T) Choice {
	c := Choice{Kind: rapid.SampledFrom(Kinds()[1:]).Draw(t, "kind"), Weight: rapid.IntRange(0, 4).Draw(t, "weight")}
	c.Targets = rapid.SliceOfN(rapid.SampledFrom(c.Kind.Targets()), 0, 3).Draw(t, "targets")
	if !slices.Contains(c.Targets, All) && !slices.Contains(c.Targets, Slave) && c.Kind.Stops() && c.Kind != Promote {
		c.Recoveries = rapid.SliceOfN(rapid.SampledFrom(Recoveries()), 0, 2).Draw(t, "recoveries")
	}
	for _, name := range c.Kind.Needs() {
		switch name {
		case "percent":
			c.Low.Percent = float64(rapid.IntRange(1, 50).Draw(t, "percent"))
			c.High.Percent = c.Low.Percent + float64(rapid.IntRange(0, 50).Draw(t, "more percent"))
		case "delay":
			c.Low.Delay = time.Duration(rapid.IntRange(1, 1000).Draw(t, "delay"))
			c.High.Delay = c.Low.Delay * time.Duration(rapid.IntRange(1, 1_000_000).Draw(t, "times"))
		case "rate":
			c.Low.Rate, c.High.Rate = 1, rapid.Int64Range(0, 1<<30).Draw(t, "rate")
		case "ppm":
			c.Low.PPM = 0.5
		case "version":
			c.Low.Version = "5.5.0"
		}
	}
	return c
}

func planned(seed uint64, mix Mix, timing Timing) Schedule {
	return Plan(rand.New(rand.NewPCG(seed, 0)), mix, timing)
}

// TestPlans holds what every plan has: valid faults, one after another, quiet between them and at the end, and the same ones for the same seed.
func TestPlans(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mix, timing := drawMix(t)
		if err := timing.Validate(); err != nil {
			t.Fatalf("the timing that was drawn: %v", err)
		}
		if err := mix.Validate(timing); err != nil {
			t.Fatalf("the mix that was drawn: %v", err)
		}
		seed := rapid.Uint64().Draw(t, "seed")
		s := planned(seed, mix, timing)
		if diff := cmp.Diff(planned(seed, mix, timing), s); diff != "" {
			t.Fatalf("the same seed gave another schedule:\n%s", diff)
		}
		if err := s.Validate(); err != nil {
			t.Fatal(err)
		}
		for i := 1; i < len(s); i++ {
			quiet := s[i].At - s[i-1].At - s[i-1].For
			if quiet < timing.Quiet.From || quiet > timing.Quiet.To {
				t.Fatalf("%v of quiet before fault %d, of %v:\n%v", quiet, i+1, timing.Quiet, s)
			}
		}
		if len(s) > 0 && s.End() > timing.Length-timing.Quiet.From {
			t.Fatalf("no quiet phase after %v, of %v", s.End(), timing.Length)
		}
		if len(s) == 0 && timing.Length >= timing.Quiet.From+timing.For.To {
			t.Fatalf("no fault, although one of %v fits", timing.For.To)
		}
	})
}

// TestRotation holds that no kind strikes twice in a row while another waits, and that in whole rounds each has its share.
func TestRotation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kinds := rapid.SliceOfNDistinct(rapid.SampledFrom([]Kind{Kill, Pause, Power, Partition, Clog, DiskLost}), 2, 6, func(k Kind) Kind { return k }).Draw(t, "kinds")
		var mix Mix
		for _, k := range kinds {
			mix = append(mix, Choice{Kind: k})
		}
		timing := Timing{Length: time.Minute, Quiet: Range{100 * time.Millisecond, 100 * time.Millisecond}, For: Range{time.Millisecond, 500 * time.Millisecond}}
		s := planned(rapid.Uint64().Draw(t, "seed"), mix, timing)
		last := map[Kind]int{}
		for i, f := range s {
			if i > 0 && f.Kind == s[i-1].Kind {
				t.Fatalf("%s twice in a row:\n%v", f.Kind, s)
			}
			if wait := i - last[f.Kind]; wait >= 2*len(kinds) {
				t.Fatalf("%s waited for %d turns of %d kinds:\n%v", f.Kind, wait, len(kinds), s)
			}
			last[f.Kind] = i
		}
		if len(last) != len(kinds) {
			t.Fatalf("%d of %d kinds had a turn", len(last), len(kinds))
		}
	})
}

func TestWeights(t *testing.T) {
	quiet := Range{time.Millisecond, time.Millisecond}
	mix := Mix{{Kind: Kill, Weight: 2}, {Kind: Pause}, {Kind: Clog}, {Kind: Power}}
	s := planned(3, mix, Timing{Length: time.Second, Quiet: quiet, For: quiet})
	counts := map[Kind]int{}
	for _, f := range s {
		counts[f.Kind]++
	}
	if got, fair := counts[Kill], len(s)*2/5; got < fair*9/10 || got > fair*11/10 {
		t.Errorf("kill of weight 2 in 5 struck %d times of %d: %v", got, len(s), counts)
	}
}

// TestPlanIsForEver holds the schedule of one seed: a saved seed must mean the same in every version and on every machine.
func TestPlanIsForEver(t *testing.T) {
	mix := Mix{
		{Kind: Power, Targets: []Target{Master, Random}, Recoveries: []Recovery{Returns, Promoted}, Weight: 2},
		{Kind: Loss, For: &Range{time.Second, 3 * time.Second}, Targets: []Target{Slave}, Low: Params{Percent: 1}, High: Params{Percent: 20}},
		{Kind: Pause, Targets: []Target{Random}},
	}
	s := planned(7, mix, Timing{Length: 20 * time.Second, Quiet: Range{2 * time.Second, 3 * time.Second}, For: Range{time.Second, 2 * time.Second}})
	if got, want := s.String(), golden; got != want {
		t.Errorf("got:\n%swant:\n%s", got, want)
	}
}

const golden = `+0s loss of slave for 1.231s: percent 4.184
+4.025s pause of random for 1.613s
+8.58s power of random for 1.692s, then promoted
+12.571s pause of random for 1.799s
`

func TestMixValidate(t *testing.T) {
	timing := Timing{Length: 30 * time.Second, Quiet: Range{time.Second, time.Second}, For: Range{0, time.Second}}
	for _, row := range []struct {
		says  string
		mix   Mix
		field string
	}{
		{"nothing to draw from", nil, "mix"},
		{"no fault at all", Mix{{Kind: None}}, "kind"},
		{"an unknown kind", Mix{{Kind: "meteor"}}, "kind"},
		{"weight", Mix{{Kind: Kill, Weight: -1}}, "weight"},
		{"a fault that must last may be drawn as one that does not", Mix{{Kind: Pause}}, "for"},
		{"longest before shortest", Mix{{Kind: Kill, For: &Range{2, 1}}}, "for"},
		{"one bad target among good ones", Mix{{Kind: Kill, Targets: []Target{Master, Clients}}}, "target"},
		{"a recovery of a pause", Mix{{Kind: Pause, For: &Range{1, 1}, Recoveries: []Recovery{Returns}}}, "recovery"},
		{"the upper end is out of range", Mix{{Kind: Loss, For: &Range{1, 1}, Low: Params{Percent: 1}, High: Params{Percent: 101}}}, "percent"},
		{"a jump that may be none", Mix{{Kind: ClockJump, For: &Range{1, 1}, Low: Params{Delay: -time.Second}, High: Params{Delay: time.Second}}}, "delay"},
		{"a drift that may be none", Mix{{Kind: ClockDrift, For: &Range{1, 1}, Low: Params{PPM: -1}, High: Params{PPM: 1}}}, "ppm"},
		{"a good one", Mix{{Kind: Kill}, {Kind: Loss, For: &Range{1, 2}, Low: Params{Percent: 1}}}, ""},
	} {
		if got := fieldOf(row.mix.Validate(timing)); got != row.field {
			t.Errorf("%s: got an error of %q, want %q", row.says, got, row.field)
		}
	}
}

func TestTimingValidate(t *testing.T) {
	second := Range{time.Second, time.Second}
	for _, row := range []struct {
		says   string
		timing Timing
		field  string
	}{
		{"no length", Timing{Quiet: second}, "length"},
		{"no quiet", Timing{Length: time.Minute}, "quiet"},
		{"so many faults that nobody waits for them", Timing{Length: 24 * time.Hour, Quiet: second}, "quiet"},
		{"the larger first", Timing{Length: time.Minute, Quiet: Range{2, 1}}, "quiet"},
		{"a good one", Timing{Length: time.Minute, Quiet: second}, ""},
	} {
		if got := fieldOf(row.timing.Validate()); got != row.field {
			t.Errorf("%s: got an error of %q, want %q", row.says, got, row.field)
		}
	}
}

func BenchmarkPlan(b *testing.B) {
	quiet := Range{time.Millisecond, time.Millisecond}
	mix := Mix{{Kind: Kill, Weight: 100}, {Kind: Power}, {Kind: Clog}}
	for i := 0; b.Loop(); i++ {
		if s := planned(uint64(i), mix, Timing{Length: time.Second, Quiet: quiet, For: quiet}); len(s) == 0 {
			b.Fatal(fmt.Sprint("an empty plan of seed ", i))
		}
	}
}
