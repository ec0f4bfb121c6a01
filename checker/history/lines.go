package history

import (
	"bytes"
	"io"
	"runtime"
	"sync"
)

// chunkBytes is how much of a JSON Lines file one parser takes at a time: its events fit into a core's cache. A buffer
// that had to grow beyond chunkMax is not used again.
const (
	chunkBytes = 256 << 10
	chunkMax   = 4 << 20
)

// chunk is a piece of a JSON Lines file that ends with a line.
type chunk struct {
	data   []byte
	events []Event
	rule   string // that the line after the events breaks
	parsed chan struct{}
	parser lineParser
}

// readLines gives every event of a JSON Lines file to yield, in order, while other cores parse what follows. errors
// says whether error texts are wanted.
func readLines(file string, r io.Reader, names *interner, errors bool, header func(Header), yield func(e *Event) string) error {
	src := &lineSource{r: r}
	first, err := src.line()
	if err != nil {
		return err
	}
	h, rule := parseHeader(first)
	if rule != "" {
		return &MalformedError{File: file, Line: 1, Rule: rule}
	}
	header(h)
	workers := runtime.GOMAXPROCS(0)
	ordered := make(chan *chunk, 2*workers) // to the reader, in the order of the file
	work := make(chan *chunk, 2*workers)
	free := make(chan *chunk, 4*workers)
	quit := make(chan struct{})
	var readErr error
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for c := range work {
				c.parse()
			}
		})
	}
	wg.Go(func() {
		defer close(ordered)
		defer close(work)
		readErr = src.chunks(names, errors, free, func(c *chunk) bool {
			select {
			case <-quit:
				return false
			case work <- c:
				ordered <- c
				return true
			}
		})
	})
	err = consume(file, ordered, free, yield)
	close(quit)
	for range ordered { // what was read ahead of an error
		continue
	}
	wg.Wait()
	if err == nil {
		err = readErr
	}
	return err
}

// consume gives the events of the chunks to yield, up to the first line that breaks a rule.
func consume(file string, ordered, free chan *chunk, yield func(e *Event) string) error {
	line, last := 1, int64(0)
	for c := range ordered {
		<-c.parsed
		for i := range c.events {
			e := &c.events[i]
			line++
			rule := ""
			if e.T < last {
				rule = "t goes back"
			} else {
				last = e.T
				rule = yield(e)
			}
			if rule != "" {
				return &MalformedError{File: file, Line: line, Rule: rule}
			}
		}
		if c.rule != "" {
			return &MalformedError{File: file, Line: line + 1, Rule: c.rule}
		}
		if cap(c.data) > chunkMax || cap(c.parser.msgs) > chunkMax/8 {
			continue // of a line with a whole log; not worth keeping
		}
		select {
		case free <- c:
		default:
		}
	}
	return nil
}

// parse reads the lines of a chunk, up to the first that breaks a rule by itself.
func (c *chunk) parse() {
	c.events, c.rule, c.parser.msgs = c.events[:0], "", c.parser.msgs[:0]
	data := c.data
	for len(data) > 0 {
		line := data
		if i := bytes.IndexByte(data, '\n'); i >= 0 {
			line, data = data[:i], data[i+1:]
		} else {
			data = nil
		}
		if len(c.events) == cap(c.events) {
			grown := make([]Event, len(c.events), max(1024, 2*cap(c.events)))
			copy(grown, c.events)
			c.events = grown
		}
		c.events = c.events[:len(c.events)+1]
		if c.rule = c.parser.parse(line, &c.events[len(c.events)-1]); c.rule != "" {
			c.events = c.events[:len(c.events)-1]
			break
		}
	}
	c.parsed <- struct{}{}
}

// lineSource cuts a reader into pieces that end with a line.
type lineSource struct {
	r    io.Reader
	rest []byte // read, not given out
	err  error
}

// fill reads once more.
func (s *lineSource) fill(buf []byte) []byte {
	if len(buf) == cap(buf) {
		buf = append(make([]byte, 0, max(chunkBytes, 2*cap(buf))), buf...)
	}
	n, err := s.r.Read(buf[len(buf):cap(buf)])
	if err != nil {
		s.err = err
	}
	return buf[:len(buf)+n]
}

// headerMax bounds the header line in bytes: what is no history, such as a disk image, need not fit into memory.
const headerMax = 16 << 20

// line returns the first line, or more than headerMax bytes of it.
func (s *lineSource) line() ([]byte, error) {
	for {
		if i := bytes.IndexByte(s.rest, '\n'); i >= 0 {
			line := s.rest[:i]
			s.rest = s.rest[i+1:]
			return line, nil
		}
		if s.err != nil {
			line := s.rest
			s.rest = nil
			if s.err != io.EOF {
				return nil, s.err
			}
			return line, nil
		}
		if len(s.rest) > headerMax {
			return s.rest, nil
		}
		s.rest = s.fill(s.rest)
	}
}

// chunks gives the rest to yield, piece by piece, until yield returns false.
func (s *lineSource) chunks(names *interner, errors bool, free chan *chunk, yield func(*chunk) bool) error {
	for {
		var c *chunk
		select {
		case c = <-free:
		default:
			c = &chunk{parsed: make(chan struct{}, 1), parser: lineParser{names: names, errors: errors}}
		}
		c.data = append(c.data[:0], s.rest...)
		end := -1
		for s.err == nil {
			if len(c.data) >= chunkBytes*3/4 {
				if end = bytes.LastIndexByte(c.data, '\n'); end >= 0 {
					break
				}
			}
			c.data = s.fill(c.data)
		}
		s.rest = s.rest[:0]
		if end >= 0 {
			s.rest = append(s.rest, c.data[end+1:]...)
			c.data = c.data[:end+1]
		}
		if len(c.data) > 0 && !yield(c) {
			return nil
		}
		if end < 0 {
			if s.err == io.EOF {
				return nil
			}
			return s.err
		}
	}
}
