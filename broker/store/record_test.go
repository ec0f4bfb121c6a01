package store

import (
	"bytes"
	"testing"

	"holdfast/broker/message"
	"holdfast/broker/vfs"
)

// TestRecordFromMemoryAndFile reads single records back, whole and alone, wherever they are.
func TestRecordFromMemoryAndFile(t *testing.T) {
	s, _, err := Open(vfs.NewMem(), Config{SegmentBytes: 1 << 16, MaxAppendBytes: 1 << 12, HotBytes: 1 << 14, ChunkBytes: 1 << 10})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Abandon()
	q, err := s.Queue("T", 0)
	if err != nil {
		t.Fatal(err)
	}
	var at []int64
	var records [][]byte
	for i := range 200 {
		r := message.Record{Topic: []byte("T"), Body: bytes.Repeat([]byte{byte(i)}, 10*i)}
		b := message.Append(nil, &r)
		phys, queueOffset, err := s.Append(q, b, 1, int64(i))
		if err != nil {
			t.Fatal(err)
		}
		message.Patch(b, queueOffset, phys, int64(i))
		at, records = append(at, phys), append(records, b)
		if job := s.TakeWrite(); job != nil && i < 199 { // the last one is not written
			upto := s.Marks().Appended
			s.Written(s.Marks().Gen, upto, job.Run())
		}
	}
	limit := s.Marks().Written
	files := 0
	for i := range 199 {
		b, job, err := s.Record(at[i], limit)
		if err != nil {
			t.Fatalf("record %d: %v", i, err)
		}
		if job != nil {
			files++
			if err := job.Run(); err != nil {
				t.Fatalf("record %d: %v", i, err)
			}
			if err := s.Loaded(job); err != nil {
				t.Fatalf("record %d: %v", i, err)
			}
			b = job.Record()
		}
		if !bytes.Equal(b, records[i]) {
			t.Fatalf("record %d: %d bytes, want %d", i, len(b), len(records[i]))
		}
	}
	if files == 0 || files == 199 {
		t.Errorf("%d of 199 records came from files", files)
	}
	for name, phys := range map[string]int64{"not written": at[199], "beyond the end": 1 << 40, "before the beginning": -1} {
		if b, job, err := s.Record(phys, limit); err == nil {
			t.Errorf("%s: %d bytes, job %v", name, len(b), job)
		}
	}
}
