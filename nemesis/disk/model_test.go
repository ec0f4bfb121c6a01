package disk

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"holdfast/broker/vfs"
	"holdfast/broker/vfs/vfstest"
	"holdfast/nemesis"
)

// mounted is a volume under the suite. The test's own process is the node: it serves no mount, so it may touch one.
type mounted struct {
	r    *rig
	node string
	luck bool // stores are unmapped at once, so that pages become dirty in the order of the operations
	maps map[string][]byte
}

// fresh returns an empty volume; the node's disk is mounted.
func fresh(r *rig, node string, luck bool) (*mounted, error) {
	m := &mounted{r: r, node: node, luck: luck, maps: map[string][]byte{}}
	if err := r.c.Detach(node); err != nil {
		return nil, err
	}
	if _, err := r.c.Erase(node); err != nil {
		return nil, err
	}
	return m, r.c.Remount(node)
}

func (m *mounted) path(name string) string { return filepath.Join(m.r.mount(m.node), name) }

// Do implements vfstest.Disk.
func (m *mounted) Do(o vfstest.Op) error {
	path := m.path(o.Name)
	switch o.Kind {
	case vfstest.Create:
		return with(path, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL, func(int) error { return nil })
	case vfstest.Write:
		return with(path, unix.O_RDWR, func(fd int) error {
			n, err := unix.Pwrite(fd, o.Bytes(), o.Off)
			if err == nil && n < int(o.Len) {
				err = fmt.Errorf("%d of %d bytes written", n, o.Len)
			}
			return err
		})
	case vfstest.Store:
		return m.store(o)
	case vfstest.Sync:
		return with(path, unix.O_RDONLY, unix.Fsync)
	case vfstest.FailSync:
		return with(path, unix.O_RDONLY, m.failSync)
	case vfstest.SyncDir:
		return with(path, unix.O_RDONLY|unix.O_DIRECTORY, unix.Fsync)
	case vfstest.Mkdir:
		return unix.Mkdir(path, 0o755)
	}
	if err := errors.Join(m.unmap(o.Name), m.unmap(o.To)); err != nil { // mappings are known by name here
		return err
	}
	switch o.Kind {
	case vfstest.Unmap:
		return with(path, unix.O_RDONLY, func(int) error { return nil })
	case vfstest.Truncate:
		return unix.Truncate(path, o.Len)
	case vfstest.Remove:
		return os.Remove(path)
	case vfstest.Rename:
		var st unix.Stat_t
		if err := unix.Stat(path, &st); err != nil || st.Mode&unix.S_IFMT == unix.S_IFDIR {
			return errors.New("no such file")
		}
		return unix.Rename(path, m.path(o.To))
	}
	return fmt.Errorf("unknown operation %s", o.Kind)
}

func with(path string, flags int, do func(fd int) error) error {
	fd, err := unix.Open(path, flags|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return err
	}
	return errors.Join(do(fd), unix.Close(fd))
}

func (m *mounted) failSync(fd int) error {
	if err := m.r.c.SetFault(m.node, FaultSpec{Kind: nemesis.FsyncError, Times: 1}); err != nil {
		return err
	}
	if err := unix.Fsync(fd); err != syscall.EIO {
		return fmt.Errorf("an fsync that was to fail: %v", err)
	}
	_, err := m.r.c.Clear(m.node, nemesis.FsyncError)
	return err
}

