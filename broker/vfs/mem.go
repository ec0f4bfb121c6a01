package vfs

import (
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
)

// Mem is a file system in memory that can lose power: beside what is readable it keeps what is durable.
// It is not safe for concurrent use (see Locked), and deterministic.
type Mem struct {
	now     time.Duration
	names   []entry  // what is readable, sorted by name
	durable []entry  // what is durable under every model, sorted by name
	pending []change // names changed since, the oldest first
	locks   []string
	writes  uint64 // numbers dirty pages in the order in which they became dirty
}

type entry struct {
	name string
	node *inode
}

// change is one change of a name that no SyncDir covered.
type change struct {
	op      Op // OpCreate (also of a directory), OpRemove, OpRename
	name    string
	to      string // OpRename
	node    *inode
	since   time.Duration
	journal bool // ext4 has committed it with the Sync of a file
}

// inode is a file or a directory. A page that is nil reads as zero. Pages are shared between data and image until they
// are written: a page is dirty iff it stands in dirty, and then data owns it.
type inode struct {
	dir         bool
	size        int64
	data        []*page
	durableSize int64
	image       []*page // the durable contents
	isDirty     []bool  // by page
	dirty       []dirtyPage
}

type page [Page]byte

type dirtyPage struct {
	index   int
	seq     uint64
	since   time.Duration
	flushed bool // ext4 flushed it because the file was renamed over another; so it will call what is written to it later
}

// NewMem returns an empty file system.
func NewMem() *Mem { return &Mem{} }

// SetTime tells what time it is, so that Crash knows for how long something has been dirty.
func (m *Mem) SetTime(now time.Duration) { m.now = now }

// Unlock releases every lock, as the end of the process that held them does.
func (m *Mem) Unlock() { m.locks = nil }

func find(entries []entry, name string) (int, bool) {
	return slices.BinarySearchFunc(entries, name, func(e entry, name string) int { return strings.Compare(e.name, name) })
}

func lookup(entries []entry, name string) *inode {
	if i, ok := find(entries, name); ok {
		return entries[i].node
	}
	return nil
}

func put(entries []entry, name string, node *inode) []entry {
	i, ok := find(entries, name)
	if ok {
		entries[i].node = node
		return entries
	}
	return slices.Insert(entries, i, entry{name, node})
}

func drop(entries []entry, name string) []entry {
	if i, ok := find(entries, name); ok {
		return slices.Delete(entries, i, i+1)
	}
	return entries
}

func (m *Mem) isDir(name string) bool {
	node := lookup(m.names, name)
	return name == "." || node != nil && node.dir
}

func notExist(op, name string) error { return &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist} }

// note records a change of a name that is not durable yet.
func (m *Mem) note(c change) {
	c.since = m.now
	m.pending = append(m.pending, c)
}

// Create implements FS.
func (m *Mem) Create(name string, size int64) (File, error) {
	if !m.isDir(path.Dir(name)) {
		return nil, notExist("create", name)
	}
	if lookup(m.names, name) != nil {
		return nil, &fs.PathError{Op: "create", Path: name, Err: fs.ErrExist}
	}
	node := &inode{size: size}
	m.names = put(m.names, name, node)
	m.note(change{op: OpCreate, name: name, node: node})
	return &memFile{m, node, false}, nil
}

// Open implements FS.
func (m *Mem) Open(name string) (File, error) {
	node := lookup(m.names, name)
	if node == nil || node.dir {
		return nil, notExist("open", name)
	}
	return &memFile{m, node, false}, nil
}

// Remove implements FS.
func (m *Mem) Remove(name string) error {
	node := lookup(m.names, name)
	if node == nil {
		return notExist("remove", name)
	}
	if i, _ := find(m.names, name+"/"); node.dir && i < len(m.names) && strings.HasPrefix(m.names[i].name, name+"/") {
		return &fs.PathError{Op: "remove", Path: name, Err: fs.ErrExist}
	}
	m.names = drop(m.names, name)
	m.note(change{op: OpRemove, name: name, node: node})
	return nil
}

// Rename implements FS. It renames files, not directories.
func (m *Mem) Rename(old, new string) error {
	node := lookup(m.names, old)
	if node == nil || node.dir {
		return notExist("rename", old)
	}
	if !m.isDir(path.Dir(new)) {
		return notExist("rename", new)
	}
	if lookup(m.names, new) != nil {
		for i := range node.dirty {
			node.dirty[i].flushed = true
		}
	}
	m.names = put(drop(m.names, old), new, node)
	m.note(change{op: OpRename, name: old, to: new, node: node})
	return nil
}

// List implements FS.
func (m *Mem) List(dir string) ([]string, error) {
	if !m.isDir(dir) {
		return nil, notExist("list", dir)
	}
	var names []string
	for _, e := range m.names {
		if path.Dir(e.name) == dir {
			names = append(names, path.Base(e.name))
		}
	}
	return names, nil
}

// MkdirAll implements FS.
func (m *Mem) MkdirAll(dir string) error {
	if m.isDir(dir) {
		return nil
	}
	if lookup(m.names, dir) != nil {
		return &fs.PathError{Op: "mkdir", Path: dir, Err: fs.ErrExist}
	}
	if err := m.MkdirAll(path.Dir(dir)); err != nil {
		return err
	}
	node := &inode{dir: true}
	m.names = put(m.names, dir, node)
	m.note(change{op: OpCreate, name: dir, node: node})
	return nil
}

// SyncDir implements FS.
func (m *Mem) SyncDir(dir string) error {
	if !m.isDir(dir) {
		return notExist("syncdir", dir)
	}
	kept := m.pending[:0]
	for _, c := range m.pending {
		if path.Dir(c.name) == dir || c.op == OpRename && path.Dir(c.to) == dir {
			m.durable = c.apply(m.durable)
		} else {
			kept = append(kept, c)
		}
	}
	m.pending = kept
	m.journalAbove(dir)
	return nil
}

// journalAbove notes that ext4 has committed the creation of dir and of the directories above it.
func (m *Mem) journalAbove(dir string) {
	for ; dir != "."; dir = path.Dir(dir) {
		node := lookup(m.names, dir)
		for i := range m.pending {
			if c := &m.pending[i]; c.op == OpCreate && c.node == node {
				c.journal = true
			}
		}
	}
}

// apply returns entries after the change.
func (c change) apply(entries []entry) []entry {
	switch c.op {
	case OpCreate:
		return put(entries, c.name, c.node)
	case OpRename:
		return put(drop(entries, c.name), c.to, c.node)
	}
	return drop(entries, c.name)
}

// Lock implements Locker.
func (m *Mem) Lock(name string) (io.Closer, error) {
	if slices.Contains(m.locks, name) {
		return nil, ErrLocked
	}
	if lookup(m.names, name) == nil {
		if _, err := m.Create(name, 0); err != nil {
			return nil, err
		}
	}
	m.locks = append(m.locks, name)
	return memLock{m, name}, nil
}

type memLock struct {
	m    *Mem
	name string
}

func (l memLock) Close() error {
	l.m.locks = slices.DeleteFunc(l.m.locks, func(name string) bool { return name == l.name })
	return nil
}
