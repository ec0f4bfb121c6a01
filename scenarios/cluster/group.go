package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"holdfast/reports/result"
	"holdfast/scenarios"
)

// Names that every group has.
const (
	clusterName    = "holdfast"
	groupName      = "a"
	nameServerName = "ns"
	permReadWrite  = 6
	brokersDefault = 2
	brokersMax     = 5
	groupsMax      = 4
	killTimeout    = 10 * time.Second // a process that has not ended by then hangs in the kernel
)

// Topic is a topic that the group must have.
type Topic struct {
	Name   string
	Queues int // 1 to 1024
}

// Options say where and how a group runs.
type Options struct {
	Dir     string // configurations, logs and, without Mounts, stores go below it; made when absent
	Brokers int    // 1: a master; 2: a master and a slave. Default 2
	Name    string // broker name; default a
	Under   *Group // whose name server it uses; nil: it has one of its own
	Topics  []Topic
	Mode    string // Classic, Controller or DLedger; empty: Classic
	// Short keeps the contract as it is although it waits for more brokers than there are: those are absent from the start.
	Short bool
	// Brief says that the nodes live for seconds under a small load, so that a virtual machine compiles quickly and not well.
	Brief bool
	// listClasses has each virtual machine list the classes that it loads.
	listClasses bool
	// Metrics has every node of the reference serve its metrics.
	Metrics bool
	// Site says where each node lives; nil: on 127.0.0.1, at ports that are free.
	Site Site
	// Systems are of other nodes than most, prepared, by node name: a slave or a name server of RocketMQ under a master of the reference,
	// or the reverse.
	Systems map[string]System
	// Settings are lines of the brokers' configuration that come after all others.
	Settings Settings
	// Env is the environment of each node's process beside the harness's own, by node name: KEY=VALUE.
	Env map[string][]string
	// Mounts gives the store directory of each broker by node name, where it is a mount: the group then neither makes
	// nor opens it, and the caller writes what Seed says into the directory behind it before mounting. Default: directories below Dir.
	Mounts map[string]string
}

// Site is where the nodes of a group live: a host of its own for each, with RocketMQ's own ports.
type Site interface {
	// Addr is the address of a node's host.
	Addr(node string) netip.Addr
	// NetNS is the network namespace in which a node's process starts; it may be another after each reboot of the host.
	NetNS(node string) *os.File
}

// Group is one broker group with its name server, which may be that of another group. Its methods are called by one goroutine at a time.
type Group struct {
	System   System // prepared
	Contract result.Contract
	Name     string // broker name: the queue group of the history
	opt      Options
	nodes    []*Node // name server, then brokers by broker id at the start
	promoted bool    // the first master is gone: the present one counts on nobody
}

// New lays out a group: names, directories, ports. Nothing is started. sys must have been prepared.
func New(sys System, c result.Contract, opt Options) (*Group, error) {
	if err := sys.Supports(c); err != nil {
		return nil, err
	}
	if err := sys.SupportsMode(opt.Mode); err != nil {
		return nil, err
	}
	if sys.Profile == holdfastProfile {
		opt.Mode = Controller
	}
	if opt.Brokers == 0 {
		opt.Brokers = brokersDefault
	}
	if opt.Brokers < 1 || opt.Brokers > brokersMax {
		return nil, usage("%d brokers in a group; allowed: 1 to %d", opt.Brokers, brokersMax)
	}
	dir, err := filepath.Abs(opt.Dir)
	if err != nil {
		return nil, broken("%s: %w", opt.Dir, err)
	}
	opt.Dir = dir
	if opt.Name == "" {
		opt.Name = groupName
	}
	g := &Group{System: sys, Contract: c, Name: opt.Name, opt: opt}
	nsPort, ports := fixedPorts(opt.Brokers)
	if opt.Site == nil {
		if nsPort, ports, err = freePorts(localhost, opt.Brokers); err != nil {
			return nil, err
		}
	}
	first := 0
	if opt.Under != nil {
		g.nodes = append(g.nodes, opt.Under.nodes[0])
		first = opt.Brokers * (int(opt.Name[0]) - int(groupName[0]))
	} else {
		g.add(&Node{Name: nameServerName, Role: NameServer}, nsPort)
	}
	for id, port := range ports {
		role := Slave
		if id == 0 {
			role = Master
		}
		g.add(&Node{Name: nodeName(opt.Name, id), Role: role, brokerID: id, outlet: first + id, haPort: port + haPortAbove}, port)
	}
	for _, n := range g.Brokers() {
		n.settings = g.brokerSettings(n)
	}
	return g, nil
}

// nodeName is the name of the broker of a group that starts with that broker id.
func nodeName(group string, id int) string { return fmt.Sprintf("%s-%d", group, id) }

// groupNames are the broker names of a site: a, b and so on.
func groupNames(site scenarios.Site) []string {
	var names []string
	for i := range max(site.Groups, 1) {
		names = append(names, string(rune(groupName[0]+byte(i))))
	}
	return names
}

// place is a broker of a site: its name, the id that it starts with, and its outlet of the power line.
type place struct {
	name       string
	id, outlet int
}

// placesOf lists the brokers of a site, group by group.
func placesOf(site scenarios.Site) []place {
	var all []place
	for _, group := range groupNames(site) {
		for id := range brokersOf(site) {
			all = append(all, place{name: nodeName(group, id), id: id, outlet: len(all)})
		}
	}
	return all
}

// localhost is where nodes without a host of their own listen.
var localhost = netip.AddrFrom4([4]byte{127, 0, 0, 1})

