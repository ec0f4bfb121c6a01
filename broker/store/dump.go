package store

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"holdfast/broker/message"
	"holdfast/broker/vfs"
)

// Summary is what a store directory holds.
type Summary struct {
	CommitLog  LogSummary        `json:"commitLog"`
	Queues     []QueueSummary    `json:"queues"`
	Index      []IndexSummary    `json:"index"`
	Unlisted   int64             `json:"unlisted,omitempty"` // records with keys behind the last entry of the index files
	Checkpoint CheckpointSummary `json:"checkpoint"`
	Abort      bool              `json:"abort"` // the file that a running or ended, not closed, broker leaves
	Problems   []string          `json:"problems,omitempty"`
}

// LogSummary is the commit log: valid records lie in the physical offsets [Min, End).
type LogSummary struct {
	SegmentBytes int64  `json:"segmentBytes"`
	Files        int    `json:"files"`
	Min          int64  `json:"min"`
	End          int64  `json:"end"`
	Records      int64  `json:"records"`
	FirstTime    int64  `json:"firstTime,omitempty"` // store times of the first and the last record, Unix ms
	LastTime     int64  `json:"lastTime,omitempty"`
	Bad          string `json:"bad,omitempty"`       // why no valid record stands at End, when something does
	BehindEnd    int64  `json:"behindEnd,omitempty"` // bytes behind End up to the last that is not zero
}

// QueueSummary is a consume queue: units lie in the queue offsets [Min, Max). Records is what the commit log has of it.
type QueueSummary struct {
	QueueName
	Min       int64  `json:"min"`
	Max       int64  `json:"max"`
	Units     int64  `json:"units"`
	Records   int64  `json:"records"`
	LogMin    int64  `json:"logMin"` // of the records in the commit log: the first queue offset, and the one behind the last
	LogMax    int64  `json:"logMax"`
	Differs   string `json:"differs,omitempty"` // the first way in which it and the commit log contradict each other
	Unindexed int64  `json:"unindexed,omitempty"`
}

// CheckpointSummary is the checkpoint: RocketMQ's times (Unix ms), and what this store adds, when that counts.
type CheckpointSummary struct {
	PhysicTime int64 `json:"physicMsgTimestamp"`
	LogicsTime int64 `json:"logicsMsgTimestamp"`
	IndexTime  int64 `json:"indexMsgTimestamp"`
	Ours       bool  `json:"ours"`    // written last by this store, not by Apache RocketMQ
	Synced     int64 `json:"synced"`  // physical offset up to which records are on disk
	Indexed    int64 `json:"indexed"` // ... and their consume queue units
	Clean      bool  `json:"clean"`
}

// Dump reads the store in fsys and returns what it holds, and where its parts contradict each other. It changes nothing
// and takes no lock.
func Dump(fsys vfs.FS) (*Summary, error) {
	r, err := OpenReader(fsys)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	d := &dumper{r: r, byKey: map[queueKey]*queueDump{}}
	d.sum.Queues, d.sum.Index = []QueueSummary{}, []IndexSummary{}
	d.checkpoint()
	if d.keys, err = openKeyDump(fsys, r.saved.keyLayout, d.sum.Abort && !r.saved.clean); err != nil {
		return nil, err
	}
	defer d.keys.close()
	names, err := r.Queues()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if _, err := d.queue(queueKey{name.Topic, name.QueueID}); err != nil {
			return nil, err
		}
	}
	if err := d.readLog(); err != nil {
		return nil, err
	}
	if err := d.readQueues(); err != nil {
		return nil, err
	}
	d.checkEnd()
	return &d.sum, d.readKeys()
}

// dumper walks through the log and, beside it, through the units of every queue.
type dumper struct {
	r     *Reader
	sum   Summary
	byKey map[queueKey]*queueDump
	list  []*queueDump
	keys  *keyDump
}

type queueDump struct {
	QueueSummary
	units *unitCursor
}

func (d *dumper) queue(key queueKey) (*queueDump, error) {
	if q := d.byKey[key]; q != nil {
		return q, nil
	}
	units, err := d.r.units(key)
	if err != nil {
		return nil, err
	}
	q := &queueDump{QueueSummary{QueueName: QueueName{key.topic, key.id}, LogMin: -1}, units}
	d.byKey[key] = q
	d.list = append(d.list, q)
	return q, nil
}

