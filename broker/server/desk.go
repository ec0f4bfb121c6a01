package server

import (
	"runtime"
	"sync"

	"holdfast/broker"
)

// desk is what a burst of requests takes from its first byte to its last answer. A connection has one while it works at a burst and none
// while it waits for its client: there are as many as readers may work at once, not as connections.
type desk struct {
	buf    []byte
	memory broker.Burst
	ev     broker.Event
	st     *stepper
}

// deskBytes is how much is read at once. A frame that is longer is gathered in a buffer of its connection's own.
const deskBytes = 128 << 10

func (s *Server) newDesk() *desk {
	return &desk{buf: make([]byte, deskBytes), ev: broker.Event{Kind: broker.KindReceived}, st: s.newStepper()}
}

// desks are those of all connections. Without a limit every connection under load would hold one, waiting for the node's lock.
type desks struct {
	s *Server

	mu      sync.Mutex
	free    []*desk
	busy    int // readers at work
	most    int
	waiting int
	room    sync.Cond
}

func (t *desks) init(s *Server) {
	t.s, t.most = s, max(4, 2*runtime.GOMAXPROCS(0))
	t.room.L = &t.mu
}

// take returns a desk, nil when there is none or others wait for one.
func (t *desks) take() *desk {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.waiting > 0 || t.busy >= t.most {
		return nil
	}
	return t.next()
}

// wait is take for who may wait.
func (t *desks) wait() *desk {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waiting++
	for t.busy >= t.most {
		t.room.Wait()
	}
	t.waiting--
	return t.next()
}

func (t *desks) next() *desk {
	t.busy++
	n := len(t.free)
	if n == 0 {
		return t.s.newDesk()
	}
	d := t.free[n-1]
	t.free = t.free[:n-1]
	return d
}

func (t *desks) give(d *desk) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.free) < t.most {
		t.free = append(t.free, d)
	}
	t.busy--
	t.room.Signal()
}

// pause lets another reader work while the caller waits, for its client or for the disk, with a desk in its hands; resume ends that.
func (t *desks) pause() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.busy--
	t.room.Signal()
}

func (t *desks) resume() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.busy++
}
