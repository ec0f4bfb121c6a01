package message

import (
	"encoding/hex"
	"unicode/utf8"
)

// HashCode returns Java's String.hashCode of the UTF-8 text s: over its UTF-16 units, wrapping.
func HashCode[T string | []byte](s T) int32 { return hashOn(0, s) }

// hashOn goes on with h, the hash code of what stands before s.
func hashOn[T string | []byte](h int32, s T) int32 {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return hashWide(h, []byte(s[i:]))
		}
		h = 31*h + int32(s[i])
	}
	return h
}

// hashWide goes on with h over text that is not ASCII.
func hashWide(h int32, s []byte) int32 {
	for len(s) > 0 {
		r, n := utf8.DecodeRune(s)
		if s = s[n:]; r >= 0x10000 {
			r -= 0x10000
			h = 31*h + (0xD800 + r>>10)
			r = 0xDC00 + r&0x3FF
		}
		h = 31*h + r
	}
	return h
}

// TagsCode returns the tags code of a message with those properties, as consume queues hold it: the hash code of TAGS, or
// 0 without tags.
func TagsCode(props []byte) int64 {
	tags, _ := Property(props, PropertyTags)
	return int64(HashCode(tags))
}

// IndexHash returns the hash under which the index file lists a key of a topic; it is never negative.
// Source: IndexFile.indexKeyHashMethod (RocketMQ 5.3.3).
func IndexHash[T, K string | []byte](topic T, key K) int32 {
	return positive(hashOn(hashOn(hashOn(0, topic), "#"), key))
}

// IndexTagHash is IndexHash for the tag of a message, which RocketMQ lists beside its keys since 5.4.
// Source: IndexService.buildKey (RocketMQ 5.5.0).
func IndexTagHash[T, K string | []byte](topic T, tag K) int32 {
	return positive(hashOn(hashOn(hashOn(0, topic), "#T#"), tag))
}

func positive(h int32) int32 {
	if h < 0 {
		h = -h
	}
	return max(h, 0)
}

// AppendOffsetID appends the offset message id of the record at that physical offset of the broker at host: upper case
// hexadecimal of address, port and offset, 32 characters, or 56 for IPv6. Source: MessageDecoder.createMessageId.
func AppendOffsetID(dst []byte, host *Host, v6 bool, physOffset int64) []byte {
	var raw [HostBytesV6 + 8]byte
	b := host.append(raw[:0], v6)
	b = be.AppendUint64(b, uint64(physOffset))
	return appendHex(dst, b)
}

// ParseOffsetID is the inverse of AppendOffsetID; ok is false when id is none.
func ParseOffsetID(id string) (host Host, v6 bool, physOffset int64, ok bool) {
	b, err := hex.DecodeString(id)
	if err != nil || (len(b) != HostBytesV4+8 && len(b) != HostBytesV6+8) {
		return Host{}, false, 0, false
	}
	v6 = len(b) == HostBytesV6+8
	n := host.read(b, v6)
	return host, v6, int64(be.Uint64(b[n:])), true
}

// AppendUniqueID appends a client message id (UNIQ_KEY) in Apache's layout, 32 hexadecimal characters: address, process,
// a number of the instance, ms since the start of the month, counter. Source: MessageClientIDSetter (RocketMQ 5.3.3).
func AppendUniqueID(dst []byte, ip [4]byte, pid uint16, instance, ms uint32, counter uint16) []byte {
	var raw [16]byte
	b := append(raw[:0], ip[:]...)
	b = be.AppendUint16(b, pid)
	b = be.AppendUint32(b, instance)
	b = be.AppendUint32(b, ms)
	b = be.AppendUint16(b, counter)
	return appendHex(dst, b)
}

func appendHex(dst, b []byte) []byte {
	const digits = "0123456789ABCDEF"
	for _, c := range b {
		dst = append(dst, digits[c>>4], digits[c&15])
	}
	return dst
}
