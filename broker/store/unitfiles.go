package store

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"holdfast/broker/vfs"
)

// unitFiles is the files of consume queues that jobs have open, at most Config.OpenQueueFiles: one that is needed is opened, and the half
// that was not used for longest is closed for it, once what was written to it is on disk. (Closed before, a failed write of its pages could
// go unnoticed.) Reads open files of their own.
type unitFiles struct {
	open    []*queueFile
	uses    int64           // counts takes
	dirs    []string        // that got a new name since they were synced
	isNoted map[string]bool // the same
}

// queueFile is an open file of a consume queue: the one in which its last units are if it is Queue.file, else it is full and only waits
// to be synced.
type queueFile struct {
	q     *Queue
	dir   string
	base  int64 // byte offset of the first unit, the file's name
	f     vfs.File
	used  int64 // when it was taken last
	dirty bool  // written since it was synced
}

// room closes files so that one more may be open.
func (u *unitFiles) room(fsys vfs.FS, most int) error {
	if len(u.open) < most {
		return nil
	}
	slices.SortFunc(u.open, func(a, b *queueFile) int { return cmp.Compare(b.used, a.used) })
	old := u.open[most/2:]
	if err := u.syncFiles(fsys, old); err != nil {
		return err
	}
	for _, f := range old {
		f.close()
	}
	clear(old)
	u.open = u.open[:most/2]
	return nil
}

// openExisting makes the file of q with that base open, and the one that is written to if there is none.
func (j *AuxJob) openExisting(q *Queue, base int64) (*queueFile, error) {
	if q.file != nil && q.file.base == base {
		j.touch(q.file)
		return q.file, nil
	}
	if err := j.room(j.store.fsys, j.store.cfg.OpenQueueFiles); err != nil {
		return nil, err
	}
	name := queueName(q.dir(), base)
	f, err := j.store.fsys.Open(name)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", name, err)
	}
	file := j.opened(q, base, f)
	if q.file == nil {
		q.file = file
	}
	return file, nil
}

// opened enters a file that was opened.
func (u *unitFiles) opened(q *Queue, base int64, f vfs.File) *queueFile {
	file := &queueFile{q: q, dir: q.dir(), base: base, f: f}
	u.open = append(u.open, file)
	u.touch(file)
	return file
}

func (u *unitFiles) touch(f *queueFile) {
	u.uses++
	f.used = u.uses
}

// zero zeroes what stands in the file from byte from on; the file has size bytes then.
func (f *queueFile) zero(from, size int64) error {
	f.dirty = true
	for _, length := range []int64{from, size} {
		if err := f.f.Truncate(length); err != nil {
			return fmt.Errorf("zero %s from %d: %w", queueName(f.dir, f.base), from, err)
		}
	}
	return nil
}

// close closes a file that is taken out of the open ones.
func (f *queueFile) close() {
	f.f.Close()
	if f.q.file == f {
		f.q.file = nil
	}
}

// noteDir has the next sync make the names in dir durable.
func (u *unitFiles) noteDir(dir string) {
	if u.isNoted[dir] {
		return
	}
	if u.isNoted == nil {
		u.isNoted = map[string]bool{}
	}
	u.isNoted[dir] = true
	u.dirs = append(u.dirs, dir)
}

// errSync marks an error after which nothing may be tried again.
var errSync = errors.New("sync")

// syncFiles makes durable what was written to files, beside each other where the file system can.
func (u *unitFiles) syncFiles(fsys vfs.FS, files []*queueFile) error {
	dirty := make([]*queueFile, 0, len(files))
	for _, f := range files {
		if f.dirty {
			dirty = append(dirty, f)
		}
	}
	if err := vfs.Each(fsys, len(dirty), func(i int) error { return dirty[i].f.Sync() }); err != nil {
		return fmt.Errorf("%w %s: %w", errSync, queueDir, err)
	}
	for _, f := range dirty {
		f.dirty = false
	}
	return nil
}

// syncUnits makes durable all units that were written so far.
func (u *unitFiles) syncUnits(fsys vfs.FS) error {
	if err := u.syncFiles(fsys, u.open); err != nil {
		return err
	}
	u.drop(func(f *queueFile) bool { return f.q.file != f })
	err := vfs.Each(fsys, len(u.dirs), func(i int) error { return fsys.SyncDir(u.dirs[i]) })
	if err != nil {
		return fmt.Errorf("%w directories of %s: %w", errSync, queueDir, err)
	}
	u.dirs = u.dirs[:0]
	clear(u.isNoted)
	return nil
}

// drop closes the files that gone accepts, without making anything of them durable.
func (u *unitFiles) drop(gone func(*queueFile) bool) {
	u.open = slices.DeleteFunc(u.open, func(f *queueFile) bool {
		if !gone(f) {
			return false
		}
		f.close()
		return true
	})
}
