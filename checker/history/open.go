package history

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// ErrMalformed is what every MalformedError is.
var ErrMalformed = errors.New("history: malformed")

// MalformedError says where a history breaks which rule. It prints as FILE:LINE: rule.
type MalformedError struct {
	File string
	Line int // from 1; of a binary history the number of the event in its shard, or 0
	Rule string
}

func (e *MalformedError) Error() string { return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Rule) }

// Is makes errors.Is(err, ErrMalformed) true.
func (e *MalformedError) Is(target error) bool { return target == ErrMalformed }

// Open reads a run directory, a binary history or a JSON Lines file. A history that was cut off by a SIGKILL of its
// writer reads fine; one that breaks the rules of contracts.md section 3 is a *MalformedError.
func Open(path string) (*History, error) {
	file, size, binary, err := open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if binary {
		f, err := openBinary(file, size)
		if err != nil {
			return nil, &MalformedError{File: path, Rule: err.Error()}
		}
		return f.build(path)
	}
	return readAll(path, file, size)
}

// ReadLines reads the JSON Lines form from r; name is what errors call it.
func ReadLines(name string, r io.Reader) (*History, error) { return readAll(name, r, 0) }

// readAll reads JSON Lines of about size bytes; 0: not known. Room for the operations costs no memory before it is used.
func readAll(name string, r io.Reader, size int64) (*History, error) {
	names := newInterner()
	var b *builder
	err := readLines(name, r, names, false, func(h Header) {
		b = newBuilder(h, names)
		b.reserve(size / lineBytes)
	}, func(e *Event) string { return b.event(e) })
	if err != nil {
		return nil, err
	}
	return b.finish(), nil
}

// open opens the file of a history and says of which form it is.
func open(path string) (file *os.File, size int64, binary bool, err error) {
	if file, err = os.Open(path); err != nil {
		return nil, 0, false, err
	}
	info, err := file.Stat()
	if err == nil && info.IsDir() {
		if err = file.Close(); err != nil {
			return nil, 0, false, err
		}
		path = filepath.Join(path, FileName)
		if file, err = os.Open(path); err != nil {
			return nil, 0, false, err
		}
		info, err = file.Stat()
	}
	if err != nil {
		return nil, 0, false, errors.Join(err, file.Close())
	}
	if !info.Mode().IsRegular() {
		return file, 0, false, nil
	}
	head := make([]uint64, 1)
	if err := readWords(file, head, 0); err != nil && err != io.EOF {
		return nil, 0, false, errors.Join(err, file.Close())
	}
	return file, info.Size(), head[0] == segmentMagic, nil
}

// History returns what was recorded so far, by a Recorder with Options.Memory. No shard may record meanwhile.
func (r *Recorder) History() (*History, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.file != nil {
		return nil, errors.New("history: Recorder.History needs Options.Memory")
	}
	m := &memoryFile{segments: r.segments}
	for _, s := range r.segments {
		m.starts = append(m.starts, m.size)
		m.size += int64(len(s.words)) * 8
	}
	f, err := openBinary(m, m.size)
	if err != nil {
		return nil, err
	}
	return f.build("memory")
}

