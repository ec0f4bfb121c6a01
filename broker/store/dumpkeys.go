package store

import (
	"fmt"
	"math"

	"holdfast/broker/message"
	"holdfast/broker/vfs"
)

// IndexSummary is an index file. Times are Unix ms.
type IndexSummary struct {
	Name       string `json:"name"`
	HashSlots  int32  `json:"hashSlots"` // maxHashSlotNum and maxIndexNum, 0 when they cannot be told
	MaxIndexes int32  `json:"maxIndexes"`
	Entries    int32  `json:"entries"`
	UsedSlots  int32  `json:"usedSlots"`
	BeginTime  int64  `json:"beginTime"`
	EndTime    int64  `json:"endTime"`
	BeginPhys  int64  `json:"beginPhyOffset"`
	EndPhys    int64  `json:"endPhyOffset"`
	Expired    int32  `json:"expired,omitempty"` // entries of messages that the log has no more
	Differs    string `json:"differs,omitempty"` // the first way in which it contradicts itself or the commit log
}

// keyDump walks through the index files beside the log.
type keyDump struct {
	fsys    vfs.FS
	files   []keyDumpFile
	at      int   // of the file of the next entry
	n       int32 // its number
	running bool  // the broker runs, or did not end properly: slots may be newer than the header
	missing int64 // records with keys behind the last entry
	expect  keyer
}

type keyDumpFile struct {
	keyFile
	layout keyLayout
	file   vfs.File
	sum    IndexSummary
}

func (f *keyDumpFile) differ(format string, args ...any) {
	if f.sum.Differs == "" {
		f.sum.Differs = fmt.Sprintf(format, args...)
	}
}

// openKeyDump opens the index files. packed is the layout that the checkpoint knows, 0: none.
func openKeyDump(fsys vfs.FS, packed int64, running bool) (*keyDump, error) {
	d := &keyDump{fsys: fsys, n: 1, running: running}
	d.expect = keyer{tags: true, layout: keyLayout{slots: 1, entries: math.MaxInt32}, files: []keyFile{{count: 1}}}
	names, err := listKeyFiles(fsys)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		f := keyDumpFile{keyFile: keyFile{name: name}}
		if f.file, err = fsys.Open(f.path()); err != nil {
			return nil, err
		}
		d.files = append(d.files, f)
		if err := d.files[len(d.files)-1].read(packed, running); err != nil {
			return nil, fmt.Errorf("read %s: %w", f.path(), err)
		}
	}
	return d, nil
}

func (d *keyDump) close() {
	for i := range d.files {
		d.files[i].file.Close()
	}
}

// read reads the header and checks the chains.
func (f *keyDumpFile) read(packed int64, running bool) error {
	f.sum.Name = fmt.Sprintf("%0*d", keyNameDigits, f.name)
	size, err := f.file.Size()
	if err != nil {
		return err
	}
	b := make([]byte, keyHeaderBytes)
	if n, _ := f.file.ReadAt(b, 0); n < len(b) || !f.decode(b, keyLayout{math.MaxInt32, math.MaxInt32}) {
		f.count = 1
		f.differ("no header")
		return nil
	}
	f.sum.Entries, f.sum.UsedSlots, f.sum.BeginTime, f.sum.EndTime, f.sum.BeginPhys, f.sum.EndPhys = f.count-1, f.used, f.begin, f.end, f.beginPhys, f.endPhys
	if f.layout, err = f.guess(packed, size); err != nil {
		return err
	}
	if f.layout == (keyLayout{}) {
		f.count = 1
		f.differ("%d bytes fit no maxHashSlotNum and maxIndexNum", size)
		return nil
	}
	f.sum.HashSlots, f.sum.MaxIndexes = f.layout.slots, f.layout.entries
	return f.chains(running)
}

// guess finds the layout of a file: that of the checkpoint, RocketMQ's default, or the first one under which the entries are where the
// header says.
func (f *keyDumpFile) guess(packed, size int64) (keyLayout, error) {
	for _, l := range []keyLayout{{int32(packed >> 32), int32(packed)}, {5_000_000, 20_000_000}} {
		if l.slots > 0 && l.fileBytes() == size && f.count <= l.entries {
			return l, nil
		}
	}
	const searched = 64 << 20 // larger files are not searched through
	if size > searched {
		return keyLayout{}, nil
	}
	b := make([]byte, size)
	if n, err := f.file.ReadAt(b, 0); int64(n) < size {
		return keyLayout{}, err
	}
	for entries := int64(f.count); ; entries++ {
		rest := size - keyHeaderBytes - keyEntryBytes*entries
		if rest < keySlotBytes {
			return keyLayout{}, nil
		}
		l := keyLayout{int32(rest / keySlotBytes), int32(entries)}
		if l.fileBytes() == size && f.fits(b, l) {
			return l, nil
		}
	}
}

