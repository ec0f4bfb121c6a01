package disk

import (
	"bytes"
	"slices"
	"sort"
	"sync"
)

// pageSize is the unit of durability in bytes: the kernel's page cache reads and writes whole pages.
const pageSize = 4096

// before is what a dirty page held when it was last durable.
type before struct {
	data  []byte // pageSize bytes; nil: zeroes, or beyond the end
	since int64  // when the page became dirty, ns of the monotonic clock
	order uint64 // of becoming dirty, within the volume
}

// pages is the volatile state of one file: for every page that no fsync covers, what a power cut brings back.
//
// A page is in at most one of dirty and stale. It may be in syncing and dirty at once: written again while an fsync is
// in progress.
type pages struct {
	size    int64 // current, bytes
	durable int64 // size that the last fsync covered
	dirty   map[int64]before
	stale   map[int64]before // clean and readable, but not on the platter: their fsync failed and dropped them

	inSync   bool
	syncing  map[int64]before // dirty when the fsync in progress began
	syncSize int64            // size when it began
}

// reader reads the file's current content; short reads end at the end of the file.
type reader interface {
	ReadAt(p []byte, off int64) (int, error)
	// Hole reports whether [off, off+length) is known to be zeroes without reading it.
	Hole(off, length int64) bool
}

// touch notes that the bytes [from, to) are about to change: the pages that are not dirty yet are read from file and
// kept. It must be called before the change is applied.
func (p *pages) touch(file reader, from, to int64, now int64, order func() uint64) error {
	if to <= from {
		return nil
	}
	if p.dirty == nil {
		p.dirty = map[int64]before{}
	}
	whole, last := from/pageSize, (to+pageSize-1)/pageSize
	first, end := whole, last
	for first < end && p.known(first) {
		first++
	}
	for first < end && p.known(end-1) {
		end--
	}
	if first == end && len(p.stale) == 0 {
		return nil
	}
	var span []byte // one read, whatever is known in between
	if length := min(end*pageSize, p.size) - first*pageSize; length > 0 && !file.Hole(first*pageSize, length) {
		buf := spans.Get().(*[]byte)
		defer spans.Put(buf)
		*buf = slices.Grow((*buf)[:0], int(length))
		span = (*buf)[:length]
		if err := readFull(file, span, first*pageSize); err != nil {
			return err
		}
	}
	for page := whole; page < last; page++ {
		if _, ok := p.dirty[page]; ok {
			continue
		}
		if old, ok := p.stale[page]; ok { // dirty anew, so that the next fsync covers it
			p.dirty[page] = before{data: old.data, since: now, order: order()}
			delete(p.stale, page)
			continue
		}
		at := (page - first) * pageSize
		p.dirty[page] = before{data: kept(span[min(at, int64(len(span))):min(at+pageSize, int64(len(span)))]), since: now, order: order()}
	}
	return nil
}

// spans are buffers for what a write replaces.
var spans = sync.Pool{New: func() any { return new([]byte) }}

// known reports whether the page's durable content is kept already.
func (p *pages) known(page int64) bool {
	if _, ok := p.dirty[page]; ok {
		return true
	}
	_, ok := p.stale[page]
	return ok
}

var zeroPage [pageSize]byte

// kept returns a copy of a page's content, up to the end of the file, as a whole page; nil for zeroes.
func kept(content []byte) []byte {
	if bytes.Equal(content, zeroPage[:len(content)]) {
		return nil
	}
	page := make([]byte, pageSize)
	copy(page, content)
	return page
}

// readFull reads len(b) bytes; what lies beyond the end is zeroes.
func readFull(file reader, b []byte, off int64) error {
	n, err := file.ReadAt(b, off)
	if n < len(b) && err != nil && !isEOF(err) {
		return err
	}
	clear(b[n:])
	return nil
}

// beginSync takes the snapshot that an fsync covers. Only one fsync of a file is in progress at a time.
func (p *pages) beginSync() {
	p.inSync, p.syncing, p.syncSize = true, p.dirty, p.size
	p.dirty = nil
}

// endSync ends the fsync in progress: its snapshot is durable, or (ok false) its pages are as keep says: dirty again,
// or clean and lost. Where a page was written meanwhile, the older content is what was durable.
func (p *pages) endSync(ok, keep bool) (bytesDurable int64) {
	snapshot := p.syncing
	p.inSync, p.syncing = false, nil
	if ok {
		p.durable = p.syncSize
		p.cutStale()
		return int64(len(snapshot)) * pageSize
	}
	for page, old := range snapshot {
		_, rewritten := p.dirty[page]
		switch {
		case rewritten || keep:
			if p.dirty == nil {
				p.dirty = map[int64]before{}
			}
			p.dirty[page] = old
		default:
			if p.stale == nil {
				p.stale = map[int64]before{}
			}
			p.stale[page] = old
		}
	}
	return 0
}

// cutStale frees what stale pages have on the platter beyond the durable size: a truncation that a failed fsync has
// forgotten is not undone when the file grows.
func (p *pages) cutStale() {
	for page, old := range p.stale {
		if end := p.durable - page*pageSize; old.data != nil && end < pageSize {
			old.data = kept(old.data[:max(end, 0)])
			p.stale[page] = old
		}
	}
}

// flush makes the dirty pages durable up to the file's end, and of the size what they reach. What a truncation cut off
// stays durable: only an fsync makes a file shorter.
func (p *pages) flush(file reader) error {
	for page, b := range p.dirty {
		from := page * pageSize
		if from >= p.size {
			continue
		}
		end := min(p.size, from+pageSize)
		p.durable = max(p.durable, end)
		if end == min(p.durable, from+pageSize) {
			delete(p.dirty, page)
			continue
		}
		merged := make([]byte, pageSize)
		copy(merged, b.data)
		if err := readFull(file, merged[:end-from], from); err != nil {
			return err
		}
		b.data = kept(merged)
		p.dirty[page] = b
	}
	return nil
}

// clean reports whether a cut would change nothing in the file.
func (p *pages) clean() bool {
	return len(p.dirty) == 0 && len(p.stale) == 0 && !p.inSync && p.size == p.durable
}

// unsynced returns the number of pages that no fsync covers.
func (p *pages) unsynced() int {
	n := len(p.dirty) + len(p.stale)
	for page := range p.syncing {
		if _, twice := p.dirty[page]; !twice {
			n++
		}
	}
	return n
}

// lost is one page that a cut may take.
type lost struct {
	page int64
	before
	stale bool // it certainly does: the kernel holds the page for clean and never writes it again
}

// volatile returns every page that no fsync covers with its durable content, in the order of becoming dirty.
func (p *pages) volatile() []lost {
	all := make([]lost, 0, p.unsynced())
	for page, b := range p.syncing {
		all = append(all, lost{page: page, before: b})
	}
	for page, b := range p.stale {
		all = append(all, lost{page: page, before: b, stale: true})
	}
	for page, b := range p.dirty {
		if _, older := p.syncing[page]; !older {
			all = append(all, lost{page: page, before: b})
		}
	}
	sort.Slice(all, func(i, j int) bool { return all[i].order < all[j].order })
	return all
}
