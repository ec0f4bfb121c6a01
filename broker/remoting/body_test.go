package remoting

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var (
	exampleTopics = TopicTable{
		Topics: []TopicConfig{
			{Name: "A", ReadQueues: 8, WriteQueues: 4, Perm: 6, FilterType: "SINGLE_TAG", Order: true},
			{Name: "TBW102", ReadQueues: 8, WriteQueues: 8, Perm: 7, FilterType: "SINGLE_TAG", SysFlag: 1},
		},
		DataVersion: DataVersion{1, 1767225600000, 3},
	}
	exampleQueues = []MessageQueue{{"T", "broker-a", 0}, {"T", "broker-b", 3}}
	exampleBroker = BrokerData{Cluster: "C", BrokerName: "broker-a", Addrs: []BrokerAddr{{0, "127.0.0.1:10911"}, {1, "127.0.0.1:10921"}}}
	exampleGroup  = SubscriptionGroup{Name: "g", ConsumeEnable: true, RetryQueues: 2, RetryMaxTimes: 3, BrokerID: 1, WhichBrokerWhenConsumeSlowly: 2}
)

// bodies lists every body with its parser: what Append writes must read back, and be standard JSON but where noted.
var bodies = []struct {
	name     string
	bytes    []byte
	want     any
	parse    func(body []byte) (any, error)
	objectly bool // keys are objects, as Apache writes them: no standard JSON
}{
	{name: "heartbeat", bytes: exampleHeartbeat.Append(nil), want: exampleHeartbeat, parse: parser1(ParseHeartbeat)},
	{name: "consumer list", bytes: AppendConsumerList(nil, []string{"a", `b"\`}), want: []string{"a", `b"\`}, parse: parser1(ParseConsumerList)},
	{name: "lock", bytes: exampleLock.Append(nil), want: exampleLock, parse: parser1(ParseLockBatch)},
	{name: "locked", bytes: AppendLocked(nil, exampleQueues), want: exampleQueues, parse: parser1(ParseLocked)},
	{name: "topic table", bytes: exampleTopics.Append(nil), want: exampleTopics, parse: parser1(ParseTopicTable)},
	{name: "data version", bytes: exampleTopics.DataVersion.Append(nil), want: exampleTopics.DataVersion, parse: parser1(ParseDataVersion)},
	{name: "route", bytes: exampleRoute.Append(nil), want: exampleRoute, parse: parser1(ParseRouteInfo)},
	{name: "clusters", bytes: exampleClusters.Append(nil), want: exampleClusters, parse: parser1(ParseClusterInfo)},
	{name: "topic list", bytes: AppendTopicList(nil, []string{"A", "B"}), want: []string{"A", "B"}, parse: parser1(ParseTopicList)},
	{name: "registration", bytes: exampleRegistration.Append(nil), want: exampleRegistration, parse: parser1(ParseRegisterBrokerBody)},
	{name: "KV table", bytes: KVTable{{"a", "1"}, {"b", ""}}.Append(nil), want: KVTable{{"a", "1"}, {"b", ""}}, parse: parser1(ParseKVTable)},
	{name: "consumer offsets", bytes: exampleOffsets.Append(nil), want: exampleOffsets, parse: parser1(ParseConsumerOffsetTable)},
	{name: "delay offsets", bytes: exampleDelays.Append(nil), want: exampleDelays, parse: parser1(ParseDelayOffsetTable)},
	{name: "subscription group", bytes: AppendSubscriptionGroup(nil, exampleGroup), want: exampleGroup, parse: parser1(ParseSubscriptionGroup)},
	{name: "subscription groups", bytes: exampleGroups.Append(nil), want: exampleGroups, parse: parser1(ParseSubscriptionGroupTable)},
	{name: "HA status", bytes: exampleHA.Append(nil), want: exampleHA, parse: parser1(ParseHARuntimeInfo)},
	{name: "topic stats", bytes: AppendTopicStats(nil, exampleStats, 1500), want: exampleStats, parse: parser1(ParseTopicStats), objectly: true},
	{name: "consume stats", bytes: exampleProgress.Append(nil), want: exampleProgress, parse: parser1(ParseConsumeStatsBody), objectly: true},
	{name: "reset offsets", bytes: AppendResetOffsets(nil, exampleAssigned), want: exampleAssigned, parse: parser1(ParseResetOffsets), objectly: true},
}

var (
	exampleHeartbeat = Heartbeat{ClientID: "10.0.0.1@7", Producers: []string{"p", "q"}, Consumers: []ConsumerData{{
		Group: "g", Type: ConsumePassively, Model: Clustering, FromWhere: "CONSUME_FROM_LAST_OFFSET", UnitMode: true,
		Subscriptions: []Subscription{{Topic: "T", Expression: "A || B", Tags: []string{"A", "B"}, Codes: []int32{65, -66}, Version: 9, ExpressionType: "TAG", ClassFilterMode: true}},
	}}}
	exampleLock         = LockBatch{"g", "c", true, exampleQueues}
	exampleRoute        = RouteInfo{"broker-a:4", []QueueData{{"broker-a", 8, 4, 6, 1}}, []BrokerData{exampleBroker}}
	exampleClusters     = ClusterInfo{[]BrokerData{exampleBroker}, []Cluster{{"C", []string{"broker-a"}}}}
	exampleRegistration = RegisterBrokerBody{[]string{"f:1"}, exampleTopics}
	exampleOffsets      = ConsumerOffsetTable{[]GroupOffsets{{"T", "g", []QueueOffset{{0, 12}, {1, 0}}}}, exampleTopics.DataVersion}
	exampleDelays       = DelayOffsetTable{[]QueueOffset{{1, 10}, {18, 2}}, exampleTopics.DataVersion}
	exampleGroups       = SubscriptionGroupTable{[]SubscriptionGroup{exampleGroup}, exampleTopics.DataVersion}
	exampleProgress     = ConsumeStats{Queues: []QueueProgress{{exampleQueues[0], 9, 5, 7, 1700000000000}, {exampleQueues[1], 1, 0, 0, 0}}}
	exampleAssigned     = []AssignedOffset{{exampleQueues[0], 3}, {exampleQueues[1], 0}}
	exampleHA           = HARuntimeInfo{true, 1000, 1, []HAConnection{{"127.0.0.1:5", 900, 100, true, 7, 950}}, HAClient{"m:1", 1, 2, 3, 4, 5, true}}
	exampleStats        = []QueueStats{{exampleQueues[0], 1, 2, 3}, {exampleQueues[1], 4, 5, 6}}
)

// parser1 and header1 make parsers of all result types alike.
func parser1[T any](parse func([]byte) (T, error)) func([]byte) (any, error) {
	return func(body []byte) (any, error) { return parse(body) }
}

func header1[T any](parse func(Ext) (T, error)) func(Ext) (any, error) {
	return func(e Ext) (any, error) { return parse(e) }
}

func TestBodiesReadBack(t *testing.T) {
	for _, c := range bodies {
		if !c.objectly && !json.Valid(c.bytes) {
			t.Errorf("%s: not JSON: %s", c.name, c.bytes)
		}
		got, err := c.parse(c.bytes)
		if diff := cmp.Diff(c.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v %s", c.name, err, diff)
		}
		// A newer peer's members are passed over.
		more := append([]byte(`{"future":[{"a":null},1.5,"x"],`), c.bytes[1:]...)
		got, err = c.parse(more)
		if diff := cmp.Diff(c.want, got); diff != "" || err != nil {
			t.Errorf("%s with a member more: %v %s", c.name, err, diff)
		}
	}
}

func TestCutBodiesAreRefused(t *testing.T) {
	for _, c := range bodies {
		for cut := 1; cut < len(c.bytes); cut++ {
			if _, err := c.parse(c.bytes[:cut]); !errors.Is(err, ErrBody) {
				t.Fatalf("%s cut after %d of %d bytes: %v", c.name, cut, len(c.bytes), err)
			}
		}
		if _, err := c.parse(append(bytes.Clone(c.bytes), 'x')); !errors.Is(err, ErrBody) {
			t.Errorf("%s with a byte behind: %v", c.name, err)
		}
	}
}

// TestApacheBodies reads bodies as Apache's programs write them, beyond standard JSON.
func TestApacheBodies(t *testing.T) {
	for name, c := range map[string]struct {
		body  string
		parse func([]byte) (any, error)
		want  any
	}{
		"route with bare ids (Java)": {
			`{"brokerDatas":[{"brokerAddrs":{0:"127.0.0.1:10911",1:"127.0.0.1:10921"},"brokerName":"broker-a","cluster":"DefaultCluster","enableActingMaster":false,"zoneName":null}],"filterServerTable":{},"orderTopicConf":null,"queueDatas":[{"brokerName":"broker-a","perm":6,"readQueueNums":8,"topicSysFlag":0,"writeQueueNums":8}]}`,
			parser1(ParseRouteInfo),
			RouteInfo{"", []QueueData{{"broker-a", 8, 8, 6, 0}}, []BrokerData{{"DefaultCluster", "broker-a", []BrokerAddr{{0, "127.0.0.1:10911"}, {1, "127.0.0.1:10921"}}, false}}},
		},
		"heartbeat with quoted codes (Go)": {
			`{"clientID":"c","producerDataSet":[{"groupName":"p"}],"consumerDataSet":[{"groupName":"g","consumeType":"CONSUME_PASSIVELY","messageModel":"CLUSTERING","consumeFromWhere":"CONSUME_FROM_FIRST_OFFSET","subscriptionDataSet":[{"classFilterMode":false,"topic":"t","subString":"A","tagsSet":["A"],"codeSet":["65"],"subVersion":1,"expressionType":"TAG"}],"unitMode":false}]}`,
			parser1(ParseHeartbeat),
			Heartbeat{"c", []string{"p"}, []ConsumerData{{"g", ConsumePassively, Clustering, "CONSUME_FROM_FIRST_OFFSET", []Subscription{{"t", "A", []string{"A"}, []int32{65}, 1, "TAG", false}}, false}}},
		},
		"heartbeat with null sets": {`{"clientID":"c","producerDataSet":null,"consumerDataSet":[]}`, parser1(ParseHeartbeat), Heartbeat{ClientID: "c"}},
		"offsets with bare ids (Java)": {
			`{"dataVersion":{"counter":1,"stateVersion":0,"timestamp":5},"offsetTable":{"T@g":{0:123,1:5},"%RETRY%g@g":{}}}`, parser1(ParseConsumerOffsetTable),
			ConsumerOffsetTable{[]GroupOffsets{{"T", "g", []QueueOffset{{0, 123}, {1, 5}}}, {Topic: "%RETRY%g", Group: "g"}}, DataVersion{0, 5, 1}},
		},
		"stats (Java)": {
			`{"offsetTable":{{"brokerName":"b","queueId":0,"topic":"T"}:{"lastUpdateTimestamp":7,"maxOffset":2,"minOffset":1}},"topicPutTps":0.0}`, parser1(ParseTopicStats),
			[]QueueStats{{MessageQueue{"T", "b", 0}, 1, 2, 7}},
		},
		"old spelling of the system flag": {`{"queueDatas":[{"topicSynFlag":2}]}`, parser1(ParseRouteInfo), RouteInfo{Queues: []QueueData{{SysFlag: 2}}}},
	} {
		got, err := c.parse([]byte(c.body))
		if diff := cmp.Diff(c.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v %s", name, err, diff)
		}
	}
}

// TestRouteForGoClient pins what Apache's Go client relies on: it cuts brokerAddrs at commas and colons.
func TestRouteForGoClient(t *testing.T) {
	if got, want := exampleRoute.Append(nil), `"brokerAddrs":{"0":"127.0.0.1:10911","1":"127.0.0.1:10921"}`; !bytes.Contains(got, []byte(want)) {
		t.Errorf("got %s, want in it %s", got, want)
	}
}

func TestRareHeadersReadBack(t *testing.T) {
	registration := RegisterBrokerHeader{"b", "1.2.3.4:5", "C", "1.2.3.4:6", 1, 120000, true, true, false, 0x7FFFFFFF}
	for name, c := range map[string]struct {
		header interface{ Append(*Writer) }
		parse  func(Ext) (any, error)
	}{
		"unregister client":  {&UnregisterClientHeader{"c", "p", "g"}, header1(ParseUnregisterClient)},
		"consumer group":     {&ConsumerGroupHeader{"g"}, header1(ParseConsumerGroup)},
		"create topic":       {&CreateTopicHeader{TopicConfig{"T", 8, 4, 6, "SINGLE_TAG", 1, true}, "TBW102"}, header1(ParseCreateTopic)},
		"topic":              {&TopicHeader{"T"}, header1(ParseTopic)},
		"register broker":    {&registration, header1(ParseRegisterBroker)},
		"register reply":     {&RegisterBrokerReply{"h", "m"}, func(e Ext) (any, error) { return ParseRegisterBrokerReply(e), nil }},
		"broker":             {&BrokerHeader{"b", "a", "C", 7}, header1(ParseBroker)},
		"broker heartbeat":   {&BrokerHeader{"b", "a", "C", 7}, header1(ParseBrokerHeartbeat)},
		"broker name":        {&BrokerNameHeader{"b"}, header1(ParseBrokerName)},
		"data version reply": {&DataVersionReply{true}, func(e Ext) (any, error) { return ParseDataVersionReply(e), nil }},
		"KV":                 {&KVHeader{"n", "k", "v"}, func(e Ext) (any, error) { return ParseKV(RequestPutKVConfig, e) }},
		"send back":          {&SendBackHeader{5, "g", -1, "id", "T", true, 3}, header1(ParseSendBack)},
		"end transaction":    {&EndTransactionHeader{"p", 1, 2, TransactionCommit, true, "m", "t"}, header1(ParseEndTransaction)},
		"check transaction":  {&CheckTransactionHeader{1, 2, "m", "t", "o"}, header1(ParseCheckTransaction)},
		"view message":       {&ViewMessageHeader{"T", 9}, header1(ParseViewMessage)},
		"query message":      {&QueryMessageHeader{"T", "k", 32, 1, 2, "T", "l", true}, header1(ParseQueryMessage)},
	} {
		for _, form := range []Form{JSON, Binary} {
			w := Begin(nil, &Frame{Form: form})
			c.header.Append(&w)
			f, _, err := Decode(w.Finish(nil))
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			got, err := c.parse(f.Ext)
			want := reflect.ValueOf(c.header).Elem().Interface()
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("%s: %v %s", name, err, diff)
			}
			if name == "register reply" || name == "data version reply" {
				continue // nothing is required there
			}
			if _, err := c.parse(Ext{}); !errors.Is(err, ErrField) {
				t.Errorf("%s without fields: %v", name, err)
			}
		}
	}
}

func TestOffsetHeadersReadBack(t *testing.T) {
	for _, form := range []Form{JSON, Binary} {
		for _, code := range []int32{RequestQueryConsumerOffset, RequestUpdateConsumerOffset} {
			for _, want := range []ConsumerOffsetHeader{
				{ConsumerGroup: []byte("g"), Topic: []byte("T"), QueueID: 3, SetZeroIfNotFound: true},
				{ConsumerGroup: []byte("g"), Topic: []byte("%RETRY%g"), QueueID: 3, SetZeroIfNotFound: code == RequestUpdateConsumerOffset},
			} {
				if code == RequestUpdateConsumerOffset {
					want.CommitOffset = 1 << 40
				}
				w := Begin(nil, &Frame{Code: code, Form: form})
				want.Append(&w, code)
				f, _, _ := Decode(w.Finish(nil))
				var got ConsumerOffsetHeader
				err := ParseConsumerOffset(code, f.Ext, &got)
				if diff := cmp.Diff(want, got); diff != "" || err != nil {
					t.Errorf("%s: %v %s", RequestName(code), err, diff)
				}
			}
		}
		for _, code := range []int32{RequestGetMaxOffset, RequestGetMinOffset, RequestSearchOffsetByTimestamp, RequestGetEarliestMsgStoreTime} {
			want := QueueHeader{Topic: []byte("T"), QueueID: 1, Committed: true}
			if code == RequestSearchOffsetByTimestamp {
				want.Timestamp, want.Upper = 1767225600000, true
			}
			w := Begin(nil, &Frame{Code: code, Form: form})
			want.Append(&w, code)
			f, _, _ := Decode(w.Finish(nil))
			var got QueueHeader
			err := ParseQueue(code, f.Ext, &got)
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("%s: %v %s", RequestName(code), err, diff)
			}
			if err := ParseQueue(code, Ext{}, &got); !errors.Is(err, ErrField) {
				t.Errorf("%s without fields: %v", RequestName(code), err)
			}
		}
	}
	f, _, _ := Decode(AppendStoreTimeReply(nil, JSON, 1, 77))
	if v, _ := f.Ext.Get("timestamp"); string(v) != "77" {
		t.Errorf("store time reply: %q", v)
	}
}
