package network

import (
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// ruleGen draws valid rules.
func ruleGen() *rapid.Generator[Rule] {
	return rapid.Custom(func(t *rapid.T) Rule {
		percent := rapid.SampledFrom([]float64{0, 0, 0.5, 30, 100})
		r := Rule{
			Drop: rapid.IntRange(0, 9).Draw(t, "drop") == 0, Clog: rapid.IntRange(0, 4).Draw(t, "clog") == 0,
			Delay: time.Duration(rapid.IntRange(0, 1e6).Draw(t, "delay")), Jitter: time.Duration(rapid.IntRange(0, 1e6).Draw(t, "jitter")),
			Distribution: rapid.SampledFrom([]string{"", "uniform", "normal", "pareto"}).Draw(t, "distribution"),
			Loss:         percent.Draw(t, "loss"), Duplicate: percent.Draw(t, "duplicate"), Reorder: percent.Draw(t, "reorder"),
			Rate: rapid.Int64Range(0, 1e6).Draw(t, "rate"), Seed: rapid.Uint64().Draw(t, "seed"),
		}
		if r.Reorder > 0 || r.Validate() != nil {
			r.Delay++
		}
		return r
	})
}

// TestSameSeedSameFates holds that the n-th packet from a to b meets the same fate whatever packets fall between and
// whatever other rules there are, and that it does not with another seed or between other hosts.
func TestSameSeedSameFates(t *testing.T) {
	rule := Rule{Loss: 30, Duplicate: 30, Jitter: time.Second, Seed: 9}
	fates := func(from, to string, r Rule, disturb bool) (fs []fate) {
		var tab table
		if disturb {
			tab.set(Rule{Loss: 50, Seed: 1})
		}
		f, other := tab.addFlow(from, to), tab.addFlow("x", "y")
		tab.set(r)
		for range 100 {
			if disturb {
				other.decide(0, 1)
				f.streams[0].draw()
			}
			fs = append(fs, f.streams[len(f.streams)-1].draw())
		}
		return fs
	}
	want := fates("a", "b", rule, false)
	if got := fates("a", "b", rule, true); !reflect.DeepEqual(got, want) {
		t.Error("other packets and rules changed what this rule draws")
	}
	reseeded := rule
	reseeded.Seed++
	for name, got := range map[string][]fate{"another seed": fates("a", "b", reseeded, false), "the way back": fates("b", "a", rule, false)} {
		if reflect.DeepEqual(got, want) {
			t.Errorf("%s: the same fates", name)
		}
	}
}

// TestComposition holds what several rules make of one packet.
func TestComposition(t *testing.T) {
	ms := time.Millisecond
	for _, tt := range []struct {
		name  string
		rules []Rule
		want  verdict // without late
		count []Counters
	}{
		{"no rule", nil, verdict{copies: 1}, nil},
		{"delays add up", []Rule{{Delay: ms}, {Delay: 2 * ms}}, verdict{copies: 1, wait: 3 * ms},
			[]Counters{{Matched: 1, Delayed: 1, Changed: 1, Bytes: 100}, {Matched: 1, Delayed: 1, Changed: 1, Bytes: 100}}},
		{"copies add up", []Rule{{Duplicate: 100}, {Duplicate: 100, Delay: ms}}, verdict{copies: 3, wait: ms},
			[]Counters{{Matched: 1, Duplicated: 1, Changed: 1, Bytes: 100}, {Matched: 1, Duplicated: 1, Delayed: 1, Changed: 1, Bytes: 100}}},
		{"what is dropped is not changed by later rules", []Rule{{Delay: ms}, {Drop: true}, {Loss: 100}, {Clog: true}}, verdict{drop: true, copies: 1, wait: ms},
			[]Counters{{Matched: 1, Delayed: 1, Changed: 1, Bytes: 100}, {Matched: 1, Dropped: 1, Changed: 1, Bytes: 100}, {Matched: 1}, {Matched: 1}}},
		{"held and late", []Rule{{Clog: true}, {Delay: ms}}, verdict{hold: true, copies: 1, wait: ms},
			[]Counters{{Matched: 1, Held: 1, Changed: 1, Bytes: 100}, {Matched: 1, Delayed: 1, Changed: 1, Bytes: 100}}},
		{"a rule for other hosts", []Rule{{From: []string{"b"}, Drop: true}, {To: []string{"a"}, Drop: true}}, verdict{copies: 1}, []Counters{{}, {}}},
		{"a chosen packet is not counted before it is overtaken", []Rule{{Reorder: 100, Delay: ms}}, verdict{copies: 1, wait: ms}, []Counters{{Matched: 1}}},
	} {
		var tab table
		f := tab.addFlow("a", "b")
		for _, r := range tt.rules {
			tab.set(r)
		}
		got := f.decide(0, 100)
		if got.late = nil; got != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, tt.want)
		}
		for i, r := range tab.rules {
			if r.counters != tt.count[i] {
				t.Errorf("%s: rule %d counts %+v, want %+v", tt.name, i, r.counters, tt.count[i])
			}
		}
	}
}

