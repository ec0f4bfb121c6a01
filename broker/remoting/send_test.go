package remoting

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func drawText(t *rapid.T, name string) []byte {
	return rapid.SliceOfN(rapid.Byte(), 1, 30).Draw(t, name)
}

func drawSend(t *rapid.T) SendHeader {
	return SendHeader{
		ProducerGroup:         drawText(t, "group"),
		Topic:                 drawText(t, "topic"),
		DefaultTopic:          drawText(t, "default"),
		DefaultTopicQueueNums: rapid.Int32().Draw(t, "nums"),
		QueueID:               rapid.Int32().Draw(t, "queue"),
		SysFlag:               rapid.Int32().Draw(t, "sys"),
		BornTimestamp:         rapid.Int64().Draw(t, "born"),
		Flag:                  rapid.Int32().Draw(t, "flag"),
		Properties:            drawText(t, "properties"),
		ReconsumeTimes:        rapid.Int32().Draw(t, "reconsume"),
		UnitMode:              rapid.Bool().Draw(t, "unit"),
		MaxReconsumeTimes:     rapid.Int32Min(NoLimit).Draw(t, "max"),
		Batch:                 rapid.Bool().Draw(t, "batch"),
		BrokerName:            drawText(t, "broker"),
	}
}

func TestParseSendIsTheInverseOfAppend(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawSend(t)
		code := rapid.SampledFrom([]int32{RequestSendMessage, RequestSendMessageV2, RequestSendBatchMessage}).Draw(t, "code")
		w := Begin(nil, &Frame{Code: code, Form: Form(rapid.IntRange(0, 1).Draw(t, "form"))})
		want.Append(&w, code)
		f, _, err := Decode(w.Finish([]byte("body")))
		if err != nil || string(f.Body) != "body" {
			t.Fatal(err, f.Body)
		}
		var got SendHeader
		scratch, err := ParseSend(f.Code, f.Ext, &got, make([]byte, 0, 7))
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Fatal(err, diff)
		}
		// The next header of the burst leaves this one alone.
		var next SendHeader
		if _, err = ParseSend(f.Code, f.Ext, &next, scratch); err != nil || !cmp.Equal(want, got) || !cmp.Equal(want, next) {
			t.Fatal("second parse overwrote the first", err)
		}
	})
}

func TestParsePullIsTheInverseOfAppend(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := PullHeader{
			ConsumerGroup:    drawText(t, "group"),
			Topic:            drawText(t, "topic"),
			QueueID:          rapid.Int32().Draw(t, "queue"),
			QueueOffset:      rapid.Int64().Draw(t, "offset"),
			MaxMsgNums:       rapid.Int32().Draw(t, "nums"),
			SysFlag:          rapid.Int32().Draw(t, "sys"),
			CommitOffset:     rapid.Int64().Draw(t, "commit"),
			SuspendTimeoutMS: rapid.Int64().Draw(t, "suspend"),
			Subscription:     drawText(t, "subscription"),
			SubVersion:       rapid.Int64().Draw(t, "version"),
			ExpressionType:   drawText(t, "type"),
			MaxMsgBytes:      rapid.Int32Min(0).Draw(t, "bytes"),
		}
		w := Begin(nil, &Frame{Code: RequestPullMessage, Form: Form(rapid.IntRange(0, 1).Draw(t, "form"))})
		want.Append(&w)
		f, _, err := Decode(w.Finish(nil))
		if err != nil {
			t.Fatal(err)
		}
		var got PullHeader
		_, err = ParsePull(f.Ext, &got, nil)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Fatal(err, diff)
		}
	})
}

func TestRepliesReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		form, code, opaque := Form(rapid.IntRange(0, 1).Draw(t, "form")), int32(rapid.Int16().Draw(t, "code")), rapid.Int32().Draw(t, "opaque")
		sent := SendReply{drawText(t, "id"), rapid.Int32().Draw(t, "queue"), rapid.Int64().Draw(t, "offset"), drawText(t, "transaction")}
		f, n, err := Decode(AppendSendReply(nil, form, code, opaque, &sent))
		var gotSent SendReply
		if err != nil || n == 0 || ParseSendReply(f.Ext, &gotSent) != nil || !cmp.Equal(sent, gotSent) || f.Code != code || f.Opaque != opaque || !f.IsResponse() || f.Form != form {
			t.Fatalf("send reply: %v, %+v, %+v", err, gotSent, f)
		}
		pulled := PullReply{rapid.Int64().Draw(t, "suggest"), rapid.Int64().Draw(t, "next"), rapid.Int64().Draw(t, "min"), rapid.Int64().Draw(t, "max")}
		body := drawText(t, "body")
		f, n, err = Decode(append(AppendPullReply(nil, form, code, opaque, []byte("FOUND"), &pulled, len(body)), body...))
		var gotPulled PullReply
		if err != nil || n == 0 || ParsePullReply(f.Ext, &gotPulled) != nil || pulled != gotPulled || string(f.Body) != string(body) || string(f.Remark) != "FOUND" {
			t.Fatalf("pull reply: %v, %+v, %+v", err, gotPulled, f)
		}
		offset := rapid.Int64().Draw(t, "answer")
		f, _, _ = Decode(AppendOffsetReply(nil, form, opaque, offset))
		if got, err := ParseOffsetReply(f.Ext); got != offset || err != nil || f.Opaque != opaque {
			t.Fatalf("offset reply: %d, %v", got, err)
		}
	})
}

