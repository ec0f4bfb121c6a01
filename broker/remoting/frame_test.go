package remoting

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// fieldsOf lists header fields as key, value, key, value.
func fieldsOf(e Ext) (pairs []string) {
	for f, rest, ok := e.Next(); ok; f, rest, ok = rest.Next() {
		pairs = append(pairs, string(f.Key), string(f.Text()))
	}
	return pairs
}

// plain is a Frame in comparable form.
type plain struct {
	Code, Opaque, Flag int32
	Version            int16
	Language           Language
	Remark, Body       string
	Fields             []string
}

func plainOf(f *Frame) plain {
	return plain{f.Code, f.Opaque, f.Flag, f.Version, f.Language, string(f.Remark), string(f.Body), fieldsOf(f.Ext)}
}

// drawFrame draws a frame that either form can hold: a binary code has 16 bits, and JSON names languages by word.
func drawFrame(t *rapid.T) Frame {
	text := func(name string) []byte { return rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, name) }
	f := Frame{
		Code:     int32(rapid.Int16().Draw(t, "code")),
		Opaque:   rapid.Int32().Draw(t, "opaque"),
		Flag:     rapid.Int32().Draw(t, "flag"),
		Version:  rapid.Int16().Draw(t, "version"),
		Language: Language(rapid.IntRange(0, 13).Draw(t, "language")),
		Form:     Form(rapid.IntRange(0, 1).Draw(t, "form")),
		Remark:   text("remark"),
		Body:     text("body"),
	}
	var pairs []string
	for range rapid.IntRange(0, 6).Draw(t, "fields") {
		pairs = append(pairs, string(text("key")), string(text("value")))
	}
	f.Ext = NewExt(pairs...)
	return f
}

func TestDecodeIsTheInverseOfAppend(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawFrame(t)
		b := Append([]byte("before"), &want)[len("before"):]
		for cut := range len(b) {
			if _, n, err := Decode(b[:cut]); n != 0 || err != nil {
				t.Fatalf("first %d of %d bytes: n = %d, err = %v", cut, len(b), n, err)
			}
		}
		got, n, err := Decode(append(b[:len(b):len(b)], "behind"...))
		if err != nil || n != len(b) {
			t.Fatalf("Decode: n = %d of %d, err = %v", n, len(b), err)
		}
		if diff := cmp.Diff(plainOf(&want), plainOf(&got)); diff != "" || got.Form != want.Form {
			t.Fatal(diff, got.Form)
		}
		// A frame may be passed on in the other form.
		got.Form = 1 - got.Form
		again, _, err := Decode(Append(nil, &got))
		if diff := cmp.Diff(plainOf(&want), plainOf(&again)); diff != "" || err != nil {
			t.Fatal(diff, err)
		}
	})
}

func TestJSONHeaderIsStandardJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawFrame(t)
		want.Form = JSON
		want.Remark = []byte(strings.ToValidUTF8(string(want.Remark), "?"))
		fields := fieldsOf(want.Ext)
		for i, text := range fields { // JSON is text: what is not gets another name or value, the names apart
			if strings.ToValidUTF8(text, "") != text {
				fields[i] = fmt.Sprintf("not text %d", i)
			}
		}
		want.Ext = NewExt(fields...)
		b := Append(nil, &want)
		var got struct {
			Code, Opaque, Flag int32
			Version            int16
			Language, Remark   string
			ExtFields          map[string]string
		}
		header := b[8 : 8+be.Uint32(b[4:])&0xFFFFFF]
		if err := json.Unmarshal(header, &got); err != nil {
			t.Fatalf("%v in %s", err, header)
		}
		if got.Code != want.Code || got.Opaque != want.Opaque || got.Flag != want.Flag || got.Version != want.Version ||
			got.Language != want.Language.String() || got.Remark != string(want.Remark) {
			t.Fatalf("got %+v, want %+v", got, plainOf(&want))
		}
		for key, value := range got.ExtFields {
			if v, ok := want.Ext.Get(key); !ok || string(v) != value {
				t.Fatalf("field %q: got %q, want %q", key, value, v)
			}
		}
	})
}

