package remoting

import "strconv"

// object appends a JSON object member by member, without white space.
type object struct {
	b []byte
	n int
}

func beginObject(dst []byte) object { return object{b: append(dst, '{')} }

func (o *object) end() []byte { return append(o.b, '}') }

// name appends the comma and the quoted key of the next member.
func (o *object) name(key string) {
	if o.n++; o.n > 1 {
		o.b = append(o.b, ',')
	}
	o.b = append(appendQuoted(o.b, key), ':')
}

func (o *object) str(key, value string) {
	o.name(key)
	o.b = appendQuoted(o.b, value)
}

func (o *object) integer(key string, value int64) {
	o.name(key)
	o.b = strconv.AppendInt(o.b, value, 10)
}

// thousandths appends a member that is value/1000 with three decimals.
func (o *object) thousandths(key string, value int64) {
	o.name(key)
	o.b = appendThousandths(o.b, value)
}

func appendThousandths(dst []byte, value int64) []byte {
	dst = append(strconv.AppendInt(dst, value/1000, 10), '.')
	return append(dst, byte('0'+value/100%10), byte('0'+value/10%10), byte('0'+value%10))
}

func (o *object) boolean(key string, value bool) {
	o.name(key)
	o.b = strconv.AppendBool(o.b, value)
}

// with appends a member whose value appendTo appends.
func (o *object) with(key string, appendTo func(dst []byte) []byte) {
	o.name(key)
	o.b = appendTo(o.b)
}

// appendList appends a JSON array of items.
func appendList[T any](dst []byte, items []T, appendItem func(dst []byte, item T) []byte) []byte {
	dst = append(dst, '[')
	for i, item := range items {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendItem(dst, item)
	}
	return append(dst, ']')
}

func appendStrings(dst []byte, items []string) []byte {
	return appendList(dst, items, appendQuoted[string])
}

// strs consumes an array of strings.
func (s *scanner) strs() (items []string) {
	s.array(func() { items = append(items, s.str()) })
	return items
}

// parseBody walks the object that body is; each consumes the value of its member, an unknown one by skip.
// It returns ErrBody unless all of body is one object.
func parseBody(body []byte, each func(s *scanner, key string)) error {
	s := scanner{b: body}
	s.members(each)
	if !s.end() {
		return ErrBody
	}
	return nil
}

// members is object with the scanner and the key as text handed to each.
func (s *scanner) members(each func(s *scanner, key string)) {
	s.object(func(key []byte) { each(s, string(key)) })
}
