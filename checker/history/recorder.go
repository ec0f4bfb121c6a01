package history

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

// FileName is the name of a binary history in its run directory.
const FileName = "history.hfh"

// Options of a Recorder. The zero value is what runs use.
type Options struct {
	// SegmentBytes is the size of a shard's first mapping; later ones double up to 16 times that. Default 1 MiB.
	SegmentBytes int
	// Memory keeps everything in memory: no file, nothing survives the process. For simulations; see Recorder.History.
	Memory bool
	// Now is the clock, in ns since the start of the run, monotonic, safe for concurrent use. Default: since Create.
	Now func() int64
}

// Recorder writes one history. Its shards may be used concurrently, each by one goroutine.
//
// What Record returned from survives a SIGKILL of the process: it is in a shared mapping of the file. It does not
// survive a crash of the machine.
type Recorder struct {
	start   time.Time
	now     func() int64
	opt     Options
	file    *os.File // nil in memory
	head    *segment // Invariant: mapped until Close
	headers Header

	mu       sync.Mutex // guards what follows
	end      int64      // bytes of the file in use
	segments []*segment // all of them when in memory, for History; else those of the symbols
	symbols  *segment   // the last one
	used     int        // words used of symbols
	names    []string   // by Sym
	shards   []*Shard
	err      error // the first failure to grow

	syms sync.Map // string -> Sym

	ahead chan *Shard   // shards that will soon need a segment
	done  chan struct{} // closed when the goroutine that prepares segments has ended
}

