package message

import "fmt"

// BatchMessage is one message of a client batch: topic, queue and times are those of the request that carries it.
type BatchMessage struct {
	Flag       int32
	Body       []byte
	Properties []byte
}

// batchBytesMin is the size of a batch message without body and properties.
const batchBytesMin = 4 + 4 + 4 + 4 + 4 + 2

// AppendBatch appends m to the body of a batch. Magic and CRC are written as 0, as clients do; the broker computes its
// own. m.Properties must not exceed PropertiesMax. Source: MessageDecoder.encodeMessage (RocketMQ 5.3.3).
func AppendBatch(dst []byte, m *BatchMessage) []byte {
	dst = be.AppendUint32(dst, uint32(batchBytesMin+len(m.Body)+len(m.Properties)))
	dst = be.AppendUint64(dst, 0)
	dst = be.AppendUint32(dst, uint32(m.Flag))
	dst = be.AppendUint32(dst, uint32(len(m.Body)))
	dst = append(dst, m.Body...)
	dst = be.AppendUint16(dst, uint16(len(m.Properties)))
	return append(dst, m.Properties...)
}

// DecodeBatch reads the message at the front of a batch body and returns it with the n bytes it takes. m aliases b. It errs
// with ErrCorrupt.
func DecodeBatch(b []byte) (m BatchMessage, n int, err error) {
	if len(b) < batchBytesMin {
		return m, 0, fmt.Errorf("%w: batch cut short", ErrCorrupt)
	}
	n = int(int32(be.Uint32(b)))
	if n < batchBytesMin || n > len(b) {
		return m, 0, fmt.Errorf("%w: batch message of %d bytes in %d", ErrCorrupt, n, len(b))
	}
	m.Flag = int32(be.Uint32(b[12:]))
	body := int(int32(be.Uint32(b[16:])))
	if body < 0 || body > n-batchBytesMin {
		return BatchMessage{}, 0, fmt.Errorf("%w: batch body of %d bytes", ErrCorrupt, body)
	}
	m.Body = b[20 : 20+body : 20+body]
	at := 22 + body
	if props := int(be.Uint16(b[20+body:])); props != n-at || props > PropertiesMax {
		return BatchMessage{}, 0, fmt.Errorf("%w: batch properties of %d bytes", ErrCorrupt, props)
	}
	m.Properties = b[at:n:n]
	return m, n, nil
}
