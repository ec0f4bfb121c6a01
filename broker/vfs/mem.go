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
	now    time.Duration
	root   *inode
	names  []entry                 // what is readable, sorted by path
	events Names[*inode, struct{}] // changes of names that are not durable under every model
	locks  []string
	writes uint64 // numbers dirty pages in the order in which they became dirty
}

// entry is a path, or among the children of a directory a name.
type entry struct {
	name string
	node *inode
}

// inode is a file or a directory. A page that is nil reads as zero. Pages are shared between data, image and flushed
// until they are written: data owns a page iff its state is dirty.
type inode struct {
	dir         bool
	children    []entry // of a directory: what is durable in it under every model, sorted by name
	size        int64
	data        []*page
	durableSize int64
	image       []*page // the durable contents
	state       []pageState
	dirty       []dirtyPage
	flushed     []flushedPage
	flushedSize int64 // what flushed has made of the durable size
	grown       growth
}

type page [Page]byte

// pageState is what a page of data is.
type pageState uint8

const (
	clean  pageState = iota
	dirty            // stands in inode.dirty
	frozen           // stands there, and shares its page with inode.flushed
)

type dirtyPage struct {
	index   int
	seq     uint64
	since   time.Duration
	flushed bool   // ext4 has flushed it, and it is dirty there only if it was written
	again   uint64 // since: its number, 0 if not, and when
	anew    time.Duration
}

// flushedPage is what ext4 has written out of a file because it was renamed over another.
type flushedPage struct {
	index int
	page  *page
	end   int64 // of its contents in the file
}

// growth is the last change of a file's size that was made by itself, not by a write: ext4 commits it as it does names.
type growth struct {
	size int64
	at   time.Duration
}

// NewMem returns an empty file system.
func NewMem() *Mem { return &Mem{root: &inode{dir: true}} }

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

// directory returns the directory of a path, which exists.
func (m *Mem) directory(name string) *inode {
	if dir := path.Dir(name); dir != "." {
		return lookup(m.names, dir)
	}
	return m.root
}

func (m *Mem) place(name string) Place[*inode] {
	return Place[*inode]{m.directory(name), path.Base(name)}
}

// Create implements FS.
func (m *Mem) Create(name string, size int64) (File, error) {
	if !m.isDir(path.Dir(name)) {
		return nil, notExist("create", name)
	}
	if lookup(m.names, name) != nil {
		return nil, &fs.PathError{Op: "create", Path: name, Err: fs.ErrExist}
	}
	node := &inode{size: size, grown: growth{size, m.now}}
	m.appear(name, node)
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
	c := Change[*inode, struct{}]{From: m.place(name), Target: node, At: m.now}
	if node.dir {
		c.Gone = node
	}
	m.events.Add(c)
	m.names = drop(m.names, name)
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
	if old == new {
		return nil
	}
	if victim := lookup(m.names, new); victim != nil {
		if victim.dir {
			return &fs.PathError{Op: "rename", Path: new, Err: fs.ErrExist}
		}
		node.flush()
	}
	m.events.Add(Change[*inode, struct{}]{From: m.place(old), To: m.place(new), Target: node, At: m.now})
	m.names = put(drop(m.names, old), new, node)
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
	m.appear(dir, &inode{dir: true})
	return nil
}

// appear gives a new file or directory its name.
func (m *Mem) appear(name string, node *inode) {
	m.events.Add(Change[*inode, struct{}]{To: m.place(name), Target: node, Own: true, At: m.now})
	m.names = put(m.names, name, node)
}

// SyncDir implements FS.
func (m *Mem) SyncDir(dir string) error {
	if !m.isDir(dir) {
		return notExist("syncdir", dir)
	}
	m.events.SyncedDir(m.directory(path.Join(dir, "x")))
	m.events.Drop(Posix, func(c *Change[*inode, struct{}]) { // durable under Posix is durable under Ext4
		if c.From.Dir != nil {
			c.From.Dir.children = drop(c.From.Dir.children, c.From.Name)
		}
		if c.To.Dir != nil {
			c.To.Dir.children = put(c.To.Dir.children, c.To.Name, c.Target)
		}
	})
	return nil
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
