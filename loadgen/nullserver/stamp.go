package nullserver

import (
	"bytes"
	"encoding/binary"
	"strconv"

	"holdfast/broker/remoting"
)

// stamp is the reply to a send but for what differs between replies, which has a fixed width: request id, queue, offset.
// With whole frames decoded and built, the server took more time than the generator that it is to measure.
type stamp struct {
	form                        remoting.Form
	reply                       []byte
	opaqueAt, queueAt, offsetAt int
}

// What stands in a stamp where a reply's own values go. Offsets have 19 digits: they count from offsetBase.
const (
	markOpaque = 1999999999
	markQueue  = 7
	offsetBase = 1_000_000_000_000_000_000
	markOffset = offsetBase + 123456789
)

var stamps = [...]stamp{remoting.JSON: newStamp(remoting.JSON), remoting.Binary: newStamp(remoting.Binary)}

func newStamp(form remoting.Form) stamp {
	s := stamp{form: form, reply: remoting.AppendSendReply(nil, form, remoting.ResponseSuccess, markOpaque, &remoting.SendReply{
		MsgID: messageID, QueueID: markQueue, QueueOffset: markOffset,
	})}
	s.offsetAt = bytes.Index(s.reply, strconv.AppendInt(nil, markOffset, 10))
	if form == remoting.Binary {
		s.opaqueAt = bytes.Index(s.reply, binary.BigEndian.AppendUint32(nil, markOpaque))
		s.queueAt = bytes.Index(s.reply, []byte("queueId\x00\x00\x00\x017")) + len("queueId") + 4
		return s
	}
	s.opaqueAt = bytes.Index(s.reply, strconv.AppendInt(nil, markOpaque, 10))
	s.queueAt = bytes.Index(s.reply, []byte(`"queueId":"7"`)) + len(`"queueId":"`)
	return s
}

// Where a SEND_MESSAGE_V2 of this project's own client has what a reply must echo.
var (
	jsonCode    = []byte(`"code":310,`)
	jsonOpaque  = []byte(`"opaque":`)
	jsonQueue   = []byte(`"e":"`)
	binaryQueue = []byte("\x00\x01e\x00\x00\x00\x01")
)

// opaqueDigits is the width of the request ids of this project's own client.
const opaqueDigits = 10

// append appends the reply to a send, if frame is one that can be stamped.
func (s *stamp) append(out, frame []byte, offset int64) ([]byte, bool) {
	header := frame[8 : 8+int(binary.BigEndian.Uint32(frame[4:])&0xFFFFFF)]
	opaque, queue := header, header
	if s.form == remoting.Binary {
		at := bytes.Index(header, binaryQueue)
		if len(header) < 9 || binary.BigEndian.Uint16(header) != uint16(remoting.RequestSendMessageV2) || at < 0 {
			return out, false
		}
		opaque, queue = header[5:9], header[at+len(binaryQueue):]
	} else {
		code, id, at := bytes.Index(header, jsonCode), bytes.Index(header, jsonOpaque), bytes.Index(header, jsonQueue)
		if code < 0 || id < 0 || at < 0 {
			return out, false
		}
		id, at = id+len(jsonOpaque), at+len(jsonQueue)
		if len(header) < id+opaqueDigits+1 || header[id+opaqueDigits] != ',' || len(header) < at+2 || header[at+1] != '"' {
			return out, false
		}
		opaque, queue = header[id:id+opaqueDigits], header[at:]
	}
	start := len(out)
	out = append(out, s.reply...)
	reply := out[start:]
	copy(reply[s.opaqueAt:], opaque)
	reply[s.queueAt] = queue[0]
	strconv.AppendInt(reply[s.offsetAt:s.offsetAt], offsetBase+offset, 10)
	return out, true
}
