package history

import (
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"unsafe"
)

// shardReader reads the records of one shard.
type shardReader struct {
	f       *binaryFile
	shard   *shardFile
	index   int // of the segment
	words   []uint64
	n       int // words consumed
	at      int64
	left    int64 // bytes of the segment not yet in words
	buf     []uint64
	msgs    []Msg
	cut     string
	records int // so far
}

const readerWords = 64 << 10

func newShardReader(f *binaryFile, shard *shardFile) *shardReader {
	words := int64(0)
	for _, s := range shard.segments {
		words = max(words, s.size/8)
	}
	return &shardReader{f: f, shard: shard, index: -1, buf: make([]uint64, min(readerWords, words))}
}

// ensure makes n words available; false: the segment has no more.
func (s *shardReader) ensure(n int) bool {
	if len(s.words)-s.n >= n {
		return true
	}
	if s.left == 0 || n > len(s.buf) {
		return false
	}
	kept := copy(s.buf, s.words[s.n:])
	more := min(len(s.buf)-kept, int(s.left/8))
	s.words, s.n = s.buf[:kept+more], 0
	if err := readWords(s.f.r, s.words[kept:], s.at); err != nil && err != io.EOF {
		s.cut = err.Error()
		return false
	}
	s.at += int64(more) * 8
	s.left -= int64(more) * 8
	return len(s.words)-s.n >= n
}

// record returns the words of the next record; nil: there is none.
func (s *shardReader) record() []uint64 {
	for {
		if s.index >= 0 && s.ensure(1) {
			word := atomic.LoadUint64(&s.words[s.n])
			if length := int(word & (1<<lengthBits - 1)); word != 0 {
				if length < 3 || !s.ensure(length) {
					s.tear()
					return nil
				}
				rec := s.words[s.n : s.n+length]
				if seal(word&(1<<sumShift-1), rec[1:]) != word {
					s.tear()
					return nil
				}
				s.n += length
				s.records++
				return rec
			}
		}
		if s.cut != "" || s.index+1 >= len(s.shard.segments) {
			return nil
		}
		s.index++
		seg := s.shard.segments[s.index]
		if seg.turn != uint64(s.index+1) {
			s.cut = fmt.Sprintf("segment %d of client %d is missing", s.index+1, s.shard.p)
			return nil
		}
		s.words, s.n = nil, 0
		s.at, s.left = seg.at+segmentHead*8, seg.size-segmentHead*8
	}
}

// tear notes that what follows is damaged.
func (s *shardReader) tear() {
	s.cut = fmt.Sprintf("the records of client %d are damaged after %d", s.shard.p, s.records)
	s.index = len(s.shard.segments)
	s.words, s.n, s.left = nil, 0, 0
}

// next reads the next event into e; e.Msgs is the reader's until the next call. False: there is none.
func (s *shardReader) next(e *Event) bool {
	s.msgs = s.msgs[:0]
	for {
		rec := s.record()
		if rec == nil {
			return false // an event that was being continued was torn
		}
		more, ok := s.decode(rec, e)
		if !ok {
			s.tear()
			return false
		}
		if !more {
			return true
		}
	}
}

// decode reads one record; more says that the next continues its messages.
func (s *shardReader) decode(rec []uint64, e *Event) (more, ok bool) {
	word := rec[0]
	flags := word >> flagShift & 0xffff
	*e = Event{Type: Type(word >> typeShift & 7), F: F(word >> fShift & 31), T: int64(rec[1]), Op: rec[2], P: s.shard.p,
		Offset: -1, From: -1, End: -1, Epoch: -1}
	i := 3
	ok = true
	get := func(flag uint64) uint64 {
		if flags&flag == 0 || i >= len(rec) {
			ok = ok && flags&flag == 0
			return 0
		}
		i++
		return rec[i-1]
	}
	e.At = e.T
	if flags&hasAt != 0 {
		e.At = int64(get(hasAt))
	}
	if flags&hasP != 0 {
		e.P = int32(uint32(get(hasP)))
	}
	e.Value = get(hasValue)
	v := get(hasQueueStatus)
	e.Queue, e.Status = Sym(v), Sym(v>>32)
	v = get(hasNodeError)
	e.Node, e.Error = Sym(v), Sym(v>>32)
	v = get(hasGroupRetry)
	e.Group, e.Retry = Sym(v), uint16(v>>32)
	for bit, to := range [...]*int64{&e.Offset, &e.From, &e.End, &e.Epoch} {
		if flags&(hasOffset<<bit) != 0 {
			*to = int64(get(hasOffset << bit))
		}
	}
	e.First = int64(get(hasFirst))
	e.Filter = flags&hasFilter != 0
	if ok && flags&hasMsgs != 0 {
		i, ok = s.messages(rec, i)
		e.Msgs = s.msgs
		if e.Msgs == nil {
			e.Msgs = []Msg{}
		}
	}
	if ok && flags&hasFault != 0 {
		i, ok = s.step(rec, i, e)
	}
	if flags&hasRole != 0 {
		e.Role = s.name(get(hasRole), &ok)
	}
	ok = ok && i == len(rec) && s.sane(e)
	return flags&hasMore != 0, ok
}

