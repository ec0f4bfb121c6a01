package server

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"holdfast/broker/durability"
	"holdfast/broker/remoting"
	"holdfast/broker/route"
	"holdfast/broker/vfs"
)

// group is a name server, a master and a slave that is quick to connect.
type group struct {
	names, master, slave *Server
}

func haConfig(role durability.Role, id int64, names *Server) Config {
	cfg := DefaultConfig(durability.RocketMQ5)
	cfg.HAListen = "127.0.0.1:0"
	cfg.Node.BrokerID, cfg.Node.Choice.Role = id, role
	cfg.Node.SlaveReadEnable = true
	cfg.Node.NameServers = []string{names.Addr()}
	cfg.Node.RegisterInterval = 100 * time.Millisecond
	cfg.Node.SyncInterval, cfg.Node.SyncFirst = 50*time.Millisecond, 10*time.Millisecond
	cfg.Node.HA.HeartbeatInterval = 20 * time.Millisecond
	cfg.Node.HA.ReconnectInterval = 20 * time.Millisecond
	cfg.Store.SegmentBytes = 1 << 20
	return cfg
}

func startGroup(t *testing.T, change func(*Config)) *group {
	t.Helper()
	names, err := StartNameServer(context.Background(), Config{Listen: "127.0.0.1:0", Log: testLog(t)}, route.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { names.Close() })
	cfg := haConfig(durability.SyncMaster, 0, names)
	change(&cfg)
	g := &group{names: names, master: mustStart(t, cfg)}
	g.startSlave(t, change)
	return g
}

func (g *group) startSlave(t *testing.T, change func(*Config)) {
	<-g.master.Registered()
	cfg := haConfig(durability.Slave, 1, g.names)
	change(&cfg)
	cfg.Node.Choice.Role = durability.Slave
	g.slave = mustStart(t, cfg)
}

