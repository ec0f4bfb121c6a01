package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	registry "holdfast/broker/route"
	"holdfast/broker/server"
	"holdfast/nemesis/clock"
	"holdfast/reports/result"
)

// runNode runs this process as a node of the reference when it was started as one: the test binary stands in for the command.
func runNode(args []string) (code int, ok bool) {
	if len(args) < 3 || args[1] != "broker" && args[1] != "namesrv" {
		return 0, false
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	s, err := startNode(args)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 3, true
	}
	select {
	case <-ctx.Done():
	case <-s.Done():
	}
	if err := s.Close(); err != nil {
		return 3, true
	}
	return 0, true
}

func startNode(args []string) (*server.Server, error) {
	if args[1] == "namesrv" {
		return server.StartNameServer(context.Background(), server.Config{Listen: args[3]}, registry.DefaultConfig())
	}
	cfg, err := server.ReadConf(args[3])
	if err != nil {
		return nil, err
	}
	cfg.ClockPage = os.Getenv(clock.Env)
	return server.Start(context.Background(), cfg)
}

// startReference starts a group of the reference on plain directories.
func startReference(t *testing.T, c result.Contract) *Group {
	t.Helper()
	sys, err := ParseSystem("reference")
	if err != nil {
		t.Fatal(err)
	}
	g, err := New(sys, c, Options{Dir: t.TempDir(), Topics: []Topic{{"t", 2}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := g.Start(ctx); err != nil {
		t.Fatal(err)
	}
	return g
}

var syncMaster = result.Contract{BrokerRole: "SYNC_MASTER", FlushDiskType: "ASYNC_FLUSH", InSyncReplicas: 2}

func TestGroup(t *testing.T) {
	g := startReference(t, syncMaster)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for _, n := range g.Nodes() {
		if !n.Running() {
			t.Errorf("%s does not run", n.Name)
		}
	}
	usage := g.Usage()
	if len(usage) != 3 || usage["a-0"].AnonymousBytes == 0 {
		t.Errorf("got usage %+v, want that of three nodes", usage)
	}
	if names := g.Addresses(); names[g.Node("a-0").Addr.String()] != "a-0" || names[g.Node("a-1").Addr.String()] != "a-1" {
		t.Errorf("got addresses %v", names)
	}
	if err := g.StartNode(ctx, "a-0"); err == nil || !strings.Contains(err.Error(), "runs already") {
		t.Errorf("a second start: got %v", err)
	}
	if err := g.Promote(ctx, "a-1", false); err == nil || !strings.Contains(err.Error(), "the master a-0 runs") {
		t.Errorf("a promotion beside the master: got %v", err)
	}

	master := g.Node("a-0")
	if err := master.Kill(ctx); err != nil {
		t.Fatal(err)
	}
	if master.Running() {
		t.Error("a killed node runs")
	}
	if err := g.StartNode(ctx, "a-0"); err != nil {
		t.Fatalf("the killed node does not return: %v", err)
	}
	if err := errors.Join(g.AwaitMaster(ctx), g.CaughtUp(ctx)); err != nil {
		t.Fatal(err)
	}
}

func TestPromote(t *testing.T) {
	g := startReference(t, syncMaster)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := g.Promote(ctx, "a-0", false); err == nil {
		t.Error("a master was promoted")
	}
	if err := g.Master().Kill(ctx); err != nil {
		t.Fatal(err)
	}
	slave := g.Node("a-1")
	if err := g.Promote(ctx, "a-1", false); err != nil {
		t.Fatal(err)
	}
	if g.Master() != slave || !slave.Running() {
		t.Errorf("the master is %s", g.Master().Name)
	}
	conf := g.Conf("a-1")
	for _, line := range []string{"brokerId=0\n", "brokerRole=SYNC_MASTER\n", "inSyncReplicas=1\n", "flushDiskType=ASYNC_FLUSH\n"} {
		if !strings.Contains(conf, line) {
			t.Errorf("the promoted node's configuration lacks %q:\n%s", line, conf)
		}
	}
}

func TestNodeThatDies(t *testing.T) {
	sys, _ := ParseSystem("reference")
	g, err := New(sys, syncMaster, Options{Dir: t.TempDir(), Topics: []Topic{{"t", 2}}})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	if err := os.WriteFile(g.opt.Dir+"/stores", nil, 0o644); err != nil { // where the stores would be
		t.Fatal(err)
	}
	wantCode(t, "a store that cannot be made", g.Start(t.Context()), 3)

	g, err = New(sys, result.Contract{BrokerRole: "SYNC_MASTER", FlushDiskType: "SOMETIMES"}, Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	err = g.Start(t.Context())
	wantCode(t, "a master that refuses its configuration", err, 3)
	if err == nil || !strings.Contains(err.Error(), "SOMETIMES") {
		t.Errorf("the error lacks what the node said last: %v", err)
	}
	for _, n := range g.Nodes() {
		if n.Running() {
			t.Errorf("%s was left running", n.Name)
		}
	}
}
