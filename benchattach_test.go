package main

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"holdfast/broker/durability"
	"holdfast/broker/server"
	"holdfast/loadgen/driver/rocketmq"
	"holdfast/reports/result"
)

// runningCluster is a cluster with the topic Scratch, of two queues.
func runningCluster(t *testing.T) (nameServer string) {
	t.Helper()
	cfg := server.DefaultConfig(durability.RocketMQ5)
	cfg.Log = slog.New(slog.DiscardHandler)
	s, err := server.StartStandalone(t.Context(), "", cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	system, err := rocketmq.New(rocketmq.Config{NameServers: []string{s.NamesAddr()}, Groups: []string{cfg.Node.BrokerName}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := system.Admin().CreateTopic(ctx, "Scratch", 2); err != nil {
		t.Fatal(err)
	}
	return s.NamesAddr()
}

func TestBenchAttached(t *testing.T) {
	names := runningCluster(t)
	out := filepath.Join(t.TempDir(), "out")
	stdout, stderr, code := holdfast(t, "bench", "--attach", names, "--topic", "Scratch", "--shapes", "1x1,2x8", "--rate", "500,1000", "--passes", "1", "--warm", "100ms",
		"--measure", "200ms", "--latency", "300ms", "--out", out)
	if code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	r, err := result.Read(out)
	if err != nil {
		t.Fatal(err)
	}
	if r.World != result.Attached || r.System.Version != "holdfast rocketmq-5" || len(r.Cells) != 3 {
		t.Fatalf("world %s, system %s, %d cells", r.World, r.System, len(r.Cells))
	}
	wanted := map[string]float64{"async-master.async-flush.2x8": 500, "async-master.async-flush.1x1": 0, "async-master.async-flush.1000-per-second": 1000}
	for _, c := range r.Cells {
		if rate, ok := wanted[c.ID]; !ok || c.Load.Offered != rate || c.Acked["SEND_OK"] == 0 || c.Contract.FlushDiskType != "ASYNC_FLUSH" {
			t.Errorf("%s: offered %v, acknowledged %v, contract %v", c.ID, c.Load.Offered, c.Acked, c.Contract)
		}
		if (c.Throughput == nil) != (c.ID == "async-master.async-flush.1000-per-second") || (c.Latency == nil) != (c.Load.Offered == 0) {
			t.Errorf("%s: throughput %v, latency %v", c.ID, c.Throughput, c.Latency)
		}
		if !strings.Contains(c.Repeat, "--attach '"+names+"' --topic 'Scratch'") || strings.Contains(c.Repeat, "--faults") {
			t.Errorf("%s is repeated by %s", c.ID, c.Repeat)
		}
	}
	for _, text := range []string{"topic Scratch, 2 queues", "2x8", "500", "1,000"} {
		if !strings.Contains(stdout, text) {
			t.Errorf("no %q in\n%s", text, stdout)
		}
	}
	if strings.Contains(stdout, "fsync") {
		t.Errorf("the fsync of a disk that nobody asked about in\n%s", stdout)
	}
}

func TestBenchAttachRefuses(t *testing.T) {
	names := runningCluster(t)
	cfg := server.DefaultConfig(durability.RocketMQ5)
	cfg.Log, cfg.Advertise = slog.New(slog.DiscardHandler), "10.255.255.1"
	elsewhere, err := server.StartStandalone(t.Context(), "", cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { elsewhere.Close() })
	for _, c := range []struct {
		args []string
		code int
		text string
	}{
		{[]string{"--attach", names}, exitUsage, "--topic"},
		{[]string{"--topic", "Scratch"}, exitUsage, "--attach"},
		{[]string{"--allow-remote"}, exitUsage, "--attach"},
		{[]string{"--attach", "nowhere", "--topic", "Scratch"}, exitUsage, "HOST:PORT"},
		{[]string{"--attach", names, "--topic", "Scratch", "--contracts", "ASYNC_MASTER+SYNC_FLUSH"}, exitUsage, "--contracts does not go with --attach"},
		{[]string{"--attach", names, "--topic", "Scratch", "--rate", "5,5"}, exitUsage, "--rate 5"},
		{[]string{"--attach", names, "--topic", "Scratch", "--size", "1"}, exitUsage, "--size 1"},
		{[]string{"--attach", names, "--topic", "Scratch", "--output", "xml"}, exitUsage, "human, json"},
		{[]string{"--attach", names, "--topic", "Other"}, exitBroken, "TOPIC_NOT_EXIST"},
		{[]string{"--attach", elsewhere.NamesAddr(), "--topic", "TBW102"}, exitUsage, "broker-a at 10.255.255.1"},
		{[]string{"--attach", "10.255.255.1:9876", "--topic", "Scratch"}, exitUsage, "--allow-remote"},
	} {
		out := filepath.Join(t.TempDir(), "out")
		_, stderr, code := holdfast(t, append([]string{"bench", "--out", out}, c.args...)...)
		if code != c.code || !strings.Contains(stderr, c.text) {
			t.Errorf("%q: exit %d, %s; want %d and %q", c.args, code, stderr, c.code, c.text)
		}
		if left, _ := filepath.Glob(out); len(left) > 0 {
			t.Errorf("%q: left %s", c.args, left)
		}
	}
}
