package remoting

// RegisterBrokerHeader is the header of REGISTER_BROKER. Source: RegisterBrokerRequestHeader (RocketMQ 5.3.3).
type RegisterBrokerHeader struct {
	BrokerName         string
	BrokerAddr         string // ip:port for clients
	ClusterName        string
	HAServerAddr       string // ip:port for slaves; "" when there is none
	BrokerID           int64  // 0: the master
	HeartbeatTimeoutMS int64  // 0 when absent: the name server's default counts
	HasActingMaster    bool   // EnableActingMaster is on the wire: brokers of 5.x always write it, older ones never do
	EnableActingMaster bool
	Compressed         bool   // the body is deflated: out of use
	BodyCRC            uint32 // message.CRC of the body; 0: not given
}

// ParseRegisterBroker reads the header. It errs with ErrField.
func ParseRegisterBroker(e Ext) (RegisterBrokerHeader, error) {
	r := reader{ext: e}
	h := RegisterBrokerHeader{
		BrokerName:         r.str("brokerName"),
		BrokerAddr:         r.str("brokerAddr"),
		ClusterName:        r.str("clusterName"),
		HAServerAddr:       r.optional("haServerAddr"),
		BrokerID:           r.integer("brokerId"),
		HeartbeatTimeoutMS: r.optionalInteger("heartbeatTimeoutMillis", 0),
		EnableActingMaster: r.boolean("enableActingMaster", false),
		Compressed:         r.boolean("compressed", false),
		BodyCRC:            uint32(r.optionalInt32("bodyCrc32", 0)),
	}
	_, h.HasActingMaster = e.Get("enableActingMaster")
	return h, r.err
}

// Append appends h's fields.
func (h *RegisterBrokerHeader) Append(w *Writer) {
	w.String("brokerName", h.BrokerName)
	w.String("brokerAddr", h.BrokerAddr)
	w.String("clusterName", h.ClusterName)
	w.OptionalString("haServerAddr", h.HAServerAddr)
	w.Int("brokerId", h.BrokerID)
	if h.HeartbeatTimeoutMS > 0 {
		w.Int("heartbeatTimeoutMillis", h.HeartbeatTimeoutMS)
	}
	if h.HasActingMaster {
		w.Bool("enableActingMaster", h.EnableActingMaster)
	}
	w.Bool("compressed", h.Compressed)
	w.Int("bodyCrc32", int64(h.BodyCRC))
}

// RegisterBrokerBody is the body of REGISTER_BROKER.
type RegisterBrokerBody struct {
	FilterServers []string
	Topics        TopicTable
}

// ParseRegisterBrokerBody reads the body, which may be empty. It errs with ErrBody.
func ParseRegisterBrokerBody(body []byte) (b RegisterBrokerBody, err error) {
	if len(body) == 0 {
		return b, nil
	}
	err = parseBody(body, func(s *scanner, key string) {
		switch key {
		case "filterServerList":
			b.FilterServers = s.strs()
		case "topicConfigSerializeWrapper":
			s.members(b.Topics.member)
		default:
			s.skip(0)
		}
	})
	return b, err
}

// Append appends b as a body.
func (b *RegisterBrokerBody) Append(dst []byte) []byte {
	o := beginObject(dst)
	o.with("filterServerList", func(dst []byte) []byte { return appendStrings(dst, b.FilterServers) })
	o.with("topicConfigSerializeWrapper", b.Topics.Append)
	return o.end()
}

// RegisterBrokerReply is the header of the reply to REGISTER_BROKER: for a slave, where its master is. Both are "" for a
// master, and as long as no master is known. The body is a KVTable.
type RegisterBrokerReply struct {
	HAServerAddr string
	MasterAddr   string
}

// ParseRegisterBrokerReply reads the header.
func ParseRegisterBrokerReply(e Ext) RegisterBrokerReply {
	r := reader{ext: e}
	return RegisterBrokerReply{HAServerAddr: r.optional("haServerAddr"), MasterAddr: r.optional("masterAddr")}
}

// Append appends r's fields.
func (r *RegisterBrokerReply) Append(w *Writer) {
	w.OptionalString("haServerAddr", r.HAServerAddr)
	w.OptionalString("masterAddr", r.MasterAddr)
}

// BrokerHeader names one node: the header of UNREGISTER_BROKER, and of QUERY_DATA_VERSION, whose body is a DataVersion.
type BrokerHeader struct {
	BrokerName  string
	BrokerAddr  string
	ClusterName string
	BrokerID    int64
}

