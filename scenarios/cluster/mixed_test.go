package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"holdfast/broker/remoting"
	"holdfast/broker/store"
	"holdfast/broker/vfs"
	"holdfast/loadgen"
	"holdfast/loadgen/driver/rocketmq"
	"holdfast/nemesis/process"
	"holdfast/reports/result"
)

// mixedLimit bounds a mixed group: 5.5.0's slave copies topics and offsets 60 s after its start, and no setting hastens it.
const mixedLimit = 150 * time.Second

// TestMixedGroups runs groups whose nodes are of Apache RocketMQ and of the reference: whoever leads, the other replicates byte by
// byte, its acknowledgements count, it learns topics, groups and offsets, and it serves reads when the master is gone.
func TestMixedGroups(t *testing.T) {
	for _, row := range []struct {
		master, slave, names string
		long                 bool
	}{
		{"reference:rocketmq-5", "rocketmq:5.5.0", "reference:rocketmq-5", false},
		{"rocketmq:5.5.0", "reference:rocketmq-5", "rocketmq:5.5.0", false},
		{"rocketmq:5.5.0", "reference:rocketmq-5", "reference:rocketmq-5", true},
		{"reference:rocketmq-4.9", "rocketmq:4.9.7", "rocketmq:4.9.7", true},
		{"rocketmq:4.9.7", "reference:rocketmq-4.9", "reference:rocketmq-4.9", true},
	} {
		t.Run(fmt.Sprintf("%s under %s at %s", row.slave, row.master, row.names), func(t *testing.T) {
			t.Parallel()
			if row.long && os.Getenv("HOLDFAST_LONG") != "1" {
				t.Skip("long: set HOLDFAST_LONG=1")
			}
			ctx, cancel := context.WithTimeout(t.Context(), mixedLimit)
			defer cancel()
			g := startMixed(ctx, t, row.master, row.slave, row.names)
			mixed{t: t, ctx: ctx, g: g, master: g.Node("a-0"), slave: g.Node("a-1")}.run()
		})
	}
}

