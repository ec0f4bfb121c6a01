package history

import (
	"encoding/binary"
	"maps"
	"slices"
	"sync/atomic"
	"unsafe"
)

// Shard records the events of one goroutine.
type Shard struct {
	words []uint64 // of seg
	n     int      // words used
	ask   int      // when n passes this, the next segment is asked for
	r     *Recorder
	p     int32
	dead  bool // no space: nothing is recorded any more
	index uint64
	ops   uint64
	seg   *segment
	turn  uint64 // of seg

	nextSize atomic.Int64
	next     atomic.Pointer[segment] // prepared by Recorder.prepare
	old      []*segment              // full ones; mapped until Close
	buf      []byte                  // of encodeMsgs
}

// NextOp returns an operation number that no other call on any shard of the recorder returns.
// It stays below 2^53 with fewer than 8192 shards, so that every reader of JSON keeps it exact.
func (s *Shard) NextOp() uint64 {
	s.ops++
	return s.index<<40 | s.ops
}

// Record appends e. It copies everything: e and its slices may be used again. A T below that of an earlier record of
// the shard is in order (a cached clock); reading sorts. It allocates nothing but for faults, roles and long Msgs.
// When the disk is full, it drops the event, and the history is marked as incomplete; see Recorder.Err.
func (s *Shard) Record(e *Event) {
	if e.Fault != nil || e.Role != "" || e.Msgs != nil {
		s.recordLong(e)
		return
	}
	if s.n+recordWordsMax > s.ask && !s.room(recordWordsMax) {
		return
	}
	b := (*[recordWordsMax]uint64)(s.words[s.n:])
	n, flags := s.encode(b, e)
	s.commit(n, e, flags)
}

// commit seals the record of n words at s.n and publishes it.
func (s *Shard) commit(n int, e *Event, flags uint64) {
	word := seal(commitWord(n, e.Type, e.F, flags), s.words[s.n+1:s.n+n])
	atomic.StoreUint64(&s.words[s.n], word)
	s.n += n
}

// encode writes the fields that fit into a word each, after the commit word, and returns the record's length so far.
func (s *Shard) encode(b *[recordWordsMax]uint64, e *Event) (n int, flags uint64) {
	b[1] = uint64(e.T)
	b[2] = e.Op
	n = 3
	put := func(flag, v uint64) {
		b[n&(recordWordsMax-1)] = v
		n++
		flags |= flag
	}
	if e.At != e.T && e.Type == Invoke {
		put(hasAt, uint64(e.At))
	}
	if e.P != s.p {
		put(hasP, uint64(uint32(e.P)))
	}
	if e.F == Send {
		put(hasValue, e.Value)
	}
	if e.Queue|e.Status != 0 {
		put(hasQueueStatus, uint64(e.Queue)|uint64(e.Status)<<32)
	}
	if e.Node|e.Error != 0 {
		put(hasNodeError, uint64(e.Node)|uint64(e.Error)<<32)
	}
	if e.Group != 0 || e.Retry != 0 {
		put(hasGroupRetry, uint64(e.Group)|uint64(e.Retry)<<32)
	}
	if e.Offset >= 0 {
		put(hasOffset, uint64(e.Offset))
	}
	if e.From >= 0 {
		put(hasFrom, uint64(e.From))
	}
	if e.End >= 0 {
		put(hasEnd, uint64(e.End))
	}
	if e.Epoch >= 0 {
		put(hasEpoch, uint64(e.Epoch))
	}
	if e.First > 0 {
		put(hasFirst, uint64(e.First))
	}
	if e.Filter {
		flags |= hasFilter
	}
	return n, flags
}