// frame wraps a header into a frame without a body.
func frame(form Form, header string) []byte {
	b := be.AppendUint32(nil, uint32(4+len(header)))
	b = be.AppendUint32(b, uint32(form)<<24|uint32(len(header)))
	return append(b, header...)
}

func TestDecodeRefuses(t *testing.T) {
	binary := func(remark, ext uint32, rest string) string {
		b := append(make([]byte, 13), 0, 0, 0, 0, 0, 0, 0, 0)
		be.PutUint32(b[13:], remark)
		be.PutUint32(b[17:], ext)
		return string(b) + rest
	}
	for name, c := range map[string]struct {
		b    []byte
		want error
	}{
		"one byte too long":           {[]byte{0x00, 0xFF, 0xFF, 0xFD}, ErrFrameTooLong},
		"negative length":             {[]byte{0xFF, 0xFF, 0xFF, 0xFF}, ErrFrameTooLong},
		"TLS":                         {[]byte{0x16, 0x03, 0x01, 0x00}, ErrFrameTooLong},
		"length without header":       {[]byte{0, 0, 0, 3}, ErrFrame},
		"unknown form":                {frame(2, "{}"), ErrFrame},
		"header longer than frame":    {[]byte{0, 0, 0, 6, 0, 0, 0, 3, '{', '}'}, ErrFrame},
		"empty JSON":                  {frame(JSON, ""), ErrHeader},
		"not an object":               {frame(JSON, "[]"), ErrHeader},
		"cut object":                  {frame(JSON, `{"code":1`), ErrHeader},
		"text behind the object":      {frame(JSON, `{"code":1}x`), ErrHeader},
		"trailing comma":              {frame(JSON, `{"code":1,}`), ErrHeader},
		"code is no number":           {frame(JSON, `{"code":"x"}`), ErrHeader},
		"code beyond 32 bits":         {frame(JSON, `{"code":4294967296}`), ErrHeader},
		"version beyond 16 bits":      {frame(JSON, `{"version":32768}`), ErrHeader},
		"fields are an array":         {frame(JSON, `{"extFields":[]}`), ErrHeader},
		"field is an object":          {frame(JSON, `{"extFields":{"a":{}}}`), ErrHeader},
		"cut escape":                  {frame(JSON, `{"extFields":{"a":"\u00`), ErrHeader},
		"unknown escape":              {frame(JSON, `{"extFields":{"a":"\x"}}`), ErrHeader},
		"nested too deeply":           {frame(JSON, `{"x":`+strings.Repeat("[", 1000)+strings.Repeat("]", 1000)+"}"), ErrHeader},
		"binary of 20 bytes":          {frame(Binary, binary(0, 0, "")[:20]), ErrHeader},
		"remark beyond the header":    {frame(Binary, binary(1, 0, "")), ErrHeader},
		"negative remark":             {frame(Binary, binary(1<<31, 0, "")), ErrHeader},
		"fields beyond the header":    {frame(Binary, binary(0, 1, "")), ErrHeader},
		"bytes behind the fields":     {frame(Binary, binary(0, 0, "x")), ErrHeader},
		"field key beyond the header": {frame(Binary, binary(0, 2, "\x00\x01")), ErrHeader},
		"field value cut":             {frame(Binary, binary(0, 7, "\x00\x01k\x00\x00\x00\x01")), ErrHeader},
	} {
		if _, n, got := Decode(c.b); !errors.Is(got, c.want) || n != 0 {
			t.Errorf("%s: got n = %d, %v; want %v", name, n, got, c.want)
		}
	}
}

