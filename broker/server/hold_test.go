package server

import (
	"testing"
	"time"
)

func TestHoldSteps(t *testing.T) {
	for n := uint64(0); n < 1<<20; n += 1 + n/1000 {
		step := holdStep(n)
		if n >= holdLimit(step) || step > 0 && n < holdLimit(step-1) || holdLimit(step) > n+n/8+1 {
			t.Fatalf("%d ns is in step %d, below %d", n, step, holdLimit(step))
		}
	}
	if step := holdStep(1<<63 + 1); step >= len(holds{}.byLength) {
		t.Errorf("the longest is in step %d", step)
	}
}

func TestHold(t *testing.T) {
	s := &Server{}
	if got := s.Hold(); got != (Hold{}) {
		t.Errorf("of nothing: %+v", got)
	}
	s.holds.add(98*64*time.Nanosecond*100, 98*64) // 100 ns each
	s.holds.add(64*time.Microsecond, 2*64)        // 500 ns each
	got := s.Hold()
	if got.Requests != 6400 || got.Mean < 105 || got.Mean > 110 || got.P99 < 500 || got.P99 > 500+500/8+1 {
		t.Errorf("%+v", got)
	}
}

// TestLockIsMeasured: every request of a client is counted.
func TestLockIsMeasured(t *testing.T) {
	cfg := DefaultConfig("rocketmq-5")
	cfg.Listen, cfg.Log = "127.0.0.1:0", quiet
	s := mustStart(t, cfg)
	c := dial(t, s.Addr())
	for range 10 {
		c.send("T", 0, "x")
	}
	if h := s.Hold(); h.Requests != 10 || h.Mean <= 0 || h.P99 < h.Mean/2 {
		t.Errorf("%+v after 10 sends", h)
	}
}
