package soak

import (
	"container/heap"
	"math/bits"
	"sync"
)

// delivery is a message that a member was given.
type delivery struct {
	at     int64 // ns on the machine's monotonic clock
	member int
	queue  int
	offset int64
}

// ledger is what a group was given: a bit a message, however long the run.
type ledger struct {
	mu      sync.Mutex
	ordered bool
	pending deliveries // not yet in order: the lines of several processes arrive as they will
	newest  int64
	queues  []given
	skips   []Skip
	skipped int64
	again   int64
}

// given is what the group was given of one queue.
type given struct {
	seen  []uint64 // a bit an offset
	count int64    // bits set
	max   int64    // largest offset; -1: none
	end   int64    // what the queue holds; 0: not known yet
	owner int      // member that was given the last message
	moves int64    // how often another member was than before
}

// Skip is a message that came before one with a smaller offset of its queue had come, to a group that consumes in order.
type Skip struct {
	Queue  int   `json:"queue"`
	Offset int64 `json:"offset"`
	After  int64 `json:"after"` // the largest offset before
}

func newLedger(queues int, ordered bool) *ledger {
	l := &ledger{ordered: ordered, queues: make([]given, queues)}
	for i := range l.queues {
		l.queues[i].max, l.queues[i].owner = -1, -1
	}
	return l
}

// settleNS is how much later than a later one a line may arrive.
const settleNS = 2e9

// add takes a line as it arrives.
func (l *ledger) add(d delivery) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if d.queue < 0 || d.queue >= len(l.queues) || d.offset < 0 {
		l.skipped++ // no such message can have been there
		l.skips = append(l.skips, Skip{d.queue, d.offset, -1})
		return
	}
	heap.Push(&l.pending, d)
	l.newest = max(l.newest, d.at)
	for len(l.pending) > 0 && l.pending[0].at < l.newest-settleNS {
		l.take(heap.Pop(&l.pending).(delivery))
	}
}

// skipsMax is how many are kept as evidence.
const skipsMax = 20

// take counts one delivery, in the order of time.
func (l *ledger) take(d delivery) {
	q := &l.queues[d.queue]
	if q.owner != d.member {
		q.owner = d.member
		q.moves++
	}
	if l.ordered && d.offset > q.max+1 {
		if l.skipped++; len(l.skips) < skipsMax {
			l.skips = append(l.skips, Skip{d.queue, d.offset, q.max})
		}
	}
	q.max = max(q.max, d.offset)
	word, bit := int(d.offset/64), uint64(1)<<(d.offset%64)
	for word >= len(q.seen) {
		q.seen = append(q.seen, 0)
	}
	if q.seen[word]&bit != 0 {
		l.again++
		return
	}
	q.seen[word] |= bit
	q.count++
}

// flush takes what is left.
func (l *ledger) flush() {
	for len(l.pending) > 0 {
		l.take(heap.Pop(&l.pending).(delivery))
	}
}

// expect says what a queue holds at the end.
func (l *ledger) expect(queue int, end int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queues[queue].end = end
}

// missing is how many of the messages that the queues hold the group was not given so far.
func (l *ledger) missing() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flush()
	n := int64(0)
	for i := range l.queues {
		n += l.queues[i].end - l.queues[i].below(l.queues[i].end)
	}
	return n
}

// below counts the offsets below end that were given.
func (q *given) below(end int64) int64 {
	n := int64(0)
	for i, word := range q.seen {
		if from := int64(i) * 64; from+64 > end {
			if from < end {
				n += int64(bits.OnesCount64(word & (1<<(end-from) - 1)))
			}
			break
		}
		n += int64(bits.OnesCount64(word))
	}
	return n
}

// counts are messages given, and how often one was that had been before.
func (l *ledger) counts() (count, again int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.queues {
		count += l.queues[i].count
	}
	return count, l.again
}

// judge says what the group was given and what it missed.
func (l *ledger) judge(s *stream) Group {
	missing := l.missing()
	count, again := l.counts()
	g := Group{Name: s.group, Topic: s.topic, Ordered: s.ordered, Given: count, Again: again, Missing: missing, Skipped: l.skipped, Skips: l.skips}
	for i := range l.queues {
		q := &l.queues[i]
		g.Moves += max(q.moves-1, 0)
		for o := int64(0); o < q.end && len(g.Missed) < skipsMax; o++ {
			if word := int(o / 64); word >= len(q.seen) || q.seen[word]&(1<<(o%64)) == 0 {
				g.Missed = append(g.Missed, Missed{i, o})
			}
		}
	}
	return g
}

// deliveries is a heap by time.
type deliveries []delivery

func (d deliveries) Len() int           { return len(d) }
func (d deliveries) Less(i, j int) bool { return d[i].at < d[j].at }
func (d deliveries) Swap(i, j int)      { d[i], d[j] = d[j], d[i] }
func (d *deliveries) Push(x any)        { *d = append(*d, x.(delivery)) }
func (d *deliveries) Pop() any {
	old := *d
	last := old[len(old)-1]
	*d = old[:len(old)-1]
	return last
}
