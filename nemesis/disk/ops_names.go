package disk

import (
	"os"
	"path"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"holdfast/broker/vfs"
	"holdfast/nemesis"
)

// cacheFor is how long the kernel may trust names and attributes: it sees every change itself, so for long.
const cacheFor = 30 * time.Second

// inode returns the inode that the kernel knows by id.
func (v *volume) inode(id uint64) *inode {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.table.byID[id]
}

// found fills out for the kernel, which now knows the inode once more. Caller holds mu.
func (n *inode) found(st *unix.Stat_t, out *fuse.EntryOut) {
	n.lookups++
	out.NodeId, out.Generation = n.id, 1
	out.SetEntryTimeout(cacheFor)
	out.SetAttrTimeout(cacheFor)
	fillAttr(st, &out.Attr)
}

func fillAttr(st *unix.Stat_t, a *fuse.Attr) {
	s := syscall.Stat_t{Dev: st.Dev, Ino: st.Ino, Nlink: st.Nlink, Mode: st.Mode, Uid: st.Uid, Gid: st.Gid, Rdev: st.Rdev,
		Size: st.Size, Blksize: st.Blksize, Blocks: st.Blocks,
		Atim: syscall.Timespec(st.Atim), Mtim: syscall.Timespec(st.Mtim), Ctim: syscall.Timespec(st.Ctim)}
	a.FromStat(&s)
}

// Lookup implements fuse.RawFileSystem.
func (v *volume) Lookup(_ <-chan struct{}, h *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	v.meter.calls.Add(1)
	v.mu.Lock()
	defer v.mu.Unlock()
	parent := v.table.byID[h.NodeId]
	if parent == nil {
		return fuse.Status(unix.ESTALE)
	}
	n, st, err := v.table.open(parent, name)
	if err != nil {
		return fuse.ToStatus(err)
	}
	n.found(st, out)
	return fuse.OK
}

// Forget implements fuse.RawFileSystem.
func (v *volume) Forget(id, lookups uint64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	n := v.table.byID[id]
	if n == nil {
		return
	}
	n.lookups -= min(lookups, n.lookups)
	v.table.drop(n)
}

// change runs f, a change of names below the directories with the given ids, unless the power is cut.
func (v *volume) change(dir, other uint64, f func(dir, other *inode) error) fuse.Status {
	if st := v.enter(); st != fuse.OK {
		return st
	}
	defer v.leave()
	v.mu.Lock()
	defer v.mu.Unlock()
	a, b := v.table.byID[dir], v.table.byID[other]
	if a == nil || b == nil {
		return fuse.Status(unix.ESTALE)
	}
	err := f(a, b)
	v.names.Expire(time.Duration(monotonic()))
	v.names.compact(&v.table)
	return fuse.ToStatus(err)
}

// make runs f, which makes name in dir, and journals it.
func (v *volume) make(dir uint64, name string, out *fuse.EntryOut, f func(dirFD int) error) fuse.Status {
	return v.change(dir, dir, func(parent, _ *inode) error {
		if v.faults.is(nemesis.DiskFull) && !v.allotName(path.Join(parent.path(), name)) {
			return unix.ENOSPC
		}
		if err := f(parent.fd); err != nil {
			return err
		}
		n, st, err := v.table.open(parent, name)
		if err != nil {
			return err
		}
		n.found(st, out)
		v.names.add(nameChange{To: place{Dir: parent, Name: name}, Target: n, Own: true})
		return nil
	})
}

// Mknod implements fuse.RawFileSystem.
func (v *volume) Mknod(_ <-chan struct{}, in *fuse.MknodIn, name string, out *fuse.EntryOut) fuse.Status {
	return v.make(in.NodeId, name, out, func(dirFD int) error {
		return unix.Mknodat(dirFD, name, in.Mode, int(in.Rdev))
	})
}

// Mkdir implements fuse.RawFileSystem.
func (v *volume) Mkdir(_ <-chan struct{}, in *fuse.MkdirIn, name string, out *fuse.EntryOut) fuse.Status {
	return v.make(in.NodeId, name, out, func(dirFD int) error { return unix.Mkdirat(dirFD, name, in.Mode) })
}

