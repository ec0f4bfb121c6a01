package server

import (
	"bytes"
	"context"
	"sync"
	"testing"
	"time"

	"holdfast/broker/durability"
)

// TestReadersShareDesks holds that connections which wait for their clients keep no memory to read with, how many ever there are, and that
// no more desks are kept than readers may work at once.
func TestReadersShareDesks(t *testing.T) {
	cfg := DefaultConfig(durability.RocketMQ5)
	cfg.Log = quiet
	s, err := Start(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	const clients = 100
	var wg sync.WaitGroup
	body := string(bytes.Repeat([]byte{'x'}, 2*deskBytes)) // longer than a desk
	for range clients {
		c := dial(t, s.Addr())
		wg.Go(func() {
			for _, body := range []string{"short", body, "short"} {
				if code, _ := c.send("T", 0, body); code != 0 {
					t.Errorf("code %d", code)
				}
			}
		})
	}
	wg.Wait()
	eventually(t, "the readers wait", func() bool {
		s.desks.mu.Lock()
		defer s.desks.mu.Unlock()
		return s.desks.busy == 0
	})
	s.mu.Lock()
	conns := s.conns.all()
	s.mu.Unlock()
	if len(conns) < clients {
		t.Fatalf("%d connections", len(conns))
	}
	s.desks.mu.Lock()
	defer s.desks.mu.Unlock()
	if n := len(s.desks.free); n < 1 || n > s.desks.most {
		t.Errorf("%d desks, at most %d readers work", n, s.desks.most)
	}
	for _, c := range conns {
		if c.buf != nil || cap(c.rest) > readBytesMin {
			t.Fatalf("a connection that waits keeps %d and %d bytes", len(c.buf), cap(c.rest))
		}
	}
}

// TestWhoWaitsWithADeskStopsNobody holds that readers that wait for their clients to read leave desks to the others.
func TestWhoWaitsWithADeskStopsNobody(t *testing.T) {
	cfg := DefaultConfig(durability.RocketMQ5)
	cfg.Log, cfg.Limits = quiet, Limits{Requests: 8}
	s, err := Start(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if code, _ := dial(t, s.Addr()).send("T", 0, "x"); code != 0 {
		t.Fatalf("code %d", code)
	}
	for range 3 * s.desks.most { // each has more requests outstanding than it may: pulls that wait for a message
		c := dial(t, s.Addr())
		for i := range 20 {
			c.write(pullRequest(int32(i), "T", "G", 1, time.Minute))
		}
	}
	eventually(t, "the readers wait for room", func() bool {
		waiting := 0
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, c := range s.conns.all() {
			if c.owed.Load() >= 8 {
				waiting++
			}
		}
		return waiting == 3*s.desks.most
	})
	if code, _ := dial(t, s.Addr()).send("T2", 0, "x"); code != 0 {
		t.Errorf("code %d", code)
	}
}

// TestDesksAreLimited holds that a reader waits when as many work as may, and that who waits comes first.
func TestDesksAreLimited(t *testing.T) {
	s := &Server{}
	s.desks.init(s)
	var d *desk
	for range s.desks.most {
		if d = s.desks.take(); d == nil {
			t.Fatal("no desk")
		}
	}
	if s.desks.take() != nil {
		t.Fatal("one more than may be")
	}
	got := make(chan *desk)
	go func() { got <- s.desks.wait() }()
	eventually(t, "one waits", func() bool {
		s.desks.mu.Lock()
		defer s.desks.mu.Unlock()
		return s.desks.waiting == 1
	})
	s.desks.give(d)
	if next := <-got; next != d || s.desks.take() != nil {
		t.Error("the desk that was given back did not go to who waited")
	}
}
