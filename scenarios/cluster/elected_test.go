package cluster

import (
	"strings"
	"testing"

	"holdfast/reports/result"
	"holdfast/scenarios"
)

func TestModesOfSystems(t *testing.T) {
	five := System{Name: RocketMQ, Version: "5.5.0", Profile: "rocketmq-5"}
	four := System{Name: RocketMQ, Version: "4.9.7", Profile: "rocketmq-4.9"}
	reference := System{Name: Reference, Profile: "rocketmq-5"}
	holdfast := System{Name: Reference, Profile: "holdfast"}
	for _, row := range []struct {
		sys  System
		mode string
		want bool
	}{
		{five, "", true}, {five, Classic, true}, {five, Controller, true}, {five, DLedger, true}, {five, "raft", false},
		{four, Controller, false}, {four, DLedger, true},
		{reference, Classic, true}, {reference, Controller, false}, {reference, DLedger, false},
		{holdfast, "", true}, {holdfast, Controller, true}, {holdfast, Classic, true}, {holdfast, DLedger, false},
	} {
		err := row.sys.SupportsMode(row.mode)
		if (err == nil) != row.want {
			t.Errorf("%s, mode %q: got %v, want %v", row.sys, row.mode, err, row.want)
		}
		if err != nil {
			wantCode(t, row.mode, err, 64)
		}
	}
}

// TestElectedBrokersAreAlike: whoever is elected, the configuration is that of all.
func TestElectedBrokersAreAlike(t *testing.T) {
	sys := System{Name: RocketMQ, Version: "5.5.0", Profile: "rocketmq-5"}
	contract := result.Contract{BrokerRole: "SYNC_MASTER", FlushDiskType: "ASYNC_FLUSH", InSyncReplicas: 2}
	for _, mode := range []string{Controller, DLedger} {
		g, err := New(sys, contract, Options{Dir: t.TempDir(), Brokers: 3, Mode: mode})
		if err != nil {
			t.Fatal(err)
		}
		for i, n := range g.Brokers() {
			conf := n.settings
			if conf.Get("brokerId") != "" || conf.Get("brokerRole") != "" {
				t.Errorf("%s, %s: brokerId %q, brokerRole %q, want neither", mode, n.Name, conf.Get("brokerId"), conf.Get("brokerRole"))
			}
			if mode == Controller && conf.Get("controllerAddr") != g.controller().String() {
				t.Errorf("%s: controllerAddr %q, want %s", n.Name, conf.Get("controllerAddr"), g.controller())
			}
			if peers := strings.Split(conf.Get("dLegerPeers"), ";"); mode == DLedger && (len(peers) != 3 || conf.Get("dLegerSelfId") != []string{"n0", "n1", "n2"}[i]) {
				t.Errorf("%s: peers %v, self %q", n.Name, peers, conf.Get("dLegerSelfId"))
			}
		}
		old, next := g.Master(), g.Brokers()[2]
		g.lead(next)
		if g.Master() != next || old.Role != Slave {
			t.Errorf("%s: after an election the master is %s, and the old one a %s", mode, g.Master().Name, old.Role)
		}
	}
}

func TestTunedIsNamed(t *testing.T) {
	sys, err := ParseSystem("rocketmq:5.5.0:tuned")
	if err != nil || !sys.Tuned || sys.Version != "5.5.0" || sys.String() != "rocketmq:5.5.0:tuned" {
		t.Fatalf("got %+v, %v", sys, err)
	}
	g, err := New(sys, result.Contract{BrokerRole: "ASYNC_MASTER", FlushDiskType: "ASYNC_FLUSH"}, Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if got := g.Master().settings.Get("sendMessageThreadPoolNums"); got != "16" {
		t.Errorf("got %q threads, want those of the tuned system", got)
	}
	if pool := g.Master().settings.Get("transientStorePoolEnable"); pool != "" {
		t.Errorf("transientStorePoolEnable=%s: a tuned system must not acknowledge from memory", pool)
	}
	for _, bad := range []string{"rocketmq:tuned", "reference:rocketmq-5:tuned", "rocketmq:5.5.0:fast"} {
		if _, err := ParseSystem(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

// TestHoldfastHasAController: its brokers are alike but for addresses, say what they acknowledge, and are one more than that needs.
func TestHoldfastHasAController(t *testing.T) {
	sys := System{Name: Reference, Profile: "holdfast"}
	contract := result.Contract{BrokerRole: "SYNC_MASTER", FlushDiskType: "ASYNC_FLUSH", InSyncReplicas: 2}
	spec := scenarios.Spec{Contract: contract}
	if got := sys.site(spec); got.Mode != Controller || got.Brokers != 3 {
		t.Errorf("got %+v, want a controller and 3 brokers", got)
	}
	spec.Site.Short, spec.Site.Brokers = true, 1
	if got := sys.site(spec); got.Brokers != 1 {
		t.Errorf("short of brokers: got %d, want 1", got.Brokers)
	}
	g, err := New(sys, contract, Options{Dir: t.TempDir(), Brokers: 3})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range g.Brokers() {
		if c := n.settings; c.Get("controllerAddr") != g.NameServer() || c.Get("brokerRole") != "SYNC_MASTER" || c.Get("brokerId") != "" {
			t.Errorf("%s: %s", n.Name, c)
		}
	}
	if argv := strings.Join(g.command(g.nodes[0]).Argv, " "); !strings.Contains(argv, "--controller --store") {
		t.Errorf("the name server is started by %s", argv)
	}
	contract.BrokerRole = "ASYNC_MASTER"
	wantCode(t, "ASYNC_MASTER", sys.Supports(contract), 64)
}
