package disk

import (
	"bytes"
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
	rng := rand.New(rand.NewPCG(seed, 0))
	impact := Impact{KernelBytes: v.meter.late.Load(), Refused: v.meter.refused.Load()}
	var err error
	impact.NamesLost, impact.FilesLost, err = v.names.survive(rng, loss, v.cutAt)
	if err == nil {
		err = v.survivePages(rng, loss, &impact)
	}
	v.mu.Unlock()
	v.closeTree()
	return impact, err
}

// candidate is a dirty page of an inode, whose survival is open.
type candidate struct {
	n *inode
	lost
}

// survivePages restores the pages that do not survive. The order of dirtying decides about survivors, whatever the
// order of maps.
func (v *volume) survivePages(rng *rand.Rand, loss vfs.Loss, impact *Impact) error {
	var all []candidate
	var touched []*inode
	for _, n := range v.table.byID {
		if !n.regular() {
			continue
		}
		if loss.Names == vfs.Ext4 && v.cutAt-n.grown.at >= int64(vfs.NamesCommit) { // the journal has committed the size
			n.pages.durable = max(n.pages.durable, min(n.grown.size, n.pages.size))
		}
		if n.pages.clean() && len(n.late) == 0 {
			continue
		}
		touched = append(touched, n)
		pages, err := v.candidates(n)
		if err != nil {
			return fmt.Errorf("read %s: %w", n.path(), err)
		}
		for _, l := range pages {
			all = append(all, candidate{n, l})
		}
	}
	slices.SortFunc(touched, func(a, b *inode) int { return int(a.id) - int(b.id) })
	slices.SortStableFunc(all, func(a, b candidate) int {
		switch {
		case a.order < b.order:
			return -1
		case a.order > b.order:
			return 1
		}
		return 0
	})
	kept := vfs.Survivors(rng, v.extents(all), loss)
	byPage := map[pageKey][]vfs.Extent{}
	for _, e := range kept {
		id, _ := strconv.ParseUint(e.Name, 10, 64) // our own FormatUint
		k := pageKey{id, e.Off / pageSize}
		byPage[k] = append(byPage[k], e)
	}
	sizes := map[*inode]int64{}
	for _, c := range all {
		pieces := byPage[pageKey{c.n.id, c.page}]
		if len(pieces) > 0 {
			impact.PagesKept++
		} else {
			impact.PagesLost++
		}
		end, err := c.settle(rng, pieces, impact)
		if err != nil {
			return fmt.Errorf("restore page %d of %s: %w", c.page, c.n.path(), err)
		}
		sizes[c.n] = max(sizes[c.n], end)
	}
	for _, n := range touched {
		if err := n.resize(max(n.pages.durable, sizes[n])); err != nil {
			return fmt.Errorf("restore the size of %s: %w", n.path(), err)
		}
	}
	return nil
}

type pageKey struct {
	inode uint64
	page  int64
}

// candidates returns every page of n that a cut may take: those that no fsync covers, and those that the kernel brought
// only after the cut.
func (v *volume) candidates(n *inode) ([]lost, error) {
	all := n.pages.volatile()
	known := map[int64]bool{}
	for _, l := range all {
		known[l.page] = true
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
		all = append(all, lost{page, before{data: kept(content), since: v.cutAt, order: v.nextOrder()}})
	}
	return all, nil
}

// extents describes the candidates to the model.
func (v *volume) extents(all []candidate) []vfs.Extent {
	extents := make([]vfs.Extent, 0, len(all))
	for _, c := range all {
		off := c.page * pageSize
		length := min(pageSize, c.n.pages.size-off)
		if length <= 0 {
			continue // cut off by a truncation that no fsync covered
		}
		extents = append(extents, vfs.Extent{Name: strconv.FormatUint(c.n.id, 10), Off: off, Len: length,
			Since: time.Duration(v.cutAt - c.since)})
	}
	return extents
}

// settle writes what the cut leaves of one page: its durable content, and over it the pieces that survive. It returns
// where the last piece ends, 0 for none.
func (c candidate) settle(rng *rand.Rand, pieces []vfs.Extent, impact *Impact) (end int64, err error) {
	off := c.page * pageSize
	current := make([]byte, pageSize)
	if late := c.n.late[c.page]; late != nil {
		copy(current, late)
	} else if err := readFull(c.n, current, off); err != nil {
		return 0, err
	}
	after := make([]byte, pageSize)
	copy(after, c.data)
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
		end = max(end, p.Off+p.Len)
	}
	impact.BytesLost += different(current, after)
	limit := max(c.n.pages.durable, end) - off
	if limit <= 0 {
		return end, nil // beyond what will be the end
	}
	return end, c.n.writeAt(after[:min(limit, pageSize)], off)
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
