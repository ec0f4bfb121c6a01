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

// auxUnits is the number of waiting consume queue units that makes an AuxJob due before CheckpointEvery.
const auxUnits = 8192

// AuxJob brings to disk what Open could also rebuild, and never more than the log has on disk: consume queue units, keys and
// the checkpoint.
type AuxJob struct {
	Gen int32 // of the marks when it was taken

	store *Store // only what never changes is used in Run, and what belongs to the job: Queue.file, unsynced, dirs
	parts []auxPart
	pages []unitPage // of the parts
	upto  int64      // everything below is synced, and every unit of it is in parts or in files

	syncQueues bool
	checkpoint bool

	keyer
	keySegs []*segment // the files of the log whose keys are to be put into index files
	keyed   int64      // up to where they are
	keySync bool       // index files are synced
	expiry  expiry     // files to remove: the job does nothing else
	file    vfs.File   // the checkpoint
	slot    slot

	unsynced []*queueFile // written since they were synced
	dirs     []string     // that got a new name since they were synced
	buf      []byte

	taken              bool
	lastRun, lastQueue time.Duration
	lastKeys           time.Duration
}

// auxPart is the units [from, to) of a queue.
type auxPart struct {
	q        *Queue
	units    hotUnits // as they were when the job was taken
	from, to int64
	prefill  bool // the first units of a queue that does not begin at 0
}

// queueFile is the open file in which a queue's last units are.
type queueFile struct {
	dir     string
	base    int64 // byte offset of the first unit, the file's name
	f       vfs.File
	queued  bool // stands in AuxJob.unsynced
	retired bool // full: closed once it is synced
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
	if s.expire.to != 0 && !j.taken && s.err == nil && !s.truncate.taken {
		return 1
	}
	if j.taken || s.err != nil || s.truncate.taken || s.syncedRecords() <= s.saved.synced {
		return 0
	}
	return max(1, j.lastRun+s.cfg.CheckpointEvery)
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
	timed := end > s.saved.synced && now-j.lastRun >= s.cfg.CheckpointEvery
	full := end > j.upto && s.waiting >= auxUnits
	if !timed && !full {
		return nil
	}
	syncKeys := timed && (now-j.lastKeys >= s.cfg.QueueSyncEvery || end-s.saved.keyed >= 4*s.cfg.QueueSyncBytes)
	if syncKeys {
		j.lastKeys = now
	}
	j.keySync = syncKeys
	s.prepareAux(timed, timed && (now-j.lastQueue >= s.cfg.QueueSyncEvery || end-s.saved.indexed >= s.cfg.QueueSyncBytes))
	if timed {
		j.lastRun = now
	}
	if j.syncQueues {
		j.lastQueue = now
	}
	return j
}

// prepareAux fills in the job: the units of all that is synced.
func (s *Store) prepareAux(checkpoint, syncQueues bool) {
	j := &s.aux
	j.Gen, j.taken, j.store, j.parts, j.upto = s.marks.Gen, true, s, j.parts[:0], s.syncedRecords()
	j.checkpoint, j.syncQueues, j.expiry, j.pages = checkpoint, syncQueues, expiry{}, j.pages[:0]
	units, queues := s.units, s.known
	for _, q := range s.dirty {
		to := q.below(q.saved, j.upto)
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
		j.slot.indexed, j.slot.logicsTime, j.slot.units, j.slot.queues = j.upto, s.syncedTime, units, queues
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
		if err := j.syncUnits(); err != nil {
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
		if err := j.openQueue(p, base, from); err != nil {
			return err
		}
		to := min(p.to, (base+size)/unitBytes)
		j.buf = slices.Grow(j.buf[:0], int(to-from)*unitBytes)[:(to-from)*unitBytes]
		for o := from; o < to; o++ {
			p.units.at(o).put(j.buf[(o-from)*unitBytes:])
		}
		if _, err := p.q.file.f.WriteAt(j.buf, from*unitBytes-base); err != nil {
			return fmt.Errorf("write %s: %w", queueName(p.q.dir(), base), err)
		}
		j.unsyncedFile(p.q.file)
		from = to
	}
	return nil
}

// openQueue makes the file with that base the one that p's units, from queue offset from on, go to.
func (j *AuxJob) openQueue(p *auxPart, base, from int64) error {
	q := p.q
	if q.file != nil && q.file.base == base {
		return nil
	}
	if q.file != nil {
		q.file.retired = true
		j.unsyncedFile(q.file)
		q.file = nil
	}
	name := queueName(q.dir(), base)
	f, err := j.store.fsys.Open(name)
	if isNotExist(err) {
		f, err = j.createQueueFile(q, name)
		if err == nil && p.prefill && from*unitBytes > base {
			err = prefill(f, int(from-base/unitBytes))
		}
	}
	if err != nil {
		return fmt.Errorf("open %s: %w", name, err)
	}
	q.file = &queueFile{dir: q.dir(), base: base, f: f}
	return nil
}

func (j *AuxJob) createQueueFile(q *Queue, name string) (vfs.File, error) {
	if err := j.store.fsys.MkdirAll(q.dir()); err != nil {
		return nil, err
	}
	for _, dir := range []string{queueDir, path.Join(queueDir, q.topic), q.dir()} {
		if !slices.Contains(j.dirs, dir) {
			j.dirs = append(j.dirs, dir)
		}
	}
	return j.store.fsys.Create(name, j.store.cfg.QueueFileBytes)
}

// prefill writes n blank units to the front of f.
func prefill(f vfs.File, n int) error {
	b := make([]byte, n*unitBytes)
	for i := range n {
		unit{size: blankUnitSize}.put(b[i*unitBytes:])
	}
	_, err := f.WriteAt(b, 0)
	return err
}

func (j *AuxJob) unsyncedFile(f *queueFile) {
	if !f.queued {
		f.queued = true
		j.unsynced = append(j.unsynced, f)
	}
}

// errSync marks an error after which nothing may be tried again.
var errSync = errors.New("sync")

// syncUnits makes durable all units that were written so far.
func (j *AuxJob) syncUnits() error {
	for _, f := range j.unsynced {
		if err := f.f.Sync(); err != nil {
			return fmt.Errorf("%w %s: %w", errSync, queueDir, err)
		}
		f.queued = false
		if f.retired {
			f.f.Close()
		}
	}
	j.unsynced = j.unsynced[:0]
	for _, dir := range j.dirs {
		if err := j.store.fsys.SyncDir(dir); err != nil {
			return fmt.Errorf("%w directory %s: %w", errSync, dir, err)
		}
	}
	j.dirs = j.dirs[:0]
	return nil
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
	s.dirty = slices.DeleteFunc(s.dirty, func(q *Queue) bool {
		q.dirty = q.saved < q.next
		return !q.dirty
	})
	if j.checkpoint {
		s.saved = j.slot
		s.keyed, s.keyFiles = j.keyed, slices.Clone(j.files)
	}
}
