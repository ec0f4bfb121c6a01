package server

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
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
	cfg.HAListen, cfg.Limits.WriteTime, cfg.Limits.SlaveTime = "127.0.0.1:0", 100*time.Millisecond, 200*time.Millisecond
	cfg.Node.Choice.Role, cfg.Node.Choice.InSync, cfg.Node.Choice.SlaveTimeout = durability.SyncMaster, 2, 100*time.Millisecond
	cfg.Node.HA.Housekeeping, cfg.Node.HA.HeartbeatInterval = 2*time.Second, 20*time.Millisecond
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
	cfg := falseSlaveConfig()
	cfg.Node.Choice.SlaveTimeout = 300 * time.Millisecond // of a slave that is busy with others
	g := startNamed(t, cfg)
	c := dial(t, g.master.Addr())
	var attacks []attack
	for _, f := range falseSlaves {
		attacks = append(attacks, attack{f.name, connected(f.does)})
	}
	under(g.master.HAAddr(), attacks, func() {
		eventually(t, "all of them are there, but who sends garbage", func() bool {
			new, slaves := g.master.atHAPort()
			return new+slaves >= len(attacks)-1
		})
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

// atHAPort counts the connections of the replication port: those that have not reported, and those that have.
func (s *Server) atHAPort() (newcomers, slaves int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.newcomers.conns), len(s.peers.list)
}

// trickle sends a byte of a report a while.
func trickle(every time.Duration) func(context.Context, net.Conn) {
	return func(ctx context.Context, nc net.Conn) {
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			if _, err := nc.Write([]byte{0}); err != nil {
				return
			}
			select {
			case <-ticker.C:
			case <-ctx.Done():
				return
			}
		}
	}
}

// TestTricklersTakeNoPlace: more peers that trickle than there are places for slaves come again and again, before the slave does and while it
// is there. It gets a place, and keeps it; the others are cut off.
func TestTricklersTakeNoPlace(t *testing.T) {
	const places = 3
	cfg := falseSlaveConfig()
	cfg.Limits.Slaves = places
	g := startNamed(t, cfg)
	c := dial(t, g.master.Addr())
	var attacks []attack
	met := make(chan struct{}, 1<<16)
	for range 3 * places {
		f := trickle(cfg.Limits.SlaveTime / 6) // a whole report would take longer
		attacks = append(attacks, attack{"trickles", connected(func(ctx context.Context, nc net.Conn) {
			met <- struct{}{}
			f(ctx, nc)
		})})
	}
	under(g.master.HAAddr(), attacks, func() {
		eventually(t, "they are there", func() bool { new, slaves := g.master.atHAPort(); return new+slaves >= places })
		g.startSlave(t, func(*Config) {})
		eventually(t, "the slave is counted", func() bool { code, _ := c.send("T", 0, "m"); return code == remoting.ResponseSuccess })
		was := c.slaves()
		for range 4 * len(attacks) { // each of them is cut off, and comes again
			<-met
		}
		honest(t, c, 10)
		if is := c.slaves(); len(is) != 1 || is[0].Addr != was[0].Addr {
			t.Errorf("slaves %v, before the tricklers came again %v", is, was)
		}
	})
}

// TestTricklingSlaveIsSilent: who has reported once, and then trickles, is given up as one that is silent.
func TestTricklingSlaveIsSilent(t *testing.T) {
	cfg := falseSlaveConfig()
	cfg.Node.HA.Housekeeping = 100 * time.Millisecond
	s := mustStart(t, cfg)
	nc, err := net.Dial("tcp", s.HAAddr())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	nc.Write(make([]byte, reportBytes))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go trickle(cfg.Node.HA.Housekeeping/4)(ctx, nc)
	nc.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.Copy(io.Discard, nc); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("not cut off within 5 s")
	}
}

// TestNewcomersAreBounded: beyond so many connections without a report, half of them from one address, others are closed at once; when those
// are cut off there is room again.
func TestNewcomersAreBounded(t *testing.T) {
	cfg := falseSlaveConfig()
	cfg.Limits.Newcomers = 8
	s := mustStart(t, cfg)
	var open []net.Conn
	for range 6 {
		nc, err := net.Dial("tcp", s.HAAddr())
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		open = append(open, nc)
	}
	for _, nc := range open[4:] {
		nc.SetReadDeadline(time.Now().Add(cfg.Limits.SlaveTime / 2))
		if _, err := nc.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("more than half of the newcomers are of one address")
		}
	}
	eventually(t, "they are cut off", func() bool { new, _ := s.atHAPort(); return new == 0 })
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
