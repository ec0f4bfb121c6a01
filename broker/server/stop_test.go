package server

import (
	"context"
	"strings"
	"testing"

	"holdfast/broker/durability"
	"holdfast/broker/vfs"
)

// TestTheEndAnswersWhatItCan stops a broker while the sync runs that a send waits for: the send is acknowledged all the same.
func TestTheEndAnswersWhatItCan(t *testing.T) {
	for range 20 {
		begun, goOn := make(chan struct{}), make(chan struct{})
		held := false
		fs := vfs.NewFaulty(vfs.OS(t.TempDir()), func(c vfs.Call) vfs.Effect {
			if c.Op == vfs.OpSync && strings.HasPrefix(c.Name, "commitlog/") && !held {
				held = true
				close(begun)
				<-goOn
			}
			return vfs.Effect{}
		}, nil)
		cfg := DefaultConfig(durability.RocketMQ5)
		cfg.Node.Choice.FlushType, cfg.FS = durability.SyncFlush, fs
		s := mustStart(t, cfg)
		c := dial(t, s.Addr())
		c.write(sendFrame(nil, 1, "T", 0, nil, []byte("x")))
		<-begun
		ended := make(chan error)
		go func() { ended <- s.Close() }()
		eventually(t, "the node is stopping", func() bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.node.(sampled).Sample().Stopping
		})
		close(goOn)
		if f, err := c.tryRead(); err != nil || f.Code != 0 {
			t.Fatalf("the send was answered %d, %v", f.Code, err)
		}
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	}
}

// TestStandaloneIsReadyAtOnce: a client finds the broker at the name server as soon as the start returns, and both end with the
// context.
func TestStandaloneIsReadyAtOnce(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cfg := DefaultConfig(durability.RocketMQ5)
	cfg.Log = testLog(t)
	s, err := StartStandalone(ctx, "", cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Broker.Ready(); err != nil {
		t.Error(err)
	}
	code, _ := dial(t, s.Broker.Addr()).send("T", 0, "m")
	want(t, "send", code, 0)
	cancel()
	<-s.Names.Done()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := s.Broker.Ready(); err == nil {
		t.Error("ready after the end")
	}
}
