package history

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"unsafe"
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
	fault   FaultStep
	cut     string
	Records int // so far
}

const readerWords = 64 << 10

func newShardReader(f *binaryFile, shard *shardFile) *shardReader {
	return &shardReader{f: f, shard: shard, index: -1, buf: make([]uint64, readerWords)}
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
				s.Records++
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
	s.cut = fmt.Sprintf("the records of client %d are damaged after %d", s.shard.p, s.Records)
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
