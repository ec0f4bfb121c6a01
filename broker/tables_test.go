package broker

import (
	"archive/zip"
	"errors"
	"io"
	"path"
	"strings"
	"testing"
	"time"

	"holdfast/broker/durability"
	"holdfast/broker/remoting"
	"holdfast/broker/vfs"
)

// tableFiles are the tables that a node reads at its start.
var tableFiles = []string{topicsFile, groupsFile, offsetsFile, delaysFile}

// FuzzTables: a table of an earlier run that anything happened to is refused with its name, or a node runs with it, answers whatever looks at it,
// writes it down, and starts again with what it wrote.
func FuzzTables(f *testing.F) {
	for _, version := range []string{"5.5.0", "4.9.7"} {
		z, err := zip.OpenReader("store/testdata/rocketmq-" + version + "-closed.zip")
		if err != nil {
			f.Fatal(err)
		}
		for i, name := range tableFiles {
			r, err := z.Open(name)
			if err != nil {
				f.Fatal(err)
			}
			text, err := io.ReadAll(r)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(uint8(i), text)
		}
		z.Close()
	}
	f.Add(uint8(0), []byte(`{"topicConfigTable":{"T":{"topicName":"T","readQueueNums":2147483647,"writeQueueNums":-1,"perm":99}}}`))
	f.Add(uint8(0), []byte(`{"topicConfigTable":{"a/b":{"topicName":"..","writeQueueNums":8}}}`))
	f.Add(uint8(1), []byte(`{"subscriptionGroupTable":{"g":{"groupName":"g","retryQueueNums":2147483647,"retryMaxTimes":-1}}}`))
	f.Add(uint8(2), []byte(`{"offsetTable":{"T@g":{0:9223372036854775807,-1:5,2147483647:-1},"@":{}}}`))
	f.Add(uint8(3), []byte(`{"offsetTable":{1:9223372036854775807,0:-1,2147483647:7}}`))
	f.Fuzz(func(t *testing.T, which uint8, text []byte) {
		name := tableFiles[int(which)%len(tableFiles)]
		mem := vfs.NewMem()
		if err := errors.Join(mem.MkdirAll("config"), vfs.WriteFile(mem, name, text)); err != nil {
			t.Fatal(err)
		}
		cfg := rigConfig(durability.AsyncMaster, durability.AsyncFlush, durability.RocketMQ5, 1)
		r, err := tryRig(t, cfg, mem)
		if err != nil {
			if !errors.Is(err, remoting.ErrBody) || !strings.Contains(err.Error(), path.Base(name)) {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		r.useTables()
		mem.Unlock()
		if _, err := tryRig(t, cfg, mem); err != nil {
			t.Errorf("%q was read, and what was written is refused: %v", text, err)
		}
	})
}

// useTables has a node do what looks at its tables, for some minutes, and stops it.
func (r *rig) useTables() {
	for _, code := range []int32{remoting.RequestGetAllTopicConfig, remoting.RequestGetAllConsumerOffset, remoting.RequestGetAllSubscriptionGroupConfig,
		remoting.RequestGetAllDelayOffset, remoting.RequestGetBrokerRuntimeInfo} {
		r.receive(1, r.frame(code, nil, nil))
	}
	named := func(key, value string) func(*remoting.Writer) {
		return func(w *remoting.Writer) { w.String(key, value) }
	}
	for _, topic := range append([]string{"T", "Orders"}, topicNames(r.node)...) {
		r.receive(1, r.frame(remoting.RequestGetTopicStatsInfo, named("topic", topic), nil))
		r.receive(1, r.sendFrame(topic, 1, "DELAY\x011\x02KEYS\x01k\x02", "m"))
		r.receive(1, r.pullFrame(topic, 1, 0, 0, "*"))
		r.receive(1, r.commitFrame(topic, 1, 3))
		r.receive(1, r.frame(remoting.RequestDeleteTopicInBroker, named("topic", topic), nil))
	}
	for _, group := range []string{"g", "fidelity"} {
		beat := remoting.Heartbeat{ClientID: "c", Consumers: []remoting.ConsumerData{{Group: group, Subscriptions: []remoting.Subscription{{Topic: "T", Expression: "*"}}}}}
		r.receive(1, r.frame(remoting.RequestHeartBeat, nil, beat.Append(nil)))
		r.receive(1, r.frame(remoting.RequestGetConsumeStats, named("consumerGroup", group), nil))
	}
	for range 20 {
		for r.write != nil {
			r.written()
		}
		if r.sync != nil {
			r.synced(nil)
		}
		r.after(10 * time.Second)
	}
	r.step(&Event{Kind: KindStop})
	r.store.Abandon()
}

// topicNames returns the names of a few topics.
func topicNames(n *Node) (names []string) {
	for _, t := range n.topics.sorted[:min(8, len(n.topics.sorted))] {
		names = append(names, t.conf.Name)
	}
	return names
}

// TestQueuesOfRetryTopicsAreBounded: a group that wants 2^31 - 1 queues for its retries is refused; one that is in a file gets fewer.
func TestQueuesOfRetryTopicsAreBounded(t *testing.T) {
	mem := vfs.NewMem()
	table := `{"subscriptionGroupTable":{"g":{"groupName":"g","consumeEnable":true,"retryQueueNums":2147483647}}}`
	if err := errors.Join(mem.MkdirAll("config"), vfs.WriteFile(mem, groupsFile, []byte(table))); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, rigConfig(durability.AsyncMaster, durability.AsyncFlush, durability.RocketMQ5, 1), mem)
	greedy := remoting.NewSubscriptionGroup("greedy")
	greedy.RetryQueues = 1<<31 - 1
	r.receive(1, r.frame(remoting.RequestUpdateAndCreateSubscriptionGroup, nil, remoting.AppendSubscriptionGroup(nil, greedy)))
	if f, _, err := remoting.Decode(r.got[0].Frame); err != nil || f.Code != remoting.ResponseInvalidParameter || !strings.Contains(string(f.Remark), "at most 1024") {
		t.Errorf("group with 2^31-1 retry queues: %v %s, %v", f.CodeName(), f.Remark, err)
	}
	beat := remoting.Heartbeat{ClientID: "c", Consumers: []remoting.ConsumerData{{Group: "g"}}}
	r.receive(1, r.frame(remoting.RequestHeartBeat, nil, beat.Append(nil)))
	if retry := r.node.topics.byName["%RETRY%g"]; retry == nil || retry.conf.ReadQueues != 1024 {
		t.Error("the retry topic has another number of queues than 1024, or is not there")
	}
}
