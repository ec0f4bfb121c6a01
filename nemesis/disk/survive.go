package disk

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"holdfast/broker/vfs"
)

// survive makes the backing directory what the cut leaves of it under loss, drawn from seed.
func (v *volume) survive(seed uint64, loss vfs.Loss) (Impact, error) {
	switch {
	case v.served != nil:
		return Impact{}, errors.New("still mounted")
	case v.table.byID == nil || !v.cut:
		return Impact{}, errors.New("not cut")
	case loss.Names != v.model:
		return Impact{}, errors.New("the names model of the loss is not the one that the disk process was started with")
	}
	v.mu.Lock()
	impact, err := v.choose(rand.New(rand.NewPCG(seed, 0)), loss)
	v.mu.Unlock()
	v.closeTree()
	return impact, err
}

// choose is survive with v.mu held.
func (v *volume) choose(rng *rand.Rand, loss vfs.Loss) (Impact, error) {
	impact := Impact{KernelBytes: v.meter.late.Load(), Refused: v.meter.refused.Load()}
	v.names.survive(rng, loss, v.cutAt)
	atRisk, err := v.atRisk(loss)
	if err != nil {
		return impact, err
	}
	for _, f := range atRisk {
		file, err := f.unsynced()
		if err != nil {
			return impact, err
		}
		impact.UnsyncedAtCut += file.Pages * pageSize
		impact.Files = append(impact.Files, file)
	}
	if impact.NamesLost, impact.FilesLost, err = v.names.undo(); err != nil {
		return impact, err
	}
	return impact, v.survivePages(rng, loss, atRisk, &impact)
}

// fileAtRisk is a file that has a name and of which a cut may take something.
type fileAtRisk struct {
	n     *inode
	path  string
	pages []lost // by page
}

// atRisk returns the files of which the cut may take something, in the order in which they became known.
func (v *volume) atRisk(loss vfs.Loss) ([]fileAtRisk, error) {
	var found []fileAtRisk
	ids := make([]uint64, 0, len(v.table.byID))
	for id := range v.table.byID {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		n := v.table.byID[id]
		if !n.regular() {
			continue
		}
		if loss.Names == vfs.Ext4 && v.cutAt-n.grown.at >= int64(vfs.NamesCommit) { // the journal has committed the size
			n.pages.durable = max(n.pages.durable, min(n.grown.size, n.pages.size))
		}
		if n.pages.clean() && len(n.late) == 0 || !n.linked() {
			continue
		}
		pages, err := v.candidates(n)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", n.path(), err)
		}
		found = append(found, fileAtRisk{n, n.path(), pages})
	}
	return found, nil
}

// candidates returns every page of n that a cut may take: those that no fsync covers, and those that the kernel brought
// only after the cut. Of the latter's age nothing is known, so none is written back by age.
func (v *volume) candidates(n *inode) ([]lost, error) {
	all := n.pages.volatile()
	known := map[int64]bool{}
	for i, l := range all {
		known[l.page] = true
		if l.stale && n.late[l.page] != nil { // written again through a mapping
			all[i].stale, all[i].since, all[i].order = false, v.cutAt, v.nextOrder()
		}
	}
	var late []int64
	for page := range n.late {
		if !known[page] {
			late = append(late, page)
		}
	}
	slices.Sort(late)
	for _, page := range late { // durable is what the backing file holds
		content := make([]byte, pageSize)
		if err := readFull(n, content, page*pageSize); err != nil {
			return nil, err
		}
		all = append(all, lost{page: page, before: before{data: kept(content), since: v.cutAt, order: v.nextOrder()}})
	}
	slices.SortFunc(all, func(a, b lost) int { return cmp.Compare(a.page, b.page) })
	return all, nil
}

// unsynced describes what of the file no fsync covered at the cut.
func (f fileAtRisk) unsynced() (Unsynced, error) {
	u := Unsynced{Path: f.path, Pages: int64(len(f.pages))}
	first, last, previous := int64(-1), int64(-1), int64(-1)
	for _, l := range f.pages {
		if l.page != previous+1 && first >= 0 {
			u.Written += last - first + 1
			first = -1
		}
		previous = l.page
		current, durable, err := f.n.contents(l)
		if err != nil {
			return u, fmt.Errorf("read %s: %w", f.path, err)
		}
		for i := range current {
			if current[i] == durable[i] {
				continue
			}
			last = l.page*pageSize + int64(i)
			if first < 0 {
				first = last
			}
		}
	}
	if first >= 0 {
		u.Written += last - first + 1
	}
	return u, nil
}

