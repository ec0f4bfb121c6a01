package vfstest

import (
	"errors"
	"path"
	"slices"
	"strings"

	"holdfast/broker/vfs"
)

// Oracle says what the worst cut leaves from the whole history of a life: slow, and written apart from what it judges. Of
// each file it keeps the readable contents and the platter; of the names every change that was ever made and every sync,
// from which it derives at the cut what is durable, by the rules as docs/assumptions.md has them.
type Oracle struct {
	model   vfs.NamesModel
	root    *object
	changes []event
	syncs   []synced
}

// object is a file or a directory.
type object struct {
	dir      bool
	children []child // what is readable
	initial  []child // what was there when this life began
	content  []byte
	platter  []byte
	dirty    []int // pages
}

type child struct {
	name string
	*object
}

// event is one change of names: what left from, what came to to. A nil directory is nowhere.
type event struct {
	fromDir, toDir   *object
	fromName, toName string
	what, gone       *object // gone: a directory removed or replaced
	made             bool
}

// synced is one successful sync, after so many changes.
type synced struct {
	what *object
	at   int
}

// NewOracle returns one of an empty disk.
func NewOracle(model vfs.NamesModel) *Oracle { return &Oracle{model: model, root: &object{dir: true}} }

func (d *object) child(name string) *object {
	for _, c := range d.children {
		if c.name == name {
			return c.object
		}
	}
	return nil
}

func without(children []child, name string) []child {
	return slices.DeleteFunc(slices.Clone(children), func(c child) bool { return c.name == name })
}

func with(children []child, name string, o *object) []child {
	return append(without(children, name), child{name, o})
}

// at returns what has the path, nil if nothing has.
func (o *Oracle) at(name string) *object {
	found := o.root
	if name == "." {
		return found
	}
	for _, part := range strings.Split(name, "/") {
		if found = found.child(part); found == nil {
			return nil
		}
	}
	return found
}

var errNo = errors.New("no such file, or one too many")

// Do implements Disk.
func (o *Oracle) Do(op Op) error {
	what, dir, base := o.at(op.Name), o.at(path.Dir(op.Name)), path.Base(op.Name)
	switch op.Kind {
	case Create, Mkdir:
		if what != nil || dir == nil {
			return errNo
		}
		made := &object{dir: op.Kind == Mkdir}
		dir.children = with(dir.children, base, made)
		o.changes = append(o.changes, event{toDir: dir, toName: base, what: made, made: true})
		return nil
	case SyncDir:
		if what == nil || !what.dir {
			return errNo
		}
		o.syncs = append(o.syncs, synced{what, len(o.changes)})
		return nil
	case Remove:
		if what == nil || len(what.children) > 0 {
			return errNo
		}
		dir.children = without(dir.children, base)
		e := event{fromDir: dir, fromName: base, what: what}
		if what.dir {
			e.gone = what
		}
		o.changes = append(o.changes, e)
		return nil
	}
	if what == nil || what.dir {
		return errNo
	}
	if op.Kind == Rename {
		return o.rename(what, dir, base, op.To)
	}
	return o.doFile(what, op)
}

func (o *Oracle) rename(what, dir *object, base, to string) error {
	toDir, toBase, victim := o.at(path.Dir(to)), path.Base(to), o.at(to)
	if toDir == nil || victim != nil && victim.dir {
		return errNo
	}
	if victim == what {
		return nil
	}
	if victim != nil && o.model == vfs.Ext4 {
		what.writeOut()
	}
	dir.children = without(dir.children, base)
	toDir.children = with(toDir.children, toBase, what)
	o.changes = append(o.changes, event{fromDir: dir, fromName: base, toDir: toDir, toName: toBase, what: what})
	return nil
}

// doFile carries out an operation on a file's contents.
func (o *Oracle) doFile(f *object, op Op) error {
	switch op.Kind {
	case Write, Store:
		if op.Len < 1 {
			return errNo
		}
		f.content = resized(f.content, max(len(f.content), int(op.Off+op.Len)))
		copy(f.content[op.Off:], op.Bytes())
		f.soil(int(op.Off), int(op.Off+op.Len))
	case Truncate:
		for at := int(op.Len); at < len(f.content); at++ { // cutting off zeroes changes no page
			if f.content[at] != 0 {
				f.soil(at, at+1)
			}
		}
		f.content = resized(f.content, int(op.Len))
	case Sync:
		for _, page := range f.dirty {
			from, to := page*vfs.Page, min((page+1)*vfs.Page, len(f.content))
			f.platter = resized(f.platter, max(len(f.platter), to))
			if from < to {
				copy(f.platter[from:], f.content[from:to])
			}
		}
		f.platter = resized(f.platter, len(f.content))
		f.dirty = nil
		o.syncs = append(o.syncs, synced{f, len(o.changes)})
	case FailSync:
		f.dirty = nil
	}
	return nil
}

