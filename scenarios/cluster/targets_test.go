package cluster

import (
	"slices"
	"strings"
	"testing"

	"holdfast/nemesis"
	"holdfast/reports/result"
)

// laidOut is a cell of so many brokers of the reference; nothing is started.
func laidOut(t *testing.T, brokers int) *cell {
	t.Helper()
	sys, err := ParseSystem("reference")
	if err != nil {
		t.Fatal(err)
	}
	g, err := New(sys, result.Contract{BrokerRole: "ASYNC_MASTER", FlushDiskType: "ASYNC_FLUSH"}, Options{Dir: t.TempDir(), Brokers: brokers})
	if err != nil {
		t.Fatal(err)
	}
	return &cell{Group: g, down: map[string]bool{}}
}

func TestTargets(t *testing.T) {
	for _, row := range []struct {
		says     string
		brokers  int
		promoted bool // a-1 took over
		target   nemesis.Target
		want     string // names, or part of the error
		fails    bool
	}{
		{"the master of the start", 3, false, nemesis.Master, "a-0", false},
		{"the leader is the master", 3, false, nemesis.Leader, "a-0", false},
		{"the master by its present role", 3, true, nemesis.Master, "a-1", false},
		{"every slave", 3, false, nemesis.Slave, "a-1 a-2", false},
		{"all, in the order of the group", 3, false, nemesis.All, "a-0 a-1 a-2", false},
		{"a master alone has no slave", 1, false, nemesis.Slave, "a group of 1 brokers has no slave", true},
		{"two have no minority", 2, false, nemesis.Minority, "a group of 2 brokers has no minority", true},
		{"the majority of two are both", 2, false, nemesis.Majority, "a-0 a-1", false},
		{"clients are no broker", 3, false, nemesis.Clients, `target "clients" names no broker`, true},
		{"no target", 3, false, "", `target "" names no broker`, true},
	} {
		c := laidOut(t, row.brokers)
		if row.promoted {
			c.swap(c.Node("a-1"))
		}
		got, err := c.targets(row.target, 1)
		switch {
		case row.fails && (err == nil || !strings.Contains(err.Error(), row.want)):
			t.Errorf("%s: got %v, %v; want the error %s", row.says, namesOf(got), err, row.want)
		case !row.fails && (err != nil || strings.Join(namesOf(got), " ") != row.want):
			t.Errorf("%s: got %v, %v; want %s", row.says, namesOf(got), err, row.want)
		}
	}
}

func TestTargetsByChance(t *testing.T) {
	for _, row := range []struct {
		target  nemesis.Target
		brokers int
		size    int
	}{
		{nemesis.Random, 3, 1}, {nemesis.Minority, 3, 1}, {nemesis.Minority, 5, 2}, {nemesis.Majority, 3, 2}, {nemesis.Majority, 5, 3},
	} {
		c := laidOut(t, row.brokers)
		struck := map[string]bool{}
		for seed := range uint64(64) {
			nodes, err := c.targets(row.target, seed)
			if err != nil {
				t.Fatal(err)
			}
			got := namesOf(nodes)
			if len(got) != row.size || !slices.IsSorted(got) {
				t.Errorf("%s of %d, seed %d: got %v, want %d in the order of the group", row.target, row.brokers, seed, got, row.size)
			}
			again, err := c.targets(row.target, seed)
			if err != nil || !slices.Equal(got, namesOf(again)) {
				t.Errorf("%s, seed %d: got %v, then %v, %v", row.target, seed, got, namesOf(again), err)
			}
			for _, name := range got {
				struck[name] = true
			}
		}
		if len(struck) != row.brokers {
			t.Errorf("%s of %d: 64 seeds struck only %v", row.target, row.brokers, struck)
		}
	}
}

