// Package nullserver speaks enough of RocketMQ's protocol to acknowledge every send at once, and stores nothing. Against
// it a load generator shows its own ceiling: what it could offer if the system took no time.
package nullserver

import (
	"errors"
	"net"
	"strconv"
	"sync"

	"holdfast/broker/remoting"
)

// BrokerName is the broker group that the server says it is.
const BrokerName = "null"

// queues is the number of queues that every topic has.
const queues = 8

// Server is a running null server: name server and broker on one port.
type Server struct {
	listener net.Listener
	serving  sync.WaitGroup

	mu    sync.Mutex // guards what follows
	conns map[net.Conn]struct{}
	ended bool
}

// Start listens on address (host:port; port 0: any free one) and serves until Close.
func Start(address string) (*Server, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	s := &Server{listener: listener, conns: map[net.Conn]struct{}{}}
	s.serving.Go(s.accept)
	return s, nil
}

// Address returns the address that it listens on, for Config.NameServers of the RocketMQ driver.
func (s *Server) Address() string { return s.listener.Addr().String() }

// Close ends the server and its connections, and returns when they have ended.
func (s *Server) Close() error {
	s.mu.Lock()
	s.ended = true
	err := s.listener.Close()
	for c := range s.conns {
		err = errors.Join(err, c.Close())
	}
	s.mu.Unlock()
	s.serving.Wait()
	return err
}

func (s *Server) accept() {
	for {
		c, err := s.listener.Accept()
		if err != nil {
			return // closed
		}
		s.mu.Lock()
		if s.ended {
			_ = c.Close() // nobody was served on it
		} else {
			s.conns[c] = struct{}{}
			s.serving.Go(func() { s.serve(c) })
		}
		s.mu.Unlock()
	}
}

// serve answers the requests of one connection until it ends: all that is buffered with one write.
func (s *Server) serve(c net.Conn) {
	in := make([]byte, 1<<20)
	var out []byte
	have := 0
	offset := int64(0)
	for {
		n, err := c.Read(in[have:])
		if err != nil {
			return // closed by either side
		}
		have += n
		taken := 0
		out = out[:0]
		for {
			n, err := remoting.FrameBytes(in[taken:have])
			if err != nil {
				return // not our protocol: what follows cannot be understood
			}
			if n == 0 || n > have-taken {
				break
			}
			offset++
			if out, err = s.answer(out, in[taken:taken+n], offset); err != nil {
				return
			}
			taken += n
		}
		have = copy(in, in[taken:have])
		if have == len(in) {
			in = append(in, make([]byte, len(in))...)
		}
		if len(out) > 0 {
			if _, err := c.Write(out); err != nil {
				return
			}
		}
	}
}

// answer appends the reply to one request.
func (s *Server) answer(out, frame []byte, offset int64) ([]byte, error) {
	out, stamped := stamps[frame[4]].append(out, frame, offset) // FrameBytes has checked the form
	if stamped {
		return out, nil
	}
	f, _, err := remoting.Decode(frame)
	if err != nil {
		return out, err
	}
	switch f.Code {
	case remoting.RequestSendMessage, remoting.RequestSendMessageV2:
		return remoting.AppendSendReply(out, f.Form, remoting.ResponseSuccess, f.Opaque, &remoting.SendReply{
			MsgID: messageID, QueueID: queueOf(&f), QueueOffset: offset,
		}), nil
	case remoting.RequestGetRouteInfoByTopic:
		route := remoting.RouteInfo{
			Queues:  []remoting.QueueData{{BrokerName: BrokerName, ReadQueues: queues, WriteQueues: queues, Perm: remoting.PermRead | remoting.PermWrite}},
			Brokers: []remoting.BrokerData{{Cluster: BrokerName, BrokerName: BrokerName, Addrs: []remoting.BrokerAddr{{Addr: s.Address()}}}},
		}
		return remoting.AppendReply(out, f.Form, remoting.ResponseSuccess, f.Opaque, "", route.Append(nil)), nil
	}
	return remoting.AppendReply(out, f.Form, remoting.ResponseSuccess, f.Opaque, "", nil), nil
}

var messageID = []byte("7F00000100002A9F0000000000000000")

// queueOf returns the queue id of a send request.
func queueOf(f *remoting.Frame) int32 {
	key := "e"
	if f.Code == remoting.RequestSendMessage {
		key = "queueId"
	}
	text, _ := f.Ext.Get(key)
	id, err := strconv.Atoi(string(text))
	if err != nil {
		return 0
	}
	return int32(id)
}
