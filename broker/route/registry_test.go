package route

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"holdfast/broker/message"
	"holdfast/broker/remoting"
)

// node is a broker that registers, with the topics A and B unless it says others.
type node struct {
	name, addr string
	id         int64
	conn       uint64
	state      int64 // state version
	counter    int64 // of the data version
	acting     string
	topics     []string
	perm       int32
	timeout    time.Duration
}

func (n node) register(t *testing.T, r *Registry, now time.Duration) (remoting.RegisterBrokerReply, error) {
	t.Helper()
	h := remoting.RegisterBrokerHeader{BrokerName: n.name, BrokerAddr: n.addr, ClusterName: "C", HAServerAddr: "ha-" + n.addr, BrokerID: n.id,
		HeartbeatTimeoutMS: n.timeout.Milliseconds(), HasActingMaster: n.acting != "", EnableActingMaster: n.acting == "yes"}
	table := remoting.TopicTable{DataVersion: remoting.DataVersion{StateVersion: n.state, Counter: n.counter}}
	if n.topics == nil {
		n.topics = []string{"A", "B"}
	}
	if n.perm == 0 {
		n.perm = 6
	}
	for _, topic := range n.topics {
		table.Topics = append(table.Topics, remoting.TopicConfig{Name: topic, ReadQueues: 4, WriteQueues: 4, Perm: n.perm})
	}
	return r.Register(now, n.conn, h, table)
}

// route describes a topic's route in a line.
func (r *Registry) line(topic string) (line string) {
	info, ok := r.Route(topic)
	if !ok {
		return "none"
	}
	for _, q := range info.Queues {
		line += fmt.Sprintf("%s perm %d;", q.BrokerName, q.Perm)
	}
	for _, b := range info.Brokers {
		line += fmt.Sprintf(" %s%v", b.BrokerName, b.Addrs)
	}
	return line
}

var (
	master = node{name: "a", addr: "m:1", conn: 1}
	slave  = node{name: "a", addr: "s:1", id: 1, conn: 2}
	other  = node{name: "b", addr: "o:1", conn: 3}
)

