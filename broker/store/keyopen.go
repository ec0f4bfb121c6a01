package store

import (
	"errors"
	"fmt"
	"slices"
	"sort"
)

// openKeys takes over the index files that the checkpoint says are on disk. Where they are not there, trusted is false or their
// sizes are not those configured, it removes all: the keys of the whole log are put into new ones.
func (s *Store) openKeys(trusted bool) error {
	k := &s.aux.keyer
	k.fsys, k.layout, k.tags = s.fsys, s.layout, s.tags
	s.keyed, s.keyFiles = s.marks.Min, nil
	names, err := listKeyFiles(s.fsys)
	if err != nil || s.layout == (keyLayout{}) {
		return err
	}
	if trusted && s.saved.keyLayout == s.layout.packed() && s.saved.keyed >= s.marks.Min {
		whole, err := s.adoptKeys(names)
		if err != nil {
			return err
		}
		if whole {
			s.keyed = s.saved.keyed
			return nil
		}
	}
	s.keyFiles = nil
	for _, name := range names {
		if err := s.fsys.Remove((&keyFile{name: name}).path()); err != nil {
			return err
		}
		k.names = true
	}
	return nil
}

// adoptKeys takes over the files that the checkpoint speaks of and removes those behind them. It returns false when they are not
// as they should be.
func (s *Store) adoptKeys(names []int64) (bool, error) {
	k, last := &s.aux.keyer, s.saved.keyFile
	for _, name := range names {
		f := keyFile{name: name}
		switch {
		case name > last.name:
			if err := s.fsys.Remove(f.path()); err != nil {
				return false, err
			}
			k.names = true
			continue
		case name == last.name:
			f = last
		}
		if err := k.use(name); err != nil {
			return false, err
		}
		size, err := k.file.Size()
		if err != nil {
			return false, err
		}
		var b [keyHeaderBytes]byte
		if n, _ := k.file.ReadAt(b[:], 0); n < len(b) || size != s.layout.fileBytes() {
			return false, nil
		}
		if name < last.name && (!f.decode(b[:], s.layout) || f.count < s.layout.entries) {
			return false, nil
		}
		s.keyFiles = append(s.keyFiles, f)
	}
	k.dirty = false
	if n := len(s.keyFiles); n == 0 || s.keyFiles[n-1] != last {
		return last.name == 0 && n == 0, nil
	}
	if s.saved.clean {
		return true, nil
	}
	return true, k.restore(&last)
}

// restore makes the open file what its header f says: without the entries behind, and with the slots that the others make.
// Slots are written in place, so that after a power cut any may be newer or older than the header.
func (k *keyer) restore(f *keyFile) error {
	if err := k.use(f.name); err != nil {
		return err
	}
	k.dirty = true
	for _, size := range []int64{k.layout.entryAt(f.count), k.layout.fileBytes()} {
		if err := k.file.Truncate(size); err != nil {
			return fmt.Errorf("zero %s: %w", f.path(), err)
		}
	}
	slots := make([]int32, k.layout.slots)
	buf := make([]byte, keyEntryBytes*min(keyBatch, f.count))
	for n := int32(1); n < f.count; {
		b := buf[:keyEntryBytes*min(keyBatch, f.count-n)]
		if got, err := k.file.ReadAt(b, k.layout.entryAt(n)); got < len(b) {
			return fmt.Errorf("read %s: %w", f.path(), err)
		}
		for ; len(b) > 0; b, n = b[keyEntryBytes:], n+1 {
			if hash := int32(be.Uint32(b)); hash >= 0 {
				slots[hash%k.layout.slots] = n
			}
		}
	}
	if err := k.writeSlots(slots); err != nil {
		return fmt.Errorf("%s: %w", f.path(), err)
	}
	_, err := k.file.WriteAt(f.encode(), 0)
	return err
}

// writeSlots writes the slots, but those blocks that are right.
func (k *keyer) writeSlots(slots []int32) error {
	is, want := make([]byte, scanBlock), make([]byte, 0, scanBlock)
	for base := 0; base < len(slots); {
		part := slots[base:min(len(slots), base+scanBlock/keySlotBytes)]
		want = want[:0]
		for _, n := range part {
			want = be.AppendUint32(want, uint32(n))
		}
		at := k.layout.slotAt(int32(base))
		if n, err := k.file.ReadAt(is[:len(want)], at); n < len(want) {
			return err
		}
		for from := 0; from < len(want); {
			to := min(len(want), from+keyBlockSlots*keySlotBytes)
			if !slices.Equal(is[from:to], want[from:to]) {
				if _, err := k.file.WriteAt(want[from:to], at+int64(from)); err != nil {
					return err
				}
			}
			from = to
		}
		base += len(part)
	}
	return nil
}

// cutKeys returns the headers of the index files without what lies behind physical offset to. It changes nothing. segs are the
// files of the log.
func (k *keyer) cutKeys(files []keyFile, to int64, c *scanner) ([]keyFile, error) {
	files = slices.Clone(files)
	for len(files) > 0 {
		f := &files[len(files)-1]
		if err := k.use(f.name); err != nil {
			return nil, err
		}
		var failed error
		n := int32(sort.Search(int(f.count-1), func(i int) bool {
			e, err := k.layout.readEntry(k.file, int32(i)+1)
			failed = errors.Join(failed, err)
			return e.phys >= to
		})) + 1
		if failed != nil {
			return nil, failed
		}
		if n == f.count {
			break
		}
		if n == 1 {
			files = files[:len(files)-1]
			continue
		}
		return files, k.shorten(f, n, c)
	}
	return files, nil
}

// shorten makes f the header of a file with the entries below n. What the header says of the last message is in the log.
func (k *keyer) shorten(f *keyFile, n int32, c *scanner) error {
	used := map[int32]bool{}
	var e keyEntry
	for i := int32(1); i < n; i++ {
		var err error
		if e, err = k.layout.readEntry(k.file, i); err != nil {
			return err
		}
		used[e.hash%k.layout.slots] = true
	}
	f.count, f.used, f.endPhys = n, int32(len(used)), e.phys
	f.end = f.begin + 1000*int64(e.diff)
	c.pos = e.phys
	if _, phys, err := c.next(); err == nil && phys == e.phys {
		f.end = c.record.StoreTimestamp
	}
	return nil
}

// trimKeys takes what lies behind the end of the log out of the index files.
func (s *Store) trimKeys(end int64) error {
	if s.keyed <= end {
		return nil
	}
	k := &s.aux.keyer
	kept, err := k.cutKeys(s.keyFiles, end, &scanner{segs: s.segs, segBytes: s.cfg.SegmentBytes, doubt: s.saved.synced})
	if err == nil {
		err = k.keep(s.keyFiles, kept)
	}
	s.keyed, s.keyFiles = end, kept
	return err
}

// keep removes the files that are not among those of kept, which are the older ones, and makes the last one what its header says.
func (k *keyer) keep(all, kept []keyFile) error {
	for i := len(all) - 1; i >= len(kept); i-- {
		if k.file != nil && k.open == all[i].name {
			k.close()
		}
		if err := k.fsys.Remove(all[i].path()); err != nil {
			return err
		}
		k.names = true
	}
	if n := len(kept); n > 0 && (len(all) > n || all[n-1] != kept[n-1]) {
		return k.restore(&kept[n-1])
	}
	return nil
}
