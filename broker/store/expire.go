package store

import (
	"fmt"
	"slices"
	"strconv"
)

// expiredTags marks the unit of a queue's last message when the log has no message of the queue any more: as a blank unit with these
// tags, so that Open knows where the queue goes on. To RocketMQ it is a blank unit as any other.
const expiredTags = 0x6578706972656421 // "expired!"

func (u unit) expired() bool { return u.blank() && u.tags == expiredTags }

// expiry is files that are to be removed, because their messages are older than they need to be kept.
type expiry struct {
	to    int64 // the new begin of the log, the begin of a file; 0: none
	segs  []*segment
	cuts  []expiredCut
	files []keyFile // the index files that stay
}

// expiredCut is what is left of a queue.
type expiredCut struct {
	q    *Queue
	min  int64 // its first queue offset before and after
	kept int64 // -1: only files tell
	next int64 // queue offset behind the units that are in files
	gone bool  // none of the units that the checkpoint counts is left
}

// Expirable returns the physical offset up to which the log may be cut at its begin, at most files files at once: those whose messages were
// all stored before the time (Unix ms), or any files with force. It is Min when there is nothing to remove, or files are being removed. What is not yet on
// disk with its consume queue units and keys stays for now, and the next AuxJob, which is due at once, brings all of it there; the last file of
// which something is on disk stays, for the next one may not even have been made.
// Source: MappedFileQueue.deleteExpiredFileByTime (RocketMQ 5.3.3), which asks the file system for the time of a file.
func (s *Store) Expirable(before int64, files int, force bool) int64 {
	to := s.marks.Min
	if s.expire.to != 0 {
		return to // one at a time
	}
	for i := 1; i < len(s.segs) && i <= files; i++ {
		next := s.segs[i]
		if !force && (next.begun == 0 || next.begun >= before) {
			break
		}
		if next.base >= s.saved.indexed || s.layout != (keyLayout{}) && next.base > s.saved.keyed {
			s.aux.hurried = next.base < s.syncedRecords()
			break
		}
		to = next.base
	}
	return to
}

// Expire has the next AuxJob remove the files of the log below to, which Expirable has returned, with all that leads there. What lies
// below is not handed out any more from now on; ranges that were handed out stay readable.
func (s *Store) Expire(to int64) {
	if s.err != nil || to <= s.marks.Min || s.expire.to != 0 {
		return
	}
	n := 0
	for n < len(s.segs) && s.segs[n].base < to {
		n++
	}
	s.expire = expiry{to: to, segs: slices.Clone(s.segs[:n])}
	s.segs = slices.Delete(s.segs, 0, n)
	s.marks.Min = to
}

// Expires reports whether the job removes files.
func (j *AuxJob) Expires() bool { return j.expiry.to != 0 }

// prepareExpiry makes the AuxJob one that removes files and does nothing else: it must not need space.
func (s *Store) prepareExpiry() {
	j := &s.aux
	j.Gen, j.taken, j.parts, j.checkpoint, j.syncQueues, j.keySync = s.marks.Gen, true, j.parts[:0], false, false, false
	j.expiry = s.expire
	for _, q := range s.list {
		c := expiredCut{q: q, min: q.min, kept: -1, next: q.saved}
		if q.saved == q.min {
			continue
		}
		if q.hot.min < q.saved && q.hot.at(q.hot.min).end() <= j.expiry.to {
			c.kept = min(q.saved, q.below(q.hot.min, j.expiry.to))
		}
		j.expiry.cuts = append(j.expiry.cuts, c)
	}
	for i, f := range s.keyFiles {
		if i == len(s.keyFiles)-1 || f.endPhys >= j.expiry.to {
			j.expiry.files = append(j.expiry.files, f)
		}
	}
	j.slot = s.saved
	j.slot.seq++
	j.slot.min, j.slot.clean = j.expiry.to, false
}

// runExpiry removes files. The checkpoint says so before the first one is gone, and the queues of which nothing is left say where they
// go on before that.
func (j *AuxJob) runExpiry() error {
	e := &j.expiry
	for i := range e.cuts {
		if err := j.cutExpired(&e.cuts[i]); err != nil {
			return err
		}
	}
	if err := j.syncUnits(j.store.fsys); err != nil {
		return err
	}
	if err := j.slot.save(j.file); err != nil {
		return err
	}
	fsys := j.store.fsys
	for _, g := range e.segs {
		if err := fsys.Remove(logName(g.base)); err != nil && !isNotExist(err) {
			return fmt.Errorf("remove %s: %w", logName(g.base), err)
		}
	}
	if err := fsys.SyncDir(logDir); err != nil {
		return fmt.Errorf("%w directory %s: %w", errSync, logDir, err)
	}
	for i := range e.cuts {
		if err := j.removeExpired(&e.cuts[i]); err != nil {
			return err
		}
	}
	for _, f := range j.store.keyFiles[:len(j.store.keyFiles)-len(e.files)] {
		if err := fsys.Remove(f.path()); err != nil && !isNotExist(err) {
			return fmt.Errorf("remove %s: %w", f.path(), err)
		}
	}
	return nil
}

