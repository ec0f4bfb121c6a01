package power

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// TestBothEndsSeeTheCut holds that a second mapping of the line, as another process has it, sees what the first one sets.
func TestBothEndsSeeTheCut(t *testing.T) {
	ours, err := New()
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	fd, err := unix.Dup(int(ours.File().Fd()))
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := Inherit(os.NewFile(uintptr(fd), "power"))
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	ours.Cut(Mask(0, 63))
	for outlet, want := range map[int]bool{0: true, 1: false, 62: false, 63: true} {
		if got := theirs.Off(outlet); got != want {
			t.Errorf("outlet %d off: got %v, want %v", outlet, got, want)
		}
	}
	if !theirs.AnyOff(Mask(1, 63)) || theirs.AnyOff(Mask(1, 62)) || theirs.AnyOff(0) {
		t.Errorf("any off of {1, 63}: %v, of {1, 62}: %v, of none: %v; want true, false, false",
			theirs.AnyOff(Mask(1, 63)), theirs.AnyOff(Mask(1, 62)), theirs.AnyOff(0))
	}
	theirs.Restore(Mask(63))
	if ours.Off(63) || !ours.Off(0) {
		t.Errorf("after the restore of 63: 63 off %v, 0 off %v; want false, true", ours.Off(63), ours.Off(0))
	}
}
