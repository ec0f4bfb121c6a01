package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"sync/atomic"

	"holdfast/nemesis"
	"holdfast/nemesis/network"
	"holdfast/nemesis/network/rule"
	"holdfast/nemesis/power"
	"holdfast/scenarios"
)

// clientHost is the host of the load, of the harness, and of whoever else is no node.
const clientHost = "clients"

// hosts are the network of one cluster: a host for each node, all joined by a packet switch of the cluster's own.
type hosts struct {
	packets *network.Client
	addr    map[string]netip.Addr
	netns   map[string]*os.File
	names   []string // name server, brokers, clients
}

// subnets counts the networks of this process, so that clusters side by side have different ones.
var subnets atomic.Uint32

// nextSubnet returns 10.64.k.0/24 and so on: it is seen in the namespaces of the sandbox alone.
func nextSubnet() [3]byte {
	k := subnets.Add(1) - 1
	return [3]byte{10, byte(64 + k>>8%64), byte(k)}
}

func newHosts(ctx context.Context, spec scenarios.Spec, line *power.Line) (*hosts, error) {
	packets, err := network.Start(context.WithoutCancel(ctx), network.Config{RTT: spec.Site.RTT, Power: line})
	if err != nil {
		return nil, err
	}
	h := &hosts{packets: packets, addr: map[string]netip.Addr{}, netns: map[string]*os.File{}}
	net := nextSubnet()
	at := func(name string, last byte) netip.Prefix {
		h.names = append(h.names, name)
		h.addr[name] = netip.AddrFrom4([4]byte{net[0], net[1], net[2], last})
		return netip.PrefixFrom(h.addr[name], 24)
	}
	if h.netns[nameServerName], err = packets.AddHost(nameServerName, at(nameServerName, 2), -1); err != nil {
		return nil, errors.Join(err, h.close())
	}
	for i, b := range placesOf(spec.Site) {
		if h.netns[b.name], err = packets.AddHost(b.name, at(b.name, byte(10+i)), b.outlet); err != nil {
			return nil, errors.Join(err, h.close())
		}
	}
	if err := packets.AddLocal(clientHost, at(clientHost, 1)); err != nil {
		return nil, errors.Join(err, h.close())
	}
	return h, nil
}

// Addr implements Site.
func (h *hosts) Addr(node string) netip.Addr { return h.addr[node] }

// NetNS implements Site.
func (h *hosts) NetNS(node string) *os.File { return h.netns[node] }

// renew gives a node's host a network stack that remembers nothing.
func (h *hosts) renew(node string) error {
	fresh, err := h.packets.Renew(node)
	if err != nil {
		return err
	}
	h.netns[node].Close()
	h.netns[node] = fresh
	return nil
}

// begin does a network fault to the hosts of nodes and returns what ends it.
func (h *hosts) begin(f nemesis.Fault, nodes []*Node, g *Group) (func(context.Context) (nemesis.Impact, error), error) {
	targets := namesOf(nodes)
	brokers := namesOf(g.Brokers())
	peers, err := h.peers(f, targets, g)
	if err != nil {
		return nil, err
	}
	rules, err := rule.Of(f, targets, peers, brokers, h.names)
	if err != nil {
		return nil, err
	}
	var ids []network.RuleID
	undo := func(context.Context) (nemesis.Impact, error) {
		effect := nemesis.Impact{}
		var errs []error
		for _, id := range ids {
			c, err := h.packets.Clear(id)
			errs = append(errs, err)
			effect["packets"] += c.Affected()
		}
		return effect, errors.Join(errs...)
	}
	for _, r := range rules {
		id, err := h.packets.Set(r)
		if err != nil {
			_, cleared := undo(nil)
			return nil, errors.Join(err, cleared)
		}
		ids = append(ids, id)
	}
	return undo, nil
}

// peers are the hosts at the other end of a network fault: those that it names; none: everybody else.
func (h *hosts) peers(f nemesis.Fault, targets []string, g *Group) ([]string, error) {
	var named func(host string) bool
	switch peer := f.Params.Peer; peer {
	case "":
		return nil, nil
	case nemesis.Servers:
		named = func(host string) bool { return host != clientHost }
	case nemesis.Clients:
		named = func(host string) bool { return host == clientHost }
	case nemesis.Master, nemesis.Leader:
		named = func(host string) bool { return host == g.Master().Name }
	case nemesis.Slave:
		named = func(host string) bool {
			return slices.ContainsFunc(g.Brokers(), func(n *Node) bool { return n.Name == host && n.Role == Slave })
		}
	case nemesis.All:
		named = func(host string) bool { return host != clientHost && host != nameServerName }
	default:
		return nil, fmt.Errorf("peer %q; allowed: master, leader, slave, all, servers, clients, or none for everybody", peer)
	}
	var peers []string
	for _, host := range h.names {
		if named(host) && !slices.Contains(targets, host) {
			peers = append(peers, host)
		}
	}
	if len(peers) == 0 {
		return nil, fmt.Errorf("%s: no peer %q beside the targets %v", f.Kind, f.Params.Peer, targets)
	}
	return peers, nil
}

// close ends the switch, and with it its devices.
func (h *hosts) close() error {
	for _, ns := range h.netns {
		ns.Close()
	}
	return h.packets.Close()
}
