// Package store keeps messages as Apache RocketMQ does: commit log files, consume queues that index them by topic and
// queue, index files that find them by key, and a checkpoint, over a vfs.FS.
//
// It is pure memory but for Open, Close and the Run of the jobs that it hands out: nothing else reads or writes a file,
// and nothing looks at a clock. One Store belongs to one caller at a time; jobs run beside it, without its lock. It
// decides no policy: when to write, when to sync and what an acknowledgement needs is the caller's business.
//
// Offsets: a physical offset is a position (bytes) in the commit log, a queue offset a position (messages) in a consume
// queue. Formats: commitlog/<20 digits>, consumequeue/<topic>/<queueID>/<20 digits>, index/<17 digits>, checkpoint, abort, lock.
package store

import (
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"holdfast/broker/vfs"
)

// Errors of the store, compared by errors.Is.
var (
	ErrInUse   = errors.New("store: directory is in use by another process")
	ErrCorrupt = errors.New("store: corrupt")
	ErrBusy    = errors.New("store: too much waits to be written")
	ErrFailed  = errors.New("store: failed, restart to recover")
	ErrOffset  = errors.New("store: not the end of the commit log")
	ErrTooLong = errors.New("store: record too long")
	ErrIllegal = errors.New("store: illegal record")
	ErrTopic   = errors.New("store: not a topic or queue id")
)

// Config says how a Store lays out its files and how much memory it uses. The zero value of a field means its default.
type Config struct {
	SegmentBytes   int64 // size of a commit log file; default 1 GiB (mappedFileSizeCommitLog). Existing files win
	QueueFileBytes int64 // size of a consume queue file, a multiple of 20; default 6,000,000. Existing files win
	MaxAppendBytes int   // longest Append, a batch included; default 32 MiB; at most SegmentBytes - 8

	ChunkBytes   int   // a power of two; the commit log's tail is kept in memory in such pieces; default 64 KiB
	UnwrittenMax int64 // Append answers ErrBusy beyond so many bytes that are not written; default 64 MiB
	HotBytes     int64 // written bytes kept in memory, so that hot reads and replication need no file; default 1 MiB
	UnitsMax     int   // Append answers ErrBusy beyond so many consume queue units that no AuxJob has written; default 4 Mi
	HotUnits     int   // consume queue units of a queue kept in memory once written; default 1024

	// Index files: MaxHashSlots slots and room for MaxIndexes - 1 entries each; defaults 5,000,000 and 20,000,000 (maxHashSlotNum,
	// maxIndexNum; messageIndexEnable). With other figures than before, or when there were none, Open makes them anew.
	NoIndex      bool
	MaxHashSlots int32
	MaxIndexes   int32
	IndexTags    bool // tags are listed beside keys, as RocketMQ does since 5.4

	CheckpointEvery time.Duration // how often the checkpoint follows the synced mark; default 1 s
	QueueSyncEvery  time.Duration // how often consume queues and index files are synced; default 10 s
	QueueSyncBytes  int64         // ... and after so many bytes of commit log; bounds what Open scans; default 256 MiB

	// OpenQueueFiles is how many files of consume queues are open to be written; default 512: a file that is closed is synced first, and a
	// sync costs ten times what it costs to open the file again, so that more would save little, and descriptors are for clients.
	OpenQueueFiles int

	// AuxQueues is how many queues an AuxJob writes, but where much waits: default 2048. A job must not hold the end of a broker for long, and a new
	// queue takes up to 0.5 ms to be made and synced. Where more queues wait, Close leaves them to the next Open, which finds their units in the log.
	AuxQueues int

	// CutCorrupt cuts the log at a corrupt record even where it was once synced, or where RocketMQ would not look any more, with everything
	// behind it (holdfastCutCorrupt). By default Open refuses.
	CutCorrupt bool
}

// withDefaults returns c with the defaults filled in.
func (c Config) withDefaults() Config {
	def := func(field *int64, value int64) {
		if *field == 0 {
			*field = value
		}
	}
	defInt := func(field *int, value int) {
		if *field == 0 {
			*field = value
		}
	}
	defTime := func(field *time.Duration, value time.Duration) {
		if *field == 0 {
			*field = value
		}
	}
	if c.MaxHashSlots == 0 {
		c.MaxHashSlots = 5_000_000
	}
	if c.MaxIndexes == 0 {
		c.MaxIndexes = 20_000_000
	}
	def(&c.SegmentBytes, 1<<30)
	def(&c.QueueFileBytes, 300_000*unitBytes)
	defInt(&c.MaxAppendBytes, int(min(32<<20, c.SegmentBytes-blankBytes)))
	defInt(&c.ChunkBytes, 64<<10)
	def(&c.UnwrittenMax, 64<<20)
	def(&c.HotBytes, 1<<20)
	defInt(&c.UnitsMax, 4<<20)
	defInt(&c.HotUnits, 1024)
	defInt(&c.OpenQueueFiles, 512)
	defInt(&c.AuxQueues, 2048)
	defTime(&c.CheckpointEvery, time.Second)
	defTime(&c.QueueSyncEvery, 10*time.Second)
	def(&c.QueueSyncBytes, 256<<20)
	return c
}