// contents returns what a page held at the cut, and what of it was durable.
func (n *inode) contents(l lost) (current, durable []byte, err error) {
	current, durable = make([]byte, pageSize), make([]byte, pageSize)
	copy(durable, l.data)
	if late := n.late[l.page]; late != nil {
		copy(current, late)
		return current, durable, nil
	}
	return current, durable, readFull(n, current, l.page*pageSize)
}

// candidate is a page whose survival is open.
type candidate struct {
	n *inode
	lost
	gone bool // the file has lost its name: nothing of it survives
}

// survivePages restores the pages that do not survive. The order of dirtying decides about survivors, whatever the
// order of files.
func (v *volume) survivePages(rng *rand.Rand, loss vfs.Loss, files []fileAtRisk, impact *Impact) error {
	var all []candidate
	for _, f := range files {
		gone := !f.n.linked()
		for _, l := range f.pages {
			all = append(all, candidate{f.n, l, gone})
		}
	}
	slices.SortStableFunc(all, func(a, b candidate) int { return cmp.Compare(a.order, b.order) })
	byPage := map[pageKey][]vfs.Extent{}
	v.lucky = map[uint64][]span{}
	sizes := map[*inode]int64{}
	for _, f := range files {
		sizes[f.n] = f.n.pages.durable
	}
	for _, e := range vfs.Survivors(rng, v.extents(all), loss) {
		id, _ := strconv.ParseUint(e.Name, 10, 64) // our own FormatUint
		k := pageKey{id, e.Off / pageSize}
		byPage[k] = append(byPage[k], e)
		n := v.table.byID[id]
		v.lucky[n.ino] = append(v.lucky[n.ino], span{e.Off, e.Off + e.Len})
		sizes[n] = max(sizes[n], e.Off+e.Len)
	}
	for _, c := range all {
		pieces := byPage[pageKey{c.n.id, c.page}]
		if len(pieces) > 0 {
			impact.PagesKept++
		} else {
			impact.PagesLost++
		}
		if err := c.settle(rng, pieces, sizes[c.n], impact); err != nil {
			return fmt.Errorf("restore page %d of %s: %w", c.page, c.n.path(), err)
		}
	}
	for _, f := range files {
		if err := f.n.resize(sizes[f.n]); err != nil {
			return fmt.Errorf("restore the size of %s: %w", f.path, err)
		}
	}
	return nil
}

type pageKey struct {
	inode uint64
	page  int64
}

// span is the range [from, to) of a file, in bytes.
type span struct{ from, to int64 }

// extents describes to the model what of the candidates may survive.
func (v *volume) extents(all []candidate) []vfs.Extent {
	extents := make([]vfs.Extent, 0, len(all))
	for _, c := range all {
		off := c.page * pageSize
		length := min(pageSize, c.n.pages.size-off)
		if length <= 0 || c.stale || c.gone { // beyond the end: cut off by a truncation that no fsync covered
			continue
		}
		extents = append(extents, vfs.Extent{Name: strconv.FormatUint(c.n.id, 10), Off: off, Len: length,
			Since: time.Duration(v.cutAt - c.since)})
	}
	return extents
}

// settle writes what the cut leaves of one page, up to the file's new size: its durable content, and over it the pieces
// that survive.
func (c candidate) settle(rng *rand.Rand, pieces []vfs.Extent, size int64, impact *Impact) error {
	off := c.page * pageSize
	current, after, err := c.n.contents(c.lost)
	if err != nil {
		return err
	}
	for _, p := range pieces {
		from, to := p.Off-off, p.Off-off+p.Len
		if p.Garbled {
			for i := from; i < to; i++ {
				if after[i] != current[i] { // see vfs.Extent
					after[i] = byte(rng.Uint32())
				}
			}
		} else {
			copy(after[from:to], current[from:to])
		}
	}
	impact.BytesLost += different(current, after)
	if off >= size {
		return nil
	}
	return c.n.writeAt(after[:min(size-off, pageSize)], off)
}

// different counts the bytes in which a and b, equally long, differ.
func different(a, b []byte) (n int64) {
	if bytes.Equal(a, b) {
		return 0
	}
	for i := range a {
		if a[i] != b[i] {
			n++
		}
	}
	return n
}

// resize gives the file the size that the cut leaves.
func (n *inode) resize(size int64) error {
	var st unix.Stat_t
	if err := unix.Fstat(n.fd, &st); err != nil {
		return err
	}
	if st.Size == size {
		return nil
	}
	return unix.Ftruncate(n.fd, size)
}
