package disk

import (
	"bytes"
	"math"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"holdfast/nemesis"
)

// GetAttr implements fuse.RawFileSystem.
func (v *volume) GetAttr(_ <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	v.meter.calls.Add(1)
	n := v.inode(in.NodeId)
	if n == nil {
		return fuse.Status(unix.ESTALE)
	}
	return n.attr(out)
}

func (n *inode) attr(out *fuse.AttrOut) fuse.Status {
	var st unix.Stat_t
	if err := unix.Fstat(n.fd, &st); err != nil {
		return fuse.ToStatus(err)
	}
	out.SetTimeout(cacheFor)
	fillAttr(&st, &out.Attr)
	return fuse.OK
}

// SetAttr implements fuse.RawFileSystem. A change of size is volatile as data is; modes, owners and times are taken as
// durable at once.
func (v *volume) SetAttr(_ <-chan struct{}, in *fuse.SetAttrIn, out *fuse.AttrOut) fuse.Status {
	n := v.inode(in.NodeId)
	if n == nil {
		return fuse.Status(unix.ESTALE)
	}
	if st := v.enter(); st != fuse.OK {
		return st
	}
	defer v.leave()
	if err := v.setAttr(n, &in.SetAttrInCommon); err != nil {
		return fuse.ToStatus(err)
	}
	return n.attr(out)
}

func (v *volume) setAttr(n *inode, in *fuse.SetAttrInCommon) error {
	if size, ok := in.GetSize(); ok && n.regular() {
		if err := v.truncate(n, int64(size)); err != nil {
			return err
		}
	}
	self := procFD(n.fd)
	if mode, ok := in.GetMode(); ok {
		if err := unix.Chmod(self, mode); err != nil {
			return err
		}
	}
	uid, hasUID := in.GetUID()
	gid, hasGID := in.GetGID()
	if hasUID || hasGID {
		u, g := -1, -1
		if hasUID {
			u = int(uid)
		}
		if hasGID {
			g = int(gid)
		}
		if err := unix.Fchownat(n.fd, "", u, g, unix.AT_EMPTY_PATH); err != nil {
			return err
		}
	}
	atime, hasA := in.GetATime()
	mtime, hasM := in.GetMTime()
	if !hasA && !hasM {
		return nil
	}
	times := []unix.Timespec{{Nsec: unix.UTIME_OMIT}, {Nsec: unix.UTIME_OMIT}}
	if hasA {
		times[0] = unix.NsecToTimespec(atime.UnixNano())
	}
	if hasM {
		times[1] = unix.NsecToTimespec(mtime.UnixNano())
	}
	return unix.UtimesNanoAt(unix.AT_FDCWD, self, times, 0)
}

// truncate changes the size: what is cut off is kept until the change is durable.
func (v *volume) truncate(n *inode, size int64) error {
	path := v.pathOf(n)
	n.mu.Lock()
	defer n.mu.Unlock()
	p := &n.pages
	if size < p.size {
		if err := v.touchCutOff(n, size); err != nil {
			return err
		}
	}
	if err := v.giveBack(path, n.fd, func() error { return unix.Ftruncate(n.fd, size) }); err != nil {
		return err
	}
	n.unreserve(span{size, math.MaxInt64})
	p.size = size
	n.grown = growth{size, monotonic()}
	return nil
}

// touch keeps what the pages of [from, to) hold, of a file that has data there; holes need no keeping. Caller holds
// n.mu.
func (v *volume) touch(n *inode, from, to int64) error {
	now := monotonic()
	for from < to {
		data, err := unix.Seek(n.fd, from, unix.SEEK_DATA)
		if err == unix.ENXIO || data >= to {
			return nil
		}
		if err != nil {
			return err
		}
		hole, err := unix.Seek(n.fd, data, unix.SEEK_HOLE)
		if err != nil {
			return err
		}
		from = min(hole, to)
		if err := n.pages.touch(n, data, from, now, v.nextOrder); err != nil {
			return err
		}
	}
	return nil
}

// touchCutOff keeps what a truncation to size takes away. Where that is zeroes it changes no page. Caller holds n.mu.
func (v *volume) touchCutOff(n *inode, size int64) error {
	const most = 64 * pageSize
	now, buf := monotonic(), make([]byte, most)
	for from := size; from < n.pages.size; {
		data, err := unix.Seek(n.fd, from, unix.SEEK_DATA)
		if err == unix.ENXIO {
			return nil
		}
		if err != nil {
			return err
		}
		from = data &^ (most - 1)
		if err := readFull(n, buf, from); err != nil {
			return err
		}
		clear(buf[:min(max(size-from, 0), most)])
		for page := int64(0); page < most; page += pageSize {
			if bytes.Equal(buf[page:page+pageSize], zeroPage[:]) {
				continue
			}
			if err := n.pages.touch(n, from+page, from+page+1, now, v.nextOrder); err != nil {
				return err
			}
		}
		from += most
	}
	return nil
}

func (v *volume) nextOrder() uint64 { return v.order.Add(1) }

