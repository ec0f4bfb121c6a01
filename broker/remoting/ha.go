package remoting

// HARuntimeInfo is the body that answers GET_BROKER_HA_STATUS. Offsets are physical.
// Source: HARuntimeInfo (RocketMQ 5.3.3).
type HARuntimeInfo struct {
	Master       bool
	MaxOffset    int64 // end of the master's commit log
	InSyncSlaves int32
	Connections  []HAConnection
	Client       HAClient // of a slave
}

// HAConnection is a slave as its master sees it.
type HAConnection struct {
	Addr               string
	SlaveAckOffset     int64
	Diff               int64 // what the slave lacks; below 0: it has more than its master
	InSync             bool
	BytesPerSecond     int64
	TransferFromOffset int64
}

// HAClient is a slave as it sees itself. Times are Unix ms.
type HAClient struct {
	MasterAddr         string
	BytesPerSecond     int64
	MaxOffset          int64
	LastReadTimestamp  int64
	LastWriteTimestamp int64
	MasterFlushOffset  int64
	Activated          bool
}

// Append appends h as a body.
func (h *HARuntimeInfo) Append(dst []byte) []byte {
	o := beginObject(dst)
	o.with("haClientRuntimeInfo", h.Client.append)
	o.with("haConnectionInfo", func(dst []byte) []byte { return appendList(dst, h.Connections, appendHAConnection) })
	o.integer("inSyncSlaveNums", int64(h.InSyncSlaves))
	o.boolean("master", h.Master)
	o.integer("masterCommitLogMaxOffset", h.MaxOffset)
	return o.end()
}

func appendHAConnection(dst []byte, c HAConnection) []byte {
	o := beginObject(dst)
	o.str("addr", c.Addr)
	o.integer("diff", c.Diff)
	o.boolean("inSync", c.InSync)
	o.integer("slaveAckOffset", c.SlaveAckOffset)
	o.integer("transferFromWhere", c.TransferFromOffset)
	o.integer("transferredByteInSecond", c.BytesPerSecond)
	return o.end()
}

func (c *HAClient) append(dst []byte) []byte {
	o := beginObject(dst)
	o.boolean("activated", c.Activated)
	o.integer("lastReadTimestamp", c.LastReadTimestamp)
	o.integer("lastWriteTimestamp", c.LastWriteTimestamp)
	if c.MasterAddr != "" {
		o.str("masterAddr", c.MasterAddr)
	}
	o.integer("masterFlushOffset", c.MasterFlushOffset)
	o.integer("maxOffset", c.MaxOffset)
	o.integer("transferredByteInSecond", c.BytesPerSecond)
	return o.end()
}

// ParseHARuntimeInfo reads the body that answers GET_BROKER_HA_STATUS. It errs with ErrBody.
func ParseHARuntimeInfo(body []byte) (h HARuntimeInfo, err error) {
	err = parseBody(body, func(s *scanner, key string) {
		switch key {
		case "master":
			h.Master = s.boolean()
		case "masterCommitLogMaxOffset":
			h.MaxOffset = s.integer()
		case "inSyncSlaveNums":
			h.InSyncSlaves = s.int32()
		case "haConnectionInfo":
			s.array(func() { h.Connections = append(h.Connections, s.haConnection()) })
		case "haClientRuntimeInfo":
			h.Client = s.haClient()
		default:
			s.skip(0)
		}
	})
	return h, err
}

func (s *scanner) haConnection() (c HAConnection) {
	s.members(func(s *scanner, key string) {
		switch key {
		case "addr":
			c.Addr = s.str()
		case "slaveAckOffset":
			c.SlaveAckOffset = s.integer()
		case "diff":
			c.Diff = s.integer()
		case "inSync":
			c.InSync = s.boolean()
		case "transferredByteInSecond":
			c.BytesPerSecond = s.integer()
		case "transferFromWhere":
			c.TransferFromOffset = s.integer()
		default:
			s.skip(0)
		}
	})
	return c
}

func (s *scanner) haClient() (c HAClient) {
	s.members(func(s *scanner, key string) {
		switch key {
		case "masterAddr":
			c.MasterAddr = s.str()
		case "transferredByteInSecond":
			c.BytesPerSecond = s.integer()
		case "maxOffset":
			c.MaxOffset = s.integer()
		case "lastReadTimestamp":
			c.LastReadTimestamp = s.integer()
		case "lastWriteTimestamp":
			c.LastWriteTimestamp = s.integer()
		case "masterFlushOffset":
			c.MasterFlushOffset = s.integer()
		case "activated":
			c.Activated = s.boolean()
		default:
			s.skip(0)
		}
	})
	return c
}

// HAInfo is the header of EXCHANGE_BROKER_HA_INFO and of its answer. A request with an address tells a slave where its master is, one
// without asks a master for its own. Source: ExchangeHAInfoRequestHeader, ExchangeHAInfoResponseHeader (RocketMQ 5.5.0).
type HAInfo struct {
	MasterHAAddr      string
	MasterAddr        string
	MasterFlushOffset int64 // physical: where the master's log ended when it started
	HasFlushOffset    bool
}

// ParseHAInfo reads the header. It errs with ErrField.
func ParseHAInfo(e Ext) (HAInfo, error) {
	const absent = -1
	r := reader{ext: e}
	h := HAInfo{MasterHAAddr: r.optional("masterHaAddress"), MasterAddr: r.optional("masterAddress"), MasterFlushOffset: r.optionalInteger("masterFlushOffset", absent)}
	h.HasFlushOffset = h.MasterFlushOffset != absent
	return h, r.err
}

// Append appends h's fields.
func (h *HAInfo) Append(w *Writer) {
	w.OptionalString("masterHaAddress", h.MasterHAAddr)
	w.OptionalString("masterAddress", h.MasterAddr)
	if h.HasFlushOffset {
		w.Int("masterFlushOffset", h.MasterFlushOffset)
	}
}

// AppendNoRequestModes appends the body that answers GET_ALL_MESSAGE_REQUEST_MODE where every group pulls.
// Source: MessageRequestModeSerializeWrapper (RocketMQ 5.5.0).
func AppendNoRequestModes(dst []byte) []byte {
	o := beginObject(dst)
	o.with("messageRequestModeMap", func(dst []byte) []byte { return append(dst, "{}"...) })
	return o.end()
}
