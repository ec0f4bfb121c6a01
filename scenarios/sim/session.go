package sim

import (
	"net/netip"
	"time"

	"holdfast/loadgen/driver"
	"holdfast/loadgen/driver/rocketmq/client"
)

// session drives one client over simulated connections. Whoever waits is a coroutine, or the thread of the trial while it connects.
type session struct {
	w       *wire
	c       *client.Client
	host    *host
	clock   func() time.Duration
	offset  time.Duration // of the client's clock behind the loop's
	sockets []socket      // by connection number
	now     time.Duration // of the last look, by the client's clock
	parked  *coroutine
	alarm   uint64 // of the last timer that was set
	stirred bool   // something has come since it parked
	room    func() // wake, made once
}

// socket is the machine's side of one connection of the client.
type socket struct {
	end   *end
	dials uint64 // attempts: an answer to an earlier one is not for this connection
	in    []byte // an unfinished frame
}

func newSession(w *wire, h *host, c *client.Client, clock func() time.Duration) *session {
	s := &session{w: w, c: c, host: h, clock: clock, offset: w.l.now - clock()}
	s.now, s.room = clock(), s.wake
	c.Wake(s.now)
	return s
}

// Now implements driver.Env.
func (s *session) Now() time.Duration { return s.clock() }

// Instant implements rocketmq.Session.
func (s *session) Instant() time.Duration { return s.now }

// Sent implements rocketmq.Session.
func (s *session) Sent(int) {}

// SpinFor implements rocketmq.Session.
func (s *session) SpinFor(time.Duration) {}

// Wait implements driver.Env.
func (s *session) Wait(until time.Duration, buf []driver.Completion) int {
	for {
		s.flush()
		if n := s.c.Completions(buf); n > 0 {
			return n
		}
		s.park(min(until, s.c.WakeAt()))
		s.now = s.clock()
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

// park waits until something comes, or until an instant of the client's clock.
func (s *session) park(until time.Duration) {
	l := s.w.l
	s.stirred = false
	at := until + s.offset
	if l.running == nil {
		// The context of whoever connects is looked at between two waits.
		_ = l.pump(background, at, func() bool { return s.stirred })
		return
	}
	if at <= l.now {
		return
	}
	s.parked = l.running
	s.alarm++
	alarm := s.alarm
	if at < never {
		l.at(at, func() {
			if s.alarm == alarm {
				s.wake()
			}
		})
	}
	s.parked.park()
}

// wake has the thread that waits go on.
func (s *session) wake() {
	s.stirred = true
	if c := s.parked; c != nil {
		s.parked = nil
		s.alarm++
		c.wake()
	}
}

// act does what the client asks for.
func (s *session) act() {
	for list := s.c.Actions(); len(list) > 0; list = s.c.Actions() {
		for _, a := range append([]client.Action(nil), list...) {
			for len(s.sockets) <= a.Conn {
				s.sockets = append(s.sockets, socket{})
			}
			s.shut(a.Conn)
			if a.Kind == client.Dial {
				s.dial(a.Conn, a.Address)
			}
		}
	}
}

func (s *session) dial(id int, address string) {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		s.c.Closed(s.now, id)
		return
	}
	attempt := s.sockets[id].dials
	s.w.dial(s.host, s, to, func() bool { return s.sockets[id].dials != attempt }, func(e *end) {
		s.now = s.clock()
		if e == nil {
			s.c.Closed(s.now, id)
		} else {
			e.number = uint64(id)
			s.sockets[id].end = e
			s.c.Opened(s.now, id)
		}
		s.wake()
	})
}

// shut closes the connection with that number, and gives up the attempt to make one.
func (s *session) shut(id int) {
	k := &s.sockets[id]
	k.dials++
	k.in = k.in[:0]
	if k.end != nil {
		k.end.close()
		k.end = nil
	}
}

// flush hands what is queued to the network.
func (s *session) flush() {
	s.act()
	for id := range s.sockets {
		k := &s.sockets[id]
		if k.end == nil || k.end.full(s.room) {
			continue
		}
		if out := s.c.Output(id); len(out) > 0 {
			k.end.send(append([]byte(nil), out...))
			s.c.Wrote(id, len(out))
		}
	}
}

func (s *session) received(e *end, b []byte) {
	id := int(e.number)
	k := &s.sockets[id]
	if k.end != e {
		return
	}
	s.now = s.clock()
	in := b
	if len(k.in) > 0 {
		k.in = append(k.in, b...)
		in = k.in
	}
	taken, err := s.c.Received(s.now, id, in)
	if err == nil {
		k.in = append(k.in[:0], in[taken:]...)
	}
	s.wake()
}

func (s *session) hungUp(e *end) {
	id := int(e.number)
	if s.sockets[id].end != e {
		return
	}
	s.sockets[id].end = nil
	s.sockets[id].in = s.sockets[id].in[:0]
	s.now = s.clock()
	s.c.Closed(s.now, id)
	s.wake()
}

// Close implements rocketmq.Session.
func (s *session) Close() error {
	for id := range s.sockets {
		s.shut(id)
	}
	return nil
}
