package store

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"holdfast/broker/vfs"
)

// twoStores returns two closed stores of the same messages.
func twoStores(t *testing.T, messages int) [2]*vfs.Mem {
	t.Helper()
	var both [2]*vfs.Mem
	for i := range both {
		both[i] = vfs.NewMem()
		s, _ := mustOpen(t, both[i], small)
		for m := range messages {
			put(t, s, "T", fmt.Sprintf("message %d of some length", m))
		}
		flush(t, s)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return both
}

// damage overwrites a byte of a store's log, so that it differs.
func damage(t *testing.T, mem *vfs.Mem, at int64) {
	t.Helper()
	names, err := mem.List("commitlog")
	if err != nil {
		t.Fatal(err)
	}
	f, err := mem.Open("commitlog/" + names[0])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, at); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 0x55
	if _, err := f.WriteAt(b, at); err != nil {
		t.Fatal(err)
	}
}

func TestEqualStores(t *testing.T) {
	both := twoStores(t, 5)
	c, err := Compare(both[0], both[1])
	if err != nil {
		t.Fatal(err)
	}
	if !c.Equal() || c.Compared == 0 || c.Compared != c.Ends[0] || c.First != nil {
		t.Errorf("got %+v, want two equal logs", c)
	}
}

// TestCompareCountsBytes holds the counts against damage of a known number of bytes at random places.
func TestCompareCountsBytes(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 0))
		both := twoStores(t, 6)
		whole, err := Dump(both[0])
		if err != nil {
			t.Fatal(err)
		}
		end := whole.CommitLog.End
		hit := map[int64]bool{}
		for range 1 + rng.IntN(12) {
			hit[rng.Int64N(end-1)] = true // the last byte stays, so that the end does
		}
		first, runs := end, int64(0)
		for at := range hit {
			damage(t, both[1], at)
			first = min(first, at)
			if !hit[at-1] {
				runs++
			}
		}
		c, err := Compare(both[0], both[1])
		if err != nil {
			t.Fatal(err)
		}
		if c.Equal() || c.Differing != int64(len(hit)) || c.Runs != runs || c.First == nil || c.First.At != first || c.Compared != end {
			t.Errorf("seed %d: got %d bytes in %d runs from %+v of %d, want %d in %d from %d of %d", seed, c.Differing, c.Runs, c.First, c.Compared, len(hit), runs, first, end)
			continue
		}
		if r := c.First.Records[0]; r == nil || r.Topic != "T" || r.At > first {
			t.Errorf("seed %d: the first difference at %d is in %+v", seed, first, r)
		}
	}
}

func TestCompareTellsALongerStore(t *testing.T) {
	short, long := twoStores(t, 3)[0], twoStores(t, 5)[0]
	c, err := Compare(long, short)
	if err != nil {
		t.Fatal(err)
	}
	if c.Equal() || c.Ends[0] <= c.Ends[1] || c.Compared != c.Ends[1] {
		t.Errorf("got ends %v, %d bytes compared", c.Ends, c.Compared)
	}
	if len(c.Queues) != 1 || c.Queues[0].Max != [2]int64{5, 3} {
		t.Errorf("got queues %+v, want one that ends at 5 and 3", c.Queues)
	}
	if _, err := Compare(long, vfs.NewMem()); err == nil {
		t.Error("a directory without a store was compared")
	}
}
