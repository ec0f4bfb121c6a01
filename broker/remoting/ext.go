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
	if e.form == Binary {
		return e.nextBinary()
	}
	s := scanner{b: e.raw}
	for s.peek() != 0 {
		if s.b[s.i] == ',' {
			s.i++
		}
		key, keyEscaped := s.quoted()
		s.take(':')
		value, escaped := s.scalar()
		if s.bad {
			return Field{}, Ext{}, false
		}
		if value == nil {
			continue
		}
		if keyEscaped {
			key = Unescape(nil, key)
		}
		return Field{Key: key, Value: value, Escaped: escaped}, Ext{raw: s.b[s.i:], form: JSON}, true
	}
	return Field{}, Ext{}, false
}

func (e Ext) nextBinary() (f Field, rest Ext, ok bool) {
	n, ok := be16(e.raw)
	if !ok || len(e.raw)-2 < n {
		return Field{}, Ext{}, false
	}
	key, b := e.raw[2:2+n:2+n], e.raw[2+n:]
	n, ok = be32(b)
	if !ok || len(b)-4 < n {
		return Field{}, Ext{}, false
	}
	return Field{Key: key, Value: b[4 : 4+n : 4+n]}, Ext{raw: b[4+n:], form: Binary}, true
}

// Get returns the value of the field with that key, and whether there is one. It walks the fields; it allocates only
// for a value with escapes.
func (e Ext) Get(key string) (value []byte, ok bool) {
	var last Field
	for f, rest, more := e.Next(); more; f, rest, more = rest.Next() {
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
	for rest := f.Ext; len(rest.raw) > 0; {
		if _, rest, ok = rest.Next(); !ok {
			return ErrHeader
		}
	}
	return nil
}