// store stores through a mapping that is made once a file, as the hand does.
func (m *mounted) store(o vfstest.Op) error {
	if int64(len(m.maps[o.Name])) < o.Off+o.Len { // the file has grown since
		if err := m.unmap(o.Name); err != nil {
			return err
		}
	}
	if m.maps[o.Name] == nil {
		err := with(m.path(o.Name), unix.O_RDWR, func(fd int) error {
			var st unix.Stat_t
			if err := unix.Fstat(fd, &st); err != nil {
				return err
			}
			b, err := unix.Mmap(fd, 0, int(st.Size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
			m.maps[o.Name] = b
			return err
		})
		if err != nil {
			delete(m.maps, o.Name)
			return err
		}
	}
	copy(m.maps[o.Name][o.Off:], o.Bytes())
	if m.luck {
		return m.unmap(o.Name)
	}
	return nil
}

func (m *mounted) unmap(name string) error {
	b := m.maps[name]
	if b == nil {
		return nil
	}
	delete(m.maps, name)
	return unix.Munmap(b)
}

// Cut implements vfstest.Disk. What is dirty in mappings alone arrives when they are given up, after the cut.
func (m *mounted) Cut(seed uint64, loss vfs.Loss) (vfstest.Tree, error) {
	if _, err := m.r.c.Cut(m.node); err != nil {
		return nil, err
	}
	err := m.r.c.Release(m.node)
	for name := range m.maps {
		err = errors.Join(err, m.unmap(name))
	}
	if err := errors.Join(err, m.r.c.Detach(m.node)); err != nil {
		return nil, err
	}
	if _, err := m.r.c.Survive(m.node, seed, loss); err != nil {
		return nil, err
	}
	return tree(m.r.t, m.r.backing(m.node)), m.r.c.Remount(m.node)
}

// end gives up what a sequence that failed left behind.
func (m *mounted) end() {
	_ = m.r.c.Release(m.node) // not held, but for a failure in the middle of a cut
	for name := range m.maps {
		if err := m.unmap(name); err != nil {
			m.r.t.Error(err)
		}
	}
}

// sequences is how many a test draws.
func sequences(ordinary, long int) int {
	if os.Getenv("HOLDFAST_LONG") != "" {
		return long
	}
	return ordinary
}

// TestAgainstModel holds what a cut leaves of a mounted disk against what it leaves of vfs.Mem, the simulator's disk: under
// the worst loss, and with survivors by luck, which both must draw alike.
func TestAgainstModel(t *testing.T) {
	before := flag.Lookup("rapid.checks").Value.String()
	defer flag.Set("rapid.checks", before)
	if err := flag.Set("rapid.checks", fmt.Sprint(sequences(40, 3000))); err != nil {
		t.Fatal(err)
	}
	for _, model := range []vfs.NamesModel{vfs.Ext4, vfs.Posix} {
		for _, luck := range []bool{false, true} {
			t.Run(fmt.Sprintf("names %d, luck %v", model, luck), func(t *testing.T) {
				r := newRig(t, Config{Names: model})
				if err := r.c.Mount("a", r.backing("a"), r.mount("a"), -1); err != nil {
					t.Fatal(err)
				}
				opt := vfstest.Options{Names: model, Luck: luck, Lives: 2, Limit: 4 * time.Second,
					Clock: func() time.Duration { return time.Duration(monotonic()) }}
				rapid.Check(t, func(t *rapid.T) {
					disk, err := fresh(r, "a", luck)
					if err != nil {
						t.Fatal(err)
					}
					defer disk.end()
					vfstest.Run(t, opt, vfstest.NewMem(), disk)
				})
			})
		}
	}
}

// explain says where two trees differ.
func explain(got, want map[string]string) string { return vfstest.Explain(got, want) }

// TestEveryLoss cuts a file of which a third was written, a third stored through a mapping that is gone, and a third
// through one that lives, under every combination of a loss: what is left must be what the loss allows.
func TestEveryLoss(t *testing.T) {
	const third = 30
	r := newRig(t, Config{}, "a")
	for _, keep := range []int{0, 50, 100} {
		for mode := range 16 {
			loss := vfs.Loss{KeepPercent: keep, Tear: mode&1 != 0, Reorder: mode&2 != 0, Garble: mode&4 != 0}
			if mode&8 != 0 {
				loss.Writeback = time.Nanosecond // what has reached the disk is older
			}
			r.do("a", order{Op: orderWrite, Path: "f", Data: fill('x', 3*third*pageSize)})
			r.do("a", order{Op: orderSync, Path: "f"})
			r.do("a", order{Op: orderWrite, Path: "f", Data: fill('y', third*pageSize)})
			r.do("a", order{Op: orderMap, Path: "f", Off: third * pageSize, Data: fill('y', third*pageSize)})
			r.do("a", order{Op: orderUnmap, Path: "f"})
			r.do("a", order{Op: orderMap, Path: "f", Off: 2 * third * pageSize, Data: fill('y', third*pageSize)})
			r.loss = loss
			impact := r.cut("a")["a"]
			content := tree(t, r.backing("a"))["f"]
			if msg := allowed(content, third, loss); msg != "" {
				t.Errorf("%+v: %s", loss, msg)
			}
			if impact.PagesKept+impact.PagesLost != 3*third || impact.UnsyncedAtCut != 3*third*pageSize || impact.Predicted("f") != 3*third*pageSize {
				t.Errorf("%+v: %+v, want %d pages", loss, impact, 3*third)
			}
			r.restart("a")
		}
	}
}

// allowed says how what is left of three thirds contradicts a loss; empty if it does not.
func allowed(content string, third int, loss vfs.Loss) string {
	whole, torn, garbled, prefix := 0, 0, 0, true
	var kept [3]int
	for page := range 3 * third {
		p := content[page*pageSize:][:pageSize]
		survived, lost := strings.Count(p, "y"), strings.Count(p, "x")
		switch {
		case survived == pageSize:
			whole++
			kept[page/third]++
			if !prefix && page/third > 0 && !loss.Reorder && !(loss.Writeback > 0) {
				return fmt.Sprintf("page %d survives, one that was dirty earlier does not", page)
			}
		case lost == pageSize:
			prefix = false
		case survived+lost == pageSize:
			torn++
			prefix = false
			if survived%vfs.Sector != 0 || p != strings.Repeat("y", survived)+strings.Repeat("x", lost) {
				return fmt.Sprintf("page %d is torn after %d bytes", page, survived)
			}
		default:
			garbled++
			prefix = false
		}
	}
	total := 3 * third
	switch {
	case torn > 0 && !loss.Tear, torn > 1 && !loss.Reorder:
		return fmt.Sprintf("%d pages are torn", torn)
	case garbled > 0 && !loss.Garble:
		return fmt.Sprintf("%d pages are garbled", garbled)
	case loss.Writeback > 0 && kept[0]+kept[1] != 2*third:
		return fmt.Sprintf("%d of %d old pages survive", kept[0]+kept[1], 2*third)
	case loss.KeepPercent == 100 && !loss.Tear && whole != total:
		return fmt.Sprintf("%d of %d pages survive", whole, total)
	case loss.KeepPercent == 0 && loss.Writeback == 0 && whole+torn != 0:
		return fmt.Sprintf("%d pages survive", whole+torn)
	case loss.KeepPercent == 0 && kept[2] != 0:
		return fmt.Sprintf("%d pages that the kernel alone held survive", kept[2])
	}
	return ""
}