// cutExpired finds the first unit of a queue that is left, and marks a queue without any.
func (j *AuxJob) cutExpired(c *expiredCut) error {
	r, err := newQueueReader(j.store.fsys, queueKey{c.q.topic, c.q.id}, j.store.cfg.QueueFileBytes)
	if err != nil {
		return err
	}
	defer r.close()
	if c.kept < 0 {
		c.kept, err = r.search(max(c.min, r.first()), c.next, func(_ int64, u unit) bool { return u.blank() || u.end() <= j.expiry.to })
		if err != nil {
			return err
		}
	}
	if c.kept <= c.min {
		return nil
	}
	if c.kept < c.next {
		u, err := r.unit(c.kept)
		if err != nil || u.end() <= j.slot.indexed {
			return err
		}
	}
	c.gone = true
	j.slot.units, j.slot.queues = j.slot.units-c.kept, j.slot.queues-1
	return j.markExpired(c)
}

// markExpired writes the mark over the last unit that expires.
func (j *AuxJob) markExpired(c *expiredCut) error {
	size := j.store.cfg.QueueFileBytes
	at := (c.kept - 1) * unitBytes
	base := at / size * size
	f, err := j.openExisting(c.q, base)
	if err != nil {
		return err
	}
	var b [unitBytes]byte
	unit{size: blankUnitSize, tags: expiredTags}.put(b[:])
	f.dirty = true
	if _, err := f.f.WriteAt(b[:], at-base); err != nil {
		return fmt.Errorf("write %s: %w", queueName(f.dir, base), err)
	}
	return nil
}

// removeExpired removes the files of a queue that have nothing from kept on, but never the last one.
func (j *AuxJob) removeExpired(c *expiredCut) error {
	size, dir := j.store.cfg.QueueFileBytes, c.q.dir()
	names, err := j.store.fsys.List(dir)
	if err != nil || len(names) == 0 {
		return err
	}
	for _, name := range names[:len(names)-1] {
		base, err := strconv.ParseInt(name, 10, 64)
		if err != nil || len(name) != 20 || base < 0 || base+size > (c.kept-1)*unitBytes {
			continue
		}
		if c.q.file != nil && c.q.file.base == base {
			continue // what is written next goes there
		}
		if err := j.store.fsys.Remove(queueName(dir, base)); err != nil && !isNotExist(err) {
			return err
		}
	}
	return nil
}

// expired tells the store that the files are gone.
func (s *Store) expired() {
	e := &s.aux.expiry
	for i := range e.cuts {
		c := &e.cuts[i]
		q := c.q
		q.min = max(q.min, c.kept)
		if c.gone && q.known && q.saved == c.kept {
			q.known = false
			s.units, s.known = s.units-q.saved, s.known-1
		}
		q.window = nil
	}
	s.keyFiles = slices.Clone(e.files)
	s.saved = s.aux.slot
	s.expire, s.aux.expiry = expiry{}, expiry{}
}

// dropBelow removes the files of the log below the begin that the checkpoint states: a power cut came before they were all gone.
func (s *Store) dropBelow(min int64) error {
	for len(s.segs) > 1 && s.segs[0].base < min {
		if err := s.fsys.Remove(logName(s.segs[0].base)); err != nil {
			return fmt.Errorf("remove %s: %w", logName(s.segs[0].base), err)
		}
		s.segs[0].file.Close()
		s.segs = s.segs[1:]
	}
	return nil
}

// findBegun reads when the first message of each file of the log was stored.
func (s *Store) findBegun() {
	c := &scanner{segs: s.segs, segBytes: s.cfg.SegmentBytes, doubt: s.saved.synced, trusted: true}
	for _, g := range s.segs {
		c.pos = g.base
		if _, phys, err := c.next(); err == nil && phys == g.base {
			g.begun = c.record.StoreTimestamp
		}
	}
}

// floor is where a queue goes on of which the log has no message.
type floor struct {
	key  queueKey
	next int64
}

// keepFloor notes down where a queue ends before its units are thrown away.
func (s *Store) keepFloor(key queueKey) error {
	r, err := newQueueReader(s.fsys, key, s.cfg.QueueFileBytes)
	if err != nil {
		return err
	}
	defer r.close()
	next, _, err := r.begin(s.marks.Min)
	if err == nil && next > 0 && len(r.bases) > 0 {
		s.floors = append(s.floors, floor{key, next})
	}
	return err
}

// setFloors has the queues of which the log has no message go on where they ended.
func (s *Store) setFloors() error {
	for _, f := range s.floors {
		q, err := s.Queue(f.key.topic, f.key.id)
		if err != nil || q.next > 0 {
			continue // no topic of ours, or one with messages
		}
		q.startAt(f.next)
		if err := s.writeFloor(q, f.next); err != nil {
			return err
		}
	}
	s.floors = nil
	return nil
}

// writeFloor writes the file that says that a queue without messages goes on at queue offset next, above 0.
func (s *Store) writeFloor(q *Queue, next int64) error {
	size := s.cfg.QueueFileBytes
	base := (next - 1) * unitBytes / size * size
	p := auxPart{q: q}
	f, err := s.aux.openQueue(&p, base, base/unitBytes)
	if err != nil {
		return err
	}
	if err := f.prefill(int(next - base/unitBytes)); err != nil {
		return err
	}
	return s.aux.markExpired(&expiredCut{q: q, kept: next})
}
