package server

import (
	"testing"
	"time"

	"holdfast/broker/durability"
	"holdfast/broker/remoting"
	"holdfast/broker/route"
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
	names, err := StartNameServer(Config{Listen: "127.0.0.1:0", Log: testLog(t)}, route.DefaultConfig())
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
