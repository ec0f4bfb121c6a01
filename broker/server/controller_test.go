package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"holdfast/broker/durability"
	"holdfast/broker/remoting"
	"holdfast/broker/route"
	"holdfast/broker/vfs"
)

func controllerOf(t *testing.T, fsys vfs.FS) *Server {
	t.Helper()
	names, err := StartController(context.Background(), Config{Listen: "127.0.0.1:0", Log: testLog(t), FS: fsys}, route.DefaultConfig(),
		route.ControllerConfig{ElectAfter: 400 * time.Millisecond, Lease: 300 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { names.Close() })
	return names
}

func controlledConfig(names *Server, fsys vfs.FS) Config {
	cfg := haConfig(durability.SyncMaster, 0, names)
	k := &cfg.Node.Choice
	k.Profile, k.Controlled, k.InSync = durability.Holdfast, true, 2
	cfg.Node.Controller, cfg.Node.BeatInterval = names.Addr(), 50*time.Millisecond
	cfg.FS = fsys
	return cfg
}

// inSync asks the controller for the addresses of the master and of those that it would elect.
func inSync(c *client) (master string, members []string) {
	f := c.call(remoting.RequestControllerGetSyncStateData, nil, nil)
	var body struct {
		ReplicasInfoTable map[string]struct {
			MasterAddress  string
			InSyncReplicas []struct{ BrokerAddress string }
		}
	}
	if err := json.Unmarshal(f.Body, &body); err != nil {
		c.t.Fatal(err)
	}
	g := body.ReplicasInfoTable["broker-a"]
	for _, r := range g.InSyncReplicas {
		members = append(members, r.BrokerAddress)
	}
	return g.MasterAddress, members
}

// A master that dies is replaced by one that has all that was acknowledged, clients are sent there, and it comes back as a slave.
func TestControllerReplacesAMaster(t *testing.T) {
	names := controllerOf(t, vfs.Locked(vfs.NewMem()))
	ctl := dial(t, names.Addr())
	brokers := map[string]*Server{}
	disks := map[string]vfs.FS{}
	for range 3 {
		fsys := vfs.Locked(vfs.NewMem())
		s := mustStart(t, controlledConfig(names, fsys))
		brokers[s.Addr()], disks[s.Addr()] = s, fsys
	}
	all := func() bool { m, in := inSync(ctl); return m != "" && len(in) == 3 }
	eventually(t, "a master with all in its SyncStateSet", all)
	old, _ := inSync(ctl)
	var acked []string
	put := func(addr, body string) bool {
		code, _ := dial(t, addr).send("T", 0, body)
		if code == remoting.ResponseSuccess {
			acked = append(acked, body)
		}
		return code == remoting.ResponseSuccess
	}
	for i := range 30 {
		if body := label("m%d", i); !put(old, body) {
			t.Fatalf("%s was not acknowledged", body)
		}
	}
	brokers[old].fail(errors.New("killed"))
	brokers[old].tearDown()
	eventually(t, "another master", func() bool { m, _ := inSync(ctl); return m != "" && m != old })
	next, _ := inSync(ctl)
	eventually(t, "it acknowledges", func() bool { return put(next, "after") })
	eventually(t, "clients are sent to it", func() bool {
		f := ctl.call(remoting.RequestGetRouteInfoByTopic, func(w *remoting.Writer) { w.String("topic", "T") }, nil)
		return bytes.Contains(f.Body, []byte(`0:"`+next)) || bytes.Contains(f.Body, []byte(`"0":"`+next))
	})
	var got []string
	m := dial(t, next)
	for len(got) < len(acked) {
		code, _, bodies := m.pull("T", 0, int64(len(got)), 0)
		want(t, "code of a pull", code, remoting.ResponseSuccess)
		got = append(got, bodies...)
	}
	if !slices.Equal(got, acked) {
		t.Errorf("read %v, acknowledged %v", got, acked)
	}
	brokers[old].store.Abandon()
	mustStart(t, controlledConfig(names, disks[old]))
	eventually(t, "all are in the SyncStateSet again", all)
}

func TestControllerKeys(t *testing.T) {
	const rest = "storePathRootDir=/x\n"
	cfg, err := ParseConf("c", rest+"holdfastProfile=holdfast\nenableControllerMode=true\ncontrollerAddr=10.0.0.1:9876\nbrokerRole=SYNC_MASTER\ninSyncReplicas=2\n"+
		"brokerHeartbeatInterval=500\nhaMaxTimeSlaveNotCatchup=7000\n")
	if err != nil || !cfg.Node.Choice.Controlled || cfg.Node.Controller != "10.0.0.1:9876" || cfg.Node.BeatInterval != 500*time.Millisecond || cfg.Node.MaxTimeBehind != 7*time.Second {
		t.Errorf("got %+v, %v", cfg.Node, err)
	}
	for _, row := range []struct{ text, want string }{
		{"holdfastProfile=holdfast\nbrokerRole=SYNC_MASTER\n", "set enableControllerMode=true and controllerAddr"},
		{"holdfastProfile=holdfast\nenableControllerMode=true\n", "one needs the other"},
		{"controllerAddr=10.0.0.1:9876\n", "one needs the other"},
		{"enableControllerMode=true\ncontrollerAddr=10.0.0.1:9876\n", "allowed: holdfast"},
		{"holdfastProfile=holdfast\nenableControllerMode=true\ncontrollerAddr=10.0.0.1:9876\ntransientStorePoolEnable=true\n", "allowed: false"},
	} {
		if _, err := ParseConf("c", rest+row.text); !errors.Is(err, ErrConf) || !bytes.Contains([]byte(err.Error()), []byte(row.want)) {
			t.Errorf("%q: got %v, want %q", row.text, err, row.want)
		}
	}
}
