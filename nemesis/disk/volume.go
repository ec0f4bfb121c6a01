package disk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"holdfast/broker/vfs"
)

// volume is one node's disk: a backing directory, served at a mount point, with what in it is not durable.
//
// Locks, in this order: gate (shared by every change, exclusive for a cut), inode.syncMu, mu, inode.mu.
type volume struct {
	fuse.RawFileSystem // every call that is not implemented here answers ENOSYS

	node, backing, mountPoint string
	outlet                    int            // of the power line; -1: none
	real                      bool           // an fdatasync below each fsync
	gate                      *sync.RWMutex  // one for all volumes of the process, so that one cut is one instant
	model                     vfs.NamesModel // of names

	// Guarded by gate.
	cut      bool
	cutAt    int64         // ns of the monotonic clock
	isCut    chan struct{} // closed by the cut
	released chan struct{} // closed when held calls may go
	server   *fuse.Server  // nil: not mounted

	mu     sync.Mutex
	table  inodes
	names  journal
	dirs   map[uint64]*dirStream
	nextFh uint64

	lucky  map[uint64][]span // by backing inode number: what survived the last cut although no fsync covered it
	order  atomic.Uint64     // numbers dirty pages
	faults faults
	meter  meter

	served chan struct{} // closed when the kernel's connection has ended; nil: not mounted
}

// trashDir returns where removed files wait until their removal is durable: beside the backing directory.
func (v *volume) trashDir() string { return v.backing + ".removed" }

// checkPaths refuses directories that would make the disk serve itself.
func checkPaths(backing, mountPoint string) error {
	for _, p := range []string{backing, mountPoint} {
		if !filepath.IsAbs(p) || filepath.Clean(p) != p || p == "/" {
			return fmt.Errorf("%q: want a clean absolute path below the root", p)
		}
	}
	if strings.HasPrefix(backing+"/", mountPoint+"/") || strings.HasPrefix(mountPoint+"/", backing+"/") {
		return fmt.Errorf("backing %s and mount point %s lie within each other", backing, mountPoint)
	}
	return nil
}

// mount serves the backing directory at the mount point. What it holds is durable now.
func (v *volume) mount() error {
	if v.served != nil {
		return errors.New("already mounted")
	}
	if err := v.openTree(); err != nil {
		return err
	}
	server, err := fuse.NewServer(v, v.mountPoint, &fuse.MountOptions{
		FsName:                   "holdfast",
		Name:                     "holdfast",
		MaxWrite:                 1 << 20,
		MaxBackground:            64,
		DisableXAttrs:            true,
		ExplicitDataCacheControl: true, // else the page cache is dropped whenever the backing file's mtime changes
		DisableReadDirPlus:       true,
		DisableSplice:            true,
		DirectMountStrict:        true, // no fusermount binary
		DirectMountFlags:         unix.MS_NODEV | unix.MS_NOSUID,
	})
	if err != nil {
		v.closeTree()
		return fmt.Errorf("mount %s: %w", v.mountPoint, err)
	}
	served := make(chan struct{})
	v.served = served
	v.gate.Lock()
	v.server = server
	v.gate.Unlock()
	go func() {
		server.Serve()
		close(served)
	}()
	v.loosenWriteback()
	return nil
}

// openTree opens the backing directory and an empty trash.
func (v *volume) openTree() error {
	if err := errors.Join(os.MkdirAll(v.backing, 0o755), os.MkdirAll(v.mountPoint, 0o755)); err != nil {
		return err
	}
	if err := os.RemoveAll(v.trashDir()); err != nil {
		return err
	}
	if err := os.Mkdir(v.trashDir(), 0o700); err != nil {
		return err
	}
	root, err := unix.Open(v.backing, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", v.backing, err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(root, &st); err != nil {
		unix.Close(root)
		return fmt.Errorf("stat %s: %w", v.backing, err)
	}
	trash, err := unix.Open(v.trashDir(), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		unix.Close(root)
		return fmt.Errorf("open %s: %w", v.trashDir(), err)
	}
	v.table = newInodes(root, &st)
	v.names = journal{model: v.model, trashFD: trash}
	v.dirs = map[uint64]*dirStream{}
	v.lucky = nil // what is there is durable now
	v.cut, v.isCut, v.released = false, make(chan struct{}), make(chan struct{})
	v.meter.reset()
	return nil
}

// closeTree forgets the volatile state and removes the trash.
func (v *volume) closeTree() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.table.byID == nil {
		return
	}
	v.table.closeAll()
	unix.Close(v.names.trashFD)
	v.names = journal{model: v.model}
	_ = os.RemoveAll(v.trashDir()) // openTree removes what stays here, and says so if it cannot
}

// loosenWriteback lets the kernel keep dirty mapped pages of this mount as it does for a disk; FUSE mounts are held to
// 1% of memory otherwise. Without the right to do so mapped writes are slower, nothing else.
func (v *volume) loosenWriteback() {
	info, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return
	}
	for line := range strings.Lines(string(info)) {
		f := strings.Fields(line)
		if len(f) > 4 && f[4] == v.mountPoint {
			bdi := "/sys/class/bdi/" + f[2]
			_ = os.WriteFile(bdi+"/strict_limit", []byte("0"), 0)
			_ = os.WriteFile(bdi+"/max_ratio", []byte("100"), 0)
		}
	}
}

// unmountPatience is how long Detach waits for exiting processes to let go of a mount.
const unmountPatience = 5 * time.Second

// detach unmounts. With force the connection is aborted instead of waiting for processes that hold the mount.
func (v *volume) detach(force bool) error {
	if v.served == nil {
		return errors.New("not mounted")
	}
	v.gate.RLock()
	cut, held := v.cut, v.cut && !isClosed(v.released)
	v.gate.RUnlock()
	if held && !force {
		return errors.New("cut and not released: unmounting would wait for the calls that are held")
	}
	if err := v.unmount(force); err != nil {
		return err
	}
	<-v.served
	v.served = nil
	v.gate.Lock()
	v.server = nil
	v.gate.Unlock()
	if !cut {
		v.closeTree()
	}
	return nil
}

func (v *volume) unmount(force bool) error {
	if force {
		return unix.Unmount(v.mountPoint, unix.MNT_FORCE|unix.MNT_DETACH)
	}
	deadline := time.Now().Add(unmountPatience)
	for {
		err := unix.Unmount(v.mountPoint, 0)
		if err != unix.EBUSY || time.Now().After(deadline) {
			if err != nil {
				return fmt.Errorf("unmount %s: %w", v.mountPoint, err)
			}
			return nil
		}
		time.Sleep(time.Millisecond) // the last close of an exited process is done by the kernel a moment later
	}
}

func isClosed(ch chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

// enter begins a change: it returns OK with the gate held shared, to be given back by leave. After a cut it holds the
// caller until the release and answers EIO.
func (v *volume) enter() fuse.Status {
	v.meter.calls.Add(1)
	v.gate.RLock()
	if !v.cut {
		return fuse.OK
	}
	v.gate.RUnlock()
	return v.hold()
}

func (v *volume) leave() { v.gate.RUnlock() }

// hold keeps a call that came after the cut.
func (v *volume) hold() fuse.Status {
	v.meter.refused.Add(1)
	<-v.released
	return fuse.EIO
}

// OnUnmount implements fuse.RawFileSystem; nothing is left to do then.
func (v *volume) OnUnmount() {}

// String names the volume in go-fuse's own messages.
func (v *volume) String() string { return "holdfast:" + v.node }