func (g *Group) add(n *Node, port uint16) {
	n.System = g.System
	if other, named := g.opt.Systems[n.Name]; named {
		n.System = other
	}
	n.Addr = netip.AddrPortFrom(localhost, port)
	if g.opt.Site != nil {
		n.Addr = netip.AddrPortFrom(g.opt.Site.Addr(n.Name), port)
	}
	n.Home = filepath.Join(g.opt.Dir, "nodes", n.Name)
	n.Log = filepath.Join(n.Home, "process.log")
	if n.Role != NameServer {
		n.Store = filepath.Join(g.opt.Dir, "stores", n.Name)
		if mount := g.opt.Mounts[n.Name]; mount != "" {
			n.Store = mount
		}
	}
	g.nodes = append(g.nodes, n)
}

// NameServer returns the name server's address.
func (g *Group) NameServer() string { return g.nodes[0].Addr.String() }

// Nodes returns the name server and the brokers, the master of the start first.
func (g *Group) Nodes() []*Node { return g.nodes }

// Brokers returns the brokers, the master of the start first.
func (g *Group) Brokers() []*Node { return g.nodes[1:] }

// brokers returns how many copies the present master can count on, its own among them, those of absent brokers too.
func (g *Group) brokers() int {
	switch {
	case g.promoted:
		return g.opt.Brokers - 1
	case g.opt.Short:
		return max(g.opt.Brokers, g.Contract.InSyncReplicas)
	}
	return g.opt.Brokers
}

// Node returns the node of that name; it must exist.
func (g *Group) Node(name string) *Node {
	for _, n := range g.nodes {
		if n.Name == name {
			return n
		}
	}
	panic(fmt.Sprintf("cluster: no node %q in group %s", name, g.Name))
}

// Master returns the broker that is configured to be the master now.
func (g *Group) Master() *Node {
	for _, n := range g.Brokers() {
		if n.Role == Master {
			return n
		}
	}
	panic("cluster: group without a master")
}

// Addresses returns the node name by address, for the driver: which node answered.
func (g *Group) Addresses() map[string]string {
	names := make(map[string]string, len(g.nodes))
	for _, n := range g.Brokers() {
		names[n.Addr.String()] = n.Name
	}
	return names
}

// Settings returns the effective configuration of all nodes, "a-0.flushDiskType" and so on, for the digest of the results.
// Addresses and paths, which differ by run, are left out.
func (g *Group) Settings() map[string]string {
	all := map[string]string{"system": g.System.String()}
	for _, n := range g.Brokers() {
		for _, line := range n.settings {
			switch line.Key {
			case "listenPort", "haListenPort", "namesrvAddr", "brokerIP1", "brokerIP2", "storePathRootDir", "storePathCommitLog":
			default:
				all[n.Name+"."+line.Key] = n.settings.Get(line.Key)
			}
		}
	}
	if g.System.Name == RocketMQ {
		all["java"] = fmt.Sprintf("%d %s", g.System.java.major, strings.Join(g.machine(g.Master()), " "))
	}
	return all
}

// Usage measures every running node.
func (g *Group) Usage() map[string]Usage {
	all := make(map[string]Usage)
	for _, n := range g.nodes {
		if !n.Running() {
			continue
		}
		if u, err := UsageOf(n.process.PID()); err == nil { // it may have ended meanwhile
			all[n.Name] = u
		}
	}
	return all
}

// Conf returns the present configuration of a broker as broker.conf has it.
func (g *Group) Conf(node string) string { return g.Node(node).settings.String() }

// Seed writes into dir what a broker's store must hold before its first start: its topics. A slave of RocketMQ 5 asks its
// master for them only 60 s after its start, and refuses reads of topics that it does not know.
func (g *Group) Seed(dir string) error {
	conf := filepath.Join(dir, "config")
	if err := os.MkdirAll(conf, 0o755); err != nil {
		return broken("seed of a store: %w", err)
	}
	if err := os.WriteFile(filepath.Join(conf, "topics.json"), topicsFile(g.opt.Topics), 0o644); err != nil {
		return broken("seed of a store: %w", err)
	}
	return nil
}

// topicsFile returns config/topics.json. Source: TopicConfigSerializeWrapper (RocketMQ 4.9, 5.3).
func topicsFile(topics []Topic) []byte {
	var entries []string
	for _, t := range topics {
		entries = append(entries, fmt.Sprintf(`%q:{"attributes":{},"order":false,"perm":%d,"readQueueNums":%d,`+
			`"topicFilterType":"SINGLE_TAG","topicName":%q,"topicSysFlag":0,"writeQueueNums":%d}`,
			t.Name, permReadWrite, t.Queues, t.Name, t.Queues))
	}
	return fmt.Appendf(nil, `{"dataVersion":{"counter":1,"stateVersion":0,"timestamp":1},"topicConfigTable":{%s}}`,
		strings.Join(entries, ","))
}

// Close ends every process of the group by SIGKILL, slaves first, and removes what JVMs left in their temporary directories.
// Stores and logs stay.
func (g *Group) Close() error {
	var errs []error
	for i := len(g.nodes) - 1; i >= 0; i-- {
		n := g.nodes[i]
		if n.Role == NameServer && g.opt.Under != nil {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), killTimeout)
		errs = append(errs, n.Kill(ctx), os.RemoveAll(filepath.Join(n.Home, scratchDir)))
		cancel()
	}
	return errors.Join(errs...)
}
