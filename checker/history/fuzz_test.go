package history

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// FuzzLines reads anything as JSON Lines: it is refused or read, and what was read is written and read to the same.
func FuzzLines(f *testing.F) {
	f.Add([]byte(goodHeader + "\n" + invoke1 + "\n" + ok1 + "\n"))
	fixtures, err := filepath.Glob("../testdata/*.jsonl")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range fixtures {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		h, err := ReadLines("fuzz", bytes.NewReader(text))
		if err != nil {
			return
		}
		var out []byte
		names := newInterner()
		err = readLines("fuzz", bytes.NewReader(text), names, true, func(h Header) { out = AppendHeader(out, h) }, func(e *Event) string {
			out = AppendLine(out, names.name, e)
			return ""
		})
		if err != nil {
			t.Fatalf("read once, then not: %v", err)
		}
		again, err := ReadLines("again", bytes.NewReader(out))
		if err != nil {
			t.Fatalf("what was written is refused: %v\n%s", err, out)
		}
		if len(again.Sends) != len(h.Sends) || len(again.Fetches) != len(h.Fetches) || len(again.Faults) != len(h.Faults) || again.End != h.End {
			t.Fatalf("written and read it is another history:\n%s", out)
		}
	})
}

// FuzzBinary reads anything as a binary history: it is refused, cut or read, and never more than a panic-free while.
func FuzzBinary(f *testing.F) {
	dir := generate(f, 3, 2, 1)
	whole, err := os.ReadFile(filepath.Join(dir, FileName))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(uint32(0), []byte{})
	f.Add(uint32(2*segmentAlign+64), []byte{1, 2, 3})
	f.Add(uint32(8), []byte{3})
	f.Fuzz(func(t *testing.T, at uint32, patch []byte) {
		b := bytes.Clone(whole)
		copy(b[int(at)%len(b):], patch)
		file, err := openBinary(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		if _, err := file.build("fuzz"); err != nil {
			return
		}
		last := int64(-1)
		err = file.merge(func(name func(Sym) string, e *Event) error {
			if e.T < last {
				t.Fatal("t goes back")
			}
			last = e.T
			AppendLine(nil, name, e)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}
