package rocketmq

import (
	"fmt"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"holdfast/loadgen/driver"
	"holdfast/loadgen/driver/rocketmq/client"
)

// Sizes of a session.
const (
	readBytes  = 256 << 10 // least free space for a read: all replies of a burst in one system call
	flushBytes = 128 << 10 // a batch of this size leaves before Wait: the system works on it while the rest is made
)

// session drives one client over non-blocking sockets, on the thread of whoever calls Wait. It is a driver.Env.
type session struct {
	c       *client.Client
	clock   func() time.Duration
	sockets []socket // by connection number
	polls   []unix.PollFd
	owners  []int         // connection of each of polls
	now     time.Duration // the clock, as of the last look
	unsent  int           // bytes queued since the last flush, about
	spin    time.Duration // how long before its time Wait stops sleeping and looks again and again
}

// socket is the system's side of one connection.
type socket struct {
	fd         int // -1: none
	connecting bool
	full       bool // the kernel took less than it was given: wait until it is writable
	in         []byte
	have       int // bytes of in that hold an unfinished frame
}

func newSession(c *client.Client, clock func() time.Duration) *session {
	s := &session{c: c, clock: clock, now: clock()}
	c.Wake(s.now)
	return s
}

// Now returns the time since the start of the run.
func (s *session) Now() time.Duration { return s.clock() }

// Wait implements driver.Env.
func (s *session) Wait(until time.Duration, buf []driver.Completion) int {
	for {
		s.flush()
		if n := s.c.Completions(buf); n > 0 {
			return n
		}
		s.now = s.clock()
		s.park(min(until, s.c.WakeAt()) - s.now - s.spin)
		s.now = s.clock()
		s.serve()
		if s.now >= s.c.WakeAt() {
			s.c.Wake(s.now)
		}
		if n := s.c.Completions(buf); n > 0 {
			return n
		}
		if s.now >= until {
			s.act()
			return 0
		}
	}
}

// act does what the client asks for.
func (s *session) act() {
	for list := s.c.Actions(); len(list) > 0; list = s.c.Actions() {
		for _, a := range append([]client.Action(nil), list...) {
			for len(s.sockets) <= a.Conn {
				s.sockets = append(s.sockets, socket{fd: -1})
			}
			s.shut(a.Conn)
			if a.Kind == client.Dial {
				s.dial(a.Conn, a.Address)
			}
		}
	}
}

// dial begins to connect.
func (s *session) dial(id int, address string) {
	fd, err := connect(address)
	if err != nil {
		s.c.Closed(s.now, id)
		return
	}
	k := &s.sockets[id]
	k.fd, k.connecting, k.full, k.have = fd, true, false, 0
}

// connect returns a non-blocking socket that is being connected.
func connect(address string) (int, error) {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		resolved, err := net.ResolveTCPAddr("tcp", address)
		if err != nil {
			return -1, err
		}
		at = resolved.AddrPort()
	}
	var peer unix.Sockaddr = &unix.SockaddrInet6{Port: int(at.Port()), Addr: at.Addr().As16()}
	family := unix.AF_INET6
	if at.Addr().Unmap().Is4() {
		peer, family = &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().Unmap().As4()}, unix.AF_INET
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	if err == nil {
		if err = unix.Connect(fd, peer); err == nil || err == unix.EINPROGRESS {
			return fd, nil
		}
	}
	_ = unix.Close(fd) // nothing was sent: the first error is the one that counts
	return -1, fmt.Errorf("connect to %s: %w", address, err)
}

// shut closes the socket of a connection, if there is one.
func (s *session) shut(id int) {
	if k := &s.sockets[id]; k.fd >= 0 {
		_ = unix.Close(k.fd) // whatever it says, the connection is gone
		k.fd = -1
	}
}

// lose tells the client that a connection is gone.
func (s *session) lose(id int) {
	s.shut(id)
	s.c.Closed(s.now, id)
}

// flush hands everything queued to the kernel: one write a connection.
func (s *session) flush() {
	s.act()
	s.unsent = 0
	for id := range s.sockets {
		k := &s.sockets[id]
		if k.fd < 0 || k.connecting || k.full {
			continue
		}
		out := s.c.Output(id)
		if len(out) == 0 {
			continue
		}
		n, err := unix.Write(k.fd, out)
		if n > 0 {
			s.c.Wrote(id, n)
		}
		switch {
		case err == unix.EAGAIN || err == nil && n < len(out):
			k.full = true
		case err == unix.EINTR:
		case err != nil:
			s.lose(id)
		}
	}
}

// park waits until a socket has something to say, for at most d.
func (s *session) park(d time.Duration) {
	s.polls, s.owners = s.polls[:0], s.owners[:0]
	for id := range s.sockets {
		k := &s.sockets[id]
		if k.fd < 0 {
			continue
		}
		events := int16(unix.POLLIN)
		if k.connecting {
			events = unix.POLLOUT
		} else if k.full {
			events |= unix.POLLOUT
		}
		s.polls = append(s.polls, unix.PollFd{Fd: int32(k.fd), Events: events})
		s.owners = append(s.owners, id)
	}
	timeout := unix.NsecToTimespec(int64(max(d, 0)))
	if n, err := unix.Ppoll(s.polls, &timeout, nil); n <= 0 || err != nil {
		s.polls = s.polls[:0] // time, or a signal: look again
	}
}

// serve does what park found possible.
func (s *session) serve() {
	for i := range s.polls {
		events, id := s.polls[i].Revents, s.owners[i]
		k := &s.sockets[id]
		switch {
		case events == 0 || k.fd != int(s.polls[i].Fd):
		case k.connecting:
			s.connected(id)
		default:
			if events&unix.POLLOUT != 0 {
				k.full = false
			}
			if events&^unix.POLLOUT != 0 {
				s.read(id)
			}
		}
	}
}

// connected ends the attempt to connect.
func (s *session) connected(id int) {
	k := &s.sockets[id]
	if code, err := unix.GetsockoptInt(k.fd, unix.SOL_SOCKET, unix.SO_ERROR); err != nil || code != 0 {
		s.lose(id)
		return
	}
	k.connecting = false
	s.c.Opened(s.now, id)
}

// read takes all that the kernel has for a connection.
func (s *session) read(id int) {
	k := &s.sockets[id]
	for {
		if len(k.in)-k.have < readBytes {
			k.in = append(k.in[:k.have], make([]byte, readBytes+k.have)...)
		}
		n, err := unix.Read(k.fd, k.in[k.have:])
		if err == unix.EAGAIN || err == unix.EINTR {
			return
		}
		if err != nil || n == 0 {
			s.lose(id)
			return
		}
		full := n == len(k.in)-k.have
		k.have += n
		taken, err := s.c.Received(s.now, id, k.in[:k.have])
		if err != nil {
			return // the client gave the connection up, and says so in its actions
		}
		k.have = copy(k.in, k.in[taken:k.have])
		if !full {
			return
		}
	}
}

// Instant implements Session.
func (s *session) Instant() time.Duration { return s.now }

// SpinFor implements Session.
func (s *session) SpinFor(d time.Duration) { s.spin = d }

// Sent counts queued bytes, and lets a large batch leave early.
func (s *session) Sent(n int) {
	if s.unsent += n; s.unsent >= flushBytes {
		s.flush()
	}
}

// Close closes every socket.
func (s *session) Close() error {
	for id := range s.sockets {
		s.shut(id)
	}
	return nil
}
