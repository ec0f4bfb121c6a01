package disk

import (
	"fmt"
	"testing"
	"time"

	"holdfast/nemesis"
	"holdfast/nemesis/power"
)

// TestCutOnThePowerLine: the outlets of the nodes that are cut lose their power at once, others keep theirs, and it comes
// back only when it is restored.
func TestCutOnThePowerLine(t *testing.T) {
	line, err := power.New()
	if err != nil {
		t.Fatal(err)
	}
	defer line.Close()
	r := newRig(t, Config{Power: line})
	for node, outlet := range map[string]int{"a": 3, "b": 63, "c": 0, "d": -1} {
		if err := r.c.Mount(node, r.backing(node), r.mount(node), outlet); err != nil {
			t.Fatal(err)
		}
		r.startHand(node)
	}
	off := func() (found []int) {
		for o := range power.Outlets {
			if line.Off(o) {
				found = append(found, o)
			}
		}
		return found
	}
	expect := func(when string, want ...int) {
		t.Helper()
		if got := off(); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: outlets %v are off, want %v", when, got, want)
		}
	}
	if err := r.c.Mount("e", r.backing("e"), r.mount("e"), 3); err == nil {
		t.Error("two nodes at one outlet")
	}
	if err := r.c.Mount("e", r.backing("e"), r.mount("e"), power.Outlets); err == nil {
		t.Error("an outlet beyond the last")
	}
	expect("before")
	r.cut("a", "b", "d")
	expect("after the cut", 3, 63)
	r.restart("a")
	expect("after the remount", 3, 63)
	if err := r.c.Restore("a", "d"); err != nil {
		t.Fatal(err)
	}
	expect("after the restore", 63)
}

func TestNoPowerLine(t *testing.T) {
	r := newRig(t, Config{})
	if err := r.c.Mount("a", r.backing("a"), r.mount("a"), 0); err == nil {
		t.Error("an outlet without a line")
	}
}

// TestUnsyncedAtCut holds what was un-synced at a cut, and the prediction, against what was written: by write, in pages
// that the kernel brought before the cut, and in those that it brought after it, all into files that were allocated before.
func TestUnsyncedAtCut(t *testing.T) {
	r := newRig(t, Config{}, "a")
	r.do("a", order{Op: orderMkdir, Path: "log"})
	for _, path := range []string{"log/written", "log/mapped", "other"} {
		r.do("a", order{Op: orderWrite, Path: path, Data: fill('x', 1000)})
		r.do("a", order{Op: orderTruncate, Path: path, Size: 100 * pageSize})
		r.do("a", order{Op: orderSync, Path: path})
	}
	r.do("a", order{Op: orderWrite, Path: "log/written", Off: 1000, Data: fill('y', 5000)})
	r.do("a", order{Op: orderMap, Path: "log/mapped", Off: 1000, Data: fill('y', 4000)})
	r.do("a", order{Op: orderUnmap, Path: "log/mapped"})
	if stats, err := r.c.Stats("a"); err != nil || stats.UnsyncedBytes != 4*pageSize {
		t.Errorf("%d bytes un-synced before the cut, %v; want 4 pages", stats.UnsyncedBytes, err)
	}
	r.do("a", order{Op: orderMap, Path: "log/mapped", Off: 5000, Data: fill('y', 6000)})
	r.do("a", order{Op: orderWrite, Path: "other", Data: fill('y', 10)})
	impact := r.cut("a")["a"]
	if got, want := impact.Predicted("log"), int64(5000+4000+6000); got != want || impact.Predicted("") != want+10 {
		t.Errorf("predicted %d and %d bytes, want %d and %d: %+v", got, impact.Predicted(""), want, want+10, impact)
	}
	if want := int64(2+3+1) * pageSize; impact.UnsyncedAtCut != want || impact.KernelBytes == 0 {
		t.Errorf("%d bytes un-synced, %d of them in the kernel; want %d", impact.UnsyncedAtCut, impact.KernelBytes, want)
	}
	if impact.BytesLost != impact.Predicted("") {
		t.Errorf("%d bytes lost, %d predicted", impact.BytesLost, impact.Predicted(""))
	}
}

// TestPredictionOfAnFsyncInProgress: what an fsync that did not complete was to cover is at risk.
func TestPredictionOfAnFsyncInProgress(t *testing.T) {
	r := prepare(t, Config{})
	r.do("a", order{Op: orderWrite, Path: "log/f", Data: fill('y', 100)})
	r.set(FaultSpec{Kind: nemesis.FsyncSlow, Delay: time.Hour})
	answered := make(chan error, 1)
	go func() {
		_, err := r.try("a", order{Op: orderSync, Path: "log/f"})
		answered <- err
	}()
	r.awaitDelayed("a")
	impact := r.cut("a")["a"]
	if err := <-answered; err == nil {
		t.Error("acknowledged")
	}
	if got := impact.Predicted("log"); got != 100 {
		t.Errorf("predicted %d bytes, want 100", got)
	}
}