// sane holds symbols and integers against their ranges, as the reader of JSON Lines does.
func (s *shardReader) sane(e *Event) bool {
	most := max(e.Queue, e.Group, e.Node, e.Status, e.Error)
	return int(most) < len(s.f.names) && e.Type >= Invoke && e.Type <= Info && e.F >= Send && e.F <= CaughtUp && e.P >= -1 &&
		e.T >= 0 && e.Op < 1<<63 && e.Value < 1<<63 && min(e.Offset, e.From, e.End, e.Epoch) >= -1 && e.First >= 0
}

func (s *shardReader) name(sym uint64, ok *bool) string {
	if sym >= uint64(len(s.f.names)) {
		*ok = false
		return ""
	}
	return s.f.names[sym]
}

// messages appends the messages of a record at word i.
func (s *shardReader) messages(rec []uint64, i int) (int, bool) {
	if i >= len(rec) {
		return i, false
	}
	count, size := rec[i]&0xffffffff, rec[i]>>32
	i++
	if size > uint64(len(rec)-i)*8 || count > size {
		return i, false
	}
	prev := Msg{Offset: -1}
	if n := len(s.msgs); n > 0 {
		prev = s.msgs[n-1]
	}
	b := bytesOf(rec[i:])[:size]
	for range count {
		o, n := binary.Uvarint(b)
		if n <= 0 {
			return i, false
		}
		v, m := binary.Uvarint(b[n:])
		if m <= 0 {
			return i, false
		}
		b = b[n+m:]
		prev = Msg{Offset: prev.Offset + 1 + unzigzag(o>>1), Value: prev.Value + uint64(unzigzag(v)), Corrupt: o&1 != 0}
		if prev.Offset < 0 || prev.Value >= 1<<63 {
			return i, false
		}
		s.msgs = append(s.msgs, prev)
	}
	return i + int((size+7)/8), len(b) == 0
}

// step reads the fault at word i.
func (s *shardReader) step(rec []uint64, i int, e *Event) (int, bool) {
	if len(rec)-i < 2 {
		return i, false
	}
	ok := true
	f := &FaultStep{Name: s.name(rec[i]&0xffffffff, &ok), Phase: s.name(rec[i]>>32, &ok)}
	nodes, effects := rec[i+1]&0xffffffff, rec[i+1]>>32
	i += 2
	if nodes > uint64(len(rec)) || effects > uint64(len(rec)) || uint64(len(rec)-i) < nodes+2*effects {
		return i, false
	}
	for range nodes {
		f.Nodes = append(f.Nodes, s.name(rec[i], &ok))
		i++
	}
	for range effects {
		if f.Effect == nil {
			f.Effect = map[string]int64{}
		}
		f.Effect[s.name(rec[i], &ok)] = int64(rec[i+1])
		i += 2
	}
	e.Fault = f
	return i, ok
}

// memoryFile is a recorder's segments as a file.
type memoryFile struct {
	segments []*segment
	starts   []int64
	size     int64
}

func (m *memoryFile) ReadAt(b []byte, at int64) (int, error) {
	n := 0
	for n < len(b) && at < m.size {
		i, found := slices.BinarySearch(m.starts, at)
		if !found {
			i--
		}
		words := m.segments[i].words
		src := unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), len(words)*8)
		c := copy(b[n:], src[at-m.starts[i]:])
		n += c
		at += int64(c)
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}
