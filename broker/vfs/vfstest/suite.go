// Package vfstest is the test suite that vfs.Mem and the lossy disk under real processes share: random sequences of calls,
// a power cut, and a comparison of what it leaves; then life goes on with that, to a second cut. It is for tests alone.
package vfstest

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"holdfast/broker/vfs"
)

// Kind is what an operation does.
type Kind string

// The operations. Each may fail, for want of a file say; all disks must agree on that.
const (
	Create   Kind = "create"
	Write    Kind = "write"     // Len bytes at Off
	Store    Kind = "store"     // the same through a mapping, within the file
	Unmap    Kind = "unmap"     // gives the mapping up
	Sync     Kind = "sync"      // of a file
	FailSync Kind = "fail-sync" // that fails and drops the pages
	Truncate Kind = "truncate"  // to Len
	Rename   Kind = "rename"    // Name to To, a file
	Remove   Kind = "remove"    // a file or an empty directory
	Mkdir    Kind = "mkdir"
	SyncDir  Kind = "sync-dir"
)

// Op is one operation.
type Op struct {
	Kind     Kind
	Name, To string
	Off, Len int64
	Fill     byte
}

// Bytes is what a Write or Store writes: sectors that differ.
func (o Op) Bytes() []byte {
	b := make([]byte, o.Len)
	for i := range b {
		b[i] = o.Fill + byte(i/vfs.Sector)
	}
	return b
}

// Tree is what a file system holds: contents by path, directories with a slash at the end and no contents.
type Tree map[string]string

// Disk is one implementation under test.
type Disk interface {
	// Do carries out the operation.
	Do(Op) error
	// Cut cuts the power, goes on with what is left, and returns that.
	Cut(seed uint64, loss vfs.Loss) (Tree, error)
}

// Options say what a suite draws.
type Options struct {
	Names vfs.NamesModel
	Luck  bool // cuts leave a share of what is not durable, torn, reordered and garbled, instead of the worst
	Lives int  // cuts in a sequence
	// Limit is how long a life may take: longer ones are not judged, since ext4 commits by itself what is 5 s old.
	Limit time.Duration
	Clock func() time.Duration // nil: no time passes
}

// The names that sequences use: few, so that names come back.
var (
	files = []string{"a", "b", "c", "d/a", "d/b", "e/a", "d/f/a"}
	dirs  = []string{"d", "e", "d/f"}
)

// Run draws one sequence and holds the disks against each other. The first disk decides which files there are to draw
// from.
func Run(t *rapid.T, opt Options, disks ...Disk) {
	known := Tree{}
	for range opt.Lives {
		began := time.Duration(0)
		if opt.Clock != nil {
			began = opt.Clock()
		}
		for range rapid.IntRange(1, 25).Draw(t, "operations") {
			o := draw(t, known, opt)
			var first error
			for i, d := range disks {
				switch err := d.Do(o); {
				case i == 0:
					first = err
				case (err == nil) != (first == nil):
					t.Fatalf("%+v: %T: %v; %T: %v", o, disks[0], first, d, err)
				}
			}
			if first == nil {
				known.apply(o)
			}
		}
		if opt.Clock != nil && opt.Clock()-began > opt.Limit {
			t.Skip("the machine is too slow")
		}
		seed, loss := rapid.Uint64().Draw(t, "seed"), drawLoss(t, opt)
		var want Tree
		for i, d := range disks {
			got, err := d.Cut(seed, loss)
			if err != nil {
				t.Fatalf("%T: %v", d, err)
			}
			if i == 0 {
				want = got
			} else if msg := Explain(got, want); msg != "" {
				t.Fatalf("%+v: %T against %T: %s", loss, d, disks[0], msg)
			}
		}
		known = want
	}
}

// drawLoss draws a model of loss.
func drawLoss(t *rapid.T, opt Options) vfs.Loss {
	loss := vfs.Loss{Names: opt.Names}
	if !opt.Luck {
		return loss
	}
	loss.KeepPercent = rapid.SampledFrom([]int{0, 20, 50, 80, 100}).Draw(t, "keep")
	loss.Granule = rapid.SampledFrom([]int{0, 512, 1000, 8192}).Draw(t, "granule")
	loss.Tear = rapid.Bool().Draw(t, "tear")
	loss.Reorder = rapid.Bool().Draw(t, "reorder")
	loss.Garble = rapid.Bool().Draw(t, "garble")
	return loss
}

