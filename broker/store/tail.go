package store

import "holdfast/broker/vfs"

// tail is the end of the commit log in memory: chunks of equal size, aligned to physical offsets, so that the chunk of
// an offset is found by a shift.
//
// Chunks hold no pointers, and the bytes below marks.Appended never change: jobs, replication and readers use them
// without a lock and without telling when they are done. That is why only a chunk that was never lent to a reader is
// used again; the others are left to the collector. Counting pins instead would save little, and one lost pin would send
// one message under the name of another.
type tail struct {
	chunks []chunk // consecutive
	first  int64   // number of chunks[0]: its physical offset / ChunkBytes
	hotMin int64   // bytes [hotMin, marks.Appended) are in memory
	spare  [][]byte
	shift  uint
	mask   int64
}

type chunk struct {
	b    []byte
	lent bool // a reader may still hold a part of it
}

const spareChunks = 16 // at most so many chunks are kept to be used again

// Range is a run of commit log bytes that never change again: in memory or in a file. Whoever gets one reads it without
// the caller's lock, at any time before Close.
type Range struct {
	Mem  []byte   // the bytes; nil: they are in File
	File vfs.File // read Len bytes at FileOffset
	FileOffset,
	Phys int64 // physical offset of the first byte
	Len int
}

// AppendTo appends the bytes to dst. It reads a file where they are not in memory.
func (r Range) AppendTo(dst []byte) ([]byte, error) {
	if r.Mem != nil {
		return append(dst, r.Mem...), nil
	}
	n := len(dst)
	dst = append(dst, make([]byte, r.Len)...)
	if got, err := r.File.ReadAt(dst[n:], r.FileOffset); got < r.Len {
		return dst[:n], err
	}
	return dst, nil
}

// start makes end the end of the log, with nothing in memory.
func (t *tail) start(chunkBytes int, end int64) {
	t.shift = 0
	for 1<<t.shift < chunkBytes {
		t.shift++
	}
	t.mask = int64(chunkBytes) - 1
	t.chunks, t.first, t.hotMin = t.chunks[:0], end>>t.shift, end
}

// space returns the room for the bytes from physical offset end to the end of its chunk. end is the end of the log.
func (t *tail) space(end int64) []byte {
	i := int(end>>t.shift - t.first)
	if i == len(t.chunks) {
		t.chunks = append(t.chunks, chunk{b: t.newChunk()})
	}
	return t.chunks[i].b[end&t.mask:]
}

func (t *tail) newChunk() []byte {
	if n := len(t.spare); n > 0 {
		b := t.spare[n-1]
		t.spare = t.spare[:n-1]
		return b
	}
	return make([]byte, t.mask+1)
}

// copyIn copies b to the end of the log and returns the new end.
func (t *tail) copyIn(end int64, b []byte) int64 {
	for len(b) > 0 {
		n := copy(t.space(end), b)
		b, end = b[n:], end+int64(n)
	}
	return end
}

// zero puts n zeroes at the end of the log and returns the new end.
func (t *tail) zero(end, n int64) int64 {
	for n > 0 {
		room := t.space(end)
		room = room[:min(int64(len(room)), n)]
		clear(room)
		n, end = n-int64(len(room)), end+int64(len(room))
	}
	return end
}

// bytes returns the bytes in memory from physical offset from up to to, or to the end of the chunk.
// hotMin <= from < to <= marks.Appended.
func (t *tail) bytes(from, to int64) []byte {
	c := t.chunks[from>>t.shift-t.first].b
	at := from & t.mask
	return c[at:min(int64(len(c)), at+to-from)]
}

// lend is bytes for a reader that keeps them.
func (t *tail) lend(from, to int64) []byte {
	t.chunks[from>>t.shift-t.first].lent = true
	return t.bytes(from, to)
}

// gather returns the bytes [from, to), copied into buf only where they do not lie in one chunk.
func (t *tail) gather(buf []byte, from, to int64) []byte {
	b := t.bytes(from, to)
	if from+int64(len(b)) == to {
		return b
	}
	buf = buf[:0]
	for from < to {
		b = t.bytes(from, to)
		buf, from = append(buf, b...), from+int64(len(b))
	}
	return buf
}

// cool lets go of the chunks that lie wholly below keep.
func (t *tail) cool(keep int64) {
	n := 0
	for n < len(t.chunks) && (t.first+int64(n)+1)<<t.shift <= keep {
		if c := t.chunks[n]; !c.lent && len(t.spare) < spareChunks {
			t.spare = append(t.spare, c.b)
		}
		n++
	}
	if n == 0 {
		return
	}
	t.first += int64(n)
	t.hotMin = max(t.hotMin, t.first<<t.shift)
	m := copy(t.chunks, t.chunks[n:])
	clear(t.chunks[m:])
	t.chunks = t.chunks[:m]
}
