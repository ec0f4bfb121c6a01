package server

import (
	"errors"
	"fmt"
	"io"
	"time"

	"holdfast/broker"
	"holdfast/broker/store"
)

// bulkBytes is the body from which on the answer to a pull is not copied into a buffer first: its ranges go to the socket from where
// they are. It is far above what a client asks for that keeps up.
const bulkBytes = 256 << 10

func bulky(r *broker.Reply) bool { return r.Kind == broker.ReplyPull && r.Pull.Bytes >= bulkBytes }

// ship writes a bulky answer, waiting for the client as write does. It returns scratch to be used again.
func (c *conn) ship(scratch []byte, r *broker.Reply) ([]byte, error) {
	scratch = r.AppendFront(scratch)
	for i, ranges := 0, r.Pull.Ranges; i < len(ranges); {
		run, joined := together(ranges[i:])
		i += joined
		var err error
		if run.Len >= directBytes && (run.Mem != nil || c.file.possible(run.File)) {
			scratch, err = c.flush(scratch)
			if err == nil && run.Mem != nil {
				err = c.write(run.Mem)
			} else if err == nil {
				err = c.send(run)
			}
		} else {
			scratch, err = c.gather(scratch, run)
		}
		if err != nil {
			return scratch, err
		}
	}
	return c.flush(scratch)
}

// flush writes what was gathered.
func (c *conn) flush(scratch []byte) ([]byte, error) { return scratch[:0], c.write(scratch) }

// gather appends a run to scratch and writes scratch whenever it is large.
func (c *conn) gather(scratch []byte, run store.Range) (_ []byte, err error) {
	for run.Len > 0 {
		part := run
		if part.Mem == nil {
			part.Len = min(run.Len, bulkBytes)
		}
		if scratch, err = part.AppendTo(scratch); err != nil {
			return scratch, fmt.Errorf("%w: at %d: %w", errLog, part.Phys, err)
		}
		run.FileOffset, run.Phys, run.Len = run.FileOffset+int64(part.Len), run.Phys+int64(part.Len), run.Len-part.Len
		if len(scratch) >= bulkBytes {
			if scratch, err = c.flush(scratch); err != nil {
				return scratch, err
			}
		}
	}
	return scratch, nil
}

// errLog says that bytes of the commit log could not be read.
var errLog = errors.New("read of the commit log")

// together joins the ranges that lie one behind the other in one file, as those of a queue do that had its log for itself.
func together(ranges []store.Range) (run store.Range, joined int) {
	run, joined = ranges[0], 1
	for run.Mem == nil && joined < len(ranges) {
		next := &ranges[joined]
		if next.Mem != nil || next.File != run.File || next.FileOffset != run.FileOffset+int64(run.Len) {
			break
		}
		run.Len += next.Len
		joined++
	}
	return run, joined
}

// directBytes is the run below which it is cheaper to gather it with others than to spend a system call on it.
const directBytes = 16 << 10

// send lets the kernel copy from a file to the socket.
func (c *conn) send(run store.Range) error {
	for run.Len > 0 {
		c.nc.SetWriteDeadline(time.Now().Add(c.s.limits.WriteTime))
		n, err := c.file.send(run.File, run.FileOffset, min(run.Len, sendAtOnce))
		if err != nil {
			return err
		}
		if n == 0 {
			return fmt.Errorf("%w: at %d: %w", errLog, run.Phys, io.ErrUnexpectedEOF)
		}
		run.FileOffset, run.Len = run.FileOffset+int64(n), run.Len-n
	}
	return nil
}

// sendAtOnce bounds one sendfile.
const sendAtOnce = 1 << 20
