// Package nullserver speaks enough of RocketMQ's protocol to acknowledge every send at once, and stores nothing. Against
// it a load generator shows its own ceiling: what it could offer if the system took no time.
package nullserver

import "net"

// Server is a running null server: name server and broker on one port.
type Server struct {
	listener net.Listener
}

// Start listens on address (host:port, port 0: any free one) and serves until Close. The broker's name is "null"; every
// topic has as many queues as a route answer says: 8.
func Start(address string) (*Server, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	return &Server{listener: listener}, nil
}

// Address returns the address that it listens on, for Config.NameServers of the RocketMQ driver.
func (s *Server) Address() string { return s.listener.Addr().String() }

// Close ends the server and its connections.
func (s *Server) Close() error { return s.listener.Close() }
