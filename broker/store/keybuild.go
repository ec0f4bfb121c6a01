package store

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"

	"holdfast/broker/message"
	"holdfast/broker/vfs"
)

// keyBatch is how many entries are put into an index file at once. The more, the more of them share a block of slots.
const keyBatch = 1 << 16

// keyBlockSlots is how many slots are read and written at once: a full batch has entries in every 4 KiB of a file, so that small blocks
// save no bytes and cost system calls.
const keyBlockSlots = 1 << 14

// keyReadBytes is how much of the log is read at once to be indexed.
const keyReadBytes = 128 << 10

// keys is the index files of a store as the last AuxJob left them.
type keys struct {
	layout   keyLayout
	tags     bool      // tags are listed, too
	keyFiles []keyFile // by name
	keyed    int64     // all keys of the records below this physical offset are in files
}

// keyer puts keys into index files. It belongs to the AuxJob.
type keyer struct {
	fsys   vfs.FS
	layout keyLayout
	tags   bool
	files  []keyFile // those of the store, and what this job has made of them
	file   vfs.File  // the last one, when it is open
	open   int64     // its name
	dirty  bool      // it was written to since it was synced
	names  bool      // files were created or removed since the directory was synced

	batch []keyEntry
	times []int64 // store times of batch, Unix ms
	order []uint64
	block []byte
	bytes []byte
	read  []byte // of the scanner, between two jobs
}

// build indexes the records of a log from physical offset from up to upto and returns how far it came: a log that cannot
// be read is tried again by a later job. What is no record hides the rest of its file.
func (k *keyer) build(segs []*segment, segBytes, from, upto int64) (int64, error) {
	c := &scanner{segs: segs, segBytes: segBytes, pos: from, doubt: math.MaxInt64, trusted: true, block: keyReadBytes, buf: k.read[:0]}
	defer func() {
		if k.read = c.buf; cap(k.read) > keyReadBytes {
			k.read = nil // there was a long record
		}
	}()
	for c.pos < upto {
		at := c.pos
		if _, phys, err := c.next(); err == nil {
			if err := k.record(&c.record, phys); err != nil {
				return at, err
			}
		} else if bad := (*Bad)(nil); errors.As(err, &bad) {
			c.pos = min(upto, c.pos-c.pos%segBytes+segBytes)
		} else if errors.Is(err, errEnd) {
			c.pos = upto
		} else {
			return at, k.flush()
		}
	}
	return upto, k.flush()
}

// record adds the keys of a message.
// Source: IndexService.buildIndex (RocketMQ 5.5.0).
func (k *keyer) record(r *message.Record, phys int64) error {
	if r.SysFlag&message.SysRollback == message.SysRollback {
		return nil
	}
	unique, words, tag := keyProperties(r.Properties)
	if unique != nil {
		if err := k.add(message.IndexHash(r.Topic, unique), phys, r.StoreTimestamp); err != nil {
			return err
		}
	}
	for len(words) > 0 {
		var word []byte
		word, words, _ = bytes.Cut(words, []byte(" "))
		if len(word) == 0 {
			continue
		}
		if err := k.add(message.IndexHash(r.Topic, word), phys, r.StoreTimestamp); err != nil {
			return err
		}
	}
	if k.tags && len(tag) > 0 {
		return k.add(message.IndexTagHash(r.Topic, tag), phys, r.StoreTimestamp)
	}
	return nil
}

// keyProperties returns what of a message's properties the index lists. Of several properties of one name the last counts, as in
// RocketMQ.
func keyProperties(props []byte) (unique, words, tag []byte) {
	for len(props) > 0 {
		var name, value []byte
		name, value, props = message.NextProperty(props)
		switch string(name) {
		case message.PropertyUniqueKey:
			unique = value
		case message.PropertyKeys:
			words = value
		case message.PropertyTags:
			tag = value
		}
	}
	return unique, words, tag
}

// add puts an entry into the batch.
func (k *keyer) add(hash int32, phys, storeTime int64) error {
	if n := len(k.files); n == 0 || k.files[n-1].count+int32(len(k.batch)) >= k.layout.entries {
		if err := k.roll(storeTime); err != nil {
			return err
		}
	}
	k.batch, k.times = append(k.batch, keyEntry{hash: hash, phys: phys}), append(k.times, storeTime)
	if len(k.batch) == keyBatch {
		return k.flush()
	}
	return nil
}

