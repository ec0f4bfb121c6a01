package store

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
)

// TruncateJob cuts the end of the log off, for good: when it has run, no power cut brings back what was behind To.
type TruncateJob struct {
	Gen int32 // of the marks after it
	To  int64 // physical offset: the end of the log after it

	store *Store // what never changes, and what belongs to the AuxJob: none is outstanding
	cuts  []queueCut
	lower bool // the checkpoint says more than is left: it is lowered before anything else happens
	files bool // bytes behind To were written
	drop  []*segment
	last  *segment // the file in which To lies; nil: none
	slot  slot
	taken bool

	keyed bool      // keys behind To are in index files
	kept  []keyFile // headers of the index files after it
	segs  []*segment
}

// queueCut is what a truncation leaves of a queue.
type queueCut struct {
	q     *Queue
	next  int64 // queue offset behind what is left; -1: only files tell
	saved int64 // units in files before the truncation
}

// ErrOutstanding says that a job must end before the log can be truncated.
var ErrOutstanding = errors.New("store: a job is outstanding")

// TakeTruncate cuts the log in memory and returns the job that does it on disk. to is the end of a record, or of a file,
// not below Min and not beyond Appended. No WriteJob, SyncJob or AuxJob may be outstanding, else it errs with
// ErrOutstanding, and none is handed out, nothing is appended, before Truncated is told that the job has run. The marks
// have a new Gen from now on and say nothing of what is cut off. Ranges in memory that were handed out keep what they
// hold; those in files behind to may not be read any more.
// Source: DefaultMessageStore.truncateFiles (RocketMQ 5.3.3), which forgets the bytes and leaves them on disk.
func (s *Store) TakeTruncate(to int64) (*TruncateJob, error) {
	switch {
	case s.err != nil:
		return nil, s.err
	case s.write.taken || s.sync.taken || s.aux.taken || s.truncate.taken:
		return nil, ErrOutstanding
	case to < s.marks.Min || to > s.marks.Indexed:
		return nil, fmt.Errorf("%w: truncation to %d, outside [%d, %d]", ErrOffset, to, s.marks.Min, s.marks.Indexed)
	}
	j := &s.truncate
	*j = TruncateJob{Gen: s.marks.Gen + 1, To: to, store: s, taken: true, slot: s.saved}
	j.lower, j.keyed = to < s.saved.synced, to < s.keyed
	j.segs = slices.Clone(s.segs)
	j.files = to < s.marks.Written || s.spilled
	s.spilled = false
	for _, q := range s.list {
		next := int64(-1)
		if q.hot.min == q.min || q.hot.min < q.next && q.hot.at(q.hot.min).end() <= to || q.next == q.min {
			next = q.below(q.hot.min, to)
			for next > q.hot.min && q.hot.at(next-1).blank() {
				next--
			}
			if next == q.hot.min && next > q.min {
				next = -1
			}
		}
		j.cuts = append(j.cuts, queueCut{q, next, q.saved})
	}
	s.cutMarks(to)
	s.cutTail(to)
	s.cutSegments(j)
	return j, nil
}

func (s *Store) cutMarks(to int64) {
	m := &s.marks
	m.Gen++
	m.Appended, m.Indexed = to, to
	m.Written, m.Synced = min(m.Written, to), min(m.Synced, to)
	s.bad = nil
	s.fileEnd = to - to%s.cfg.SegmentBytes + s.cfg.SegmentBytes
}

// cutTail makes to the end of what is in memory. What lies in the chunk of to is copied: a reader may hold what follows.
func (s *Store) cutTail(to int64) {
	if to <= s.hotMin {
		s.start(s.cfg.ChunkBytes, to)
		clear(s.chunks[:cap(s.chunks)])
		return
	}
	n := int(to>>s.shift - s.first)
	var front []byte
	if at := to & s.mask; at > 0 {
		front = slices.Clone(s.chunks[n].b[:at])
	}
	clear(s.chunks[n:])
	s.chunks = s.chunks[:n]
	if front != nil {
		b := make([]byte, s.mask+1)
		copy(b, front)
		s.chunks = append(s.chunks, chunk{b: b})
	}
}