// slaves asks the master for its slaves.
func (c *client) slaves() []remoting.HAConnection {
	f := c.call(remoting.RequestGetBrokerHAStatus, nil, nil)
	h, err := remoting.ParseHARuntimeInfo(f.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return h.Connections
}

// eventually waits until f holds.
func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); !f(); {
		if time.Now().After(end) {
			t.Fatalf("not within 5 s: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func TestReplicationAcknowledgesAndServesReads(t *testing.T) {
	for _, flush := range []durability.FlushType{durability.AsyncFlush, durability.SyncFlush} {
		t.Run(string(flush), func(t *testing.T) {
			g := startGroup(t, func(c *Config) { c.Node.Choice.FlushType, c.Node.Choice.InSync = flush, 2 })
			m, s := dial(t, g.master.Addr()), dial(t, g.slave.Addr())
			eventually(t, "the slave reports", func() bool { c := m.slaves(); return len(c) == 1 && c[0].SlaveAckOffset >= 0 })
			for i := range 50 {
				code, _ := m.send("T", 0, label("m%d", i))
				want(t, "code", code, remoting.ResponseSuccess)
			}
			eventually(t, "the slave knows the topic and serves it", func() bool {
				f := s.call(remoting.RequestGetMaxOffset, func(w *remoting.Writer) { w.String("topic", "T"); w.Int("queueId", 0) }, nil)
				max, err := remoting.ParseOffsetReply(f.Ext)
				return err == nil && max == 50
			})
			_, _, bodies := s.pull("T", 0, 48, 0)
			want(t, "bodies", label("%v", bodies), "[m48 m49]")
			code, _ := s.send("T", 0, "x")
			want(t, "send to a slave", code, remoting.ResponseSystemBusy)
		})
	}
}

func TestWithoutASlaveTheReplyComesLate(t *testing.T) {
	for _, tc := range []struct {
		profile durability.Profile
		inSync  int
		want    int32
	}{
		{durability.RocketMQ5, 1, remoting.ResponseSuccess},
		{durability.RocketMQ5, 2, remoting.ResponseFlushSlaveTimeout},
		{durability.RocketMQ4, 1, remoting.ResponseSlaveNotAvailable},
	} {
		cfg := DefaultConfig(tc.profile)
		cfg.HAListen = "127.0.0.1:0"
		cfg.Node.Choice.Role, cfg.Node.Choice.InSync = durability.SyncMaster, tc.inSync
		cfg.Node.Choice.SlaveTimeout = 50 * time.Millisecond
		c := dial(t, mustStart(t, cfg).Addr())
		code, r := c.send("T", 0, "x")
		want(t, label("%s inSyncReplicas=%d", tc.profile, tc.inSync), code, tc.want)
		want(t, "offset", r.QueueOffset, 0)
	}
}

// TestPromotion restarts a slave as master: brokerId 0 and another role over the same store. It serves what it had, takes
// sends behind it, and clients find it under the group's name.
func TestPromotion(t *testing.T) {
	dir := t.TempDir()
	g := startGroup(t, func(c *Config) {
		c.Node.Choice.InSync = 2
		if c.Node.BrokerID == 1 {
			c.StoreDir = dir
		}
	})
	m := dial(t, g.master.Addr())
	eventually(t, "the slave reports", func() bool { c := m.slaves(); return len(c) == 1 && c[0].SlaveAckOffset >= 0 })
	for i := range 20 {
		m.send("T", int32(i%2), label("m%d", i))
	}
	g.master.Close()
	g.slave.Close()
	cfg := haConfig(durability.AsyncMaster, 0, g.names)
	cfg.StoreDir = dir
	promoted := mustStart(t, cfg)
	<-promoted.Registered()
	p := dial(t, promoted.Addr())
	_, r, bodies := p.pull("T", 1, 0, 0)
	want(t, "bodies", len(bodies), 10)
	want(t, "last", bodies[9], "m19")
	_, sent := p.send("T", 1, "after")
	want(t, "queue offset", sent.QueueOffset, r.MaxOffset)
	names := dial(t, g.names.Addr())
	f := names.call(remoting.RequestGetRouteInfoByTopic, func(w *remoting.Writer) { w.String("topic", "T") }, nil)
	info, err := remoting.ParseRouteInfo(f.Body)
	if err != nil || len(info.Brokers) != 1 || len(info.Brokers[0].Addrs) != 1 || info.Brokers[0].Addrs[0].Addr != promoted.Addr() {
		t.Errorf("route: %+v, %v; want the promoted broker alone", info.Brokers, err)
	}
}

// TestASlaveCatchesUpAfterItsRestart stops the slave, goes on writing over several files of the log, and starts it again.
func TestASlaveCatchesUpAfterItsRestart(t *testing.T) {
	dir := t.TempDir()
	change := func(c *Config) {
		c.Store.SegmentBytes = 64 << 10
		c.Store.MaxAppendBytes = 32 << 10
		if c.Node.BrokerID == 1 {
			c.StoreDir = dir
		}
	}
	g := startGroup(t, change)
	m := dial(t, g.master.Addr())
	m.send("T", 0, "first")
	eventually(t, "the slave has it", func() bool { c := m.slaves(); return len(c) == 1 && c[0].SlaveAckOffset > 0 && c[0].Diff == 0 })
	g.slave.Close()
	for i := range 300 {
		m.send("T", 0, label("%d %s", i, string(make([]byte, 1000))))
	}
	g.startSlave(t, change)
	s := dial(t, g.slave.Addr())
	eventually(t, "the slave serves all", func() bool {
		f := s.call(remoting.RequestGetMaxOffset, func(w *remoting.Writer) { w.String("topic", "T"); w.Int("queueId", 0) }, nil)
		max, err := remoting.ParseOffsetReply(f.Ext)
		return err == nil && max == 301
	})
}

// TestOffsetsReachTheSlave commits at the master; the slave knows it within a synchronisation.
func TestOffsetsReachTheSlave(t *testing.T) {
	g := startGroup(t, func(*Config) {})
	m, s := dial(t, g.master.Addr()), dial(t, g.slave.Addr())
	m.send("T", 0, "x")
	h := remoting.ConsumerOffsetHeader{ConsumerGroup: []byte("g"), Topic: []byte("T"), CommitOffset: 1}
	m.call(remoting.RequestUpdateConsumerOffset, func(w *remoting.Writer) { h.Append(w, remoting.RequestUpdateConsumerOffset) }, nil)
	eventually(t, "the slave knows the offset", func() bool {
		f := s.call(remoting.RequestQueryConsumerOffset, func(w *remoting.Writer) { h.Append(w, remoting.RequestQueryConsumerOffset) }, nil)
		offset, err := remoting.ParseOffsetReply(f.Ext)
		return f.Code == 0 && err == nil && offset == 1
	})
}

// TestBrokersSurviveTheNameServer restarts the name server at the same address: both brokers come back by themselves.
func TestBrokersSurviveTheNameServer(t *testing.T) {
	g := startGroup(t, func(*Config) {})
	m := dial(t, g.master.Addr())
	m.send("T", 0, "x")
	g.names.Close()
	names, err := StartNameServer(context.Background(), Config{Listen: g.names.Addr(), Log: testLog(t)}, route.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	defer names.Close()
	n := dial(t, names.Addr())
	eventually(t, "both are in the route again", func() bool {
		f := n.call(remoting.RequestGetRouteInfoByTopic, func(w *remoting.Writer) { w.String("topic", "T") }, nil)
		info, err := remoting.ParseRouteInfo(f.Body)
		return f.Code == 0 && err == nil && len(info.Brokers) == 1 && len(info.Brokers[0].Addrs) == 2
	})
}

// TestClassicHADivergesAfterPowerLoss shows the flaw of classic HA on purpose: the master loses its un-synced tail, meets the
// longer slave, believes its report, and acknowledges as replicated what the slave does not have and never gets.
func TestClassicHADivergesAfterPowerLoss(t *testing.T) {
	disk := vfs.NewMem()
	change := func(c *Config) {
		c.Node.Choice.InSync, c.Node.Choice.FlushInterval = 2, time.Hour
		if c.Node.BrokerID == 0 {
			c.FS = vfs.Locked(disk)
		}
	}
	g := startGroup(t, change)
	m := dial(t, g.master.Addr())
	eventually(t, "the slave reports", func() bool { c := m.slaves(); return len(c) == 1 && c[0].SlaveAckOffset >= 0 })
	for i := range 20 {
		code, _ := m.send("T", 0, label("old %d %s", i, strings.Repeat("x", i)))
		want(t, "code", code, remoting.ResponseSuccess)
	}
	s := dial(t, g.slave.Addr())
	eventually(t, "the slave knows the topic", func() bool {
		return s.call(remoting.RequestGetTopicStatsInfo, func(w *remoting.Writer) { w.String("topic", "T") }, nil).Code == 0
	})
	g.master.fail(errors.New("power loss"))
	g.master.Close()
	disk = disk.Crash(rand.New(rand.NewPCG(1, 1)), vfs.Loss{})
	cfg := haConfig(durability.SyncMaster, 0, g.names)
	change(&cfg)
	g.master = mustStart(t, cfg)
	m = dial(t, g.master.Addr())
	eventually(t, "the slave is back, ahead of its master", func() bool { c := m.slaves(); return len(c) == 1 && c[0].Diff < 0 })
	code, sent := m.send("T", 0, "new")
	want(t, "acknowledged as replicated", code, remoting.ResponseSuccess)
	want(t, "an offset given before", sent.QueueOffset, 0)
	_, _, bodies := s.pull("T", 0, 0, 0)
	if len(bodies) == 0 || !strings.HasPrefix(bodies[0], "old 0") {
		t.Errorf("the slave has %v at offset 0", bodies)
	}
}