// Symlink implements fuse.RawFileSystem.
func (v *volume) Symlink(_ <-chan struct{}, h *fuse.InHeader, pointedTo, name string, out *fuse.EntryOut) fuse.Status {
	return v.make(h.NodeId, name, out, func(dirFD int) error { return unix.Symlinkat(pointedTo, dirFD, name) })
}

// Readlink implements fuse.RawFileSystem.
func (v *volume) Readlink(_ <-chan struct{}, h *fuse.InHeader) ([]byte, fuse.Status) {
	n := v.inode(h.NodeId)
	if n == nil {
		return nil, fuse.Status(unix.ESTALE)
	}
	buf := make([]byte, unix.PathMax)
	m, err := unix.Readlinkat(n.fd, "", buf)
	if err != nil {
		return nil, fuse.ToStatus(err)
	}
	return buf[:m], fuse.OK
}

// Link implements fuse.RawFileSystem. A new name is a change of its own, not the creation that a file's fsync covers.
func (v *volume) Link(_ <-chan struct{}, in *fuse.LinkIn, name string, out *fuse.EntryOut) fuse.Status {
	return v.change(in.NodeId, in.Oldnodeid, func(dir, old *inode) error {
		if old.parent == nil {
			return unix.EPERM
		}
		if err := unix.Linkat(old.parent.fd, old.name, dir.fd, name, 0); err != nil {
			return err
		}
		n, st, err := v.table.open(dir, name)
		if err != nil {
			return err
		}
		n.found(st, out)
		v.names.add(nameChange{To: place{Dir: dir, Name: name}, Target: n})
		return nil
	})
}

// Create implements fuse.RawFileSystem.
func (v *volume) Create(_ <-chan struct{}, in *fuse.CreateIn, name string, out *fuse.CreateOut) fuse.Status {
	st := v.make(in.NodeId, name, &out.EntryOut, func(dirFD int) error {
		fd, err := unix.Openat(dirFD, name, unix.O_CREAT|unix.O_EXCL|unix.O_RDWR|unix.O_NOFOLLOW|unix.O_CLOEXEC, in.Mode)
		if err != nil {
			return err
		}
		return unix.Close(fd)
	})
	if st == fuse.Status(unix.EEXIST) && in.Flags&unix.O_EXCL == 0 {
		if st = v.Lookup(nil, &in.InHeader, name, &out.EntryOut); st != fuse.OK {
			return st
		}
		return v.Open(nil, &fuse.OpenIn{InHeader: fuse.InHeader{NodeId: out.NodeId}, Flags: in.Flags}, &out.OpenOut)
	}
	out.OpenFlags = fuse.FOPEN_KEEP_CACHE // nothing is cached of a new file
	return st
}

// Unlink implements fuse.RawFileSystem.
func (v *volume) Unlink(_ <-chan struct{}, h *fuse.InHeader, name string) fuse.Status {
	return v.remove(h.NodeId, name)
}

// Rmdir implements fuse.RawFileSystem.
func (v *volume) Rmdir(_ <-chan struct{}, h *fuse.InHeader, name string) fuse.Status {
	return v.remove(h.NodeId, name)
}

// remove moves what has the name to the trash. The kernel has checked that it is of the kind to be removed.
func (v *volume) remove(dir uint64, name string) fuse.Status {
	return v.change(dir, dir, func(parent, _ *inode) error {
		n, _, err := v.table.open(parent, name)
		if err != nil {
			return err
		}
		c := nameChange{From: place{Dir: parent, Name: name}, Target: n}
		if err := v.discard(n, c.From, &c); err != nil {
			return err
		}
		v.names.add(c)
		return nil
	})
}

// discard moves n, which c removes or replaces, from p to the trash.
func (v *volume) discard(n *inode, p place, c *nameChange) error {
	if n.isDir() {
		if names, err := readNames(n); err != nil || len(names) > 0 {
			return unix.ENOTEMPTY
		}
		c.Gone = n
	}
	trash := v.names.trashName()
	if err := unix.Renameat(p.Dir.fd, p.Name, v.names.trashFD, trash); err != nil {
		return err
	}
	var st unix.Stat_t
	if v.faults.is(nemesis.DiskFull) && unix.Fstat(n.fd, &st) == nil && st.Nlink == 1 {
		v.freed(path.Join(p.Dir.path(), p.Name), st.Blocks*512)
	}
	c.Detail.trash, c.Detail.trashDir = trash, n.isDir()
	return nil
}

