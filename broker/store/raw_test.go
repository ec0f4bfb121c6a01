package store

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"holdfast/broker/vfs"
)

// TestAppendRawKeepsTheBytes replicates a log in pieces that are cut anywhere, and compares the copy byte by byte: indexing its
// records must not write on them.
func TestAppendRawKeepsTheBytes(t *testing.T) {
	cfg := Config{SegmentBytes: 1 << 16, QueueFileBytes: 400, ChunkBytes: 1024}
	master, _, err := Open(vfs.NewMem(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	slave, _, err := Open(vfs.NewMem(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	q, err := master.Queue("t", 0)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		body := bytes.Repeat([]byte{byte(rng.Uint32())}, 1+rng.IntN(300))
		if _, _, err := master.Append(q, record("t", 0, body, ""), 1, 1000); err != nil {
			t.Fatal(err)
		}
	}
	end := master.Marks().Appended
	for at := int64(0); at < end; {
		r, ok := master.ReadRaw(at, end, 1+rng.IntN(700))
		if !ok {
			t.Fatalf("nothing at %d of %d", at, end)
		}
		if err := slave.AppendRaw(at, r.Mem); err != nil {
			t.Fatal(err)
		}
		at += int64(r.Len)
	}
	if slave.Bad() != nil || slave.Marks().Indexed != end {
		t.Fatalf("got bad %v, indexed up to %d of %d", slave.Bad(), slave.Marks().Indexed, end)
	}
	for at := int64(0); at < end; {
		want, _ := master.ReadRaw(at, end, 1<<20)
		got, _ := slave.ReadRaw(at, end, 1<<20)
		if !bytes.Equal(got.Mem, want.Mem) {
			t.Fatalf("the copy differs between %d and %d", at, at+int64(want.Len))
		}
		at += int64(want.Len)
	}
}
