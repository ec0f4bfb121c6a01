package remoting

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// readBoth decodes b with r and without, and holds the two against each other. It returns whether r took the frame by comparing.
func readBoth[H any](t interface{ Fatalf(string, ...any) }, r *Reader[H], b []byte) (alike bool) {
	var want, got H
	frame, n, err := Decode(b)
	var f Frame
	m, alike, scratch, rerr := r.Decode(b, &f, &got, nil)
	if m != n || (rerr == nil) != (err == nil) {
		t.Fatalf("%q: %d bytes, %v; want %d, %v", b, m, rerr, n, err)
	}
	if err != nil || n == 0 {
		return false
	}
	if diff := cmp.Diff(plainOf(&frame), plainOf(&f)); diff != "" || f.Form != frame.Form {
		t.Fatalf("%q: %s", b, diff)
	}
	if string(Append(nil, &f)) != string(Append(nil, &frame)) {
		t.Fatalf("%q: fields %q, want %q", b, f.Ext.raw, frame.Ext.raw)
	}
	_, err = r.kind.parse(frame.Code, frame.Ext, &want, nil)
	if !alike {
		_, rerr = r.Parse(&f, &got, scratch)
	}
	if (rerr == nil) != (err == nil) {
		t.Fatalf("%q: %v, want %v", b, rerr, err)
	}
	if diff := cmp.Diff(want, got, emptyIsNil); err == nil && diff != "" {
		t.Fatalf("%q: alike %v: %s", b, alike, diff)
	}
	return alike
}

// drawHeader draws a JSON header of a send as a peer might write it: order, white space, values with escapes, what is absent or there twice.
func drawHeader(t *rapid.T, layout []string) string {
	for i, member := range layout {
		good, odd := []string{"0", "1", "-1", "42", "99", "2147483647"}, []string{"+3", "007", "0000000000000000042", "2147483648", "x", "null", `"7"`, "1e3", "--1", ""}
		switch member {
		case "$t":
			good = []string{`""`, `"T"`, `"a\u0001b\u0002"`, `"a\\"`, `"\uD83D\uDE00"`, `"12"`, `"-7"`, `"5"`}
			odd = []string{`"\"}"`, `"\u12"`, `"\x"`, "null", "5", `"true"`, `"1,"`}
		case "$i":
			good = []string{`"0"`, `"12"`, `"-7"`, `"+5"`, `"1700000000000"`}
			odd = []string{`""`, "null", "5", `"1\u0030"`, `"x"`}
		case "$n":
		default:
			continue
		}
		if rapid.IntRange(0, 15).Draw(t, "odd") == 0 {
			good = odd
		}
		layout[i] = rapid.SampledFrom(good).Draw(t, member)
	}
	return strings.Join(layout, "")
}

func TestReaderReadsWhatDecodeReads(t *testing.T) {
	layouts := []string{
		`{"code":310 ,"flag":0,"language":"GO","opaque": $n ,"version":401,"extFields":{"a":"g","b": $t ,"c":"c","d":"4","e": $i ,"f":"0","g": $i ,"h":"0","i": $t } }`,
		`{"code":10 ,"extFields":{"topic": $t ,"producerGroup":"g","defaultTopic":"c","defaultTopicQueueNums":"4","queueId": $i ,"sysFlag":"0","bornTimestamp": $i ,"flag":"0"},"flag": $n ,"opaque": $n }`,
		`{"code":310 ,"extFields":{"a":"g","b":"t","c":"c","d":"4","e": $i ,"f":"0","g":"1","h":"0","i": $t ,"i":"z"},"opaque": $n }`,
		`{"code":310 ,"extFields":{"a":"g","b":"t","c":"c","d":"4","e":"1","f":"0","g":"1","h":"0","i": $t },"opaque": $n ,"opaque":3}`,
		`{"code":0 ,"opaque": $n ,"remark": $t ,"extFields":{"msgId": $t ,"queueId": $i ,"queueOffset": $i }}`,
	}
	took := 0
	rapid.Check(t, func(t *rapid.T) {
		send, reply := NewSendReader(), NewSendReplyReader()
		picked := rapid.SliceOfN(rapid.SampledFrom(layouts), 1, 2).Draw(t, "layouts")
		for range rapid.IntRange(1, 20).Draw(t, "headers") {
			header := drawHeader(t, strings.Split(rapid.SampledFrom(picked).Draw(t, "layout"), " "))
			b := append(frame(JSON, header), "behind"...)
			if readBoth(t, &send, b) {
				took++
			}
			if readBoth(t, &reply, b) {
				took++
			}
		}
	})
	if took == 0 {
		t.Error("no header was taken by comparing")
	}
}

