package message

import "bytes"

// Names of properties. Source: MessageConst (RocketMQ 5.3.3).
const (
	PropertyKeys              = "KEYS" // with spaces between
	PropertyTags              = "TAGS"
	PropertyWait              = "WAIT" // "false": the put does not wait for flush and replica
	PropertyDelay             = "DELAY"
	PropertyRetryTopic        = "RETRY_TOPIC"
	PropertyRealTopic         = "REAL_TOPIC"
	PropertyRealQueueID       = "REAL_QID"
	PropertyTransaction       = "TRAN_MSG"
	PropertyProducerGroup     = "PGROUP"
	PropertyOriginMessageID   = "ORIGIN_MESSAGE_ID"
	PropertyReconsumeTime     = "RECONSUME_TIME"
	PropertyRegion            = "MSG_REGION"
	PropertyTrace             = "TRACE_ON"
	PropertyUniqueKey         = "UNIQ_KEY"
	PropertyMaxReconsumeTimes = "MAX_RECONSUME_TIMES"
	PropertyCluster           = "CLUSTER"
	PropertyShardingKey       = "__SHARDINGKEY"
	PropertyReplyToClient     = "REPLY_TO_CLIENT" // client id of who waits for a reply
	PropertyPushReplyTime     = "PUSH_REPLY_TIME" // when the broker passed a reply on
)

const (
	nameEnd  = 1
	valueEnd = 2
)

// Property returns the value of the first property with that name, and whether there is one. It aliases props. Most that are asked for are
// not there, which a search tells sooner than a walk.
func Property(props []byte, name string) (value []byte, ok bool) {
	if !bytes.Contains(props, []byte(name)) {
		return nil, false
	}
	for len(props) > 0 {
		var n []byte
		if n, value, props = NextProperty(props); string(n) == name {
			return value, true
		}
	}
	return nil, false
}

// NextProperty cuts the first property off props. Pieces that are no property (no byte 1) come with the name nil; the
// last one need not be closed by byte 2. All slices alias props.
func NextProperty(props []byte) (name, value, rest []byte) {
	end, next := bytes.IndexByte(props, valueEnd), 0
	if next = end + 1; end < 0 {
		end, next = len(props), len(props)
	}
	mid := bytes.IndexByte(props[:end], nameEnd)
	if mid < 0 {
		return nil, props[:end:end], props[next:]
	}
	return props[:mid:mid], props[mid+1 : end : end], props[next:]
}

// AppendProperty appends a property to dst, which is empty or holds properties only. Neither name nor value may hold the
// bytes 1 and 2.
func AppendProperty[V string | []byte](dst []byte, name string, value V) []byte {
	if n := len(dst); n > 0 && dst[n-1] != valueEnd {
		dst = append(dst, valueEnd)
	}
	dst = append(dst, name...)
	dst = append(dst, nameEnd)
	dst = append(dst, value...)
	return append(dst, valueEnd)
}

// JoinProperties appends more, which holds properties only, to those that dst holds from start on.
func JoinProperties(dst []byte, start int, more []byte) []byte {
	if n := len(dst); n > start && dst[n-1] != valueEnd {
		dst = append(dst, valueEnd)
	}
	return append(dst, more...)
}

// PropertiesEnded reports whether props ends with the byte that ends a value: some clients leave out the last one.
func PropertiesEnded(props []byte) bool { return len(props) > 0 && props[len(props)-1] == valueEnd }

// SetProperty appends to dst all of props but those with that name, then the new one. value must not lie in dst.
func SetProperty[V string | []byte](dst, props []byte, name string, value V) []byte {
	return AppendProperty(RemoveProperty(dst, props, name), name, value)
}

// RemoveProperty appends to dst, which is empty or holds properties only, all of props but those with that name. dst and
// props must not overlap.
func RemoveProperty(dst, props []byte, name string) []byte {
	for len(props) > 0 {
		var n, v []byte
		if n, v, props = NextProperty(props); n != nil && string(n) != name {
			dst = AppendProperty(dst, string(n), v)
		}
	}
	return dst
}
