package remoting

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// golden decodes a frame that Apache's Go client 2.1.2 sent; the conformance module records them.
func golden(t *testing.T, name string, code int32) Frame {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "rocketmq-client-go-2.1.2", name+".frame"))
	if err != nil {
		t.Fatal(err)
	}
	f, n, err := Decode(b)
	if err != nil || n != len(b) {
		t.Fatalf("%s: %d of %d bytes, %v", name, n, len(b), err)
	}
	if f.Code != code || f.Language != Go || f.Version != 317 || f.Flag != 0 || f.Form != JSON || f.Opaque == 0 {
		t.Fatalf("%s: %+v", name, f)
	}
	return f
}

func TestGoldenSends(t *testing.T) {
	for name, want := range map[string]struct {
		sysFlag    int32
		properties []string
		body       string
	}{
		"send":            {0, nil, "hello"},
		"send-async":      {0, nil, "hello"},
		"send-oneway":     {0, nil, "hello"}, // the client does not set the bit
		"send-tagged":     {0, []string{"TAGS\x01TagA\x02", "KEYS\x01k1 k2\x02", "colour\x01blue\x02"}, "hello"},
		"send-compressed": {1, nil, "\x78"}, // how a zlib stream begins
	} {
		f := golden(t, name, RequestSendMessage)
		var h SendHeader
		if _, err := ParseSend(f.Code, f.Ext, &h, nil); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, p := range append(want.properties, "UNIQ_KEY\x01") {
			if !strings.Contains(string(h.Properties), p) {
				t.Errorf("%s: %q not in %q", name, p, h.Properties)
			}
		}
		if string(h.ProducerGroup) != "producers" || string(h.Topic) != "Captured" || string(h.DefaultTopic) != "TBW102" || h.DefaultTopicQueueNums != 4 ||
			h.QueueID != 0 || h.SysFlag != want.sysFlag || h.BornTimestamp < 1e12 || h.Batch || h.MaxReconsumeTimes != 0 ||
			!strings.HasPrefix(string(f.Body), want.body) {
			t.Errorf("%s: %+v %q body %q", name, h, h.Properties, f.Body)
		}
	}
	f := golden(t, "send-batch", RequestSendBatchMessage)
	var h SendHeader
	if _, err := ParseSend(f.Code, f.Ext, &h, nil); err != nil || !h.Batch || string(h.Topic) != "Captured" || len(h.Properties) != 0 || !bytes.Contains(f.Body, []byte("TAGS\x01TagB")) {
		t.Errorf("send-batch: %v, %+v, body %q", err, h, f.Body)
	}
}

func TestGoldenConsumer(t *testing.T) {
	var pull PullHeader
	f := golden(t, "pull", RequestPullMessage)
	if _, err := ParsePull(f.Ext, &pull, nil); err != nil || string(pull.ConsumerGroup) != "pushed" || pull.MaxMsgNums != 32 || pull.SysFlag&PullSuspend == 0 || pull.SuspendTimeoutMS != 20000 {
		t.Errorf("pull: %v, %+v", err, pull)
	}
	var offset ConsumerOffsetHeader
	f = golden(t, "query-offset", RequestQueryConsumerOffset)
	if err := ParseConsumerOffset(f.Code, f.Ext, &offset); err != nil || string(offset.ConsumerGroup) != "pushed" || !offset.SetZeroIfNotFound {
		t.Errorf("query-offset: %v, %+v", err, offset)
	}
	f = golden(t, "update-offset", RequestUpdateConsumerOffset)
	if err := ParseConsumerOffset(f.Code, f.Ext, &offset); err != nil || offset.CommitOffset != 1 {
		t.Errorf("update-offset: %v, %+v", err, offset)
	}
	f = golden(t, "consumer-list", RequestGetConsumerListByGroup)
	if h, err := ParseConsumerGroup(f.Ext); err != nil || h.ConsumerGroup != "pushed" {
		t.Errorf("consumer-list: %v, %+v", err, h)
	}
	f = golden(t, "send-back", RequestConsumerSendMsgBack)
	if h, err := ParseSendBack(f.Ext); err != nil || h.Group != "pushed" || h.OriginTopic != "Captured" || h.MaxReconsumeTimes != 16 {
		t.Errorf("send-back: %v, %+v", err, h)
	}
	f = golden(t, "lock", RequestLockBatchMQ)
	if l, err := ParseLockBatch(f.Body); err != nil || l.ConsumerGroup != "ordered" || l.ClientID == "" || len(l.Queues) != 1 || l.Queues[0].BrokerName != "broker-a" {
		t.Errorf("lock: %v, %+v", err, l)
	}
}

func TestGoldenHeartbeats(t *testing.T) {
	f := golden(t, "heartbeat-producer", RequestHeartBeat)
	if h, err := ParseHeartbeat(f.Body); err != nil || h.ClientID == "" || len(h.Producers) != 1 || h.Producers[0] != "producers" || len(h.Consumers) != 0 {
		t.Errorf("heartbeat-producer: %v, %+v", err, h)
	}
	f = golden(t, "heartbeat-consumer", RequestHeartBeat)
	h, err := ParseHeartbeat(f.Body)
	if err != nil || len(h.Consumers) != 1 || h.Consumers[0].Type != ConsumePassively || h.Consumers[0].Model != Clustering || len(h.Consumers[0].Subscriptions) != 2 {
		t.Fatalf("heartbeat-consumer: %v, %+v", err, h)
	}
	for _, s := range h.Consumers[0].Subscriptions {
		if s.Topic == "Captured" && (s.Expression != "TagA || TagB" || len(s.Tags) != 2 || len(s.Codes) != 2 || s.Version == 0) {
			t.Errorf("heartbeat-consumer: %+v", s)
		}
	}
}

func TestGoldenTopics(t *testing.T) {
	f := golden(t, "route", RequestGetRouteInfoByTopic)
	if h, err := ParseTopic(f.Ext); err != nil || h.Topic != "Captured" {
		t.Errorf("route: %v, %+v", err, h)
	}
	f = golden(t, "create-topic", RequestUpdateAndCreateTopic)
	want := TopicConfig{Name: "Created", ReadQueues: 8, WriteQueues: 8, Perm: 6, FilterType: "SINGLE_TAG"}
	if h, err := ParseCreateTopic(f.Ext); err != nil || h.Topic != want {
		t.Errorf("create-topic: %v, %+v", err, h)
	}
	f = golden(t, "delete-topic", RequestDeleteTopicInBroker)
	if h, err := ParseTopic(f.Ext); err != nil || h.Topic != "Created" {
		t.Errorf("delete-topic: %v, %+v", err, h)
	}
}
