package server

import (
	"log/slog"
	"testing"
	"time"

	"holdfast/broker/durability"
)

var quiet = slog.New(slog.DiscardHandler)

func testLog(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func TestSendAndPull(t *testing.T) {
	for _, flush := range []durability.FlushType{durability.AsyncFlush, durability.SyncFlush} {
		t.Run(string(flush), func(t *testing.T) {
			cfg := DefaultConfig(durability.RocketMQ5)
			cfg.StoreDir = t.TempDir()
			cfg.Node.Choice.FlushType = flush
			s := mustStart(t, cfg)
			c := dial(t, s.Addr())
			for i := range 3 {
				code, r := c.send("T", 0, label("m%d", i))
				want(t, "code", code, 0)
				want(t, "queue offset", r.QueueOffset, int64(i))
			}
			code, r, bodies := c.pull("T", 0, 1, 0)
			want(t, "pull", code, 0)
			want(t, "bodies", label("%v", bodies), "[m1 m2]")
			want(t, "next", r.NextBeginOffset, 3)
			want(t, "max", r.MaxOffset, 3)
		})
	}
}

func TestLongPollIsAnsweredByTheNextMessage(t *testing.T) {
	s := mustStart(t, DefaultConfig(durability.RocketMQ5))
	c, p := dial(t, s.Addr()), dial(t, s.Addr())
	p.send("T", 0, "first")
	done := make(chan string)
	go func() {
		_, _, bodies := c.pull("T", 0, 1, 5*time.Second)
		done <- label("%v", bodies)
	}()
	for s.parked() == 0 {
		time.Sleep(time.Millisecond)
	}
	p.send("T", 0, "second")
	want(t, "bodies", <-done, "[second]")
}

func TestLongPollEndsEmptyAtItsTime(t *testing.T) {
	s := mustStart(t, DefaultConfig(durability.RocketMQ5))
	c := dial(t, s.Addr())
	c.send("T", 0, "first")
	begun := time.Now()
	code, r, _ := c.pull("T", 0, 1, 50*time.Millisecond)
	want(t, "code", code, 19)
	want(t, "next", r.NextBeginOffset, 1)
	if d := time.Since(begun); d < 50*time.Millisecond {
		t.Errorf("answered after %v", d)
	}
}

func TestRestartKeepsWhatWasStored(t *testing.T) {
	cfg := DefaultConfig(durability.RocketMQ5)
	cfg.StoreDir = t.TempDir()
	s := mustStart(t, cfg)
	c := dial(t, s.Addr())
	c.send("T", 2, "kept")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	c = dial(t, mustStart(t, cfg).Addr())
	_, r, bodies := c.pull("T", 2, 0, 0)
	want(t, "bodies", label("%v", bodies), "[kept]")
	want(t, "max", r.MaxOffset, 1)
	_, reply := c.send("T", 2, "next")
	want(t, "queue offset", reply.QueueOffset, 1)
}

// parked returns how many pulls wait for messages.
func (s *Server) parked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.node.(interface{ Parked() int }).Parked()
}