// roll closes the last file, which is full and on disk for good then, and begins the next one.
// Source: IndexService.getAndCreateLastIndexFile (RocketMQ 5.3.3).
func (k *keyer) roll(storeTime int64) error {
	if err := k.flush(); err != nil {
		return err
	}
	next := keyFile{name: keyFileName(storeTime, 0), count: 1}
	if n := len(k.files); n > 0 {
		if err := k.use(k.files[n-1].name); err != nil {
			return err
		}
		if err := k.sync(); err != nil {
			return err
		}
		last := k.files[n-1]
		next = keyFile{name: keyFileName(storeTime, last.name), count: 1, begin: last.end, end: last.end, beginPhys: last.endPhys, endPhys: last.endPhys}
	}
	k.close()
	f, err := k.fsys.Create(next.path(), k.layout.fileBytes())
	if isExist(err) { // of a job that found no space
		if f, err = k.fsys.Open(next.path()); err == nil {
			err = errors.Join(f.Truncate(0), f.Truncate(k.layout.fileBytes()))
		}
	}
	if err != nil {
		return fmt.Errorf("create %s: %w", next.path(), err)
	}
	k.file, k.open, k.dirty, k.names = f, next.name, true, true
	k.files = append(k.files, next)
	return nil
}

// use makes the file with that name the open one.
func (k *keyer) use(name int64) error {
	if k.file != nil && k.open == name {
		return nil
	}
	k.close()
	f, err := k.fsys.Open((&keyFile{name: name}).path())
	if err != nil {
		return err
	}
	k.file, k.open, k.dirty = f, name, true
	return nil
}

func (k *keyer) close() {
	if k.file != nil {
		k.file.Close()
		k.file = nil
	}
}

// flush writes the batch: entries, then slots, then the header, so that whoever reads beside it never meets a slot whose entry is
// not there.
func (k *keyer) flush() error {
	if len(k.batch) == 0 {
		return nil
	}
	f := &k.files[len(k.files)-1]
	if err := k.use(f.name); err != nil {
		return fmt.Errorf("open %s: %w", f.path(), err)
	}
	k.dirty = true
	after := *f
	err := k.chain(&after)
	if err == nil {
		err = k.writeEntries(&after)
	}
	if err == nil {
		err = k.eachBlock(f.count, true, func(int, int32, bool) error { return nil })
	}
	if err == nil {
		_, err = k.file.WriteAt(after.encode(), 0)
	}
	k.batch, k.times = k.batch[:0], k.times[:0]
	if err != nil {
		return fmt.Errorf("%s: %w", f.path(), err)
	}
	*f = after
	return nil
}

// chain sets prev of every entry of the batch.
func (k *keyer) chain(f *keyFile) error {
	k.order = k.order[:0]
	for i := range k.batch {
		k.order = append(k.order, uint64(k.batch[i].hash%k.layout.slots)<<32|uint64(i))
	}
	slices.Sort(k.order)
	return k.eachBlock(f.count, false, func(i int, prev int32, own bool) (err error) {
		if !own {
			prev, err = k.below(prev, f.count)
		}
		if prev == 0 {
			f.used++
		}
		k.batch[i].prev = prev
		return err
	})
}

// below follows a chain from entry n to the first one below limit, 0 if there is none: a job that found no space has left others.
func (k *keyer) below(n, limit int32) (int32, error) {
	for n >= limit && n < k.layout.entries {
		e, err := k.layout.readEntry(k.file, n)
		if err != nil || e.prev >= n {
			return 0, err
		}
		n = e.prev
	}
	if n < 0 || n >= limit {
		n = 0
	}
	return n, nil
}

