package conformance

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"holdfast/reports/result"
	"holdfast/scenarios/cluster"
)

var systemFlag = flag.String("system", "reference", "system that the clients talk to: reference[:PROFILE] or rocketmq[:VERSION]")

// world is a group of a master and a slave that clients talk to, each through relays of its own.
type world struct {
	t       *testing.T
	group   *cluster.Group
	traffic *traffic
}

// place is the world as one client sees it: the addresses of its relays.
type place struct{ namesrv, master, slave string }

// startWorld starts a group of the system whose topics are there: a master and a slave.
func startWorld(t *testing.T, system string, topics []cluster.Topic) *world {
	t.Helper()
	return startBrokers(t, system, 2, topics)
}

func startBrokers(t *testing.T, system string, brokers int, topics []cluster.Topic) *world {
	t.Helper()
	sys := prepared(t, system)
	if sys.Name == cluster.Reference {
		path, err := executable()
		if err != nil {
			t.Fatal(err)
		}
		sys.Binary = path
	}
	g, err := cluster.New(sys, result.Contract{BrokerRole: "ASYNC_MASTER", FlushDiskType: "ASYNC_FLUSH"}, cluster.Options{
		Dir: t.TempDir(), Brokers: brokers, Topics: topics, Brief: true,
		Settings: cluster.Settings{{Key: "autoCreateTopicEnable", Value: "true"}, {Key: "messageIndexEnable", Value: "true"},
			{Key: "timerWheelEnable", Value: "true"}}, // without it, 5.5.0 cannot delete a topic
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := g.Start(ctx); err != nil {
		t.Fatal(err)
	}
	return &world{t: t, group: g, traffic: &traffic{seen: map[string]map[int]map[int]bool{}}}
}

// prepared returns a system that can be started, or whose clients can; the test is skipped where that needs Java or Maven and there is none.
func prepared(t *testing.T, system string) cluster.System {
	t.Helper()
	sys, err := cluster.ParseSystem(system)
	if err != nil {
		t.Fatal(err)
	}
	var progress strings.Builder
	if err := sys.Prepare(t.Context(), &progress); err != nil {
		t.Skipf("no %s: %v", system, err)
	}
	return sys
}

// seenBy returns where the client finds the group, through relays that note what it sends.
func (w *world) seenBy(client string) place {
	nodes := w.group.Nodes()
	_, at := newRelays(w.t, w.traffic, client, nodes[0].Addr.String(), nodes[1].Addr.String(), nodes[2].Addr.String())
	return place{at[0], at[1], at[2]}
}

// stopMaster ends the master as an operator does; startMaster starts it again.
func (w *world) stopMaster() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	if err := w.group.Master().Stop(ctx); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) startMaster() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	if err := w.group.StartNode(ctx, w.group.Master().Name); err != nil {
		w.t.Fatal(err)
	}
}

// caughtUp waits until the slave holds what the master holds.
func (w *world) caughtUp() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	if err := w.group.CaughtUp(ctx); err != nil {
		w.t.Fatal(err)
	}
}

// sources returns the witness's source files.
func sources(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("witness/*.java")
	if err != nil || len(files) == 0 {
		t.Fatal("no source of the witness", err)
	}
	for i := range files {
		if files[i], err = filepath.Abs(files[i]); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// scratch makes the directory below a temporary one.
func scratch(t *testing.T, name string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}
