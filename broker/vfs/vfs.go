// Package vfs is the only way in which a node touches a disk: a small file system interface, the real one (OS), one in
// memory that can lose power (Mem), and one that errs on request (Faulty). It also holds the one model of what a power
// cut leaves (Survivors), which the lossy disk under real processes shares.
//
// It knows nothing of logs, records or durability policies.
package vfs

import (
	"errors"
	"io"
	"io/fs"
	"path"
)

// Errors of every file system here, compared by errors.Is. What does not exist is fs.ErrNotExist, what exists already
// fs.ErrExist.
var (
	ErrIO      = errors.New("input/output error")
	ErrNoSpace = errors.New("no space left on device")
	ErrLocked  = errors.New("locked by another process")
)

// FS is a tree of files. Names are slash-separated paths relative to its root, without "." and "..".
// Nothing is durable before File.Sync (contents) and SyncDir (names) returned nil.
type FS interface {
	// Create makes a new file of size bytes that read as zero, without allocating them; its directory must exist.
	// It fails with fs.ErrExist when the name is taken.
	Create(name string, size int64) (File, error)
	// Open opens an existing file for reading and writing.
	Open(name string) (File, error)
	// Remove removes a file or an empty directory.
	Remove(name string) error
	// Rename gives a file another name, replacing the file that has it.
	Rename(old, new string) error
	// List returns the names in dir, without their path, sorted.
	List(dir string) ([]string, error)
	// MkdirAll makes dir and its parents where they are missing. The names of new directories are durable after
	// SyncDir of their parents.
	MkdirAll(dir string) error
	// SyncDir makes the names in dir durable.
	SyncDir(dir string) error
}

// File is an open file. Several goroutines may use one file of OS; a file of Mem belongs to one (see Locked).
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// Sync makes what was written before it began durable, with the size. After an error the contents that were to be
	// synced are readable but may be gone after a power cut, also when a later Sync succeeds: never retry it.
	Sync() error
	// Truncate sets the size; what grows reads as zero.
	Truncate(size int64) error
	// Size returns the size in bytes.
	Size() (int64, error)
}

// Locker is what a file system can do that keeps two processes from using one directory.
type Locker interface {
	// Lock takes the lock file name, which it creates, until the result is closed or the process ends.
	// It fails with ErrLocked when another holder has it.
	Lock(name string) (io.Closer, error)
}

// Lock takes the lock file name of fsys, where fsys is a Locker; others have nothing to lock.
func Lock(fsys FS, name string) (io.Closer, error) {
	if l, ok := fsys.(Locker); ok {
		return l.Lock(name)
	}
	return noLock{}, nil
}

type noLock struct{}

func (noLock) Close() error { return nil }

// Sparse is what a file can do that knows where it has no data.
type Sparse interface {
	// NextData returns the first byte from off on that may not be zero, off or more, and -1 when all that follows is zero.
	NextData(off int64) (int64, error)
}

// NextData asks f where the first byte from off on is that may not be zero, -1 when there is none: off itself where f is not Sparse.
func NextData(f File, off int64) (int64, error) {
	if s, ok := f.(Sparse); ok {
		return s.NextData(off)
	}
	return off, nil
}

// Parallel is what a file system can do whose calls wait for a disk: many of them take little longer beside each other than one of them, as a
// disk brings many files to disk by one flush.
type Parallel interface {
	// Each calls do for every number from 0 to n - 1, several at once, until one fails, and returns an error of those that did.
	Each(n int, do func(i int) error) error
}

// Each calls do for every number from 0 to n - 1 until one fails: several at once where fsys is Parallel, else one after the other.
func Each(fsys FS, n int, do func(i int) error) error {
	if p, ok := fsys.(Parallel); ok {
		return p.Each(n, do)
	}
	for i := range n {
		if err := do(i); err != nil {
			return err
		}
	}
	return nil
}

// ReadFile returns the contents of the file name, which the caller owns.
func ReadFile(fsys FS, name string) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	b := make([]byte, size)
	if n, err := f.ReadAt(b, 0); n < len(b) {
		return nil, err
	}
	return b, nil
}

// WriteFile replaces the file name by b so that after a power cut either the old or the new contents are there: written
// to name.tmp, synced, renamed, the directory synced.
func WriteFile(fsys FS, name string, b []byte) error {
	tmp := name + ".tmp"
	if err := fsys.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := fsys.Create(tmp, 0)
	if err != nil {
		return err
	}
	if _, err := f.WriteAt(b, 0); err != nil {
		f.Close()
		return err
	}
	if err := f.Sync(); err != nil {
		f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := fsys.Rename(tmp, name); err != nil {
		return err
	}
	return fsys.SyncDir(path.Dir(name))
}
