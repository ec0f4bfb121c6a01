package remoting

import "strconv"

// BrokerAddr is one node of a broker group.
type BrokerAddr struct {
	ID   int64 // 0: the master
	Addr string
}

// BrokerData is one broker group, its nodes in the order of the wire: by id where this package's users write it.
type BrokerData struct {
	Cluster            string
	BrokerName         string
	Addrs              []BrokerAddr
	EnableActingMaster bool
}

// QueueData says how many queues of a topic a broker group has.
type QueueData struct {
	BrokerName  string
	ReadQueues  int32
	WriteQueues int32
	Perm        int32
	SysFlag     int32
}

// RouteInfo is the body that answers GET_ROUTEINFO_BY_TOPIC.
type RouteInfo struct {
	OrderConf string // "brokerA:4;brokerB:4"; "" when the topic has none
	Queues    []QueueData
	Brokers   []BrokerData
}

// Master returns the address of the master of a broker group; "" when the route has none.
func (r *RouteInfo) Master(group string) string {
	for _, b := range r.Brokers {
		for _, n := range b.Addrs {
			if b.BrokerName == group && n.ID == 0 {
				return n.Addr
			}
		}
	}
	return ""
}

// Append appends r as a body. The ids inside brokerAddrs are quoted and no white space stands there: every client reads
// that, Apache's Go client nothing else.
func (r *RouteInfo) Append(dst []byte) []byte {
	o := beginObject(dst)
	o.with("brokerDatas", func(dst []byte) []byte { return appendList(dst, r.Brokers, appendBrokerData) })
	o.with("filterServerTable", appendEmpty)
	if r.OrderConf != "" {
		o.str("orderTopicConf", r.OrderConf)
	}
	o.with("queueDatas", func(dst []byte) []byte { return appendList(dst, r.Queues, appendQueueData) })
	return o.end()
}

func appendQueueData(dst []byte, q QueueData) []byte {
	o := beginObject(dst)
	o.str("brokerName", q.BrokerName)
	o.integer("perm", int64(q.Perm))
	o.integer("readQueueNums", int64(q.ReadQueues))
	o.integer("topicSysFlag", int64(q.SysFlag))
	o.integer("writeQueueNums", int64(q.WriteQueues))
	return o.end()
}

func appendBrokerData(dst []byte, d BrokerData) []byte {
	o := beginObject(dst)
	o.with("brokerAddrs", func(dst []byte) []byte { return appendAddrs(dst, d.Addrs) })
	o.str("brokerName", d.BrokerName)
	o.str("cluster", d.Cluster)
	o.boolean("enableActingMaster", d.EnableActingMaster)
	return o.end()
}

func appendAddrs(dst []byte, addrs []BrokerAddr) []byte {
	o := beginObject(dst)
	for _, a := range addrs {
		o.str(strconv.FormatInt(a.ID, 10), a.Addr)
	}
	return o.end()
}

// ParseRouteInfo reads the body that answers GET_ROUTEINFO_BY_TOPIC, with or without quotes about the ids. It errs with
// ErrBody.
func ParseRouteInfo(body []byte) (r RouteInfo, err error) {
	err = parseBody(body, func(s *scanner, key string) {
		switch key {
		case "brokerDatas":
			s.array(func() { r.Brokers = append(r.Brokers, s.brokerData()) })
		case "queueDatas":
			s.array(func() { r.Queues = append(r.Queues, s.queueData()) })
		case "orderTopicConf":
			r.OrderConf = s.str()
		default:
			s.skip(0)
		}
	})
	return r, err
}

func (s *scanner) queueData() (q QueueData) {
	s.members(func(s *scanner, key string) {
		switch key {
		case "brokerName":
			q.BrokerName = s.str()
		case "perm":
			q.Perm = s.int32()
		case "readQueueNums":
			q.ReadQueues = s.int32()
		case "writeQueueNums":
			q.WriteQueues = s.int32()
		case "topicSysFlag", "topicSynFlag": // the second was the spelling up to 4.8
			q.SysFlag = s.int32()
		default:
			s.skip(0)
		}
	})
	return q
}

func (s *scanner) brokerData() (d BrokerData) {
	s.members(func(s *scanner, key string) {
		switch key {
		case "cluster":
			d.Cluster = s.str()
		case "brokerName":
			d.BrokerName = s.str()
		case "enableActingMaster":
			d.EnableActingMaster = s.boolean()
		case "brokerAddrs":
			s.object(func(key []byte) {
				id, ok := atoi(key)
				if !ok {
					s.bad = true
				}
				d.Addrs = append(d.Addrs, BrokerAddr{id, s.str()})
			})
		default:
			s.skip(0)
		}
	})
	return d
}

// Cluster names the broker groups of one cluster.
type Cluster struct {
	Name    string
	Brokers []string
}

