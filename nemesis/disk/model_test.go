package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"holdfast/broker/vfs"
)

// twin drives the mounted disk and vfs.Mem, the simulator's disk, by the same calls: after a cut both must hold the same.
type twin struct {
	t     *rapid.T
	r     *rig
	node  string
	mem   *vfs.Mem
	files map[string]int64 // readable sizes by name
	// flushed are the files that replaced another since their last sync: vfs.Mem takes all of their dirty pages as
	// flushed, also those written later.
	flushed map[string]bool
	fresh   int
}

func (w *twin) ok(err error) {
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *twin) do(o order) { w.r.do(w.node, o) }

func (w *twin) open(name string) vfs.File {
	f, err := w.mem.Open(name)
	w.ok(err)
	return f
}

func (w *twin) pick() string {
	names := slices.Sorted(maps.Keys(w.files))
	if len(names) == 0 {
		w.t.Skip("no files")
	}
	return rapid.SampledFrom(names).Draw(w.t, "file")
}

// newName returns a name that was not used before: where names come back vfs.Mem and a journal may differ.
func (w *twin) newName(dir string) string {
	w.fresh++
	return path.Join(dir, fmt.Sprintf("f%d", w.fresh))
}

func (w *twin) data(limit int) []byte {
	n := rapid.IntRange(1, limit).Draw(w.t, "length")
	fill := rapid.ByteRange(1, 255).Draw(w.t, "fill")
	b := make([]byte, n)
	for i := range b {
		b[i] = fill + byte(i/512)
	}
	return b
}

func (w *twin) create(*rapid.T) {
	name := w.newName(rapid.SampledFrom([]string{".", "d"}).Draw(w.t, "dir"))
	_, err := w.mem.Create(name, 0)
	if errors.Is(err, fs.ErrNotExist) {
		w.t.Skip("its directory is gone")
	}
	w.ok(err)
	w.files[name] = 0
	w.do(order{Op: orderWrite, Path: name})
}

func (w *twin) write(*rapid.T) {
	name, off, b := w.pick(), rapid.Int64Range(0, 5*pageSize).Draw(w.t, "off"), w.data(2*pageSize)
	w.unflush(name)
	w.do(order{Op: orderWrite, Path: name, Off: off, Data: b})
	_, err := w.open(name).WriteAt(b, off)
	w.ok(err)
	w.files[name] = max(w.files[name], off+int64(len(b)))
}

func (w *twin) store(*rapid.T) {
	name := w.pick()
	if w.files[name] == 0 {
		w.t.Skip("nothing to map")
	}
	w.unflush(name)
	off := rapid.Int64Range(0, w.files[name]-1).Draw(w.t, "off")
	b := w.data(int(min(pageSize, w.files[name]-off)))
	w.do(order{Op: orderMap, Path: name, Off: off, Data: b})
	_, err := w.open(name).WriteAt(b, off)
	w.ok(err)
}

func (w *twin) unmap(*rapid.T) { w.do(order{Op: orderUnmap, Path: w.pick()}) }

func (w *twin) sync(*rapid.T) { w.syncFile(w.pick()) }

func (w *twin) syncFile(name string) {
	w.do(order{Op: orderSync, Path: name})
	w.ok(w.open(name).Sync())
	delete(w.flushed, name)
}

func (w *twin) unflush(name string) {
	if w.flushed[name] {
		w.syncFile(name)
	}
}

func (w *twin) truncate(*rapid.T) {
	name, size := w.pick(), rapid.Int64Range(0, 6*pageSize).Draw(w.t, "size")
	w.unflush(name)
	w.do(order{Op: orderUnmap, Path: name})
	w.do(order{Op: orderTruncate, Path: name, Size: size})
	w.ok(w.open(name).Truncate(size))
	w.files[name] = size
}

func (w *twin) rename(*rapid.T) {
	from := w.pick()
	to := w.newName(path.Dir(from))
	if rapid.Bool().Draw(w.t, "over") {
		to = w.pick()
	}
	if from == to || path.Dir(from) != path.Dir(to) {
		w.t.Skip("one name, or another directory")
	}
	_, over := w.files[to]
	w.do(order{Op: orderUnmap, Path: from}) // its mapping is known by name
	w.do(order{Op: orderUnmap, Path: to})
	if err := w.mem.Rename(from, to); errors.Is(err, fs.ErrNotExist) {
		w.t.Skip("its directory is gone")
	} else {
		w.ok(err)
	}
	w.do(order{Op: orderRename, Path: from, To: to})
	w.files[to] = w.files[from]
	w.flushed[to] = over || w.flushed[from]
	delete(w.files, from)
	delete(w.flushed, from)
}

