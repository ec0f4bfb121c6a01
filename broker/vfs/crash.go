package vfs

import (
	"cmp"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"time"
)

// survivor is a file or directory that a cut leaves.
type survivor struct {
	name        string
	node, fresh *inode // before and after the cut
}

// Crash returns what is found after a power cut under loss. m itself is as before: several cuts of one instant can be
// tried. Open files and locks do not survive.
func (m *Mem) Crash(rng *rand.Rand, loss Loss) *Mem {
	after := &Mem{now: m.now, writes: m.writes}
	left := m.survivingNames(rng, loss, after)
	for _, e := range Survivors(rng, m.dirtyExtents(left, loss), loss) {
		i, _ := slices.BinarySearchFunc(left, e.Name, func(s survivor, name string) int { return strings.Compare(s.name, name) })
		left[i].fresh.restore(rng, left[i].node, e)
	}
	for _, s := range left {
		s.fresh.image, s.fresh.durableSize = slices.Clone(s.fresh.data), s.fresh.size
		after.names = append(after.names, entry{s.name, s.fresh})
	}
	return after
}

// survivingNames returns what is there after the cut with the contents that are durable, by path, and makes it the tree
// of after.
func (m *Mem) survivingNames(rng *rand.Rand, loss Loss, after *Mem) []survivor {
	events := m.events.clone()
	events.Survive(rng, loss, m.now)
	changed := map[*inode][]entry{} // children of directories
	children := func(dir *inode) []entry {
		if c, ok := changed[dir]; ok {
			return c
		}
		return slices.Clone(dir.children)
	}
	for _, c := range events.Changes {
		if !c.Durable(loss.Names) {
			continue
		}
		if c.From.Dir != nil {
			changed[c.From.Dir] = drop(children(c.From.Dir), c.From.Name)
		}
		if c.To.Dir != nil {
			changed[c.To.Dir] = put(children(c.To.Dir), c.To.Name, c.Target)
		}
	}
	var left []survivor
	var walk func(dir *inode, prefix string) *inode
	walk = func(dir *inode, prefix string) *inode {
		fresh := &inode{dir: true}
		for _, e := range children(dir) {
			s := survivor{name: path.Join(prefix, e.name), node: e.node}
			if e.node.dir {
				s.fresh = walk(e.node, s.name)
			} else {
				s.fresh = e.node.durable(loss.Names, m.now)
			}
			fresh.children = append(fresh.children, entry{e.name, s.fresh})
			left = append(left, s)
		}
		return fresh
	}
	after.root = walk(m.root, ".")
	slices.SortFunc(left, func(a, b survivor) int { return strings.Compare(a.name, b.name) })
	return left
}

// durable returns a file with the contents that every cut leaves.
func (n *inode) durable(model NamesModel, now time.Duration) *inode {
	fresh := &inode{size: n.durableSize, data: slices.Clone(n.image)}
	if model != Ext4 {
		return fresh
	}
	if now-n.grown.at >= NamesCommit {
		fresh.size = max(fresh.size, min(n.grown.size, n.size))
	}
	for _, f := range n.flushed {
		fresh.overlay(f.index, func(own *page) {
			from := int64(f.index) * Page
			if f.page == nil {
				clear(own[:f.end-from])
			} else {
				copy(own[:f.end-from], f.page[:])
			}
		})
	}
	fresh.size = max(fresh.size, n.flushedSize)
	return fresh
}

// overlay changes a page of data, which it copies before.
func (n *inode) overlay(index int, change func(own *page)) {
	n.data = grow(n.data, index)
	own := new(page)
	if p := n.data[index]; p != nil {
		*own = *p
	}
	change(own)
	n.data[index] = own
}

// dirtyExtents returns what is dirty in the files that are left, in the order in which it became dirty.
func (m *Mem) dirtyExtents(left []survivor, loss Loss) []Extent {
	type ordered struct {
		Extent
		seq uint64
	}
	var all []ordered
	for _, s := range left {
		for _, d := range s.node.dirty {
			seq, since := d.seq, d.since
			if d.flushed && loss.Names == Ext4 {
				seq, since = d.again, d.anew
			}
			off := int64(d.index) * Page
			x := Extent{Name: s.name, Off: off, Len: min(Page, s.node.size-off), Since: m.now - since}
			if x.Len > 0 && seq > 0 { // not cut off by Truncate, which only a Sync makes durable
				all = append(all, ordered{x, seq})
			}
		}
	}
	slices.SortFunc(all, func(a, b ordered) int { return cmp.Compare(a.seq, b.seq) })
	var extents []Extent
	for _, o := range all {
		extents = append(extents, o.Extent)
	}
	return extents
}

// garble overwrites the bytes of durable that changed has otherwise. The others stay: what a log synced may share a page
// with what it appends, and no log survives a disk that ruins that.
func garble(rng *rand.Rand, durable, changed []byte) {
	for i := range durable {
		if durable[i] != changed[i] {
			durable[i] = byte(rng.Uint32())
		}
	}
}

// restore puts the contents that source has at the surviving extent e, or garbage, into n.
func (n *inode) restore(rng *rand.Rand, source *inode, e Extent) {
	for off, end := e.Off, e.Off+e.Len; off < end; {
		index := off / Page
		next := min(end, (index+1)*Page)
		from := source.page(index)
		if from == nil {
			from = new(page)
		}
		n.overlay(int(index), func(own *page) {
			piece, changed := own[off%Page:off%Page+next-off], from[off%Page:off%Page+next-off]
			if e.Garbled {
				garble(rng, piece, changed)
			} else {
				copy(piece, changed)
			}
		})
		off = next
	}
	n.size = max(n.size, e.Off+e.Len)
}