// recordLong records events of any length; many messages go into several records.
func (s *Shard) recordLong(e *Event) {
	msgs := e.Msgs
	prev := Msg{Offset: -1}
	for {
		var count int
		var extra uint64
		s.buf, count, prev = encodeMsgs(s.buf[:0], msgs, prev)
		tail := s.tail(e, count)
		if !s.room(recordWordsMax + len(tail)) {
			return
		}
		n, flags := s.encode((*[recordWordsMax]uint64)(s.words[s.n:]), e)
		n += copy(s.words[s.n+n:], tail)
		if e.Msgs != nil {
			extra |= hasMsgs
		}
		if e.Fault != nil {
			extra |= hasFault
		}
		if e.Role != "" {
			extra |= hasRole
		}
		if msgs = msgs[count:]; len(msgs) > 0 {
			extra |= hasMore
		}
		s.commit(n, e, flags|extra)
		if len(msgs) == 0 {
			return
		}
	}
}

// tail returns the words of a record after those of encode; s.buf holds count messages.
func (s *Shard) tail(e *Event, count int) []uint64 {
	var w []uint64
	if e.Msgs != nil {
		w = append(w, uint64(count)|uint64(len(s.buf))<<32)
		at := len(w)
		w = append(w, make([]uint64, (len(s.buf)+7)/8)...)
		putBytes(w[at:], s.buf)
	}
	if f := e.Fault; f != nil {
		w = append(w, uint64(s.r.Sym(f.Name))|uint64(s.r.Sym(f.Phase))<<32, uint64(len(f.Nodes))|uint64(len(f.Effect))<<32)
		for _, node := range f.Nodes {
			w = append(w, uint64(s.r.Sym(node)))
		}
		for _, key := range sortedNames(f.Effect) {
			w = append(w, uint64(s.r.Sym(key)), uint64(f.Effect[key]))
		}
	}
	if e.Role != "" {
		w = append(w, uint64(s.r.Sym(e.Role)))
	}
	return w
}

// encodeMsgs appends as many messages as fit into a record, at least one, and returns their number and the last.
func encodeMsgs(buf []byte, msgs []Msg, prev Msg) ([]byte, int, Msg) {
	for i, m := range msgs {
		if len(buf) > msgBytesMax {
			return buf, i, prev
		}
		corrupt := uint64(0)
		if m.Corrupt {
			corrupt = 1
		}
		buf = binary.AppendUvarint(buf, zigzag(m.Offset-prev.Offset-1)<<1|corrupt)
		buf = binary.AppendUvarint(buf, zigzag(int64(m.Value-prev.Value)))
		prev = m
	}
	return buf, len(msgs), prev
}

// room makes sure that words more words fit, and has the next segment prepared in time.
func (s *Shard) room(words int) bool {
	if s.dead {
		return false
	}
	if s.n+words > len(s.words) && !s.grow(words) {
		return false
	}
	if s.n+words > s.ask {
		select {
		case s.r.ahead <- s:
			s.ask = len(s.words)
		default: // busy: ask again
		}
	}
	return true
}

// grow goes on in a new segment.
func (s *Shard) grow(words int) bool {
	next := s.next.Swap(nil)
	if next == nil || len(next.words) < segmentHead+words {
		var err error
		s.r.mu.Lock()
		defer s.r.mu.Unlock()
		next, err = s.r.allocate(kindShard, uint32(s.index), s.p, max(int(s.nextSize.Load()), 8*(segmentHead+words)))
		if err != nil {
			s.r.fail(err)
			s.dead, s.ask = true, -1
			return false
		}
	}
	old := s.seg
	s.use(next)
	s.old = append(s.old, old)
	return true
}

// use makes seg the segment that records go to.
func (s *Shard) use(seg *segment) {
	s.seg, s.words, s.n = seg, seg.words, segmentHead
	s.ask = len(seg.words) / 2
	size := len(seg.words) * 8
	s.nextSize.Store(int64(min(2*size, max(size, 16*s.r.opt.SegmentBytes))))
	s.turn++
	atomic.StoreUint64(&seg.words[headTurn], s.turn)
}

func sortedNames[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// bytesOf returns the memory of words.
func bytesOf(words []uint64) []byte {
	if len(words) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), len(words)*8)
}
