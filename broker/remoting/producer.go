package remoting

// ProducerGroupHeader is the header of GET_PRODUCER_CONNECTION_LIST.
type ProducerGroupHeader struct{ ProducerGroup string }

// ParseProducerGroup reads the header. It errs with ErrField.
func ParseProducerGroup(e Ext) (ProducerGroupHeader, error) {
	r := reader{ext: e}
	h := ProducerGroupHeader{r.str("producerGroup")}
	return h, r.err
}

// Producer is one client of a producer group; LastSeen is its last heartbeat, Unix ms.
type Producer struct {
	Connection
	LastSeen int64
}

// ProducerGroup is one producer group with its clients.
type ProducerGroup struct {
	Name      string
	Producers []Producer
}

// AppendProducers appends the body that answers GET_ALL_PRODUCER_INFO. Source: ProducerTableInfo (RocketMQ 5.3.3).
func AppendProducers(dst []byte, groups []ProducerGroup) []byte {
	o := beginObject(dst)
	o.with("data", func(dst []byte) []byte {
		table := beginObject(dst)
		for _, g := range groups {
			table.with(g.Name, func(dst []byte) []byte { return appendList(dst, g.Producers, appendProducer) })
		}
		return table.end()
	})
	return o.end()
}

func appendProducer(dst []byte, p Producer) []byte {
	o := beginObject(dst)
	o.str("clientId", p.ClientID)
	o.str("language", p.Language.String())
	o.integer("lastUpdateTimestamp", p.LastSeen)
	o.str("remoteIP", p.ClientAddr)
	o.integer("version", int64(p.Version))
	return o.end()
}
