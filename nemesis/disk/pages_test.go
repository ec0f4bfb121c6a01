package disk

import (
	"bytes"
	"io"
	"testing"

	"pgregory.net/rapid"
)

// memory is a file of pages with its volatile state.
type memory struct {
	content []byte
	pages   pages
	orders  uint64
}

func (m *memory) ReadAt(b []byte, off int64) (int, error) {
	if off >= int64(len(m.content)) {
		return 0, io.EOF
	}
	n := copy(b, m.content[off:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (m *memory) Hole(off, length int64) bool {
	end := min(off+length, int64(len(m.content)))
	return off >= end || bytes.Count(m.content[off:end], []byte{0}) == int(end-off)
}

func (m *memory) order() uint64 { m.orders++; return m.orders }

func (m *memory) write(t *rapid.T, off int64, b []byte) {
	if err := m.pages.touch(m, off, off+int64(len(b)), 0, m.order); err != nil {
		t.Fatal(err)
	}
	if grow := int(off) + len(b) - len(m.content); grow > 0 {
		m.content = append(m.content, make([]byte, grow)...)
	}
	copy(m.content[off:], b)
	m.pages.size = int64(len(m.content))
}

// durable is what a cut would leave.
func (m *memory) durable() []byte {
	after := make([]byte, max(m.pages.durable, int64(len(m.content))))
	copy(after, m.content)
	for _, l := range m.pages.volatile() {
		from := min(l.page*pageSize, int64(len(after)))
		page := after[from:min(from+pageSize, int64(len(after)))]
		clear(page)
		copy(page, l.data)
	}
	return after[:m.pages.durable]
}

// TestPages holds the undo map against a platter that is kept whole: writes, syncs with writes in between, failures of
// both kinds.
func TestPages(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &memory{}
		var platter, snapshot []byte
		var dirty, syncing map[int64]bool // pages, as the model knows them
		dirty = map[int64]bool{}
		t.Repeat(map[string]func(*rapid.T){
			"write": func(t *rapid.T) {
				off := rapid.Int64Range(0, 4*pageSize).Draw(t, "off")
				b := bytes.Repeat([]byte{rapid.Byte().Draw(t, "fill")}, rapid.IntRange(1, 2*pageSize).Draw(t, "length"))
				m.write(t, off, b)
				for page := off / pageSize; page*pageSize < off+int64(len(b)); page++ {
					dirty[page] = true
				}
			},
			"begin": func(t *rapid.T) {
				if m.pages.inSync {
					t.Skip("in progress")
				}
				m.pages.beginSync()
				snapshot, syncing, dirty = bytes.Clone(m.content), dirty, map[int64]bool{}
			},
			"end": func(t *rapid.T) {
				if !m.pages.inSync {
					t.Skip("none in progress")
				}
				outcome := rapid.SampledFrom([]string{"ok", "drop", "keep"}).Draw(t, "outcome")
				m.pages.endSync(outcome == "ok", outcome == "keep")
				switch outcome {
				case "ok":
					platter = settle(platter, snapshot, syncing)
				case "keep":
					for page := range syncing {
						dirty[page] = true
					}
				}
				syncing = nil
			},
			"": func(t *rapid.T) {
				if got := m.durable(); !bytes.Equal(got, platter) {
					t.Fatalf("a cut leaves %d bytes, want %d, or others", len(got), len(platter))
				}
			},
		})
	})
}

// settle returns the platter after the pages of a snapshot were written to it.
func settle(platter, snapshot []byte, pages map[int64]bool) []byte {
	after := make([]byte, len(snapshot))
	copy(after, platter)
	for page := range pages {
		from := min(page*pageSize, int64(len(snapshot)))
		copy(after[from:], snapshot[from:min(from+pageSize, int64(len(snapshot)))])
	}
	return after
}
