package disk

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"holdfast/nemesis"
)

func TestFailedSync(t *testing.T) {
	for _, tt := range []struct {
		name  string
		pages Persist
		again []byte // written over the first page before the retry
		want  byte   // what the first page holds after the cut
	}{
		{"dropped pages do not become durable by a retry", Drop, nil, 'x'},
		{"kept pages do", Keep, nil, 'y'},
		{"a dropped page that is written again does", Drop, []byte("y"), 'y'},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, Config{}, "a")
			r.do("a", order{Op: orderMkdir, Path: "log"})
			r.do("a", order{Op: orderWrite, Path: "log/f", Data: fill('x', pageSize)})
			r.do("a", order{Op: orderSync, Path: "log/f"})
			if err := r.c.SetFault("a", FaultSpec{Kind: nemesis.FsyncError, Path: "log", Times: 1, Pages: tt.pages}); err != nil {
				t.Fatal(err)
			}
			r.do("a", order{Op: orderWrite, Path: "log/f", Data: fill('y', pageSize)})
			if _, err := r.try("a", order{Op: orderSync, Path: "log/f"}); !errors.Is(err, syscall.EIO) {
				t.Fatalf("got %v, want EIO", err)
			}
			if tt.again != nil {
				r.do("a", order{Op: orderWrite, Path: "log/f", Data: tt.again})
			}
			r.do("a", order{Op: orderSync, Path: "log/f"})
			if got := r.do("a", order{Op: orderRead, Path: "log/f"}).Data; !bytes.Equal(got, fill('y', pageSize)) {
				t.Error("what was written is not readable")
			}
			stats, err := r.c.Stats("a")
			if err != nil || stats.SyncErrors != 1 {
				t.Errorf("%d sync errors counted, %v", stats.SyncErrors, err)
			}
			r.cut("a")
			if got := tree(t, r.backing("a"))["log/f"]; got != strings.Repeat(string(tt.want), pageSize) {
				t.Errorf("the page holds %q..., want %q", got[:1], tt.want)
			}
		})
	}
}

// TestSyncIsASnapshot changes a mapped page while a slow fsync is in progress: the sync must not cover the change.
func TestSyncIsASnapshot(t *testing.T) {
	r := newRig(t, Config{}, "a")
	r.do("a", order{Op: orderWrite, Path: "f", Data: fill('x', pageSize)})
	if err := r.c.SetFault("a", FaultSpec{Kind: nemesis.FsyncSlow, Delay: 30 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	second, err := startHand()
	if err != nil {
		t.Fatal(err)
	}
	defer second.wait()
	defer second.kill()
	synced := make(chan error, 1)
	began := time.Now()
	go func() {
		_, err := r.try("a", order{Op: orderSync, Path: "f"})
		synced <- err
	}()
	// The kernel keeps write calls out during an fsync, but neither stores nor the pages that an unmapping brings.
	r.awaitDelayed("a")
	path := r.mount("a") + "/f"
	for _, o := range []order{{Op: orderMap, Path: path, Data: fill('y', 100)}, {Op: orderUnmap, Path: path}} {
		if _, err := second.do(o); err != nil {
			t.Fatal(err)
		}
	}
	during := time.Since(began)
	if err := <-synced; err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < 30*time.Millisecond || during > took {
		t.Skipf("the machine is too busy: stored after %v, synced after %v", during, took)
	}
	second.kill()
	r.cut("a")
	if got := tree(t, r.backing("a"))["f"]; got != strings.Repeat("x", pageSize) {
		t.Errorf("f begins with %q: the fsync covered what came after it began", got[:1])
	}
}

func TestCutDuringASync(t *testing.T) {
	r := newRig(t, Config{}, "a")
	r.do("a", order{Op: orderWrite, Path: "f", Data: fill('x', pageSize)})
	r.do("a", order{Op: orderSync, Path: "f"})
	r.do("a", order{Op: orderWrite, Path: "f", Data: fill('y', pageSize)})
	if err := r.c.SetFault("a", FaultSpec{Kind: nemesis.FsyncSlow, Delay: time.Hour}); err != nil {
		t.Fatal(err)
	}
	answered := make(chan error, 1)
	go func() {
		_, err := r.try("a", order{Op: orderSync, Path: "f"})
		answered <- err
	}()
	r.awaitDelayed("a")
	r.cut("a")
	if err := <-answered; err == nil {
		t.Error("acknowledged although the power was cut")
	}
	if got := tree(t, r.backing("a"))["f"]; got != strings.Repeat("x", pageSize) {
		t.Errorf("f begins with %q", got[:1])
	}
}

func TestWaitSync(t *testing.T) {
	r := newRig(t, Config{}, "a")
	r.do("a", order{Op: orderMkdir, Path: "commitlog"})
	if last, err := r.c.LastSync("a", "commitlog"); err != nil || last != nil {
		t.Fatalf("got %v, %v before the first", last, err)
	}
	r.do("a", order{Op: orderWrite, Path: "commitlog/0", Data: fill('x', 5000)})
	r.do("a", order{Op: orderWrite, Path: "other", Data: fill('x', 5000)})
	before := time.Now()
	r.do("a", order{Op: orderSync, Path: "commitlog/0"})
	r.do("a", order{Op: orderSync, Path: "other"})
	after := time.Now()
	last, err := r.c.LastSync("a", "commitlog")
	if err != nil || last == nil || last.Path != "commitlog/0" || last.Bytes != 2*pageSize {
		t.Fatalf("got %+v, %v", last, err)
	}
	if slack := time.Millisecond; last.Began.Before(before.Add(-slack)) || last.Ended.After(after.Add(slack)) || last.Ended.Before(last.Began) {
		t.Errorf("from %v to %v, want within %v and %v", last.Began, last.Ended, before, after)
	}
	got := make(chan *Sync, 1)
	go func() {
		s, err := r.c.WaitSync(context.Background(), "a", "commitlog", last.Seq)
		if err != nil {
			t.Error(err)
		}
		got <- s
	}()
	r.do("a", order{Op: orderSync, Path: "other"})
	r.do("a", order{Op: orderSync, Path: "commitlog/0"})
	if s := <-got; s.Path != "commitlog/0" || s.Seq != last.Seq+3 {
		t.Errorf("got %+v, want the next one of the commit log", s)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
	defer cancel()
	if _, err := r.c.WaitSync(ctx, "a", "commitlog", 0); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want to wait in vain", err)
	}
}

// TestReleasedCallsFail cuts while an fsync is in progress, and has another come later: both fail when they are released.
func TestReleasedCallsFail(t *testing.T) {
	r := newRig(t, Config{}, "a")
	r.do("a", order{Op: orderWrite, Path: "f", Data: []byte("x")})
	if err := r.c.SetFault("a", FaultSpec{Kind: nemesis.FsyncSlow, Delay: time.Hour}); err != nil {
		t.Fatal(err)
	}
	answered := make(chan error, 1)
	go func() {
		_, err := r.try("a", order{Op: orderSync, Path: "f"})
		answered <- err
	}()
	r.awaitDelayed("a")
	if _, err := r.c.Cut("a"); err != nil {
		t.Fatal(err)
	}
	if err := r.c.Release("a"); err != nil {
		t.Fatal(err)
	}
	if err := <-answered; !errors.Is(err, syscall.EIO) {
		t.Errorf("the fsync in progress: got %v, want EIO", err)
	}
	if _, err := r.try("a", order{Op: orderSync, Path: "f"}); !errors.Is(err, syscall.EIO) {
		t.Errorf("an fsync after the release: got %v, want EIO", err)
	}
}
