package store

import (
	"cmp"
	"errors"
	"fmt"
	"io"

	"holdfast/broker/message"
	"holdfast/broker/vfs"
)

// scanBlock is how many bytes a scanner reads at a time, unless told otherwise.
const scanBlock = 1 << 20

// scanner reads the records of a commit log from its files, one behind the other, and checks all that a record says of
// itself: size, magic number, lengths, the body's CRC, and its physical offset, which tells a record from a stale one.
type scanner struct {
	segs     []*segment
	segBytes int64
	pos      int64 // physical offset of the next record
	doubt    int64 // records from this physical offset on may be torn
	trusted  bool  // bodies are not checked
	block    int   // bytes that are read at a time; 0: scanBlock
	buf      []byte
	bufAt    int64 // physical offset of buf[0]
	record   message.Record
}

// errEnd says that a log ends here: nothing was ever written behind.
var errEnd = errors.New("end of the log")

func (c *scanner) segment(off int64) *segment {
	if len(c.segs) == 0 || off < c.segs[0].base {
		return nil
	}
	if i := (off - c.segs[0].base) / c.segBytes; i < int64(len(c.segs)) {
		return c.segs[i]
	}
	return nil
}

// view returns n bytes from physical offset at on, which lie in one file. What a file lacks at its end reads as zero.
// They are good until the next call.
func (c *scanner) view(at int64, n int) ([]byte, error) {
	if c.bufAt <= at && at+int64(n) <= c.bufAt+int64(len(c.buf)) {
		return c.buf[at-c.bufAt:][:n], nil
	}
	g := c.segment(at)
	size := int(min(int64(max(n, cmp.Or(c.block, scanBlock))), g.base+c.segBytes-at))
	if cap(c.buf) < size {
		c.buf = make([]byte, size)
	}
	c.buf, c.bufAt = c.buf[:size], at
	got, err := g.file.ReadAt(c.buf, at-g.base)
	if got < size && err != io.EOF {
		c.buf = c.buf[:0]
		return nil, fmt.Errorf("read %s at %d: %w", logName(g.base), at-g.base, err)
	}
	clear(c.buf[got:])
	return c.buf[:n], nil
}

// next returns the next record, decoded in c.record, and where it stands; both are good until the next call. It errs with
// errEnd, or a *Bad, which pos stays at; every other error is of the disk.
func (c *scanner) next() (b []byte, phys int64, err error) {
	for {
		g := c.segment(c.pos)
		if g == nil {
			return nil, 0, errEnd
		}
		left := g.base + c.segBytes - c.pos
		if left < blankBytes {
			c.pos += left
			continue
		}
		front, err := c.view(c.pos, blankBytes)
		if err != nil {
			return nil, 0, err
		}
		size, err := message.RecordBytes(front)
		switch {
		case errors.Is(err, message.ErrBlank):
			c.pos += left
			continue
		case errors.Is(err, message.ErrZero):
			return nil, 0, errEnd
		case err != nil:
			return nil, 0, c.bad("%v", err)
		case int64(size) > left:
			return nil, 0, c.bad("record of %d bytes, %d left in the file", size, left)
		}
		if b, err = c.view(c.pos, size); err != nil {
			return nil, 0, err
		}
		if _, err := message.DecodeInto(&c.record, b, !c.trusted); err != nil {
			return nil, 0, c.bad("%v", err)
		}
		if c.record.PhysOffset != c.pos {
			return nil, 0, c.bad("record says that it stands at %d", c.record.PhysOffset)
		}
		if c.pos >= c.doubt && torn(c.pos-g.base+int64(size-len(c.record.Properties)), c.record.Properties) {
			return nil, 0, c.bad("properties torn")
		}
		c.pos += int64(size)
		return b, c.pos - int64(size), nil
	}
}

// torn says whether a part of a record's properties, which stand at offset at of its file, never got there: where it
// should be all is zero, as everything behind the end of a log is. No checksum covers properties (they are the last in a
// record), so that a record whose end was lost would else pass for whole. What a process had not written may end at any
// byte (a slave writes what it receives, cut anywhere), what a power cut took at sectors only. Properties that really
// end in byte 0 are refused by Append; a whole sector of zeroes in the middle nobody sends.
func torn(at int64, properties []byte) bool {
	if n := len(properties); n == 0 || properties[n-1] == 0 {
		return n > 0
	}
	for b := properties; len(b) > 0; {
		n := int(min(int64(len(b)), vfs.Sector-at%vfs.Sector))
		if allZero(b[:n]) {
			return true
		}
		b, at = b[n:], at+int64(n)
	}
	return false
}

func allZero(b []byte) bool {
	for _, v := range b {
		if v != 0 {
			return false
		}
	}
	return true
}

// Error makes a Bad the error of a scan.
func (b *Bad) Error() string { return b.String() }

func (c *scanner) bad(format string, args ...any) error {
	return &Bad{c.pos, fmt.Sprintf(format, args...)}
}

// dirt returns the physical offset behind the last byte that is not zero from at on: of the file, looked at until a whole
// block is zero, and of the files behind it.
func (c *scanner) dirt(at int64) (int64, error) {
	end := at
	for at < c.segs[0].base+int64(len(c.segs))*c.segBytes {
		g := c.segment(at)
		n := int(min(scanBlock, g.base+c.segBytes-at))
		b, err := c.view(at, n)
		if err != nil {
			return 0, err
		}
		last := len(b)
		for last > 0 && b[last-1] == 0 {
			last--
		}
		if last == 0 {
			at = g.base + c.segBytes
			continue
		}
		end, at = at+int64(last), at+int64(n)
	}
	return end, nil
}
