package store

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"time"

	"holdfast/broker/vfs"
)

const queueDir = "consumequeue"

// auxUnits is the number of waiting consume queue units that makes an AuxJob due before CheckpointEvery, and auxQueueUnits of how many a queue on
// average: where many queues wait a unit each would cost a file to be opened and synced.
const (
	auxUnits      = 8192
	auxQueueUnits = 16
)

// AuxJob brings to disk what Open could also rebuild, and never more than the log has on disk: consume queue units, keys and
// the checkpoint.
type AuxJob struct {
	Gen int32 // of the marks when it was taken

	store *Store // only what never changes is used in Run, and what belongs to the job: unitFiles, Queue.file
	parts []auxPart
	pages []unitPage // of the parts
	upto  int64      // everything below is synced
	units int64      // every unit of the log below is in parts or in files; <= upto

	syncQueues bool
	checkpoint bool

	keyer
	keySegs []*segment // the files of the log whose keys are to be put into index files
	keyed   int64      // up to where they are
	keySync bool       // index files are synced
	expiry  expiry     // files to remove: the job does nothing else
	file    vfs.File   // the checkpoint
	slot    slot

	unitFiles
	buf []byte

	queues             int // the first of Store.dirty: those that may have a part
	taken              bool
	lastRun, lastQueue time.Duration
	lastKeys           time.Duration
	lastWhole          time.Duration // when a job had all queues last: it is not held off for ever where many are written to without a pause
	hurried            bool          // files that could expire wait for what is not on disk
}

// auxPart is the units [from, to) of a queue.
type auxPart struct {
	q        *Queue
	units    hotUnits // as they were when the job was taken
	from, to int64
	prefill  bool // the first units of a queue that does not begin at 0
}

func queuePath(topic string, id int32) string {
	return path.Join(queueDir, topic, strconv.Itoa(int(id)))
}

func (q *Queue) dir() string { return queuePath(q.topic, q.id) }

func queueName(dir string, base int64) string { return fmt.Sprintf("%s/%020d", dir, base) }

// AuxDue returns when the next AuxJob will be due (on the clock of TakeAux's now), 0 when nothing waits for one. It may
// be due earlier when much is appended.
func (s *Store) AuxDue() time.Duration {
	j := &s.aux
	switch {
	case j.taken || s.err != nil || s.truncate.taken:
		return 0
	case s.expire.to != 0 || j.hurried:
		return 1
	case !s.auxWaits():
		return 0
	}
	return max(1, j.lastRun+s.cfg.CheckpointEvery)
}

// auxWaits reports whether there is something that a timed AuxJob brings to disk.
func (s *Store) auxWaits() bool {
	end := s.syncedRecords()
	return end > s.saved.synced || len(s.dirty) > 0 && s.dirty[0].phys < end
}

// TakeAux returns the job that is due at now (any clock that does not go back, the same at every call), or nil. At most
// one is outstanding: until AuxDone is told how it ended. It may run beside a WriteJob and a SyncJob.
func (s *Store) TakeAux(now time.Duration) *AuxJob {
	j := &s.aux
	if j.taken || s.err != nil || s.truncate.taken {
		return nil
	}
	if s.expire.to != 0 {
		s.prepareExpiry()
		return j
	}
	end := s.syncedRecords()
	timed := j.hurried || s.auxWaits() && now-j.lastRun >= s.cfg.CheckpointEvery
	full := end > j.upto && s.waiting >= max(auxUnits, auxQueueUnits*len(s.dirty))
	if !timed && !full {
		return nil
	}
	syncKeys := timed && (j.hurried || now-j.lastKeys >= s.cfg.QueueSyncEvery || end-s.saved.keyed >= 4*s.cfg.QueueSyncBytes)
	if syncKeys {
		j.lastKeys = now
	}
	j.keySync = syncKeys
	most, behind := s.cfg.AuxQueues, j.hurried || end-s.saved.indexed >= s.cfg.QueueSyncBytes || now-j.lastWhole >= 3*s.cfg.QueueSyncEvery
	if full || behind || len(s.dirty) <= most {
		most, j.lastWhole = len(s.dirty), now
	}
	s.prepareAux(timed, timed && (now-j.lastQueue >= s.cfg.QueueSyncEvery || behind), most)
	if timed {
		j.lastRun, j.hurried = now, false
	}
	if j.syncQueues {
		j.lastQueue = now
	}
	return j
}

// prepareAux fills in the job: the units of all that is synced, or of so much of it that at most so many queues have a part.
func (s *Store) prepareAux(checkpoint, syncQueues bool, most int) {
	j := &s.aux
	j.Gen, j.taken, j.parts, j.upto = s.marks.Gen, true, j.parts[:0], s.syncedRecords()
	j.checkpoint, j.syncQueues, j.expiry, j.pages = checkpoint, syncQueues, expiry{}, j.pages[:0]
	units, queues, indexedTime := s.units, s.known, s.syncedTime
	j.units, j.queues = j.upto, len(s.dirty)
	if most < len(s.dirty) && s.dirty[most].phys < j.upto {
		j.units, j.queues, indexedTime = s.dirty[most].phys, most, s.saved.logicsTime // of an older record: RocketMQ looks from there on
	}
	for _, d := range s.dirty[:j.queues] {
		q := d.q
		to := q.below(q.saved, j.units)
		if to == q.saved {
			continue
		}
		j.parts = append(j.parts, auxPart{q: q, units: q.hot.view(q.saved, to, &j.pages), from: q.saved, to: to, prefill: q.saved == q.min})
		units += to - q.saved
		if !q.known {
			units, queues = units+q.saved, queues+1
		}
	}
	if !checkpoint {
		return
	}
	s.prepareKeys()
	j.slot = s.saved
	j.slot.seq++
	j.slot.synced, j.slot.physicTime, j.slot.clean = j.upto, s.syncedTime, false
	if syncQueues {
		j.slot.indexed, j.slot.logicsTime, j.slot.units, j.slot.queues = j.units, indexedTime, units, queues
	}
}

