package store

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"holdfast/broker/vfs"
)

const (
	abortName = "abort"
	lockName  = "lock"
)

// Recovery is what Open found and did.
type Recovery struct {
	Clean     bool  // the store had been closed
	Min, End  int64 // physical offsets between which the log is
	Trusted   int64 // the durable checkpoint: physical offset below which nothing was doubted
	Records   int64 // scanned
	Scanned   int64 // bytes of log scanned
	Rewritten int64 // valid bytes behind Trusted, which may have been in the page cache only: written anew and synced
	Cut       *Bad  // why the log ends at End, if what follows was no valid record
	CutBytes  int64 // bytes from End to the last one that was not zero
	Removed   int   // commit log files behind End that were removed
	Rebuilt   bool  // consume queues were built anew from the whole log
}

// String says in a line what Open found and did.
func (r Recovery) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "commit log [%d, %d)", r.Min, r.End)
	if r.Clean {
		b.WriteString(", closed cleanly")
	} else {
		fmt.Fprintf(&b, ", not closed; checkpoint at %d, %d bytes with %d records scanned, %d bytes written anew", r.Trusted, r.Scanned, r.Records, r.Rewritten)
	}
	if r.Rebuilt {
		b.WriteString(", consume queues rebuilt")
	}
	if r.CutBytes > 0 || r.Cut != nil {
		fmt.Fprintf(&b, ", cut %d bytes", r.CutBytes)
	}
	if r.Cut != nil {
		fmt.Fprintf(&b, " (%s)", r.Cut.Reason)
	}
	if r.Removed > 0 {
		fmt.Fprintf(&b, ", removed %d files", r.Removed)
	}
	return b.String()
}

// Open opens the store in fsys, or makes one. What it finds behind the durable checkpoint may be in the page cache only,
// also after the restart of a process whose sync failed. So it writes the valid records there anew, zeroes what
// follows (else stale records could be valid again once the log has grown up to them), syncs files and directory, and
// only then calls it Synced.
//
// It errs with ErrInUse, with ErrCorrupt when records that had been synced are not valid (see Config.CutCorrupt; the
// log is left as it is), or with what the disk said; then it leaves nothing open.
// Source: CommitLog.recoverAbnormally, MappedFileQueue.load (RocketMQ 5.3.3) for what a log may look like.
func Open(fsys vfs.FS, cfg Config) (*Store, Recovery, error) {
	if err := cfg.Validate(); err != nil {
		return nil, Recovery{}, err
	}
	s := &Store{fsys: fsys, cfg: cfg.withDefaults()}
	s.byKey, s.aux.store = map[queueKey]*Queue{}, s
	if s.tags = s.cfg.IndexTags; !s.cfg.NoIndex {
		s.layout = keyLayout{s.cfg.MaxHashSlots, s.cfg.MaxIndexes}
	}
	var r Recovery
	if err := s.open(&r); err != nil {
		s.closeFiles()
		return nil, r, err
	}
	s.opened = r
	return s, r, nil
}

func (s *Store) open(r *Recovery) (err error) {
	if s.lock, err = vfs.Lock(s.fsys, lockName); errors.Is(err, vfs.ErrLocked) {
		return fmt.Errorf("%w: %v", ErrInUse, s.fsys)
	} else if err != nil {
		return fmt.Errorf("lock: %w", err)
	}
	for _, dir := range []string{logDir, queueDir, keyDir} {
		if err := s.fsys.MkdirAll(dir); err != nil {
			return err
		}
	}
	trusted, err := s.openCheckpoint()
	if err != nil {
		return err
	}
	if err := s.openLog(trusted); err != nil {
		return err
	}
	if err := s.openKeys(trusted); err != nil {
		return err
	}
	if trusted, err = s.openQueues(trusted, r); err != nil {
		return err
	}
	r.Clean, r.Min, r.Trusted = s.saved.clean, s.marks.Min, s.saved.synced
	if err := s.scanLog(trusted, r); err != nil {
		return err
	}
	if err := s.repairLog(r); err != nil {
		return err
	}
	return s.settle(trusted, r)
}