// build pairs the events of all shards. Only completions of another shard's operations, and the few lines that have
// an order among each other, need to be merged by time.
func (f *binaryFile) build(path string) (*History, error) {
	names := newInterner()
	for _, name := range f.names[1:] {
		names.sym([]byte(name))
	}
	b := newBuilder(f.header, names)
	b.expect(f)
	var late []Event
	err := f.decodeAhead(func(client int32, n int, e *Event) error {
		if _, known := b.ops.get(b, e.Op); e.F >= FaultF || e.Type != Invoke && !known {
			late = append(late, *e)
			late[len(late)-1].Msgs = slices.Clone(e.Msgs)
			return nil
		}
		if rule := b.event(e); rule != "" {
			return &MalformedError{File: path, Line: n, Rule: fmt.Sprintf("client %d: %s", client, rule)}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(late, func(x, y Event) int { return cmp.Compare(x.T, y.T) })
	for i := range late {
		if rule := b.event(&late[i]); rule != "" {
			return nil, &MalformedError{File: path, Rule: fmt.Sprintf("client %d: %s", late[i].P, rule)}
		}
	}
	h := b.finish()
	h.Cut = f.cut
	return h, nil
}

// batch is events of one shard, decoded ahead.
type batch struct {
	client int32
	first  int // number of the first event in its shard, from 1
	events []Event
	msgs   []Msg // of the events
	log    []Msg // of one event with many
}

const (
	batchEvents = 2048
	batchMsgs   = 1 << 14 // of one event
)

// decodeAhead gives every event of every shard to yield, shard by shard, while another core decodes what follows. The
// event and its messages are yield's only until it returns.
func (f *binaryFile) decodeAhead(yield func(client int32, n int, e *Event) error) error {
	ready, free := make(chan *batch, 2), make(chan *batch, 4)
	quit := make(chan struct{})
	for range cap(free) {
		free <- &batch{events: make([]Event, 0, batchEvents), msgs: []Msg{}}
	}
	go func() {
		defer close(ready)
		for i := range f.shards {
			s := newShardReader(f, &f.shards[i])
			for more, n := true, 1; more; {
				var b *batch
				select {
				case b = <-free:
				case <-quit:
					return
				}
				b.client, b.first = s.shard.p, n
				more = b.fill(s)
				n += len(b.events)
				ready <- b
			}
			if s.cut != "" {
				f.cut = append(f.cut, s.cut)
			}
		}
	}()
	var err error
	for b := range ready {
		for i := range b.events {
			if err == nil {
				err = yield(b.client, b.first+i, &b.events[i])
			}
		}
		if err != nil {
			close(quit)
			for range ready { // at most what was on its way
				continue
			}
			return err
		}
		free <- b
	}
	return nil
}

// fill reads events until the batch is full; false: the shard has no more.
func (b *batch) fill(s *shardReader) bool {
	b.events, b.msgs = b.events[:0], b.msgs[:0]
	for len(b.events) < batchEvents {
		b.events = b.events[:len(b.events)+1]
		e := &b.events[len(b.events)-1]
		if !s.next(e) {
			b.events = b.events[:len(b.events)-1]
			return false
		}
		if len(e.Msgs) > batchMsgs {
			b.log, s.msgs = s.msgs, b.log // a whole log: not copied but exchanged
			return true                   // one a batch
		}
		if e.Msgs != nil {
			from := len(b.msgs)
			b.msgs = append(b.msgs, e.Msgs...)
			e.Msgs = b.msgs[from:len(b.msgs):len(b.msgs)]
		}
	}
	return true
}

// A send takes about so many bytes of a file: two records, two lines.
const (
	recordBytes = 96
	lineBytes   = 170
)

// reserve makes room for n sends, if they are many.
func (b *builder) reserve(n int64) {
	if n > 1<<16 {
		b.h.Sends = make([]SendOp, 0, n)
	}
}

// expect makes room for the operations of a file.
func (b *builder) expect(f *binaryFile) {
	bytes := int64(0)
	for i := range f.shards {
		for _, seg := range f.shards[i].segments {
			bytes += seg.size
		}
	}
	b.reserve(bytes / recordBytes)
}

// Walk gives every event of the history at path to yield, in order of time, with the names of its symbols. The event is
// yield's only until it returns. header is called first. A JSON Lines file is held only against the rules of single
// lines and against its order.
func Walk(path string, header func(Header) error, yield func(names func(Sym) string, e *Event) error) error {
	file, size, binary, err := open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	if binary {
		f, err := openBinary(file, size)
		if err != nil {
			return &MalformedError{File: path, Rule: err.Error()}
		}
		if err := header(f.header); err != nil {
			return err
		}
		return f.merge(yield)
	}
	names := newInterner()
	var stop error
	err = readLines(path, bufio.NewReader(file), names, true, func(h Header) { stop = header(h) }, func(e *Event) string {
		if stop == nil {
			stop = yield(names.name, e)
		}
		if stop != nil {
			return "stopped"
		}
		return ""
	})
	return cmp.Or(stop, err)
}

// merge gives all events to yield by time. Events of one instant come by operation, an invoke before its completion; a
// shard's own order holds where its clock did not go back.
func (f *binaryFile) merge(yield func(names func(Sym) string, e *Event) error) error {
	name := func(s Sym) string { return f.names[s] }
	var heads []*cursor
	for i := range f.shards {
		c := &cursor{r: newShardReader(f, &f.shards[i]), shard: i}
		if c.advance() {
			heads = append(heads, c)
		}
	}
	for len(heads) > 0 {
		first := 0
		for i := range heads {
			if heads[i].before(heads[first]) {
				first = i
			}
		}
		c := heads[first]
		if err := yield(name, c.first()); err != nil {
			return err
		}
		if !c.advance() {
			heads = slices.Delete(heads, first, first+1)
		}
	}
	return nil
}

// cursor holds a window of a shard's events, sorted by time: a cached clock may have put an invoke before what was
// recorded before it.
type cursor struct {
	r      *shardReader
	shard  int
	window []Event // by T from head on
	head   int
	ended  bool
}

// windowEvents bounds how many events later a shard may record one that belongs before.
const windowEvents = 256

func (c *cursor) first() *Event { return &c.window[c.head] }

func (c *cursor) before(d *cursor) bool {
	x, y := c.first(), d.first()
	return cmp.Or(cmp.Compare(x.T, y.T), cmp.Compare(c.shard, d.shard)) < 0
}

// advance drops the first event, if there is one, and fills the window. False: no event is left.
func (c *cursor) advance() bool {
	if c.head < len(c.window) {
		c.head++
	}
	if c.ended || len(c.window)-c.head > windowEvents {
		return c.head < len(c.window)
	}
	c.window = c.window[:copy(c.window, c.window[c.head:])]
	c.head = 0
	for len(c.window) < 2*windowEvents && !c.ended {
		var e Event
		if !c.r.next(&e) {
			c.ended = true
			break
		}
		if e.Msgs != nil {
			e.Msgs = append([]Msg{}, e.Msgs...)
		}
		at := len(c.window)
		for at > 0 && c.window[at-1].T > e.T {
			at--
		}
		c.window = slices.Insert(c.window, at, e)
	}
	return len(c.window) > 0
}
