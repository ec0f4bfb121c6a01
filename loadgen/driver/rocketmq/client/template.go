package client

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"time"

	"holdfast/broker/message"
	"holdfast/broker/remoting"
)

// template is the request frame of a send to one queue, but for what differs between messages: request id, time of birth,
// unique key, body. Those have a fixed width, so that a send is a copy and three patches. Built by the codec itself.
type template struct {
	head     []byte // frame without body
	opaqueAt int
	bornAt   int
	uniqueAt int
	group    int32
}

// What stands in a template where a message's own values go.
const (
	markOpaque = 1999999999
	markBorn   = 1234567890123
	markUnique = "FFFFFFFF00000000FFFFFFFF00000000"
	bornDigits = 13
)

// newTemplates returns the template of every queue number.
func newTemplates(cfg Config, each int32) []template {
	list := make([]template, cfg.Queues)
	for q := range list {
		group := min(int32(q)/each, int32(len(cfg.Groups))-1)
		list[q] = newTemplate(cfg, group, int32(q)-group*each)
	}
	return list
}

func newTemplate(cfg Config, group, queueID int32) template {
	props := message.AppendProperty(nil, "UNIQ_KEY", markUnique)
	props = message.AppendProperty(props, "WAIT", "true")
	header := remoting.SendHeader{
		ProducerGroup: []byte(cfg.ProducerGroup), Topic: []byte(cfg.Topic), DefaultTopic: []byte("TBW102"), DefaultTopicQueueNums: 4,
		QueueID: queueID, BornTimestamp: markBorn, Properties: props, MaxReconsumeTimes: remoting.NoLimit,
	}
	w := remoting.Begin(nil, &remoting.Frame{
		Code: remoting.RequestSendMessageV2, Opaque: markOpaque, Version: remoting.Version, Language: remoting.Go, Form: cfg.Form,
	})
	header.Append(&w, remoting.RequestSendMessageV2)
	head := w.FinishApart(0)
	t := template{
		head: head, group: group,
		bornAt:   bytes.Index(head, strconv.AppendInt(nil, markBorn, 10)),
		uniqueAt: bytes.Index(head, []byte(markUnique)),
	}
	if cfg.Form == remoting.Binary {
		t.opaqueAt = bytes.Index(head, binary.BigEndian.AppendUint32(nil, markOpaque))
	} else {
		t.opaqueAt = bytes.Index(head, strconv.AppendInt(nil, markOpaque, 10))
	}
	return t
}

// append appends the frame of one message to dst.
func (t *template) append(dst []byte, form remoting.Form, opaque int32, born *digits, run, value uint64, body []byte) []byte {
	start := len(dst)
	dst = append(dst, t.head...)
	frame := dst[start:]
	binary.BigEndian.PutUint32(frame, uint32(len(t.head)-4+len(body)))
	if form == remoting.Binary {
		binary.BigEndian.PutUint32(frame[t.opaqueAt:], uint32(opaque))
	} else {
		putDecimal(frame[t.opaqueAt:t.opaqueAt+10], uint64(opaque))
	}
	copy(frame[t.bornAt:], born.text[:])
	putHex(frame[t.uniqueAt:t.uniqueAt+16], run)
	putHex(frame[t.uniqueAt+16:t.uniqueAt+32], value)
	return append(dst, body...)
}

// digits is the decimal text of a time in ms, formatted anew only when it changes.
type digits struct {
	ms   int64
	text [bornDigits]byte
}

// at makes d the text of the wall time at instant now.
func (d *digits) at(wallMS int64, now time.Duration) {
	if ms := wallMS + int64(now/time.Millisecond); ms != d.ms {
		d.ms = ms
		putDecimal(d.text[:], uint64(ms))
	}
}

// putDecimal fills b with the decimal digits of v, leading zeroes included.
func putDecimal(b []byte, v uint64) {
	for i := len(b) - 1; i >= 0; i-- {
		b[i] = byte('0' + v%10)
		v /= 10
	}
}

// putHex fills b with the upper-case hexadecimal digits of v, leading zeroes included.
func putHex(b []byte, v uint64) {
	for i := len(b) - 1; i >= 0; i-- {
		b[i] = "0123456789ABCDEF"[v&15]
		v >>= 4
	}
}