// openCheckpoint opens the checkpoint file, or makes one, and returns whether what it says counts.
func (s *Store) openCheckpoint() (bool, error) {
	b, err := vfs.ReadFile(s.fsys, checkpointName)
	if err != nil && !isNotExist(err) {
		return false, fmt.Errorf("read %s: %w", checkpointName, err)
	}
	if err == nil {
		s.aux.file, err = s.fsys.Open(checkpointName)
	} else {
		s.aux.file, err = s.fsys.Create(checkpointName, checkpointBytes)
	}
	if err != nil {
		return false, fmt.Errorf("open %s: %w", checkpointName, err)
	}
	if len(b) < checkpointBytes {
		if err := s.aux.file.Truncate(checkpointBytes); err != nil {
			return false, fmt.Errorf("%s: %w", checkpointName, err)
		}
	}
	saved, ok := decodeCheckpoint(b)
	s.saved.seq = saved.seq
	if !ok {
		s.front = b[:min(len(b), timesBytes)]
	} else {
		left, err := s.aborted()
		if err != nil {
			return false, err
		}
		saved.clean = saved.clean && !left
		s.saved, s.lastTime = saved, saved.physicTime
		s.cfg.SegmentBytes, s.cfg.QueueFileBytes = saved.segment, saved.queueFile
	}
	return ok, nil
}

// aborted reports whether a broker that was not closed had the store last. After a Close it was another one, such as Apache's: what it
// appended lies behind the checkpoint, which it leaves as it is in the first second.
func (s *Store) aborted() (bool, error) {
	_, err := vfs.ReadFile(s.fsys, abortName)
	if err != nil && !isNotExist(err) {
		return false, fmt.Errorf("read %s: %w", abortName, err)
	}
	return err == nil, nil
}

// openLog opens the files of the log. trusted: the checkpoint says how long they are.
func (s *Store) openLog(trusted bool) error {
	sizes, err := s.openSegments(s.fsys)
	if err != nil {
		return err
	}
	if !trusted && len(sizes) > 0 && sizes[0] > 0 {
		s.cfg.SegmentBytes = sizes[0]
	}
	for i, size := range sizes {
		if err := s.checkFile(i, size); err != nil {
			return err
		}
	}
	s.cfg.MaxAppendBytes = int(min(int64(s.cfg.MaxAppendBytes), s.cfg.SegmentBytes-blankBytes))
	if err := s.cfg.Validate(); err != nil {
		return fmt.Errorf("%w: file sizes: %w", ErrCorrupt, err)
	}
	s.saved.segment, s.saved.queueFile = s.cfg.SegmentBytes, s.cfg.QueueFileBytes
	if err := s.dropBelow(s.saved.min); err != nil {
		return err
	}
	if n := len(s.segs); n > 0 && s.saved.synced > s.segs[n-1].base+s.cfg.SegmentBytes {
		return fmt.Errorf("%w: %s is the last file, the log was on disk up to %d", ErrCorrupt, logName(s.segs[n-1].base), s.saved.synced)
	}
	s.findBegun()
	start := int64(0)
	if len(s.segs) > 0 {
		start = s.segs[0].base
	}
	s.begin(start)
	return nil
}

// openSegments opens the files of the log, which are then in l.segs also when it errs, and returns their sizes.
func (l *log) openSegments(fsys vfs.FS) (sizes []int64, err error) {
	names, err := fsys.List(logDir)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		base, err := strconv.ParseInt(name, 10, 64)
		if err != nil || len(name) != 20 || base < 0 {
			return nil, fmt.Errorf("%w: %s/%s is no commit log file", ErrCorrupt, logDir, name)
		}
		f, err := fsys.Open(logName(base))
		if err != nil {
			return nil, fmt.Errorf("open %s: %w", logName(base), err)
		}
		l.segs = append(l.segs, &segment{base: base, file: f, ready: true})
		size, err := f.Size()
		if err != nil {
			return nil, fmt.Errorf("size of %s: %w", logName(base), err)
		}
		sizes = append(sizes, size)
	}
	return sizes, nil
}

