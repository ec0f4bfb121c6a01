package driver

import (
	"testing"

	"pgregory.net/rapid"
)

func TestDecodeBodyIsTheInverseOfEncodeBody(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		run, value := rapid.Uint64().Draw(t, "run"), rapid.Uint64().Draw(t, "value")
		size := rapid.IntRange(0, 200_000).Draw(t, "size")
		old := make([]byte, rapid.IntRange(0, 300).Draw(t, "old"))
		b := EncodeBody(old, run, value, size)
		if len(b) != max(size, MinBodyBytes) {
			t.Fatalf("got %d bytes, want %d", len(b), size)
		}
		gotRun, gotValue, ok := DecodeBody(b)
		if !ok || gotRun != run || gotValue != value {
			t.Fatalf("got run %d value %d %v", gotRun, gotValue, ok)
		}
	})
}

// TestDecodeBodyRefusesDamage: any flipped bit, any cut, and bytes of another message behind.
func TestDecodeBodyRefusesDamage(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := EncodeBody(nil, 1, rapid.Uint64().Draw(t, "value"), rapid.IntRange(24, 2000).Draw(t, "size"))
		bit := rapid.IntRange(0, len(b)*8-1).Draw(t, "bit")
		b[bit/8] ^= 1 << (bit % 8)
		if _, _, ok := DecodeBody(b); ok {
			t.Fatalf("bit %d flipped, and not noticed", bit)
		}
		b[bit/8] ^= 1 << (bit % 8)
		cut := rapid.IntRange(0, len(b)-1).Draw(t, "cut")
		if _, _, ok := DecodeBody(b[:cut]); ok {
			t.Fatalf("cut at %d of %d, and not noticed", cut, len(b))
		}
		other := EncodeBody(nil, 1, rapid.Uint64().Draw(t, "other"), len(b))
		if string(other) == string(b) {
			return
		}
		torn := append(append([]byte(nil), b[:cut]...), other[cut:]...)
		if _, _, ok := DecodeBody(torn); ok && string(torn) != string(b) && string(torn) != string(other) {
			t.Fatalf("torn at %d, and not noticed", cut)
		}
	})
}

func TestEncodeBodyAllocatesNothing(t *testing.T) {
	b := make([]byte, 4096)
	if got := testing.AllocsPerRun(100, func() { b = EncodeBody(b, 1, 2, 1024) }); got != 0 {
		t.Errorf("got %v allocations, want 0", got)
	}
}

func FuzzDecodeBody(f *testing.F) {
	f.Add(EncodeBody(nil, 1, 2, 100))
	f.Add([]byte("hfb1"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if run, value, ok := DecodeBody(b); ok && len(b) < MinBodyBytes {
			t.Fatal(run, value)
		}
	})
}

func BenchmarkEncodeBody(b *testing.B) {
	body := make([]byte, 1024)
	b.SetBytes(1024)
	for value := uint64(0); b.Loop(); value++ {
		body = EncodeBody(body, 1, value, 1024)
	}
}