// eachBlock reads the slots that the batch goes to, block by block, gives fn every entry with what stands in its slot, which is the
// batch's own or was there before, puts the entry there, the first one with number first, and writes the blocks if it is to.
func (k *keyer) eachBlock(first int32, write bool, fn func(i int, slot int32, own bool) error) error {
	k.block = slices.Grow(k.block[:0], keyBlockSlots*keySlotBytes)
	last := int32(-1)
	for at := 0; at < len(k.order); {
		base := int32(k.order[at]>>32) / keyBlockSlots * keyBlockSlots
		slots := min(keyBlockSlots, k.layout.slots-base)
		block := k.block[:slots*keySlotBytes]
		if n, err := k.file.ReadAt(block, k.layout.slotAt(base)); n < len(block) {
			return err
		}
		for ; at < len(k.order) && int32(k.order[at]>>32) < base+slots; at++ {
			slot, i := int32(k.order[at]>>32), int(uint32(k.order[at]))
			b := block[(slot-base)*keySlotBytes:]
			if err := fn(i, int32(be.Uint32(b)), slot == last); err != nil {
				return err
			}
			be.PutUint32(b, uint32(first)+uint32(i))
			last = slot
		}
		if !write {
			continue
		}
		if _, err := k.file.WriteAt(block, k.layout.slotAt(base)); err != nil {
			return err
		}
	}
	return nil
}

// writeEntries writes the batch behind the entries of f, in pieces, and brings the header up to date.
// Source: IndexFile.putKey (RocketMQ 5.3.3).
func (k *keyer) writeEntries(f *keyFile) error {
	const piece = 1 << 12
	for from := 0; from < len(k.batch); from += piece {
		first, to := f.count, min(from+piece, len(k.batch))
		k.bytes = slices.Grow(k.bytes[:0], piece*keyEntryBytes)[:(to-from)*keyEntryBytes]
		for i := from; i < to; i++ {
			e, at := &k.batch[i], k.times[i]
			if f.begin > 0 {
				e.diff = int32(min(max(0, (at-f.begin)/1000), math.MaxInt32))
			}
			e.put(k.bytes[(i-from)*keyEntryBytes:])
			if f.count <= 1 {
				f.beginPhys, f.begin = e.phys, at
			}
			f.endPhys, f.end = e.phys, at
			f.count++
		}
		if _, err := k.file.WriteAt(k.bytes, k.layout.entryAt(first)); err != nil {
			return err
		}
	}
	return nil
}

// sync makes durable what was written.
func (k *keyer) sync() error {
	if k.file != nil && k.dirty {
		if err := k.file.Sync(); err != nil {
			return fmt.Errorf("%w %s: %w", errSync, keyDir, err)
		}
		k.dirty = false
	}
	if k.names {
		if err := k.fsys.SyncDir(keyDir); err != nil {
			return fmt.Errorf("%w directory %s: %w", errSync, keyDir, err)
		}
		k.names = false
	}
	return nil
}

// prepareKeys has the AuxJob index what it may.
func (s *Store) prepareKeys() {
	j := &s.aux
	j.keyer.files, j.keyer.batch, j.keyer.times, j.keySegs, j.keyed = append(j.keyer.files[:0], s.keyFiles...), j.keyer.batch[:0], j.keyer.times[:0], j.keySegs[:0], s.keyed
	if s.layout == (keyLayout{}) {
		return
	}
	for at := s.keyed; at < j.upto; {
		g := s.segment(at)
		j.keySegs = append(j.keySegs, g)
		at = g.base + s.cfg.SegmentBytes
	}
}

// writeKeys indexes, and says in the checkpoint how far it is durable.
func (j *AuxJob) writeKeys() (err error) {
	if !j.checkpoint {
		return nil
	}
	if len(j.keySegs) > 0 {
		if j.keyed, err = j.build(j.keySegs, j.store.cfg.SegmentBytes, j.keyed, j.upto); err != nil {
			return err
		}
	}
	if !j.keySync {
		return nil
	}
	if err := j.sync(); err != nil {
		return err
	}
	j.slot.keyLayout, j.slot.keyed, j.slot.keyFile = j.layout.packed(), j.keyed, keyFile{}
	if n := len(j.files); n > 0 {
		j.slot.keyFile = j.files[n-1]
		if full := j.files[n-1].count >= j.layout.entries; full {
			j.slot.keyTime = j.files[n-1].end
		} else if n > 1 {
			j.slot.keyTime = j.files[n-2].end
		}
	}
	return nil
}
