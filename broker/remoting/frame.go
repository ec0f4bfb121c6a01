package remoting

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// FrameBytesMax is the largest legal frame in bytes, its own length field included.
// Source: NettyDecoder, com.rocketmq.remoting.frameMaxLength (RocketMQ 5.3.3).
const FrameBytesMax = 16 << 20

// Version is the protocol version that this implementation reports, the ordinal of V4_9_4: it offers batches, the short
// send header and strict JSON, and keeps clients off the abilities of 5.x brokers.
const Version int16 = 401

var (
	// ErrFrameTooLong says that a frame is announced with more than FrameBytesMax bytes.
	ErrFrameTooLong = errors.New("remoting: frame too long")
	// ErrFrame says that the lengths or the header form at the front of a frame contradict themselves.
	ErrFrame = errors.New("remoting: malformed frame")
	// ErrHeader says that the header of a frame is neither legal JSON nor legal binary form.
	ErrHeader = errors.New("remoting: malformed header")
	// ErrField says that a header lacks a required field, or that a field does not have its type.
	ErrField = errors.New("remoting: missing or malformed header field")
	// ErrBody says that a body is not the JSON that its code asks for.
	ErrBody = errors.New("remoting: malformed body")
)

// Form is the way in which a header is written.
type Form uint8

const (
	// JSON is the default form of Apache's clients.
	JSON Form = 0
	// Binary is the form that RocketMQ calls ROCKETMQ.
	Binary Form = 1
)

// String returns the name that RocketMQ gives the form.
func (f Form) String() string {
	if f == Binary {
		return "ROCKETMQ"
	}
	return "JSON"
}

const (
	// FlagResponse marks a reply; its Code is a response code and its Opaque that of the request.
	FlagResponse int32 = 1
	// FlagOneway marks a request that must not be answered.
	FlagOneway int32 = 2
)

// Frame is one remoting command. All slices of a decoded frame alias the bytes it was decoded from.
type Frame struct {
	Code     int32 // request code, or response code when Flag has FlagResponse
	Opaque   int32 // request id, echoed by the reply
	Flag     int32
	Version  int16 // ordinal of the sender's MQVersion
	Language Language
	Form     Form
	Remark   []byte // text; empty when absent. Copied only when a JSON remark holds escapes
	Ext      Ext    // the header fields of the request or reply kind
	Body     []byte // empty when absent
}

// IsResponse reports whether f answers a request.
func (f *Frame) IsResponse() bool { return f.Flag&FlagResponse != 0 }

// IsOneway reports whether f is a request that must not be answered.
func (f *Frame) IsOneway() bool { return f.Flag&FlagOneway != 0 }

// Clone returns a copy of f that aliases nothing. f must be one that Decode has returned.
func (f *Frame) Clone() Frame {
	copied, _, err := Decode(Append(nil, f))
	if err != nil {
		panic("remoting: a decoded frame cannot be encoded: " + err.Error())
	}
	return copied
}

// CodeName returns RocketMQ's name of f's code.
func (f *Frame) CodeName() string {
	if f.IsResponse() {
		return ResponseName(f.Code)
	}
	return RequestName(f.Code)
}

// Decode reads the first frame in b and returns it with the n bytes that it takes. n = 0 without an error means that b
// does not hold a whole frame yet; FrameBytes tells how many bytes it needs. An error (ErrFrameTooLong, ErrFrame, ErrHeader)
// means that the stream is lost: the connection must be closed.
func Decode(b []byte) (f Frame, n int, err error) {
	form, header, body, err := split(b)
	if err != nil || header == nil {
		return Frame{}, 0, err
	}
	f.Form, f.Body = form, body
	if err = f.decode(header); err != nil {
		return Frame{}, 0, err
	}
	return f, 8 + len(header) + len(body), nil
}

// split returns the parts of the first frame in b; header is nil when b does not hold a whole frame.
func split(b []byte) (form Form, header, body []byte, err error) {
	size, err := FrameBytes(b)
	if err != nil || size == 0 || size > len(b) {
		return 0, nil, nil, err
	}
	head := binary.BigEndian.Uint32(b[4:])
	end := 8 + int(head&0xFFFFFF)
	return Form(head >> 24), b[8:end:end], b[end:size:size], nil
}

// decode fills f from a header in the form f.Form.
func (f *Frame) decode(header []byte) error {
	if f.Form == Binary {
		return f.decodeBinary(header)
	}
	return f.decodeJSON(header)
}

// FrameBytes returns the size in bytes of the frame at the front of b, its length field included, or 0 when b is too short
// to tell. It errs as early as the bytes allow, so that a reader never waits for, or allocates, what cannot be a frame.
func FrameBytes(b []byte) (int, error) {
	if len(b) < 4 {
		return 0, nil
	}
	total := binary.BigEndian.Uint32(b)
	if total > FrameBytesMax-4 {
		return 0, fmt.Errorf("%w: %d bytes announced, %d allowed", ErrFrameTooLong, uint64(total)+4, FrameBytesMax)
	}
	if total < 4 {
		return 0, fmt.Errorf("%w: length %d", ErrFrame, total)
	}
	if len(b) < 8 {
		return int(total) + 4, nil
	}
	head := binary.BigEndian.Uint32(b[4:])
	if form := head >> 24; form > uint32(Binary) {
		return 0, fmt.Errorf("%w: header form %d", ErrFrame, form)
	}
	if head&0xFFFFFF > total-4 {
		return 0, fmt.Errorf("%w: header of %d bytes in a frame of %d", ErrFrame, head&0xFFFFFF, total)
	}
	return int(total) + 4, nil
}

// Append appends f as a whole frame in the form f.Form and returns the extended slice. Ext may be in the other form.
// The frame must stay within FrameBytesMax.
func Append(dst []byte, f *Frame) []byte {
	w := Begin(dst, f)
	var field Field
	for c := f.Ext.walk(); c.next(&field); {
		w.field(&field)
	}
	return w.Finish(f.Body)
}
