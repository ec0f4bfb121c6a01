package disk

import (
	"strings"
	"sync"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// faults is what is wrong with a volume's fsyncs.
type faults struct {
	mu    sync.Mutex
	delay time.Duration
	err   SyncError
}

// next returns what happens to an fsync of the file at path that begins now.
func (f *faults) next(path string) (delay time.Duration, fail bool, pages Persist) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err.Times != 0 && strings.HasPrefix(path, f.err.Prefix) {
		if f.err.Times > 0 {
			f.err.Times--
		}
		fail = true
	}
	return f.delay, fail, f.err.Pages
}

func (f *faults) setDelay(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.delay = d
}

func (f *faults) setError(e SyncError) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = e
}

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
	v.mu.Lock()
	path := n.path()
	v.mu.Unlock()
	delay, fail, persist := v.faults.next(path)
	n.mu.Lock()
	n.pages.beginSync()
	n.mu.Unlock()
	event := syncWire{Path: path, Began: monotonic(), Failed: fail}
	isCut := v.isCut
	v.leave()

	err := error(nil)
	if v.real {
		err = unix.Fdatasync(n.fd)
	}
	if delay > 0 {
		v.meter.delayed.Add(1)
		select {
		case <-time.After(delay):
		case <-isCut:
		}
	}

	v.gate.RLock()
	cut := v.cut
	n.mu.Lock()
	event.Bytes = n.pages.endSync(!cut && !fail && err == nil, cut || persist == Keep)
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
		v.names.syncedFile(n)
		v.names.expire(monotonic())
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
