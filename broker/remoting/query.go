package remoting

// QueryMessageHeader is the header of QUERY_MESSAGE.
// Source: QueryMessageRequestHeader (RocketMQ 5.5.0), QueryMessageProcessor for UniqueKey.
type QueryMessageHeader struct {
	Topic     string
	Key       string
	MaxNum    int32
	Begin     int64  // store times, Unix ms, both included
	End       int64  //
	IndexType string // "T": Key is a tag; else, and when it is empty, a key. Of 5.x
	LastKey   string // where to go on, for a store in RocksDB. Of 5.x
	UniqueKey bool   // Key is a UNIQ_KEY: the broker's own limit holds instead of MaxNum
}

// uniqueKeyQuery is the name of the field that no header class has. Source: MixAll.UNIQUE_MSG_QUERY_FLAG.
const uniqueKeyQuery = "_UNIQUE_KEY_QUERY"

// IndexTypeTag is the IndexType of a query for a tag. Source: MessageConst.INDEX_TAG_TYPE (RocketMQ 5.5.0).
const IndexTypeTag = "T"

// ParseQueryMessage reads the header of QUERY_MESSAGE. It errs with ErrField.
func ParseQueryMessage(e Ext) (QueryMessageHeader, error) {
	r := reader{ext: e}
	h := QueryMessageHeader{
		Topic: r.str("topic"), Key: r.str("key"), MaxNum: r.int32("maxNum"), Begin: r.integer("beginTimestamp"), End: r.integer("endTimestamp"),
		IndexType: r.optional("indexType"), LastKey: r.optional("lastKey"), UniqueKey: r.boolean(uniqueKeyQuery, false),
	}
	return h, r.err
}

// Append appends the fields of h.
func (h *QueryMessageHeader) Append(w *Writer) {
	w.String("topic", h.Topic)
	w.String("key", h.Key)
	w.Int("maxNum", int64(h.MaxNum))
	w.Int("beginTimestamp", h.Begin)
	w.Int("endTimestamp", h.End)
	if h.IndexType != "" {
		w.String("indexType", h.IndexType)
	}
	if h.LastKey != "" {
		w.String("lastKey", h.LastKey)
	}
	if h.UniqueKey {
		w.Bool(uniqueKeyQuery, true)
	}
}

// QueryMessageReply is the header of a reply to QUERY_MESSAGE; its body is whole records, one behind the other.
// Source: QueryMessageResponseHeader (RocketMQ 5.3.3).
type QueryMessageReply struct {
	LastTime int64 // store time of the last message in the index, Unix ms
	LastPhys int64 // its physical offset
}

// Append appends the whole reply frame, in the form of its request.
func (q *QueryMessageReply) Append(dst []byte, request *Frame, code int32, remark string, records []byte) []byte {
	w := Begin(dst, &Frame{Code: code, Opaque: request.Opaque, Flag: FlagResponse, Version: Version, Language: Go, Form: request.Form, Remark: []byte(remark)})
	w.Int("indexLastUpdateTimestamp", q.LastTime)
	w.Int("indexLastUpdatePhyoffset", q.LastPhys)
	return w.Finish(records)
}

// ParseQueryMessageReply reads the header of a reply to QUERY_MESSAGE. It errs with ErrField.
func ParseQueryMessageReply(e Ext) (QueryMessageReply, error) {
	r := reader{ext: e}
	q := QueryMessageReply{LastTime: r.integer("indexLastUpdateTimestamp"), LastPhys: r.integer("indexLastUpdatePhyoffset")}
	return q, r.err
}

// ViewMessageHeader is the header of VIEW_MESSAGE_BY_ID.
// Source: ViewMessageRequestHeader (RocketMQ 5.3.3).
type ViewMessageHeader struct {
	Topic  string // may be empty
	Offset int64  // physical offset of the message: what its offset message id holds
}

// ParseViewMessage reads the header of VIEW_MESSAGE_BY_ID. It errs with ErrField.
func ParseViewMessage(e Ext) (ViewMessageHeader, error) {
	r := reader{ext: e}
	return ViewMessageHeader{Topic: r.optional("topic"), Offset: r.integer("offset")}, r.err
}

// Append appends the fields of h.
func (h *ViewMessageHeader) Append(w *Writer) {
	if h.Topic != "" {
		w.String("topic", h.Topic)
	}
	w.Int("offset", h.Offset)
}
