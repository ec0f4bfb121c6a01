package history

import (
	"testing"
)

func BenchmarkRecord(b *testing.B) {
	r, err := Create(b.TempDir(), Header{Masters: map[string]string{"a": "a-0"}}, Options{})
	if err != nil {
		b.Fatal(err)
	}
	s, err := r.Shard(3)
	if err != nil {
		b.Fatal(err)
	}
	queue, status, node := r.Sym("a/T/0"), r.Sym("SEND_OK"), r.Sym("a-0")
	b.ReportAllocs()
	b.ResetTimer()
	var e Event
	for i := range b.N {
		op := s.NextOp()
		now := int64(i) * 1000
		e = Event{T: now, At: now - 5, Op: op, Value: uint64(i), P: 3, Type: Invoke, F: Send, Offset: -1, From: -1, End: -1, Epoch: -1}
		s.Record(&e)
		e = Event{T: now + 900, Op: op, Value: uint64(i), P: 3, Type: OK, F: Send, Queue: queue, Status: status, Node: node, Offset: int64(i), From: -1, End: -1, Epoch: -1}
		s.Record(&e)
	}
	b.StopTimer()
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(2*b.N), "ns/record")
	if err := r.Close(); err != nil {
		b.Fatal(err)
	}
}
