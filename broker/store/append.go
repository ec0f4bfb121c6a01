package store

import (
	"errors"
	"fmt"

	"holdfast/broker/message"
)

const blankBytes = message.BlankBytes

// Append appends the n records in b, made by message.Append, to the log and to q: offsets and store time (now, Unix ms)
// are patched into b, which stays the caller's. The records get consecutive queue offsets, from queueOffset on, and
// lie one behind the other from physical offset phys on, in one file; the queue offset of prepared and rolled back
// transactional records is 0 and they are not in q.
//
// It errs with ErrBusy (memory limits), ErrTooLong, ErrIllegal, ErrCorrupt (a slave's log that ends within a record; reopen it) or
// ErrFailed; then nothing was appended.
// Source: CommitLog.asyncPutMessage, DefaultAppendMessageCallback.doAppend (RocketMQ 5.3.3).
func (s *Store) Append(q *Queue, b []byte, n int, now int64) (phys, queueOffset int64, err error) {
	if err := s.admit(len(b), n); err != nil {
		return 0, 0, err
	}
	if s.marks.Indexed != s.marks.Appended {
		return 0, 0, fmt.Errorf("%w: the log ends at %d, its records at %d", ErrCorrupt, s.marks.Appended, s.marks.Indexed)
	}
	if err := s.checkRecords(b, n); err != nil {
		return 0, 0, err
	}
	if int64(len(b))+blankBytes > s.fileEnd-s.marks.Appended {
		s.rollOver()
	}
	phys, queueOffset = s.marks.Appended, q.next
	if phys%s.cfg.SegmentBytes == 0 {
		s.segment(phys).begun = now
	}
	at := phys
	for rest := b; n > 0; n-- {
		size, _ := message.RecordBytes(rest)
		s.indexOwn(q, rest[:size], at, now)
		rest, at = rest[size:], at+int64(size)
	}
	s.marks.Appended = s.copyIn(phys, b)
	s.marks.Indexed = s.marks.Appended
	return phys, queueOffset, nil
}

// checkRecords panics unless b is n records, and errs when one of them is one that Open would take for torn.
func (s *Store) checkRecords(b []byte, n int) error {
	for ; n > 0; n-- {
		size, err := message.RecordBytes(b)
		if err != nil || size > len(b) {
			panic(fmt.Sprintf("store: Append of what is no record: %v", err))
		}
		if b[size-1] == 0 {
			if _, err := message.DecodeInto(&s.record, b[:size], false); err != nil || len(s.record.Properties) > 0 {
				return fmt.Errorf("%w: properties end in byte 0", ErrIllegal)
			}
		}
		b = b[size:]
	}
	if len(b) > 0 {
		panic("store: Append of more bytes than records")
	}
	return nil
}

// admit decides whether so many bytes with so many records may be appended.
func (s *Store) admit(bytes, records int) error {
	unwritten := s.marks.Appended - s.marks.Written
	switch {
	case s.err != nil:
		return s.err
	case s.truncate.taken:
		return ErrBusy
	case bytes > s.cfg.MaxAppendBytes:
		return fmt.Errorf("%w: %d bytes, at most %d", ErrTooLong, bytes, s.cfg.MaxAppendBytes)
	case unwritten > 0 && unwritten+int64(bytes) > s.cfg.UnwrittenMax, s.waiting+records > s.cfg.UnitsMax:
		return ErrBusy
	}
	return nil
}

// rollOver closes the file at the end of the log with a BLANK record and zeroes; the log goes on in the next file.
func (s *Store) rollOver() {
	left := s.fileEnd - s.marks.Appended
	if left >= blankBytes {
		var blank [blankBytes]byte
		s.marks.Appended = s.copyIn(s.marks.Appended, message.AppendBlank(blank[:0], int(left)))
		left -= blankBytes
	}
	s.marks.Appended = s.zero(s.marks.Appended, left)
	s.marks.Indexed = s.marks.Appended
	s.fileEnd += s.cfg.SegmentBytes
}

