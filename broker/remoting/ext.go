package remoting

// Ext is the header fields of a frame in the order of the wire: a view of bytes that Decode has checked. The zero Ext
// has no fields. A key that occurs twice counts with its last value.
type Ext struct {
	raw  []byte // JSON: the members of the object, without its braces; binary: the entries
	form Form
}

// Field is one header field. Key and Value alias the frame.
type Field struct {
	Key     []byte
	Value   []byte // the text of the value; numbers and booleans of lax clients as they stand
	Escaped bool   // Value holds JSON escapes: Unescape resolves them
}

// Text returns f's value without escapes; it allocates only when there are some.
func (f *Field) Text() []byte {
	if f.Escaped {
		return Unescape(nil, f.Value)
	}
	return f.Value
}

// Next returns the first field of e and the fields behind it; ok is false when none is left. Fields that are null in
// JSON are passed over. It never allocates but for a key with escapes, which no client writes.
func (e Ext) Next() (f Field, rest Ext, ok bool) {
	c := e.walk()
	if !c.next(&f) {
		return Field{}, Ext{}, false
	}
	return f, Ext{raw: c.b[c.i:], form: e.form}, true
}

// cursor walks the fields of an Ext: what Next does, without copying its state for each field (1.6x on the header of a
// send). It relies on Decode's check of the text, yet stays within bounds whatever the bytes are.
type cursor struct {
	b    []byte
	i    int // 0 <= i <= len(b)
	form Form
}

func (e Ext) walk() cursor { return cursor{b: e.raw, form: e.form} }

// next overwrites f with the next field and reports whether there was one.
func (c *cursor) next(f *Field) bool {
	if c.form == Binary {
		return c.nextBinary(f)
	}
	for {
		key := past(c.b, c.i, '"')
		end, escaped := closing(c.b, key)
		if end >= len(c.b) {
			return false
		}
		f.Key = c.b[key:end:end]
		if escaped {
			f.Key = Unescape(nil, f.Key)
		}
		c.i = past(c.b, end, ':')
		if c.value(f); f.Value != nil {
			return true
		}
	}
}

// value takes the scalar at c.i; that of null is nil.
func (c *cursor) value(f *Field) {
	b, i := c.b, c.i
	for i < len(b) && isSpace(b[i]) {
		i++
	}
	start := i
	if i < len(b) && b[i] == '"' {
		start++
		if i, f.Escaped = closing(b, start); i < len(b) {
			f.Value, c.i = b[start:i:i], i+1
			return
		}
	}
	for i < len(b) && b[i] != ',' && !isSpace(b[i]) {
		i++
	}
	f.Value, f.Escaped, c.i = b[start:i:i], false, i
	if start == i || string(f.Value) == "null" {
		f.Value = nil
	}
}

func (c *cursor) nextBinary(f *Field) bool {
	b := c.b[c.i:]
	n, ok := be16(b)
	if !ok || len(b)-2 < n {
		return false
	}
	f.Key, b = b[2:2+n:2+n], b[2+n:]
	m, ok := be32(b)
	if !ok || len(b)-4 < m {
		return false
	}
	f.Value, f.Escaped = b[4:4+m:4+m], false
	c.i += 6 + n + m
	return true
}

// past returns the position behind the first c at or behind i, or len(b).
func past(b []byte, i int, c byte) int {
	for i < len(b) {
		if i++; b[i-1] == c {
			return i
		}
	}
	return i
}

