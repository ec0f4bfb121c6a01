package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"holdfast/broker/route"
)

// Standalone is a name server and a broker that is registered there, in one process: all that clients need.
type Standalone struct {
	Names, Broker *Server
	unwatch       func() bool
}

// registerWait bounds the time that a standalone broker needs to enter its own name server.
const registerWait = 5 * time.Second

// StartStandalone starts a name server that listens on names, "" for a port of 127.0.0.1 that is free, and the broker of cfg, whose
// name server it is. It returns when clients find the broker there. The end of ctx ends both, as Close does.
func StartStandalone(ctx context.Context, names string, cfg Config) (*Standalone, error) {
	nameServer, err := StartNameServer(context.WithoutCancel(ctx), Config{Listen: names, Log: cfg.Log, Bind: cfg.Bind, Limits: cfg.Limits}, route.DefaultConfig())
	if err != nil {
		return nil, err
	}
	cfg.Node.NameServers = []string{addrPort(nameServer.listener).String()}
	s := &Standalone{Names: nameServer, unwatch: func() bool { return true }}
	if s.Broker, err = Start(ctx, cfg); err != nil {
		return nil, errors.Join(err, nameServer.Close())
	}
	set := make(chan struct{})
	s.unwatch = context.AfterFunc(ctx, func() {
		<-set
		s.Close()
	})
	close(set)
	select {
	case <-s.Broker.Registered():
		return s, nil
	case <-s.Broker.Done():
		err = s.Broker.Err()
		if err == nil {
			err = ctx.Err()
		}
	case <-time.After(registerWait):
		err = fmt.Errorf("the broker was not registered within %v", registerWait)
	}
	return nil, errors.Join(fmt.Errorf("%w: %w", ErrStart, err), s.Close())
}

// Close ends the broker in order, then the name server, and returns what went wrong.
func (s *Standalone) Close() error {
	s.unwatch()
	return errors.Join(s.Broker.Close(), s.Names.Close())
}

// NamesAddr returns the address of the name server: what a client is given.
func (s *Standalone) NamesAddr() string { return s.Names.Addr() }