// ParseBroker reads the header. It errs with ErrField.
func ParseBroker(e Ext) (BrokerHeader, error) {
	r := reader{ext: e}
	h := BrokerHeader{r.str("brokerName"), r.str("brokerAddr"), r.str("clusterName"), r.integer("brokerId")}
	return h, r.err
}

// Append appends h's fields.
func (h *BrokerHeader) Append(w *Writer) {
	w.String("brokerName", h.BrokerName)
	w.String("brokerAddr", h.BrokerAddr)
	w.String("clusterName", h.ClusterName)
	w.Int("brokerId", h.BrokerID)
}

// DataVersionReply is the header of the reply to QUERY_DATA_VERSION; its body is the DataVersion that the name server has.
type DataVersionReply struct{ Changed bool }

// ParseDataVersionReply reads the header.
func ParseDataVersionReply(e Ext) DataVersionReply {
	r := reader{ext: e}
	return DataVersionReply{r.boolean("changed", false)}
}

// Append appends r's fields.
func (r *DataVersionReply) Append(w *Writer) { w.Bool("changed", r.Changed) }

// KV is one entry of a KVTable.
type KV struct{ Key, Value string }

// KVTable is a table of texts in the order of the wire: the body that answers REGISTER_BROKER, GET_KVLIST_BY_NAMESPACE and
// GET_BROKER_RUNTIME_INFO.
type KVTable []KV

// Append appends t as a body.
func (t KVTable) Append(dst []byte) []byte {
	o := beginObject(dst)
	o.with("table", func(dst []byte) []byte {
		table := beginObject(dst)
		for _, kv := range t {
			table.str(kv.Key, kv.Value)
		}
		return table.end()
	})
	return o.end()
}

// Get returns the value of key, or "".
func (t KVTable) Get(key string) string {
	for _, kv := range t {
		if kv.Key == key {
			return kv.Value
		}
	}
	return ""
}

// ParseKVTable reads a KVTable body, which may be empty. It errs with ErrBody.
func ParseKVTable(body []byte) (t KVTable, err error) {
	if len(body) == 0 {
		return nil, nil
	}
	err = parseBody(body, func(s *scanner, key string) {
		if key != "table" {
			s.skip(0)
			return
		}
		s.members(func(s *scanner, key string) { t = append(t, KV{key, s.str()}) })
	})
	return t, err
}

// KVHeader is the header of PUT_KV_CONFIG, GET_KV_CONFIG, DELETE_KV_CONFIG and GET_KVLIST_BY_NAMESPACE.
type KVHeader struct{ Namespace, Key, Value string }

// ParseKV reads the header of the request with that code. It errs with ErrField.
func ParseKV(code int32, e Ext) (KVHeader, error) {
	r := reader{ext: e}
	h := KVHeader{Namespace: r.str("namespace")}
	if code != RequestGetKVListByNamespace {
		h.Key = r.str("key")
	}
	if code == RequestPutKVConfig {
		h.Value = r.str("value")
	}
	return h, r.err
}

// Append appends those of h's fields that are not empty.
func (h *KVHeader) Append(w *Writer) {
	w.String("namespace", h.Namespace)
	w.OptionalString("key", h.Key)
	w.OptionalString("value", h.Value)
}

// BrokerNameHeader is the header of WIPE_WRITE_PERM_OF_BROKER and ADD_WRITE_PERM_OF_BROKER.
type BrokerNameHeader struct{ BrokerName string }

// ParseBrokerName reads the header. It errs with ErrField.
func ParseBrokerName(e Ext) (BrokerNameHeader, error) {
	r := reader{ext: e}
	h := BrokerNameHeader{r.str("brokerName")}
	return h, r.err
}

// Append appends h's fields.
func (h *BrokerNameHeader) Append(w *Writer) { w.String("brokerName", h.BrokerName) }

// ParseBrokerHeartbeat reads the header of BROKER_HEARTBEAT, which need not carry the id. It errs with ErrField.
func ParseBrokerHeartbeat(e Ext) (BrokerHeader, error) {
	r := reader{ext: e}
	h := BrokerHeader{r.str("brokerName"), r.str("brokerAddr"), r.str("clusterName"), r.optionalInteger("brokerId", 0)}
	return h, r.err
}