func TestMissingAndMalformedFieldsAreNamed(t *testing.T) {
	send := []string{"a", "g", "b", "t", "c", "TBW102", "d", "4", "e", "0", "f", "0", "g", "1", "h", "0"}
	var h SendHeader
	if _, err := ParseSend(RequestSendMessageV2, NewExt(send...), &h, nil); err != nil {
		t.Fatal(err)
	}
	if h.MaxReconsumeTimes != NoLimit {
		t.Errorf("absent MaxReconsumeTimes: %d", h.MaxReconsumeTimes)
	}
	for i := 0; i < len(send); i += 2 {
		less := append(append([]string(nil), send[:i]...), send[i+2:]...)
		if _, err := ParseSend(RequestSendMessageV2, NewExt(less...), &h, nil); !errors.Is(err, ErrField) || !strings.HasSuffix(err.Error(), ": "+send[i]) {
			t.Errorf("without %s: %v", send[i], err)
		}
	}
	for _, bad := range []string{"", "x", "2147483648", "-2147483649", "1.5", " 1", "99999999999999999999"} {
		if _, err := ParseSend(RequestSendMessageV2, NewExt(append(send, "e", bad)...), &h, nil); !errors.Is(err, ErrField) {
			t.Errorf("queue id %q: %v", bad, err)
		}
	}
	var p PullHeader
	if _, err := ParsePull(NewExt("topic", "t"), &p, nil); !errors.Is(err, ErrField) {
		t.Errorf("pull without fields: %v", err)
	}
	var r SendReply
	if err := ParseSendReply(Ext{}, &r); !errors.Is(err, ErrField) {
		t.Errorf("send reply without fields: %v", err)
	}
}

func TestNumbers(t *testing.T) {
	for text, want := range map[string]struct {
		v  int64
		ok bool
	}{
		"0": {0, true}, "-7": {-7, true}, "+7": {7, true}, "007": {7, true},
		"9223372036854775807": {math.MaxInt64, true}, "-9223372036854775808": {math.MinInt64, true},
		"9223372036854775808": {}, "-9223372036854775809": {}, "99999999999999999999": {}, "18446744073709551617": {},
		"": {}, "-": {}, "+": {}, "1 ": {}, "1a": {}, "--1": {}, "1.0": {}, "0x1": {},
	} {
		if v, ok := atoi([]byte(text)); ok != want.ok || ok && v != want.v {
			t.Errorf("%q: got %d, %v; want %d, %v", text, v, ok, want.v, want.ok)
		}
	}
	for text, want := range map[string]bool{"true": true, "TRUE": true, "tRuE": true, "false": false, "": false, "1": false, "trues": false, "tru": false, "yes!": false} {
		if got := isTrue([]byte(text)); got != want {
			t.Errorf("%q: got %v", text, got)
		}
	}
}

func TestAbsentFieldsStayAbsent(t *testing.T) {
	h := SendHeader{MaxReconsumeTimes: NoLimit}
	w := Begin(nil, &Frame{})
	h.Append(&w, RequestSendMessage)
	f, _, _ := Decode(w.Finish(nil))
	for _, key := range []string{"maxReconsumeTimes", "properties", "bname"} {
		if v, ok := f.Ext.Get(key); ok {
			t.Errorf("%s is %q", key, v)
		}
	}
	old := RegisterBrokerHeader{}
	w = Begin(nil, &Frame{})
	old.Append(&w)
	f, _, _ = Decode(w.Finish(nil))
	for _, key := range []string{"enableActingMaster", "heartbeatTimeoutMillis", "haServerAddr"} {
		if v, ok := f.Ext.Get(key); ok {
			t.Errorf("%s is %q", key, v)
		}
	}
}

