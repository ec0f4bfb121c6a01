package remoting

import "fmt"

// parser collects what the fields of one hot header say, in one walk over them.
type parser struct {
	scratch []byte // texts whose escapes were resolved
	seen    uint32 // bit i: the i-th required field was there
	bad     string // key of the first field that does not have its type
}

// text returns the text of f, in scratch if it has escapes.
func (p *parser) text(f *Field) []byte {
	if !f.Escaped {
		return f.Value
	}
	start := len(p.scratch)
	p.scratch = Unescape(p.scratch, f.Value)
	return p.scratch[start:len(p.scratch):len(p.scratch)]
}

func (p *parser) integer(f *Field) int64 {
	v, ok := atoi(f.Value)
	if !ok && p.bad == "" {
		p.bad = string(f.Key)
	}
	return v
}

func (p *parser) int32(f *Field) int32 {
	v := p.integer(f)
	if v != int64(int32(v)) && p.bad == "" {
		p.bad = string(f.Key)
	}
	return int32(v)
}

// done names the first bad or missing field. required[i] is the field of bit i of seen.
func (p *parser) done(required []string) error {
	if p.bad != "" {
		return fmt.Errorf("%w: %s", ErrField, p.bad)
	}
	if p.seen == 1<<len(required)-1 {
		return nil
	}
	for i, name := range required {
		if p.seen>>i&1 == 0 {
			return fmt.Errorf("%w: %s", ErrField, name)
		}
	}
	return nil
}

// reader looks the fields of a rare header up by their names; err is its first fault.
type reader struct {
	ext Ext
	err error
}

func (r *reader) fail(key string) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: %s", ErrField, key)
	}
}

// text returns a required text.
func (r *reader) text(key string) []byte {
	v, ok := r.ext.Get(key)
	if !ok {
		r.fail(key)
	}
	return v
}

// str returns a required text of its own.
func (r *reader) str(key string) string { return string(r.text(key)) }

// optional returns the text of key, or "".
func (r *reader) optional(key string) string {
	v, _ := r.ext.Get(key)
	return string(v)
}

// integer returns a required number.
func (r *reader) integer(key string) int64 {
	v, ok := r.ext.Get(key)
	if !ok {
		r.fail(key)
		return 0
	}
	n, ok := atoi(v)
	if !ok {
		r.fail(key)
	}
	return n
}

// optionalInteger returns the number of key, or absent.
func (r *reader) optionalInteger(key string, absent int64) int64 {
	if v, ok := r.ext.Get(key); !ok || len(v) == 0 {
		return absent
	}
	return r.integer(key)
}

func (r *reader) int32(key string) int32 {
	v := r.integer(key)
	if v != int64(int32(v)) {
		r.fail(key)
	}
	return int32(v)
}

func (r *reader) optionalInt32(key string, absent int32) int32 {
	v := r.optionalInteger(key, int64(absent))
	if v != int64(int32(v)) {
		r.fail(key)
	}
	return int32(v)
}

// boolean returns the value of key, or absent.
func (r *reader) boolean(key string, absent bool) bool {
	v, ok := r.ext.Get(key)
	if !ok {
		return absent
	}
	return isTrue(v)
}