// checkFile holds the i-th file against the others. Files that a power cut left short lie behind the checkpoint.
func (s *Store) checkFile(i int, size int64) error {
	g := s.segs[i]
	switch {
	case g.base%s.cfg.SegmentBytes != 0 || i > 0 && g.base != s.segs[0].base+int64(i)*s.cfg.SegmentBytes:
		return fmt.Errorf("%w: %s does not continue files of %d bytes from %s on", ErrCorrupt, logName(g.base), s.cfg.SegmentBytes, logName(s.segs[0].base))
	case size > s.cfg.SegmentBytes, size < s.cfg.SegmentBytes && g.base+size < s.saved.synced && i < len(s.segs)-1:
		return fmt.Errorf("%w: %s has %d bytes, not %d", ErrCorrupt, logName(g.base), size, s.cfg.SegmentBytes)
	}
	return nil
}

// scanLog checks and indexes the log from the indexed mark of the checkpoint on, or from its beginning, and finds its end.
func (s *Store) scanLog(trusted bool, r *Recovery) error {
	from := s.marks.Min
	if trusted {
		from = max(from, s.saved.indexed)
	}
	c := &scanner{segs: s.segs, segBytes: s.cfg.SegmentBytes, pos: from, doubt: s.saved.synced}
	var err error
	for err == nil {
		var b []byte
		var phys int64
		if b, phys, err = c.next(); err == nil {
			if reason := s.indexFound(b, phys); reason != "" {
				err, c.pos = &Bad{phys, reason}, phys
				break
			}
			r.Records++
		}
		if s.waiting >= auxUnits*8 {
			s.marks.Synced, s.marks.Indexed, s.syncedTime = c.pos, c.pos, s.lastTime
			if err := s.runAux(false, false); err != nil {
				return err
			}
		}
	}
	var bad *Bad
	if !errors.Is(err, errEnd) && !errors.As(err, &bad) {
		return err
	}
	if r.Cut, r.End, r.Scanned = bad, c.pos, c.pos-from; c.pos < s.saved.synced {
		return s.cutSynced(r)
	}
	if kept := s.keptByApache(); c.pos < kept && !s.cfg.CutCorrupt {
		return s.refuseCut(r, fmt.Sprintf("RocketMQ would read from %d on", kept))
	}
	if len(s.segs) > 0 && !r.Clean {
		end, err := c.dirt(c.pos)
		r.CutBytes = end - c.pos
		return err
	}
	return nil
}

// keptByApache returns the physical offset of the file from which RocketMQ itself would recover: the last one whose first message is older by
// 3 s than the times in its checkpoint, the first file without any. It would not look at what lies before, much less cut the log there.
// Source: StoreCheckpoint.getMinTimestamp, CommitLog.recoverAbnormally (RocketMQ 5.5.0).
func (s *Store) keptByApache() int64 {
	if len(s.front) < timesBytes {
		return 0
	}
	before := min(int64(be.Uint64(s.front)), int64(be.Uint64(s.front[8:]))) - 3000
	for i := len(s.segs) - 1; i > 0; i-- {
		if g := s.segs[i]; g.begun > 0 && g.begun <= before {
			return g.base
		}
	}
	return 0
}

// refuseCut is the error of a log that would be cut where it ends, and is not.
func (s *Store) refuseCut(r *Recovery, known string) error {
	reason := "zeroes"
	if r.Cut != nil {
		reason = r.Cut.Reason
	}
	return fmt.Errorf("%w: %s at %d (physical offset %d): %s; %s; the log is left as it is, holdfastCutCorrupt=true cuts it there",
		ErrCorrupt, logName(r.End-r.End%s.cfg.SegmentBytes), r.End%s.cfg.SegmentBytes, r.End, reason, known)
}

// cutSynced decides about a log that ends before the checkpoint: what had been on disk is there no more.
func (s *Store) cutSynced(r *Recovery) error {
	if !s.cfg.CutCorrupt {
		return s.refuseCut(r, fmt.Sprintf("the log was on disk up to %d", s.saved.synced))
	}
	if r.Cut == nil {
		r.Cut = &Bad{r.End, "zeroes"}
	}
	r.CutBytes, r.Clean = s.saved.synced-r.End, false
	s.saved.synced = r.End
	s.saved.indexed = min(s.saved.indexed, r.End)
	s.saved.clean = false
	s.saved.seq++
	return s.saved.save(s.aux.file) // durable before other bytes stand there
}

