package server

import (
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"holdfast/broker"
	"holdfast/broker/replica"
)

// counter is a machine that answers every event with the number of the Step, to every client and to every peer.
type counter struct {
	steps uint64
	conns []broker.ConnID
	peers []replica.ConnID
}

func (m *counter) Intake(string) *broker.Intake { return new(broker.NameServer).Intake("") }

func (m *counter) AppendReply(dst []byte, r *broker.Reply) ([]byte, error) {
	return append(dst, r.Frame...), nil
}

func (m *counter) Step(_ broker.Instant, ev *broker.Event, out *broker.Output) {
	*out = broker.Output{}
	switch {
	case ev.Kind == broker.KindOpened:
		m.conns = append(m.conns, ev.Conn)
	case ev.Kind == broker.KindReplica && ev.Replica.Kind == replica.KindConnected:
		m.peers = append(m.peers, ev.Replica.Conn)
	case ev.Kind == broker.KindReplica && ev.Replica.Kind == replica.KindReceived:
		out.Consumed = len(ev.Replica.Data)
	case ev.Kind == broker.KindStop:
		out.Stopped = true
	case ev.Kind == broker.KindAnswered:
		m.steps++
		number := binary.BigEndian.AppendUint64(nil, m.steps)
		for _, c := range m.conns {
			out.Replies = append(out.Replies, broker.Reply{Conn: c, Kind: broker.ReplyFrame, Frame: number})
		}
		for _, p := range m.peers {
			t := broker.Transfer{Conn: p, Len: 8}
			copy(t.Header[:], number)
			out.Replica = append(out.Replica, t)
		}
	}
}

// pipes is a listener whose connections are given to it.
type pipes struct {
	ch   chan net.Conn
	once sync.Once
	gone chan struct{}
}

func newPipes() *pipes { return &pipes{ch: make(chan net.Conn), gone: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.ch:
		return c, nil
	case <-p.gone:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.gone) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

// counting starts a server around a counter, with n clients and one peer.
func counting(t *testing.T, n int, pipe bool) (*Server, []net.Conn) {
	t.Helper()
	s := newServer(Config{Listen: "127.0.0.1:0", HAListen: "127.0.0.1:0", Log: quiet})
	s.node = &counter{}
	var clients, peers *pipes
	if pipe {
		clients, peers = newPipes(), newPipes()
		s.listener, s.haListener = clients, peers
	} else if err := s.listen(); err != nil {
		t.Fatal(err)
	}
	s.run()
	var conns []net.Conn
	for i := range n + 1 {
		conns = append(conns, counted(t, s, clients, peers, i == n))
	}
	conns[n].Write(make([]byte, reportBytes))
	for known := 0; known < n+1; {
		s.mu.Lock()
		m := s.node.(*counter)
		known = len(m.conns) + len(m.peers)
		s.mu.Unlock()
		time.Sleep(time.Millisecond)
	}
	return s, conns
}

func counted(t *testing.T, s *Server, clients, peers *pipes, peer bool) net.Conn {
	addr, list := s.listener.Addr().String(), clients
	if peer {
		addr, list = s.haListener.Addr().String(), peers
	}
	if list != nil {
		ours, theirs := net.Pipe()
		list.ch <- theirs
		return ours
	}
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return nc
}

// inOrder reads total numbers from nc and reports the first that is not the next.
func inOrder(nc net.Conn, total uint64) (got, want uint64) {
	var b [8]byte
	for want = 1; want <= total; want++ {
		if _, err := io.ReadFull(nc, b[:]); err != nil {
			return 0, want
		}
		if got = binary.BigEndian.Uint64(b[:]); got != want {
			return got, want
		}
	}
	return total, total
}

// TestOrderUnderConcurrency has 64 goroutines step the node at once: replies and replication must leave in the order of the
// Steps, on every connection.
func TestOrderUnderConcurrency(t *testing.T) {
	const steppers, each = 64, 40
	s, conns := counting(t, 8, false)
	defer s.Close()
	var wg sync.WaitGroup
	for range steppers {
		wg.Go(func() {
			st := s.newStepper()
			for range each {
				st.step(&broker.Event{Kind: broker.KindAnswered})
			}
		})
	}
	for i, nc := range conns {
		wg.Go(func() {
			defer nc.Close()
			nc.SetReadDeadline(time.Now().Add(20 * time.Second))
			if got, want := inOrder(nc, steppers*each); got != want {
				t.Errorf("connection %d: got number %d, want %d", i, got, want)
			}
		})
	}
	wg.Wait()
}

// TestDelayedDrainerKeepsTheOrder holds the first drainer of each outbox in its write while later Steps post more.
func TestDelayedDrainerKeepsTheOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, conns := counting(t, 2, true)
		st := s.newStepper()
		for range 5 {
			st.step(&broker.Event{Kind: broker.KindAnswered}) // nobody reads: the first drainer waits in its write
			synctest.Wait()
		}
		for i, nc := range conns {
			if got, want := inOrder(nc, 5); got != want {
				t.Errorf("connection %d: got number %d, want %d", i, got, want)
			}
		}
		for _, nc := range conns {
			nc.Close()
		}
		s.Close()
	})
}
