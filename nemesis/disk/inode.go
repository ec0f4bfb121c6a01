package disk

import (
	"io"
	"path"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

func isEOF(err error) bool { return err == io.EOF }

// inode is one file, directory or link of a volume, known by the backing file system's inode number. It stays in the
// volume's table while the kernel knows it, while it is dirty, and while the names journal mentions it.
type inode struct {
	id   uint64 // the kernel's name of it
	ino  uint64 // the backing file system's
	mode uint32 // type bits
	fd   int    // regular files: open for reading and writing; others: O_PATH

	// Guarded by volume.mu.
	parent  *inode // by its latest name
	name    string
	lookups uint64
	journal int  // entries of the names journal that mention it
	gone    bool // closed

	syncMu sync.Mutex // one fsync at a time; before mu
	mu     sync.Mutex
	pages  pages
	late   map[int64][]byte // mapped pages that the kernel brought after the cut
	grown  growth
	echo   int64 // 1 + offset of the last read that failed on purpose, which the kernel repeats; 0: none

	writes int  // since the last fsync began
	eager  bool // that one covered one write at most: see beginEarly

	reserved []span // allocated without being written
}

// growth is the last change of a file's size that was made by itself, not by a write: ext4 commits it with its journal.
type growth struct {
	size int64
	at   int64 // ns of the monotonic clock
}

func (n *inode) regular() bool { return n.mode&unix.S_IFMT == unix.S_IFREG }
func (n *inode) isDir() bool   { return n.mode&unix.S_IFMT == unix.S_IFDIR }

// ReadAt reads the current content.
func (n *inode) ReadAt(p []byte, off int64) (int, error) {
	done := 0
	for done < len(p) {
		m, err := unix.Pread(n.fd, p[done:], off+int64(done))
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return done, err
		case m == 0:
			return done, io.EOF
		}
		done += m
	}
	return done, nil
}

// Hole asks the backing file system, which may say no for lack of knowledge. Caller holds n.mu.
func (n *inode) Hole(off, length int64) bool {
	data, err := unix.Seek(n.fd, off, unix.SEEK_DATA)
	return err == unix.ENXIO || err == nil && data >= off+length
}

// writeAt changes the backing file alone.
func (n *inode) writeAt(p []byte, off int64) error {
	for len(p) > 0 {
		m, err := unix.Pwrite(n.fd, p, off)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		p, off = p[m:], off+int64(m)
	}
	return nil
}

// path returns the inode's latest path below the root. Caller holds volume.mu.
func (n *inode) path() string {
	var parts []string
	for ; n.parent != nil; n = n.parent {
		parts = append(parts, n.name)
	}
	for i, j := 0, len(parts)-1; i < j; i, j = i+1, j-1 {
		parts[i], parts[j] = parts[j], parts[i]
	}
	return path.Join(parts...)
}

// inodes is the table of a volume. Guarded by volume.mu.
type inodes struct {
	byID   map[uint64]*inode
	byIno  map[uint64]*inode
	nextID uint64
}

func newInodes(rootFD int, st *unix.Stat_t) inodes {
	root := &inode{id: 1, ino: st.Ino, mode: st.Mode, fd: rootFD, lookups: 1}
	return inodes{byID: map[uint64]*inode{1: root}, byIno: map[uint64]*inode{st.Ino: root}, nextID: 2}
}

// open finds name in parent and returns its inode, known already or new, with its attributes.
func (t *inodes) open(parent *inode, name string) (*inode, *unix.Stat_t, error) {
	if name == "" || name == "." || name == ".." || strings.ContainsRune(name, '/') {
		return nil, nil, unix.EINVAL
	}
	fd, err := unix.Openat(parent.fd, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return nil, nil, err
	}
	if n := t.byIno[st.Ino]; n != nil {
		unix.Close(fd)
		n.parent, n.name = parent, name
		return n, &st, nil
	}
	n := &inode{id: t.nextID, ino: st.Ino, mode: st.Mode, fd: fd, parent: parent, name: name}
	if n.regular() {
		rw, err := unix.Openat(parent.fd, name, unix.O_RDWR|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err == unix.EACCES { // read-only for us: nothing can become dirty in it either
			rw, err = unix.Openat(parent.fd, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		}
		unix.Close(fd)
		if err != nil {
			return nil, nil, err
		}
		n.fd = rw
		n.pages = pages{size: st.Size, durable: st.Size}
	}
	t.nextID++
	t.byID[n.id], t.byIno[n.ino] = n, n
	return n, &st, nil
}

// drop closes the inode if nothing needs it any more.
func (t *inodes) drop(n *inode) {
	if n.lookups > 0 || n.journal > 0 || n.gone || n.id == 1 {
		return
	}
	n.mu.Lock()
	clean := n.pages.clean() || !n.linked()
	n.mu.Unlock()
	if clean {
		t.close(n)
	}
}

// linked reports whether the inode still has a name.
func (n *inode) linked() bool {
	var st unix.Stat_t
	return unix.Fstat(n.fd, &st) == nil && st.Nlink > 0
}

func (t *inodes) close(n *inode) {
	n.gone = true
	delete(t.byID, n.id)
	delete(t.byIno, n.ino)
	unix.Close(n.fd)
}

// closeAll closes every inode of the table.
func (t *inodes) closeAll() {
	for _, n := range t.byID {
		n.gone = true
		unix.Close(n.fd)
	}
	t.byID, t.byIno = nil, nil
}