func TestDecodeAccepts(t *testing.T) {
	for name, c := range map[string]struct {
		header string
		want   plain
	}{
		"nothing":            {`{}`, plain{}},
		"white space":        {" {\n\"code\" : 7 ,\t\"extFields\" : { \"a\" : \"b\" } } ", plain{Code: 7, Fields: []string{"a", "b"}}},
		"null members":       {`{"remark":null,"extFields":null,"code":1}`, plain{Code: 1}},
		"null field":         {`{"extFields":{"a":null,"b":"c"}}`, plain{Fields: []string{"b", "c"}}},
		"bare numbers":       {`{"extFields":{"a":12,"b":true}}`, plain{Fields: []string{"a", "12", "b", "true"}}},
		"unknown members":    {`{"x":[1,{"y":"}"}],"code":3}`, plain{Code: 3}},
		"quoted code":        {`{"code":"10"}`, plain{Code: 10}},
		"unknown language":   {`{"language":"ZIG"}`, plain{Language: Other}},
		"escapes everywhere": {`{"remark":"a\nb","extFields":{"\u0061":"\u0001\"\ud83d\ude00\ud83dx"}}`, plain{Remark: "a\nb", Fields: []string{"a", "\x01\"😀�x"}}},
	} {
		f, _, err := Decode(frame(JSON, c.header))
		if diff := cmp.Diff(c.want, plainOf(&f)); diff != "" || err != nil {
			t.Errorf("%s: %v %s", name, err, diff)
		}
	}
}

func TestLongestFrame(t *testing.T) {
	head := Frame{Form: Binary}
	w := Begin(nil, &head)
	b := w.FinishApart(FrameBytesMax - 8 - binaryHeaderBytes)
	if n, err := FrameBytes(b); n != FrameBytesMax || err != nil {
		t.Errorf("longest frame: %d, %v", n, err)
	}
	w = Begin(nil, &head)
	b = w.FinishApart(FrameBytesMax - 8 - binaryHeaderBytes + 1)
	if _, err := FrameBytes(b); !errors.Is(err, ErrFrameTooLong) {
		t.Errorf("one byte more: %v", err)
	}
}

func TestLastOfEqualFieldsCounts(t *testing.T) {
	f, _, err := Decode(frame(JSON, `{"extFields":{"a":"1","a":"2"}}`))
	if v, ok := f.Ext.Get("a"); string(v) != "2" || !ok || err != nil {
		t.Errorf("got %q, %v, %v", v, ok, err)
	}
}

func TestCodeNames(t *testing.T) {
	for _, c := range []struct {
		f    Frame
		want string
	}{
		{Frame{Code: 10}, "SEND_MESSAGE"},
		{Frame{Code: 10, Flag: FlagResponse}, "FLUSH_DISK_TIMEOUT"},
		{Frame{Code: 200050}, "POP_MESSAGE"},
		{Frame{Code: 99999}, "request 99999"},
		{Frame{Code: -1, Flag: FlagResponse}, "response -1"},
	} {
		if got := c.f.CodeName(); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
	for l := Java; l <= NodeJS; l++ {
		if got := languageOf([]byte(l.String())); got != l {
			t.Errorf("language %d reads back as %d", l, got)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(frame(JSON, `{"code":10,"extFields":{"a":"\u0001","b":12,"c":null},"remark":"x"}`))
	f.Add(frame(JSON, `{"x":[{"y":[1,2,"\\"]}]}`))
	for _, form := range []Form{JSON, Binary} {
		f.Add(Append(nil, &Frame{Code: 310, Form: form, Ext: NewExt("a", "b", "c", "\x01"), Remark: []byte("r"), Body: []byte("body")}))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		frame, n, err := Decode(b)
		if err != nil || n == 0 {
			return
		}
		again, m, err := Decode(Append(nil, &frame))
		if err != nil || m == 0 {
			t.Fatalf("re-encoded frame: %d, %v", m, err)
		}
		if diff := cmp.Diff(plainOf(&frame), plainOf(&again)); diff != "" {
			t.Fatal(diff)
		}
	})
}
