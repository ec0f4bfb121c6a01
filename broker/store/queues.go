package store

import (
	"fmt"
	"io"
	"path"
	"slices"
	"sort"
	"strconv"

	"holdfast/broker/message"
	"holdfast/broker/vfs"
)

// queueReader reads the files of one consume queue.
type queueReader struct {
	fsys      vfs.FS
	dir       string
	fileBytes int64
	bases     []int64 // byte offsets of the files' first units, sorted
	file      vfs.File
	fileBase  int64
}

// listQueues returns topic and queue id of every directory of a consume queue, sorted.
func listQueues(fsys vfs.FS) ([]queueKey, error) {
	topics, err := fsys.List(queueDir)
	if err != nil {
		return nil, err
	}
	var keys []queueKey
	for _, topic := range topics {
		ids, err := fsys.List(path.Join(queueDir, topic))
		if err != nil {
			return nil, err
		}
		for _, name := range ids {
			if id, err := strconv.ParseInt(name, 10, 32); err == nil && id >= 0 {
				keys = append(keys, queueKey{topic, int32(id)})
			}
		}
	}
	sort.Slice(keys, func(i, j int) bool {
		return keys[i].topic < keys[j].topic || keys[i].topic == keys[j].topic && keys[i].id < keys[j].id
	})
	return keys, nil
}

// newQueueReader lists the files of a queue; those that do not continue the first one are left out.
func newQueueReader(fsys vfs.FS, key queueKey, fileBytes int64) (*queueReader, error) {
	r := &queueReader{fsys: fsys, dir: queuePath(key.topic, key.id), fileBytes: fileBytes, fileBase: -1}
	names, err := fsys.List(r.dir)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if base, err := strconv.ParseInt(name, 10, 64); err == nil && len(name) == 20 && base%fileBytes == 0 && base >= 0 {
			r.bases = append(r.bases, base)
		}
	}
	slices.Sort(r.bases)
	for i, base := range r.bases {
		if base != r.bases[0]+int64(i)*fileBytes {
			r.bases = r.bases[:i]
			break
		}
	}
	return r, nil
}

func (r *queueReader) close() {
	if r.file != nil {
		r.file.Close()
	}
}

// first and limit return the queue offsets between which the files have room for units.
func (r *queueReader) first() int64 {
	if len(r.bases) == 0 {
		return 0
	}
	return r.bases[0] / unitBytes
}

func (r *queueReader) limit() int64 {
	return r.first() + int64(len(r.bases))*r.fileBytes/unitBytes
}

// open makes file the one with the unit at queue offset o, which begins there at byte at.
func (r *queueReader) open(o int64) (at int64, err error) {
	base := o * unitBytes / r.fileBytes * r.fileBytes
	if r.fileBase != base {
		f, err := r.fsys.Open(queueName(r.dir, base))
		if err != nil {
			return 0, err
		}
		r.close()
		r.file, r.fileBase = f, base
	}
	return o*unitBytes - base, nil
}

// read fills b with the units from queue offset o on, which lie in one file. What a file lacks reads as zero.
func (r *queueReader) read(o int64, b []byte) error {
	at, err := r.open(o)
	if err != nil {
		return err
	}
	n, err := r.file.ReadAt(b, at)
	if n < len(b) && err != io.EOF {
		return fmt.Errorf("read %s: %w", queueName(r.dir, r.fileBase), err)
	}
	clear(b[n:])
	return nil
}

// unit returns the unit at queue offset o.
func (r *queueReader) unit(o int64) (unit, error) {
	var b [unitBytes]byte
	err := r.read(o, b[:])
	return readUnit(b[:]), err
}

// emptyFrom reports whether the file with the unit at queue offset o is as long as it should be and has nothing from there on. It looks at a
// few pages at most: false says no more than that.
func (r *queueReader) emptyFrom(o int64) (bool, error) {
	at, err := r.open(o)
	if err != nil {
		return false, err
	}
	if size, err := r.file.Size(); err != nil || size != r.fileBytes {
		return false, err
	}
	var b [4096]byte
	for range 4 {
		if at, err = vfs.NextData(r.file, at); err != nil || at < 0 {
			return err == nil, err
		}
		part := b[:min(int64(len(b))-at%int64(len(b)), r.fileBytes-at)]
		if n, err := r.file.ReadAt(part, at); n < len(part) {
			return false, err
		}
		if !allZero(part) {
			return false, nil
		}
		if at += int64(len(part)); at == r.fileBytes {
			return true, nil
		}
	}
	return false, nil
}

// search returns the first queue offset in [from, to) whose unit is not one that holds accepts, or to. holds accepts those
// before it and none behind. It looks near from first: where there are many queues they are short.
func (r *queueReader) search(from, to int64, holds func(int64, unit) bool) (int64, error) {
	for step := int64(1); from < to; step *= 2 {
		mid := from + min(step-1, (to-from)/2)
		u, err := r.unit(mid)
		if err != nil {
			return 0, err
		}
		if holds(mid, u) {
			from = mid + 1
		} else {
			to = mid
		}
	}
	return from, nil
}

