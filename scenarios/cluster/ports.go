package cluster

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync/atomic"
)

// Ports of a group that is alone in its network namespace. Source: RocketMQ's own defaults; a slave's are those that its
// documentation uses.
const (
	nameServerPort   = 9876
	firstBrokerPort  = 10911
	brokerPortStride = 10
)

// A broker listens on port (clients), port-2 (the fast port, over which slaves of RocketMQ copy topics) and port+1 (HA).
const (
	fastPortBelow = 2
	haPortAbove   = 1
)

// metricsPort is where a node of the reference serves its metrics: beside its other ports, in its block.
func (n *Node) metricsPort() uint16 {
	if n.Role == NameServer {
		return n.Addr.Port() + 1
	}
	return n.Addr.Port() - 1
}

// fixedPorts returns the ports of the name server and of n brokers in a network namespace of their own.
func fixedPorts(n int) (nameServer uint16, brokers []uint16) {
	for i := range n {
		brokers = append(brokers, uint16(firstBrokerPort+i*brokerPortStride))
	}
	return nameServerPort, brokers
}

// Blocks of ports for groups, below the range from which kernels take ports for outgoing connections (32768 on): a client
// of another group must not be given the port that a node will need again after its power cut.
const (
	firstBlock  = 12_000
	lastBlock   = 32_000
	blockStride = 20
)

// blocksTaken counts the blocks that this process has taken, so that groups that start side by side differ. It begins at the
// process id, so that two harnesses at once seldom meet.
var blocksTaken atomic.Uint32

// freePorts returns ports of a block in which nobody listens at this moment.
func freePorts(host netip.Addr, n int) (nameServer uint16, brokers []uint16, err error) {
	const blocks = (lastBlock - firstBlock) / blockStride
	for range blocks {
		block := (uint32(os.Getpid()) + blocksTaken.Add(1)) % blocks
		base := uint16(firstBlock + block*blockStride)
		brokers = brokers[:0]
		ports := []uint16{base}
		for i := range n {
			port := base + uint16(4*(i+1))
			brokers = append(brokers, port)
			ports = append(ports, port-fastPortBelow, port, port+haPortAbove)
		}
		if assertFree("a new group", host, ports) == nil {
			return base, brokers, nil
		}
	}
	return 0, nil, broken("no free block of %d ports on %s between %d and %d", blockStride, host, firstBlock, lastBlock)
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
