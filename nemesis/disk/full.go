package disk

import (
	"golang.org/x/sys/unix"

	"holdfast/nemesis"
)

// A full disk is a budget of free bytes: pages that a call allocates take from it, pages that it gives back add to it.

// allocated reports whether the disk has a page for the file already. Caller holds n.mu.
func (n *inode) allocated(page int64) bool {
	off := page * pageSize
	for _, r := range n.reserved {
		if r.from <= off && off < r.to {
			return true
		}
	}
	data, err := unix.Seek(n.fd, off, unix.SEEK_DATA)
	return err == nil && data < off+pageSize
}

// unreserve forgets what was allocated without being written in s. Caller holds n.mu.
func (n *inode) unreserve(s span) {
	var kept []span
	for _, r := range n.reserved {
		if before := (span{r.from, min(r.to, s.from)}); before.from < before.to {
			kept = append(kept, before)
		}
		if after := (span{max(r.from, s.to), r.to}); after.from < after.to {
			kept = append(kept, after)
		}
	}
	n.reserved = kept
}

// allot takes the pages of [from, to) from the budget, as far as it reaches, and returns up to where that is: to when the
// disk is not full. What is refused is counted. Caller holds n.mu; path is n's.
func (v *volume) allot(n *inode, path string, from, to int64, whole bool) int64 {
	f := &v.faults
	f.mu.Lock()
	defer f.mu.Unlock()
	x := f.on(nemesis.DiskFull, path)
	if x == nil || to <= from {
		return to
	}
	free := x.free
	for page := from / pageSize; page*pageSize < to; page++ {
		if n.allocated(page) {
			continue
		}
		if free < pageSize {
			x.affected.Calls++
			if whole || page*pageSize <= from {
				x.affected.Bytes += to - from
				return from
			}
			x.affected.Bytes += to - page*pageSize
			x.free = free
			return page * pageSize
		}
		free -= pageSize
	}
	x.free = free
	return to
}

// allotName reports whether the disk has room for a new name.
func (v *volume) allotName(path string) bool {
	f := &v.faults
	f.mu.Lock()
	defer f.mu.Unlock()
	x := f.on(nemesis.DiskFull, path)
	if x == nil || x.free >= pageSize {
		return true
	}
	x.affected.Calls++
	return false
}

// giveBack runs change, which may free pages of the file open as fd, and adds them to the budget.
func (v *volume) giveBack(path string, fd int, change func() error) error {
	if !v.faults.is(nemesis.DiskFull) {
		return change()
	}
	before := blockBytes(fd)
	if err := change(); err != nil {
		return err
	}
	v.freed(path, before-blockBytes(fd))
	return nil
}

// freed adds to the budget.
func (v *volume) freed(path string, bytes int64) {
	f := &v.faults
	f.mu.Lock()
	defer f.mu.Unlock()
	if x := f.on(nemesis.DiskFull, path); x != nil && bytes > 0 {
		x.free += bytes / pageSize * pageSize
	}
}

// blockBytes returns the bytes that the backing file system has allocated for a file.
func blockBytes(fd int) int64 {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return 0
	}
	return st.Blocks * 512
}

// freeBytes returns what a full disk has left; ok is false when it is not full.
func (v *volume) freeBytes() (free int64, ok bool) {
	f := &v.faults
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, x := range f.all {
		if x.Kind == nemesis.DiskFull {
			return x.free, true
		}
	}
	return 0, false
}
