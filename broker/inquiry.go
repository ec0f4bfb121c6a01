package broker

import (
	"holdfast/broker/message"
	"holdfast/broker/remoting"
	"holdfast/broker/store"
)

// question asks one thing that only the records of a queue can tell: when a message was stored, or which messages are of a
// time. Its answer is a binary search over [low, high), of one message in the first case.
// Invariant of a search: messages before low are too early, those from high on are not.
type question struct {
	queue     *queue
	low, high int64 // queue offsets
	search    bool
	at        int64 // Unix ms; with search
	upper     bool  // the last message of that time instead of the first
	first     int64 // the queue's first offset when the search began
	phys      int64 // without a queue: physical offset of the record to ask
	// answer is a store time (Unix ms), or -1 when there is no such message; of a search, a queue offset.
	answer int64
	keep   bool // the record itself is wanted
	record []byte
}

// storedAt asks when the message at a queue offset was stored.
func (n *Node) storedAt(q *queue, offset int64) question {
	e := question{queue: q, low: offset, high: offset + 1, answer: -1}
	if offset < q.store.Min() || offset >= n.visible(q) {
		e.high = e.low
	}
	return e
}

// recordStoredAt asks when the record at a physical offset was stored.
func recordStoredAt(phys int64) question {
	return question{phys: phys, high: 1, answer: -1}
}

// offsetAt asks for the queue offset of the first message that was stored at that time or later; with upper, of the last one
// that was stored by then.
func (n *Node) offsetAt(q *queue, at int64, upper bool) question {
	low := q.store.Min()
	return question{queue: q, first: low, low: low, high: max(low, n.visible(q)), search: true, at: at, upper: upper, answer: low}
}

func (e *question) open() bool { return e.low < e.high }

func (e *question) middle() int64 { return e.low + (e.high-e.low)/2 }

// take uses the record in the middle. What is no record counts as late enough, so that nothing is missed.
func (e *question) take(b []byte) {
	record, _, err := message.Decode(b, false)
	if !e.search {
		if err == nil {
			e.answer = record.StoreTimestamp
			if e.keep {
				e.record = b
			}
		}
		e.low = e.high
		return
	}
	late := record.StoreTimestamp >= e.at
	if e.upper {
		late = record.StoreTimestamp > e.at
	}
	if err != nil || late {
		e.high = e.middle()
	} else {
		e.low = e.middle() + 1
	}
	if e.answer = e.low; e.upper {
		e.answer = max(e.first, e.low-1)
	}
}

// absent says that there is no message in the middle.
func (e *question) absent() {
	if e.high = e.middle(); e.search {
		if e.answer = e.low; e.upper {
			e.answer = max(e.first, e.low-1)
		}
	}
}

// inquiry is a request whose answer needs records, or the look of many queues. It is worked at in pieces, none of which holds
// the node for longer than a burst of puts does; between them anything may happen to the node.
type inquiry struct {
	conn      ConnID
	frame     remoting.Frame // of the request, for its reply alone
	questions []question     // being answered
	at        int            // index of the first one that is not
	// next takes the answers, and puts new questions in their place, or answers the request and returns false.
	next func(*inquiry, *Output) bool
	load *store.LoadJob // what is read; nil when it can go on at once
}

// inquiryStep bounds what one Step does for an inquiry: so many questions put or records looked at. A record in memory takes
// about 300 ns to look at.
const inquiryStep = 256

// inquire begins an inquiry. next is asked for its first questions at once.
func (n *Node) inquire(c ConnID, f *remoting.Frame, next func(*inquiry, *Output) bool, out *Output) {
	if len(n.inquiries) >= n.cfg.Limits.Inquiries {
		n.refuse(c, f, remoting.ResponseSystemBusy, "too many requests that read the store", out)
		return
	}
	n.goOn(&inquiry{conn: c, frame: remoting.Frame{Opaque: f.Opaque, Form: f.Form, Flag: f.Flag}, next: next}, out)
}

// goOn works at an inquiry until it is answered, must read, or has had its share of this Step.
func (n *Node) goOn(q *inquiry, out *Output) {
	for left := inquiryStep; left > 0; left-- {
		if q.at == len(q.questions) {
			if !q.next(q, out) {
				return
			}
			q.at = 0
			left -= len(q.questions)
			continue
		}
		e := &q.questions[q.at]
		if !e.open() {
			q.at++
			left++ // counted when it was put
			continue
		}
		record, load, err := n.recordOf(e)
		switch {
		case load != nil:
			q.load = load
			n.inquiries = append(n.inquiries, q)
			out.Loads = append(out.Loads, load)
			return
		case err != nil && e.search: // a wrong offset would be worse than none
			n.refuse(q.conn, &q.frame, remoting.ResponseSystemError, err.Error(), out)
			return
		case err != nil || record == nil:
			e.absent()
		default:
			e.take(record)
		}
	}
	n.inquiries = append(n.inquiries, q)
}

// recordOf returns the record that e looks at next, nil when there is none, or what must be read first.
func (n *Node) recordOf(e *question) ([]byte, *store.LoadJob, error) {
	limit := n.contract.Readable(&n.marks)
	phys := e.phys
	if e.queue != nil {
		ranges, found := n.store.Lookup(e.queue.store, e.middle(), store.Want{Count: 1, Bytes: 1, Limit: limit}, nil)
		if found.Load != nil || found.Count == 0 {
			return nil, found.Load, nil
		}
		phys = ranges[0].Phys
	}
	return n.store.Record(phys, limit)
}

// loadedInquiry goes on with the inquiry that waits for job, and reports whether there is one.
func (n *Node) loadedInquiry(job *store.LoadJob, out *Output) bool {
	for i, q := range n.inquiries {
		if q.load != job {
			continue
		}
		n.inquiries = append(n.inquiries[:i], n.inquiries[i+1:]...)
		q.load = nil
		e := &q.questions[q.at]
		if err := n.store.Loaded(job); err != nil {
			n.refuse(q.conn, &q.frame, remoting.ResponseSystemError, err.Error(), out)
			return true
		}
		if b := job.Record(); b != nil {
			e.take(b)
		}
		n.goOn(q, out)
		return true
	}
	return false
}

// goOnAll works at the inquiries that wait for their next share. Each gets one, the oldest first, until one share is used.
func (n *Node) goOnAll(out *Output) {
	for i, q := range n.inquiries {
		if q.load == nil {
			n.inquiries = append(n.inquiries[:i], n.inquiries[i+1:]...)
			n.goOn(q, out)
			return
		}
	}
}

// inquiriesDue returns when the next share is due: at once, if an inquiry waits for one.
func (n *Node) inquiriesDue() (due bool) {
	for _, q := range n.inquiries {
		due = due || q.load == nil
	}
	return due
}

// dropInquiries forgets what a connection asked that is gone. What is being read for it is read in vain.
func (n *Node) dropInquiries(c ConnID) {
	kept := n.inquiries[:0]
	for _, q := range n.inquiries {
		if q.conn != c {
			kept = append(kept, q)
		}
	}
	clear(n.inquiries[len(kept):])
	n.inquiries = kept
}

// askAll returns the next of an inquiry that puts questions once, and answers with done when they are answered.
func askAll(questions []question, done func(*inquiry, *Output)) func(*inquiry, *Output) bool {
	put := false
	return func(q *inquiry, out *Output) bool {
		if put {
			done(q, out)
			return false
		}
		put, q.questions = true, questions
		return true
	}
}