// Create starts the history of a run in dir, which must exist and hold none yet.
func Create(dir string, h Header, opt Options) (*Recorder, error) {
	if opt.SegmentBytes == 0 {
		opt.SegmentBytes = 1 << 20
	}
	opt.SegmentBytes = align(opt.SegmentBytes)
	r := &Recorder{start: time.Now(), now: opt.Now, opt: opt, names: []string{""}, ahead: make(chan *Shard, 64), done: make(chan struct{})}
	h.Version = 1
	r.headers = h
	if !opt.Memory {
		file, err := os.OpenFile(filepath.Join(dir, FileName), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
		if err != nil {
			return nil, fmt.Errorf("history: %w", err)
		}
		r.file = file
	}
	if err := r.begin(h); err != nil {
		if r.file != nil {
			err = errors.Join(err, r.file.Close())
		}
		return nil, fmt.Errorf("history: %w", err)
	}
	go r.prepare()
	return r, nil
}

// begin writes the header segment and opens the first of the symbols.
func (r *Recorder) begin(h Header) error {
	text, err := json.Marshal(h)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.head, err = r.allocate(kindHeader, 0, 0, 8*(segmentHead+1)+len(text)); err != nil {
		return err
	}
	putBytes(r.head.words[segmentHead+1:], text)
	atomic.StoreUint64(&r.head.words[segmentHead], uint64(len(text))+1)
	r.symbols, err = r.allocate(kindSymbols, 0, 0, segmentAlign)
	r.used = segmentHead
	return err
}

// Now returns the time in ns since the start of the run, as Event.T wants it.
func (r *Recorder) Now() int64 {
	if r.now != nil {
		return r.now()
	}
	return int64(time.Since(r.start))
}

// Start returns the instant that T counts from.
func (r *Recorder) Start() time.Time { return r.start }

// Sym interns s: equal strings have one Sym in a history. It is in the file before Sym returns. Safe for concurrent use.
func (r *Recorder) Sym(s string) Sym {
	if s == "" {
		return 0
	}
	if v, ok := r.syms.Load(s); ok {
		return v.(Sym)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if v, ok := r.syms.Load(s); ok {
		return v.(Sym)
	}
	need := 1 + (len(s)+7)/8
	if r.used+need > len(r.symbols.words) {
		next, err := r.allocate(kindSymbols, 0, 0, max(len(r.symbols.words)*8*2, 8*(segmentHead+need)))
		if err != nil {
			r.fail(err)
			return 0
		}
		r.symbols, r.used = next, segmentHead
	}
	at := r.symbols.words[r.used : r.used+need]
	putBytes(at[1:], []byte(s))
	atomic.StoreUint64(&at[0], uint64(len(s))+1)
	r.used += need
	sym := Sym(len(r.names))
	r.names = append(r.names, s)
	r.syms.Store(s, sym)
	return sym
}

// Shard returns a new shard for the records of client p; -1 is the nemesis. Several shards may have one client.
func (r *Recorder) Shard(p int32) (*Shard, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := &Shard{r: r, p: p, index: uint64(len(r.shards))}
	seg, err := r.allocate(kindShard, uint32(s.index), p, r.opt.SegmentBytes)
	if err != nil {
		return nil, fmt.Errorf("history: shard of client %d: %w", p, err)
	}
	s.use(seg)
	r.shards = append(r.shards, s)
	return s, nil
}

// Err returns why events are missing from the history (no space), or nil.
func (r *Recorder) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// Close ends the history. No shard may be used any more. It returns the error that made events be missing, if any.
func (r *Recorder) Close() error {
	close(r.ahead)
	<-r.done
	r.mu.Lock()
	defer r.mu.Unlock()
	atomic.StoreUint64(&r.head.words[headFlags], atomic.LoadUint64(&r.head.words[headFlags])|flagFinished)
	if r.file == nil {
		return r.err
	}
	err := r.err
	for _, s := range r.shards {
		punch(r.file, s.seg, s.n)
		err = errors.Join(err, s.seg.unmap())
		for _, old := range s.old {
			err = errors.Join(err, old.unmap())
		}
		if next := s.next.Swap(nil); next != nil {
			punch(r.file, next, segmentHead)
			err = errors.Join(err, next.unmap())
		}
	}
	for _, seg := range r.segments {
		err = errors.Join(err, seg.unmap())
	}
	return errors.Join(err, r.file.Close())
}

// prepare makes the next segment of a shard before it is needed, so that Record seldom waits for the file system.
func (r *Recorder) prepare() {
	defer close(r.done)
	for s := range r.ahead {
		if s.next.Load() != nil {
			continue
		}
		r.mu.Lock()
		seg, err := r.allocate(kindShard, uint32(s.index), s.p, int(s.nextSize.Load()))
		r.mu.Unlock()
		if err == nil { // else Record will try again itself, and say so
			seg.populate()
			s.next.Store(seg)
		}
	}
}

// allocate appends a segment to the file, maps it and writes its head. The caller holds mu.
func (r *Recorder) allocate(kind, owner uint32, client int32, size int) (*segment, error) {
	size = align(size)
	var seg *segment
	if r.file == nil {
		seg = &segment{words: make([]uint64, size/8)}
	} else {
		m, err := mapRegion(r.file, r.end, size)
		if err != nil {
			return nil, err
		}
		seg = &segment{at: r.end, bytes: m, words: unsafe.Slice((*uint64)(unsafe.Pointer(&m[0])), size/8)}
	}
	seg.words[headKind] = uint64(kind) | uint64(owner)<<32
	seg.words[headSize] = uint64(size)
	seg.words[headClient] = uint64(uint32(client))
	atomic.StoreUint64(&seg.words[headMagic], segmentMagic)
	r.end += int64(size)
	if r.file == nil || kind != kindShard {
		r.segments = append(r.segments, seg)
	}
	return seg, nil
}

// fail remembers err and marks the file: a history with events missing must not get a verdict. The caller holds mu.
func (r *Recorder) fail(err error) {
	if r.err == nil {
		r.err = fmt.Errorf("history: %w", err)
	}
	words := r.head.words
	atomic.StoreUint64(&words[headFlags], atomic.LoadUint64(&words[headFlags])|flagIncomplete)
}

func align(size int) int { return (size + segmentAlign - 1) &^ (segmentAlign - 1) }

// putBytes copies b to the front of words.
func putBytes(words []uint64, b []byte) {
	if len(b) > 0 {
		copy(unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), len(words)*8), b)
	}
}
