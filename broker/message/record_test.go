package message

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// drawRecord draws a record that Check accepts.
func drawRecord(t *rapid.T) Record {
	text := func(name string, min, max int) []byte {
		return rapid.SliceOfN(rapid.Byte(), min, max).Draw(t, name)
	}
	topicMax := rapid.SampledFrom([]int{20, TopicBytesV1, TopicBytesV1 + 40}).Draw(t, "topicMax")
	r := Record{
		QueueID:                   rapid.Int32().Draw(t, "queueID"),
		Flag:                      rapid.Int32().Draw(t, "flag"),
		QueueOffset:               rapid.Int64().Draw(t, "queueOffset"),
		PhysOffset:                rapid.Int64().Draw(t, "physOffset"),
		SysFlag:                   rapid.Int32().Draw(t, "sysFlag"),
		BornTimestamp:             rapid.Int64().Draw(t, "born"),
		StoreTimestamp:            rapid.Int64().Draw(t, "store"),
		ReconsumeTimes:            rapid.Int32().Draw(t, "reconsume"),
		PreparedTransactionOffset: rapid.Int64().Draw(t, "prepared"),
		Body:                      text("body", 0, 300),
		Topic:                     text("topic", 1, topicMax),
		Properties:                text("properties", 0, 100),
	}
	r.BodyCRC = CRC(r.Body)
	r.BornHost = drawHost(t, r.SysFlag&SysBornHostV6 != 0)
	r.StoreHost = drawHost(t, r.SysFlag&SysStoreHostV6 != 0)
	return r
}

func drawHost(t *rapid.T, v6 bool) (h Host) {
	n := 4
	if v6 {
		n = 16
	}
	copy(h.IP[:], rapid.SliceOfN(rapid.Byte(), n, n).Draw(t, "ip"))
	h.Port = rapid.Int32().Draw(t, "port")
	return h
}

func TestDecodeIsTheInverseOfAppend(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawRecord(t)
		b := Append([]byte("before"), &want)[len("before"):]
		if got := want.Size(); got != len(b) {
			t.Fatalf("Size() = %d, Append wrote %d", got, len(b))
		}
		got, n, err := Decode(append(b[:len(b):len(b)], "behind"...), true)
		if err != nil || n != len(b) {
			t.Fatalf("Decode: n = %d of %d, err = %v", n, len(b), err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestPatchWritesWhatDecodeReads(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawRecord(t)
		b := Append(nil, &want)
		want.QueueOffset, want.PhysOffset, want.StoreTimestamp = rapid.Int64().Draw(t, "q"), rapid.Int64().Draw(t, "p"), rapid.Int64().Draw(t, "s")
		Patch(b, want.QueueOffset, want.PhysOffset, want.StoreTimestamp)
		got, _, err := Decode(b, true)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Fatal(err, diff)
		}
	})
}

func TestDecodeRefusesDamage(t *testing.T) {
	r := Record{Topic: []byte("T"), Body: []byte("hello"), Properties: []byte("A\x01B\x02")}
	whole := Append(nil, &r)
	damage := func(at int, b ...byte) []byte {
		d := append([]byte(nil), whole...)
		copy(d[at:], b)
		return d
	}
	for name, c := range map[string]struct {
		b    []byte
		want error
	}{
		"empty":                   {nil, ErrShort},
		"seven bytes":             {whole[:7], ErrShort},
		"all but one byte":        {whole[:len(whole)-1], ErrShort},
		"zeroes":                  {make([]byte, 100), ErrZero},
		"size without magic":      {append([]byte{0, 0, 0, 99}, make([]byte, 95)...), ErrCorrupt},
		"unknown magic":           {damage(4, 1, 2, 3, 4), ErrCorrupt},
		"size below the minimum":  {damage(0, 0, 0, 0, 90), ErrCorrupt},
		"negative size":           {damage(0, 0xFF), ErrCorrupt},
		"size one less":           {damage(0, 0, 0, 0, byte(len(whole)-1)), ErrCorrupt},
		"hosts wider than size":   {damage(sysFlagAt, 0, 0, 0, 0x30), ErrCorrupt},
		"negative body":           {damage(84, 0xFF), ErrCorrupt},
		"body beyond the record":  {damage(84, 0, 0, 1), ErrCorrupt},
		"no topic":                {damage(93, 0), ErrCorrupt},
		"topic beyond the record": {damage(93, 90), ErrCorrupt},
		"flipped bit in the body": {damage(88, 'H'), ErrCorrupt},
		"blank":                   {AppendBlank(nil, 4096), ErrBlank},
		"blank of seven bytes":    {AppendBlank(nil, 7), ErrCorrupt},
	} {
		if _, _, got := Decode(c.b, true); !errors.Is(got, c.want) {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
	if _, n, _ := Decode(AppendBlank(nil, 4096), true); n != 4096 {
		t.Errorf("blank record: rest of file %d, want 4096", n)
	}
	if _, _, err := Decode(damage(88, 'H'), false); err != nil {
		t.Errorf("without checkCRC a flipped bit in the body must pass: %v", err)
	}
}

func TestCheck(t *testing.T) {
	text := func(n int) []byte { return []byte(strings.Repeat("x", n)) }
	for name, c := range map[string]struct {
		r    Record
		want error
	}{
		"longest":             {Record{Topic: text(TopicBytesMax), Properties: text(PropertiesMax)}, nil},
		"no topic":            {Record{}, ErrIllegal},
		"topic too long":      {Record{Topic: text(TopicBytesMax + 1)}, ErrIllegal},
		"properties too long": {Record{Topic: text(1), Properties: text(PropertiesMax + 1)}, ErrIllegal},
	} {
		if got := c.r.Check(); !errors.Is(got, c.want) {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	r := Record{Topic: []byte("T"), Body: []byte("hello"), Properties: []byte("A\x01B\x02")}
	f.Add(Append(nil, &r))
	r.SysFlag, r.Topic = SysBornHostV6|SysStoreHostV6, []byte(strings.Repeat("t", 200))
	f.Add(Append(nil, &r))
	f.Add(AppendBlank(nil, 100))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, n, err := Decode(b, true)
		if err != nil {
			return
		}
		if n < RecordBytesMin || n > len(b) {
			t.Fatalf("n = %d of %d", n, len(b))
		}
		if be.Uint32(b[4:]) == MagicV2 && len(r.Topic) <= TopicBytesV1 {
			return // legal to read, never written
		}
		if again := Append(nil, &r); string(again) != string(b[:n]) {
			t.Fatalf("re-encoded\n%x\nwas\n%x", again, b[:n])
		}
	})
}
