package server

import (
	"context"
	"errors"
	"testing"

	"holdfast/broker/durability"
)

// TestTheContextEndsTheServer: in order, as Close does, so that the store opens again and nothing is lost.
func TestTheContextEndsTheServer(t *testing.T) {
	cfg := DefaultConfig(durability.RocketMQ5)
	cfg.StoreDir, cfg.Listen, cfg.Log = t.TempDir(), "127.0.0.1:0", testLog(t)
	ctx, cancel := context.WithCancel(context.Background())
	s, err := Start(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	dial(t, s.Addr()).send("T", 0, "kept")
	cancel()
	<-s.Done()
	if err := s.Close(); err != nil {
		t.Errorf("close after the end of the context: %v", err)
	}
	if err := s.Err(); err != nil {
		t.Errorf("ended by its context: %v", err)
	}
	if _, err := Start(ctx, cfg); !errors.Is(err, ErrStart) || !errors.Is(err, context.Canceled) {
		t.Errorf("start under a context that has ended: %v", err)
	}
	_, r, bodies := dial(t, mustStart(t, cfg).Addr()).pull("T", 0, 0, 0)
	want(t, "bodies", label("%v", bodies), "[kept]")
	want(t, "max", r.MaxOffset, 1)
}
