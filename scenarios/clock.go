package scenarios

import (
	"context"
	"time"
)

// Clock is the time of a cluster, in which its trial waits.
type Clock interface {
	// Now is the time since some instant, monotonic.
	Now() time.Duration
	// Sleep lets time pass; it errs when ctx ends before.
	Sleep(ctx context.Context, d time.Duration) error
	// WithTimeout is context.WithTimeout in this time.
	WithTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc)
	// Recorded is the clock of a history; nil: the recorder's own.
	Recorded() func() int64
}

// MachineClock is the clock of the machine.
type MachineClock struct {
	Start time.Time // from which it counts
}

// Now implements Clock.
func (c MachineClock) Now() time.Duration { return time.Since(c.Start) }

// Sleep implements Clock.
func (MachineClock) Sleep(ctx context.Context, d time.Duration) error { return sleep(ctx, d) }

// WithTimeout implements Clock.
func (MachineClock) WithTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, d)
}

// Recorded implements Clock.
func (MachineClock) Recorded() func() int64 { return nil }