func TestTextsCannotGrowIntoEachOther(t *testing.T) {
	for _, form := range []Form{JSON, Binary} {
		w := Begin(nil, &Frame{Form: form})
		h := SendHeader{ProducerGroup: []byte("g\n"), Topic: []byte("t\n"), DefaultTopic: []byte("d"), Properties: []byte("p\x01"), BrokerName: []byte("b")}
		h.Append(&w, RequestSendMessageV2)
		f, _, _ := Decode(w.Finish([]byte("body")))
		var got SendHeader
		if _, err := ParseSend(RequestSendMessageV2, f.Ext, &got, make([]byte, 0, 100)); err != nil {
			t.Fatal(err)
		}
		for i, text := range [][]byte{got.ProducerGroup, got.Topic, got.DefaultTopic, got.Properties, got.BrokerName, f.Body} {
			if cap(text) != len(text) {
				t.Errorf("%v: text %d, %q, has room for more", form, i, text)
			}
		}
	}
}

// exampleSend is a send as a producer of 1 KiB messages makes it.
func exampleSend(form Form, code int32) []byte {
	h := SendHeader{ProducerGroup: []byte("producers"), Topic: []byte("BenchmarkTest"), DefaultTopic: []byte("TBW102"), DefaultTopicQueueNums: 4,
		QueueID: 3, BornTimestamp: 1767225600000, Properties: []byte("UNIQ_KEY\x017F000001162418B4AAC2088D7A5A0001\x02WAIT\x01true\x02TAGS\x01TagA\x02"),
		MaxReconsumeTimes: NoLimit, BrokerName: []byte("broker-a")}
	w := Begin(nil, &Frame{Code: code, Language: Go, Version: Version, Opaque: 12345, Form: form})
	h.Append(&w, code)
	return w.Finish(make([]byte, 1024))
}

