package disk

import (
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"holdfast/nemesis"
)

// Fsync implements fuse.RawFileSystem; fdatasync and msync arrive here too. The kernel has brought the file's dirty
// mapped pages before.
func (v *volume) Fsync(_ <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	n := v.inode(in.NodeId)
	if n == nil {
		return fuse.Status(unix.ESTALE)
	}
	return v.fsync(n)
}

// fsync makes what was written before it began durable before it returns: it takes a snapshot, waits as told, and
// commits it if the power is still there.
func (v *volume) fsync(n *inode) fuse.Status {
	n.syncMu.Lock()
	defer n.syncMu.Unlock()
	if st := v.enter(); st != fuse.OK {
		return st
	}
	path := v.pathOf(n)
	n.mu.Lock()
	n.pages.beginSync()
	n.eager, n.writes = n.writes <= 1, 0
	covers := int64(len(n.pages.syncing)) * pageSize
	n.mu.Unlock()
	var slow, broken FaultSpec
	fail := false
	if v.faults.is(nemesis.FsyncSlow) {
		slow, _ = v.faults.strike(nemesis.FsyncSlow, path, covers)
	}
	if v.faults.is(nemesis.FsyncError) {
		broken, fail = v.faults.strike(nemesis.FsyncError, path, covers)
	}
	event := syncWire{Path: path, Began: monotonic(), Failed: fail}
	isCut := v.isCut
	v.leave()

	err := error(nil)
	if v.real {
		err = unix.Fdatasync(n.fd)
	}
	if slow.Delay > 0 {
		v.meter.delayed.Add(1)
		select {
		case <-time.After(slow.Delay):
		case <-isCut:
		}
	}

	v.gate.RLock()
	cut := v.cut
	n.mu.Lock()
	event.Bytes = n.pages.endSync(!cut && !fail && err == nil, cut || broken.Pages == Keep)
	n.mu.Unlock()
	if cut {
		v.gate.RUnlock()
		return v.hold()
	}
	defer v.gate.RUnlock()
	if err != nil {
		return fuse.ToStatus(err)
	}
	if !fail {
		v.mu.Lock()
		if n.journal > 0 {
			v.names.SyncedFile(n)
		}
		v.names.Expire(time.Duration(monotonic()))
		v.names.compact(&v.table)
		v.mu.Unlock()
	}
	event.Ended = monotonic()
	v.meter.synced(event)
	if fail {
		return fuse.EIO
	}
	return fuse.OK
}
