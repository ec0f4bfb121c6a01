package rocketmq_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"holdfast/broker/durability"
	"holdfast/broker/remoting"
	"holdfast/broker/route"
	"holdfast/broker/server"
	"holdfast/checker/history"
	"holdfast/loadgen"
	"holdfast/loadgen/driver/rocketmq"
)

// startBroker starts the reference broker of a name server on an address, with its store in a directory.
func startBroker(t *testing.T, address, dir, names string) *server.Server {
	t.Helper()
	cfg := server.DefaultConfig(durability.RocketMQ5)
	cfg.Listen, cfg.StoreDir, cfg.Log = address, dir, slog.New(slog.DiscardHandler)
	cfg.Node.NameServers = []string{names}
	broker, err := server.Start(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-broker.Registered():
	case <-time.After(5 * time.Second):
		t.Fatal("not registered")
	}
	return broker
}

func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 10s: %s", what)
		}
	}
}

// TestAgainstReferenceBroker runs a recorded load and a consumer against the reference broker, stops and starts the broker
// under them, and holds the history against two complete reads: what was acknowledged is there, where it was said to be.
func TestAgainstReferenceBroker(t *testing.T) {
	names, err := server.StartNameServer(context.Background(), server.Config{Listen: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler)}, route.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = names.Close() }()
	dir := t.TempDir()
	broker := startBroker(t, "127.0.0.1:0", dir, names.Addr())
	address := broker.Addr()
	system, err := rocketmq.New(rocketmq.Config{
		NameServers: []string{names.Addr()}, Groups: []string{"broker-a"}, Nodes: map[string]string{address: "a-0"}, Form: remoting.Binary, RunID: 3,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := system.Admin().CreateTopic(ctx, "T", 4); err != nil {
		t.Fatal(err)
	}
	runs := t.TempDir()
	rec, err := history.Create(runs, history.Header{Name: "reference", Masters: map[string]string{"broker-a": "a-0"}}, history.Options{})
	if err != nil {
		t.Fatal(err)
	}
	consumption, err := loadgen.Consume(ctx, loadgen.ConsumeConfig{System: system, Topic: "T", Queues: 4, Group: "g", Recorder: rec, Process: 9, Pause: time.Millisecond, Hold: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	load, err := loadgen.Start(ctx, loadgen.Config{System: system, Topic: "T", Queues: 4, Connections: 2, Rate: 5000, Recorder: rec, Timeout: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "500 acknowledged", func() bool { return load.Snapshot().AckedTotal > 500 })
	if err := broker.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "failures", func() bool { return load.Snapshot().Failed > 20 })
	broker = startBroker(t, address, dir, names.Addr())
	defer func() { _ = broker.Close() }()
	before := load.Snapshot().AckedTotal
	eventually(t, "acknowledged again", func() bool { return load.Snapshot().AckedTotal > before+500 })
	sum := load.Stop()
	if sum.Err != nil {
		t.Fatal(sum.Err)
	}
	acked := sum.Acked["SEND_OK"]
	eventually(t, "everything delivered", func() bool { return consumption.Snapshot().Delivered >= acked })
	if got, err := consumption.Stop(); err != nil || got.Corrupt != 0 {
		t.Errorf("consumer: %+v, %v", got, err)
	}
	queues := []string{"broker-a/T/0", "broker-a/T/1", "broker-a/T/2", "broker-a/T/3"}
	if err := (loadgen.Drain{Admin: system.Admin(), Recorder: rec, Process: 10, Nodes: []string{"a-0"}, Queues: queues}).Run(ctx); err != nil {
		t.Fatal(err)
	}
	if err := rec.Close(); err != nil {
		t.Fatal(err)
	}
	compare(t, runs, acked)
}

// compare holds the acknowledged sends of a history against its complete reads.
func compare(t *testing.T, dir string, acked int64) {
	t.Helper()
	h, err := history.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	type place struct {
		queue  history.Sym
		offset int64
	}
	reads, at := 0, map[place]uint64{}
	for i := range h.Fetches {
		f := &h.Fetches[i]
		if f.F != history.Read {
			continue
		}
		reads++
		for msgs, i := h.Msgs(f), 0; i < msgs.Len(); i++ {
			at[place{f.Queue, msgs.Offset(i)}] = msgs.Value(i)
		}
	}
	found := int64(0)
	for _, s := range h.Sends {
		if s.Type != history.OK {
			continue
		}
		found++
		if value, ok := at[place{s.Queue, s.Offset}]; !ok || value != s.Value {
			t.Fatalf("message %d was acknowledged at %s %d; there is %d, %v", s.Value, h.Name(s.Queue), s.Offset, value, ok)
		}
	}
	if reads != 8 || found != acked || found < 1000 {
		t.Errorf("got %d reads and %d acknowledged of %d, want 8 reads and at least 1000", reads, found, acked)
	}
}
