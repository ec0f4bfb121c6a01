package store

import (
	"encoding/binary"
	"fmt"
	"slices"

	"holdfast/broker/message"
)

// Record returns a copy of the record at physical offset phys, which must lie below limit (at most Written), or the job
// that reads it from a file: Run it, give it to Loaded, then ask it for its Record. It errs when nothing of the log stands
// there; whether a record does is for the caller to decode.
func (s *Store) Record(phys, limit int64) ([]byte, *LoadJob, error) {
	if phys < s.marks.Min || phys > min(limit, s.marks.Written)-message.BlankBytes {
		return nil, nil, fmt.Errorf("store: no record at physical offset %d, outside [%d, %d)", phys, s.marks.Min, limit)
	}
	room := min(limit, s.marks.Written, phys-phys%s.cfg.SegmentBytes+s.cfg.SegmentBytes) - phys
	if phys < s.hotMin {
		return nil, &LoadJob{record: s.fileRange(phys, phys+room)}, nil
	}
	size, err := recordSize(s.gather(nil, phys, phys+message.BlankBytes), room)
	if err != nil {
		return nil, nil, err
	}
	return slices.Clone(s.gather(nil, phys, phys+size)), nil, nil
}

// recordSize returns the size of the record that begins with front, at most room.
func recordSize(front []byte, room int64) (int64, error) {
	size := int64(int32(binary.BigEndian.Uint32(front)))
	if size < message.RecordBytesMin || size > room {
		return 0, fmt.Errorf("store: no record: size %d", size)
	}
	return size, nil
}

// Record returns the bytes of the record that the job has read, nil for a job of consume queue units.
func (j *LoadJob) Record() []byte { return j.bytes }

// readRecord reads the record at the front of j.record.
func (j *LoadJob) readRecord() error {
	front := j.record
	front.Len = message.BlankBytes
	b, err := front.AppendTo(nil)
	if err == nil {
		var size int64
		if size, err = recordSize(b, int64(j.record.Len)); err == nil {
			j.record.Len = int(size)
			j.bytes, err = j.record.AppendTo(nil)
		}
	}
	if err != nil {
		j.err = fmt.Errorf("load record at %d: %w", j.record.Phys, err)
	}
	return j.err
}
