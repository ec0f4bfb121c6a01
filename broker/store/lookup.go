package store

import (
	"fmt"
	"slices"

	"holdfast/broker/vfs"
)

// loadUnits is how many units a LoadJob reads.
const loadUnits = 2048

// scanMax is how many units one Lookup passes by that its filter refuses.
// Source: DefaultMessageStore.getMessage, maxFilterMessageSize (RocketMQ 5.3.3).
const scanMax = 16_000

// Want is what a Lookup looks for.
type Want struct {
	Count int     // at most so many messages, at least 1
	Bytes int     // at most so many bytes, but always one message
	Limit int64   // physical offset: records must lie wholly below; the mark of the read level
	Tags  []int64 // hashes of tags, one of which the message must have; empty: any. Hashes collide: consumers check again
}

// Found is what a Lookup found.
type Found struct {
	Count int      // messages
	Bytes int      // their bytes
	Next  int64    // the queue offset to look at next; above the one asked for when something was found or passed by
	Load  *LoadJob // not nil: units must be read first; Run it, give it to Loaded, then look again. Nothing was found
}

// Lookup appends to dst the ranges of the messages of q from queue offset from on: whole records, one behind the other.
// A record may come in several ranges, and several records in one. It never finds less than one message when one is
// there, unless it passed many by that the filter refuses: then Next says where to look again. It does not allocate
// beyond dst where units are in memory.
// q.Min() <= from; when from is below, it begins at q.Min().
// Source: DefaultMessageStore.getMessage (RocketMQ 5.3.3).
func (s *Store) Lookup(q *Queue, from int64, want Want, dst []Range) ([]Range, Found) {
	found := Found{Next: max(from, q.min)}
	mark := len(dst)
	runFrom, runTo := int64(-1), int64(-1) // records that lie one behind the other
	for passed := 0; found.Next < q.next && found.Count < want.Count && passed < scanMax; found.Next++ {
		u, ok := q.unit(found.Next)
		if !ok {
			if found.Count == 0 && passed == 0 {
				found.Load = q.load(s, found.Next)
			}
			break
		}
		if u.end() > want.Limit || found.Count > 0 && found.Bytes+int(u.size) > want.Bytes && !u.blank() {
			break
		}
		if u.blank() || u.phys < s.marks.Min || len(want.Tags) > 0 && !slices.Contains(want.Tags, u.tags) {
			passed++
			continue
		}
		if u.phys != runTo || u.phys%s.cfg.SegmentBytes == 0 || runFrom < s.hotMin != (u.phys < s.hotMin) {
			if runFrom < runTo {
				dst = s.appendRanges(dst, runFrom, runTo)
			}
			runFrom = u.phys
		}
		runTo = u.end()
		found.Count, found.Bytes = found.Count+1, found.Bytes+int(u.size)
	}
	if runFrom < runTo {
		dst = s.appendRanges(dst, runFrom, runTo)
	}
	if found.Count == 0 {
		dst = dst[:mark]
	}
	return dst, found
}

// unit returns the unit at queue offset o, min <= o < next, and whether it is in memory.
func (q *Queue) unit(o int64) (unit, bool) {
	if o >= q.hot.min {
		return q.hot.at(o), true
	}
	if w := q.window; w != nil && o >= w.from && o < w.from+int64(len(w.units)) {
		return w.units[o-w.from], true
	}
	return unit{}, false
}

// LoadJob reads what is not in memory: consume queue units, a record, or what a Query looks for.
type LoadJob struct {
	query     *keyQuery // of messages by key; nil for other jobs
	record    Range     // of a record: from its first byte to where it must have ended
	bytes     []byte    // of a record, once read
	fsys      vfs.FS
	fileBytes int64
	queue     *Queue
	gen       int32 // of the marks when it was asked for
	dir       string
	from, to  int64 // queue offsets
	logEnd    int64 // no unit leads beyond
	units     []unit
	err       error
}

// load returns a job that reads the units from queue offset from on. Each reader has its own; the last one loaded stays
// with the queue.
func (q *Queue) load(s *Store, from int64) *LoadJob {
	return &LoadJob{fsys: s.fsys, fileBytes: s.cfg.QueueFileBytes, queue: q, gen: s.marks.Gen, dir: q.dir(), from: from, to: min(q.hot.min, from+loadUnits), logEnd: s.marks.Written}
}

// Run reads. Whoever runs it holds no lock. It errs with ErrCorrupt when the units cannot be of this log, or with what the
// disk says.
func (j *LoadJob) Run() error {
	if j.query != nil {
		j.err = j.query.run()
		return j.err
	}
	if j.record.File != nil {
		return j.readRecord()
	}
	base := j.from * unitBytes / j.fileBytes * j.fileBytes
	name := queueName(j.dir, base)
	f, err := j.fsys.Open(name)
	if err != nil {
		j.err = fmt.Errorf("load %s: %w", name, err)
		return j.err
	}
	defer f.Close()
	b := make([]byte, (min(j.to, (base+j.fileBytes)/unitBytes)-j.from)*unitBytes)
	if n, err := f.ReadAt(b, j.from*unitBytes-base); n < len(b) {
		j.err = fmt.Errorf("load %s: %w", name, err)
		return j.err
	}
	j.units = make([]unit, len(b)/unitBytes)
	last := int64(0)
	for i := range j.units {
		u := readUnit(b[i*unitBytes:])
		if u.blank() {
			u.phys = last
		}
		if u.size <= 0 || u.phys < last || u.end() > j.logEnd {
			j.err = fmt.Errorf("%w: %s: queue offset %d leads to %d bytes at %d", ErrCorrupt, name, j.from+int64(i), u.size, u.phys)
			return j.err
		}
		j.units[i], last = u, u.end()
	}
	return nil
}

// Loaded gives the store what the job read. It returns the error of Run, after which looking again is useless. What was
// read beside a truncation is thrown away: the caller looks again.
func (s *Store) Loaded(j *LoadJob) error {
	if j.queue != nil && j.gen != s.marks.Gen {
		return nil
	}
	if j.queue != nil && j.from < j.queue.min && isNotExist(j.err) {
		return nil // expired meanwhile
	}
	if j.err == nil && j.queue != nil {
		j.queue.window = j
	}
	return j.err
}

// Unit is one unit of a consume queue.
type Unit struct {
	Phys  int64 // physical offset of the record
	Bytes int32
	Tags  int64
}

// Units returns the first of count units of q from queue offset from on, as far as they are in memory, and nil when the first
// one is not: a Lookup then says what is to be loaded.
func (s *Store) Units(q *Queue, from int64, count int) (units []Unit) {
	for o := max(from, q.min); o < q.next && len(units) < count; o++ {
		u, ok := q.unit(o)
		if !ok {
			break
		}
		units = append(units, Unit{u.phys, u.size, u.tags})
	}
	return units
}