func (w *twin) remove(*rapid.T) {
	name := w.pick()
	w.do(order{Op: orderUnmap, Path: name})
	w.do(order{Op: orderRemove, Path: name})
	w.ok(w.mem.Remove(name))
	delete(w.files, name)
	delete(w.flushed, name)
}

func (w *twin) mkdir(*rapid.T) {
	if err := w.mem.MkdirAll("d"); err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.r.try(w.node, order{Op: orderMkdir, Path: "d"}); err != nil && !errors.Is(err, fs.ErrExist) {
		w.t.Fatal(err)
	}
}

func (w *twin) syncDir(*rapid.T) {
	dir := rapid.SampledFrom([]string{".", "d"}).Draw(w.t, "dir")
	if err := w.mem.SyncDir(dir); err != nil {
		w.t.Skip("no such directory")
	}
	w.do(order{Op: orderSync, Path: dir})
}

// memTree returns what a file system of vfs holds, as tree does.
func memTree(t *rapid.T, m vfs.FS, dir string, into map[string]string) {
	names, err := m.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		p := path.Join(dir, name)
		if b, err := vfs.ReadFile(m, p); err == nil {
			into[p] = string(b)
			continue
		}
		into[p+"/"] = ""
		memTree(t, m, p, into)
	}
}

// TestAgainstModel runs random sequences of calls, cuts the power, and compares what is left with what vfs.Mem leaves;
// then it goes on with that, for a second cut.
func TestAgainstModel(t *testing.T) {
	for _, model := range []vfs.NamesModel{vfs.Ext4, vfs.Posix} {
		t.Run(fmt.Sprint("names ", model), func(t *testing.T) {
			r := newRig(t, Config{Names: model})
			runs := 0
			rapid.Check(t, func(rt *rapid.T) {
				runs++
				node := fmt.Sprint("n", runs)
				if err := r.c.Mount(node, r.backing(node), r.mount(node), -1); err != nil {
					rt.Fatal(err)
				}
				defer func() {
					if h := r.hands[node]; h != nil {
						h.kill()
						h.wait()
						delete(r.hands, node)
					}
					if err := r.c.Remove(node); err != nil {
						t.Error(err)
					}
				}()
				mem := vfs.NewMem()
				for range 2 {
					mem = oneLife(rt, r, node, mem)
				}
			})
		})
	}
}

// oneLife runs calls from where mem stands until a cut, compares, and returns what is left.
func oneLife(rt *rapid.T, r *rig, node string, mem *vfs.Mem) *vfs.Mem {
	r.startHand(node)
	w := &twin{t: rt, r: r, node: node, mem: mem, files: map[string]int64{}, flushed: map[string]bool{}}
	before := map[string]string{}
	memTree(rt, mem, ".", before)
	for name, content := range before {
		if !strings.HasSuffix(name, "/") {
			w.files[name] = int64(len(content))
		}
	}
	w.fresh = 1000 * len(r.hands) // names are not used again within a life
	w.fresh += len(before) * 100
	rt.Repeat(map[string]func(*rapid.T){
		"create": w.create, "write": w.write, "write again": w.write, "store": w.store, "store again": w.store, "unmap": w.unmap,
		"sync": w.sync, "truncate": w.truncate, "rename": w.rename, "remove": w.remove, "mkdir": w.mkdir, "sync dir": w.syncDir,
	})
	r.cut(node)
	after := mem.Crash(rand.New(rand.NewPCG(1, 0)), r.loss)
	want := map[string]string{}
	memTree(rt, after, ".", want)
	if got := tree(r.t, r.backing(node)); !maps.Equal(got, want) {
		rt.Fatal(explain(got, want))
	}
	if err := r.c.Remount(node); err != nil {
		rt.Fatal(err)
	}
	return after
}

// explain says where two trees differ.
func explain(got, want map[string]string) string {
	var b strings.Builder
	for name := range want {
		if _, ok := got[name]; !ok {
			fmt.Fprintf(&b, "%s is missing; ", name)
		}
	}
	for name, content := range got {
		expected, ok := want[name]
		switch {
		case !ok:
			fmt.Fprintf(&b, "%s should not be there; ", name)
		case content != expected:
			i := 0
			for i < min(len(content), len(expected)) && content[i] == expected[i] {
				i++
			}
			fmt.Fprintf(&b, "%s has %d bytes, want %d, first difference at %d; ", name, len(content), len(expected), i)
		}
	}
	return b.String()
}