// Run does it. Whoever runs it holds no lock; nothing else may use the job meanwhile.
func (j *AuxJob) Run() error {
	if j.expiry.to != 0 {
		return j.runExpiry()
	}
	for i := range j.parts {
		if err := j.writeUnits(&j.parts[i]); err != nil {
			return err
		}
	}
	if err := j.writeKeys(); err != nil {
		return err
	}
	if j.syncQueues {
		if err := j.syncUnits(j.store.fsys); err != nil {
			return err
		}
	}
	if j.checkpoint {
		if err := j.slot.save(j.file); err != nil {
			return err
		}
	}
	return nil
}

// writeUnits writes the units of p, file by file.
func (j *AuxJob) writeUnits(p *auxPart) error {
	size := j.store.cfg.QueueFileBytes
	for from := p.from; from < p.to; {
		base := from * unitBytes / size * size
		f, err := j.openQueue(p, base, from)
		if err != nil {
			return err
		}
		to := min(p.to, (base+size)/unitBytes)
		j.buf = slices.Grow(j.buf[:0], int(to-from)*unitBytes)[:(to-from)*unitBytes]
		for o := from; o < to; o++ {
			p.units.at(o).put(j.buf[(o-from)*unitBytes:])
		}
		f.dirty = true
		if _, err := f.f.WriteAt(j.buf, from*unitBytes-base); err != nil {
			return fmt.Errorf("write %s: %w", queueName(f.dir, base), err)
		}
		from = to
	}
	return nil
}

// openQueue makes the file with that base the one that p's units, from queue offset from on, go to.
func (j *AuxJob) openQueue(p *auxPart, base, from int64) (*queueFile, error) {
	q := p.q
	if q.file != nil && q.file.base != base {
		q.file = nil // full
	}
	f, err := j.openExisting(q, base)
	if !isNotExist(err) {
		return f, err
	}
	if f, err = j.createQueueFile(q, base); err != nil {
		return nil, err
	}
	if n := from - base/unitBytes; p.prefill && n > 0 {
		err = f.prefill(int(n))
	}
	return f, err
}

// createQueueFile makes the file that q is written to. There is room for it.
func (j *AuxJob) createQueueFile(q *Queue, base int64) (*queueFile, error) {
	if err := j.store.fsys.MkdirAll(q.dir()); err != nil {
		return nil, err
	}
	for _, dir := range []string{queueDir, path.Join(queueDir, q.topic), q.dir()} {
		j.noteDir(dir)
	}
	name := queueName(q.dir(), base)
	f, err := j.store.fsys.Create(name, j.store.cfg.QueueFileBytes)
	if err != nil {
		return nil, fmt.Errorf("create %s: %w", name, err)
	}
	q.file = j.opened(q, base, f)
	return q.file, nil
}

// prefill writes n blank units to the front of f.
func (f *queueFile) prefill(n int) error {
	b := make([]byte, n*unitBytes)
	for i := range n {
		unit{size: blankUnitSize}.put(b[i*unitBytes:])
	}
	f.dirty = true
	_, err := f.f.WriteAt(b, 0)
	return err
}

// AuxDone tells the store how the AuxJob ended. After vfs.ErrNoSpace a later job tries again; after any other error the
// store takes nothing more.
func (s *Store) AuxDone(gen int32, err error) {
	j := &s.aux
	j.taken = false
	switch {
	case errors.Is(err, vfs.ErrNoSpace) && !errors.Is(err, errSync):
		return
	case err != nil:
		s.fail(err)
		return
	case gen != s.marks.Gen:
		return
	}
	if j.expiry.to != 0 {
		s.expired()
		return
	}
	for i := range j.parts {
		p := &j.parts[i]
		s.waiting -= int(p.to - p.from)
		s.units += p.to - p.from
		if !p.q.known {
			p.q.known = true
			s.known, s.units = s.known+1, s.units+p.from
		}
		p.q.saved = p.to
		s.forget(&p.q.hot, min(p.to, p.q.next-int64(s.cfg.HotUnits)))
	}
	clear(j.pages)
	s.requeue(j.queues)
	if j.checkpoint {
		s.saved = j.slot
		s.keyed, s.keyFiles = j.keyed, slices.Clone(j.files)
	}
}

// requeue puts the first n dirty queues, of which units were written, where their first unit that waits belongs.
func (s *Store) requeue(n int) {
	again, rest := s.dirty[:0], s.dirty[n:]
	for _, d := range s.dirty[:n] {
		if q := d.q; q.saved < q.next {
			again = append(again, dirtyQueue{q, q.hot.at(q.saved).phys})
		} else {
			q.dirty = false
		}
	}
	slices.SortFunc(again, compareDirty)
	merged := s.spareDirty[:0]
	for len(again) > 0 && len(rest) > 0 {
		if again[0].phys < rest[0].phys {
			merged, again = append(merged, again[0]), again[1:]
		} else {
			merged, rest = append(merged, rest[0]), rest[1:]
		}
	}
	merged = append(append(merged, again...), rest...)
	s.dirty, s.spareDirty = merged, s.dirty
}
