package remoting

import (
	"bytes"
	"encoding/binary"
	"unicode/utf16"
	"unicode/utf8"
)

// depthMax limits the nesting of values that a scanner skips, so that hostile bytes cannot exhaust the stack.
const depthMax = 64

// scanner walks JSON text without copying. It accepts what RocketMQ's peers write beyond the standard: keys without
// quotes, keys that are objects, and control characters inside strings. The first fault sets bad and ends every walk;
// callers look at bad once, at the end.
type scanner struct {
	b   []byte
	i   int // 0 <= i <= len(b)
	bad bool
}

// peek skips white space and returns the next byte, or 0 at the end.
func (s *scanner) peek() byte {
	for s.i < len(s.b) {
		if c := s.b[s.i]; !isSpace(c) {
			return c
		}
		s.i++
	}
	return 0
}

// take consumes c, the next byte beyond white space, or fails.
func (s *scanner) take(c byte) bool {
	if s.i < len(s.b) && s.b[s.i] == c && !s.bad {
		s.i++
		return true
	}
	if s.bad || s.peek() != c || s.i >= len(s.b) {
		s.bad = true
		return false
	}
	s.i++
	return true
}

// quoted consumes a string and returns what lies between its quotes, still with its escapes.
func (s *scanner) quoted() (text []byte, escaped bool) {
	if !s.take('"') {
		return nil, false
	}
	b, start := s.b, s.i
	for i := start; i < len(b); i++ {
		switch b[i] {
		case '"':
			s.i = i + 1
			return b[start:i:i], escaped
		case '\\':
			escaped = true
			n := escapeBytes(b[i:])
			if n == 0 {
				s.bad = true
				return nil, false
			}
			i += n - 1
		}
	}
	s.bad = true
	return nil, false
}

// escapeBytes returns how many bytes the escape at the front of b takes, or 0 when it is not one.
func escapeBytes(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if len(b) >= 6 && hex4(b[2:]) >= 0 {
			return 6
		}
	}
	return 0
}

// token consumes a bare word or number: everything up to white space or a structural byte.
func (s *scanner) token() []byte {
	if s.bad {
		return nil
	}
	s.peek()
	start := s.i
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case ',', ':', '}', ']', '{', '[', '"', ' ', '\t', '\n', '\r':
			return s.word(start)
		}
		s.i++
	}
	return s.word(start)
}

func (s *scanner) word(start int) []byte {
	if s.i == start {
		s.bad = true
	}
	return s.b[start:s.i:s.i]
}

// scalar consumes a string, number, true, false or null. The text of null is nil; that of a string may be escaped.
func (s *scanner) scalar() (text []byte, escaped bool) {
	switch s.peek() {
	case '"':
		return s.quoted()
	case '{', '[':
		s.bad = true
		return nil, false
	}
	text = s.token()
	if string(text) == "null" {
		return nil, false
	}
	return text, false
}

// skip consumes any value and returns its text.
func (s *scanner) skip(depth int) []byte {
	if s.peek(); s.bad || depth > depthMax {
		s.bad = true
		return nil
	}
	start := s.i
	switch s.peek() {
	case '{':
		s.object(func([]byte) { s.skip(depth + 1) })
	case '[':
		s.array(func() { s.skip(depth + 1) })
	case '"':
		s.quoted()
	default:
		s.token()
	}
	return s.b[start:s.i:s.i]
}

// object walks the members of an object; each must consume the value of its key. null is an object without members.
// A key that is itself an object is handed over as its text.
func (s *scanner) object(each func(key []byte)) {
	if s.null() || !s.take('{') {
		return
	}
	if s.peek() == '}' {
		s.i++
		return
	}
	for !s.bad {
		key := s.key()
		if !s.take(':') {
			return
		}
		each(key)
		if s.peek() != ',' {
			break
		}
		s.i++
	}
	s.take('}')
}

func (s *scanner) key() []byte {
	switch s.peek() {
	case '"':
		text, escaped := s.quoted()
		if escaped {
			text = Unescape(nil, text)
		}
		return text
	case '{':
		return s.skip(1)
	}
	return s.token()
}

// array walks the members of an array; each must consume one. null is an array without members.
func (s *scanner) array(each func()) {
	if s.null() || !s.take('[') {
		return
	}
	if s.peek() == ']' {
		s.i++
		return
	}
	for !s.bad {
		each()
		if s.peek() != ',' {
			break
		}
		s.i++
	}
	s.take(']')
}