// What the clients of the field write is taken by comparing from the third header on.
func TestReaderLearns(t *testing.T) {
	for name, header := range map[string]func(i int) string{
		"Java": func(i int) string {
			return fmt.Sprintf(`{"code":310,"extFields":{"a":"g","b":"T","c":"TBW102","d":"4","e":"%d","f":"0","g":"%d","h":"0","i":"UNIQ_KEY\u0001%X\u0002WAIT\u0001true","j":"0","k":"false","m":"false","n":"a"},"flag":0,"language":"JAVA","opaque":%d,"serializeTypeCurrentRPC":"JSON","version":401}`,
				i%4, 1700000000000+i, i*i, i)
		},
		"Go": func(i int) string {
			return fmt.Sprintf(`{"code":10,"language":"GO","version":317,"opaque":%d,"flag":0,"remark":"","extFields":{"bornTimestamp":"%d","producerGroup":"g","topic":"T","defaultTopic":"TBW102","defaultTopicQueueNums":"4","queueId":"%d","sysFlag":"0","flag":"0","properties":"%d"}}`,
				i, 1700000000000+i, i%4, i*i)
		},
	} {
		r := NewSendReader()
		for i := range 100 {
			if alike := readBoth(t, &r, frame(JSON, header(i))); alike != (i >= 2) {
				t.Errorf("%s, header %d: taken by comparing: %v", name, i, alike)
			}
		}
	}
	r := NewSendReplyReader()
	for i := range 100 {
		b := AppendSendReply(nil, JSON, 0, int32(i), &SendReply{MsgID: fmt.Appendf(nil, "%032X", i), QueueID: int32(i % 3), QueueOffset: int64(i), TransactionID: fmt.Appendf(nil, "%d", i)})
		if alike := readBoth(t, &r, b); alike != (i >= 2) {
			t.Errorf("reply %d: taken by comparing: %v", i, alike)
		}
	}
}

// A value may be longer than what stands between it and the fields.
func TestReaderFindsTheFields(t *testing.T) {
	r := NewSendReader()
	for i, opaque := range []string{"1", "2", "0000000000000000003", "-4", "5"} {
		header := fmt.Sprintf(`{"code":310,"opaque":%s,"extFields":{"a":"g","b":"T","c":"c","d":"4","e":"1","f":"0","g":"1","h":"0"}}`, opaque)
		if alike := readBoth(t, &r, frame(JSON, header)); alike != (i > 0) {
			t.Errorf("opaque %s: taken by comparing: %v", opaque, alike)
		}
	}
}

// A megabyte of escapes is read in one pass, alike or not; in one pass for each it would take minutes.
func TestReaderReadsManyEscapes(t *testing.T) {
	r := NewSendReader()
	for i, properties := range []string{"", "a", strings.Repeat(`\u0001`, 1<<20), strings.Repeat(`\"`, 1<<20)} {
		header := fmt.Sprintf(`{"code":310,"opaque":1,"extFields":{"a":"g","b":"T","c":"c","d":"4","e":"1","f":"0","g":"1","h":"0","i":"%s"}}`, properties)
		if alike := readBoth(t, &r, frame(JSON, header)); alike != (i >= 2) {
			t.Errorf("properties of %d bytes: taken by comparing: %v", len(properties), alike)
		}
	}
}

// A peer whose headers are never alike costs no memory but for a few.
func TestReaderGivesUp(t *testing.T) {
	r := NewSendReader()
	learned := map[*pattern[SendHeader]]bool{}
	for i := range 1000 {
		readBoth(t, &r, frame(JSON, fmt.Sprintf(`{"code":310,"opaque":1,"extFields":{"x%d":"","a":"g","b":"T","c":"c","d":"4","e":"1","f":"0","g":"1","h":"0"}}`, i)))
		learned[r.like] = true
	}
	if len(learned) > 15 {
		t.Errorf("learned %d times from 1000 headers that are not alike", len(learned))
	}
}

// FuzzReader: whatever was learned from three headers, the fourth is read as without.
func FuzzReader(f *testing.F) {
	header := func(code int32) string {
		b := exampleSend(JSON, code)
		return string(b[8 : 8+be.Uint32(b[4:])&0xFFFFFF])
	}
	long, short := header(RequestSendMessage), header(RequestSendMessageV2)
	f.Add(short, short, short, short)
	f.Add(long, strings.Replace(long, "12345", "-2", 1), short, long)
	f.Fuzz(func(t *testing.T, a, b, c, d string) {
		send, reply := NewSendReader(), NewSendReplyReader()
		for _, header := range []string{a, b, c, d} {
			readBoth(t, &send, frame(JSON, header))
			readBoth(t, &reply, frame(JSON, header))
		}
	})
}
