package disk

import (
	"strings"

	"github.com/hanwen/go-fuse/v2/fuse"

	"holdfast/nemesis"
)

// failsRead reports whether a read of the inode fails. The kernel reads ahead, finds the first page missing and asks for
// it alone: the same failure a second time. Did only the first one fail, the process would never see it.
func (v *volume) failsRead(n *inode, off int64, length int) bool {
	if !v.faults.is(nemesis.ReadError) {
		return false
	}
	path := v.pathOf(n)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.echo == off+1 && length <= pageSize {
		n.echo = 0
		return true
	}
	_, fails := v.faults.strike(nemesis.ReadError, path, int64(length))
	n.echo = 0
	if fails {
		n.echo = off + 1
	}
	return fails
}

// dropCached has the kernel drop what it has cached of the files whose path begins with prefix, so that reads of them reach
// the disk. It waits for the dirty pages among them to be written down first.
func (v *volume) dropCached(prefix string) {
	v.gate.RLock()
	server := v.server
	v.gate.RUnlock()
	if server == nil {
		return // nothing is cached of a volume that is not mounted
	}
	var ids []uint64
	v.mu.Lock()
	for id, n := range v.table.byID {
		if n.regular() && strings.HasPrefix(n.path(), prefix) {
			ids = append(ids, id)
		}
	}
	v.mu.Unlock()
	for _, id := range ids {
		_ = server.InodeNotify(id, 0, 0) // ENOENT: the kernel does not hold it any more
	}
}

// openFlags returns how the kernel treats its cache of a file that is being opened.
func (v *volume) openFlags(n *inode) uint32 {
	if v.faults.is(nemesis.ReadError) {
		path := v.pathOf(n)
		v.faults.mu.Lock()
		defer v.faults.mu.Unlock()
		if v.faults.on(nemesis.ReadError, path) != nil {
			return 0 // dropped at the open
		}
	}
	return fuse.FOPEN_KEEP_CACHE
}
