package server

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"
)

// newcomers are the connections of the replication port that have not sent as much as a report has: they take no place of a slave, and the
// node does not know of them. They are guarded by the server's lock.
type newcomers struct {
	conns     map[net.Conn]bool
	byAddress map[netip.Addr]int
}

// reportBytes is what every slave sends at once: a report, or the front of a greeting under a controller. RocketMQ's send their first one
// haSendHeartbeatInterval (5 s) after the connection, and a master sends nothing before. Source: HAClient (RocketMQ 4.9.7).
const reportBytes = 8

var errPlaces = errors.New("all places for slaves are taken")

// serveSlave serves a connection once it has shown itself to be a slave's.
func (s *Server) serveSlave(nc net.Conn) {
	s.mu.Lock()
	err := s.enter(nc)
	s.mu.Unlock()
	if err != nil {
		s.refused(nc, err)
		return
	}
	s.spawn(func() {
		nc.SetReadDeadline(time.Now().Add(s.limits.SlaveTime)) // until the node has taken something: see peer.read
		first := make([]byte, reportBytes)
		_, err := io.ReadFull(nc, first)
		s.mu.Lock()
		s.leave(nc)
		s.mu.Unlock()
		if err != nil {
			s.log.Debug("not a slave: no report in time", "peer", nc.RemoteAddr(), "err", err)
			nc.Close()
			return
		}
		s.servePeer(nc, nc.RemoteAddr().String(), first)
	})
}

// enter lets a connection wait for its first report, or says why it may not. The caller holds the lock.
func (s *Server) enter(nc net.Conn) error {
	n, from := &s.newcomers, addressOf(nc)
	switch {
	case s.closing:
		return net.ErrClosed
	case len(n.conns) >= s.limits.Newcomers:
		return fmt.Errorf("%d connections for replication have sent no report yet", s.limits.Newcomers)
	case from.IsValid() && n.byAddress[from] >= max(1, s.limits.Newcomers/2):
		return fmt.Errorf("%d connections for replication of %s have sent no report yet", n.byAddress[from], from)
	}
	if n.conns == nil {
		n.conns, n.byAddress = map[net.Conn]bool{}, map[netip.Addr]int{}
	}
	n.conns[nc] = true
	n.byAddress[from]++
	return nil
}

// leave is the end of the wait. The caller holds the lock.
func (s *Server) leave(nc net.Conn) {
	n, from := &s.newcomers, addressOf(nc)
	delete(n.conns, nc)
	if n.byAddress[from]--; n.byAddress[from] <= 0 {
		delete(n.byAddress, from)
	}
}
