package server_test

import (
	"context"
	"fmt"
	"log/slog"

	"holdfast/broker/durability"
	"holdfast/broker/server"
)

// A RocketMQ for a test: name server and broker, in memory, at ports that are free. Give NamesAddr to any RocketMQ client;
// examples/embedded does so with Apache's.
func ExampleStartStandalone() {
	cfg := server.DefaultConfig(durability.RocketMQ5)
	cfg.Log = slog.New(slog.DiscardHandler)
	rocketmq, err := server.StartStandalone(context.Background(), "", cfg)
	if err != nil {
		panic(err)
	}
	defer rocketmq.Close()
	_ = rocketmq.NamesAddr() // "127.0.0.1:..."
	fmt.Println("ready:", rocketmq.Broker.Ready() == nil)
	// Output: ready: true
}

// A broker with a store of its own, which an earlier run may have left, as a master that syncs every message. It ends with the
// context.
func ExampleStart() {
	ctx, cancel := context.WithCancel(context.Background())
	cfg := server.DefaultConfig(durability.RocketMQ5)
	cfg.Log = slog.New(slog.DiscardHandler)
	cfg.Node.Choice.FlushType = durability.SyncFlush
	broker, err := server.Start(ctx, cfg)
	if err != nil {
		panic(err)
	}
	cancel()
	<-broker.Done()
	fmt.Println("ended:", broker.Close())
	// Output: ended: <nil>
}
