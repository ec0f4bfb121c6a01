package history

import "math/bits"

// The binary form is a file of segments, each a multiple of segmentAlign bytes, in the byte order of the machine:
//
//	segment:  magic u64 | kind u32, owner u32 | size in bytes u64 | client i32, 0 u32 | flags u64 | turn u64 | 0 u64 x 2 | body
//	header:   length in bytes u64 | JSON of Header
//	symbols:  length in bytes + 1 u64 (written last) | bytes, zero padded to words
//	shard:    records: commit word (written last) | words
//
// A commit word is 0 until its record is complete: after a SIGKILL of the writer the first 0 ends a segment, and a
// record that was being written has never been. The checksum in it cuts what a crash of the whole machine tore.
const (
	segmentMagic = 0x31304846_48464f4c // changes with the version
	segmentAlign = 64 << 10
	segmentHead  = 8 // words

	kindHeader  = 1
	kindSymbols = 2
	kindShard   = 3

	// flags of the header segment
	flagFinished   = 1 // Close was called
	flagIncomplete = 2 // an event could not be recorded: no space
)

// Words of a segment's head.
const (
	headMagic = iota
	headKind  // kind | owner << 32; owner is the shard's index
	headSize
	headClient
	headFlags
	headTurn // shards: 1, 2 ... in the order of use, which is not that of the file; 0: not used yet
)

// Fields of a record that are there only when its flag is set, in this order.
const (
	hasAt          = 1 << iota // At differs from T
	hasP                       // P differs from the shard's client
	hasValue                   // sends
	hasQueueStatus             // Queue | Status << 32
	hasNodeError               // Node | Error << 32
	hasGroupRetry              // Group | Retry << 32
	hasOffset
	hasFrom
	hasEnd
	hasEpoch
	hasFirst
	hasMsgs   // count, bytes, then varints: zigzag of offset - (previous + 1), zigzag of value - previous, corrupt
	hasFault  // name and phase, count of nodes and effects, then a symbol or (symbol, value) each
	hasRole   // symbol of the role
	hasFilter // no word: Filter
	hasMore   // no word: the next record of the shard continues Msgs
)

// A commit word: length in words (20 bits), type (3), function (5), flags (16), checksum (20).
const (
	lengthBits = 20
	typeShift  = 20
	fShift     = 23
	flagShift  = 28
	sumShift   = 44

	recordWordsMax = 2 + 14 // without Msgs and Fault
	msgBytesMax    = 32 << 10
)

// seal returns the commit word of a record whose other words are body.
func seal(word uint64, body []uint64) uint64 {
	return word | checksum(word, body)<<sumShift
}

// checksum returns 20 bits over the unsealed commit word and the body.
func checksum(word uint64, body []uint64) uint64 {
	sum := word
	for _, w := range body {
		sum = bits.RotateLeft64(sum^w, 29) * 0x9e3779b97f4a7c15
	}
	return sum >> sumShift
}

func commitWord(length int, t Type, f F, flags uint64) uint64 {
	return uint64(length) | uint64(t)<<typeShift | uint64(f)<<fShift | flags<<flagShift
}

func zigzag(v int64) uint64   { return uint64(v<<1) ^ uint64(v>>63) }
func unzigzag(u uint64) int64 { return int64(u>>1) ^ -int64(u&1) }
