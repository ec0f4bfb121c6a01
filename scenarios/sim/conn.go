package sim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"time"
)

// requestLimit is how long a blocking call waits for bytes: whoever sets a deadline sets that of one request.
const requestLimit = 5 * time.Second

// dialLimit is how long a blocking call tries to connect.
const dialLimit = 2 * time.Second

var errRefused = errors.New("connection refused")

// stream is a connection of a blocking caller on the thread of the trial: it pumps the loop while it waits.
type stream struct {
	w        *wire
	ctx      context.Context
	end      *end
	got      []byte
	over     bool
	deadline time.Duration
}

// dialStream connects from a host.
func (w *wire) dialStream(ctx context.Context, from *host, address string) (net.Conn, error) {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, err
	}
	s := &stream{w: w, ctx: ctx}
	given, answered := false, false
	w.dial(from, s, to, func() bool { return given }, func(e *end) { s.end, answered = e, true })
	err = w.l.pump(ctx, w.l.now+dialLimit, func() bool { return answered })
	given = true
	switch {
	case err != nil:
		return nil, err
	case !answered:
		return nil, fmt.Errorf("dial %s: %w", address, os.ErrDeadlineExceeded)
	case s.end == nil:
		return nil, fmt.Errorf("dial %s: %w", address, errRefused)
	}
	return s, nil
}

func (s *stream) received(_ *end, b []byte) {
	if len(s.got) == 0 {
		s.got = b // a chunk belongs to who receives it
		return
	}
	s.got = append(s.got, b...)
}

func (s *stream) hungUp(*end) { s.over = true }

// Read implements net.Conn.
func (s *stream) Read(b []byte) (int, error) {
	if err := s.w.l.pump(s.ctx, s.deadline, func() bool { return len(s.got) > 0 || s.over }); err != nil {
		return 0, err
	}
	switch {
	case len(s.got) > 0:
		n := copy(b, s.got)
		s.got = s.got[n:]
		return n, nil
	case s.over:
		return 0, io.EOF
	}
	return 0, os.ErrDeadlineExceeded
}

// Write implements net.Conn.
func (s *stream) Write(b []byte) (int, error) {
	if s.over {
		return 0, net.ErrClosed
	}
	s.end.send(append([]byte(nil), b...))
	return len(b), nil
}

// Close implements net.Conn.
func (s *stream) Close() error {
	s.end.close()
	return nil
}

// SetDeadline takes whatever it is told for the limit of one request from now on.
func (s *stream) SetDeadline(time.Time) error {
	s.deadline = s.w.l.now + requestLimit
	return nil
}

// SetReadDeadline implements net.Conn.
func (s *stream) SetReadDeadline(t time.Time) error { return s.SetDeadline(t) }

// SetWriteDeadline implements net.Conn.
func (s *stream) SetWriteDeadline(time.Time) error { return nil }

// LocalAddr implements net.Conn.
func (s *stream) LocalAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(s.end.host.addr, 0))
}

// RemoteAddr implements net.Conn.
func (s *stream) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(s.end.peer.host.addr, 0))
}

// background is the context of what waits for the loop alone.
var background = context.Background()
