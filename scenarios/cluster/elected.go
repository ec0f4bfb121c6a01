package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"holdfast/scenarios"
)

// Modes of a group: who decides which broker is the master.
const (
	Classic    = "classic"    // the operator, by configuration
	Controller = "controller" // a controller, of the brokers that are in sync (RocketMQ 5)
	DLedger    = "dledger"    // the brokers by Raft, over a commit log of its entries
)

// Ports of the modes: between those that a broker and a name server take anyway.
const (
	dledgerPortBelow    = 1 // of a broker's
	controllerPortAbove = 1 // of the name server's, in whose process the controller runs
)

// elects reports whether the system chooses its master itself.
func (g *Group) elects() bool { return g.opt.Mode == Controller || g.opt.Mode == DLedger }

// SupportsMode returns nil, or why the system has no such mode.
func (s System) SupportsMode(mode string) error {
	switch {
	case s.Profile == holdfastProfile && (mode == "" || mode == Classic || mode == Controller):
		return nil // scenarios that do not care say classic: see site
	case s.Profile == holdfastProfile:
		return usage("%s has no mode %s; allowed: %s", s, mode, Controller)
	case mode == "" || mode == Classic:
		return nil
	case s.Name != RocketMQ:
		return usage("%s has no mode %s; use --system rocketmq:VERSION", s, mode)
	case mode == Controller && s.Profile == "rocketmq-4.9":
		return usage("%s has no controller; use 5.0.0 or later", s)
	case mode == Controller || mode == DLedger:
		return nil
	}
	return usage("mode %q is unknown; allowed: %s, %s, %s", mode, Classic, Controller, DLedger)
}

// site is what the system needs of a scenario's: the holdfast profile has a controller, and one broker more than an acknowledgement waits
// for, so that the group goes on without any one of them, unless it is to be short of brokers.
func (s System) site(spec scenarios.Spec) scenarios.Site {
	site := spec.Site
	if s.Profile != holdfastProfile {
		return site
	}
	site.Mode = Controller
	if !site.Short {
		site.Brokers = max(brokersOf(site), spec.Contract.InSyncReplicas+1)
	}
	return site
}

// electedSettings replaces what makes a broker a master or a slave: all brokers of a group that elects have the same configuration but
// for addresses. Source: ControllerConfig, BrokerConfig, MessageStoreConfig (RocketMQ 5.3.3).
func (g *Group) electedSettings(n *Node) Settings {
	if g.opt.Mode == Controller {
		s := Settings{{"enableControllerMode", "true"}, {"controllerAddr", g.controller().String()}}
		if n.System.Name == Reference { // what it acknowledges once it is elected
			s = append(s, Setting{"brokerRole", g.Contract.BrokerRole})
		}
		return s
	}
	var peers []string
	for i, b := range g.Brokers() {
		peers = append(peers, fmt.Sprintf("n%d-%s", i, netip.AddrPortFrom(b.Addr.Addr(), b.Addr.Port()-dledgerPortBelow)))
	}
	return Settings{
		{"enableDLegerCommitLog", "true"}, {"dLegerGroup", g.Name}, {"dLegerPeers", strings.Join(peers, ";")},
		{"dLegerSelfId", fmt.Sprintf("n%d", n.outlet)},
	}
}

// controller is where brokers find the controller: that of RocketMQ at the port of its peers, for it listens on no other, that of the
// reference at the name server's.
func (g *Group) controller() netip.AddrPort {
	ns := g.nodes[0].Addr
	if g.System.Name == Reference {
		return ns
	}
	return netip.AddrPortFrom(ns.Addr(), ns.Port()+controllerPortAbove)
}

// controllerSettings run a controller in the name server's process, alone in its own group.
func (g *Group) controllerSettings(n *Node) Settings {
	return Settings{
		{"enableControllerInNamesrv", "true"},
		{"controllerDLegerGroup", "controllers"}, {"controllerDLegerPeers", "n0-" + g.controller().String()}, {"controllerDLegerSelfId", "n0"},
		{"controllerStorePath", filepath.Join(n.Home, "controller")},
	}
}

// leader returns the broker to which clients are sent for the topics; nil when the name server knows none.
func (g *Group) leader(ctx context.Context) (*Node, error) {
	for _, t := range g.opt.Topics {
		brokers, err := route(ctx, g.NameServer(), t.Name, g.Name)
		if err != nil {
			return nil, err
		}
		for _, n := range g.Brokers() {
			if n.Addr.String() == brokers["0"] {
				return n, nil
			}
		}
	}
	return nil, nil
}

// lead takes over who was elected.
func (g *Group) lead(leader *Node) {
	for _, n := range g.Brokers() {
		n.Role = Slave
	}
	leader.Role = Master
}

// elections follows who is elected while faults strike, and records it. The clients ask the name server once a second, this asks every
// few milliseconds; an answer of a new master before its line makes the trial prove nothing.
type elections struct {
	leader atomic.Pointer[Node] // the last one seen
	end    context.CancelFunc
	ended  sync.WaitGroup
}

// electionPoll is how often the name server is asked.
const electionPoll = 10 * time.Millisecond

// watchElections begins to follow; it does so once.
func (c *cell) watchElections(stamps scenarios.Stamps) {
	if !c.elects() || c.elections != nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	e := &elections{end: cancel}
	e.leader.Store(c.Group.Master())
	c.elections = e
	e.ended.Go(func() {
		tick := time.NewTicker(electionPoll)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if n, err := c.Group.leader(ctx); err == nil && n != nil && n != e.leader.Load() {
				stamps.Role(c.Name, n.Name)
				e.leader.Store(n)
			}
		}
	})
}

// follow takes over what the elections came to.
func (c *cell) follow() {
	if c.elections != nil {
		c.lead(c.elections.leader.Load())
	}
}

// awaitElected returns when a broker that runs has been elected.
func (c *cell) awaitElected(ctx context.Context) error {
	return c.nodes[0].await(ctx, electionPoll, "naming an elected master", func(context.Context) error {
		if n := c.elections.leader.Load(); n == nil || !n.Running() {
			return errors.New("no broker that runs is elected")
		}
		c.follow()
		return nil
	})
}

// endElections stops following.
func (c *cell) endElections() {
	if c.elections != nil {
		c.elections.end()
		c.elections.ended.Wait()
		c.follow()
	}
}
