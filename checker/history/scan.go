package history

import (
	"encoding/json"
	"math"
	"unicode/utf8"
)

// scanner reads JSON values from one line without reflection. A syntax error makes bad true; what it returned until
// then means nothing.
type scanner struct {
	b   []byte
	i   int
	bad bool
	buf []byte // of strings with escapes
}

const depthMax = 100

func (s *scanner) space() {
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case ' ', '\t', '\r', '\n':
			s.i++
		default:
			return
		}
	}
}

// next skips white space and says whether the next byte is c; if so it is consumed.
func (s *scanner) next(c byte) bool {
	if s.i < len(s.b) && s.b[s.i] <= ' ' {
		s.space()
	}
	if s.i < len(s.b) && s.b[s.i] == c {
		s.i++
		return true
	}
	return false
}

func (s *scanner) peek() byte {
	if s.i < len(s.b) && s.b[s.i] <= ' ' {
		s.space()
	}
	if s.i < len(s.b) {
		return s.b[s.i]
	}
	return 0
}

// text reads a string. The bytes are the scanner's until the next call.
func (s *scanner) text() []byte {
	if !s.next('"') {
		s.bad = true
		return nil
	}
	from := s.i
	for i := from; i < len(s.b); i++ {
		switch c := s.b[i]; {
		case c == '"':
			s.i = i + 1
			return s.b[from:i]
		case c == '\\':
			return s.escaped(from)
		case c < ' ':
			s.bad = true
			return nil
		}
	}
	s.bad = true
	return nil
}

// escaped reads the rest of a string with escapes, which began at from.
func (s *scanner) escaped(from int) []byte {
	for i := from; i < len(s.b); i++ {
		switch s.b[i] {
		case '\\':
			i++
		case '"':
			var text string
			if json.Unmarshal(s.b[from-1:i+1], &text) != nil {
				s.bad = true
				return nil
			}
			s.i = i + 1
			s.buf = append(s.buf[:0], text...)
			return s.buf
		}
	}
	s.bad = true
	return nil
}

// integer reads an integer in [0, 2^63); ok is false when the value is another, which is skipped.
func (s *scanner) integer() (v uint64, ok bool) {
	c := s.peek()
	if c < '0' || c > '9' {
		s.skip(0)
		return 0, false
	}
	i := s.i
	for ; i < len(s.b); i++ {
		d := s.b[i] - '0'
		if d > 9 {
			break
		}
		if i-s.i >= 18 { // may overflow
			if v > (math.MaxInt64-uint64(d))/10 {
				s.number()
				return 0, false
			}
		}
		v = v*10 + uint64(d)
	}
	if i < len(s.b) && (s.b[i] == '.' || s.b[i]|0x20 == 'e') || c == '0' && i > s.i+1 {
		s.number()
		return 0, false
	}
	s.i = i
	return v, true
}

// signed reads an integer in (-2^63, 2^63).
func (s *scanner) signed() (int64, bool) {
	if s.peek() != '-' {
		v, ok := s.integer()
		return int64(v), ok
	}
	if s.i+1 < len(s.b) && s.b[s.i+1] >= '0' && s.b[s.i+1] <= '9' {
		s.i++
		v, ok := s.integer()
		return -int64(v), ok
	}
	s.bad = true
	return 0, false
}

// null consumes a null and says whether there was one.
func (s *scanner) null() bool {
	if s.peek() == 'n' {
		s.word("null")
		return !s.bad
	}
	return false
}

// boolean reads true or false; ok is false when the value is another, which is skipped.
func (s *scanner) boolean() (v, ok bool) {
	switch s.peek() {
	case 't':
		s.word("true")
		return true, !s.bad
	case 'f':
		s.word("false")
		return false, !s.bad
	}
	s.skip(0)
	return false, false
}

func (s *scanner) word(w string) {
	if len(s.b)-s.i < len(w) || string(s.b[s.i:s.i+len(w)]) != w {
		s.bad = true
		return
	}
	s.i += len(w)
}

// number consumes any JSON number.
func (s *scanner) number() {
	s.next('-')
	digits := func() {
		from := s.i
		for s.i < len(s.b) && s.b[s.i]-'0' <= 9 {
			s.i++
		}
		s.bad = s.bad || s.i == from
	}
	if s.i < len(s.b) && s.b[s.i] == '0' {
		s.i++
	} else {
		digits()
	}
	if s.i < len(s.b) && s.b[s.i] == '.' {
		s.i++
		digits()
	}
	if s.i < len(s.b) && s.b[s.i]|0x20 == 'e' {
		s.i++
		if s.i < len(s.b) && (s.b[s.i] == '+' || s.b[s.i] == '-') {
			s.i++
		}
		digits()
	}
}

// skip consumes any value.
func (s *scanner) skip(depth int) {
	if depth > depthMax {
		s.bad = true
	}
	if s.bad {
		return
	}
	switch c := s.peek(); c {
	case '"':
		s.text()
	case '{':
		s.i++
		s.members('}', func() {
			s.text()
			s.bad = s.bad || !s.next(':')
			s.skip(depth + 1)
		})
	case '[':
		s.i++
		s.members(']', func() { s.skip(depth + 1) })
	case 't':
		s.word("true")
	case 'f':
		s.word("false")
	case 'n':
		s.word("null")
	default:
		s.number()
	}
}

// members reads what stands between commas up to the closing bracket.
func (s *scanner) members(closing byte, member func()) {
	if s.next(closing) {
		return
	}
	for !s.bad {
		member()
		if s.next(closing) {
			return
		}
		s.bad = s.bad || !s.next(',')
	}
}

// appendText appends s as a JSON string.
func appendText(dst []byte, s string) []byte {
	dst = append(dst, '"')
	plain := true
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			plain = false
			break
		}
	}
	if plain {
		return append(append(dst, s...), '"')
	}
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // strings always marshal
	}
	return append(dst, text[1:]...)
}