// Validate names the first field that is out of its range.
func (c Config) Validate() error {
	c = c.withDefaults()
	switch {
	case c.SegmentBytes < 256:
		return fmt.Errorf("store: SegmentBytes is %d, must be at least 256", c.SegmentBytes)
	case c.QueueFileBytes < unitBytes || c.QueueFileBytes%unitBytes != 0:
		return fmt.Errorf("store: QueueFileBytes is %d, must be a positive multiple of %d", c.QueueFileBytes, unitBytes)
	case c.MaxAppendBytes < 1 || int64(c.MaxAppendBytes) > c.SegmentBytes-blankBytes:
		return fmt.Errorf("store: MaxAppendBytes is %d, must be 1..%d (SegmentBytes - %d)", c.MaxAppendBytes, c.SegmentBytes-blankBytes, blankBytes)
	case c.ChunkBytes < 64 || c.ChunkBytes&(c.ChunkBytes-1) != 0:
		return fmt.Errorf("store: ChunkBytes is %d, must be a power of two of at least 64", c.ChunkBytes)
	case c.UnwrittenMax < 1 || c.HotBytes < 0 || c.UnitsMax < 1 || c.HotUnits < 0:
		return errors.New("store: UnwrittenMax and UnitsMax must be positive, HotBytes and HotUnits not negative")
	case c.OpenQueueFiles < 1 || c.AuxQueues < 1:
		return fmt.Errorf("store: OpenQueueFiles is %d and AuxQueues %d, must be positive", c.OpenQueueFiles, c.AuxQueues)
	case c.MaxHashSlots < 1 || c.MaxIndexes < 2 || (keyLayout{c.MaxHashSlots, c.MaxIndexes}).fileBytes() > math.MaxInt32:
		return fmt.Errorf("store: MaxHashSlots is %d and MaxIndexes %d, must be at least 1 and 2, and 40 + 4 MaxHashSlots + 20 MaxIndexes below 2^31", c.MaxHashSlots, c.MaxIndexes)
	case c.CheckpointEvery < 0 || c.QueueSyncEvery < 0 || c.QueueSyncBytes < 0:
		return errors.New("store: CheckpointEvery, QueueSyncEvery and QueueSyncBytes must not be negative")
	}
	return nil
}

// Marks are physical offsets up to which the commit log has come.
// Invariant: Min <= Synced <= Written <= Appended, Indexed <= Appended; Written <= Indexed but behind a Bad one.
type Marks struct {
	Gen      int32 // of the log: what was learned under another Gen says nothing about it. It rises with every truncation
	Min      int64 // the first byte that is there
	Appended int64 // in memory: the log's end
	Written  int64 // given to the operating system: survives the end of the process
	Synced   int64 // on disk: survives a power cut
	Indexed  int64 // whole valid records end here; below Appended in the middle of one, or for ever before a Bad one
}

// Store is a message store. See the package comment for who may call it.
type Store struct {
	fsys  vfs.FS
	cfg   Config
	lock  io.Closer
	marks Marks
	err   error // why nothing can be appended any more

	tail
	log
	index
	keys
	saved slot   // the last checkpoint
	front []byte // RocketMQ's fields of the checkpoint that Open found, when it was RocketMQ that wrote them last

	expire expiry  // files that the next AuxJob removes
	floors []floor // while Open builds the consume queues anew

	write    WriteJob
	sync     SyncJob
	aux      AuxJob
	truncate TruncateJob
	opened   Recovery
}

// Opened returns what Open found and did: whether the store had been closed, above all.
func (s *Store) Opened() Recovery { return s.opened }

// Marks returns the present marks.
func (s *Store) Marks() Marks { return s.marks }

// Config returns the configuration in force: defaults filled in, file sizes as the existing files have them.
func (s *Store) Config() Config { return s.cfg }

// Err returns why the store takes nothing more (ErrFailed with its cause), or nil.
func (s *Store) Err() error { return s.err }
