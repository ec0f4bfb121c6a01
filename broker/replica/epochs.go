package replica

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
)

// Epoch is one master's reign as a log shows it.
type Epoch struct {
	Epoch int32
	Start Offset // where its first byte stands; it ends where the next epoch starts, or with the log
}

// Epochs are the reigns whose bytes a log holds, the oldest first. Two logs that have an epoch in common hold the same
// bytes below the smaller of its two ends: an epoch has one master, which appends only.
// Invariant: epochs rise, starts do not fall.
// Source: EpochFileCache (RocketMQ 5.3.3).
type Epochs []Epoch

// ErrEpochs says that bytes are no list of epochs.
var ErrEpochs = errors.New("replica: malformed epochs")

// epochsMax bounds a list on the wire and on disk: one entry an election.
const epochsMax = 1 << 16

// Upto returns the epochs of a log that ends at end: those behind it lost what they had, or have not begun.
func (e Epochs) Upto(end Offset) Epochs {
	for len(e) > 0 && e[len(e)-1].Start > end {
		e = e[:len(e)-1]
	}
	return e
}

// Last returns the newest epoch, 0 without one.
func (e Epochs) Last() int32 {
	if len(e) == 0 {
		return 0
	}
	return e[len(e)-1].Epoch
}

// end returns where the i-th epoch ends in a log that ends at end.
func (e Epochs) end(i int, end Offset) Offset {
	if i+1 < len(e) {
		return e[i+1].Start
	}
	return end
}

// Common returns the end of what two logs have in common: of the newest epoch that both have with one start, the smaller
// end. It returns lowest, and false, when they have no epoch in common: then nothing says that any byte is the same.
// Source: EpochFileCache.findConsistentPoint (RocketMQ 5.3.3).
func (e Epochs) Common(end Offset, other Epochs, otherEnd, lowest Offset) (Offset, bool) {
	e, other = e.Upto(end), other.Upto(otherEnd)
	j := len(other) - 1
	for i := len(e) - 1; i >= 0; i-- {
		for j >= 0 && other[j].Epoch > e[i].Epoch {
			j--
		}
		if j >= 0 && other[j] == e[i] {
			return min(e.end(i, end), other.end(j, otherEnd)), true
		}
	}
	return lowest, false
}

// appendTo appends the epochs as they stand on the wire: a count and pairs of epoch and start.
func (e Epochs) appendTo(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(e)))
	for _, one := range e {
		b = binary.BigEndian.AppendUint32(b, uint32(one.Epoch))
		b = binary.BigEndian.AppendUint64(b, uint64(one.Start))
	}
	return b
}

// parseEpochs reads what appendTo wrote, which must be all of b. It errs with ErrEpochs.
func parseEpochs(b []byte) (Epochs, error) {
	if len(b) < 4 || uint64(len(b)-4) != uint64(binary.BigEndian.Uint32(b))*12 || len(b) > 4+12*epochsMax {
		return nil, fmt.Errorf("%w: %d bytes", ErrEpochs, len(b))
	}
	var e Epochs
	for b = b[4:]; len(b) > 0; b = b[12:] {
		e = append(e, Epoch{int32(binary.BigEndian.Uint32(b)), Offset(binary.BigEndian.Uint64(b[4:]))})
	}
	return e, e.check()
}

func (e Epochs) check() error {
	last := Epoch{}
	for _, one := range e {
		if one.Epoch <= last.Epoch || one.Start < last.Start {
			return fmt.Errorf("%w: epoch %d from %d on after epoch %d from %d on", ErrEpochs, one.Epoch, one.Start, last.Epoch, last.Start)
		}
		last = one
	}
	return nil
}

// Identity is what a node keeps of its place in a group, in config/epochs: who it is and which reigns its log shows.
type Identity struct {
	ID     int64 // that the controller gave it; 0: none
	Epochs Epochs
}

// Append appends i as the file holds it: RocketMQ's lines of count, CRC and epoch-start, and the broker id before them.
// Source: CheckpointFile, EpochEntry (RocketMQ 5.3.3).
func (i *Identity) Append(dst []byte) []byte {
	body := strconv.AppendInt([]byte("broker-"), i.ID, 10)
	for _, e := range i.Epochs {
		body = strconv.AppendInt(append(body, '\n'), int64(e.Epoch), 10)
		body = strconv.AppendInt(append(body, '-'), e.Start, 10)
	}
	dst = strconv.AppendInt(dst, int64(len(i.Epochs)), 10)
	dst = strconv.AppendUint(append(dst, '\n'), uint64(crc32.ChecksumIEEE(body)), 10)
	return append(append(append(dst, '\n'), body...), '\n')
}

// ParseIdentity reads the file. It errs with ErrEpochs.
func ParseIdentity(b []byte) (i Identity, err error) {
	bad := func(what string) (Identity, error) { return Identity{}, fmt.Errorf("%w: %s", ErrEpochs, what) }
	count, rest, _ := bytes.Cut(b, []byte{'\n'})
	sum, body, ok := bytes.Cut(rest, []byte{'\n'})
	body, whole := bytes.CutSuffix(body, []byte{'\n'})
	if !ok || !whole || string(sum) != strconv.FormatUint(uint64(crc32.ChecksumIEEE(body)), 10) {
		return bad("CRC")
	}
	id, lines, _ := bytes.Cut(body, []byte{'\n'})
	name, number, _ := bytes.Cut(id, []byte{'-'})
	if i.ID, err = strconv.ParseInt(string(number), 10, 64); err != nil || string(name) != "broker" || i.ID < 0 {
		return bad("broker id")
	}
	for len(lines) > 0 {
		var line []byte
		line, lines, _ = bytes.Cut(lines, []byte{'\n'})
		epoch, start, _ := bytes.Cut(line, []byte{'-'})
		n, err := strconv.ParseInt(string(epoch), 10, 32)
		at, err2 := strconv.ParseInt(string(start), 10, 64)
		if err != nil || err2 != nil {
			return bad("epoch")
		}
		i.Epochs = append(i.Epochs, Epoch{int32(n), at})
	}
	if string(count) != strconv.Itoa(len(i.Epochs)) {
		return bad("count")
	}
	return i, i.Epochs.check()
}
