package clock

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// fresh is a clock whose real time is in the test's hand.
func fresh(t *testing.T) (c *Clock, real *int64) {
	t.Helper()
	c, err := Create(filepath.Join(t.TempDir(), "clock"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	real = new(int64)
	*real = 1767225600_000000000
	c.now = func() int64 { return *real }
	return c, real
}

// read does what a node does: it takes the present setting and says what it made of it.
func (c *Clock) read(now int64) time.Duration {
	n := c.page[setting].Load()
	slot := slots + n%2*slotSize
	s := skew{int64(c.page[slot].Load()), time.Duration(c.page[slot+1].Load()), math.Float64frombits(c.page[slot+2].Load())}
	if c.page[seen].Load() != n {
		c.page[readings].Store(0)
	}
	c.page[last].Store(uint64(s.at(now).Milliseconds()))
	c.page[seen].Store(n)
	c.page[readings].Add(1)
	return s.at(now)
}

func TestSettingsAddUp(t *testing.T) {
	c, real := fresh(t)
	steps := []struct {
		says   string
		change func() error
		passes time.Duration
		want   time.Duration
	}{
		{"a fresh page skews nothing", func() error { return nil }, time.Hour, 0},
		{"forwards", func() error { return c.Jump(3 * time.Second) }, time.Hour, 3 * time.Second},
		{"and further", func() error { return c.Jump(time.Second) }, 0, 4 * time.Second},
		{"a drift of a half adds to it", func() error { return c.Drift(500_000) }, time.Minute, 34 * time.Second},
		{"a jump back does not end the drift", func() error { return c.Jump(-35 * time.Second) }, 2 * time.Second, 0},
		{"the end of a drift leaves the clock where it is", func() error { return c.Drift(0) }, time.Hour, 0},
		{"a slow clock falls behind", func() error { return c.Drift(-100) }, 24 * time.Hour, -8640 * time.Millisecond},
		{"right again", c.Reset, time.Hour, 0},
		{"backwards", func() error { return c.Jump(-24 * time.Hour) }, 0, -24 * time.Hour},
	}
	for _, step := range steps {
		if err := step.change(); err != nil {
			t.Fatalf("%s: %v", step.says, err)
		}
		*real += int64(step.passes)
		if got := c.read(*real); got != step.want {
			t.Errorf("%s: skew %v, want %v", step.says, got, step.want)
		}
		if got := c.Skew(); got != step.want {
			t.Errorf("%s: measured %v, want %v", step.says, got, step.want)
		}
	}
}

func TestAChangeThatNobodyReadIsNone(t *testing.T) {
	c, real := fresh(t)
	if c.Readings() != 0 || c.Skew() != 0 {
		t.Errorf("before any node: %d readings, skew %v", c.Readings(), c.Skew())
	}
	c.read(*real)
	c.read(*real)
	if got := c.Readings(); got != 2 {
		t.Errorf("%d readings, want 2", got)
	}
	if err := c.Jump(-time.Minute); err != nil {
		t.Fatal(err)
	}
	if c.Readings() != 0 || c.Skew() != 0 || c.Effect()["ms"] != 0 {
		t.Errorf("set and not read: %d readings, skew %v, effect %v; want none", c.Readings(), c.Skew(), c.Effect())
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := c.Await(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("awaited a reading that never came: %v", err)
	}
	c.read(*real)
	if err := c.Await(ctx); err != nil || c.Readings() != 1 || c.Skew() != -time.Minute || c.Effect()["ms"] != 60_000 {
		t.Errorf("read once: %d readings, skew %v, effect %v, %v", c.Readings(), c.Skew(), c.Effect(), err)
	}
	if err := c.Jump(time.Second); err != nil {
		t.Fatal(err)
	}
	if got := c.Effect()["ms"]; got != 0 {
		t.Errorf("a second change that nobody has read: effect %d ms, want none", got)
	}
}

// TestDeathWhileSetting writes what is written before the count, and no more: a node must read the setting before.
func TestDeathWhileSetting(t *testing.T) {
	c, real := fresh(t)
	if err := c.Jump(time.Second); err != nil {
		t.Fatal(err)
	}
	next := slots + (c.page[setting].Load()+1)%2*slotSize
	c.page[next+1].Store(uint64(time.Hour))
	if got := c.read(*real); got != time.Second {
		t.Errorf("half a setting skews by %v, want %v", got, time.Second)
	}
}

func TestDriftIsBounded(t *testing.T) {
	c, _ := fresh(t)
	for _, ppm := range []float64{-1e6, -2e6, 1e6 + 1, math.NaN()} {
		if err := c.Drift(ppm); !errors.Is(err, ErrDrift) {
			t.Errorf("%g ppm: got %v", ppm, err)
		}
	}
	if c.page[setting].Load() != 0 {
		t.Error("a refused drift was set")
	}
}

func TestClosed(t *testing.T) {
	c, _ := fresh(t)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := c.Jump(1); !errors.Is(err, os.ErrClosed) || c.Skew() != 0 || c.Readings() != 0 {
		t.Errorf("after the end: %v, %v, %d", err, c.Skew(), c.Readings())
	}
	if _, err := Create(filepath.Join(t.TempDir(), "no", "directory")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
