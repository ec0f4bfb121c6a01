package network

import (
	"bytes"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// predict returns what the pure table decides about n probes, one after the other.
func predict(rule Rule, n int) []verdict {
	var t table
	f := t.addFlow("a", "b")
	t.set(rule)
	vs := make([]verdict, n)
	for i := range vs {
		vs[i] = f.decide(0, probeBytes)
	}
	return vs
}

var aToB = Rule{From: []string{"a"}, To: []string{"b"}, Seed: 7}

// TestWhatArrives holds that of 1,000 packets those arrive, as often, that the seed says, in their order.
func TestWhatArrives(t *testing.T) {
	const n = 1000
	for _, tt := range []struct {
		name string
		set  func(*Rule)
	}{
		{"20 % lost", func(r *Rule) { r.Loss = 20 }},
		{"all lost", func(r *Rule) { r.Loss = 100 }},
		{"dropped", func(r *Rule) { r.Drop = true }},
		{"30 % twice", func(r *Rule) { r.Duplicate = 30 }},
		{"10 % lost, 10 % twice, late, in order", func(r *Rule) {
			r.Loss, r.Duplicate, r.Delay, r.Jitter, r.Distribution = 10, 10, 2*time.Millisecond, 2*time.Millisecond, "normal"
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rule := aToB
			tt.set(&rule)
			r := newRig(t, Config{}, "a", "b")
			p := newProbes(r, "a", "b")
			id := r.set(rule)
			p.burst(n, id)
			got := r.clear(id)

			var arrive []uint32
			want := Counters{Matched: n}
			for i, v := range predict(rule, n) {
				switch {
				case v.drop:
					want.Dropped++
					want.Changed++
					continue
				case v.copies > 1 || v.wait > 0:
					want.Changed++
				}
				want.Duplicated += int64(v.copies - 1)
				if v.wait > 0 {
					want.Delayed++
				}
				for range v.copies {
					arrive = append(arrive, uint32(i))
				}
			}
			want.Bytes = want.Changed * probeBytes
			if got != want {
				t.Errorf("counters %+v, want %+v", got, want)
			}
			if got := numbers(p.finish()); !slices.Equal(got, arrive) {
				t.Errorf("%d packets arrived, want %d, or in another order", len(got), len(arrive))
			}
		})
	}
}

// TestReorder holds that the packets that the seed chooses are overtaken, that the others keep their order, and that as
// many are counted as were overtaken.
func TestReorder(t *testing.T) {
	const n = 500
	r := newRig(t, Config{}, "a", "b")
	p := newProbes(r, "a", "b")
	rule := aToB
	rule.Reorder, rule.Delay = 10, 5*time.Millisecond
	id := r.set(rule)
	p.burst(n, id)
	counters := r.clear(id)

	var last, highest uint32
	var overtaken int64
	vs := predict(rule, n)
	for _, a := range p.finish() {
		if vs[a.number].late == nil {
			if a.number < last {
				t.Errorf("%d arrived after %d, and is not one of those to be overtaken", a.number, last)
			}
			last = a.number
		}
		if a.number < highest {
			overtaken++
		}
		highest = max(highest, a.number)
	}
	if p.distinct() != n+1 {
		t.Errorf("%d packets arrived, want %d", p.distinct()-1, n)
	}
	if overtaken == 0 || counters.Reordered != overtaken || counters.Affected() != overtaken {
		t.Errorf("%d were overtaken, counted %+v", overtaken, counters)
	}
}

// TestDelay holds that no packet is earlier than its delay, and that the median is at most 250 ms later: the machine may
// be busy. How exact the schedule itself is, queue_test.go holds without a clock.
func TestDelay(t *testing.T) {
	const n, tolerance = 50, 250 * time.Millisecond
	for _, tt := range []struct {
		name string
		cfg  Config
		rule Rule
	}{
		{"rule", Config{}, Rule{Delay: 10 * time.Millisecond}},
		{"rule with jitter", Config{}, Rule{Delay: 10 * time.Millisecond, Jitter: 5 * time.Millisecond, Distribution: "pareto", Seed: 3}},
		{"base round trip and rule", Config{RTT: 10 * time.Millisecond}, Rule{Delay: 5 * time.Millisecond}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, tt.cfg, "a", "b")
			p := newProbes(r, "a", "b")
			id := r.set(tt.rule)
			p.burst(n, id)
			r.clear(id)
			vs := predict(tt.rule, n)
			var late []time.Duration
			for i, a := range p.finish() {
				if int(a.number) != i {
					t.Fatalf("packet %d arrived as number %d: jitter must not reorder", a.number, i)
				}
				over := a.at.Sub(p.sent[i]) - vs[i].wait - tt.cfg.RTT/2
				if over < 0 {
					t.Errorf("packet %d was %v early", i, -over)
				}
				late = append(late, over)
			}
			if slices.Sort(late); late[n/2] > tolerance {
				t.Errorf("half of the packets were more than %v late", late[n/2])
			}
		})
	}
}

