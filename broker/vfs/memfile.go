package vfs

import (
	"io"
	"io/fs"
	"path"
)

// memFile is an open file of Mem.
type memFile struct {
	m      *Mem
	node   *inode
	closed bool
}

func (f *memFile) Close() error {
	if f.closed {
		return fs.ErrClosed
	}
	f.closed = true
	return nil
}

func (f *memFile) Size() (int64, error) {
	if f.closed {
		return 0, fs.ErrClosed
	}
	return f.node.size, nil
}

func (f *memFile) ReadAt(b []byte, off int64) (int, error) {
	if f.closed {
		return 0, fs.ErrClosed
	}
	if off < 0 {
		return 0, fs.ErrInvalid
	}
	total := 0
	for len(b) > 0 && off < f.node.size {
		n := int(min(int64(len(b)), Page-off%Page, f.node.size-off))
		if p := f.node.page(off / Page); p != nil {
			copy(b[:n], p[off%Page:])
		} else {
			clear(b[:n])
		}
		b, off, total = b[n:], off+int64(n), total+n
	}
	if len(b) > 0 {
		return total, io.EOF
	}
	return total, nil
}

func (f *memFile) WriteAt(b []byte, off int64) (int, error) {
	if f.closed {
		return 0, fs.ErrClosed
	}
	if off < 0 {
		return 0, fs.ErrInvalid
	}
	total := len(b)
	for len(b) > 0 {
		n := copy(f.m.dirty(f.node, int(off/Page))[off%Page:], b)
		b, off = b[n:], off+int64(n)
	}
	if total > 0 {
		f.node.size = max(f.node.size, off)
	}
	return total, nil
}

func (f *memFile) Truncate(size int64) error {
	if f.closed {
		return fs.ErrClosed
	}
	if size < 0 {
		return fs.ErrInvalid
	}
	n := f.node
	for i := int(size / Page); i < max(len(n.data), len(n.image)); i++ {
		if n.page(int64(i)) == nil && (i >= len(n.image) || n.image[i] == nil) {
			continue
		}
		if from := size - int64(i)*Page; from > 0 {
			clear(f.m.dirty(n, i)[from:])
			continue
		}
		f.m.dirty(n, i)
		n.data[i] = nil
	}
	n.size = size
	return nil
}

// Sync implements File: the contents are durable, and under Ext4 the file's name.
func (f *memFile) Sync() error {
	if f.closed {
		return fs.ErrClosed
	}
	n := f.node
	for _, d := range n.dirty {
		n.image = grow(n.image, d.index)
		n.image[d.index] = n.data[d.index]
	}
	n.durableSize = n.size
	f.clean()
	for i := range f.m.pending {
		if c := &f.m.pending[i]; c.op == OpCreate && c.node == n {
			c.journal = true
			f.m.journalAbove(path.Dir(c.name))
		}
	}
	return nil
}

// clean forgets what is dirty: after a Sync, and after one that failed and left the pages readable, not durable.
func (f *memFile) clean() {
	for _, d := range f.node.dirty {
		f.node.isDirty[d.index] = false
	}
	f.node.dirty = f.node.dirty[:0]
}

func (n *inode) page(i int64) *page {
	if i < int64(len(n.data)) {
		return n.data[i]
	}
	return nil
}

func grow[T any](s []T, i int) []T {
	for len(s) <= i {
		var zero T
		s = append(s, zero)
	}
	return s
}

// dirty returns the page with the given index, to be written: its own copy, noted as dirty.
func (m *Mem) dirty(n *inode, index int) *page {
	n.data, n.isDirty = grow(n.data, index), grow(n.isDirty, index)
	p := n.data[index]
	if n.isDirty[index] {
		if p == nil {
			p = new(page)
			n.data[index] = p
		}
		return p
	}
	own := new(page)
	if p != nil {
		*own = *p
	}
	m.writes++
	n.data[index] = own
	n.isDirty[index] = true
	n.dirty = append(n.dirty, dirtyPage{index: index, seq: m.writes, since: m.now})
	return own
}
