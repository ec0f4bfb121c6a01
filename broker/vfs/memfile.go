package vfs

import (
	"bytes"
	"io"
	"io/fs"
	"slices"
)

var zeroes page

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

// NextData implements Sparse.
func (f *memFile) NextData(off int64) (int64, error) {
	if f.closed {
		return 0, fs.ErrClosed
	}
	for at := off; at < f.node.size; at = (at/Page + 1) * Page {
		if f.node.page(at/Page) != nil {
			return at, nil
		}
	}
	return -1, nil
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
	for i := int(size / Page); size < n.size && i < len(n.data); i++ {
		from := max(size-int64(i)*Page, 0)
		if p := n.data[i]; p == nil || bytes.Equal(p[from:], zeroes[from:]) { // cutting off zeroes changes no page
			continue
		}
		clear(f.m.dirty(n, i)[from:])
		if from == 0 {
			n.data[i] = nil
		}
	}
	n.size, n.grown = size, growth{size, f.m.now}
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
	n.cutImage()
	n.durableSize, n.flushedSize = n.size, 0
	n.flushed = slices.DeleteFunc(n.flushed, func(p flushedPage) bool { return n.state[p.index] != clean })
	f.clean()
	f.m.events.SyncedFile(n)
	return nil
}

// cutImage frees what is durable beyond the size: a page whose truncation a failed Sync has forgotten does not come back
// when the file grows.
func (n *inode) cutImage() {
	for i := int(n.size / Page); i < len(n.image); i++ {
		p, from := n.image[i], max(n.size-int64(i)*Page, 0)
		if p == nil || bytes.Equal(p[from:], zeroes[from:]) {
			continue
		}
		own := new(page)
		copy(own[:from], p[:])
		n.image[i] = own
	}
}

// clean forgets what is dirty: after a Sync, and after one that failed and left the pages readable, not durable.
func (f *memFile) clean() {
	for _, d := range f.node.dirty {
		f.node.state[d.index] = clean
	}
	f.node.dirty = f.node.dirty[:0]
}

// flush notes what ext4 writes out when the file is renamed over another: what is dirty up to the file's end, and of the
// size what that reaches. What a truncation cut off stays durable: only a Sync makes a file shorter.
func (n *inode) flush() {
	for i := range n.dirty {
		d := &n.dirty[i]
		from := int64(d.index) * Page
		if n.state[d.index] == frozen || from >= n.size {
			continue
		}
		end := min(n.size, from+Page)
		n.flushed = append(n.flushed, flushedPage{d.index, n.data[d.index], end})
		n.flushedSize = max(n.flushedSize, end)
		n.state[d.index] = frozen
		if end == min(max(n.durableSize, n.flushedSize), from+Page) { // else it is durable in part only
			d.flushed, d.again = true, 0
		}
	}
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
	n.data, n.state = grow(n.data, index), grow(n.state, index)
	p := n.data[index]
	if n.state[index] == dirty && p != nil {
		return p
	}
	own := new(page)
	if p != nil {
		*own = *p
	}
	n.data[index] = own
	switch n.state[index] {
	case clean:
		m.writes++
		n.dirty = append(n.dirty, dirtyPage{index: index, seq: m.writes, since: m.now})
	case frozen:
		i := slices.IndexFunc(n.dirty, func(d dirtyPage) bool { return d.index == index })
		if d := &n.dirty[i]; d.flushed && d.again == 0 {
			m.writes++
			d.again, d.anew = m.writes, m.now
		}
	}
	n.state[index] = dirty
	return own
}