// TestRate holds that 1 MiB over TCP takes as long as the rate says, less its burst, and at most four times as long: TCP
// probes for the rate by losing packets, and the machine may be busy.
func TestRate(t *testing.T) {
	const bytes, rate = 1 << 20, 4 << 20
	r := newRig(t, Config{}, "a", "b")
	from, to := r.tcp("a", "b")
	rule := aToB
	rule.Rate = rate
	id := r.set(rule)
	began := time.Now()
	transfer(t, from, to, bytes)
	took := time.Since(began).Seconds()
	c := r.clear(id)
	want := float64(bytes) / rate
	if burst := burstTime.Seconds(); took < want-burst || took > want*4 {
		t.Errorf("%.3f s, want %.3f s", took, want)
	}
	if c.Limited == 0 || c.Affected() < c.Limited {
		t.Errorf("counters %+v, want packets that had to wait", c)
	}
}

// transfer sends random bytes over a connection and checks that just they arrive.
func transfer(t *testing.T, from io.Writer, to io.Reader, n int) {
	t.Helper()
	data := make([]byte, n)
	for i, rng := 0, rand.New(rand.NewPCG(1, 2)); i < n; i++ {
		data[i] = byte(rng.Uint32())
	}
	sent := make(chan error, 1)
	go func() {
		_, err := from.Write(data)
		sent <- err
	}()
	got := make([]byte, n)
	if _, err := io.ReadFull(to, got); err != nil {
		t.Fatal(err)
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, data) {
		t.Error("other bytes arrived than were sent")
	}
}

// TestClog holds that a clogged connection stays open and carries nothing, and then everything.
func TestClog(t *testing.T) {
	r := newRig(t, Config{}, "a", "b")
	from, to := r.tcp("a", "b")
	clog := Rule{From: []string{"a"}, To: []string{"b"}, Clog: true}
	first, second := r.set(clog), r.set(clog)
	received := make(chan string, 1)
	go func() {
		b := make([]byte, 5)
		_, err := io.ReadFull(to, b)
		if err != nil {
			received <- err.Error()
		}
		received <- string(b)
	}()
	if _, err := from.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool {
		c, err := r.c.Counters(second)
		if err != nil {
			t.Fatal(err)
		}
		return c.Held > 1 // TCP has sent it again, too
	})
	r.clear(first)
	select {
	case got := <-received:
		t.Fatalf("%q came through while another clog is in force", got)
	case <-time.After(20 * time.Millisecond):
	}
	c := r.clear(second)
	if c.Affected() != c.Held || c.Bytes == 0 {
		t.Errorf("counters %+v, want bytes of all held packets", c)
	}
	if got := <-received; got != "hello" {
		t.Errorf("got %q after the clog, want hello", got)
	}
	transfer(t, from, to, 1<<20)
}

// TestTCPSurvivesLoss sends 512 KiB with 5 % of packets lost both ways.
func TestTCPSurvivesLoss(t *testing.T) {
	r := newRig(t, Config{}, "a", "b")
	from, to := r.tcp("a", "b")
	id := r.set(Rule{Loss: 5, Duplicate: 5, Seed: 1})
	transfer(t, from, to, 512<<10)
	if c := r.clear(id); c.Dropped == 0 || c.Duplicated == 0 {
		t.Errorf("counters %+v, want packets lost and packets twice", c)
	}
	for _, host := range []string{"a", "b"} {
		if bad := r.checksumErrors(host); bad != 0 {
			t.Errorf("%s found %d wrong checksums", host, bad)
		}
	}
}

// TestSegments holds that large segments pass whole, but single packets of at most the MTU under a rule about a share of
// them, and whole again thereafter.
func TestSegments(t *testing.T) {
	r := newRig(t, Config{}, "a", "b")
	from, to := r.tcp("a", "b")
	mean := func() int64 {
		before, err := r.c.Stats()
		if err != nil {
			t.Fatal(err)
		}
		transfer(t, from, to, 4<<20)
		after, err := r.c.Stats()
		if err != nil {
			t.Fatal(err)
		}
		return (after.Bytes - before.Bytes) / (after.Packets - before.Packets) // acknowledgements included
	}
	whole := mean()
	id := r.set(Rule{From: []string{"a"}, Loss: 1e-9})
	single := mean()
	r.clear(id)
	again := mean()
	if whole <= mtu || single > mtu || again <= mtu {
		t.Errorf("bytes a packet: %d, under a rule %d, after it %d; want more than %d only without the rule", whole, single, again, mtu)
	}
}