// resized returns b with so many bytes; new ones are zero.
func resized(b []byte, size int) []byte {
	return append(slices.Clone(b[:min(len(b), size)]), make([]byte, size-min(len(b), size))...)
}

// soil notes that the pages of [from, to) are dirty.
func (f *object) soil(from, to int) {
	for page := from / vfs.Page; page*vfs.Page < to; page++ {
		if !slices.Contains(f.dirty, page) {
			f.dirty = append(f.dirty, page)
		}
	}
}

// writeOut is what ext4 does to a file that replaces another: what is dirty is on the platter, up to the file's end.
func (f *object) writeOut() {
	var left []int
	for _, page := range f.dirty {
		from, to := page*vfs.Page, min((page+1)*vfs.Page, len(f.content))
		if from >= to {
			left = append(left, page) // cut off, which only a sync makes durable
			continue
		}
		if to < min(len(f.platter), (page+1)*vfs.Page) {
			left = append(left, page) // the rest of the page was cut off
		}
		f.platter = resized(f.platter, max(len(f.platter), to))
		copy(f.platter[from:], f.content[from:to])
	}
	f.dirty = left
}

// durable returns which changes the worst cut leaves.
func (o *Oracle) durable() []bool {
	ext4 := o.model == vfs.Ext4
	left := make([]bool, len(o.changes))
	for _, s := range o.syncs {
		for i, c := range o.changes[:s.at] {
			switch {
			case s.what.dir:
				left[i] = left[i] || c.fromDir == s.what || c.toDir == s.what || ext4 && c.what == s.what
			case ext4:
				left[i] = left[i] || c.made && c.what == s.what
			}
		}
	}
	for changed := true; changed; { // until nothing rests on what is not durable
		changed = false
		for i := range o.changes {
			for k := range i {
				if left[i] && !left[k] && o.rests(o.changes[i], o.changes[k]) {
					left[k], changed = true, true
				}
			}
		}
	}
	return left
}

// rests reports whether a change cannot be durable without an earlier one.
func (o *Oracle) rests(later, earlier event) bool {
	same := func(dir *object, name string) bool {
		return dir != nil && (earlier.fromDir == dir && earlier.fromName == name || earlier.toDir == dir && earlier.toName == name)
	}
	emptied := later.gone != nil && (earlier.fromDir == later.gone || earlier.toDir == later.gone)
	above := o.model == vfs.Ext4 && (earlier.what == later.fromDir || earlier.what == later.toDir)
	return emptied || above || same(later.fromDir, later.fromName) || same(later.toDir, later.toName)
}

// Cut implements Disk, for the worst loss alone.
func (o *Oracle) Cut(_ uint64, loss vfs.Loss) (Tree, error) {
	if loss != (vfs.Loss{Names: o.model}) {
		return nil, errors.New("the oracle knows the worst loss alone")
	}
	o.root.reset()
	for i, left := range o.durable() {
		c := o.changes[i]
		if !left {
			continue
		}
		if c.fromDir != nil {
			c.fromDir.children = without(c.fromDir.children, c.fromName)
		}
		if c.toDir != nil {
			c.toDir.children = with(c.toDir.children, c.toName, c.what)
		}
	}
	o.changes, o.syncs = nil, nil
	tree := Tree{}
	o.root.begin("", tree)
	return tree, nil
}

// reset goes back to the names with which this life began.
func (d *object) reset() {
	for _, c := range append(slices.Clone(d.children), d.initial...) {
		if c.dir && !slices.ContainsFunc(d.initial, func(i child) bool { return i.object == c.object }) {
			c.reset()
		}
	}
	d.children = d.initial
	for _, c := range d.children {
		if c.dir {
			c.reset()
		}
	}
}

// begin makes what is readable now the start of a life, with the contents of the platter, and lists it.
func (d *object) begin(prefix string, tree Tree) {
	d.initial = d.children
	for _, c := range d.children {
		if c.dir {
			tree[prefix+c.name+"/"] = ""
			c.begin(prefix+c.name+"/", tree)
			continue
		}
		c.content, c.dirty = slices.Clone(c.platter), nil
		tree[prefix+c.name] = string(c.platter)
	}
}
