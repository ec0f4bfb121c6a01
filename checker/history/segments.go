package history

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// ErrNotBinary says that a file is no binary history.
var ErrNotBinary = errors.New("history: not a binary history")

// binaryFile is a binary history, opened: its header, its symbols, where the records of each shard are.
type binaryFile struct {
	r          io.ReaderAt
	header     Header
	names      []string
	shards     []shardFile // by index
	incomplete bool
	cut        []string
}

// shardFile says where one shard's records are.
type shardFile struct {
	p        int32
	segments []segmentRef
}

type segmentRef struct {
	at, size int64
	turn     uint64
}

// openBinary reads the heads of all segments. It needs no Close to have been called.
func openBinary(r io.ReaderAt, size int64) (*binaryFile, error) {
	f := &binaryFile{r: r, names: []string{""}}
	head := make([]uint64, segmentHead)
	byOwner := map[uint32]*shardFile{}
	owners := uint32(0)
	for at := int64(0); at < size; {
		if err := readWords(r, head, at); err != nil && err != io.EOF {
			return nil, err
		}
		if head[headMagic] != segmentMagic {
			if at == 0 {
				return nil, ErrNotBinary
			}
			break // the writer was killed while it added a segment
		}
		kind, owner, bytes := uint32(head[headKind]), uint32(head[headKind]>>32), int64(head[headSize])
		if bytes < segmentAlign || bytes%segmentAlign != 0 || bytes > 1<<40 {
			return nil, fmt.Errorf("a segment of %d bytes", bytes)
		}
		if (at == 0) != (kind == kindHeader) {
			return nil, fmt.Errorf("a segment of kind %d at %d", kind, at)
		}
		next := at + bytes
		if next > size {
			f.cut = append(f.cut, "the file is cut off")
			bytes = (size - at) &^ 7
		}
		var err error
		switch kind {
		case kindHeader:
			f.incomplete = head[headFlags]&flagIncomplete != 0
			err = f.readHeader(at, bytes)
		case kindSymbols:
			err = f.readSymbols(at, bytes)
		case kindShard:
			s := byOwner[owner]
			if s == nil {
				s = &shardFile{p: int32(uint32(head[headClient]))}
				byOwner[owner] = s
				owners = max(owners, owner+1)
			}
			if head[headTurn] != 0 && bytes >= segmentHead*8 {
				s.segments = append(s.segments, segmentRef{at, bytes, head[headTurn]})
			}
		default:
			err = fmt.Errorf("a segment of kind %d", kind)
		}
		if err != nil {
			return nil, err
		}
		at = next
	}
	if f.header.Version == 0 {
		return nil, errors.New("no header")
	}
	if f.incomplete {
		f.cut = append(f.cut, "events are missing: there was no space to record them")
	}
	if int64(owners) > size/segmentAlign {
		return nil, fmt.Errorf("shard %d of a file too small for it", owners)
	}
	for owner := range owners {
		if s := byOwner[owner]; s != nil {
			slices.SortFunc(s.segments, func(a, b segmentRef) int { return cmp.Compare(a.turn, b.turn) })
			f.shards = append(f.shards, *s)
		}
	}
	return f, nil
}

// readWords fills words from at; what lies beyond the end of the file is 0.
func readWords(r io.ReaderAt, words []uint64, at int64) error {
	b := bytesOf(words)
	n, err := r.ReadAt(b, at)
	clear(b[n:])
	return err
}

// load reads a whole segment that holds something other than records.
func (f *binaryFile) load(at, size int64) ([]uint64, error) {
	if size < segmentHead*8 {
		return make([]uint64, segmentHead), nil
	}
	words := make([]uint64, size/8)
	if err := readWords(f.r, words, at); err != nil && err != io.EOF {
		return nil, err
	}
	return words, nil
}

// take returns the bytes at the front of words, which begin with their length + 1, and the words after them.
func take(words []uint64) (b []byte, rest []uint64, ok bool) {
	if len(words) == 0 || words[0] == 0 || words[0]-1 > uint64(len(words)-1)*8 {
		return nil, words, false
	}
	n := words[0] - 1
	return bytesOf(words[1:])[:n], words[1+(n+7)/8:], true
}

func (f *binaryFile) readHeader(at, size int64) error {
	words, err := f.load(at, size)
	if err != nil {
		return err
	}
	text, _, ok := take(words[segmentHead:])
	if !ok {
		return errors.New("no header")
	}
	if err := json.Unmarshal(text, &f.header); err != nil {
		return fmt.Errorf("header: %w", err)
	}
	if f.header.Version != 1 {
		return fmt.Errorf("history version %d is not known; 1 is", f.header.Version)
	}
	if f.header.Masters == nil {
		return errors.New("a header without masters")
	}
	if rule := f.header.rule(); rule != "" {
		return errors.New(rule)
	}
	return nil
}

func (f *binaryFile) readSymbols(at, size int64) error {
	words, err := f.load(at, size)
	if err != nil {
		return err
	}
	for rest := words[segmentHead:]; ; {
		var text []byte
		var ok bool
		if text, rest, ok = take(rest); !ok {
			return nil
		}
		f.names = append(f.names, string(text))
	}
}
