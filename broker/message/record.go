package message

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// Magic numbers at byte 4 of a record. Source: MessageDecoder, CommitLog.BLANK_MAGIC_CODE (RocketMQ 5.3.3).
const (
	MagicV1    uint32 = 0xDAA320A7 // topic length in one byte
	MagicV2    uint32 = 0xDAA320AB // topic length in two bytes, for topics of more than TopicBytesV1 bytes
	MagicBlank uint32 = 0xCBD43194 // the rest of the file is empty
)

// Limits of the format in bytes.
const (
	TopicBytesV1    = 127
	TopicBytesMax   = 1<<15 - 1
	PropertiesMax   = 1<<15 - 1
	RecordBytesMin  = 91         // a V1 record with v4 hosts, without body, topic and properties
	BlankBytes      = 8          // a BLANK record: what must be left in a file behind every record
	RecordBytesMax  = 1<<31 - 1  // of any record
	HostBytesV4     = 4 + 4      // address and port
	HostBytesV6     = 16 + 4     // address and port
	queueOffsetAt   = 20         // positions that Patch writes
	physOffsetAt    = 28         //
	sysFlagAt       = 36         //
	storeTimeAtV4   = 56         // behind a v4 born host; 12 bytes further behind a v6 one
	fixedBeforeHost = 48         // bytes before the born host
	crcMask         = 0x7FFFFFFF // Java keeps CRCs positive
)

// Bits of Record.SysFlag. Source: MessageSysFlag (RocketMQ 5.3.3).
const (
	SysCompressed   int32 = 0x1
	SysMultiTags    int32 = 0x2
	SysPrepared     int32 = 0x4
	SysCommit       int32 = 0x8
	SysRollback     int32 = 0xC // also the mask of the transaction bits
	SysBornHostV6   int32 = 0x10
	SysStoreHostV6  int32 = 0x20
	SysNeedUnwrap   int32 = 0x40
	SysInnerBatch   int32 = 0x80
	SysCompressMask int32 = 0x700 // 0 and 0x300 zlib, 0x100 LZ4, 0x200 ZSTD
)

var (
	// ErrShort says that the bytes end before the record does.
	ErrShort = errors.New("message: record cut short")
	// ErrBlank says that a BLANK record stands here: the log goes on in the next file.
	ErrBlank = errors.New("message: blank record, end of file")
	// ErrZero says that nothing was written here: size and magic are zero.
	ErrZero = errors.New("message: zeroes, end of log")
	// ErrCorrupt says that no valid record stands here.
	ErrCorrupt = errors.New("message: corrupt record")
	// ErrIllegal says that a message cannot be written as a record.
	ErrIllegal = errors.New("message: illegal message")
)

// Record is one message of the commit log. The slices of a decoded record alias the bytes it was decoded from.
// Source: MessageExtEncoder, MessageDecoder.decode (RocketMQ 5.3.3).
type Record struct {
	BodyCRC                   uint32 // CRC of Body; written by Append, kept by Decode
	QueueID                   int32
	Flag                      int32 // the user's
	QueueOffset               int64 // 0 in prepared and rolled back transactional records
	PhysOffset                int64 // physical offset (bytes) of the record in its log
	SysFlag                   int32
	BornTimestamp             int64 // Unix ms
	BornHost                  Host  // v6 when SysFlag says so
	StoreTimestamp            int64 // Unix ms
	StoreHost                 Host  // v6 when SysFlag says so
	ReconsumeTimes            int32
	PreparedTransactionOffset int64
	Body                      []byte // compressed if SysFlag says so
	Topic                     []byte
	Properties                []byte
}

// CRC returns the checksum of a body as records carry it: CRC-32 (IEEE) without its highest bit, 0 for an empty body.
func CRC(body []byte) uint32 {
	return crc32.ChecksumIEEE(body) & crcMask
}

