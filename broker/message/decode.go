package message

import "fmt"

// Decode reads the record at the front of b and returns it with the n bytes it takes. The CRC of the body is compared when
// checkCRC is set. Errors: ErrShort (b ends within the record), ErrBlank (n is then the rest of the file, which may be
// more than len(b)), ErrZero, ErrCorrupt; n is 0 but for ErrBlank.
// Source: CommitLog.checkMessageAndReturnSize (RocketMQ 5.3.3).
func Decode(b []byte, checkCRC bool) (r Record, n int, err error) {
	n, err = DecodeInto(&r, b, checkCRC)
	return r, n, err
}

// DecodeInto is Decode into a record of the caller's, all of whose fields are overwritten unless it errs.
func DecodeInto(r *Record, b []byte, checkCRC bool) (int, error) {
	size, v2, err := front(b)
	if err != nil {
		return size, err
	}
	if len(b) < size {
		return 0, ErrShort
	}
	b = b[:size:size]
	r.BodyCRC = be.Uint32(b[8:])
	r.QueueID = int32(be.Uint32(b[12:]))
	r.Flag = int32(be.Uint32(b[16:]))
	r.QueueOffset = int64(be.Uint64(b[queueOffsetAt:]))
	r.PhysOffset = int64(be.Uint64(b[physOffsetAt:]))
	r.SysFlag = int32(be.Uint32(b[sysFlagAt:]))
	r.BornTimestamp = int64(be.Uint64(b[40:]))
	rest := size - minBytes(r.SysFlag, v2)
	if rest < 0 {
		return 0, fmt.Errorf("%w: %d bytes", ErrCorrupt, size)
	}
	at := fixedBeforeHost
	at += r.BornHost.read(b[at:], r.SysFlag&SysBornHostV6 != 0)
	r.StoreTimestamp = int64(be.Uint64(b[at:]))
	at += 8
	at += r.StoreHost.read(b[at:], r.SysFlag&SysStoreHostV6 != 0)
	r.ReconsumeTimes = int32(be.Uint32(b[at:]))
	r.PreparedTransactionOffset = int64(be.Uint64(b[at+4:]))
	if err := r.texts(b[at+12:], v2, rest); err != nil {
		return 0, err
	}
	if checkCRC && CRC(r.Body) != r.BodyCRC {
		return 0, fmt.Errorf("%w: checksum of the body", ErrCorrupt)
	}
	return size, nil
}

// texts reads body, topic and properties. b holds their lengths and room more bytes.
func (r *Record) texts(b []byte, v2 bool, room int) error {
	n := int(int32(be.Uint32(b)))
	if n < 0 || n > room {
		return fmt.Errorf("%w: body of %d bytes", ErrCorrupt, n)
	}
	r.Body, b, room = b[4:4+n:4+n], b[4+n:], room-n
	if v2 {
		n, b = int(be.Uint16(b)), b[2:]
	} else {
		n, b = int(b[0]), b[1:]
	}
	// The length is a signed byte, or a signed short, in Java.
	if n > room || n == 0 || n > TopicBytesMax || (!v2 && n > TopicBytesV1) {
		return fmt.Errorf("%w: topic of %d bytes", ErrCorrupt, n)
	}
	r.Topic, b, room = b[:n:n], b[n:], room-n
	if n = int(be.Uint16(b)); n != room || n > PropertiesMax {
		return fmt.Errorf("%w: properties of %d bytes in %d", ErrCorrupt, n, room)
	}
	r.Properties = b[2 : 2+n : 2+n]
	return nil
}

// RecordBytes returns the size of the record at the front of b without looking at its contents; it needs BlankBytes
// bytes. Errors as Decode's; with ErrBlank the size is the rest of the file.
func RecordBytes(b []byte) (int, error) {
	n, _, err := front(b)
	return n, err
}

// front reads size and magic.
func front(b []byte) (size int, v2 bool, err error) {
	if len(b) < BlankBytes {
		return 0, false, ErrShort
	}
	size = int(int32(be.Uint32(b)))
	switch magic := be.Uint32(b[4:]); {
	case magic == MagicBlank && size >= BlankBytes:
		return size, false, ErrBlank
	case magic == 0 && size == 0:
		return 0, false, ErrZero
	case magic == MagicV1 || magic == MagicV2:
		if v2 = magic == MagicV2; size >= minBytes(0, v2) {
			return size, v2, nil
		}
	}
	return 0, false, fmt.Errorf("%w: size %d, magic %#x", ErrCorrupt, size, be.Uint32(b[4:]))
}

// minBytes is the size of a record with these hosts and without texts.
func minBytes(sysFlag int32, v2 bool) int {
	n := RecordBytesMin
	if v2 {
		n++
	}
	if sysFlag&SysBornHostV6 != 0 {
		n += HostBytesV6 - HostBytesV4
	}
	if sysFlag&SysStoreHostV6 != 0 {
		n += HostBytesV6 - HostBytesV4
	}
	return n
}