// draw draws an operation, mostly one that can succeed.
func draw(t *rapid.T, known Tree, opt Options) Op {
	kinds := []Kind{Create, Create, Write, Write, Write, Write, Store, Store, Sync, Sync, FailSync, Truncate, Rename, Rename, Remove, Mkdir, Mkdir,
		SyncDir, SyncDir, Unmap}
	o := Op{Kind: rapid.SampledFrom(kinds).Draw(t, "op")}
	switch o.Kind {
	case Mkdir:
		o.Name = rapid.SampledFrom(dirs).Draw(t, "dir")
	case SyncDir:
		o.Name = rapid.SampledFrom(append([]string{"."}, dirs...)).Draw(t, "dir")
	case Create:
		o.Name = rapid.SampledFrom(files).Draw(t, "file")
	case Remove:
		o.Name = known.pick(t, append(slices.Clone(dirs), files...))
	default:
		o.Name = known.pick(t, files)
	}
	switch o.Kind {
	case Rename:
		o.To = rapid.SampledFrom(files).Draw(t, "to")
	case Truncate:
		o.Len = rapid.Int64Range(0, 4*vfs.Page).Draw(t, "size")
	case Write, Store:
		o.Off = rapid.Int64Range(0, 3*vfs.Page).Draw(t, "off")
		o.Len = rapid.Int64Range(1, 2*vfs.Page).Draw(t, "length")
		o.Fill = rapid.ByteRange(1, 255).Draw(t, "fill")
	}
	if size := int64(len(known[o.Name])); o.Kind == Store { // within the file
		o.Off = min(o.Off, max(size-1, 0))
		o.Len = min(o.Len, size-o.Off)
	}
	return o
}

// pick draws one of the names that exist, or any if none does.
func (t Tree) pick(rt *rapid.T, names []string) string {
	var there []string
	for _, name := range names {
		_, file := t[name]
		_, dir := t[name+"/"]
		if file || dir {
			there = append(there, name)
		}
	}
	if len(there) == 0 {
		there = names
	}
	return rapid.SampledFrom(there).Draw(rt, "name")
}

// apply notes what a successful operation did to the names and sizes; contents are of no interest here.
func (t Tree) apply(o Op) {
	resize := func(size int64) { t[o.Name] = strings.Repeat("\x00", int(size)) }
	switch o.Kind {
	case Create:
		resize(0)
	case Write:
		resize(max(int64(len(t[o.Name])), o.Off+o.Len))
	case Truncate:
		resize(o.Len)
	case Rename:
		content := t[o.Name]
		delete(t, o.Name)
		t[o.To] = content
	case Remove:
		delete(t, o.Name)
		delete(t, o.Name+"/")
	case Mkdir:
		t[o.Name+"/"] = ""
	}
}

// Explain says where two trees differ; empty if they do not.
func Explain(got, want Tree) string {
	var b strings.Builder
	for _, name := range sorted(want) {
		if _, ok := got[name]; !ok {
			fmt.Fprintf(&b, "%s is missing; ", name)
		}
	}
	for _, name := range sorted(got) {
		content := got[name]
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

func sorted(t Tree) []string { return slices.Sorted(maps.Keys(t)) }

// errTorn is what a FailSync that did not fail returns.
var errTorn = errors.New("a sync that was to fail did not")

// Mem is vfs.Mem under the suite.
type Mem struct{ fs *vfs.Mem }

// NewMem returns an empty one.
func NewMem() *Mem { return &Mem{vfs.NewMem()} }

// Do implements Disk. A store through a mapping is a write here.
func (m *Mem) Do(o Op) error {
	switch o.Kind {
	case Create:
		f, err := m.fs.Create(o.Name, 0)
		if err != nil {
			return err
		}
		return f.Close()
	case Rename:
		return m.fs.Rename(o.Name, o.To)
	case Remove:
		return m.fs.Remove(o.Name)
	case Mkdir:
		if names, err := m.fs.List(path.Dir(o.Name)); err != nil || slices.Contains(names, path.Base(o.Name)) {
			return errors.New("no parent, or exists")
		}
		return m.fs.MkdirAll(o.Name)
	case SyncDir:
		return m.fs.SyncDir(o.Name)
	}
	fsys := vfs.FS(m.fs)
	if o.Kind == FailSync {
		fsys = vfs.NewFaulty(fsys, vfs.Always(func(c vfs.Call) bool { return c.Op == vfs.OpSync }, vfs.Effect{Err: vfs.ErrIO}), nil)
	}
	f, err := fsys.Open(o.Name)
	if err != nil {
		return err
	}
	return errors.Join(doFile(f, o), f.Close())
}

// doFile carries out an operation on an open file.
func doFile(f vfs.File, o Op) error {
	switch o.Kind {
	case Write, Store:
		if o.Len < 1 {
			return errors.New("nothing to map")
		}
		_, err := f.WriteAt(o.Bytes(), o.Off)
		return err
	case Sync:
		return f.Sync()
	case FailSync:
		if err := f.Sync(); !errors.Is(err, vfs.ErrIO) {
			return errTorn
		}
	case Truncate:
		return f.Truncate(o.Len)
	}
	return nil
}

// Cut implements Disk.
func (m *Mem) Cut(seed uint64, loss vfs.Loss) (Tree, error) {
	m.fs = m.fs.Crash(rand.New(rand.NewPCG(seed, 0)), loss)
	tree := Tree{}
	return tree, TreeOf(m.fs, ".", tree)
}

// TreeOf adds what dir of fsys holds to tree.
func TreeOf(fsys vfs.FS, dir string, tree Tree) error {
	names, err := fsys.List(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		p := path.Join(dir, name)
		if b, err := vfs.ReadFile(fsys, p); err == nil {
			tree[p] = string(b)
			continue
		}
		tree[p+"/"] = ""
		if err := TreeOf(fsys, p, tree); err != nil {
			return err
		}
	}
	return nil
}