// TestCountersAgree holds, for any rule and packets, that each packet is matched, and that a changed one is counted once
// and by at least one reason.
func TestCountersAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var tab table
		f := tab.addFlow("a", "b")
		tab.set(ruleGen().Draw(t, "rule"))
		c := &tab.rules[0].counters
		n := rapid.IntRange(0, 200).Draw(t, "packets")
		for i := range n {
			before := *c
			v := f.decide(time.Duration(i)*100*time.Microsecond, 100)
			changed := v.drop || v.hold || v.copies > 1 || v.wait > 0 && v.late == nil
			if got := c.Changed == before.Changed+1; got != changed && (v.late == nil || changed && !got) {
				t.Fatalf("packet %d: %+v counted as changed: %v", i, v, got)
			}
		}
		reasons := c.Dropped + c.Delayed + c.Duplicated + c.Held + c.Limited
		if c.Matched != int64(n) || c.Changed > min(reasons, c.Matched) || c.Bytes != c.Changed*100 {
			t.Fatalf("%d packets: %+v", n, *c)
		}
	})
}

// TestDistributions holds the moments of each distribution over 200,000 draws, within five of their standard errors (ten
// of pareto, whose tail is heavy), and that no delay is negative.
func TestDistributions(t *testing.T) {
	const n = 200_000
	for _, tt := range []struct {
		name                       string
		deviation, least, most, in float64
	}{
		{"", 1 / math.Sqrt(3), -1, 1, 5},
		{"uniform", 1 / math.Sqrt(3), -1, 1, 5},
		{"normal", 1, -9, 9, 5},
		{"pareto", 1, -0.58, 20, 10},
	} {
		var tab table
		f := tab.addFlow("a", "b")
		tab.set(Rule{Delay: 10, Jitter: 20, Distribution: tt.name, Seed: 4})
		s := &f.streams[0]
		var sum, squares float64
		for range n {
			d := s.deviation(tt.name)
			if sum, squares = sum+d, squares+d*d; d < tt.least || d > tt.most {
				t.Errorf("%q: drew %v, want [%v, %v]", tt.name, d, tt.least, tt.most)
			}
			if late := s.draw().delay; late < 0 {
				t.Errorf("%q: a delay of %v", tt.name, late)
			}
		}
		mean, deviation := sum/n, math.Sqrt(squares/n)
		if tolerance := tt.in / math.Sqrt(n); math.Abs(mean) > tolerance || math.Abs(deviation-tt.deviation) > 4*tolerance {
			t.Errorf("%q: mean %.4f and deviation %.4f, want 0 and %.4f", tt.name, mean, deviation, tt.deviation)
		}
	}
}

// TestRateIsKept holds, whatever arrives, that never more leaves than the rate and its burst allow, in order, that a
// packet waits no longer than the queue is long, and that none is dropped while there is room.
func TestRateIsKept(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := &ruleState{Rule: Rule{Rate: rapid.Int64Range(1000, 1e9).Draw(t, "rate")}}
		burst := max(burstTime, r.passing(burstMin))
		room := max(queueTime, r.passing(queueMin))
		var now, last time.Duration
		var passed time.Duration // how long what has left takes at the rate
		for range rapid.IntRange(1, 300).Draw(t, "packets") {
			now += time.Duration(rapid.IntRange(0, 2e6).Draw(t, "pause"))
			size := rapid.IntRange(20, 65535).Draw(t, "size")
			wait, full := r.admit(now, size)
			if full {
				if last < now+room-burst-r.passing(65535) {
					t.Fatalf("dropped at %v, although the last one leaves at %v", now, last)
				}
				continue
			}
			leaves := now + wait
			if leaves < last || wait > room {
				t.Fatalf("leaves at %v after %v, having waited %v of at most %v", leaves, last, wait, room)
			}
			last = leaves
			// What left before this packet took its time at the rate, but for the burst (and rounding).
			if passed > leaves+burst+time.Millisecond {
				t.Fatalf("%v worth of bytes had left by %v, burst %v", passed, leaves, burst)
			}
			passed += r.passing(size)
		}
	})
}

func TestValidate(t *testing.T) {
	for _, tt := range []struct {
		rule Rule
		want string // in the error; empty: valid
	}{
		{Rule{}, "nothing"},
		{Rule{Drop: true}, ""},
		{Rule{Loss: -1}, "Loss"},
		{Rule{Loss: math.NaN()}, "Loss"},
		{Rule{Duplicate: 100.1}, "Duplicate"},
		{Rule{Reorder: 1}, "Delay"},
		{Rule{Reorder: 1, Delay: 1}, ""},
		{Rule{Delay: -1}, "Delay"},
		{Rule{Jitter: 1, Distribution: "poisson"}, "Distribution"},
		{Rule{Rate: -1}, "Rate"},
	} {
		if err := tt.rule.Validate(); (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: got %v, want an error about %q", tt.rule, err, tt.want)
		}
	}
}

// BenchmarkDecide is what the rule table costs a packet: without a rule, with one, and with one of each kind.
func BenchmarkDecide(b *testing.B) {
	for _, bb := range []struct {
		name  string
		rules []Rule
	}{
		{"none", nil},
		{"drop", []Rule{{Drop: true}}},
		{"loss", []Rule{{Loss: 1}}},
		{"normal", []Rule{{Delay: time.Millisecond, Jitter: time.Millisecond, Distribution: "normal"}}},
		{"six", []Rule{{Loss: 1}, {Duplicate: 1}, {Reorder: 1, Delay: 1}, {Delay: time.Millisecond, Jitter: time.Microsecond}, {Rate: 1 << 40}, {Clog: true}}},
	} {
		b.Run(bb.name, func(b *testing.B) {
			var tab table
			f := tab.addFlow("a", "b")
			for _, r := range bb.rules {
				tab.set(r)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				f.decide(time.Duration(i)*time.Microsecond, mtu)
			}
		})
	}
}
