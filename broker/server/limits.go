package server

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"holdfast/broker"
	"holdfast/broker/remoting"
)

// Limits bound what clients can take, so that none of them can stop others. The zero value of a field stands for its default.
type Limits struct {
	Connections    int           // of clients, in all; default 10,000
	PerAddress     int           // of these, from one address; default 5,000
	Slaves         int           // connections of the replication port that have reported; default 64
	Newcomers      int           // ... that have not yet; from one address half as many; default 1,024
	SlaveTime      time.Duration // in which they must; default 10 s: twice haSendHeartbeatInterval, after which a slave reports first
	Requests       int           // of one connection, not yet answered: it is not read meanwhile; default 16,384
	UnreadBytes    int           // of replies that one client does not read: it is not read beyond a quarter, and cut off beyond; default 64 MiB
	LargeFrames    int64         // bytes of buffers for frames above 256 KiB, in all: who would need more is cut off; default 512 MiB
	Idle           time.Duration // without a byte of a client or for it: it is cut off; default 120 s (serverChannelMaxIdleTimeSeconds)
	FrameTime      time.Duration // from the first to the last byte of a frame, else the client is cut off; default 30 s
	WriteTime      time.Duration // in which a client must take 64 KiB of what it is sent, else it is cut off; default 30 s
	loadsAtOnce    int           // reads of consume queues
	bytesPerEncode int
}

func (l Limits) withDefaults() Limits {
	whole := func(field *int, value int) {
		if *field == 0 {
			*field = value
		}
	}
	span := func(field *time.Duration, value time.Duration) {
		if *field == 0 {
			*field = value
		}
	}
	whole(&l.Connections, 10_000)
	whole(&l.PerAddress, max(1, l.Connections/2))
	whole(&l.Slaves, 64)
	whole(&l.Newcomers, 1024)
	whole(&l.Requests, 16_384)
	whole(&l.UnreadBytes, 64<<20)
	if l.LargeFrames == 0 {
		l.LargeFrames = 512 << 20
	}
	span(&l.Idle, 120*time.Second)
	span(&l.FrameTime, 30*time.Second)
	span(&l.WriteTime, 30*time.Second)
	span(&l.SlaveTime, 10*time.Second)
	l.loadsAtOnce, l.bytesPerEncode = 64, 1<<20
	return l
}

// Errors by which a connection ends that takes more than it may.
var (
	errUnread = errors.New("the client does not read what it asked for")
	errIdle   = errors.New("idle for too long")
	errSlow   = errors.New("a frame took too long")
	errLarge  = errors.New("too many large frames at once")
)

// doorman counts connections by address. It is guarded by the server's lock.
type doorman struct {
	byAddress map[netip.Addr]int
	told      time.Time // when a refusal was logged last
}

// addressOf returns the address of a client without its port; the zero value when it is no socket.
func addressOf(nc net.Conn) netip.Addr {
	if a, ok := nc.RemoteAddr().(*net.TCPAddr); ok {
		return a.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}

// admit enters a connection, or says why it may not be. The caller holds the lock.
func (s *Server) admit(c *conn) error {
	from := addressOf(c.nc)
	switch {
	case s.closing:
		return net.ErrClosed
	case s.conns.len() >= s.limits.Connections:
		return fmt.Errorf("%d connections are open", s.limits.Connections)
	case from.IsValid() && s.doorman.byAddress[from] >= s.limits.PerAddress:
		return fmt.Errorf("%d connections of %s are open", s.limits.PerAddress, from)
	case !s.conns.add(c):
		return errors.New("no place for a connection")
	}
	s.doorman.byAddress[from]++
	return nil
}

// dismiss takes a connection out. The caller holds the lock.
func (s *Server) dismiss(c *conn) {
	s.conns.remove(c.id)
	from := addressOf(c.nc)
	if s.doorman.byAddress[from]--; s.doorman.byAddress[from] <= 0 {
		delete(s.doorman.byAddress, from)
	}
}

// refusedEvery is how often refused connections are logged.
const refusedEvery = 10 * time.Second

// refused closes a connection that was not admitted.
func (s *Server) refused(nc net.Conn, why error) {
	nc.Close()
	s.mu.Lock()
	tell := !s.closing && time.Since(s.doorman.told) >= refusedEvery
	if tell {
		s.doorman.told = time.Now()
	}
	s.mu.Unlock()
	if tell {
		s.log.Warn("connection refused", "peer", nc.RemoteAddr(), "why", why)
	}
}

// watch cuts off the connections that do nothing, or begin a frame and do not end it. It is coarse: what is cut off at the
// latest a quarter of the limit later costs nothing for a message but to note the tick.
func (s *Server) watch() {
	every := max(min(s.limits.Idle, s.limits.FrameTime)/4, time.Millisecond)
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-s.disk.quit:
			return
		}
		now := s.tick.Add(1)
		s.mu.Lock()
		conns := s.conns.all()
		s.mu.Unlock()
		for _, c := range conns {
			if begun := c.frameBegun.Load(); begun != 0 && time.Duration(now-begun)*every > s.limits.FrameTime {
				c.end(errSlow)
			} else if time.Duration(now-c.active.Load())*every > s.limits.Idle {
				c.end(errIdle)
			}
		}
	}
}

// end cuts a connection off.
func (c *conn) end(why error) {
	c.s.log.Debug("connection cut off", "peer", c.nc.RemoteAddr(), "why", why)
	c.close()
}

// light reports whether a request costs no more than a message. The others are stepped one by one, so that a burst of them holds
// the node no longer than each does, and stops when its client reads no answers.
func light(r *broker.Request) bool {
	switch r.Frame.Code {
	case remoting.RequestSendMessage, remoting.RequestSendMessageV2, remoting.RequestSendBatchMessage,
		remoting.RequestPullMessage, remoting.RequestLitePullMessage, remoting.RequestQueryConsumerOffset, remoting.RequestUpdateConsumerOffset:
		return true
	}
	return false
}

// nextRun returns how many requests are stepped together, and how many answers they get: at most room, but always one request.
func nextRun(requests []broker.Request, room int) (n, answers int) {
	for n < len(requests) && (n == 0 || answers < room) {
		r := &requests[n]
		if n > 0 && !light(r) {
			break
		}
		n++
		if !r.Frame.IsOneway() && !r.Frame.IsResponse() {
			answers++
		}
		if !light(r) {
			break
		}
	}
	return n, answers
}

// pullCost is what an unread answer to a pull counts at least: it keeps a piece of the log in memory.
const pullCost = 16 << 10

// cost is what a reply counts that waits to be read.
func cost(r *broker.Reply) int {
	const fixed = 128
	switch {
	case r.Pull != nil:
		return max(pullCost, r.Pull.Bytes) + fixed
	case r.Frame != nil:
		return len(r.Frame) + fixed
	}
	return fixed + 8*len(r.More)
}

// crowded reports whether the client has to read, or to wait for answers, before it is read again.
func (c *conn) crowded() bool {
	return int(c.owed.Load()) >= c.s.limits.Requests || int(c.unread.Load()) > c.s.limits.UnreadBytes/4
}

// await waits until the client may be read again, or is gone.
func (c *conn) await() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.crowded() && !c.closed {
		c.waits = true
		c.s.desks.pause()
		c.room.Wait()
		c.s.desks.resume()
	}
	c.waits = false
}

// relax lets the reader go on if it waits and may. The caller holds the connection's lock.
func (c *conn) relax() {
	if c.waits && !c.crowded() {
		c.room.Signal()
	}
}