// begin returns the first queue offset whose record is in a log that begins at physical offset logMin, and the one behind the last mark
// of messages that are expired, 0 without any.
func (r *queueReader) begin(logMin int64) (first, expired int64, err error) {
	for o := r.first(); o < r.limit(); {
		perFile := r.fileBytes / unitBytes
		b := make([]byte, min(1024, perFile-o%perFile)*unitBytes)
		if o == r.first() {
			b = b[:unitBytes] // as a rule it is this one
		}
		if err := r.read(o, b); err != nil {
			return 0, 0, err
		}
		for ; len(b) > 0; b, o = b[unitBytes:], o+1 {
			u := readUnit(b)
			if !u.blank() && (u.size <= 0 || u.phys >= logMin) {
				return o, expired, nil
			}
			if u.expired() {
				expired = o + 1
			}
		}
	}
	return r.limit(), expired, nil
}

// openQueues takes over the units that the checkpoint says are on disk. Where they are not there, or trusted is false, it
// removes every unit, and returns false: the queues are built anew from the whole log.
func (s *Store) openQueues(trusted bool, r *Recovery) (bool, error) {
	keys, err := listQueues(s.fsys)
	if err != nil {
		return false, err
	}
	if trusted {
		for _, key := range keys {
			if err := s.openQueue(key); err != nil {
				return false, err
			}
		}
		if s.units == s.saved.units && s.known == s.saved.queues {
			return true, nil
		}
	}
	r.Rebuilt = len(keys) > 0 || trusted && s.saved.queues > 0
	s.aux.drop(func(*queueFile) bool { return true })
	s.byKey, s.list, s.units, s.known = map[queueKey]*Queue{}, nil, 0, 0
	for _, key := range keys {
		if err := s.keepFloor(key); err != nil {
			return false, err
		}
		if err := s.removeUnits(key); err != nil {
			return false, err
		}
	}
	return false, nil
}

// openQueue takes over the units of one queue whose records lie below the indexed mark of the checkpoint. What follows
// them is zeroed: it was not synced, or is of records that will be cut.
func (s *Store) openQueue(key queueKey) error {
	r, err := newQueueReader(s.fsys, key, s.cfg.QueueFileBytes)
	if err != nil {
		return err
	}
	defer r.close()
	first, expired, err := r.begin(s.marks.Min)
	if err != nil {
		return err
	}
	// Behind the last unit on disk anything may stand, also bytes that look like a unit below the mark: the record decides.
	c := &scanner{segs: s.segs, segBytes: s.cfg.SegmentBytes}
	holds := func(o int64, u unit) bool {
		return u.blank() || u.end() <= s.saved.indexed && c.holds(key, o, u)
	}
	next, err := r.search(first, r.limit(), holds)
	for err == nil && next > first {
		var u unit
		if u, err = r.unit(next - 1); err == nil && !u.blank() && holds(next-1, u) {
			break
		}
		next--
	}
	if err != nil {
		return err
	}
	q, err := s.Queue(key.topic, key.id)
	if err != nil {
		return nil // no topic of ours, its directory stays alone
	}
	if next == first {
		q.startAt(expired)
		return s.trimQueue(q, r, expired)
	}
	q.startAt(next)
	q.min, q.known = first, true
	s.units, s.known = s.units+next, s.known+1
	return s.trimQueue(q, r, next)
}

// holds says whether u, the unit at queue offset o of a queue, is that of a record of the log.
func (c *scanner) holds(key queueKey, o int64, u unit) bool {
	g := c.segment(u.phys)
	if g == nil || u.size < blankBytes || u.end() > g.base+c.segBytes {
		return false
	}
	b := make([]byte, u.size)
	if n, _ := g.file.ReadAt(b, u.phys-g.base); n < len(b) {
		return false
	}
	_, err := message.DecodeInto(&c.record, b, false)
	return err == nil && c.record.PhysOffset == u.phys && c.record.QueueOffset == o && c.record.QueueID == key.id && string(c.record.Topic) == key.topic
}

// trimQueue zeroes what the files of q hold from queue offset next on.
func (s *Store) trimQueue(q *Queue, r *queueReader, next int64) error {
	if s.saved.clean || len(r.bases) == 0 {
		return nil
	}
	keep := next * unitBytes
	for i := len(r.bases) - 1; i >= 0 && r.bases[i] >= keep; i-- {
		if err := s.fsys.Remove(queueName(r.dir, r.bases[i])); err != nil {
			return err
		}
		s.aux.noteDir(r.dir)
	}
	base := keep / r.fileBytes * r.fileBytes
	if base == keep || base < r.bases[0] {
		return nil
	}
	if empty, err := r.emptyFrom(next); empty || err != nil {
		return err
	}
	f, err := s.aux.openExisting(q, base)
	if err != nil {
		return err
	}
	return f.zero(keep-base, r.fileBytes)
}

// removeUnits removes every file of a queue.
func (s *Store) removeUnits(key queueKey) error {
	dir := queuePath(key.topic, key.id)
	names, err := s.fsys.List(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if base, err := strconv.ParseInt(name, 10, 64); err != nil || len(name) != 20 || base < 0 {
			continue
		}
		if err := s.fsys.Remove(path.Join(dir, name)); err != nil {
			return err
		}
		s.aux.noteDir(dir)
	}
	return nil
}