// startMixed starts a group of SYNC_MASTER, inSyncReplicas=2, in which each node is of its own system.
func startMixed(ctx context.Context, t *testing.T, master, slave, names string) *Group {
	t.Helper()
	if reason := reasonAgainst(); reason != "" {
		t.Skip(reason)
	}
	if outside != nil {
		t.Skip(outside)
	}
	prepared := func(text string) System {
		sys, err := ParseSystem(text)
		if err == nil {
			err = sys.Prepare(ctx, os.Stderr)
		}
		if err != nil {
			t.Fatal(err)
		}
		return sys
	}
	g, err := New(prepared(master), result.Contract{BrokerRole: "SYNC_MASTER", FlushDiskType: "ASYNC_FLUSH", InSyncReplicas: 2}, Options{
		Dir: t.TempDir(), Brief: true, Topics: []Topic{{"t", 2}}, Systems: map[string]System{"a-1": prepared(slave), "ns": prepared(names)},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := g.Start(ctx); err != nil {
		t.Fatal(err)
	}
	return g
}

// mixed is one check of a mixed group.
type mixed struct {
	t             *testing.T
	ctx           context.Context
	g             *Group
	master, slave *Node
}

func (m mixed) run() {
	m.tell()
	m.alone()
	sent := m.load()
	m.awaited("in the route", m.routed)
	m.awaited("told of topics, groups and offsets", m.told)
	if err := m.g.CaughtUp(m.ctx); err != nil {
		m.t.Fatal(err)
	}
	if err := m.master.Kill(m.ctx); err != nil {
		m.t.Fatal(err)
	}
	m.readable(sent)
	if err := m.slave.Stop(m.ctx); err != nil { // so that it writes all that it has
		m.t.Fatal(err)
	}
	m.identical()
}

func (m mixed) awaited(what string, check func(context.Context) error) {
	m.t.Helper()
	begun := time.Now()
	if err := m.slave.await(m.ctx, pollGroup, what, check); err != nil {
		m.t.Fatal(err)
	}
	m.t.Logf("%s after %v", what, time.Since(begun).Round(100*time.Millisecond))
}

// must asks a node and returns its answer, which must be a success.
func (m mixed) must(n *Node, f remoting.Frame) remoting.Frame {
	m.t.Helper()
	code := f.Code
	f, err := exchange(m.ctx, n.Addr.String(), f)
	if err := accepted(n.Addr.String(), code, f, err); err != nil {
		m.t.Fatal(err)
	}
	return f
}

// What the master is told that the slave must learn.
const (
	lateTopic   = "late"
	toldGroup   = "readers"
	toldOffset  = 17
	delayLevel1 = "DELAY\x011\x02"
)

// tell gives the master a topic, a group, an offset, and a delayed message.
func (m mixed) tell() {
	m.t.Helper()
	if err := createTopic(m.ctx, m.master.Addr.String(), Topic{lateTopic, 3}); err != nil {
		m.t.Fatal(err)
	}
	group := remoting.NewSubscriptionGroup(toldGroup)
	group.RetryMaxTimes = 7
	m.must(m.master, remoting.Frame{Code: remoting.RequestUpdateAndCreateSubscriptionGroup, Body: remoting.AppendSubscriptionGroup(nil, group)})
	m.must(m.master, remoting.Frame{Code: remoting.RequestUpdateConsumerOffset,
		Ext: remoting.NewExt("consumerGroup", toldGroup, "topic", lateTopic, "queueId", "2", "commitOffset", strconv.Itoa(toldOffset))})
	if f := m.must(m.master, sendTo(lateTopic, delayLevel1)); f.Code != remoting.ResponseSuccess {
		m.t.Fatalf("delayed message: %s %s", f.CodeName(), f.Remark)
	}
}

// sendTo is a SEND_MESSAGE to the first queue of a topic.
func sendTo(topic, properties string) remoting.Frame {
	return remoting.Frame{Code: remoting.RequestSendMessage, Body: []byte("mixed"), Ext: remoting.NewExt(
		"producerGroup", "p", "topic", topic, "defaultTopic", "TBW102", "defaultTopicQueueNums", "4", "queueId", "0", "sysFlag", "0",
		"bornTimestamp", strconv.FormatInt(time.Now().UnixMilli(), 10), "flag", "0", "properties", properties, "reconsumeTimes", "0", "unitMode", "false")}
}

// alone holds the slave still: what the master then acknowledges is not SEND_OK, so what it acknowledges otherwise is the slave's.
func (m mixed) alone() {
	m.t.Helper()
	still, err := process.Pause(m.ctx, m.slave.Process())
	if err != nil {
		m.t.Fatal(err)
	}
	f, err := exchangeWithin(m.ctx, 10*time.Second, m.master.Addr.String(), sendTo(lateTopic, ""))
	if _, resumed := still.Resume(); resumed != nil {
		m.t.Fatal(resumed)
	}
	if err != nil || f.Code != remoting.ResponseFlushSlaveTimeout && f.Code != remoting.ResponseSlaveNotAvailable {
		m.t.Fatalf("with a slave that stands still the master answers %s %s, %v; want FLUSH_SLAVE_TIMEOUT", f.CodeName(), f.Remark, err)
	}
}

// load sends for a second and returns the values that were acknowledged: all of them with SEND_OK.
func (m mixed) load() int64 {
	m.t.Helper()
	if err := m.g.CaughtUp(m.ctx); err != nil { // the slave stood still before
		m.t.Fatal(err)
	}
	load, err := loadgen.Start(m.ctx, loadgen.Config{System: m.system(), Topic: "t", Queues: 2, Rate: 500, Body: loadgen.Around(700)})
	if err != nil {
		m.t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); load.Snapshot().AckedTotal < 500 && time.Now().Before(end); {
		time.Sleep(pollGroup)
	}
	sum := load.Stop()
	m.t.Logf("load: %+v", sum.Acked)
	if ok := sum.Acked["SEND_OK"]; ok < 500 || ok != sum.Sent {
		m.t.Fatalf("got %v of %d sends, want 500 or more, and each with SEND_OK", sum.Acked, sum.Sent)
	}
	return sum.Sent
}

func (m mixed) system() *rocketmq.System {
	m.t.Helper()
	system, err := rocketmq.New(rocketmq.Config{NameServers: []string{m.g.NameServer()}, Groups: []string{m.g.Name}, Nodes: m.g.Addresses()})
	if err != nil {
		m.t.Fatal(err)
	}
	return system
}

// routed returns nil when the name server gives clients both nodes.
func (m mixed) routed(ctx context.Context) error {
	brokers, err := route(ctx, m.g.NameServer(), lateTopic, m.g.Name)
	if err == nil && (brokers["0"] != m.master.Addr.String() || brokers["1"] != m.slave.Addr.String()) {
		err = fmt.Errorf("the route has %v, want both nodes", brokers)
	}
	return err
}

// told returns nil when the slave itself says all that the master was told, and where the delayed message stands.
func (m mixed) told(ctx context.Context) error {
	body := func(code int32, into any) error {
		f, err := ask(ctx, m.slave.Addr.String(), code)
		if err != nil {
			return err
		}
		return json.Unmarshal(f.Body, into)
	}
	var topics struct {
		TopicConfigTable map[string]struct{ WriteQueueNums int }
	}
	var groups struct {
		SubscriptionGroupTable map[string]struct{ RetryMaxTimes int }
	}
	f, err := ask(ctx, m.slave.Addr.String(), remoting.RequestGetAllConsumerOffset)
	if err != nil {
		return err
	}
	offsets, err := remoting.ParseConsumerOffsetTable(f.Body)
	if err != nil {
		return err
	}
	delays, err := m.delays(ctx)
	if err != nil {
		return err
	}
	if err := errors.Join(body(remoting.RequestGetAllTopicConfig, &topics), body(remoting.RequestGetAllSubscriptionGroupConfig, &groups)); err != nil {
		return err
	}
	committed := slices.ContainsFunc(offsets.Groups, func(g remoting.GroupOffsets) bool {
		return g.Topic == lateTopic && g.Group == toldGroup && slices.Contains(g.Offsets, remoting.QueueOffset{QueueID: 2, Offset: toldOffset})
	})
	delivered := slices.Contains(delays.Levels, remoting.QueueOffset{QueueID: 1, Offset: 1})
	if topics.TopicConfigTable[lateTopic].WriteQueueNums != 3 || groups.SubscriptionGroupTable[toldGroup].RetryMaxTimes != 7 || !committed || !delivered {
		return fmt.Errorf("it has topic %v, group %v, offset %v, delay %v", topics.TopicConfigTable[lateTopic], groups.SubscriptionGroupTable[toldGroup], committed, delays.Levels)
	}
	return nil
}

// delays returns how far the slave believes each delay level is delivered. 4.9 takes it into its file and not into its memory.
func (m mixed) delays(ctx context.Context) (remoting.DelayOffsetTable, error) {
	if m.slave.System.Name == RocketMQ && m.slave.System.Profile == "rocketmq-4.9" {
		text, err := os.ReadFile(filepath.Join(m.slave.Store, "config", "delayOffset.json"))
		if err != nil {
			return remoting.DelayOffsetTable{}, err
		}
		return remoting.ParseDelayOffsetTable(text)
	}
	f, err := ask(ctx, m.slave.Addr.String(), remoting.RequestGetAllDelayOffset)
	if err != nil {
		return remoting.DelayOffsetTable{}, err
	}
	return remoting.ParseDelayOffsetTable(f.Body)
}

// readable reads the slave as a client does when the master is gone.
func (m mixed) readable(sent int64) {
	m.t.Helper()
	there := map[uint64]bool{}
	for _, queue := range []string{"a/t/0", "a/t/1"} {
		read, err := m.system().Admin().ReadReplica(m.ctx, "a-1", queue, 0)
		if err != nil {
			m.t.Fatal(err)
		}
		for _, msg := range read.Msgs {
			there[msg.Value] = !msg.Corrupt
		}
	}
	for value := range uint64(sent) {
		if !there[value] {
			m.t.Fatalf("the slave lacks message %d of %d that were acknowledged", value, sent)
		}
	}
}

// identical compares both stores, byte by byte.
func (m mixed) identical() {
	m.t.Helper()
	c, err := store.Compare(vfs.OS(m.master.Store), vfs.OS(m.slave.Store))
	if err != nil {
		m.t.Fatal(err)
	}
	if !c.Equal() || c.Compared < 300_000 {
		m.t.Errorf("the stores differ: %d bytes of %d, first %+v; ends %v; queues %+v", c.Differing, c.Compared, c.First, c.Ends, c.Queues)
	}
	m.t.Logf("%d bytes of commit log are the same", c.Compared)
}