// Rename implements fuse.RawFileSystem.
func (v *volume) Rename(_ <-chan struct{}, in *fuse.RenameIn, oldName, newName string) fuse.Status {
	if in.Flags&^unix.RENAME_NOREPLACE != 0 {
		return fuse.EINVAL
	}
	return v.change(in.NodeId, in.Newdir, func(oldDir, newDir *inode) error {
		n, _, err := v.table.open(oldDir, oldName)
		if err != nil {
			return err
		}
		c := nameChange{From: place{Dir: oldDir, Name: oldName}, To: place{Dir: newDir, Name: newName}, Target: n}
		victim, _, err := v.table.open(newDir, newName)
		switch {
		case err == unix.ENOENT:
		case err != nil:
			return err
		case in.Flags&unix.RENAME_NOREPLACE != 0:
			return unix.EEXIST
		case victim == n: // two names of one file: nothing happens
			n.parent, n.name = oldDir, oldName
			return nil
		default:
			if err := v.discard(victim, c.To, &c); err != nil {
				return err
			}
			c.Detail.victim = victim
		}
		if err := unix.Renameat(oldDir.fd, oldName, newDir.fd, newName); err != nil {
			if c.Detail.trash != "" {
				_ = unix.Renameat(v.names.trashFD, c.Detail.trash, newDir.fd, newName) // the first error is the caller's
			}
			return err
		}
		n.parent, n.name = newDir, newName
		v.names.add(c)
		if c.Detail.victim != nil && v.model == vfs.Ext4 {
			return n.flushed()
		}
		return nil
	})
}

// flushed makes the file's content durable: ext4 writes out a file that replaces another before the rename commits.
func (n *inode) flushed() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.regular() || n.pages.inSync {
		return nil
	}
	return n.pages.flush(n)
}

// dirStream is an open directory: its names as they were when it was read from the start.
type dirStream struct {
	dir     *inode
	entries []fuse.DirEntry
}

// readNames reads a directory of the backing file system.
func readNames(dir *inode) ([]fuse.DirEntry, error) {
	fd, err := unix.Openat(dir.fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "directory")
	defer f.Close()
	list, err := f.ReadDir(-1)
	if err != nil {
		return nil, err
	}
	entries := make([]fuse.DirEntry, 0, len(list))
	for _, e := range list {
		mode := uint32(unix.S_IFREG)
		switch t := e.Type(); {
		case t.IsDir():
			mode = unix.S_IFDIR
		case t&os.ModeSymlink != 0:
			mode = unix.S_IFLNK
		}
		entries = append(entries, fuse.DirEntry{Name: e.Name(), Mode: mode})
	}
	return entries, nil
}

// OpenDir implements fuse.RawFileSystem.
func (v *volume) OpenDir(_ <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	v.mu.Lock()
	defer v.mu.Unlock()
	n := v.table.byID[in.NodeId]
	if n == nil {
		return fuse.Status(unix.ESTALE)
	}
	v.nextFh++
	out.Fh = v.nextFh
	v.dirs[out.Fh] = &dirStream{dir: n}
	return fuse.OK
}

// ReadDir implements fuse.RawFileSystem.
func (v *volume) ReadDir(_ <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	v.mu.Lock()
	defer v.mu.Unlock()
	d := v.dirs[in.Fh]
	if d == nil {
		return fuse.Status(unix.EBADF)
	}
	if in.Offset == 0 {
		entries, err := readNames(d.dir)
		if err != nil {
			return fuse.ToStatus(err)
		}
		d.entries = append([]fuse.DirEntry{{Name: ".", Mode: unix.S_IFDIR}, {Name: "..", Mode: unix.S_IFDIR}}, entries...)
	}
	for i := in.Offset; i < uint64(len(d.entries)); i++ {
		e := d.entries[i]
		e.Off = i + 1
		if !out.AddDirEntry(e) {
			break
		}
	}
	return fuse.OK
}

// ReleaseDir implements fuse.RawFileSystem.
func (v *volume) ReleaseDir(in *fuse.ReleaseIn) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.dirs, in.Fh)
}

// FsyncDir implements fuse.RawFileSystem: the names in the directory are durable.
func (v *volume) FsyncDir(_ <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	return v.change(in.NodeId, in.NodeId, func(dir, _ *inode) error {
		v.names.SyncedDir(dir)
		return nil
	})
}
