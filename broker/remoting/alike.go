package remoting

import "slices"

// Reader decodes the frames of one peer, and with them the header that most of them have. A peer writes its headers alike: only a few values
// differ. The reader learns from headers that it decodes whole which values these are; a header that has the same bytes around them is taken
// by comparing. What it returns is what Decode and the header's own parser return. It is used by one goroutine.
type Reader[H any] struct {
	kind   *headerKind[H]
	like   *pattern[H] // nil: nothing was learned
	header []byte      // of the last frame that was decoded whole
	values []Field     // scratch
	fields parser      // scratch
	misses int         // headers of the kind that were decoded whole
}

// headerKind is what a Reader knows of its header.
type headerKind[H any] struct {
	parse func(code int32, e Ext, h *H, scratch []byte) ([]byte, error)
	take  func(code int32, h *H, p *parser, f *Field) // one field
}

var (
	sendKind      = headerKind[SendHeader]{ParseSend, func(code int32, h *SendHeader, p *parser, f *Field) { h.take(code, p, f) }}
	sendReplyKind = headerKind[SendReply]{
		func(_ int32, e Ext, r *SendReply, scratch []byte) ([]byte, error) {
			return scratch, ParseSendReply(e, r)
		},
		func(_ int32, r *SendReply, p *parser, f *Field) { r.take(p, f) },
	}
)

// NewSendReader returns a reader of what a client sends.
func NewSendReader() Reader[SendHeader] { return Reader[SendHeader]{kind: &sendKind} }

// NewSendReplyReader returns a reader of what a broker answers to sends.
func NewSendReplyReader() Reader[SendReply] { return Reader[SendReply]{kind: &sendReplyKind} }

// Decode reads the first frame in b into f, as the function Decode does. When alike is true the header was like those before and is in h, with
// texts as ParseSend leaves them in scratch or in memory of the reader's that is never written again. Else the header is Parse's to read.
func (r *Reader[H]) Decode(b []byte, f *Frame, h *H, scratch []byte) (n int, alike bool, rest []byte, err error) {
	form, header, body, err := split(b)
	if err != nil || header == nil {
		return 0, false, scratch, err
	}
	n = 8 + len(header) + len(body)
	if r.like != nil && form == JSON {
		if scratch, alike = r.take(header, f, h, scratch); alike {
			f.Body = body
			return n, true, scratch, nil
		}
	}
	*f = Frame{Form: form, Body: body}
	if err = f.decode(header); err != nil {
		return 0, false, scratch, err
	}
	r.header = header
	return n, false, scratch, nil
}

// Parse reads the header of the frame that Decode has just returned into h, and learns from it. scratch and error are those of ParseSend.
func (r *Reader[H]) Parse(f *Frame, h *H, scratch []byte) ([]byte, error) {
	scratch, err := r.kind.parse(f.Code, f.Ext, h, scratch)
	if err == nil && f.Form == JSON {
		r.learn()
	}
	return scratch, err
}

// What is learned has limits: a connection must not hold much, nor learn for ever from headers that are never alike.
const (
	likeBytesMax  = 1 << 10
	likeFieldsMax = 32
	eagerMisses   = 8 // then each time that the misses have doubled
)

// learn makes the last header the pattern. The values that vary are those that did, and those that differ from the last pattern's.
func (r *Reader[H]) learn() {
	r.misses++
	if r.misses > eagerMisses && r.misses&(r.misses-1) != 0 || len(r.header) > likeBytesMax {
		return
	}
	p := &pattern[H]{text: slices.Clone(r.header)}
	if p.frame.decode(p.text) != nil || !p.locate() {
		return
	}
	if _, err := r.kind.parse(p.frame.Code, p.frame.Ext, &p.head, nil); err != nil {
		return
	}
	p.vary(r.like)
	r.like = p
}

// take fills f and h from a header that is like the pattern.
func (r *Reader[H]) take(header []byte, f *Frame, h *H, scratch []byte) (rest []byte, ok bool) {
	p := r.like
	var opaque int32
	var ext []byte
	if opaque, ext, r.values, ok = p.match(header, r.values[:0]); !ok {
		return scratch, false
	}
	*f, *h = p.frame, p.head
	f.Opaque, f.Ext.raw = opaque, ext
	r.fields = parser{scratch: scratch}
	for i := range r.values {
		r.kind.take(f.Code, h, &r.fields, &r.values[i])
	}
	return r.fields.scratch, r.fields.bad == ""
}
