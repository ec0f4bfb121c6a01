package server

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"holdfast/broker/durability"
	"holdfast/broker/remoting"
	"holdfast/broker/route"
)

// falseSlaves are what comes to the replication port and is no slave. None of them ever says that it has a byte.
var falseSlaves = []struct {
	name string
	does func(ctx context.Context, nc net.Conn)
}{
	{"says nothing", func(_ context.Context, nc net.Conn) { io.Copy(io.Discard, nc) }},
	{"sends half a report", func(_ context.Context, nc net.Conn) { nc.Write([]byte{0, 0, 0}); io.Copy(io.Discard, nc) }},
	{"sends garbage", func(_ context.Context, nc net.Conn) {
		nc.Write([]byte(strings.Repeat("\xfe\xdc\xba\x98", 20_000)))
		io.Copy(io.Discard, nc)
	}},
	{"reports and never reads", func(ctx context.Context, nc net.Conn) {
		nc.(*net.TCPConn).SetReadBuffer(4 << 10)
		for ctx.Err() == nil {
			if _, err := nc.Write(make([]byte, 8)); err != nil {
				return
			}
			time.Sleep(time.Millisecond)
		}
	}},
}

func falseSlaveConfig() Config {
	cfg := DefaultConfig(durability.RocketMQ5)
	cfg.HAListen, cfg.Limits.WriteTime = "127.0.0.1:0", 100*time.Millisecond
	cfg.Node.Choice.Role, cfg.Node.Choice.InSync, cfg.Node.Choice.SlaveTimeout = durability.SyncMaster, 2, 100*time.Millisecond
	cfg.Node.HA.Housekeeping, cfg.Node.HA.HeartbeatInterval = 100*time.Millisecond, 20*time.Millisecond
	return cfg
}

// TestFalseSlavesAreCutOff: each of them, once, until the broker hangs up.
func TestFalseSlavesAreCutOff(t *testing.T) {
	s := mustStart(t, falseSlaveConfig())
	c := dial(t, s.Addr())
	for range 12 { // more than two sockets hold
		c.write(sendFrame(nil, 1, "T", 0, nil, []byte(strings.Repeat("x", 1<<20))))
		if f := c.read(); f.Code != remoting.ResponseFlushSlaveTimeout {
			t.Fatalf("without a slave a send is answered %s", f.CodeName())
		}
	}
	for _, a := range falseSlaves {
		met := make(chan struct{}, 1000)
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			connected(func(ctx context.Context, nc net.Conn) {
				met <- struct{}{}
				a.does(ctx, nc)
			})(ctx, s.HAAddr())
		}()
		for i := range 2 { // it is let in again only to be cut off again
			select {
			case <-met:
			case <-time.After(5 * time.Second):
				t.Errorf("%s: not cut off within 5 s, meeting %d", a.name, i)
			}
		}
		cancel()
		<-ended
	}
}

// TestFalseSlavesStopNobody: while they come again and again no put counts as replicated; the slave that is one is counted, and when they
// are gone it is alone.
func TestFalseSlavesStopNobody(t *testing.T) {
	g := startNamed(t, falseSlaveConfig())
	c := dial(t, g.master.Addr())
	var attacks []attack
	for _, f := range falseSlaves {
		attacks = append(attacks, attack{f.name, connected(f.does)})
	}
	under(g.master.HAAddr(), attacks, func() {
		eventually(t, "all of them are there", func() bool { return len(c.slaves()) >= len(attacks)-1 })
		for range 3 {
			if code, _ := c.send("T", 0, "m"); code != remoting.ResponseFlushSlaveTimeout {
				t.Errorf("among false slaves a send is answered %s", remoting.ResponseName(code))
			}
		}
		g.startSlave(t, func(*Config) {})
		eventually(t, "the slave is counted", func() bool { code, _ := c.send("T", 0, "m"); return code == remoting.ResponseSuccess })
		honest(t, c, 10)
	})
	eventually(t, "the slave is alone", func() bool { return len(c.slaves()) == 1 })
	honest(t, c, 10)
}

// startNamed starts a name server, and a master without a slave.
func startNamed(t *testing.T, cfg Config) *group {
	names, err := StartNameServer(context.Background(), Config{Listen: "127.0.0.1:0", Log: testLog(t)}, route.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { names.Close() })
	cfg.Node.NameServers, cfg.Node.RegisterInterval = []string{names.Addr()}, 100*time.Millisecond
	return &group{names: names, master: mustStart(t, cfg)}
}