// null consumes null if it is next.
func (s *scanner) null() bool {
	if s.peek() == 'n' && len(s.b)-s.i >= 4 && string(s.b[s.i:s.i+4]) == "null" {
		s.i += 4
		return true
	}
	return false
}

// str consumes a scalar and returns it as text of its own; null is "".
func (s *scanner) str() string {
	text, escaped := s.scalar()
	if escaped {
		text = Unescape(nil, text)
	}
	return string(text)
}

// integer consumes a scalar, quoted or not, and returns its value; null is 0.
func (s *scanner) integer() int64 {
	text, _ := s.scalar()
	if s.bad || text == nil {
		return 0
	}
	v, ok := atoi(text)
	if !ok {
		s.bad = true
	}
	return v
}

func (s *scanner) int32() int32 {
	v := s.integer()
	if v != int64(int32(v)) {
		s.bad = true
	}
	return int32(v)
}

// boolean consumes a scalar, quoted or not; anything but true is false.
func (s *scanner) boolean() bool {
	text, _ := s.scalar()
	return isTrue(text)
}

// end reports whether the whole text was consumed without a fault.
func (s *scanner) end() bool {
	return !s.bad && s.peek() == 0 && s.i == len(s.b)
}

// Unescape appends text, the inside of a JSON string, to dst with its escapes resolved and returns the extended slice.
// The result is never longer than text. Halves of surrogate pairs become U+FFFD; what is not an escape is kept as it is.
func Unescape(dst, text []byte) []byte {
	for {
		plain := bytes.IndexByte(text, '\\')
		if plain < 0 {
			return append(dst, text...)
		}
		dst, text = append(dst, text[:plain]...), text[plain:]
		n := escapeBytes(text)
		switch {
		case n == 0:
			dst, n = append(dst, '\\'), 1
		case n == 2:
			dst = append(dst, unescaped(text[1]))
		default:
			r := rune(hex4(text[2:]))
			if utf16.IsSurrogate(r) {
				low := rune(-1)
				if len(text) > 6 && text[6] == '\\' && escapeBytes(text[6:]) == 6 {
					low = rune(hex4(text[8:]))
				}
				if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
					n = 12
				}
			}
			dst = utf8.AppendRune(dst, r)
		}
		text = text[n:]
	}
}

func unescaped(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return c
}

// hex4 returns the value of the four hexadecimal digits at the front of b, or -1. b has at least four bytes.
func hex4(b []byte) int {
	v := 0
	for _, c := range b[:4] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return -1
		}
		v = v<<4 | int(c)
	}
	return v
}

// atoi reads a decimal int64 as Java's Long.parseLong does: an optional sign and digits, nothing else.
func atoi(b []byte) (int64, bool) {
	neg := false
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		neg = b[0] == '-'
		b = b[1:]
	}
	if len(b) == 0 || len(b) > 19 {
		return 0, false
	}
	var v uint64
	for _, c := range b {
		if c -= '0'; c > 9 {
			return 0, false
		}
		v = v*10 + uint64(c)
	}
	if neg {
		return -int64(v), v <= 1<<63
	}
	return int64(v), v < 1<<63
}

// isTrue reads a boolean as Java's Boolean.parseBoolean does: "true" in any case, everything else is false.
func isTrue(b []byte) bool {
	return len(b) == 4 && b[0]|0x20 == 't' && b[1]|0x20 == 'r' && b[2]|0x20 == 'u' && b[3]|0x20 == 'e'
}

// appendQuoted appends text as a JSON string. Bytes from 0x20 on are kept as they are, whether or not they are UTF-8.
func appendQuoted[T string | []byte](dst []byte, text T) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, text[start:i]...)
		if start = i + 1; c >= 0x20 {
			dst = append(dst, '\\', c)
			continue
		}
		const digits = "0123456789abcdef"
		dst = append(dst, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
	}
	dst = append(dst, text[start:]...)
	return append(dst, '"')
}

// be16 and be32 read lengths of the binary form; ok is false when b is too short or the length is negative.
func be16(b []byte) (v int, ok bool) {
	if len(b) < 2 {
		return 0, false
	}
	v = int(int16(binary.BigEndian.Uint16(b)))
	return v, v >= 0
}

func be32(b []byte) (v int, ok bool) {
	if len(b) < 4 {
		return 0, false
	}
	v = int(int32(binary.BigEndian.Uint32(b)))
	return v, v >= 0
}