// cutSegments takes the files that lie behind the cut off the log. The first file stays, for without any a log begins at 0.
func (s *Store) cutSegments(j *TruncateJob) {
	keep := len(s.segs)
	for keep > 1 && s.segs[keep-1].base >= j.To {
		keep--
	}
	j.drop = slices.Clone(s.segs[keep:])
	clear(s.segs[keep:])
	s.segs = s.segs[:keep]
	if keep > 0 {
		j.last = s.segs[keep-1]
	}
}

// Run does it. Whoever runs it holds no lock; nothing else may use the store's files meanwhile.
//
// Its order: first the queues of which no message is left say where they go on; then the checkpoint, for a log shorter than the checkpoint says is corrupt; then the log, whose bytes
// behind the cut are zeroed, else stale records could be valid again once the log has grown up to them; then the queues,
// of which Open believes nothing that the log does not hold. A power cut between two of these leaves a log that was cut,
// or one that was not.
func (j *TruncateJob) Run() error {
	if err := j.findCuts(); err != nil {
		return err
	}
	if err := j.findKeys(); err != nil {
		return err
	}
	if err := j.writeFloors(); err != nil {
		return err
	}
	if j.lower {
		j.lowerSlot()
		if err := j.slot.save(j.store.aux.file); err != nil {
			return err
		}
	}
	if !j.files {
		return nil
	}
	if err := j.cutLog(); err != nil {
		return err
	}
	for i := range j.cuts {
		if c := &j.cuts[i]; c.saved > c.next {
			if err := j.cutQueue(c); err != nil {
				return err
			}
		}
	}
	if j.keyed {
		if err := j.store.aux.keep(j.store.keyFiles, j.kept); err != nil {
			return err
		}
		if err := j.store.aux.sync(); err != nil {
			return err
		}
	}
	return j.store.aux.syncUnits(j.store.fsys)
}

// findKeys reads where the index files end.
func (j *TruncateJob) findKeys() (err error) {
	if !j.keyed {
		return nil
	}
	s := j.store
	j.kept, err = s.aux.cutKeys(s.keyFiles, j.To, &scanner{segs: j.segs, segBytes: s.cfg.SegmentBytes, doubt: math.MaxInt64, trusted: true})
	return err
}

// findCuts reads where queues end whose units at the cut are in files only.
func (j *TruncateJob) findCuts() error {
	for i := range j.cuts {
		c := &j.cuts[i]
		if c.next >= 0 {
			continue
		}
		r, err := newQueueReader(j.store.fsys, queueKey{c.q.topic, c.q.id}, j.store.cfg.QueueFileBytes)
		if err != nil {
			return err
		}
		c.next, err = r.search(c.q.min, c.q.hot.min, func(_ int64, u unit) bool { return u.blank() || u.end() <= j.To })
		for err == nil && c.next > c.q.min {
			var u unit
			if u, err = r.unit(c.next - 1); err == nil && !u.blank() {
				break
			}
			c.next--
		}
		r.close()
		if err != nil {
			return err
		}
	}
	return nil
}

// emptied reports whether nothing is left of a queue whose first messages had expired: units in files lead behind the cut only.
func (c *queueCut) emptied() bool { return c.next <= c.q.min && c.saved > c.q.min && c.q.min > 0 }

// writeFloors has the queues that are emptied say, for good, where they go on: what is written over leads to expired messages.
func (j *TruncateJob) writeFloors() error {
	wrote := false
	for i := range j.cuts {
		c := &j.cuts[i]
		if !c.emptied() {
			continue
		}
		wrote = true
		if err := j.store.writeFloor(c.q, c.q.min); err != nil {
			return err
		}
	}
	if !wrote {
		return nil
	}
	return j.store.aux.syncUnits(j.store.fsys)
}

// lowerSlot makes the checkpoint say what is left.
func (j *TruncateJob) lowerSlot() {
	c := &j.slot
	c.seq++
	c.synced, c.clean = j.To, false
	if c.keyed > j.To {
		c.keyed, c.keyFile = j.To, keyFile{}
		if n := len(j.kept); n > 0 {
			c.keyFile = j.kept[n-1]
		}
	}
	if c.indexed <= j.To {
		return
	}
	c.indexed, c.units, c.queues = j.To, 0, 0
	for i := range j.cuts {
		if cut := &j.cuts[i]; cut.q.known && cut.next > cut.q.min {
			c.units, c.queues = c.units+cut.next, c.queues+1
		}
	}
}

