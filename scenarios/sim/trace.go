package sim

import (
	"fmt"
	"hash/crc32"
	"io"
	"time"
)

// trace is what happened: a hash of all of it and, when somebody reads along, a line for each change of state.
type trace struct {
	hash  uint64
	lines io.Writer // nil: nobody reads
	marks map[string]int
	moves []Move // kept when wanted
	keep  bool
}

// Move is a happening that a spacetime diagram draws: of one node, or a message from one to another.
type Move struct {
	At   time.Duration
	Node string
	To   string        // of a message: where it goes
	Till time.Duration // and when it arrives
	Kind string        // step, message, fault, recovered
	Text string
}

func newTrace() *trace { return &trace{hash: 0x9e3779b97f4a7c15, marks: map[string]int{}} }

// castagnoli is computed by the processor, and the same everywhere.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// mix takes numbers into the hash. Source: the finalizer of SplitMix64.
func (t *trace) mix(values ...uint64) {
	h := t.hash
	for _, v := range values {
		h ^= v
		h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
		h = (h ^ h>>27) * 0x94d049bb133111eb
		h ^= h >> 31
	}
	t.hash = h
}

// bytes takes the contents of a message into the hash.
func (t *trace) bytes(now time.Duration, who uint64, b []byte) {
	t.mix(uint64(now), who, uint64(len(b)), uint64(crc32.Checksum(b, castagnoli)))
}

// wanted reports whether somebody reads along.
func (t *trace) wanted() bool { return t.lines != nil || t.keep }

// line writes a change of state of node; callers ask wanted before they make the text.
func (t *trace) line(now time.Duration, node, kind, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if t.keep {
		t.moves = append(t.moves, Move{At: now, Node: node, Kind: kind, Text: text})
	}
	if t.lines != nil {
		fmt.Fprintf(t.lines, "%7d.%06d %-8s %s\n", now/time.Millisecond, now%time.Millisecond, node, text)
	}
}

// mark counts that a named state was reached.
func (t *trace) mark(name string) { t.marks[name]++ }
