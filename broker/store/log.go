package store

import (
	"fmt"

	"holdfast/broker/vfs"
)

const logDir = "commitlog"

// log is the files of the commit log.
type log struct {
	segs    []*segment // consecutive
	fileEnd int64      // end of the file in which the end of the log lies; behind a full file: its end
	spilled bool       // a write that found no space may have left bytes behind the written mark

	writtenTime, syncedTime int64 // store times of the last records below Written and Synced, Unix ms
}

// syncedRecords returns the physical offset up to which there are valid records on disk.
func (s *Store) syncedRecords() int64 { return min(s.marks.Synced, s.marks.Indexed) }

// segment is one file of the commit log. A WriteJob creates the file; file is the Store's to use once ready.
type segment struct {
	base  int64 // physical offset of the first byte, the file's name
	file  vfs.File
	begun int64 // store time of the first record, Unix ms; 0: not known
	ready bool
}

func logName(base int64) string { return fmt.Sprintf("%s/%020d", logDir, base) }

// begin makes offset, the beginning of a file, the end of an empty log.
func (s *Store) begin(offset int64) {
	s.marks.Min, s.marks.Appended, s.marks.Written, s.marks.Synced, s.marks.Indexed = offset, offset, offset, offset, offset
	s.fileEnd, s.keyed = offset+s.cfg.SegmentBytes, offset
	s.start(s.cfg.ChunkBytes, offset)
}

// segment returns the file that holds physical offset off, which it notes down when it is the next one.
func (s *Store) segment(off int64) *segment {
	if len(s.segs) == 0 {
		s.segs = append(s.segs, &segment{base: off - off%s.cfg.SegmentBytes})
	}
	i := int((off - s.segs[0].base) / s.cfg.SegmentBytes)
	if i == len(s.segs) {
		s.segs = append(s.segs, &segment{base: s.segs[0].base + int64(i)*s.cfg.SegmentBytes})
	}
	return s.segs[i]
}

// openSegment opens or creates the file with that base. A file left over with another size is made whole.
func openSegment(fsys vfs.FS, base, size int64) (vfs.File, error) {
	f, err := fsys.Create(logName(base), size)
	if err != nil && !isExist(err) {
		return nil, err
	}
	if err == nil {
		return f, nil
	}
	if f, err = fsys.Open(logName(base)); err != nil {
		return nil, err
	}
	if err := f.Truncate(0); err != nil {
		return nil, err
	}
	return f, f.Truncate(size)
}

// ReadRaw returns bytes of the log from physical offset from on, at least one and at most max of those below limit
// (which must not exceed Appended), without crossing a file: what replication sends. It returns false when there are
// none, or none any more.
// Source: CommitLog.getData, DefaultHAConnection.WriteSocketService (RocketMQ 5.3.3).
func (s *Store) ReadRaw(from, limit int64, max int) (Range, bool) {
	if from < s.marks.Min || from >= limit || limit > s.marks.Appended || max < 1 {
		return Range{}, false
	}
	to := min(limit, from+int64(max))
	if from >= s.hotMin {
		b := s.lend(from, min(to, from-from%s.cfg.SegmentBytes+s.cfg.SegmentBytes))
		return Range{Mem: b, Phys: from, Len: len(b)}, true
	}
	return s.fileRange(from, min(to, s.hotMin)), true
}

// fileRange returns bytes that are in a file: [from, to), or to the end of the file.
func (s *Store) fileRange(from, to int64) Range {
	g := s.segment(from)
	to = min(to, g.base+s.cfg.SegmentBytes)
	return Range{File: g.file, FileOffset: from - g.base, Phys: from, Len: int(to - from)}
}

// appendRanges appends to dst the bytes [from, to), which lie in one file, and returns it.
func (s *Store) appendRanges(dst []Range, from, to int64) []Range {
	if from < s.hotMin {
		return append(dst, s.fileRange(from, to))
	}
	for from < to {
		b := s.lend(from, to)
		dst = append(dst, Range{Mem: b, Phys: from, Len: len(b)})
		from += int64(len(b))
	}
	return dst
}

// LogStart returns the physical offset at which the last file of the log begins: where a slave that has nothing starts.
// Source: DefaultHAConnection.WriteSocketService (RocketMQ 5.3.3).
func (s *Store) LogStart() int64 {
	return max(s.marks.Min, s.marks.Appended-s.marks.Appended%s.cfg.SegmentBytes)
}