// closing returns the position of the quote that closes the string whose inside begins at i, or len(b).
func closing(b []byte, i int) (end int, escaped bool) {
	for ; i < len(b); i++ {
		switch b[i] {
		case '"':
			return i, escaped
		case '\\':
			escaped = true
			i++
		}
	}
	return len(b), escaped
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// Get returns the value of the field with that key, and whether there is one. It walks the fields; it allocates only
// for a value with escapes.
func (e Ext) Get(key string) (value []byte, ok bool) {
	var last Field
	var f Field
	for c := e.walk(); c.next(&f); {
		if string(f.Key) == key {
			last, ok = f, true
		}
	}
	return last.Text(), ok
}

// NewExt returns header fields made of key, value, key, value and so on, for requests without a header struct; typed headers
// have their own Append.
func NewExt(pairs ...string) Ext {
	w := Writer{form: Binary}
	for i := 0; i+1 < len(pairs); i += 2 {
		w.field(&Field{Key: []byte(pairs[i]), Value: []byte(pairs[i+1])})
	}
	return Ext{raw: w.b, form: Binary}
}

// decodeJSON fills f from a JSON header. Unknown members are passed over.
func (f *Frame) decodeJSON(b []byte) error {
	s := scanner{b: b}
	if !s.take('{') {
		return ErrHeader
	}
	for more := s.peek() != '}'; more && !s.bad; {
		key, _ := s.quoted()
		if !s.take(':') {
			break
		}
		f.member(&s, key)
		if more = s.peek() == ','; more {
			s.i++
		}
	}
	if !s.take('}') || !s.end() {
		return ErrHeader
	}
	return nil
}

// member consumes the value of one member of a JSON header.
func (f *Frame) member(s *scanner, key []byte) {
	switch string(key) {
	case "code":
		f.Code = s.int32()
	case "opaque":
		f.Opaque = s.int32()
	case "flag":
		f.Flag = s.int32()
	case "version":
		v := s.int32()
		if f.Version = int16(v); int32(f.Version) != v {
			s.bad = true
		}
	case "language":
		word, _ := s.scalar()
		f.Language = languageOf(word)
	case "remark":
		text, escaped := s.scalar()
		if escaped {
			text = Unescape(nil, text)
		}
		f.Remark = text
	case "extFields":
		f.Ext = s.ext()
	default:
		s.skip(0)
	}
}

// ext consumes the object of the header fields, checks it whole and returns a view of it.
func (s *scanner) ext() Ext {
	if s.null() || !s.take('{') {
		return Ext{}
	}
	start := s.i
	for more := s.peek() != '}'; more && !s.bad; {
		s.quoted()
		s.take(':')
		s.scalar()
		if more = s.peek() == ','; more {
			s.i++
		}
	}
	if !s.take('}') {
		return Ext{}
	}
	return Ext{raw: s.b[start : s.i-1 : s.i-1], form: JSON}
}

// decodeBinary fills f from a header in binary form. Source: RocketMQSerializable.rocketMQProtocolDecode (RocketMQ 5.3.3).
func (f *Frame) decodeBinary(b []byte) error {
	if len(b) < binaryHeaderBytes {
		return ErrHeader
	}
	f.Code = int32(int16(be.Uint16(b)))
	f.Language = Language(b[2])
	f.Version = int16(be.Uint16(b[3:]))
	f.Opaque = int32(be.Uint32(b[5:]))
	f.Flag = int32(be.Uint32(b[9:]))
	n, ok := be32(b[13:])
	if !ok || n > len(b)-binaryHeaderBytes {
		return ErrHeader
	}
	f.Remark, b = b[17:17+n:17+n], b[17+n:]
	if n, ok = be32(b); !ok || n != len(b)-4 {
		return ErrHeader
	}
	if n == 0 {
		return nil
	}
	f.Ext = Ext{raw: b[4:], form: Binary}
	if !wholeFields(b[4:]) {
		return ErrHeader
	}
	return nil
}

// wholeFields reports whether b holds binary fields and nothing else. Its state is in registers: half the time of a walk
// with a cursor.
func wholeFields(b []byte) bool {
	for len(b) > 0 {
		n, ok := be16(b)
		if !ok || len(b)-6 < n {
			return false
		}
		m, ok := be32(b[2+n:])
		if !ok || len(b)-6-n < m {
			return false
		}
		b = b[6+n+m:]
	}
	return true
}