// fits says whether the entries of a file with these bytes and that layout make the slots that it has.
func (f *keyDumpFile) fits(b []byte, l keyLayout) bool {
	if f.count == 1 {
		return true
	}
	first, last := readKeyEntry(b[l.entryAt(1):]), readKeyEntry(b[l.entryAt(f.count-1):])
	slot := int32(be.Uint32(b[l.slotAt(max(0, last.hash)%l.slots):]))
	return first.phys == f.beginPhys && last.phys == f.endPhys && first.prev == 0 && first.hash >= 0 && last.hash >= 0 && slot >= f.count-1
}

// chains holds slots and entries against each other.
func (f *keyDumpFile) chains(running bool) error {
	last := make([]int32, f.layout.slots)
	used := int32(0)
	for n := int32(1); n < f.count; n++ {
		e, err := f.layout.readEntry(f.file, n)
		if err != nil {
			return err
		}
		if e.hash < 0 {
			f.differ("entry %d has hash %d", n, e.hash)
			continue
		}
		slot := &last[e.hash%f.layout.slots]
		if e.prev != *slot {
			f.differ("entry %d follows %d, the one before it in its slot is %d", n, e.prev, *slot)
		}
		if *slot == 0 {
			used++
		}
		*slot = n
	}
	if used != f.used {
		f.differ("%d slots are used, the header says %d", used, f.used)
	}
	b := make([]byte, keyBlockSlots*keySlotBytes)
	for base := int32(0); base < f.layout.slots; base += keyBlockSlots {
		part := b[:min(keyBlockSlots, f.layout.slots-base)*keySlotBytes]
		if n, err := f.file.ReadAt(part, f.layout.slotAt(base)); n < len(part) {
			return err
		}
		for i := range int32(len(part) / keySlotBytes) {
			got := int32(be.Uint32(part[i*keySlotBytes:]))
			if got != last[base+i] && !(running && got >= f.count) {
				f.differ("slot %d has entry %d, not %d", base+i, got, last[base+i])
			}
		}
	}
	return nil
}

// peek returns the next entry and its file; nil behind the last.
func (d *keyDump) peek() (*keyDumpFile, keyEntry, error) {
	for d.at < len(d.files) && d.n >= d.files[d.at].count {
		d.at, d.n = d.at+1, 1
	}
	if d.at == len(d.files) {
		return nil, keyEntry{}, nil
	}
	f := &d.files[d.at]
	e, err := f.layout.readEntry(f.file, d.n)
	return f, e, err
}

// record holds a record of the log, the next one, against the entries.
func (d *keyDump) record(phys int64, m *message.Record, first int64) error {
	if err := d.skip(phys, first); err != nil {
		return err
	}
	d.expect.batch, d.expect.times = d.expect.batch[:0], d.expect.times[:0]
	if err := d.expect.record(m, phys); err != nil {
		return err
	}
	found := 0
	for ; ; found++ {
		f, e, err := d.peek()
		if err != nil {
			return err
		}
		if f != nil && e.phys == phys && d.n == 1 && found > 0 && e.hash == d.expect.batch[0].hash {
			found = 0 // RocketMQ lists it again when it has thrown the file away in which it had put the rest
		}
		if f == nil || e.phys != phys {
			if f == nil && found == 0 && len(d.expect.batch) > 0 {
				d.missing++
				return nil
			}
			if f == nil && d.running {
				return nil
			}
			_, _, tag := keyProperties(m.Properties)
			if found < len(d.expect.batch)-min(1, len(tag)) {
				d.file().differ("record at %d: %d entries, it has %d keys", phys, found, len(d.expect.batch))
			}
			return nil
		}
		if found >= len(d.expect.batch) || e.hash != d.expect.batch[found].hash {
			f.differ("entry %d of the record at %d has hash %d", d.n, phys, e.hash)
			found = min(found, len(d.expect.batch)-1)
		}
		if diff := max(0, (m.StoreTimestamp-f.begin)/1000); d.n > 1 && int64(e.diff) != diff {
			f.differ("entry %d says that the record at %d was stored %d s after the first, it was %d", d.n, phys, e.diff, diff)
		}
		d.n++
	}
}

// file returns the file of the next entry, or the last one.
func (d *keyDump) file() *keyDumpFile {
	if len(d.files) == 0 {
		return &keyDumpFile{}
	}
	return &d.files[min(d.at, len(d.files)-1)]
}

// skip passes the entries by that lead to before phys: the log begins at first, and what lies below is expired.
func (d *keyDump) skip(phys, first int64) error {
	for {
		f, e, err := d.peek()
		if err != nil || f == nil || e.phys >= phys {
			return err
		}
		if e.phys < first {
			f.sum.Expired++
		} else {
			f.differ("entry %d leads to %d, where no record stands", d.n, e.phys)
		}
		d.n++
	}
}
