package message

import "encoding/binary"

// StoreTimeBytes is how much of a record's front StoreTime reads.
const StoreTimeBytes = 84

// StoreTime returns the store time (Unix ms) of the record that begins with front; ok is false when front is too short. It
// checks nothing else: the record must be one. Source: MessageDecoder.decode (RocketMQ 5.3.3).
func StoreTime(front []byte) (ms int64, ok bool) {
	const sysFlagAt, bornHostAt = 36, 48
	if len(front) < bornHostAt {
		return 0, false
	}
	at := bornHostAt + 8
	if binary.BigEndian.Uint32(front[sysFlagAt:])&uint32(SysBornHostV6) != 0 {
		at = bornHostAt + 20
	}
	if len(front) < at+8 {
		return 0, false
	}
	return int64(binary.BigEndian.Uint64(front[at:])), true
}