// AppendRaw appends commit log bytes as a master sent them, cut anywhere. offset is the physical offset of the first one
// and must be the end of the log, else it errs with ErrOffset; an empty store takes the beginning of any file. Whole
// records are indexed as they complete; see Bad for what happens to those that are none.
// It also errs with ErrBusy, ErrTooLong or ErrFailed; then nothing was appended. b stays the caller's.
// Source: DefaultHAClient.dispatchReadRequest, DefaultMessageStore.doReput (RocketMQ 5.3.3).
func (s *Store) AppendRaw(offset int64, b []byte) error {
	if err := s.admit(len(b), 0); err != nil {
		return err
	}
	if s.marks.Appended == 0 && offset > 0 && offset%s.cfg.SegmentBytes == 0 {
		s.begin(offset)
	}
	if offset != s.marks.Appended {
		return fmt.Errorf("%w: %d, the log ends at %d", ErrOffset, offset, s.marks.Appended)
	}
	s.marks.Appended = s.copyIn(offset, b)
	for s.fileEnd < s.marks.Appended {
		s.fileEnd += s.cfg.SegmentBytes
	}
	s.indexNew()
	return nil
}

// Bad is where and why the records of a log end before the log does.
type Bad struct {
	Phys   int64 // physical offset of what is no valid record
	Reason string
}

func (b *Bad) String() string { return fmt.Sprintf("at physical offset %d: %s", b.Phys, b.Reason) }

// Bad returns the first thing in the log that is no record, nil if there is none. It can only come from AppendRaw: a
// master with another history sends bytes that do not fit. As RocketMQ's does, this log goes on growing then, and its
// queues stand still until the next Open cuts it.
func (s *Store) Bad() *Bad { return s.bad }

// indexNew indexes the records that are complete by now.
func (s *Store) indexNew() {
	for s.bad == nil && s.marks.Indexed < s.marks.Appended {
		n, reason := s.indexNext()
		if reason != "" {
			s.bad = &Bad{s.marks.Indexed, reason}
		}
		if n == 0 {
			return
		}
		s.marks.Indexed += n
	}
}

// indexNext indexes what stands at the indexed mark and returns its bytes; 0 if it is not complete.
func (s *Store) indexNext() (n int64, reason string) {
	at, fileLeft := s.marks.Indexed, s.cfg.SegmentBytes-s.marks.Indexed%s.cfg.SegmentBytes
	here := min(s.marks.Appended-at, fileLeft)
	if here < min(blankBytes, fileLeft) {
		return 0, ""
	}
	if fileLeft < blankBytes {
		return fileLeft, ""
	}
	var front [blankBytes]byte
	size, err := message.RecordBytes(s.gather(front[:], at, at+blankBytes))
	switch {
	case errors.Is(err, message.ErrBlank) && here == fileLeft:
		return fileLeft, ""
	case errors.Is(err, message.ErrBlank):
		return 0, ""
	case err != nil:
		return 0, err.Error()
	case int64(size) > fileLeft || size > s.cfg.MaxAppendBytes:
		return 0, fmt.Sprintf("record of %d bytes, %d left in the file, at most %d", size, fileLeft, s.cfg.MaxAppendBytes)
	case int64(size) > here:
		return 0, ""
	}
	if cap(s.scratch) < size {
		s.scratch = make([]byte, 0, size)
	}
	if fileLeft == s.cfg.SegmentBytes {
		defer func() { s.segment(at).begun = s.lastTime }()
	}
	// What gather returns must not become the scratch: where the record lies in one chunk it is the log's own memory, and
	// the next record that lies in two would be gathered on top of it.
	if reason := s.indexFound(s.gather(s.scratch, at, at+int64(size)), at); reason != "" {
		return 0, reason
	}
	return int64(size), ""
}