// cutLog removes the files behind the cut, the last one first and each for good before the next, so that no power cut
// leaves a gap between files, and zeroes the rest of the file in which the log ends.
func (j *TruncateJob) cutLog() error {
	fsys, size := j.store.fsys, j.store.cfg.SegmentBytes
	for i := len(j.drop) - 1; i >= 0; i-- {
		g := j.drop[i]
		if g.file == nil {
			continue
		}
		g.file.Close()
		if err := fsys.Remove(logName(g.base)); err != nil {
			return fmt.Errorf("remove %s: %w", logName(g.base), err)
		}
		if err := fsys.SyncDir(logDir); err != nil {
			return fmt.Errorf("sync directory %s: %w", logDir, err)
		}
	}
	g := j.last
	if g == nil || g.file == nil || j.To >= g.base+size {
		return nil
	}
	for _, length := range []int64{max(0, j.To-g.base), size} {
		if err := g.file.Truncate(length); err != nil {
			return fmt.Errorf("zero %s from %d: %w", logName(g.base), j.To-g.base, err)
		}
	}
	if err := g.file.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", logName(g.base), err)
	}
	return j.store.syncDirs(logDir) // no SyncJob need come that would make the file's name durable
}

// cutQueue removes and zeroes what the files of a queue hold from the cut on.
func (j *TruncateJob) cutQueue(c *queueCut) error {
	s, q := j.store, c.q
	dir, size, keep := q.dir(), s.cfg.QueueFileBytes, c.next*unitBytes
	switch {
	case c.emptied():
		keep = q.min * unitBytes
	case c.next <= q.min:
		keep = q.min * unitBytes / size * size // none of it is left
	}
	names, err := s.fsys.List(dir)
	if err != nil {
		return err
	}
	for _, name := range slices.Backward(names) {
		base, err := strconv.ParseInt(name, 10, 64)
		if err != nil || len(name) != 20 || base < keep {
			continue
		}
		s.aux.drop(func(f *queueFile) bool { return f.q == q && f.base == base })
		if err := s.fsys.Remove(queueName(dir, base)); err != nil {
			return err
		}
		s.aux.noteDir(dir)
	}
	return j.zeroUnits(c, keep)
}

// zeroUnits zeroes the rest of the file in which the queue ends now, which becomes the one that is open.
func (j *TruncateJob) zeroUnits(c *queueCut, keep int64) error {
	s, q := j.store, c.q
	size := s.cfg.QueueFileBytes
	base := keep / size * size
	if base == keep {
		return nil
	}
	f, err := s.aux.openExisting(q, base)
	if err != nil {
		return err
	}
	q.file = f
	return f.zero(keep-base, size)
}

// Truncated tells the store how the TruncateJob ended. After an error it takes nothing more.
func (s *Store) Truncated(gen int32, err error) {
	j := &s.truncate
	j.taken = false
	if err != nil || gen != s.marks.Gen {
		s.fail(fmt.Errorf("truncate: %w", errors.Join(err, errGen(gen, s.marks.Gen))))
		return
	}
	if j.lower {
		s.saved = j.slot
	}
	s.aux.upto = min(s.aux.upto, j.To)
	if j.keyed {
		s.keyed, s.keyFiles = j.To, j.kept
	}
	s.waiting, s.units, s.known = 0, 0, 0
	for i := range j.cuts {
		s.cutUnits(&j.cuts[i])
	}
	s.dirty = s.dirty[:0]
	for _, q := range s.list {
		q.window = nil
		if q.dirty = q.saved < q.next; q.dirty {
			s.dirty = append(s.dirty, dirtyQueue{q, q.hot.at(q.saved).phys})
			s.waiting += int(q.next - q.saved)
		}
		if q.known {
			s.units, s.known = s.units+q.saved, s.known+1
		}
	}
	slices.SortFunc(s.dirty, compareDirty)
	j.cuts, j.drop, j.last, j.kept, j.segs = nil, nil, nil, nil, nil
}

func errGen(got, want int32) error {
	if got == want {
		return nil
	}
	return fmt.Errorf("generation %d, not %d", got, want)
}

// cutUnits takes what is cut off out of the memory of a queue.
func (s *Store) cutUnits(c *queueCut) {
	q := c.q
	if c.next >= q.next {
		return
	}
	if c.next <= q.min { // nothing is left; a log that goes on elsewhere may begin it anew
		q.startAt(q.min)
		q.known = false
		return
	}
	q.next, q.saved = c.next, min(q.saved, c.next)
	q.hot.cut(c.next)
}