// Size returns the bytes that r takes as a record.
func (r *Record) Size() int {
	n := RecordBytesMin + len(r.Body) + len(r.Topic) + len(r.Properties)
	if len(r.Topic) > TopicBytesV1 {
		n++
	}
	if r.SysFlag&SysBornHostV6 != 0 {
		n += HostBytesV6 - HostBytesV4
	}
	if r.SysFlag&SysStoreHostV6 != 0 {
		n += HostBytesV6 - HostBytesV4
	}
	return n
}

// Check returns ErrIllegal if the format cannot hold r.
func (r *Record) Check() error {
	switch {
	case len(r.Topic) == 0 || len(r.Topic) > TopicBytesMax:
		return fmt.Errorf("%w: topic of %d bytes", ErrIllegal, len(r.Topic))
	case len(r.Properties) > PropertiesMax:
		return fmt.Errorf("%w: properties of %d bytes", ErrIllegal, len(r.Properties))
	case r.Size() > RecordBytesMax:
		return fmt.Errorf("%w: record of %d bytes", ErrIllegal, r.Size())
	}
	return nil
}

// Append appends r as a record and returns the extended slice. It computes the body's CRC; the queue offset, physical
// offset and store timestamp are those of r, and Patch writes them anew when they are assigned. r must pass Check.
// It does not allocate beyond growing dst.
func Append(dst []byte, r *Record) []byte {
	return appendRecord(dst, r, CRC(r.Body))
}

func appendRecord(dst []byte, r *Record, crc uint32) []byte {
	size, magic := r.Size(), MagicV1
	if len(r.Topic) > TopicBytesV1 {
		magic = MagicV2
	}
	b := be.AppendUint32(dst, uint32(size))
	b = be.AppendUint32(b, magic)
	b = be.AppendUint32(b, crc)
	b = be.AppendUint32(b, uint32(r.QueueID))
	b = be.AppendUint32(b, uint32(r.Flag))
	b = be.AppendUint64(b, uint64(r.QueueOffset))
	b = be.AppendUint64(b, uint64(r.PhysOffset))
	b = be.AppendUint32(b, uint32(r.SysFlag))
	b = be.AppendUint64(b, uint64(r.BornTimestamp))
	b = r.BornHost.append(b, r.SysFlag&SysBornHostV6 != 0)
	b = be.AppendUint64(b, uint64(r.StoreTimestamp))
	b = r.StoreHost.append(b, r.SysFlag&SysStoreHostV6 != 0)
	b = be.AppendUint32(b, uint32(r.ReconsumeTimes))
	b = be.AppendUint64(b, uint64(r.PreparedTransactionOffset))
	b = be.AppendUint32(b, uint32(len(r.Body)))
	b = append(b, r.Body...)
	if magic == MagicV2 {
		b = be.AppendUint16(b, uint16(len(r.Topic)))
	} else {
		b = append(b, byte(len(r.Topic)))
	}
	b = append(b, r.Topic...)
	b = be.AppendUint16(b, uint16(len(r.Properties)))
	return append(b, r.Properties...)
}

// Patch writes the offsets and the store time (Unix ms) of the record at the front of b, which Append made.
func Patch(b []byte, queueOffset, physOffset, storeTimestamp int64) {
	be.PutUint64(b[queueOffsetAt:], uint64(queueOffset))
	be.PutUint64(b[physOffsetAt:], uint64(physOffset))
	at := storeTimeAtV4
	if int32(be.Uint32(b[sysFlagAt:]))&SysBornHostV6 != 0 {
		at += HostBytesV6 - HostBytesV4
	}
	be.PutUint64(b[at:], uint64(storeTimestamp))
}

// AppendBlank appends the BLANK record that closes a file with fileBytesLeft bytes left, of which it writes the first
// BlankBytes.
func AppendBlank(dst []byte, fileBytesLeft int) []byte {
	dst = be.AppendUint32(dst, uint32(fileBytesLeft))
	return be.AppendUint32(dst, MagicBlank)
}

var be = binary.BigEndian