// Open implements fuse.RawFileSystem. The inode's own descriptor serves every open file.
func (v *volume) Open(_ <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	v.meter.calls.Add(1)
	n := v.inode(in.NodeId)
	if n == nil {
		return fuse.Status(unix.ESTALE)
	}
	if !n.regular() {
		return fuse.Status(unix.ENXIO)
	}
	if in.Flags&unix.O_TRUNC != 0 {
		if st := v.enter(); st != fuse.OK {
			return st
		}
		defer v.leave()
		if err := v.truncate(n, 0); err != nil {
			return fuse.ToStatus(err)
		}
	}
	out.OpenFlags = v.openFlags(n)
	return fuse.OK
}

// Read implements fuse.RawFileSystem.
func (v *volume) Read(_ <-chan struct{}, in *fuse.ReadIn, buf []byte) (fuse.ReadResult, fuse.Status) {
	v.meter.calls.Add(1)
	n := v.inode(in.NodeId)
	if n == nil {
		return nil, fuse.Status(unix.ESTALE)
	}
	if v.failsRead(n, int64(in.Offset), len(buf)) {
		return nil, fuse.EIO
	}
	m, err := n.ReadAt(buf, int64(in.Offset))
	if err != nil && !isEOF(err) {
		return nil, fuse.ToStatus(err)
	}
	return fuse.ReadResultData(buf[:m]), fuse.OK
}

// Flush implements fuse.RawFileSystem: closing a file makes nothing durable.
func (v *volume) Flush(_ <-chan struct{}, _ *fuse.FlushIn) fuse.Status { return fuse.OK }

// Release implements fuse.RawFileSystem.
func (v *volume) Release(_ <-chan struct{}, _ *fuse.ReleaseIn) {}

// Access implements fuse.RawFileSystem: the node's own files, so everything is allowed.
func (v *volume) Access(_ <-chan struct{}, _ *fuse.AccessIn) fuse.Status { return fuse.OK }

// Fallocate implements fuse.RawFileSystem.
func (v *volume) Fallocate(_ <-chan struct{}, in *fuse.FallocateIn) fuse.Status {
	const known = unix.FALLOC_FL_KEEP_SIZE | unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_ZERO_RANGE
	if in.Mode&^known != 0 {
		return fuse.Status(unix.EOPNOTSUPP)
	}
	n := v.inode(in.NodeId)
	if n == nil {
		return fuse.Status(unix.ESTALE)
	}
	if st := v.enter(); st != fuse.OK {
		return st
	}
	defer v.leave()
	path := v.pathOf(n)
	n.mu.Lock()
	defer n.mu.Unlock()
	from, to := int64(in.Offset), int64(in.Offset+in.Length)
	if in.Mode&unix.FALLOC_FL_PUNCH_HOLE == 0 && v.faults.is(nemesis.DiskFull) && v.allot(n, path, from, to, true) < to {
		return fuse.Status(unix.ENOSPC)
	}
	if in.Mode&(unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_ZERO_RANGE) != 0 {
		if err := v.touch(n, from, min(to, n.pages.size)); err != nil {
			return fuse.ToStatus(err)
		}
	}
	err := v.giveBack(path, n.fd, func() error { return unix.Fallocate(n.fd, in.Mode, from, int64(in.Length)) })
	if err != nil {
		return fuse.ToStatus(err)
	}
	if in.Mode&unix.FALLOC_FL_PUNCH_HOLE != 0 {
		n.unreserve(span{from, to})
	} else {
		n.reserved = append(n.reserved, span{from, to})
	}
	if in.Mode&unix.FALLOC_FL_KEEP_SIZE == 0 && to > n.pages.size {
		n.pages.size = to
		n.grown = growth{to, monotonic()}
	}
	return fuse.OK
}

// Lseek implements fuse.RawFileSystem, for holes.
func (v *volume) Lseek(_ <-chan struct{}, in *fuse.LseekIn, out *fuse.LseekOut) fuse.Status {
	n := v.inode(in.NodeId)
	if n == nil {
		return fuse.Status(unix.ESTALE)
	}
	n.mu.Lock() // touch seeks in the same descriptor
	defer n.mu.Unlock()
	off, err := unix.Seek(n.fd, int64(in.Offset), int(in.Whence))
	out.Offset = uint64(off)
	return fuse.ToStatus(err)
}

// StatFs implements fuse.RawFileSystem.
func (v *volume) StatFs(_ <-chan struct{}, _ *fuse.InHeader, out *fuse.StatfsOut) fuse.Status {
	var st unix.Statfs_t
	if err := unix.Statfs(v.backing, &st); err != nil {
		return fuse.ToStatus(err)
	}
	out.Blocks, out.Bfree, out.Bavail = st.Blocks, st.Bfree, st.Bavail
	if free, full := v.freeBytes(); full {
		out.Bfree = uint64(free / int64(st.Bsize))
		out.Bavail = out.Bfree
	}
	out.Files, out.Ffree = st.Files, st.Ffree
	out.Bsize, out.Frsize, out.NameLen = uint32(st.Bsize), uint32(st.Frsize), uint32(st.Namelen)
	return fuse.OK
}
