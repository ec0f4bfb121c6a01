package store

import (
	"errors"
	"fmt"
	"io/fs"

	"holdfast/broker/vfs"
)

// WriteJob gives bytes of the log to the operating system.
type WriteJob struct {
	Gen  int32 // of the marks when it was taken
	Upto int64 // the written mark after it

	store *Store // only what never changes is used in Run: file system and file size
	time  int64  // store time of the last record
	parts []writePart
	taken bool
}

type writePart struct {
	seg *segment
	b   []byte
	off int64 // in the file
}

// TakeWrite returns the job that writes what was appended and not written, or nil if there is nothing, or a job that
// Written has not been told about. The job and what it holds are good until then.
//
// It ends with a whole record. If the front of a record were durable and the rest not, a power cut could leave zeroes in
// the middle of its header, which no checksum covers: a valid record with a field or two missing.
func (s *Store) TakeWrite() *WriteJob {
	j := &s.write
	from, to := s.marks.Written, s.marks.Indexed
	if s.bad != nil {
		to = s.marks.Appended
	}
	if j.taken || from >= to || s.err != nil || s.truncate.taken {
		return nil
	}
	j.Gen, j.Upto, j.time, j.taken, j.store, j.parts = s.marks.Gen, to, s.lastTime, true, s, j.parts[:0]
	for from < to {
		g := s.segment(from)
		b := s.bytes(from, min(to, g.base+s.cfg.SegmentBytes))
		j.parts = append(j.parts, writePart{g, b, from - g.base})
		from += int64(len(b))
	}
	return j
}

// Run writes. Whoever runs it holds no lock; nothing else may use the job meanwhile.
func (j *WriteJob) Run() error {
	for _, p := range j.parts {
		if p.seg.file == nil {
			f, err := openSegment(j.store.fsys, p.seg.base, j.store.cfg.SegmentBytes)
			if err != nil {
				return fmt.Errorf("create %s: %w", logName(p.seg.base), err)
			}
			p.seg.file = f
		}
		if _, err := p.seg.file.WriteAt(p.b, p.off); err != nil {
			return fmt.Errorf("write %s at %d: %w", logName(p.seg.base), p.off, err)
		}
	}
	return nil
}

// Written tells the store how the WriteJob ended. After vfs.ErrNoSpace the bytes still wait and TakeWrite gives them out
// again; after any other error the store takes nothing more. What was learned under another gen changes no mark.
func (s *Store) Written(gen int32, upto int64, err error) {
	j := &s.write
	j.taken = false
	for _, p := range j.parts {
		if p.seg.file != nil && !p.seg.ready {
			p.seg.ready, s.sync.names = true, true
		}
	}
	s.spilled = s.spilled || err != nil
	switch {
	case errors.Is(err, vfs.ErrNoSpace):
	case err != nil:
		s.fail(err)
	case gen == s.marks.Gen:
		s.marks.Written, s.writtenTime = upto, j.time
		keep := min(upto-s.cfg.HotBytes, s.marks.Indexed)
		if s.bad != nil {
			keep = upto - s.cfg.HotBytes
		}
		s.cool(keep)
	}
}

// fail makes the store refuse whatever comes.
func (s *Store) fail(err error) {
	if s.err == nil {
		s.err = fmt.Errorf("%w: %w", ErrFailed, err)
	}
}

func isExist(err error) bool    { return errors.Is(err, fs.ErrExist) }
func isNotExist(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// SyncJob makes bytes of the log durable that were written when it was taken.
type SyncJob struct {
	Gen  int32 // of the marks when it was taken
	Upto int64 // the synced mark after it

	store *Store // only its file system is used in Run
	time  int64  // store time of the last record
	files []vfs.File
	names bool // files were created since the last one
	dir   bool // this one syncs the directory
	taken bool
}

// TakeSync returns the job that syncs what is written and not synced, or nil if there is nothing, or a job that Synced
// has not been told about. It may run beside a WriteJob.
func (s *Store) TakeSync() *SyncJob {
	j := &s.sync
	if j.taken || s.marks.Synced >= s.marks.Written || s.err != nil || s.truncate.taken {
		return nil
	}
	j.Gen, j.Upto, j.time, j.taken, j.store = s.marks.Gen, s.marks.Written, s.writtenTime, true, s
	j.dir, j.names = j.names, false
	j.files = j.files[:0]
	for from := s.marks.Synced; from < j.Upto; {
		g := s.segment(from)
		j.files = append(j.files, g.file)
		from = g.base + s.cfg.SegmentBytes
	}
	return j
}

// Run syncs files and, when one is new, their directory.
func (j *SyncJob) Run() error {
	for _, f := range j.files {
		if err := f.Sync(); err != nil {
			return fmt.Errorf("sync %s: %w", logDir, err)
		}
	}
	if j.dir {
		if err := j.store.fsys.SyncDir(logDir); err != nil {
			return fmt.Errorf("sync directory %s: %w", logDir, err)
		}
	}
	return nil
}

// Synced tells the store how the SyncJob ended. After an error the store takes nothing more: the pages may be clean and
// yet not on disk, so that another sync would succeed and lie.
func (s *Store) Synced(gen int32, upto int64, err error) {
	s.sync.taken = false
	switch {
	case err != nil:
		s.fail(err)
	case gen == s.marks.Gen:
		s.marks.Synced, s.syncedTime = upto, s.sync.time
	}
}