func TestRoutes(t *testing.T) {
	type steps = []func(*testing.T, *Registry)
	reg := func(n node) func(*testing.T, *Registry) {
		return func(t *testing.T, r *Registry) {
			if _, err := n.register(t, r, 0); err != nil {
				t.Fatal(err)
			}
		}
	}
	with := func(n node, change func(*node)) node { change(&n); return n }
	for name, c := range map[string]struct {
		steps steps
		want  string // the route of A
	}{
		"nobody registered":     {nil, "none"},
		"a master":              {steps{reg(master)}, "a perm 6; a[{0 m:1}]"},
		"master and slave":      {steps{reg(slave), reg(master)}, "a perm 6; a[{0 m:1} {1 s:1}]"},
		"two groups, sorted":    {steps{reg(other), reg(master)}, "a perm 6;b perm 6; a[{0 m:1}] b[{0 o:1}]"},
		"a 4.x slave alone":     {steps{reg(slave)}, "none"},
		"a 5.x slave alone":     {steps{reg(with(slave, func(n *node) { n.acting = "no" }))}, "a perm 6; a[{1 s:1}]"},
		"an acting slave alone": {steps{reg(with(slave, func(n *node) { n.acting = "yes" }))}, "a perm 4; a[{1 s:1}]"},
		"a 5.x slave's topics do not count beside its master": {
			steps{reg(master), reg(with(slave, func(n *node) { n.acting, n.topics, n.perm = "no", []string{"A", "B", "X"}, 4 }))}, "a perm 6; a[{0 m:1} {1 s:1}]"},
		"changed topics of the master": {steps{reg(master), reg(with(master, func(n *node) { n.counter, n.perm = 1, 4 }))}, "a perm 4; a[{0 m:1}]"},
		"unchanged data version":       {steps{reg(master), reg(with(master, func(n *node) { n.perm = 4 }))}, "a perm 6; a[{0 m:1}]"},
		"topic missing in a changed registration stays": {
			steps{reg(master), reg(with(master, func(n *node) { n.counter, n.topics = 1, []string{"B", "C"} }))}, "a perm 6; a[{0 m:1}]"},
		"promoted slave stands there once": {
			steps{reg(master), reg(slave), reg(with(slave, func(n *node) { n.id = 0 }))}, "a perm 6; a[{0 s:1}]"},
		"same id, new address, same state version: replaced": {
			steps{reg(master), reg(with(master, func(n *node) { n.addr, n.conn = "m:2", 9 }))}, "a perm 6; a[{0 m:2}]"},
		"same id, new address, lower state version: refused": {
			steps{reg(with(master, func(n *node) { n.state = 2 })), reg(with(master, func(n *node) { n.addr, n.conn, n.state = "m:2", 9, 1 }))}, "a perm 6; a[{0 m:1}]"},
		"the replaced node leaves: the new one stays": {
			steps{reg(master), reg(with(master, func(n *node) { n.addr, n.conn = "m:2", 9 })), func(_ *testing.T, r *Registry) { r.Closed(1) }}, "a perm 6; a[{0 m:2}]"},
		"slave's connection closes":                 {steps{reg(master), reg(slave), func(_ *testing.T, r *Registry) { r.Closed(2) }}, "a perm 6; a[{0 m:1}]"},
		"master's connection closes: slave remains": {steps{reg(master), reg(slave), func(_ *testing.T, r *Registry) { r.Closed(1) }}, "a perm 6; a[{1 s:1}]"},
		"acting slave remains: no writes": {
			steps{reg(with(master, func(n *node) { n.acting = "yes" })), reg(with(slave, func(n *node) { n.acting = "yes" })), func(_ *testing.T, r *Registry) { r.Closed(1) }}, "a perm 4; a[{1 s:1}]"},
		"all connections close": {steps{reg(master), reg(slave), func(_ *testing.T, r *Registry) { r.Closed(1); r.Closed(2) }}, "none"},
		"restarted before its old connection closes": {
			steps{reg(master), reg(with(master, func(n *node) { n.conn = 9 })), func(_ *testing.T, r *Registry) { r.Closed(1) }}, "a perm 6; a[{0 m:1}]"},
		"unregistered": {steps{reg(master), func(_ *testing.T, r *Registry) {
			r.Unregister(remoting.BrokerHeader{BrokerName: "a", BrokerAddr: "m:1", ClusterName: "C"})
		}}, "none"},
		"topic deleted in the cluster":       {steps{reg(master), func(_ *testing.T, r *Registry) { r.DeleteTopic("A", "C") }}, "none"},
		"topic deleted in another cluster":   {steps{reg(master), func(_ *testing.T, r *Registry) { r.DeleteTopic("A", "D") }}, "a perm 6; a[{0 m:1}]"},
		"deleted topic, unchanged heartbeat": {steps{reg(master), func(_ *testing.T, r *Registry) { r.DeleteTopic("A", "") }, reg(master)}, "a perm 6; a[{0 m:1}]"},
		"write permission taken":             {steps{reg(master), reg(other), func(_ *testing.T, r *Registry) { r.SetWritable("a", false) }}, "a perm 4;b perm 6; a[{0 m:1}] b[{0 o:1}]"},
		"write permission given back": {steps{reg(master), func(_ *testing.T, r *Registry) { r.SetWritable("a", false) },
			func(_ *testing.T, r *Registry) { r.SetWritable("a", true) }}, "a perm 6; a[{0 m:1}]"},
	} {
		r := New(DefaultConfig())
		for _, step := range c.steps {
			step(t, r)
		}
		if got := r.line("A"); got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
}

func TestPartialRegistrationNeedsAWholeOne(t *testing.T) {
	r := New(DefaultConfig())
	partial := master
	partial.topics = []string{"A"}
	if _, err := partial.register(t, r, 0); !errors.Is(err, ErrPartial) {
		t.Fatalf("got %v", err)
	}
	if got := r.Clusters(); len(got.Brokers) != 0 {
		t.Errorf("a refused broker is listed: %v", got)
	}
	if _, err := master.register(t, r, 0); err != nil {
		t.Fatal(err)
	}
	partial.counter, partial.topics = 1, []string{"C"}
	if _, err := partial.register(t, r, 0); err != nil || r.line("C") == "none" || r.line("A") == "none" {
		t.Errorf("one more topic: %v, %s, %s", err, r.line("C"), r.line("A"))
	}
}

func TestSlaveLearnsItsMaster(t *testing.T) {
	r := New(DefaultConfig())
	expect := func(when string, n node, want remoting.RegisterBrokerReply) {
		t.Helper()
		if got, err := n.register(t, r, 0); got != want || err != nil {
			t.Errorf("%s: got %+v, %v", when, got, err)
		}
	}
	expect("slave first", slave, remoting.RegisterBrokerReply{})
	expect("master itself", master, remoting.RegisterBrokerReply{})
	expect("slave after its master", slave, remoting.RegisterBrokerReply{HAServerAddr: "ha-m:1", MasterAddr: "m:1"})
	r.Closed(1)
	expect("slave after its master left", slave, remoting.RegisterBrokerReply{})
}

func TestSilentNodesExpire(t *testing.T) {
	r := New(Config{HeartbeatTimeout: 10 * time.Second, Limits: DefaultLimits()})
	quick := other
	quick.timeout = 2 * time.Second
	for _, n := range []node{master, slave, quick} {
		if _, err := n.register(t, r, 0); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(now time.Duration, want ...uint64) {
		t.Helper()
		if got := r.Expire(now); !cmp.Equal(got, want) {
			t.Errorf("at %v: closed %v, want %v", now, got, want)
		}
	}
	expect(2 * time.Second)
	expect(2*time.Second+1, 3)
	r.Touch(5*time.Second, "C", "m:1")
	if _, changed := r.DataVersion(6*time.Second, "C", "s:1", remoting.DataVersion{Counter: 1}); !changed {
		t.Error("another data version must count as changed")
	}
	expect(10*time.Second+1, 2) // a query with another data version keeps nobody alive
	if _, changed := r.DataVersion(14*time.Second, "C", "m:1", remoting.DataVersion{}); changed {
		t.Error("the same data version is no change")
	}
	expect(24 * time.Second)
	expect(24*time.Second+1, 1)
	if got := r.Topics(); len(got) != 0 {
		t.Errorf("topics left: %v", got)
	}
}

func TestConfig(t *testing.T) {
	if err := DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
	if err := (Config{}).Validate(); err == nil {
		t.Error("a timeout of 0 must be refused")
	}
}

// TestEventsInAnyOrder runs random events and holds the registry against what must be true at all times.
func TestEventsInAnyOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r, twin := New(DefaultConfig()), New(DefaultConfig())
		var now time.Duration
		for range rapid.IntRange(1, 40).Draw(rt, "events") {
			now += time.Duration(rapid.IntRange(0, 60).Draw(rt, "s")) * time.Second
			n := node{name: rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "name"), addr: rapid.SampledFrom([]string{"x:1", "y:1", "z:1"}).Draw(rt, "addr"),
				id: int64(rapid.IntRange(0, 2).Draw(rt, "id")), conn: uint64(rapid.IntRange(0, 4).Draw(rt, "conn")), state: int64(rapid.IntRange(0, 1).Draw(rt, "state")),
				counter: int64(rapid.IntRange(0, 2).Draw(rt, "counter")), acting: rapid.SampledFrom([]string{"", "no", "yes"}).Draw(rt, "acting")}
			kind := rapid.IntRange(0, 5).Draw(rt, "kind")
			for _, reg := range []*Registry{r, twin} {
				switch kind {
				case 0:
					reg.Closed(n.conn)
				case 1:
					reg.Expire(now)
				case 2:
					reg.Unregister(remoting.BrokerHeader{BrokerName: n.name, BrokerAddr: n.addr, ClusterName: "C"})
				default:
					_, _ = n.register(t, reg, now)
				}
			}
			check(rt, r)
		}
		for _, topic := range []string{"A", "B"} {
			if r.line(topic) != twin.line(topic) {
				rt.Fatal("equal events, different routes")
			}
		}
		r.Expire(now + 24*time.Hour)
		if len(r.live) != 0 {
			rt.Fatal("nodes alive after a day of silence")
		}
	})
}

