package store

import (
	"bytes"
	"errors"

	"holdfast/broker/message"
	"holdfast/broker/vfs"
)

// Comparison is two stores of one broker group held against each other. The first of two figures is that of the first store.
type Comparison struct {
	Summaries [2]*Summary `json:"stores"`
	Ends      [2]int64    `json:"ends"`            // physical offset behind the last byte that is not zero
	Compared  int64       `json:"compared"`        // bytes of commit log that both have
	Differing int64       `json:"differing"`       // of them
	Runs      int64       `json:"runs"`            // of differing bytes, one behind the other
	First     *Difference `json:"first,omitempty"` // where they part
	Queues    []QueuePair `json:"queues"`          // that do not end alike
}

// Difference is the first byte that is not the same, with the records in which it stands.
type Difference struct {
	At      int64      `json:"at"` // physical offset
	Records [2]*Holder `json:"records"`
}

// Holder is the record that has a byte.
type Holder struct {
	QueueName
	At          int64 `json:"at"` // physical offset of its begin
	QueueOffset int64 `json:"queueOffset"`
}

// QueuePair is a queue that ends elsewhere in one store than in the other.
type QueuePair struct {
	QueueName
	Max [2]int64 `json:"max"` // queue offset behind the last message, in the queue's units or in the valid part of the log; 0 without any
}

// Equal says that the logs hold the same bytes, are equally long, and that all queues end alike.
func (c *Comparison) Equal() bool {
	return c.Differing == 0 && c.Ends[0] == c.Ends[1] && len(c.Queues) == 0
}

// Compare holds the stores in a and b against each other. It changes nothing and takes no lock. Only what both logs can have is
// compared byte by byte: from the later begin to the earlier end.
func Compare(a, b vfs.FS) (*Comparison, error) {
	c := &Comparison{Queues: []QueuePair{}}
	for i, fsys := range []vfs.FS{a, b} {
		sum, err := Dump(fsys)
		if err != nil {
			return nil, err
		}
		c.Summaries[i], c.Ends[i] = sum, sum.CommitLog.End+sum.CommitLog.BehindEnd
	}
	if err := c.logs(a, b); err != nil {
		return nil, err
	}
	c.queues()
	return c, nil
}

// logs compares the bytes.
func (c *Comparison) logs(a, b vfs.FS) error {
	var readers [2]*Reader
	for i, fsys := range []vfs.FS{a, b} {
		r, err := OpenReader(fsys)
		if err != nil {
			return err
		}
		defer r.Close()
		readers[i] = r
	}
	scanners := [2]*scanner{readers[0].scanner(), readers[1].scanner()}
	for i, s := range scanners {
		if err := c.trim(i, s); err != nil {
			return err
		}
	}
	at := max(c.Summaries[0].CommitLog.Min, c.Summaries[1].CommitLog.Min)
	end := min(c.Ends[0], c.Ends[1])
	inRun := false
	for at < end {
		x, y, err := both(scanners, at, end)
		if err != nil {
			return err
		}
		if !bytes.Equal(x, y) || inRun {
			inRun = c.count(x, y, at, inRun)
		}
		at += int64(len(x))
		c.Compared += int64(len(x))
	}
	if c.First == nil {
		return nil
	}
	for i, r := range readers {
		held, err := holder(r, c.First.At)
		if err != nil {
			return err
		}
		c.First.Records[i] = held
	}
	return nil
}

// trim takes the zeroes off the end of store i: where no valid record says how long it is, a record that ends in zeroes looks shorter.
func (c *Comparison) trim(i int, s *scanner) error {
	for c.Ends[i] > c.Summaries[i].CommitLog.Min && s.segment(c.Ends[i]-1) != nil {
		b, err := s.view(c.Ends[i]-1, 1)
		if err != nil || b[0] != 0 {
			return err
		}
		c.Ends[i]--
	}
	return nil
}

// both returns the bytes of two logs from at on, as many as stand in one file of each, at most a block.
func both(of [2]*scanner, at, end int64) (x, y []byte, err error) {
	n := min(end-at, scanBlock)
	for _, s := range of {
		if g := s.segment(at); g != nil {
			n = min(n, g.base+s.segBytes-at)
		}
	}
	var got [2][]byte
	for i, s := range of {
		if s.segment(at) == nil {
			got[i] = make([]byte, n) // a hole between files: nothing was written there
			continue
		}
		if got[i], err = s.view(at, int(n)); err != nil {
			return nil, nil, err
		}
	}
	return got[0], got[1], nil
}

// count adds the differing bytes of two blocks at a physical offset; it reports whether the last ones differ.
func (c *Comparison) count(x, y []byte, at int64, inRun bool) bool {
	for i := range x {
		if x[i] == y[i] {
			inRun = false
			continue
		}
		if !inRun {
			c.Runs++
		}
		if c.First == nil {
			c.First = &Difference{At: at + int64(i)}
		}
		inRun = true
		c.Differing++
	}
	return inRun
}

// errFound ends a walk through a log.
var errFound = errors.New("found")

// holder is the record that has the byte at a physical offset; nil where none does, as behind the last valid record.
func holder(r *Reader, at int64) (*Holder, error) {
	var held *Holder
	_, _, err := r.Log(func(phys int64, m *message.Record) error {
		if phys > at {
			return errFound
		}
		if at < phys+int64(m.Size()) {
			held = &Holder{QueueName: QueueName{string(m.Topic), m.QueueID}, At: phys, QueueOffset: m.QueueOffset}
			return errFound
		}
		return nil
	})
	if err != nil && !errors.Is(err, errFound) {
		return nil, err
	}
	return held, nil
}

// queues lists those that do not end alike.
func (c *Comparison) queues() {
	ends := [2]map[QueueName]int64{{}, {}}
	var names []QueueName
	for i, sum := range c.Summaries {
		for _, q := range sum.Queues {
			if _, known := ends[0][q.QueueName]; !known && (i == 0 || q.Max > 0 || q.LogMax > 0) {
				names = append(names, q.QueueName)
			}
			ends[i][q.QueueName] = max(q.Max, q.LogMax) // units that are missing behind valid records come with the next start
		}
	}
	for _, name := range names {
		if pair := [2]int64{ends[0][name], ends[1][name]}; pair[0] != pair[1] {
			c.Queues = append(c.Queues, QueuePair{name, pair})
		}
	}
}
