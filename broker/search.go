package broker

import (
	"holdfast/broker/message"
	"holdfast/broker/remoting"
	"holdfast/broker/store"
)

// search is a SEARCH_OFFSET_BY_TIMESTAMP on its way: a binary search over the store times of a queue's messages, whose
// records may have to be read first. Invariant: messages before low are too early, those from high on are not.
type search struct {
	conn      ConnID
	frame     remoting.Frame // of the request, for its reply alone
	queue     *queue
	header    remoting.QueueHeader // Timestamp and Upper
	first     int64                // the queue's first offset when the search began
	low, high int64
	load      *store.LoadJob // what is read; nil while the search runs
}

// searchOffset begins a search.
func (n *Node) searchOffset(c ConnID, f *remoting.Frame, q *queue, h *remoting.QueueHeader, out *Output) {
	low := q.store.Min()
	s := &search{conn: c, frame: remoting.Frame{Opaque: f.Opaque, Form: f.Form, Flag: f.Flag}, queue: q,
		header: remoting.QueueHeader{Timestamp: h.Timestamp, Upper: h.Upper}, first: low, low: low, high: max(low, n.visible(q))}
	n.goOn(s, out)
}

// goOn halves the range until nothing is left of it, or until something must be read.
func (n *Node) goOn(s *search, out *Output) {
	limit := n.contract.Readable(&n.marks)
	for s.low < s.high {
		ranges, found := n.store.Lookup(s.queue.store, s.middle(), store.Want{Count: 1, Bytes: 1, Limit: limit}, nil)
		if found.Load != nil {
			n.await(s, found.Load, out)
			return
		}
		if found.Count == 0 {
			s.high = s.middle()
			continue
		}
		record, load, err := n.store.Record(ranges[0].Phys, limit)
		switch {
		case load != nil:
			n.await(s, load, out)
			return
		case err != nil:
			n.refuse(s.conn, &s.frame, remoting.ResponseSystemError, err.Error(), out)
			return
		}
		s.compare(record)
	}
	found := s.low
	if s.header.Upper {
		found = max(s.first, s.low-1)
	}
	n.answer(s.conn, &s.frame, out, remoting.AppendOffsetReply(nil, s.frame.Form, s.frame.Opaque, found))
}

func (s *search) middle() int64 { return s.low + (s.high-s.low)/2 }

// compare takes the record in the middle into account. What is no record counts as early enough, so that nothing is missed.
func (s *search) compare(b []byte) {
	record, _, err := message.Decode(b, false)
	late := record.StoreTimestamp >= s.header.Timestamp
	if s.header.Upper {
		late = record.StoreTimestamp > s.header.Timestamp
	}
	if err != nil || late {
		s.high = s.middle()
	} else {
		s.low = s.middle() + 1
	}
}

func (n *Node) await(s *search, job *store.LoadJob, out *Output) {
	s.load = job
	n.searches = append(n.searches, s)
	out.Loads = append(out.Loads, job)
}

// loadedSearch goes on with the search that waits for job, and reports whether there is one.
func (n *Node) loadedSearch(job *store.LoadJob, out *Output) bool {
	for i, s := range n.searches {
		if s.load != job {
			continue
		}
		n.searches = append(n.searches[:i], n.searches[i+1:]...)
		s.load = nil
		if err := n.store.Loaded(job); err != nil {
			n.refuse(s.conn, &s.frame, remoting.ResponseSystemError, err.Error(), out)
			return true
		}
		if b := job.Record(); b != nil {
			s.compare(b)
		}
		n.goOn(s, out)
		return true
	}
	return false
}
