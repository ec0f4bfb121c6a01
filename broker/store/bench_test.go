package store

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"holdfast/broker/vfs"
)

// nowhere is a disk that takes everything and keeps nothing, so that a benchmark measures the store alone.
type nowhere struct{ vfs.FS }

func (nowhere) Create(string, int64) (vfs.File, error) { return nowhereFile{}, nil }

type nowhereFile struct{}

func (nowhereFile) ReadAt(b []byte, _ int64) (int, error)  { return len(b), nil }
func (nowhereFile) WriteAt(b []byte, _ int64) (int, error) { return len(b), nil }
func (nowhereFile) Sync() error                            { return nil }
func (nowhereFile) Truncate(int64) error                   { return nil }
func (nowhereFile) Size() (int64, error)                   { return 0, nil }
func (nowhereFile) Close() error                           { return nil }

func benchStore(b *testing.B) (*Store, []*Queue) {
	s, _ := mustOpen(b, nowhere{vfs.NewMem()}, Config{})
	var queues []*Queue
	for id := range int32(8) {
		queues = append(queues, mustQueue(b, s, "Benchmark", id))
	}
	return s, queues
}

// drain runs whatever job is due, as a driver does beside the lock.
func drain(b *testing.B, s *Store, now time.Duration) {
	if j := s.TakeWrite(); j != nil {
		s.Written(j.Gen, j.Upto, j.Run())
	}
	if j := s.TakeSync(); j != nil {
		s.Synced(j.Gen, j.Upto, j.Run())
	}
	if j := s.TakeAux(now); j != nil {
		s.AuxDone(j.Gen, j.Run())
	}
	if s.Err() != nil {
		b.Fatal(s.Err())
	}
}

// What a put costs under the lock: 1 KiB bodies, 8 queues, a group of 64 for every turn of the disk.
func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{100, 1024, 4096} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			s, queues := benchStore(b)
			r := record("Benchmark", 0, make([]byte, size), "UNIQ_KEY\x017F00000100002A9F6B1B08C4A1F20000\x02TAGS\x01TagA\x02WAIT\x01true\x02")
			b.SetBytes(int64(len(r)))
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				if _, _, err := s.Append(queues[i%8], r, 1, int64(i)); err != nil {
					b.Fatal(err)
				}
				if i%64 == 63 {
					drain(b, s, time.Duration(i)*time.Microsecond)
				}
			}
		})
	}
}

// What a pull costs under the lock: 32 messages of 1 KiB at the end of a queue.
func BenchmarkLookup(b *testing.B) {
	s, queues := benchStore(b)
	r := record("Benchmark", 0, make([]byte, 1024), "TAGS\x01TagA\x02")
	for i := range 2048 {
		if _, _, err := s.Append(queues[i%8], r, 1, 1); err != nil {
			b.Fatal(err)
		}
	}
	drain(b, s, time.Second)
	want := Want{Count: 32, Bytes: 256 << 10, Limit: s.Marks().Written}
	var dst []Range
	b.ReportAllocs()
	for b.Loop() {
		var found Found
		if dst, found = s.Lookup(queues[0], 200, want, dst[:0]); found.Count != 32 {
			b.Fatal(found)
		}
	}
}

// Replication: pieces of 32 KiB, records of 1.2 KB cut anywhere.
func BenchmarkAppendRaw(b *testing.B) {
	master, queues := benchStore(b)
	r := record("Benchmark", 0, make([]byte, 1024), "TAGS\x01TagA\x02")
	for range 40_000 {
		if _, _, err := master.Append(queues[0], r, 1, 1); err != nil {
			b.Fatal(err)
		}
	}
	var pieces [][]byte
	for at := int64(0); at < master.Marks().Appended; {
		p, _ := master.ReadRaw(at, master.Marks().Appended, 32<<10)
		pieces = append(pieces, p.Mem)
		at += int64(p.Len)
	}
	b.SetBytes(master.Marks().Appended)
	b.ReportAllocs()
	for b.Loop() {
		slave, _ := benchStore(b)
		for i, p := range pieces {
			if err := slave.AppendRaw(slave.Marks().Appended, p); err != nil {
				b.Fatal(err)
			}
			drain(b, slave, time.Duration(i)*time.Millisecond)
		}
	}
}

// What a start costs for each byte of log behind the consume queues' mark: read, checked, indexed, written anew, synced.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	s, _ := mustOpen(b, vfs.OS(dir), Config{})
	r := record("Benchmark", 0, bytes.Repeat([]byte{1}, 1024), "TAGS\x01TagA\x02")
	for i := range 100_000 {
		if _, _, err := s.Append(mustQueue(b, s, "Benchmark", int32(i%8)), r, 1, 1); err != nil {
			b.Fatal(err)
		}
		if i%64 == 63 {
			if j := s.TakeWrite(); j != nil {
				s.Written(j.Gen, j.Upto, j.Run())
			}
		}
	}
	s.Abandon()
	check, err := vfs.ReadFile(vfs.OS(dir), "checkpoint")
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(s.Marks().Written)
	for b.Loop() {
		s, _ := mustOpen(b, vfs.OS(dir), Config{})
		s.Abandon()
		corrupt(b, vfs.OS(dir), "checkpoint", 0, check...) // as if it had never been opened
	}
}

// What the index files cost beside the log, a message: 1 KiB bodies with a UNIQ_KEY of their own, read back from the page cache and put
// into files of the default size in batches.
func BenchmarkKeys(b *testing.B) {
	const n = 200_000
	s, _ := mustOpen(b, vfs.OS(b.TempDir()), Config{NoIndex: true})
	q := mustQueue(b, s, "Benchmark", 0)
	for i := range n {
		r := record("Benchmark", 0, make([]byte, 1024), fmt.Sprintf("UNIQ_KEY\x017F00000100002A9F6B1B08%010X\x02WAIT\x01true\x02MSG_REGION\x01DefaultRegion\x02TRACE_ON\x01true\x02CLUSTER\x01holdfast\x02", i))
		if _, _, err := s.Append(q, r, 1, int64(1+i)); err != nil {
			b.Fatal(err)
		}
		if i%64 != 63 {
			continue
		}
		if j := s.TakeWrite(); j != nil {
			s.Written(j.Gen, j.Upto, j.Run())
		}
	}
	if j := s.TakeWrite(); j != nil {
		s.Written(j.Gen, j.Upto, j.Run())
	}
	b.ReportAllocs()
	for b.Loop() {
		fsys := vfs.OS(b.TempDir())
		if err := fsys.MkdirAll(keyDir); err != nil {
			b.Fatal(err)
		}
		k := keyer{fsys: fsys, layout: keyLayout{5_000_000, 20_000_000}}
		if _, err := k.build(s.segs, s.cfg.SegmentBytes, 0, s.marks.Written); err != nil {
			b.Fatal(err)
		}
		k.close()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/msg")
}
