package store

import (
	"errors"
	"math"
	"slices"

	"holdfast/broker/message"
	"holdfast/broker/vfs"
)

// Query is what to look for by key.
type Query struct {
	Topic, Key string // Key is a UNIQ_KEY, or a word of KEYS
	Tag        bool   // Key is a tag
	Max        int    // at most so many messages, the newest
	Begin, End int64  // store times, Unix ms, both included; the index files know seconds
	Limit      int64  // physical offset: records must lie wholly below; at most Written
	Bytes      int    // at most so many bytes, but always one message
}

// Matches are the messages that a Query found. Hashes collide: whoever asked checks again.
type Matches struct {
	Count    int
	Records  []byte // whole records, by physical offset
	LastTime int64  // store time and physical offset of the last message with a key; 0 when nothing was found
	LastPhys int64
}

// Query returns the job that looks for messages by key: Run it, give it to Loaded, then ask it for its Matches. It looks in the
// index files, and in the log behind what these have.
// Source: IndexService.queryOffset, DefaultMessageStore.queryMessage (RocketMQ 5.5.0).
func (s *Store) Query(q Query) *LoadJob {
	q.Limit = min(q.Limit, s.marks.Written)
	segs := make([]*segment, 0, len(s.segs))
	for _, g := range s.segs {
		if g.ready {
			segs = append(segs, &segment{base: g.base, file: g.file})
		}
	}
	return &LoadJob{query: &keyQuery{Query: q, fsys: s.fsys, layout: s.layout, tags: s.tags, files: slices.Clone(s.keyFiles), keyed: s.keyed,
		log: scanner{segs: segs, segBytes: s.cfg.SegmentBytes, doubt: math.MaxInt64, trusted: true}}}
}

// Matches returns what the job of a Query found, nil for other jobs.
func (j *LoadJob) Matches() *Matches {
	if j.query == nil {
		return nil
	}
	return &j.query.found
}

// keyQuery is a Query on its way.
type keyQuery struct {
	Query
	fsys   vfs.FS
	layout keyLayout
	tags   bool
	files  []keyFile
	keyed  int64
	log    scanner

	hash   int32
	behind []int64 // physical offsets of matches behind keyed, by physical offset
	at     []int64 // of matches
	found  Matches
}

func (q *keyQuery) run() error {
	if q.Tag {
		q.hash = message.IndexTagHash(q.Topic, q.Key)
	} else {
		q.hash = message.IndexHash(q.Topic, q.Key)
	}
	if n := len(q.files); n > 0 {
		q.found.LastTime, q.found.LastPhys = q.files[n-1].end, q.files[n-1].endPhys
	}
	if q.layout == (keyLayout{}) {
		return nil
	}
	if err := q.scan(); err != nil {
		return err
	}
	for i := len(q.behind) - 1; i >= 0 && len(q.at) < q.Max; i-- {
		q.at = append(q.at, q.behind[i])
	}
	for i := len(q.files) - 1; i >= 0 && len(q.at) < q.Max; i-- {
		f := &q.files[i]
		if f.count > 1 && q.Begin <= f.end && q.End >= f.begin {
			if err := q.file(f); err != nil {
				return err
			}
		}
		if f.begin < q.Begin {
			break
		}
	}
	slices.Sort(q.at)
	return q.read()
}

// scan looks behind the index files.
func (q *keyQuery) scan() error {
	c := &q.log
	for c.pos = q.keyed; c.pos < q.Limit; {
		_, phys, err := c.next()
		var bad *Bad
		if errors.Is(err, errEnd) || errors.As(err, &bad) || err == nil && c.pos > q.Limit {
			return nil
		}
		if err != nil {
			return err
		}
		r := &c.record
		listed, match := q.match(r)
		if listed {
			q.found.LastTime, q.found.LastPhys = r.StoreTimestamp, phys
		}
		if match && q.Begin <= r.StoreTimestamp && r.StoreTimestamp <= q.End {
			q.behind = append(q.behind, phys)
		}
	}
	return nil
}

// match says whether the index lists a record at all, and whether it does under the key that is looked for.
func (q *keyQuery) match(r *message.Record) (listed, match bool) {
	one := keyer{tags: q.tags, layout: keyLayout{slots: 1, entries: math.MaxInt32}, files: []keyFile{{count: 1}}, batch: make([]keyEntry, 0, 8)}
	if one.record(r, 0) != nil {
		return false, false
	}
	for _, e := range one.batch {
		match = match || e.hash == q.hash
	}
	return len(one.batch) > 0, match
}

// file follows the chain of the key in an index file, from the newest entry back.
// Source: IndexFile.selectPhyOffset (RocketMQ 5.3.3).
func (q *keyQuery) file(f *keyFile) error {
	file, err := q.fsys.Open(f.path())
	if isNotExist(err) {
		return nil // expired meanwhile
	}
	if err != nil {
		return err
	}
	defer file.Close()
	var slot [keySlotBytes]byte
	if n, err := file.ReadAt(slot[:], q.layout.slotAt(q.hash%q.layout.slots)); n < len(slot) {
		return err
	}
	for n := int32(be.Uint32(slot[:])); n > 0 && n < q.layout.entries && len(q.at) < q.Max; {
		e, err := q.layout.readEntry(file, n)
		if err != nil {
			return err
		}
		at := f.begin + 1000*int64(e.diff)
		if n < f.count && e.hash == q.hash && at >= q.Begin && at <= q.End && !slices.Contains(q.at, e.phys) {
			q.at = append(q.at, e.phys)
		}
		if e.prev >= n || e.diff < 0 || at < q.Begin {
			break
		}
		n = e.prev
	}
	return nil
}

// read reads the records that were found. Those that the log has no more are left out.
func (q *keyQuery) read() error {
	for _, phys := range q.at {
		q.log.pos = phys
		b, at, err := q.log.next()
		var bad *Bad
		switch {
		case errors.Is(err, errEnd) || errors.As(err, &bad) || err == nil && at != phys:
			continue
		case err != nil:
			return err
		case q.found.Count > 0 && len(q.found.Records)+len(b) > q.Bytes:
			return nil
		}
		q.found.Records, q.found.Count = append(q.found.Records, b...), q.found.Count+1
	}
	if q.found.Count == 0 {
		q.found.LastTime, q.found.LastPhys = 0, 0
	}
	return nil
}
