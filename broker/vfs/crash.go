package vfs

import (
	"cmp"
	"math/rand/v2"
	"path"
	"slices"
	"time"
)

// Crash returns what is found after a power cut under loss. m itself is as before: several cuts of one instant can be
// tried. Open files and locks do not survive.
func (m *Mem) Crash(rng *rand.Rand, loss Loss) *Mem {
	after := &Mem{now: m.now, writes: m.writes}
	names := m.survivingNames(rng, loss)
	fresh := make([]*inode, len(names)) // by index in names
	for i, e := range names {
		fresh[i] = &inode{dir: e.node.dir, size: e.node.durableSize, durableSize: e.node.durableSize,
			data: slices.Clone(e.node.image), image: slices.Clone(e.node.image)}
		after.names = append(after.names, entry{e.name, fresh[i]})
	}
	extents, sources := dirtyExtents(names, m.now, loss)
	for _, e := range Survivors(rng, extents, loss) {
		i, _ := find(names, e.Name)
		fresh[i].restore(rng, names[i].node, e)
	}
	for _, s := range sources { // what ext4 flushed survives whole
		i, _ := find(names, s.Name)
		fresh[i].restore(rng, names[i].node, s)
	}
	for _, node := range fresh {
		node.image, node.durableSize = slices.Clone(node.data), node.size
	}
	after.durable = slices.Clone(after.names)
	return after
}

// survivingNames returns the names that are there after the cut.
func (m *Mem) survivingNames(rng *rand.Rand, loss Loss) []entry {
	names := slices.Clone(m.durable)
	var ages []time.Duration
	for _, c := range m.pending {
		if !(c.journal && loss.Names == Ext4) {
			ages = append(ages, m.now-c.since)
		}
	}
	lucky := SurvivingNames(rng, ages, loss)
	for _, c := range m.pending {
		switch {
		case c.journal && loss.Names == Ext4:
			names = c.apply(names)
		case lucky > 0:
			lucky--
			names = c.apply(names)
		}
	}
	var reachable []entry // parents come before their children in the order of names
	for _, e := range names {
		dir := path.Dir(e.name)
		if dir == "." || lookup(reachable, dir) != nil {
			reachable = append(reachable, e)
		}
	}
	return reachable
}

// dirtyExtents returns what is dirty in the files of names in the order in which it became dirty, and apart from that
// what ext4 has flushed.
func dirtyExtents(names []entry, now time.Duration, loss Loss) (extents, flushed []Extent) {
	type ordered struct {
		Extent
		seq uint64
	}
	var all []ordered
	for _, e := range names {
		for _, d := range e.node.dirty {
			off := int64(d.index) * Page
			x := Extent{Name: e.name, Off: off, Len: min(Page, e.node.size-off), Since: now - d.since}
			switch {
			case x.Len <= 0 || e.node.data[d.index] == nil: // cut off by Truncate, which only a Sync makes durable
			case d.flushed && loss.Names == Ext4:
				flushed = append(flushed, x)
			default:
				all = append(all, ordered{x, d.seq})
			}
		}
	}
	slices.SortFunc(all, func(a, b ordered) int { return cmp.Compare(a.seq, b.seq) })
	for _, o := range all {
		extents = append(extents, o.Extent)
	}
	return extents, flushed
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
		index := int(off / Page)
		next := min(end, int64(index+1)*Page)
		own := new(page)
		n.data = grow(n.data, index)
		if p := n.data[index]; p != nil {
			*own = *p
		}
		piece := own[off%Page : off%Page+next-off]
		changed := source.data[index][off%Page:][:len(piece)]
		if e.Garbled {
			garble(rng, piece, changed)
		} else {
			copy(piece, changed)
		}
		n.data[index] = own
		off = next
	}
	n.size = max(n.size, e.Off+e.Len)
}
