package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"
)

// Where the server listens is one thing, where clients find it another: in a container, or behind a translated address, the second
// is not an address of this machine.

// ErrAdvertise says that clients could not use an address that they are to be told.
var ErrAdvertise = errors.New("advertised address")

// CheckAdvertise errs with ErrAdvertise when host is not a host name or an address that a client could connect to. "" is none.
func CheckAdvertise(host string) error {
	if host == "" {
		return nil
	}
	if a, err := netip.ParseAddr(host); err == nil {
		if a.IsUnspecified() || a.IsMulticast() {
			return fmt.Errorf("%w %s: clients cannot connect to it; allowed: a host name, or an address of one host", ErrAdvertise, host)
		}
		return nil
	}
	if len(host) > 253 {
		return fmt.Errorf("%w: a host name of %d bytes; allowed: 253", ErrAdvertise, len(host))
	}
	for _, c := range host {
		if letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'; !letter && c != '.' && c != '-' && c != '_' {
			return fmt.Errorf("%w %q: not a host name or an address; the port is the one listened on", ErrAdvertise, host)
		}
	}
	return nil
}

// advertise fills in what the node tells of its addresses. A host name is told as it is; message ids need an address: that of the
// name, as far as it is known here.
func (s *Server) advertise() {
	n := &s.cfg.Node
	n.Addr = addrPort(s.listener)
	if s.haListener != nil {
		n.HAAddr = addrPort(s.haListener)
	}
	host, haHost := s.cfg.Advertise, s.cfg.HAAdvertise
	if haHost == "" {
		haHost = host
	}
	if host == "" && everywhere(s.listener) {
		s.log.Warn("listening on every address, but telling clients 127.0.0.1: others than those of this machine need --advertise HOST, or brokerIP1")
	}
	n.Advertised, n.Addr = advertised(host, n.Addr)
	if s.haListener != nil {
		n.HAAdvertised, n.HAAddr = advertised(haHost, n.HAAddr)
	}
}

// resolveTimeout bounds what the start waits for a name service: it may not know the name that clients use.
const resolveTimeout = 2 * time.Second

// advertised returns how clients are told to reach at, "" for at itself, and its address as far as it is known.
func advertised(host string, at netip.AddrPort) (string, netip.AddrPort) {
	if host == "" {
		return "", at
	}
	if a, err := netip.ParseAddr(host); err == nil {
		return "", netip.AddrPortFrom(a, at.Port())
	}
	ctx, cancel := context.WithTimeout(context.Background(), resolveTimeout)
	defer cancel()
	if found, err := net.DefaultResolver.LookupNetIP(ctx, "ip4", host); err == nil && len(found) > 0 {
		at = netip.AddrPortFrom(found[0].Unmap(), at.Port())
	}
	return net.JoinHostPort(host, strconv.Itoa(int(at.Port()))), at
}

// everywhere reports whether l takes connections to any address of the machine.
func everywhere(l net.Listener) bool {
	a, err := netip.ParseAddrPort(l.Addr().String())
	return err == nil && a.Addr().IsUnspecified()
}

func addrPort(l net.Listener) netip.AddrPort {
	loopback := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	a, err := netip.ParseAddrPort(l.Addr().String())
	switch {
	case err != nil:
		return netip.AddrPortFrom(loopback, 1) // a listener that is no socket
	case a.Addr().IsUnspecified():
		return netip.AddrPortFrom(loopback, a.Port()) // every address; clients need one
	}
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}
