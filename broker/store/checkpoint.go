package store

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"math"

	"holdfast/broker/vfs"
)

const (
	checkpointName  = "checkpoint"
	checkpointBytes = 4096
	foreignBytes    = 48 // RocketMQ's own fields at the front
	timesBytes      = 16 // the first two, which it changes with every message
	slotMagic       = 0x686f6c64666b7031
	slotBytes       = 256
)

// slot is a checkpoint: what is known to be on disk. The file has RocketMQ's fields at its front and behind them two
// slots, in sectors of their own, written in turn, so that one of them is always whole. What it says is true even if
// it was only in the page cache: it is written after the sync that it speaks of. Only lowering synced or indexed must be
// durable before anything else happens.
// Source: StoreCheckpoint (RocketMQ 5.5.0) for the fields at the front. RocketMQ throws an index file away after a crash when its last
// message is younger than indexMsgTimestamp, so that this is never the time of a file that is still written to.
type slot struct {
	seq        int64
	segment    int64 // SegmentBytes
	queueFile  int64 // QueueFileBytes
	synced     int64 // whole records below this physical offset are on disk
	indexed    int64 // <= synced: consume queue units of all records below are on disk
	units      int64 // sum over the queues with such units of the queue offset behind the last
	queues     int64 // number of those queues
	physicTime int64 // store time of the record before synced, Unix ms (physicMsgTimestamp)
	logicsTime int64 // store time of the record before indexed, Unix ms (logicsMsgTimestamp)
	clean      bool  // the store was closed: nothing lies behind synced

	min       int64   // the log begins here, what lies below is to be removed; 0: at its first file
	keyLayout int64   // of the index files, packed; 0: there are none
	keyed     int64   // <= synced: the keys of all records below are in index files on disk
	keyFile   keyFile // the last of them, as it is on disk; the zero value without any
	keyTime   int64   // store time of the last message in the last full one, Unix ms (indexMsgTimestamp)
}

// front returns RocketMQ's fields.
func (c *slot) front() []byte {
	b := be.AppendUint64(nil, uint64(c.physicTime))
	b = be.AppendUint64(b, uint64(c.logicsTime))
	b = be.AppendUint64(b, uint64(c.keyTime))
	b = be.AppendUint64(b, uint64(c.synced)) // masterFlushedOffset
	b = be.AppendUint64(b, uint64(c.synced)) // confirmPhyOffset
	return be.AppendUint64(b, uint64(c.indexed))
}

func (c *slot) encode() []byte {
	b := be.AppendUint64(nil, slotMagic)
	clean := int64(0)
	if c.clean {
		clean = 1
	}
	for _, field := range c.fields(&clean) {
		b = be.AppendUint64(b, uint64(*field))
	}
	b = append(b, c.keyFile.encode()...)
	b = append(b, make([]byte, slotBytes-4-len(b))...)
	return be.AppendUint32(b, crc32.ChecksumIEEE(b))
}

// fields returns where the numbers of a slot are, in the order in which they stand in the file; clean is the last.
func (c *slot) fields(clean *int64) []*int64 {
	return []*int64{&c.seq, &c.segment, &c.queueFile, &c.synced, &c.indexed, &c.units, &c.queues, &c.physicTime, &c.logicsTime,
		&c.keyLayout, &c.keyed, &c.keyFile.name, &c.keyTime, &c.min, clean}
}

// decodeSlot returns the slot in b, and whether there is a valid one.
func decodeSlot(b []byte) (c slot, ok bool) {
	if len(b) < slotBytes || be.Uint64(b) != slotMagic || be.Uint32(b[slotBytes-4:]) != crc32.ChecksumIEEE(b[:slotBytes-4]) {
		return slot{}, false
	}
	var clean int64
	fields := c.fields(&clean)
	for i, field := range fields {
		*field = int64(be.Uint64(b[8+8*i:]))
	}
	if !c.keyFile.decode(b[8+8*len(fields):], keyLayout{math.MaxInt32, math.MaxInt32}) {
		return slot{}, false
	}
	if c.keyFile.name == 0 {
		c.keyFile = keyFile{}
	}
	c.clean = clean != 0
	if ok = c.seq > 0 && c.segment > 0 && c.queueFile > 0 && c.queueFile%unitBytes == 0 && 0 <= c.indexed && c.indexed <= c.synced && 0 <= c.keyed && c.keyed <= c.synced; !ok {
		c = slot{}
	}
	return c, ok
}

// slotAt returns where in the file the slot with that number goes.
func slotAt(seq int64) int64 { return vfs.Sector * (1 + seq&1) }

// save writes c and makes it durable.
func (c *slot) save(f vfs.File) error {
	if _, err := f.WriteAt(c.front(), 0); err != nil {
		return err
	}
	if _, err := f.WriteAt(c.encode(), slotAt(c.seq)); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("%w %s: %w", errSync, checkpointName, err)
	}
	return nil
}

// decodeCheckpoint returns the newest slot of a checkpoint file, and whether there is one that counts: if RocketMQ has
// written to the file since, it has written to the log, and the slots say nothing any more but which number comes next.
func decodeCheckpoint(b []byte) (slot, bool) {
	if len(b) < checkpointBytes {
		return slot{}, false
	}
	even, evenOK := decodeSlot(b[slotAt(0):])
	odd, oddOK := decodeSlot(b[slotAt(1):])
	ours := evenOK && bytes.Equal(even.front()[:timesBytes], b[:timesBytes]) || oddOK && bytes.Equal(odd.front()[:timesBytes], b[:timesBytes])
	switch {
	case !ours:
		return slot{seq: max(even.seq, odd.seq)}, false
	case oddOK && (!evenOK || odd.seq > even.seq):
		return odd, true
	}
	return even, evenOK
}
