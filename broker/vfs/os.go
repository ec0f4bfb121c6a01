package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
)

// OS returns the directory root, which must exist, as a file system. Its files may be used by several goroutines.
// Writes are pwrite; Sync is fdatasync where the system has it, unless the size changed: then fsync.
func OS(root string) FS { return osFS{root} }

type osFS struct{ root string }

// String returns the directory, for messages.
func (o osFS) String() string { return o.root }

func (o osFS) path(name string) string { return filepath.Join(o.root, filepath.FromSlash(name)) }

// known turns the errors of the system that callers tell apart into those of this package, keeping the text.
func known(err error) error {
	switch {
	case errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%w: %w", err, ErrNoSpace)
	case errors.Is(err, syscall.EIO):
		return fmt.Errorf("%w: %w", err, ErrIO)
	}
	return err
}

func (o osFS) Create(name string, size int64) (File, error) {
	f, err := os.OpenFile(o.path(name), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, known(err)
	}
	if err := f.Truncate(size); err != nil {
		f.Close()
		return nil, known(err)
	}
	return newOSFile(f), nil
}

func (o osFS) Open(name string) (File, error) {
	f, err := os.OpenFile(o.path(name), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		f, err = os.Open(o.path(name)) // to be read only
	}
	if err != nil {
		return nil, known(err)
	}
	return newOSFile(f), nil
}

func (o osFS) Remove(name string) error     { return known(os.Remove(o.path(name))) }
func (o osFS) Rename(old, new string) error { return known(os.Rename(o.path(old), o.path(new))) }
func (o osFS) MkdirAll(dir string) error    { return known(os.MkdirAll(o.path(dir), 0o755)) }

func (o osFS) List(dir string) ([]string, error) {
	entries, err := os.ReadDir(o.path(dir)) // sorted by name
	if err != nil {
		return nil, known(err)
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

func (o osFS) SyncDir(dir string) error {
	d, err := os.Open(o.path(dir))
	if err != nil {
		return known(err)
	}
	defer d.Close()
	return known(d.Sync())
}

// eachAtOnce is how many calls Each makes at once. On ext4 on a virtual disk with 2 cores 2,000 new files took 1,220 ms to be synced one after
// the other, 275 ms 16 at once, 190 ms 64 at once.
const eachAtOnce = 32

// Each implements Parallel.
func (o osFS) Each(n int, do func(i int) error) error {
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var wg sync.WaitGroup
	for range min(n, eachAtOnce) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && failed.Load() == nil; i = int(next.Add(1)) - 1 {
				if err := do(i); err != nil {
					failed.CompareAndSwap(nil, &err)
				}
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

// Lock implements Locker by a lock that a running Apache RocketMQ respects and that ends with the process.
func (o osFS) Lock(name string) (io.Closer, error) {
	f, err := os.OpenFile(o.path(name), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, known(err)
	}
	if err := lockFile(f); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// osFile keeps track of whether its size or its allocation changed: fdatasync need not cover a hole that was punched
// and grown back.
type osFile struct {
	*os.File
	resized atomic.Bool
}

func newOSFile(f *os.File) *osFile {
	file := &osFile{File: f}
	file.resized.Store(true)
	return file
}

func (f *osFile) WriteAt(b []byte, off int64) (int, error) {
	n, err := f.File.WriteAt(b, off)
	return n, known(err)
}

func (f *osFile) ReadAt(b []byte, off int64) (int, error) {
	n, err := f.File.ReadAt(b, off)
	if err == io.EOF {
		return n, err
	}
	return n, known(err)
}

func (f *osFile) Truncate(size int64) error {
	f.resized.Store(true)
	return known(f.File.Truncate(size))
}

func (f *osFile) Sync() error {
	if f.resized.Swap(false) {
		return known(f.File.Sync())
	}
	return known(syncData(f.File))
}

func (f *osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, known(err)
	}
	return info.Size(), nil
}

// Locked returns fsys for use by several goroutines: one call at a time.
func Locked(fsys FS) FS { return &lockedFS{fsys: fsys} }

type lockedFS struct {
	mu   sync.Mutex
	fsys FS
}

func (l *lockedFS) Create(name string, size int64) (File, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.file(l.fsys.Create(name, size))
}

func (l *lockedFS) Open(name string) (File, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.file(l.fsys.Open(name))
}

func (l *lockedFS) file(f File, err error) (File, error) {
	if err != nil {
		return nil, err
	}
	return &lockedFile{&l.mu, f}, nil
}

func (l *lockedFS) Remove(name string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fsys.Remove(name)
}

func (l *lockedFS) Rename(old, new string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fsys.Rename(old, new)
}

func (l *lockedFS) List(dir string) ([]string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fsys.List(dir)
}

func (l *lockedFS) MkdirAll(dir string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fsys.MkdirAll(dir)
}

func (l *lockedFS) SyncDir(dir string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fsys.SyncDir(dir)
}

func (l *lockedFS) Lock(name string) (io.Closer, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Lock(l.fsys, name)
}

type lockedFile struct {
	mu   *sync.Mutex
	file File
}

func (f *lockedFile) ReadAt(b []byte, off int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.file.ReadAt(b, off)
}

func (f *lockedFile) WriteAt(b []byte, off int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.file.WriteAt(b, off)
}

func (f *lockedFile) Sync() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.file.Sync()
}

func (f *lockedFile) Truncate(size int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.file.Truncate(size)
}

func (f *lockedFile) Size() (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.file.Size()
}

// NextData implements Sparse.
func (f *lockedFile) NextData(off int64) (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return NextData(f.file, off)
}

func (f *lockedFile) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.file.Close()
}
