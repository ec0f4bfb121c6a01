package store

import (
	"time"

	"holdfast/broker/vfs"
)

// ahead keeps a part of the log's file zeroed ahead of its end. A sync of bytes written to blocks that the file system
// has not allocated, or not written, commits its journal, too; of blocks written before it does not.
//
// Zeroes must never overtake a WriteJob: they begin well behind the end of the log, and until they are done WriteJobs
// keep off. Under load they would only double the bytes written, so they are limited to a rate.
type ahead struct {
	zeroed   int64 // the file that holds the log's end has its blocks up to here
	zeroFrom int64 // of the zeroes being written
	zeroing  bool
	seenAt   time.Duration // when zeroDue last looked, and where the log ended then
	seenEnd  int64
}

// zeroPart is zeroes to be written to a file.
type zeroPart struct {
	seg      *segment
	file     vfs.File
	from, to int64 // physical offsets
}

// zeroEvery bounds the rate: the log may grow by a quarter of ZeroAheadBytes in this time, else zeroing waits.
const zeroEvery = 64 * time.Millisecond

// zeroDue returns the zeroes to write at now; without a seg there are none.
func (s *Store) zeroDue(now time.Duration) zeroPart {
	step, end := s.cfg.ZeroAheadBytes/4, s.marks.Appended
	if step <= 0 || s.zeroed >= min(end+2*step, s.fileEnd) || len(s.segs) == 0 {
		return zeroPart{}
	}
	slow := now-s.seenAt >= zeroEvery || end-s.seenEnd < step/4
	if now-s.seenAt >= zeroEvery {
		s.seenAt, s.seenEnd = now, end
	}
	g := s.segs[len(s.segs)-1]
	from := max(s.zeroed, end+step)
	to := min(from+step, g.base+s.cfg.SegmentBytes)
	if !slow || !g.ready || from < g.base || from >= to {
		return zeroPart{}
	}
	s.zeroing, s.zeroFrom = true, from
	return zeroPart{g, g.file, from, to}
}

// keepOff returns to, or where the zeroes being written begin, if a WriteJob from from to to would meet them.
func (s *Store) keepOff(from, to int64) int64 {
	if s.zeroing && from <= s.zeroFrom {
		return min(to, s.zeroFrom)
	}
	return to
}

// zeroDone ends what zeroDue began.
func (s *Store) zeroDone(z zeroPart) {
	if z.seg != nil {
		s.zeroing, s.zeroed = false, max(s.zeroed, z.to)
	}
}

var zeroes [256 << 10]byte

// run writes the zeroes. It does not sync them: a failed sync here would leave the log's own pages clean and not on disk,
// and the next SyncJob would succeed and lie.
func (z zeroPart) run() error {
	if z.seg == nil {
		return nil
	}
	for from := z.from; from < z.to; {
		n := min(z.to-from, int64(len(zeroes)))
		if _, err := z.file.WriteAt(zeroes[:n], from-z.seg.base); err != nil {
			return err
		}
		from += n
	}
	return nil
}