// repairLog zeroes what follows the end of the log, writes anew what may not be on disk, and syncs it.
func (s *Store) repairLog(r *Recovery) error {
	if r.Clean {
		return nil
	}
	for len(s.segs) > 0 {
		last := s.segs[len(s.segs)-1]
		if last.base < r.End || last.base == s.marks.Min && last.base > 0 {
			break // without any file a log begins at 0, or where a master says
		}
		if err := s.fsys.Remove(logName(last.base)); err != nil {
			return fmt.Errorf("remove %s: %w", logName(last.base), err)
		}
		last.file.Close()
		s.segs = s.segs[:len(s.segs)-1]
		r.Removed++
	}
	if n := len(s.segs); n > 0 {
		last := s.segs[n-1]
		for _, size := range []int64{r.End - last.base, s.cfg.SegmentBytes} {
			if err := last.file.Truncate(size); err != nil {
				return fmt.Errorf("zero %s from %d: %w", logName(last.base), r.End-last.base, err)
			}
		}
	}
	if err := s.rewrite(max(s.saved.synced, s.marks.Min), r.End); err != nil {
		return err
	}
	r.Rewritten = max(0, r.End-max(s.saved.synced, s.marks.Min))
	return s.syncDirs(logDir, ".")
}

// rewrite writes the bytes [from, to) of the log to where they stand and syncs the files, also the last one.
func (s *Store) rewrite(from, to int64) error {
	buf := make([]byte, min(scanBlock, max(0, to-from)))
	for i, g := range s.segs {
		end := min(to, g.base+s.cfg.SegmentBytes)
		for at := max(from, g.base); at < end; {
			b := buf[:min(int64(len(buf)), end-at)]
			if n, err := g.file.ReadAt(b, at-g.base); n < len(b) {
				return fmt.Errorf("read %s: %w", logName(g.base), err)
			}
			if _, err := g.file.WriteAt(b, at-g.base); err != nil {
				return fmt.Errorf("write %s: %w", logName(g.base), err)
			}
			at += int64(len(b))
		}
		if end > from || i == len(s.segs)-1 {
			if err := g.file.Sync(); err != nil {
				return fmt.Errorf("sync %s: %w", logName(g.base), err)
			}
		}
	}
	return nil
}

func (s *Store) syncDirs(dirs ...string) error {
	for _, dir := range dirs {
		if err := s.fsys.SyncDir(dir); err != nil {
			return fmt.Errorf("sync directory %s: %w", dir, err)
		}
	}
	return nil
}

// settle ends an Open: all that was found is on disk now, and the checkpoint says so. Where the queues are as the checkpoint says (trusted)
// and units of many of them were found behind it, AuxJobs write them one after the other.
func (s *Store) settle(trusted bool, r *Recovery) error {
	end := r.End
	s.marks = Marks{Min: s.marks.Min, Appended: end, Written: end, Synced: end, Indexed: end}
	s.writtenTime, s.syncedTime = s.lastTime, s.lastTime
	s.fileEnd = end - end%s.cfg.SegmentBytes + s.cfg.SegmentBytes
	s.start(s.cfg.ChunkBytes, end)
	if err := s.trimKeys(end); err != nil {
		return err
	}
	if f, err := s.fsys.Create(abortName, 0); err == nil {
		f.Close()
	} else if !isExist(err) {
		return fmt.Errorf("create %s: %w", abortName, err)
	}
	if err := s.setFloors(); err != nil {
		return err
	}
	if err := s.syncDirs(queueDir, "."); err != nil {
		return err
	}
	if trusted && len(s.dirty) > s.cfg.AuxQueues {
		s.aux.keySync = true
		s.prepareAux(true, false, 0)
		return s.finishAux()
	}
	return s.runAux(true, true)
}

// runAux takes an AuxJob and runs it at once.
func (s *Store) runAux(checkpoint, syncQueues bool) error {
	s.aux.keySync = syncQueues
	s.prepareAux(checkpoint, syncQueues, len(s.dirty))
	return s.finishAux()
}

// finishAux runs the AuxJob that was prepared.
func (s *Store) finishAux() error {
	err := s.aux.Run()
	s.AuxDone(s.marks.Gen, err)
	return err
}
