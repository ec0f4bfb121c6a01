package remoting

import "bytes"

// pattern is a JSON header that was decoded whole, with the values in it that vary.
type pattern[H any] struct {
	text  []byte
	frame Frame
	head  H
	ext   [2]int // where the fields begin and end in text
	slots []slot // the opaque and every field, in the order of text
	parts []part // what is compared
	tail  []byte // what stands behind the last value that varies

	opaqueBytes int
	opaqueFirst bool // it stands before the fields
}

// part is a value that varies and what stands between it and the one before.
type part struct {
	front []byte
	key   []byte // as in slot
}

// slot is a value in the text of a pattern.
type slot struct {
	start, end int    // without quotes
	key        []byte // nil: the opaque
	varies     bool
}

// locate finds the values in the text, which decode has accepted. It returns false for what no peer writes, and what a walk over some of
// the values would take otherwise than one over all: keys that are there twice or have escapes, an opaque that is no plain number.
func (p *pattern[H]) locate() bool {
	s := scanner{b: p.text, i: 1}
	opaques, exts := 0, 0
	for more := true; more; s.i++ {
		key, escaped := s.quoted()
		s.take(':')
		s.peek()
		switch start := s.i; string(key) {
		case "opaque":
			opaques++
			p.opaqueBytes, p.opaqueFirst = len(s.token()), exts == 0
			p.slots = append(p.slots, slot{start: start, end: s.i, varies: true})
		case "extFields":
			exts++
			if s.peek() != '{' || !p.locateFields(&s) {
				return false
			}
		default:
			s.skip(0)
		}
		if more = s.peek() == ','; escaped || s.bad {
			return false
		}
	}
	return opaques == 1 && exts == 1 && len(p.slots) <= likeFieldsMax
}

// locateFields does it for the fields, the next value of s.
func (p *pattern[H]) locateFields(s *scanner) bool {
	s.i++
	p.ext[0] = s.i
	if s.peek() == '}' {
		return false
	}
	first := len(p.slots)
	for more := true; more; {
		key, escaped := s.quoted()
		s.take(':')
		text := s.peek() == '"'
		start := s.i
		s.scalar()
		for _, before := range p.slots[first:] {
			escaped = escaped || bytes.Equal(before.key, key)
		}
		if escaped || s.bad || !text {
			return false
		}
		p.slots = append(p.slots, slot{start: start + 1, end: s.i - 1, key: key})
		if more = s.peek() == ','; more {
			s.i++
		}
	}
	p.ext[1] = s.i
	s.i++
	return true
}

// vary says which values vary, from the pattern before, which may be nil, and takes the text apart around them.
func (p *pattern[H]) vary(before *pattern[H]) {
	if before != nil && len(before.slots) == len(p.slots) {
		for i := range p.slots {
			s, b := &p.slots[i], &before.slots[i]
			if !bytes.Equal(s.key, b.key) {
				break
			}
			s.varies = s.varies || b.varies || !bytes.Equal(p.text[s.start:s.end], before.text[b.start:b.end])
		}
	}
	at := 0
	for _, s := range p.slots {
		if s.varies {
			p.parts = append(p.parts, part{front: p.text[at:s.start], key: s.key})
			at = s.end
		}
	}
	p.tail = p.text[at:]
}

// match finds in a header that is like the pattern what differs: the opaque, and the fields that vary, which it appends to values. ext is
// where the fields are.
func (p *pattern[H]) match(header []byte, values []Field) (opaque int32, ext []byte, _ []Field, ok bool) {
	i, begin, end := 0, p.ext[0], p.ext[1]+len(header)-len(p.text)
	for k := range p.parts {
		front := p.parts[k].front
		if !bytes.HasPrefix(header[i:], front) {
			return 0, nil, values, false
		}
		i += len(front)
		if key := p.parts[k].key; key != nil {
			close, escaped := quotedEnd(header, i)
			if close < 0 {
				return 0, nil, values, false
			}
			values = append(values, Field{Key: key, Value: header[i:close:close], Escaped: escaped})
			i = close
			continue
		}
		n := numeralBytes(header[i:])
		v, whole := atoi(header[i : i+n])
		if !whole || v != int64(int32(v)) {
			return 0, nil, values, false
		}
		if opaque, i = int32(v), i+n; p.opaqueFirst {
			begin += n - p.opaqueBytes
		} else {
			end -= n - p.opaqueBytes
		}
	}
	if !bytes.Equal(header[i:], p.tail) {
		return 0, nil, values, false
	}
	return opaque, header[begin:end:end], values, true
}

// numeralBytes returns the length of the number at the front of b.
func numeralBytes(b []byte) int {
	n := 0
	for n < len(b) && (b[n]-'0' <= 9 || n == 0 && b[0] == '-') {
		n++
	}
	return n
}

// quotedEnd returns the position of the quote that closes the string whose inside begins at i, or -1 when there is none or an escape is wrong.
// It is scanner.quoted for values, which are long: keys and numbers are found sooner byte by byte.
func quotedEnd(b []byte, i int) (end int, escaped bool) {
	for end = -1; ; {
		if end < i { // an escape ate the quote; else it is not looked for again, for there may be a million escapes before it
			n := bytes.IndexByte(b[i:], '"')
			if n < 0 {
				return -1, escaped
			}
			end = i + n
		}
		e := bytes.IndexByte(b[i:end], '\\')
		if e < 0 {
			return end, escaped
		}
		escaped = true
		size := escapeBytes(b[i+e:])
		if size == 0 {
			return -1, true
		}
		i += e + size
	}
}
