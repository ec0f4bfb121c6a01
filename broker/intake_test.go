package broker

import (
	"strings"
	"testing"

	"holdfast/broker/durability"
	"holdfast/broker/message"
	"holdfast/broker/remoting"
)

// TestHeartbeatsAreReadByTheIntake: what a Step does with a heartbeat needs none of its bytes, which may be a megabyte.
func TestHeartbeatsAreReadByTheIntake(t *testing.T) {
	r := boundsRig(t, func(*Limits) {})
	h := remoting.Heartbeat{ClientID: "c", Producers: []string{"p"}, Consumers: []remoting.ConsumerData{{Group: "g", Type: remoting.ConsumePassively, Model: remoting.Clustering,
		Subscriptions: []remoting.Subscription{{Topic: "U", Expression: "*"}, {Topic: "T", Expression: "a"}}}}}
	frame := r.frame(remoting.RequestHeartBeat, nil, h.Append(nil))
	requests, _, err := r.node.Intake("127.0.0.1:50000").Decode(frame)
	if err != nil {
		t.Fatal(err)
	}
	for i := range requests[0].Frame.Body {
		requests[0].Frame.Body[i] = '?'
	}
	if got := r.step(&Event{Kind: KindReceived, Conn: 1, Requests: requests}); !strings.Contains(got, "SUCCESS") {
		t.Fatal(got)
	}
	g := r.node.groups.get([]byte("g"))
	if g == nil || len(g.clients) != 1 || g.clients[0].id != "c" || len(g.data.Subscriptions) != 2 || g.data.Subscriptions[0].Topic != "T" {
		t.Errorf("the group is %+v; want client c with T and U", g)
	}
	if at, found := r.node.producers.find("p"); !found || r.node.producers.sorted[at].find("c") == nil {
		t.Error("c is no producer of p")
	}
}

// What a broker adds to the properties counts for how long they may be: conformance/limits_test.go holds that against Apache's.
func TestPropertiesThatAreAdded(t *testing.T) {
	const key = "UNIQ_KEY\x01K\x02"
	all := "MSG_REGION\x01DefaultRegion\x02TRACE_ON\x01true\x02CLUSTER\x01DefaultCluster\x02"
	for _, c := range []struct {
		profile    durability.Profile
		code       int32
		sent, want string
	}{
		{durability.RocketMQ5, remoting.RequestSendMessageV2, key + "a\x01b\x02", key + "a\x01b\x02" + all},
		{durability.RocketMQ5, remoting.RequestSendMessageV2, key + "TRACE_ON\x01false\x02a\x01b", key + "a\x01b\x02" + all},
		{durability.RocketMQ5, remoting.RequestSendReplyMessageV2, "a\x01b\x02", "a\x01b\x02MSG_REGION\x01DefaultRegion\x02TRACE_ON\x01true\x02"},
		{durability.RocketMQ4, remoting.RequestSendMessageV2, "a\x01b\x02", "a\x01b\x02CLUSTER\x01DefaultCluster"},
		{durability.RocketMQ4, remoting.RequestSendMessageV2, "WAIT\x01true\x02a\x01b\x02", "a\x01b\x02CLUSTER\x01DefaultCluster"},
		{durability.RocketMQ4, remoting.RequestSendReplyMessageV2, "WAIT\x01true\x02a\x01b", "WAIT\x01true\x02a\x01b"},
		{durability.RocketMQ4, remoting.RequestSendMessageV2, "", "CLUSTER\x01DefaultCluster"},
		{durability.RocketMQ4, remoting.RequestSendReplyMessageV2, "a\x01b", "a\x01b"},
	} {
		r := newRig(t, rigConfig(durability.AsyncMaster, durability.AsyncFlush, c.profile, 1), nil)
		requests, _, err := r.node.Intake("127.0.0.1:50000").Decode(r.sendFrameOf(c.code, "T", 0, c.sent, "body"))
		if err != nil {
			t.Fatal(err)
		}
		record, _, err := message.Decode(requests[0].Send.Records, false)
		if got := string(record.Properties); err != nil || got != c.want {
			t.Errorf("%s, request %d, %q: got %q, want %q, %v", c.profile, c.code, c.sent, got, c.want, err)
		}
	}
}

// A message without UNIQ_KEY gets one, which its answer names, and no two get the same.
func TestUniqueKeyIsMade(t *testing.T) {
	r := newRig(t, rigConfig(durability.AsyncMaster, durability.AsyncFlush, durability.RocketMQ5, 1), nil)
	seen := map[string]bool{}
	for _, client := range []string{"127.0.0.1:50000", "127.0.0.1:50001", "[::1]:50000"} {
		in := r.node.Intake(client)
		for range 3 {
			requests, _, err := in.Decode(r.sendFrame("T", 0, "a\x01b", "body"))
			if err != nil {
				t.Fatal(err)
			}
			send := requests[len(requests)-1].Send
			record, _, err := message.Decode(send.Records, false)
			key, _ := message.Property(record.Properties, message.PropertyUniqueKey)
			if err != nil || len(key) != 32 || string(key) != string(send.UniqueKey) || seen[string(key)] {
				t.Errorf("client %s: stored with %q, answered with %q, seen before: %v, %v", client, key, send.UniqueKey, seen[string(key)], err)
			}
			seen[string(key)] = true
			if first, _ := message.Property(record.Properties, "a"); string(first) != "b" {
				t.Errorf("properties %q", record.Properties)
			}
		}
	}
}