func TestHotPathsDoNotAllocate(t *testing.T) {
	scratch, out := make([]byte, 0, 4096), make([]byte, 0, 4096)
	reply := SendReply{MsgID: []byte("7F00000100002A9F0000000000000001"), QueueOffset: 99, TransactionID: []byte("7F000001162418B4AAC2088D7A5A0001")}
	check := func(name string, f func()) {
		t.Helper()
		if got := testing.AllocsPerRun(100, f); got != 0 {
			t.Errorf("%s: %v allocations", name, got)
		}
	}
	for _, form := range []Form{JSON, Binary} {
		send, sendReply := exampleSend(form, RequestSendMessageV2), AppendSendReply(nil, form, 0, 1, &reply)
		var h SendHeader
		var r SendReply
		check("read send "+form.String(), func() {
			f, _, _ := Decode(send)
			if _, err := ParseSend(f.Code, f.Ext, &h, scratch[:0]); err != nil {
				t.Fatal(err)
			}
		})
		check("write send "+form.String(), func() {
			w := Begin(out[:0], &Frame{Code: RequestSendMessageV2, Form: form})
			h.Append(&w, RequestSendMessageV2)
			w.Finish(nil)
		})
		check("write send reply "+form.String(), func() { AppendSendReply(out[:0], form, 0, 1, &reply) })
		check("read send reply "+form.String(), func() {
			f, _, _ := Decode(sendReply)
			if err := ParseSendReply(f.Ext, &r); err != nil {
				t.Fatal(err)
			}
		})
		pull := PullHeader{ConsumerGroup: []byte("g"), Topic: []byte("t"), Subscription: []byte("*")}
		w := Begin(nil, &Frame{Code: RequestPullMessage, Form: form})
		pull.Append(&w)
		pullFrame, found := w.Finish(nil), []byte("FOUND")
		check("write pull "+form.String(), func() {
			w := Begin(out[:0], &Frame{Code: RequestPullMessage, Form: form})
			pull.Append(&w)
			w.Finish(nil)
		})
		check("read pull "+form.String(), func() {
			f, _, _ := Decode(pullFrame)
			if _, err := ParsePull(f.Ext, &pull, scratch[:0]); err != nil {
				t.Fatal(err)
			}
		})
		pullReply := PullReply{NextBeginOffset: 5}
		pullReplyFrame := AppendPullReply(nil, form, 0, 1, found, &pullReply, 0)
		check("write pull reply "+form.String(), func() { AppendPullReply(out[:0], form, 0, 1, found, &pullReply, 0) })
		check("read pull reply "+form.String(), func() {
			f, _, _ := Decode(pullReplyFrame)
			if err := ParsePullReply(f.Ext, &pullReply); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func BenchmarkReadSend(b *testing.B) {
	for _, c := range []struct {
		name string
		form Form
		code int32
	}{{"long JSON", JSON, RequestSendMessage}, {"short JSON", JSON, RequestSendMessageV2}, {"short binary", Binary, RequestSendMessageV2}} {
		b.Run(c.name, func(b *testing.B) {
			frame, scratch := exampleSend(c.form, c.code), make([]byte, 0, 4096)
			var h SendHeader
			b.ReportAllocs()
			for b.Loop() {
				f, _, _ := Decode(frame)
				if _, err := ParseSend(f.Code, f.Ext, &h, scratch[:0]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkWriteSendReply(b *testing.B) {
	for _, form := range []Form{JSON, Binary} {
		b.Run(form.String(), func(b *testing.B) {
			out := make([]byte, 0, 4096)
			r := SendReply{MsgID: []byte("7F00000100002A9F0000000000000001"), QueueOffset: 99, TransactionID: []byte("7F000001162418B4AAC2088D7A5A0001")}
			b.ReportAllocs()
			for b.Loop() {
				AppendSendReply(out[:0], form, 0, 12345, &r)
			}
		})
	}
}

func BenchmarkReadSendReply(b *testing.B) {
	for _, form := range []Form{JSON, Binary} {
		b.Run(form.String(), func(b *testing.B) {
			r := SendReply{MsgID: []byte("7F00000100002A9F0000000000000001"), QueueOffset: 99, TransactionID: []byte("7F000001162418B4AAC2088D7A5A0001")}
			frame := AppendSendReply(nil, form, 0, 12345, &r)
			b.ReportAllocs()
			for b.Loop() {
				f, _, _ := Decode(frame)
				if err := ParseSendReply(f.Ext, &r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkWriteSend(b *testing.B) {
	for _, form := range []Form{JSON, Binary} {
		b.Run(form.String(), func(b *testing.B) {
			out := make([]byte, 0, 4096)
			f, _, _ := Decode(exampleSend(form, RequestSendMessageV2))
			var h SendHeader
			if _, err := ParseSend(f.Code, f.Ext, &h, nil); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				w := Begin(out[:0], &f)
				h.Append(&w, RequestSendMessageV2)
				w.Finish(f.Body)
			}
		})
	}
}

// FuzzHeaders holds every header parser against hostile fields: whatever parses, writes and parses to itself.
func FuzzHeaders(f *testing.F) {
	for _, form := range []Form{JSON, Binary} {
		f.Add(exampleSend(form, RequestSendMessage))
		f.Add(exampleSend(form, RequestSendMessageV2))
		w := Begin(nil, &Frame{Code: RequestPullMessage, Form: form})
		(&PullHeader{ConsumerGroup: []byte("g"), Topic: []byte("t")}).Append(&w)
		f.Add(w.Finish(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		in, n, err := Decode(b)
		if err != nil || n == 0 {
			return
		}
		if in.Code == RequestPullMessage {
			var h, again PullHeader
			if _, err := ParsePull(in.Ext, &h, nil); err != nil {
				return
			}
			w := Begin(nil, &in)
			h.Append(&w)
			out, _, err := Decode(w.Finish(nil))
			if err != nil {
				t.Fatal(err)
			}
			_, err = ParsePull(out.Ext, &again, nil)
			h.MaxMsgBytes = max(h.MaxMsgBytes, 0)
			if diff := cmp.Diff(h, again, emptyIsNil); diff != "" || err != nil {
				t.Fatal(err, diff)
			}
			return
		}
		var h, again SendHeader
		if _, err := ParseSend(in.Code, in.Ext, &h, nil); err != nil {
			return
		}
		w := Begin(nil, &in)
		h.Append(&w, in.Code)
		out, _, err := Decode(w.Finish(nil))
		if err != nil {
			t.Fatal(err)
		}
		_, err = ParseSend(in.Code, out.Ext, &again, nil)
		if diff := cmp.Diff(h, again, emptyIsNil); diff != "" || err != nil {
			t.Fatal(err, diff)
		}
	})
}

// emptyIsNil compares texts by their bytes alone.
var emptyIsNil = cmp.Comparer(func(a, b []byte) bool { return string(a) == string(b) })

// TestStoredReplyIsTheCodecs: the reply that is filled in is the one that is written field by field.
func TestStoredReplyIsTheCodecs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := SendReply{MsgID: drawText(t, "id"), QueueID: rapid.Int32().Draw(t, "queue"),
			QueueOffset: rapid.Int64().Draw(t, "offset"), TransactionID: rapid.SliceOfN(rapid.Byte(), 1, 40).Draw(t, "transaction")}
		opaque := rapid.Int32().Draw(t, "opaque")
		got := AppendSendReply([]byte("before"), JSON, ResponseSuccess, opaque, &r)
		if want := appendSendReply([]byte("before"), JSON, ResponseSuccess, opaque, &r); string(got) != string(want) {
			t.Fatalf("got %q, want %q", got, want)
		}
	})
}
