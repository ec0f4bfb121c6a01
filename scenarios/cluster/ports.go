package cluster

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
)

// Ports of a group that is alone in its network namespace. Source: RocketMQ's own defaults; a slave's are those that its
// documentation uses.
const (
	nameServerPort   = 9876
	firstBrokerPort  = 10911
	brokerPortStride = 10
)

// A broker listens on port (clients), port-2 (the fast port, RocketMQ only) and port+1 (HA).
const (
	fastPortBelow = 2
	haPortAbove   = 1
)

// fixedPorts returns the ports of the name server and of n brokers in a network namespace of their own.
func fixedPorts(n int) (nameServer uint16, brokers []uint16) {
	for i := range n {
		brokers = append(brokers, uint16(firstBrokerPort+i*brokerPortStride))
	}
	return nameServerPort, brokers
}

// freePorts returns ports that nobody listens on at this moment. All are held until all are chosen, so that they differ.
func freePorts(host netip.Addr, n int) (nameServer uint16, brokers []uint16, err error) {
	var held []net.Listener
	defer func() {
		for _, l := range held {
			l.Close()
		}
	}()
	hold := func(port uint16) (uint16, bool) {
		l, err := net.Listen("tcp", netip.AddrPortFrom(host, port).String())
		if err != nil {
			return 0, false
		}
		held = append(held, l)
		return l.Addr().(*net.TCPAddr).AddrPort().Port(), true
	}
	nameServer, ok := hold(0)
	for tries := 0; ok && len(brokers) < n; tries++ {
		if tries == 100*n {
			return 0, nil, broken("no three free neighbouring ports on %s after %d tries", host, tries)
		}
		var port uint16
		if port, ok = hold(0); !ok || port <= fastPortBelow {
			continue
		}
		_, fast := hold(port - fastPortBelow)
		_, ha := hold(port + haPortAbove)
		if fast && ha {
			brokers = append(brokers, port)
		}
	}
	if !ok {
		return 0, nil, broken("no free port on %s", host)
	}
	return nameServer, brokers, nil
}

// assertFree errs when anybody listens on one of the ports: a node left over from an earlier run would answer in place of
// the one to be started.
func assertFree(node string, host netip.Addr, ports []uint16) error {
	for _, port := range ports {
		address := net.JoinHostPort(host.String(), strconv.Itoa(int(port)))
		l, err := net.Listen("tcp", address)
		if err != nil {
			return fmt.Errorf("port %s, needed by %s, is in use: %w", address, node, err)
		}
		l.Close()
	}
	return nil
}
