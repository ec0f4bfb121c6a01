package route

import (
	"strings"
	"testing"

	"holdfast/broker/remoting"
)

// ask sends a request with the fields and returns the answer's code and body, or remark.
func ask(t *testing.T, r *Registry, code int32, body string, pairs ...string) string {
	t.Helper()
	w := remoting.Begin(nil, &remoting.Frame{Code: code})
	for i := 0; i < len(pairs); i += 2 {
		w.String(pairs[i], pairs[i+1])
	}
	request, _, err := remoting.Decode(w.Finish([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	f, _, err := remoting.Decode(r.Step(0, 1, &request, nil))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(f.CodeName() + " " + string(f.Remark) + string(f.Body))
}

// TestTopicLists asks for topics by cluster and flags, for members, and changes what one topic has and how the registry behaves.
func TestTopicLists(t *testing.T) {
	r := New(DefaultConfig())
	for _, n := range []struct {
		cluster, name, addr string
		topics              []remoting.TopicConfig
	}{
		{"C", "a", "m:1", []remoting.TopicConfig{{Name: "A", Perm: 7}, {Name: "U", Perm: 6, SysFlag: 1}, {Name: "S", Perm: 6, SysFlag: 2}, {Name: "US", Perm: 6, SysFlag: 3}}},
		{"D", "b", "o:1", []remoting.TopicConfig{{Name: "A", Perm: 6}, {Name: "B", Perm: 6}}},
	} {
		h := remoting.RegisterBrokerHeader{ClusterName: n.cluster, BrokerName: n.name, BrokerAddr: n.addr}
		if _, err := r.Register(0, 1, h, remoting.TopicTable{Topics: n.topics}); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name string
		code int32
		body string
		args []string
		want string
	}{
		{"by cluster", 224, "", []string{"cluster", "D"}, `SUCCESS {"topicList":["A","B"]}`},
		{"by a cluster that is not there", 224, "", []string{"cluster", "E"}, `SUCCESS {"topicList":[]}`},
		{"system", 304, "", nil, `SUCCESS {"brokerAddr":"m:1","topicList":["C","a","D","b"]}`},
		{"of a unit", 311, "", nil, `SUCCESS {"topicList":["U","US"]}`},
		{"subscribed to by units", 312, "", nil, `SUCCESS {"topicList":["S","US"]}`},
		{"subscribed to by units, of none", 313, "", nil, `SUCCESS {"topicList":["S"]}`},
		{"members", 901, "", []string{"clusterName", "C", "brokerName", "a"}, `SUCCESS {"brokerMemberGroup":{"brokerAddrs":{"0":"m:1"},"brokerName":"a","cluster":"C"}}`},
		{"a topic by hand", 217, `{"queueDatas":[{"brokerName":"b","perm":6,"readQueueNums":2,"writeQueueNums":2,"topicSysFlag":0}]}`, []string{"topic", "H"}, "SUCCESS"},
		{"its route", 105, "", []string{"topic", "H"}, `SUCCESS {"brokerDatas":[{"brokerAddrs":{"0":"o:1"},"brokerName":"b","cluster":"D","enableActingMaster":false}],"filterServerTable":{},"queueDatas":[{"brokerName":"b","perm":6,"readQueueNums":2,"topicSysFlag":0,"writeQueueNums":2}]}`},
		{"a topic of nobody", 217, `{"queueDatas":[{"brokerName":"z","perm":6,"readQueueNums":2,"writeQueueNums":2}]}`, []string{"topic", "Z"}, "SUCCESS"},
		{"its route", 105, "", []string{"topic", "Z"}, "TOPIC_NOT_EXIST No topic route info in name server for the topic: Z"},
		{"configuration", 319, "", nil, "SUCCESS orderMessageEnable=false"},
		{"order", 100, "", []string{"namespace", OrderNamespace, "key", "H", "value", "b:2"}, "SUCCESS"},
		{"a change", 318, "orderMessageEnable=true\n", nil, "SUCCESS"},
		{"a change of nothing known", 318, "orderMessageEnable=false\nlistenPort=1\n", nil, `INVALID_PARAMETER unknown key "listenPort"; what can be changed: orderMessageEnable`},
		{"a change to nonsense", 318, "orderMessageEnable=2\n", nil, "INVALID_PARAMETER orderMessageEnable=2: allowed: true, false"},
		{"the route with its order", 105, "", []string{"topic", "H"}, `SUCCESS {"brokerDatas":[{"brokerAddrs":{"0":"o:1"},"brokerName":"b","cluster":"D","enableActingMaster":false}],"filterServerTable":{},"orderTopicConf":"b:2","queueDatas":[{"brokerName":"b","perm":6,"readQueueNums":2,"topicSysFlag":0,"writeQueueNums":2}]}`},
	} {
		if got := ask(t, r, c.code, c.body, c.args...); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}
