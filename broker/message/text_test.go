package message

import (
	"errors"
	"math"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestProperty(t *testing.T) {
	for name, c := range map[string]struct {
		props, key, want string
		ok               bool
	}{
		"first":                   {"TAGS\x01A\x02KEYS\x01k\x02", "TAGS", "A", true},
		"last, closed":            {"TAGS\x01A\x02KEYS\x01k\x02", "KEYS", "k", true},
		"last, open (older Java)": {"TAGS\x01A\x02KEYS\x01k", "KEYS", "k", true},
		"absent":                  {"TAGS\x01A\x02", "KEYS", "", false},
		"prefix of a name":        {"TAGSX\x01A\x02", "TAGS", "", false},
		"name only as a value":    {"A\x01TAGS\x02", "TAGS", "", false},
		"empty value":             {"TAGS\x01\x02", "TAGS", "", true},
		"empty name":              {"\x01A\x02", "", "A", true},
		"empty properties":        {"", "TAGS", "", false},
		"a piece without value":   {"junk\x02TAGS\x01A\x02", "TAGS", "A", true},
		"value with an equals":    {"TAGS\x01a=b\x01c\x02", "TAGS", "a=b\x01c", true},
		"first of two counts":     {"A\x011\x02A\x012\x02", "A", "1", true},
		"only separators":         {"\x02\x02\x01\x02", "A", "", false},
	} {
		got, ok := Property([]byte(c.props), c.key)
		if string(got) != c.want || ok != c.ok {
			t.Errorf("%s: got %q, %v; want %q, %v", name, got, ok, c.want, c.ok)
		}
	}
}

func TestPropertiesReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[^\x01\x02]{0,12}`)
		names := rapid.SliceOfNDistinct(rapid.StringMatching(`[A-Z_]{1,8}`), 0, 6, rapid.ID).Draw(t, "names")
		var props []byte
		values := make([]string, len(names))
		for i, name := range names {
			values[i] = text.Draw(t, "value")
			props = AppendProperty(props, name, values[i])
		}
		if len(names) > 0 {
			// A change leaves all others alone and may begin from properties that are not closed.
			props, values[0] = SetProperty(nil, props[:len(props)-1], names[0], "new"), "new"
		}
		for i, name := range names {
			if got, ok := Property(props, name); !ok || string(got) != values[i] {
				t.Fatalf("%s: got %q, %v; want %q in %q", name, got, ok, values[i], props)
			}
			if got, ok := Property(RemoveProperty(nil, props, name), name); ok {
				t.Fatalf("%s is still %q", name, got)
			}
		}
	})
}

func TestAppendPropertyClosesWhatIsOpen(t *testing.T) {
	if got, want := string(AppendProperty([]byte("A\x011"), "B", "2")), "A\x011\x02B\x012\x02"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestCRC(t *testing.T) {
	for body, want := range map[string]uint32{"": 0, "a": 0x68B7BE43, "123456789": 0x4BF43926} { // CRC-32 without its highest bit
		if got := CRC([]byte(body)); got != want {
			t.Errorf("CRC(%q) = %#x, want %#x", body, got, want)
		}
	}
}

func TestHashCode(t *testing.T) {
	for text, want := range map[string]int32{ // printed by Java 17
		"":                   0,
		"TagA":               2598919,
		"a":                  97,
		"hello":              99162322,
		"polygenelubricants": math.MinInt32,
		"é":                  233,
		"日本":                 835047,
		"😀":                  1772899,
		"TagA日":              80592574,
	} {
		if got := HashCode(text); got != want {
			t.Errorf("HashCode(%q) = %d, want %d", text, got, want)
		}
	}
	if got := TagsCode([]byte("TAGS\x01polygenelubricants\x02")); got != math.MinInt32 {
		t.Errorf("tags code %d must be the sign-extended hash", got)
	}
	if got := TagsCode(nil); got != 0 {
		t.Errorf("tags code without tags: %d", got)
	}
	if got := IndexHash("T", "k"); got != HashCode("T#k") {
		t.Errorf("index hash %d", got)
	}
}

func TestIndexHashIsNotNegative(t *testing.T) {
	if h, got := HashCode("T#jllgvmc"), IndexHash("T", "jllgvmc"); h != math.MinInt32 || got != 0 {
		t.Errorf("the hash code %d, which has no positive counterpart, became %d", h, got)
	}
	rapid.Check(t, func(t *rapid.T) {
		if got := IndexHash(rapid.String().Draw(t, "topic"), rapid.String().Draw(t, "key")); got < 0 {
			t.Fatalf("negative index hash %d", got)
		}
	})
}

func TestOffsetID(t *testing.T) {
	host, v6 := HostOf(netip.MustParseAddrPort("192.168.1.2:10911"))
	if got, want := string(AppendOffsetID(nil, &host, v6, 0x1234567890)), "C0A8010200002A9F0000001234567890"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	rapid.Check(t, func(t *rapid.T) {
		wantV6 := rapid.Bool().Draw(t, "v6")
		want, offset := drawHost(t, wantV6), rapid.Int64().Draw(t, "offset")
		got, gotV6, gotOffset, ok := ParseOffsetID(string(AppendOffsetID(nil, &want, wantV6, offset)))
		if got != want || gotV6 != wantV6 || gotOffset != offset || !ok {
			t.Fatalf("got %v %v %d %v", got, gotV6, gotOffset, ok)
		}
	})
	for _, bad := range []string{"", "zz", "C0A8010200002A9F00000012345678", "C0A8010200002A9F000000123456789g"} {
		if _, _, _, ok := ParseOffsetID(bad); ok {
			t.Errorf("%q is no offset id", bad)
		}
	}
}

func TestUniqueID(t *testing.T) {
	got := string(AppendUniqueID(nil, [4]byte{127, 0, 0, 1}, 0x1624, 0x18B4AAC2, 0x088D7A5A, 1))
	if want := "7F000001162418B4AAC2088D7A5A0001"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestHost(t *testing.T) {
	for _, text := range []string{"127.0.0.1:10911", "[::1]:65535", "0.0.0.0:0"} {
		h, v6 := HostOf(netip.MustParseAddrPort(text))
		if got := h.AddrPort(v6).String(); got != text {
			t.Errorf("got %s, want %s", got, text)
		}
	}
	if h, v6 := HostOf(netip.MustParseAddrPort("[::ffff:10.0.0.1]:1")); v6 || h.AddrPort(v6).String() != "10.0.0.1:1" {
		t.Errorf("a mapped address must be v4: %v %v", h, v6)
	}
}

func drawBatch(t *rapid.T) (batch []BatchMessage, body []byte) {
	for range rapid.IntRange(1, 5).Draw(t, "messages") {
		m := BatchMessage{rapid.Int32().Draw(t, "flag"), rapid.SliceOfN(rapid.Byte(), 0, 50).Draw(t, "body"), rapid.SliceOfN(rapid.Byte(), 0, 50).Draw(t, "properties")}
		batch, body = append(batch, m), AppendBatch(body, &m)
	}
	return batch, body
}

func TestDecodeBatchIsTheInverseOfAppendBatch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		batch, body := drawBatch(t)
		for _, want := range batch {
			for cut := range len(body) {
				if _, n, err := DecodeBatch(body[:cut]); err == nil && n > cut {
					t.Fatalf("%d bytes read of %d", n, cut)
				}
			}
			got, n, err := DecodeBatch(body)
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Fatal(err, diff)
			}
			body = body[n:]
		}
		if len(body) != 0 {
			t.Fatalf("%d bytes left", len(body))
		}
	})
}

func TestDecodeBatchRefusesDamage(t *testing.T) {
	whole := AppendBatch(nil, &BatchMessage{Body: []byte("hello"), Properties: []byte("A\x01B\x02")})
	damage := func(at int, b ...byte) []byte {
		d := append([]byte(nil), whole...)
		copy(d[at:], b)
		return d
	}
	for name, b := range map[string][]byte{
		"empty":                    nil,
		"cut":                      whole[:len(whole)-1],
		"size below the minimum":   damage(0, 0, 0, 0, 21),
		"negative size":            damage(0, 0x80),
		"body beyond the message":  damage(16, 0, 0, 1),
		"negative body":            damage(16, 0x80),
		"properties too short":     damage(25, 0, 3),
		"properties too long":      damage(25, 0, 5),
		"body up to the end":       damage(16, 0, 0, 0, 11),
		"body into its properties": damage(16, 0, 0, 0, 6),
		"size of a shorter record": damage(0, 0, 0, 0, byte(len(whole)-1)),
	} {
		if _, _, err := DecodeBatch(b); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzDecodeBatch(f *testing.F) {
	f.Add(AppendBatch(nil, &BatchMessage{1, []byte("hello"), []byte("A\x01B\x02")}))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, n, err := DecodeBatch(b)
		if err != nil {
			return
		}
		again := AppendBatch(nil, &m)
		clear(b[4:12]) // magic and CRC are not looked at
		if string(again) != string(b[:n]) {
			t.Fatalf("re-encoded\n%x\nwas\n%x", again, b[:n])
		}
	})
}

// walk is Property by one property after the other.
func walk(props []byte, name string) (value []byte, ok bool) {
	for len(props) > 0 {
		var n []byte
		if n, value, props = NextProperty(props); string(n) == name {
			return value, true
		}
	}
	return nil, false
}

func FuzzProperties(f *testing.F) {
	f.Add([]byte("A\x01B\x02C\x01D"), "A")
	f.Fuzz(func(t *testing.T, props []byte, name string) {
		value, ok := Property(props, name)
		if walked, found := walk(props, name); ok != found || string(value) != string(walked) {
			t.Fatalf("%q of %q: got %q, %v; a walk finds %q, %v", name, props, value, ok, walked, found)
		}
		if !ok {
			return
		}
		if got, ok := Property(AppendProperty(nil, name, value), name); ok && string(got) != string(value) {
			t.Fatalf("%q became %q", value, got)
		}
	})
}

func TestHotPathsDoNotAllocate(t *testing.T) {
	r := exampleRecord()
	out := make([]byte, 0, 4096)
	b := Append(nil, &r)
	var id [32]byte
	for name, f := range map[string]func(){
		"append":   func() { Append(out, &r) },
		"patch":    func() { Patch(b, 1, 2, 3) },
		"decode":   func() { DecodeInto(&r, b, true) },
		"property": func() { Property(r.Properties, PropertyWait) },
		"tags":     func() { TagsCode(r.Properties) },
		"id":       func() { AppendOffsetID(id[:0], &r.StoreHost, false, 1) },
	} {
		if got := testing.AllocsPerRun(100, f); got != 0 {
			t.Errorf("%s: %v allocations", name, got)
		}
	}
}

func exampleRecord() Record {
	r := Record{Topic: []byte("BenchmarkTest"), Body: make([]byte, 1024), Properties: []byte("UNIQ_KEY\x017F000001162418B4AAC2088D7A5A0001\x02WAIT\x01true\x02TAGS\x01TagA\x02")}
	r.BornHost, _ = HostOf(netip.MustParseAddrPort("127.0.0.1:40000"))
	r.StoreHost, _ = HostOf(netip.MustParseAddrPort("127.0.0.1:10911"))
	return r
}

func BenchmarkAppend(b *testing.B) {
	r, out := exampleRecord(), make([]byte, 0, 4096)
	b.SetBytes(int64(r.Size()))
	b.ReportAllocs()
	for b.Loop() {
		Append(out, &r)
	}
}

func BenchmarkDecode(b *testing.B) {
	r := exampleRecord()
	record := Append(nil, &r)
	for name, checkCRC := range map[string]bool{"with CRC": true, "without CRC": false} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(record)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := DecodeInto(&r, record, checkCRC); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkPatch(b *testing.B) {
	r := exampleRecord()
	record := Append(nil, &r)
	for b.Loop() {
		Patch(record, 1, 2, 3)
	}
}
