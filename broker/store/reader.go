package store

import (
	"errors"
	"fmt"

	"holdfast/broker/message"
	"holdfast/broker/vfs"
)

// Reader reads the store of a broker that does not run, also one that Apache RocketMQ wrote: without lock, without
// recovery, and without changing anything. (Of one that runs it reads what is in files at that time.) What no valid
// record follows is not there for it, so that it sees what Open would keep, and what the broker would serve.
type Reader struct {
	fsys      vfs.FS
	log       log
	segBytes  int64
	queueFile int64
	front     []byte // of the checkpoint
	saved     slot
	ours      bool // saved counts
}

// OpenReader opens the store in fsys. It errs when there is none.
func OpenReader(fsys vfs.FS) (*Reader, error) {
	r := &Reader{fsys: fsys}
	sizes, err := r.log.openSegments(fsys)
	if err != nil {
		r.Close()
		return nil, err
	}
	if b, err := vfs.ReadFile(fsys, checkpointName); err == nil {
		r.saved, r.ours = decodeCheckpoint(b)
		r.front = b[:min(len(b), foreignBytes)]
	} else if !isNotExist(err) {
		r.Close()
		return nil, fmt.Errorf("read %s: %w", checkpointName, err)
	}
	r.segBytes, r.queueFile = r.saved.segment, r.saved.queueFile
	if !r.ours {
		r.segBytes, r.queueFile = 1<<30, 300_000*unitBytes
		if len(sizes) > 0 && sizes[0] > 0 {
			r.segBytes = sizes[0]
		}
		if err := r.findQueueFile(); err != nil {
			r.Close()
			return nil, err
		}
	}
	for i, g := range r.log.segs { // what does not continue the first file is not part of the log
		if g.base != r.log.segs[0].base+int64(i)*r.segBytes {
			for _, stray := range r.log.segs[i:] {
				stray.file.Close()
			}
			r.log.segs = r.log.segs[:i]
			break
		}
	}
	return r, nil
}

// findQueueFile takes the size of the consume queue files from one of them.
func (r *Reader) findQueueFile() error {
	keys, err := listQueues(r.fsys)
	if isNotExist(err) {
		return nil
	}
	for _, key := range keys {
		dir := queuePath(key.topic, key.id)
		names, err := r.fsys.List(dir)
		if err != nil || len(names) == 0 {
			continue
		}
		f, err := r.fsys.Open(dir + "/" + names[0])
		if err != nil {
			return err
		}
		size, err := f.Size()
		f.Close()
		if err == nil && size > 0 && size%unitBytes == 0 {
			r.queueFile = size
			return nil
		}
	}
	return err
}

// Close closes the files.
func (r *Reader) Close() {
	for _, g := range r.log.segs {
		g.file.Close()
	}
}

// Log calls fn with every record of the commit log and its physical offset, in order; fn must not keep what the record
// points to. It returns the physical offset behind the last valid record (as Open would find it, but that nothing is
// trusted), and what stands there instead of one, nil when nothing was written there. It errs with what fn or the disk
// says.
func (r *Reader) Log(fn func(phys int64, m *message.Record) error) (end int64, bad *Bad, err error) {
	c := r.scanner()
	for {
		_, phys, err := c.next()
		switch {
		case errors.Is(err, errEnd):
			return c.pos, nil, nil
		case errors.As(err, &bad):
			return c.pos, bad, nil
		case err != nil:
			return c.pos, nil, err
		}
		if err := fn(phys, &c.record); err != nil {
			return phys, nil, err
		}
	}
}

func (r *Reader) scanner() *scanner {
	c := &scanner{segs: r.log.segs, segBytes: r.segBytes, doubt: r.saved.synced}
	if len(c.segs) > 0 {
		c.pos = c.segs[0].base
	}
	return c
}

// QueueName names a consume queue.
type QueueName struct {
	Topic   string `json:"topic"`
	QueueID int32  `json:"queueId"`
}

// Queues returns the consume queues that have a directory, by topic and queue id.
func (r *Reader) Queues() ([]QueueName, error) {
	keys, err := listQueues(r.fsys)
	if err != nil && !isNotExist(err) {
		return nil, err
	}
	names := make([]QueueName, len(keys))
	for i, key := range keys {
		names[i] = QueueName{key.topic, key.id}
	}
	return names, nil
}

// unitCursor reads the units of one queue in blocks.
type unitCursor struct {
	reader *queueReader
	first  int64 // queue offset of the first unit with a message
	from   int64 // of block
	block  []byte
}

const cursorUnits = 1024

// units returns a cursor over the units of a queue; a queue without files has none.
func (r *Reader) units(key queueKey) (*unitCursor, error) {
	reader, err := newQueueReader(r.fsys, key, r.queueFile)
	if isNotExist(err) {
		return &unitCursor{reader: &queueReader{fileBytes: r.queueFile}}, nil
	}
	if err != nil {
		return nil, err
	}
	c := &unitCursor{reader: reader}
	begin := int64(0)
	if len(r.log.segs) > 0 {
		begin = r.log.segs[0].base
	}
	c.first, _, err = reader.begin(begin)
	return c, err
}

// at returns the unit at queue offset o, the zero unit where there is none.
func (c *unitCursor) at(o int64) (unit, error) {
	if o < c.reader.first() || o >= c.reader.limit() {
		return unit{}, nil
	}
	if o < c.from || o >= c.from+int64(len(c.block))/unitBytes {
		perFile := c.reader.fileBytes / unitBytes
		n := min(cursorUnits, perFile-o%perFile)
		c.from, c.block = o, append(c.block[:0], make([]byte, n*unitBytes)...)
		if err := c.reader.read(o, c.block); err != nil {
			c.block = c.block[:0]
			return unit{}, err
		}
	}
	return readUnit(c.block[(o-c.from)*unitBytes:]), nil
}
