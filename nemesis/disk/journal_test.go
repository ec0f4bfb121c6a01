package disk

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"holdfast/broker/vfs"
)

// newJournal returns a journal with its trash and an inode of a new directory, without a mount.
func newJournal(t *testing.T, model vfs.NamesModel) (*journal, *inode, string) {
	t.Helper()
	dir := t.TempDir()
	open := func(name string) int {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
		fd, err := unix.Open(filepath.Join(dir, name), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		return fd
	}
	return &journal{model: model, trashFD: open("trash")}, &inode{id: 1, mode: unix.S_IFDIR, fd: open("files")}, filepath.Join(dir, "files")
}

// TestOldNamesAreCommitted makes a file every second and cuts after ten: ext4 has committed what is 5 s old.
func TestOldNamesAreCommitted(t *testing.T) {
	for _, tt := range []struct {
		model vfs.NamesModel
		keep  int // percent of the young that survive by luck
		want  int // files that are there
	}{{vfs.Ext4, 0, 6}, {vfs.Ext4, 100, 10}, {vfs.Posix, 0, 0}, {vfs.Posix, 100, 10}} {
		j, dir, path := newJournal(t, tt.model)
		for i := range 10 {
			name := string(rune('a' + i))
			if err := os.WriteFile(filepath.Join(path, name), nil, 0o644); err != nil {
				t.Fatal(err)
			}
			j.Add(nameChange{To: place{Dir: dir, Name: name}, Target: &inode{id: uint64(i + 2)}, Own: true, At: time.Duration(i+1) * time.Second})
		}
		rng := rand.New(rand.NewPCG(1, 1))
		now := int64(11 * time.Second)
		j.survive(rng, vfs.Loss{Names: tt.model, KeepPercent: tt.keep}, now)
		changes, files, err := j.undo()
		if err != nil {
			t.Fatal(err)
		}
		left := tree(t, path)
		if len(left) != tt.want || changes != int64(10-tt.want) || files != changes {
			t.Errorf("names %v, %d%%: %d files are left, %d changes undone; want %d files", tt.model, tt.keep, len(left), changes, tt.want)
		}
	}
}

func TestOldPagesAreWrittenBack(t *testing.T) {
	r := newRig(t, Config{}, "a")
	r.do("a", order{Op: orderWrite, Path: "f", Data: fill('x', 10)})
	r.do("a", order{Op: orderSync, Path: "f"})
	r.do("a", order{Op: orderWrite, Path: "f", Data: fill('y', 10)})
	r.loss = vfs.Loss{Writeback: 1} // ns: every page is older
	if impact := r.cut("a")["a"]; impact.PagesKept != 1 || impact.BytesLost != 0 {
		t.Errorf("%+v, want the page kept", impact)
	}
	if got := tree(t, r.backing("a"))["f"]; got != "yyyyyyyyyy" {
		t.Errorf("f holds %q", got)
	}
}

// TestSizesAreCommittedAsNamesAre sets a file's length by itself, which ext4's journal makes durable after 5 s.
func TestSizesAreCommittedAsNamesAre(t *testing.T) {
	for _, tt := range []struct {
		age  time.Duration
		want int
	}{{4 * time.Second, 0}, {6 * time.Second, 8192}} {
		v := &volume{backing: filepath.Join(t.TempDir(), "b"), mountPoint: filepath.Join(t.TempDir(), "m"), model: vfs.Ext4}
		if err := v.openTree(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(v.backing, "f"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		n, _, err := v.table.open(v.table.byID[1], "f")
		if err != nil {
			t.Fatal(err)
		}
		if err := v.truncate(n, 8192); err != nil {
			t.Fatal(err)
		}
		v.cut, v.cutAt = true, n.grown.at+int64(tt.age)
		if _, err := v.survive(1, vfs.Loss{}); err != nil {
			t.Fatal(err)
		}
		if got := len(tree(t, v.backing)["f"]); got != tt.want {
			t.Errorf("%v later the file has %d bytes, want %d", tt.age, got, tt.want)
		}
	}
}

// TestSyncsAreCountedOnce holds the disk's count against the calls made: O_DSYNC must not count twice.
func TestSyncsAreCountedOnce(t *testing.T) {
	r := newRig(t, Config{}, "a")
	r.do("a", order{Op: orderWrite, Path: "f", Data: fill('x', 10)})
	for _, step := range []struct {
		order
		want int64
	}{
		{order{Op: orderSync, Path: "f"}, 1}, {order{Op: orderSyncEach, Path: "f", Data: fill('y', 10)}, 2},
		{order{Op: orderMap, Path: "f", Data: fill('z', 10)}, 2}, {order{Op: orderMapSync, Path: "f"}, 3},
	} {
		r.do("a", step.order)
		if stats, err := r.c.Stats("a"); err != nil || stats.Syncs != step.want {
			t.Errorf("after %s: %d syncs counted, %v; want %d", step.Op, stats.Syncs, err, step.want)
		}
	}
}
