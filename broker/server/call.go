package server

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"holdfast/broker"
	"holdfast/broker/remoting"
)

// dialTimeout bounds an attempt to connect to another node.
const dialTimeout = 3 * time.Second

var (
	errTimeout = errors.New("no answer in time")
	errHungUp  = errors.New("the connection ended before the answer")
)

// caller keeps one connection to each other node that this one asks. It is kept open: a name server forgets a broker whose
// connection ends.
type caller struct {
	s      *Server
	ctx    context.Context // ends when the caller is closed: nobody waits for a connection any more
	cancel func()
	mu     sync.Mutex
	paths  map[string]*path
	closed bool
}

// path is how another node is reached.
type path struct {
	dialing sync.Mutex // held while the connection is made
	line    *line      // guarded by caller.mu; nil: none was made yet
}

// line is one such connection.
type line struct {
	nc      net.Conn
	mu      sync.Mutex
	pending map[int32]chan answer // one place each
	dead    bool
}

type answer struct {
	frame remoting.Frame
	err   error
}

func (c *caller) init(s *Server) {
	c.s, c.paths = s, map[string]*path{}
	c.ctx, c.cancel = context.WithCancel(context.Background())
}

// do sends a call and hands its outcome to the node.
func (c *caller) do(call broker.Call) {
	a := c.ask(call)
	if a.err != nil {
		c.s.log.Debug("call failed", "addr", call.Addr, "err", a.err)
	}
	st := c.s.newStepper()
	st.step(&broker.Event{Kind: broker.KindAnswered, Call: call.ID, Frame: &a.frame, Err: a.err})
	c.s.noteJoined(&a)
}

// noteJoined opens Registered at the first answer of a name server: it is asked for nothing before the registration.
func (s *Server) noteJoined(a *answer) {
	if a.err != nil || a.frame.Code != remoting.ResponseSuccess {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.joined {
		s.joined = true
		close(s.joinedCh)
	}
}

func (c *caller) ask(call broker.Call) answer {
	ctx, cancel := context.WithTimeout(c.ctx, call.Timeout)
	defer cancel()
	l, err := c.line(ctx, call.Addr)
	if err != nil {
		return answer{err: err}
	}
	got := make(chan answer, 1)
	l.mu.Lock()
	if l.dead {
		l.mu.Unlock()
		return answer{err: errHungUp}
	}
	l.pending[call.ID] = got
	_, err = l.nc.Write(call.Frame)
	l.mu.Unlock()
	if err != nil {
		l.end(errHungUp)
		return answer{err: err}
	}
	select {
	case a := <-got:
		return a
	case <-ctx.Done():
		l.mu.Lock()
		delete(l.pending, call.ID)
		l.mu.Unlock()
		if c.s.cfg.Node.Choice.Controlled {
			l.end(errTimeout) // a lease cannot wait until TCP sends again after a partition: the next call makes a connection
		}
		return answer{err: errTimeout}
	}
}

// line returns the connection to addr, made anew when there is none. Calls to one address wait for its connection together;
// calls to others do not: a heartbeat must not wait for a node that has lost its power.
func (c *caller) line(ctx context.Context, addr string) (*line, error) {
	c.mu.Lock()
	r := c.paths[addr]
	if r == nil {
		r = &path{}
		c.paths[addr] = r
	}
	c.mu.Unlock()
	r.dialing.Lock()
	defer r.dialing.Unlock()
	if l, err := c.standing(r); l != nil || err != nil {
		return l, err
	}
	nc, err := c.s.cfg.Dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	l := &line{nc: nc, pending: map[int32]chan answer{}}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		nc.Close()
		return nil, net.ErrClosed
	}
	r.line = l
	c.s.spawn(l.read)
	return l, nil
}

// standing returns the connection that a path has, nil when it must be made.
func (c *caller) standing(p *path) (*line, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return nil, net.ErrClosed
	case p.line != nil && !p.line.isDead():
		return p.line, nil
	}
	return nil, nil
}

func (l *line) isDead() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dead
}

// read hands every answer to the call that waits for it.
func (l *line) read() {
	buf, filled := make([]byte, readBytesMin), 0
	for {
		n, err := l.nc.Read(buf[filled:])
		filled += n
		used := 0
		for err == nil {
			f, size, derr := remoting.Decode(buf[used:filled])
			if size == 0 || derr != nil {
				err = derr
				break
			}
			used += size
			l.deliver(f)
		}
		if err == nil {
			filled = copy(buf, buf[used:filled])
			buf, err = resize(buf, filled)
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = errHungUp
			}
			l.end(err)
			return
		}
	}
}

// deliver copies the frame: its bytes belong to the read buffer.
func (l *line) deliver(f remoting.Frame) {
	copied, _, err := remoting.Decode(remoting.Append(nil, &f))
	l.mu.Lock()
	defer l.mu.Unlock()
	if got := l.pending[f.Opaque]; got != nil {
		delete(l.pending, f.Opaque)
		got <- answer{copied, err}
	}
}

// end fails all calls that wait.
func (l *line) end(err error) {
	l.nc.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dead = true
	for id, got := range l.pending {
		delete(l.pending, id)
		got <- answer{err: err}
	}
}

func (c *caller) close() {
	c.cancel()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, p := range c.paths {
		if p.line != nil {
			p.line.nc.Close()
		}
	}
}