func (d *dumper) readLog() error {
	l := &d.sum.CommitLog
	l.SegmentBytes, l.Files = d.r.segBytes, len(d.r.log.segs)
	if l.Files > 0 {
		l.Min = d.r.log.segs[0].base
	}
	end, bad, err := d.r.Log(func(phys int64, m *message.Record) error {
		if l.Records++; l.Records == 1 {
			l.FirstTime = m.StoreTimestamp
		}
		l.LastTime = m.StoreTimestamp
		if err := d.keys.record(phys, m, l.Min); err != nil {
			return err
		}
		if !queued(m.SysFlag) {
			return nil
		}
		q, err := d.queue(queueKey{string(m.Topic), m.QueueID})
		if err != nil {
			return err
		}
		return q.record(phys, m)
	})
	if err != nil {
		return err
	}
	if l.End = end; bad != nil {
		l.Bad = bad.Reason
		d.problem("commit log: %v", bad)
	}
	if l.Files > 0 && d.r.scanner().segment(end) != nil {
		dirt, err := d.r.scanner().dirt(end)
		l.BehindEnd = dirt - end
		return err
	}
	return nil
}

// record holds a record of the log against the unit that the queue has at its queue offset.
func (q *queueDump) record(phys int64, m *message.Record) error {
	o := m.QueueOffset
	q.Records++
	if q.LogMin < 0 {
		q.LogMin = o
	}
	if o < q.LogMax {
		q.differ("the commit log has queue offset %d again at %d", o, phys)
	}
	q.LogMax = max(q.LogMax, o+1)
	u, err := q.units.at(o)
	switch {
	case err != nil:
		return err
	case u.size == 0:
		q.Unindexed++
	case u.tags != message.UnitTags(m.Topic, m.Properties, m.StoreTimestamp):
		q.differ("queue offset %d: unit with tags code %d, record with %d", o, u.tags, message.UnitTags(m.Topic, m.Properties, m.StoreTimestamp))
	case u.phys != phys || int(u.size) != m.Size():
		q.differ("queue offset %d: unit of %d bytes at %d, record of %d bytes at %d", o, u.size, u.phys, m.Size(), phys)
	}
	return nil
}

func (q *queueDump) differ(format string, args ...any) {
	if q.Differs == "" {
		q.Differs = fmt.Sprintf(format, args...)
	}
}

func (d *dumper) problem(format string, args ...any) {
	d.sum.Problems = append(d.sum.Problems, fmt.Sprintf(format, args...))
}

// readQueues counts units and compares ends.
func (d *dumper) readQueues() error {
	slices.SortFunc(d.list, func(a, b *queueDump) int {
		return cmp.Or(strings.Compare(a.Topic, b.Topic), cmp.Compare(a.QueueID, b.QueueID))
	})
	for _, q := range d.list {
		o := q.units.first
		for {
			u, err := q.units.at(o)
			if err != nil {
				return err
			}
			if u.size <= 0 {
				break
			}
			if !u.blank() {
				q.Units++
			}
			o++
		}
		q.units.reader.close()
		q.Min, q.Max, q.LogMin = q.units.first, o, max(0, q.LogMin)
		if q.Max > q.LogMax && q.Units > 0 {
			q.differ("%d units behind the last record", q.Max-q.LogMax)
		}
		if lost := q.Units - (q.Records - q.Unindexed); lost > 0 {
			q.differ("%d units of records that the commit log does not have in this queue", lost)
		}
		if q.Differs != "" {
			d.problem("consume queue %s/%d: %s", q.Topic, q.QueueID, q.Differs)
		}
		d.sum.Queues = append(d.sum.Queues, q.QueueSummary)
	}
	return nil
}

func (d *dumper) checkpoint() {
	c := &d.sum.Checkpoint
	if len(d.r.front) >= 24 {
		c.PhysicTime, c.LogicsTime, c.IndexTime = int64(be.Uint64(d.r.front)), int64(be.Uint64(d.r.front[8:])), int64(be.Uint64(d.r.front[16:]))
	}
	c.Ours, c.Synced, c.Indexed, c.Clean = d.r.ours, d.r.saved.synced, d.r.saved.indexed, d.r.saved.clean
	_, err := vfs.ReadFile(d.r.fsys, abortName)
	d.sum.Abort = !isNotExist(err)
}

func (d *dumper) checkEnd() {
	if c := &d.sum.Checkpoint; c.Ours && d.sum.CommitLog.End < c.Synced {
		d.problem("commit log: ends at %d, was on disk up to %d", d.sum.CommitLog.End, c.Synced)
	}
}

// readKeys ends the walk through the index files.
func (d *dumper) readKeys() error {
	err := d.keys.skip(d.sum.CommitLog.End, d.sum.CommitLog.Min)
	if f, _, _ := d.keys.peek(); f != nil {
		f.differ("entry %d leads behind the commit log", d.keys.n)
	}
	for i := range d.keys.files {
		f := &d.keys.files[i]
		if d.sum.Index = append(d.sum.Index, f.sum); f.sum.Differs != "" {
			d.problem("index file %s: %s", f.sum.Name, f.sum.Differs)
		}
	}
	d.sum.Unlisted = d.keys.missing
	return err
}