// ClusterInfo is the body that answers GET_BROKER_CLUSTER_INFO.
type ClusterInfo struct {
	Brokers  []BrokerData
	Clusters []Cluster
}

// Append appends c as a body.
func (c *ClusterInfo) Append(dst []byte) []byte {
	o := beginObject(dst)
	o.with("brokerAddrTable", func(dst []byte) []byte {
		t := beginObject(dst)
		for _, d := range c.Brokers {
			t.name(d.BrokerName)
			t.b = appendBrokerData(t.b, d)
		}
		return t.end()
	})
	o.with("clusterAddrTable", func(dst []byte) []byte {
		t := beginObject(dst)
		for _, k := range c.Clusters {
			t.name(k.Name)
			t.b = appendStrings(t.b, k.Brokers)
		}
		return t.end()
	})
	return o.end()
}

// ParseClusterInfo reads the body that answers GET_BROKER_CLUSTER_INFO. It errs with ErrBody.
func ParseClusterInfo(body []byte) (c ClusterInfo, err error) {
	err = parseBody(body, func(s *scanner, key string) {
		switch key {
		case "brokerAddrTable":
			s.members(func(s *scanner, name string) {
				d := s.brokerData()
				d.BrokerName = name
				c.Brokers = append(c.Brokers, d)
			})
		case "clusterAddrTable":
			s.members(func(s *scanner, name string) {
				c.Clusters = append(c.Clusters, Cluster{name, s.strs()})
			})
		default:
			s.skip(0)
		}
	})
	return c, err
}

// AppendTopicList appends the body that answers GET_ALL_TOPIC_LIST_FROM_NAMESERVER.
func AppendTopicList(dst []byte, topics []string) []byte {
	o := beginObject(dst)
	o.with("topicList", func(dst []byte) []byte { return appendStrings(dst, topics) })
	return o.end()
}

// ParseTopicList reads the body that answers GET_ALL_TOPIC_LIST_FROM_NAMESERVER. It errs with ErrBody.
func ParseTopicList(body []byte) (topics []string, err error) {
	err = parseBody(body, func(s *scanner, key string) {
		if key == "topicList" {
			topics = s.strs()
		} else {
			s.skip(0)
		}
	})
	return topics, err
}

// ClusterHeader is the header of GET_TOPICS_BY_CLUSTER.
type ClusterHeader struct{ Cluster string }

// ParseCluster reads the header. It errs with ErrField.
func ParseCluster(e Ext) (ClusterHeader, error) {
	r := reader{ext: e}
	h := ClusterHeader{r.str("cluster")}
	return h, r.err
}

// MemberGroupHeader is the header of GET_BROKER_MEMBER_GROUP.
type MemberGroupHeader struct{ ClusterName, BrokerName string }

// ParseMemberGroup reads the header. It errs with ErrField.
func ParseMemberGroup(e Ext) (MemberGroupHeader, error) {
	r := reader{ext: e}
	h := MemberGroupHeader{r.str("clusterName"), r.str("brokerName")}
	return h, r.err
}

// AppendMemberGroup appends the body that answers GET_BROKER_MEMBER_GROUP. Source: BrokerMemberGroup (RocketMQ 5.3.3).
func AppendMemberGroup(dst []byte, d BrokerData) []byte {
	o := beginObject(dst)
	o.with("brokerMemberGroup", func(dst []byte) []byte {
		o := beginObject(dst)
		o.with("brokerAddrs", func(dst []byte) []byte { return appendAddrs(dst, d.Addrs) })
		o.str("brokerName", d.BrokerName)
		o.str("cluster", d.Cluster)
		return o.end()
	})
	return o.end()
}

// AppendKVConfig appends a kvConfig.json; kv is sorted by namespace. Source: KVConfigSerializeWrapper (RocketMQ 5.3.3).
func AppendKVConfig(dst []byte, kv []KVHeader) []byte {
	o := beginObject(dst)
	o.with("configTable", func(dst []byte) []byte {
		table := beginObject(dst)
		for len(kv) > 0 {
			namespace, n := kv[0].Namespace, 0
			table.with(namespace, func(dst []byte) []byte {
				o := beginObject(dst)
				for ; n < len(kv) && kv[n].Namespace == namespace; n++ {
					o.str(kv[n].Key, kv[n].Value)
				}
				return o.end()
			})
			kv = kv[n:]
		}
		return table.end()
	})
	return o.end()
}

// ParseKVConfig reads a kvConfig.json. It errs with ErrBody.
func ParseKVConfig(body []byte) (kv []KVHeader, err error) {
	err = parseBody(body, func(s *scanner, key string) {
		if key != "configTable" {
			s.skip(0)
			return
		}
		s.members(func(s *scanner, namespace string) {
			s.members(func(s *scanner, key string) { kv = append(kv, KVHeader{namespace, key, s.str()}) })
		})
	})
	return kv, err
}