func check(t *rapid.T, r *Registry) {
	for _, topic := range r.Topics() {
		info, ok := r.Route(topic)
		if !ok || len(info.Queues) != len(info.Brokers) {
			t.Fatalf("topic %s has queues without brokers: %+v", topic, info)
		}
		for i, b := range info.Brokers {
			if len(b.Addrs) == 0 || b.BrokerName != info.Queues[i].BrokerName || (i > 0 && info.Brokers[i-1].BrokerName >= b.BrokerName) {
				t.Fatalf("route %+v", info)
			}
			for j, a := range b.Addrs {
				for _, other := range b.Addrs[:j] {
					if other.Addr == a.Addr || other.ID >= a.ID {
						t.Fatalf("nodes %v", b.Addrs)
					}
				}
			}
		}
	}
}

func TestStep(t *testing.T) {
	r := New(Config{HeartbeatTimeout: time.Minute, OrderMessage: true, Limits: DefaultLimits()})
	body := (&remoting.RegisterBrokerBody{Topics: remoting.TopicTable{Topics: []remoting.TopicConfig{{Name: "A", ReadQueues: 8, WriteQueues: 8, Perm: 6}, {Name: "B", Perm: 6}}}}).Append(nil)
	registration := []string{"brokerName", "a", "brokerAddr", "m:1", "clusterName", "C", "brokerId", "0", "haServerAddr", "m:2"}
	crc := fmt.Sprint(message.CRC(body))
	for _, c := range []struct {
		name       string
		code       int32
		ext        []string
		body       string
		wantCode   int32
		wantExt    []string
		wantBody   string
		wantRemark string
	}{
		{name: "unknown topic", code: remoting.RequestGetRouteInfoByTopic, ext: []string{"topic", "A"}, wantCode: 17, wantRemark: "No topic route info in name server for the topic: A"},
		{name: "missing field", code: remoting.RequestGetRouteInfoByTopic, wantCode: 1, wantRemark: "remoting: missing or malformed header field: topic"},
		{name: "wrong checksum", code: remoting.RequestRegisterBroker, ext: append(registration, "bodyCrc32", "1"), body: string(body), wantCode: 1, wantRemark: "crc32 not match"},
		{name: "compressed", code: remoting.RequestRegisterBroker, ext: append(registration, "compressed", "true"), body: string(body), wantCode: 1, wantRemark: "compressed registration not supported"},
		{name: "broken body", code: remoting.RequestRegisterBroker, ext: registration, body: "{", wantCode: 1, wantRemark: "remoting: malformed body"},
		{name: "order", code: remoting.RequestPutKVConfig, ext: []string{"namespace", OrderNamespace, "key", "A", "value", "a:8"}},
		{name: "registration", code: remoting.RequestRegisterBroker, ext: append(registration, "bodyCrc32", crc), body: string(body), wantBody: `{"table":{"A":"a:8"}}`},
		{name: "slave", code: remoting.RequestRegisterBroker, ext: []string{"brokerName", "a", "brokerAddr", "s:1", "clusterName", "C", "brokerId", "1"},
			wantExt: []string{"haServerAddr", "m:2", "masterAddr", "m:1"}, wantBody: `{"table":{"A":"a:8"}}`},
		{name: "route", code: remoting.RequestGetRouteInfoByTopic, ext: []string{"topic", "A"},
			wantBody: `{"brokerDatas":[{"brokerAddrs":{"0":"m:1","1":"s:1"},"brokerName":"a","cluster":"C","enableActingMaster":false}],"filterServerTable":{},"orderTopicConf":"a:8","queueDatas":[{"brokerName":"a","perm":6,"readQueueNums":8,"topicSysFlag":0,"writeQueueNums":8}]}`},
		{name: "clusters", code: remoting.RequestGetBrokerClusterInfo,
			wantBody: `{"brokerAddrTable":{"a":{"brokerAddrs":{"0":"m:1","1":"s:1"},"brokerName":"a","cluster":"C","enableActingMaster":false}},"clusterAddrTable":{"C":["a"]}}`},
		{name: "topics", code: remoting.RequestGetAllTopicListFromNameServer, wantBody: `{"topicList":["A","B"]}`},
		{name: "data version", code: remoting.RequestQueryDataVersion, ext: registration, body: `{"counter":1,"stateVersion":0,"timestamp":0}`,
			wantExt: []string{"changed", "true"}, wantBody: `{"counter":0,"stateVersion":0,"timestamp":0}`},
		{name: "heartbeat", code: remoting.RequestBrokerHeartbeat, ext: registration},
		{name: "wipe", code: remoting.RequestWipeWritePermOfBroker, ext: []string{"brokerName", "a"}, wantExt: []string{"wipeTopicCount", "2"}},
		{name: "add", code: remoting.RequestAddWritePermOfBroker, ext: []string{"brokerName", "a"}, wantExt: []string{"addTopicCount", "2"}},
		{name: "get key", code: remoting.RequestGetKVConfig, ext: []string{"namespace", OrderNamespace, "key", "A"}, wantExt: []string{"value", "a:8"}},
		{name: "list keys", code: remoting.RequestGetKVListByNamespace, ext: []string{"namespace", OrderNamespace}, wantBody: `{"table":{"A":"a:8"}}`},
		{name: "delete key", code: remoting.RequestDeleteKVConfig, ext: []string{"namespace", OrderNamespace, "key", "A"}},
		{name: "deleted key", code: remoting.RequestGetKVConfig, ext: []string{"namespace", OrderNamespace, "key", "A"}, wantCode: 22, wantRemark: "No config item, Namespace: ORDER_TOPIC_CONFIG Key: A"},
		{name: "deleted keys", code: remoting.RequestGetKVListByNamespace, ext: []string{"namespace", OrderNamespace}, wantCode: 22, wantRemark: "No config item, Namespace: ORDER_TOPIC_CONFIG"},
		{name: "delete topic", code: remoting.RequestDeleteTopicInNameServer, ext: []string{"topic", "A"}},
		{name: "topics left", code: remoting.RequestGetAllTopicListFromNameServer, wantBody: `{"topicList":["B"]}`},
		{name: "goodbye", code: remoting.RequestUnregisterBroker, ext: registration},
		{name: "goodbye of the slave", code: remoting.RequestUnregisterBroker, ext: []string{"brokerName", "a", "brokerAddr", "s:1", "clusterName", "C", "brokerId", "1"}},
		{name: "no topics left", code: remoting.RequestGetAllTopicListFromNameServer, wantBody: `{"topicList":[]}`},
		{name: "not for a name server", code: remoting.RequestSendMessage, wantCode: 3, wantRemark: " request type SEND_MESSAGE not supported"},
	} {
		in := remoting.Frame{Code: c.code, Opaque: 7, Form: remoting.Binary, Ext: remoting.NewExt(c.ext...), Body: []byte(c.body)}
		out, n, err := remoting.Decode(r.Step(0, 1, &in, nil))
		if err != nil || n == 0 || out.Opaque != 7 || !out.IsResponse() || out.Form != remoting.Binary {
			t.Fatalf("%s: %+v, %v", c.name, out, err)
		}
		var ext []string
		for f, rest, ok := out.Ext.Next(); ok; f, rest, ok = rest.Next() {
			ext = append(ext, string(f.Key), string(f.Text()))
		}
		if out.Code != c.wantCode || string(out.Body) != c.wantBody || string(out.Remark) != c.wantRemark || !cmp.Equal(ext, c.wantExt) {
			t.Errorf("%s: got %d %q %q %v\nwant %d %q %q %v", c.name, out.Code, out.Body, out.Remark, ext, c.wantCode, c.wantBody, c.wantRemark, c.wantExt)
		}
	}
}

func TestOnewayAndRepliesAreNotAnswered(t *testing.T) {
	r := New(DefaultConfig())
	put := remoting.Frame{Code: remoting.RequestPutKVConfig, Flag: remoting.FlagOneway, Ext: remoting.NewExt("namespace", "n", "key", "k", "value", "v")}
	if out := r.Step(0, 1, &put, nil); len(out) != 0 {
		t.Errorf("oneway answered: %q", out)
	}
	if got, err := r.Get("n", "k"); got != "v" || err != nil {
		t.Errorf("oneway without effect: %q, %v", got, err)
	}
	put.Flag = remoting.FlagResponse
	if out := r.Step(0, 1, &put, nil); len(out) != 0 {
		t.Errorf("reply answered: %q", out)
	}
}