func TestPeers(t *testing.T) {
	for _, row := range []struct {
		says    string
		targets []string
		peer    nemesis.Target
		want    string // hosts, or part of the error
		fails   bool
	}{
		{"no peer: everybody", []string{"a-1"}, "", "", false},
		{"the slaves' master", []string{"a-1", "a-2"}, nemesis.Master, "a-0", false},
		{"the leader is the master", []string{"a-1"}, nemesis.Leader, "a-0", false},
		{"the master's slaves", []string{"a-0"}, nemesis.Slave, "a-1 a-2", false},
		{"a slave's fellow slaves", []string{"a-1"}, nemesis.Slave, "a-2", false},
		{"the other brokers", []string{"a-1"}, nemesis.All, "a-0 a-2", false},
		{"who is no client", []string{"a-0"}, nemesis.Servers, "ns a-1 a-2", false},
		{"the clients", []string{"a-0"}, nemesis.Clients, "clients", false},
		{"the target itself is no peer", []string{"a-0"}, nemesis.Master, `no peer "master" beside the targets [a-0]`, true},
		{"an unknown role", []string{"a-0"}, "queen", `peer "queen"; allowed: master, leader, slave`, true},
	} {
		c := laidOut(t, 3)
		h := &hosts{names: []string{nameServerName, "a-0", "a-1", "a-2", clientHost}}
		got, err := h.peers(nemesis.Fault{Kind: nemesis.Clog, Params: nemesis.Params{Peer: row.peer}}, row.targets, c.Group)
		switch {
		case row.fails && (err == nil || !strings.Contains(err.Error(), row.want)):
			t.Errorf("%s: got %v, %v; want the error %s", row.says, got, err, row.want)
		case !row.fails && (err != nil || strings.Join(got, " ") != row.want):
			t.Errorf("%s: got %v, %v; want %s", row.says, got, err, row.want)
		}
	}
}

func TestSettingsOfASiteComeLast(t *testing.T) {
	byKey := map[string]string{"zeta": "1", "flushDiskType": "SYNC_FLUSH", "alpha": "2", "haSendHeartbeatInterval": "7"}
	site := settingsOf(byKey)
	if got, want := site.String(), "alpha=2\nflushDiskType=SYNC_FLUSH\nhaSendHeartbeatInterval=7\nzeta=1\n"; got != want {
		t.Errorf("got %q, want the keys in order: %q", got, want)
	}
	for _, name := range []string{"reference", "rocketmq:5.5.0", "rocketmq:4.9.7"} {
		sys, err := ParseSystem(name)
		if err != nil {
			t.Fatal(err)
		}
		g, err := New(sys, result.Contract{BrokerRole: "ASYNC_MASTER", FlushDiskType: "ASYNC_FLUSH"}, Options{Dir: t.TempDir(), Settings: site})
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range g.Brokers() {
			if conf := g.Conf(n.Name); !strings.HasSuffix(conf, site.String()) {
				t.Errorf("%s, %s: the lines of the site are not the last:\n%s", name, n.Name, conf)
			}
			if got := n.settings.Get("flushDiskType"); got != "SYNC_FLUSH" {
				t.Errorf("%s, %s: flushDiskType is %q, want the site's", name, n.Name, got)
			}
		}
	}
}

// TestContractOfAShortGroup: a lone master promises what it can, unless its slave is only absent.
func TestContractOfAShortGroup(t *testing.T) {
	for _, row := range []struct {
		system              string
		short               bool
		role, inSync, total string
	}{
		{"rocketmq:5.5.0", false, "SYNC_MASTER", "1", "1"},
		{"rocketmq:5.5.0", true, "SYNC_MASTER", "2", "2"},
		{"rocketmq:4.9.7", false, "ASYNC_MASTER", "", ""},
		{"rocketmq:4.9.7", true, "SYNC_MASTER", "", ""},
	} {
		sys, err := ParseSystem(row.system)
		if err != nil {
			t.Fatal(err)
		}
		contract := result.Contract{BrokerRole: "SYNC_MASTER", FlushDiskType: "ASYNC_FLUSH", InSyncReplicas: 2}
		g, err := New(sys, contract, Options{Dir: t.TempDir(), Brokers: 1, Short: row.short})
		if err != nil {
			t.Fatal(err)
		}
		s := g.Master().settings
		if role, inSync, total := s.Get("brokerRole"), s.Get("inSyncReplicas"), s.Get("totalReplicas"); role != row.role || inSync != row.inSync || total != row.total {
			t.Errorf("%s, short %v: got brokerRole %s, inSyncReplicas %q, totalReplicas %q, want %s %q %q", row.system, row.short, role, inSync, total, row.role, row.inSync, row.total)
		}
	}
}
