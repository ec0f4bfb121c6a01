package remoting

import (
	"encoding/binary"
	"strconv"
)

var be = binary.BigEndian

// binaryHeaderBytes is the size of a binary header without remark and fields.
const binaryHeaderBytes = 21

// Writer builds one frame at the end of a buffer: Begin, fields, then one of the finishing calls, which patch the
// lengths. It does not allocate beyond growing the buffer. Between Begin and the end nobody else may append to the buffer.
type Writer struct {
	b      []byte
	start  int // of the frame in b
	fields int // of the length of the fields in b (binary), or count of fields (JSON)
	form   Form
}

// Begin starts a frame behind dst with the code, opaque, flag, version, language, form and remark of head; its Ext and
// Body are not looked at.
func Begin(dst []byte, head *Frame) Writer {
	w := Writer{b: dst, start: len(dst), form: head.Form}
	w.b = append(w.b, 0, 0, 0, 0, byte(head.Form), 0, 0, 0)
	if w.form == Binary {
		w.beginBinary(head)
	} else {
		w.beginJSON(head)
	}
	return w
}

func (w *Writer) beginBinary(head *Frame) {
	b := be.AppendUint16(w.b, uint16(head.Code))
	b = append(b, byte(head.Language))
	b = be.AppendUint16(b, uint16(head.Version))
	b = be.AppendUint32(b, uint32(head.Opaque))
	b = be.AppendUint32(b, uint32(head.Flag))
	b = be.AppendUint32(b, uint32(len(head.Remark)))
	b = append(b, head.Remark...)
	w.fields = len(b)
	w.b = append(b, 0, 0, 0, 0)
}

func (w *Writer) beginJSON(head *Frame) {
	b := append(w.b, `{"code":`...)
	b = strconv.AppendInt(b, int64(head.Code), 10)
	b = append(b, `,"flag":`...)
	b = strconv.AppendInt(b, int64(head.Flag), 10)
	b = append(b, `,"language":"`...)
	b = append(b, head.Language.String()...)
	b = append(b, `","opaque":`...)
	b = strconv.AppendInt(b, int64(head.Opaque), 10)
	if len(head.Remark) > 0 {
		b = append(b, `,"remark":`...)
		b = appendQuoted(b, head.Remark)
	}
	b = append(b, `,"serializeTypeCurrentRPC":"JSON","version":`...)
	b = strconv.AppendInt(b, int64(head.Version), 10)
	w.b = append(b, `,"extFields":{`...)
}

// key appends what stands before a value. In JSON, key must need no escapes.
func (w *Writer) key(key string) {
	if w.form == Binary {
		w.b = be.AppendUint16(w.b, uint16(len(key)))
		w.b = append(w.b, key...)
		return
	}
	if w.fields++; w.fields > 1 {
		w.b = append(w.b, ',')
	}
	w.b = append(w.b, '"')
	w.b = append(w.b, key...)
	w.b = append(w.b, '"', ':')
}

// Text appends a field; it is the caller's matter to leave out what is absent.
func (w *Writer) Text(key string, value []byte) {
	w.key(key)
	if w.form == Binary {
		w.b = be.AppendUint32(w.b, uint32(len(value)))
		w.b = append(w.b, value...)
		return
	}
	w.b = appendQuoted(w.b, value)
}

// String is Text for a string.
func (w *Writer) String(key, value string) {
	w.key(key)
	if w.form == Binary {
		w.b = be.AppendUint32(w.b, uint32(len(value)))
		w.b = append(w.b, value...)
		return
	}
	w.b = appendQuoted(w.b, value)
}

// OptionalText is Text, but leaves an empty value out.
func (w *Writer) OptionalText(key string, value []byte) {
	if len(value) > 0 {
		w.Text(key, value)
	}
}

// OptionalString is String, but leaves an empty value out.
func (w *Writer) OptionalString(key, value string) {
	if value != "" {
		w.String(key, value)
	}
}

// Int appends a field with a decimal number.
func (w *Writer) Int(key string, value int64) {
	w.key(key)
	if w.form == Binary {
		at := len(w.b)
		w.b = strconv.AppendInt(append(w.b, 0, 0, 0, 0), value, 10)
		be.PutUint32(w.b[at:], uint32(len(w.b)-at-4))
		return
	}
	w.b = append(strconv.AppendInt(append(w.b, '"'), value, 10), '"')
}

// Bool appends a field that is "true" or "false".
func (w *Writer) Bool(key string, value bool) {
	if value {
		w.String(key, "true")
	} else {
		w.String(key, "false")
	}
}

// Fields appends all fields of e.
func (w *Writer) Fields(e Ext) {
	var f Field
	for c := e.walk(); c.next(&f); {
		w.field(&f)
	}
}

// field appends a decoded field of either form.
func (w *Writer) field(f *Field) {
	value := f.Text()
	if w.form == Binary {
		w.b = be.AppendUint16(w.b, uint16(len(f.Key)))
		w.b = append(w.b, f.Key...)
		w.b = be.AppendUint32(w.b, uint32(len(value)))
		w.b = append(w.b, value...)
		return
	}
	if w.fields++; w.fields > 1 {
		w.b = append(w.b, ',')
	}
	w.b = appendQuoted(w.b, f.Key)
	w.b = append(w.b, ':')
	w.b = appendQuoted(w.b, value)
}

// Finish appends the body, which may be empty, completes the frame and returns the buffer.
func (w *Writer) Finish(body []byte) []byte {
	w.endHeader()
	w.b = append(w.b, body...)
	return w.patch(0)
}

// FinishApart completes a frame whose body of bodyBytes bytes is written by others right behind the returned buffer:
// for replies that carry ranges of the commit log.
func (w *Writer) FinishApart(bodyBytes int) []byte {
	w.endHeader()
	return w.patch(bodyBytes)
}

// FinishFunc is Finish for a body that appendTo appends to the buffer.
func (w *Writer) FinishFunc(appendTo func(dst []byte) []byte) []byte {
	w.endHeader()
	w.b = appendTo(w.b)
	return w.patch(0)
}

// endHeader closes the header and writes its length.
func (w *Writer) endHeader() {
	if w.form == Binary {
		be.PutUint32(w.b[w.fields:], uint32(len(w.b)-w.fields-4))
	} else {
		w.b = append(w.b, '}', '}')
	}
	headerBytes := len(w.b) - w.start - 8
	be.PutUint32(w.b[w.start+4:], uint32(w.form)<<24|uint32(headerBytes))
}

func (w *Writer) patch(apart int) []byte {
	be.PutUint32(w.b[w.start:], uint32(len(w.b)-w.start-4+apart))
	return w.b
}
