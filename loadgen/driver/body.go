package driver

import (
	"encoding/binary"
	"hash/crc32"
	"math/rand/v2"
)

// A body is: magic (4 bytes), CRC-32C of all that follows (4), value (8), run (8), filler. Integers are big-endian.
// The filler does not compress, and differs between messages, so that bytes of one message never pass for another's.
const (
	bodyMagic      = 0x68666231 // "hfb1"
	bodyValueAt    = 8
	bodyRunAt      = 16
	bodyFillerAt   = 24
	fillerBytes    = 1 << 16
	fillerStepBits = 0x9E3779B97F4A7C15 // spreads the values over the filler

	// MinBodyBytes is the least size of a body in bytes.
	MinBodyBytes = bodyFillerAt
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	filler     = newFiller()
)

func newFiller() []byte {
	b := make([]byte, fillerBytes)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := 0; i < len(b); i += 8 {
		binary.BigEndian.PutUint64(b[i:], rng.Uint64())
	}
	return b
}

// EncodeBody writes the body of message value of a run into dst[:size] and returns it. It grows dst when it is too
// small. A size below MinBodyBytes is taken as MinBodyBytes.
func EncodeBody(dst []byte, run, value uint64, size int) []byte {
	size = max(size, MinBodyBytes)
	if cap(dst) < size {
		dst = make([]byte, size)
	}
	dst = dst[:size]
	binary.BigEndian.PutUint32(dst, bodyMagic)
	binary.BigEndian.PutUint64(dst[bodyValueAt:], value)
	binary.BigEndian.PutUint64(dst[bodyRunAt:], run)
	at := value * fillerStepBits >> 48 &^ 7
	for rest := dst[bodyFillerAt:]; len(rest) > 0; at = 0 {
		rest = rest[copy(rest, filler[at:]):]
	}
	binary.BigEndian.PutUint32(dst[4:], crc32.Checksum(dst[bodyValueAt:], castagnoli))
	return dst
}

// DecodeBody returns the run and the value that a body carries; ok is false when it is no body or its checksum fails.
func DecodeBody(b []byte) (run, value uint64, ok bool) {
	if len(b) < MinBodyBytes || binary.BigEndian.Uint32(b) != bodyMagic {
		return 0, 0, false
	}
	if crc32.Checksum(b[bodyValueAt:], castagnoli) != binary.BigEndian.Uint32(b[4:]) {
		return 0, 0, false
	}
	return binary.BigEndian.Uint64(b[bodyRunAt:]), binary.BigEndian.Uint64(b[bodyValueAt:]), true
}
