package host

import (
	"os"
	"testing"
	"time"
)

func TestMeasure(t *testing.T) {
	h, err := Measure(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if h.Fsync.P50 <= 0 || h.Fsync.P99 < h.Fsync.P50 || h.RTT <= 0 || h.Filesystem == "" || h.Cores < 1 {
		t.Errorf("a figure is missing: %+v", h)
	}
}

func TestMemoryIsNotTrusted(t *testing.T) {
	const shm = "/dev/shm"
	if _, memory, err := filesystem(shm); err != nil || !memory {
		t.Skipf("no tmpfs at %s: %v", shm, err)
	}
	dir, err := os.MkdirTemp(shm, "holdfast-test-*")
	if err != nil {
		t.Skip(err)
	}
	defer os.RemoveAll(dir)
	h, err := Measure(dir)
	if err != nil {
		t.Fatal(err)
	}
	if h.FsyncTrusted {
		t.Errorf("fsync of %s trusted: p50 %v ms", h.Filesystem, h.Fsync.P50)
	}
}

func TestQuantile(t *testing.T) {
	times := []time.Duration{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	if got := quantile(times, 0.5); got != 6 {
		t.Errorf("median: got %v, want 6", got)
	}
	if got := quantile(times, 0.99); got != 10 {
		t.Errorf("p99 of ten: got %v, want 10", got)
	}
}
