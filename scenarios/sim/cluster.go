package sim

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"holdfast/broker"
	"holdfast/broker/durability"
	"holdfast/broker/remoting"
	"holdfast/broker/route"
	"holdfast/broker/server"
	"holdfast/broker/store"
	"holdfast/loadgen"
	"holdfast/loadgen/driver"
	"holdfast/loadgen/driver/rocketmq"
	"holdfast/loadgen/driver/rocketmq/client"
	"holdfast/reports/result"
	"holdfast/scenarios"
	"holdfast/scenarios/scenario"
)

// Names and ports, those of the real worlds.
const (
	groupName      = "a"
	nameServerName = "ns"
	clientHost     = "clients"
	brokerPort     = 10911
	haPort         = 10912
	nameServerPort = 9876
)

// role is what a member is configured to be.
type role uint8

const (
	master role = iota
	slave
)

// member is a broker of the group: a host with a disk, and the process that runs there.
type member struct {
	name     string
	role     role
	brokerID int
	host     *host
	disk     *platter
	clock    wallClock
	process  *process // the last one; nil: never started
	down     bool     // a fault has taken it down and not brought it back
	rival    bool     // it runs on as a master although another took over
}

func (m *member) running() bool { return m.process != nil && !m.process.ended }

// follows reports whether the member runs as a slave.
func (m *member) follows() bool { return m.role == slave && m.running() && !m.rival }

// Cluster is a simulated group with its name server and clients. It belongs to one goroutine.
type Cluster struct {
	name     string     // of the broker group
	beside   []*Cluster // other groups, on the same network under the same name server; no fault strikes them
	l        *loop
	w        *wire
	spec     scenarios.Spec
	profile  string
	opt      Options
	speed    speeds
	system   *rocketmq.System
	members  []*member
	ns       *process
	promoted bool
	stamps   scenarios.Stamps // of the nemesis, from the first fault on
	clients  int
	injected int // faults
	lives    uint64
	poll     time.Duration
}

var _ scenarios.Cluster = (*Cluster)(nil)

// open starts a group. Its errors are those of the specification, or of a group that does not get ready.
func open(ctx context.Context, l *loop, profile string, opt Options, spec scenarios.Spec) (*Cluster, error) {
	brokers := spec.Site.Brokers
	if brokers == 0 {
		brokers = 2
	}
	if profile == string(durability.Holdfast) && !spec.Site.Short { // as the real worlds have it: the group goes on without any one broker
		brokers = max(brokers, spec.Contract.InSyncReplicas+1)
	}
	c := &Cluster{
		name: groupName, l: l, spec: spec, profile: profile, opt: opt, poll: 10 * time.Millisecond, speed: speeds{opt.Write, opt.Sync},
	}
	names := []string{nameServerName, clientHost}
	groups := []string{c.name}
	for i := range max(spec.Site.Groups, 1) {
		group := string(rune(groupName[0] + byte(i)))
		for id := range brokers {
			names = append(names, fmt.Sprintf("%s-%d", group, id))
		}
		if i > 0 {
			groups = append(groups, group)
		}
	}
	latency := opt.Latency
	if rtt := spec.Site.RTT; rtt > 0 {
		latency = [2]time.Duration{rtt / 2, rtt/2 + rtt/8}
	}
	c.w = newWire(l, names, latency)
	nodes := map[string]string{}
	for i, group := range groups {
		g := c
		if i > 0 {
			g = &Cluster{name: group, l: l, w: c.w, spec: spec, profile: profile, opt: opt, poll: c.poll, speed: c.speed}
			c.beside = append(c.beside, g)
		}
		if err := g.people(2+i*brokers, brokers, nodes); err != nil {
			return nil, err
		}
	}
	var err error
	form := remoting.JSON
	if opt.Binary {
		form = remoting.Binary
	}
	c.system, err = rocketmq.New(rocketmq.Config{
		Form: form, NameServers: []string{c.nameServer().String()}, Groups: groups, Nodes: nodes, RunID: opt.Seed, World: c.world(),
	})
	if err != nil {
		return nil, err
	}
	if err := c.startNameServer(); err != nil {
		return nil, err
	}
	for _, g := range c.beside {
		g.system, g.ns = c.system, c.ns
	}
	if err := c.start(ctx); err != nil {
		return c, err
	}
	for _, g := range c.beside {
		if err := g.start(ctx); err != nil {
			return c, err
		}
	}
	return c, nil
}

// people gives the group its members, on the hosts from first on, and enters their names by address.
func (c *Cluster) people(first, brokers int, nodes map[string]string) error {
	for i := range brokers {
		host := c.w.hosts[first+i]
		m := &member{name: host.name, role: slave, brokerID: i, host: host, disk: newPlatter(c.l)}
		m.disk.size = c.spec.Site.DiskBytes
		if i == 0 {
			m.role = master
		}
		c.members = append(c.members, m)
		nodes[c.address(m).String()] = m.name
		if err := c.seed(m); err != nil {
			return err
		}
	}
	return nil
}

// world is how clients reach the cluster.
func (c *Cluster) world() rocketmq.World {
	from := c.w.hosts[1]
	return rocketmq.World{
		Session: func(k *client.Client, clock func() time.Duration) rocketmq.Session {
			return newSession(c.w, from, k, clock)
		},
		Dial:  func(ctx context.Context, address string) (net.Conn, error) { return c.w.dialStream(ctx, from, address) },
		Sleep: c.Clock().Sleep,
		Wall:  func() time.Time { return time.UnixMilli(epoch + c.l.now.Milliseconds()) },
		ClientID: func() string {
			c.clients++
			return fmt.Sprintf("holdfast@sim#%d", c.clients)
		},
	}
}

func (c *Cluster) nameServer() netip.AddrPort {
	return netip.AddrPortFrom(c.w.hosts[0].addr, nameServerPort)
}

func (c *Cluster) address(m *member) netip.AddrPort {
	return netip.AddrPortFrom(m.host.addr, brokerPort)
}

// start starts the brokers, and waits until they serve and every slave has caught up.
func (c *Cluster) start(ctx context.Context) error {
	ctx, cancel := c.Clock().WithTimeout(ctx, startLimit)
	defer cancel()
	for _, m := range c.members {
		if err := c.launch(m); err != nil {
			return err
		}
	}
	if err := c.awaitMaster(ctx); err != nil {
		return err
	}
	for _, m := range c.members {
		if m.role == slave {
			if err := c.await(ctx, m.name+" has not caught up", func() bool { return c.level(m) }); err != nil {
				return err
			}
		}
	}
	return nil
}

// startNameServer starts the name server, with a controller where the profile has one.
func (c *Cluster) startNameServer() error {
	c.ns = &process{
		l: c.l, w: c.w, name: nameServerName, number: 1, host: c.w.hosts[0], disk: newPlatter(c.l), speed: &c.speed, clock: &wallClock{},
	}
	var ns *broker.NameServer
	var err error
	if c.elects() {
		if err = c.ns.disk.fs.MkdirAll("config"); err == nil {
			ns, err = broker.NewController(route.DefaultConfig(), route.DefaultControllerConfig(), c.ns.disk.fs)
		}
	} else {
		ns, err = broker.NewNameServer(route.DefaultConfig(), nil)
	}
	if err != nil {
		return err
	}
	c.ns.begin(ns, c.nameServer())
	return nil
}

// elects reports whether a controller chooses the master.
func (c *Cluster) elects() bool { return c.profile == string(durability.Holdfast) }

// follow notes who leads after a Step of m, before anybody hears of what the Step decided.
func (c *Cluster) follow(m *member) {
	if m.role == master || !m.running() || !m.process.node.Leads() {
		return
	}
	c.masterMember().role, m.role = slave, master
	c.l.trace.mark(scenario.MarkElected)
	c.tell("recovered", "%s is elected", m.name)
	if c.stamps != nil {
		c.stamps.Role(c.name, m.name)
	}
}

// startLimit bounds how long a group may take to start or to serve again.
const startLimit = 60 * time.Second

// await pumps until done says so. The error names what has not come.
func (c *Cluster) await(ctx context.Context, what string, done func() bool) error {
	for !done() {
		if err := c.Clock().Sleep(ctx, c.poll); err != nil {
			return &scenarios.Unfit{Reason: what}
		}
	}
	return nil
}

// launch starts a member's process with its present configuration.
func (c *Cluster) launch(m *member) error {
	cfg, err := c.config(m)
	if err != nil {
		return err
	}
	cfg.Store.MaxHashSlots, cfg.Store.MaxIndexes = indexSlots, indexEntries
	c.lives++
	m.host.life++
	p := &process{
		l: c.l, w: c.w, name: m.name, number: 2 + uint64(m.host.index) + c.lives<<8, host: m.host, disk: m.disk, speed: &c.speed, clock: &m.clock,
		seed: c.opt.Seed + c.lives,
	}
	if c.elects() {
		cfg.Node.Incarnation = int64(c.lives)
		p.stepped = func() { c.follow(m) }
		m.process = p // its first Step may be one of a master
	}
	if err := p.start(cfg.Node, cfg.Store); err != nil {
		m.process = nil
		return &scenarios.Unfit{Reason: fmt.Sprintf("%s %v", m.name, err)}
	}
	m.process, m.rival = p, false
	if c.measured() {
		r := &m.disk.room
		keep := &cfg.Node.Retention
		r.full, r.force, r.young = int64(keep.FullPercent), int64(keep.ForcePercent), keep.Reserved >= time.Hour
		r.sends = m.role != slave && !c.elects()
		if r.total = m.disk.size; r.total == 0 {
			r.total = max(diskFiles*c.opt.Segment, diskBytesMin)
		}
		p.measure()
	}
	return nil
}

// config reads the member's broker.conf.
func (c *Cluster) config(m *member) (server.Config, error) {
	cfg, err := server.ParseConf(m.name+"/broker.conf", c.conf(m))
	if err != nil {
		return cfg, err
	}
	cfg.Node.Addr = c.address(m)
	cfg.Node.HAAddr = netip.AddrPortFrom(m.host.addr, haPort)
	cfg.Store.ChunkBytes, cfg.Store.HotBytes = c.opt.Chunk, int64(4*c.opt.Chunk)
	return cfg, nil
}

// conf is the member's broker.conf: what the real worlds write, with smaller files.
func (c *Cluster) conf(m *member) string {
	lines := []string{
		"brokerClusterName=holdfast", "brokerName=" + c.name,
		"namesrvAddr=" + c.nameServer().String(), "storePathRootDir=store",
		fmt.Sprintf("mappedFileSizeCommitLog=%d", c.opt.Segment), "mappedFileSizeConsumeQueue=60000",
		"haSendHeartbeatInterval=500", "haHousekeepingInterval=5000",
		"slaveReadEnable=true", "autoCreateTopicEnable=false",
		"holdfastProfile=" + c.profile, "holdfastHaReconnectInterval=500", "holdfastSlaveSyncInterval=1000",
	}
	switch {
	case c.elects():
		lines = append(append(lines, "enableControllerMode=true", "controllerAddr="+c.nameServer().String()), c.spec.Contract.BrokerConf()...)
	case m.role == slave:
		lines = append(append(lines, fmt.Sprintf("brokerId=%d", m.brokerID)), c.spec.Contract.SlaveConf()...)
	default:
		lines = append(append(lines, "brokerId=0"), c.masterConf()...)
	}
	for _, key := range slices.Sorted(maps.Keys(c.spec.Site.Settings)) {
		lines = append(lines, key+"="+c.spec.Site.Settings[key])
	}
	return strings.Join(lines, "\n") + "\n"
}

// masterConf makes the contract on a master. A promoted one cannot wait for a replica that does not exist: it promises what it can.
func (c *Cluster) masterConf() []string {
	contract := c.spec.Contract
	copies := len(c.members)
	switch {
	case c.promoted:
		copies--
	case c.spec.Site.Short:
		copies = max(copies, contract.InSyncReplicas)
	}
	if copies < 2 && contract.BrokerRole == "SYNC_MASTER" {
		contract.InSyncReplicas = 1
		if c.profile == "rocketmq-4.9" {
			contract.BrokerRole = "ASYNC_MASTER"
		}
	}
	lines := contract.BrokerConf()
	if c.profile == "rocketmq-4.9" {
		lines = slices.DeleteFunc(lines, func(line string) bool { return strings.HasPrefix(line, "inSyncReplicas=") })
	}
	return lines
}

// seed puts the topic on a member's disk, as one that was made long ago.
func (c *Cluster) seed(m *member) error {
	text := fmt.Sprintf(`{"dataVersion":{"counter":1,"stateVersion":0,"timestamp":1},"topicConfigTable":{%q:{"attributes":{},"order":false,`+
		`"perm":6,"readQueueNums":%d,"topicFilterType":"SINGLE_TAG","topicName":%q,"topicSysFlag":0,"writeQueueNums":%d}}}`,
		c.spec.Topic, c.spec.Queues, c.spec.Topic, c.spec.Queues)
	return seedFile(m.disk.mem, "config/topics.json", []byte(text))
}

// master is the member that is configured to be the master.
func (c *Cluster) masterMember() *member {
	for _, m := range c.members {
		if m.role == master {
			return m
		}
	}
	panic("sim: group without a master")
}

// awaitMaster returns when clients are sent to the master.
func (c *Cluster) awaitMaster(ctx context.Context) error {
	for {
		m := c.masterMember()
		name, err := c.system.Admin().Master(ctx, c.spec.Topic, c.name)
		if err == nil && name == m.name && m.running() {
			return nil
		}
		if c.Clock().Sleep(ctx, c.poll) != nil {
			return &scenarios.Unfit{Reason: fmt.Sprintf("the route does not lead to %s: %q, %v", m.name, name, err)}
		}
	}
}

// linked reports whether a slave has a replication connection with the process that is the master.
func (c *Cluster) linked(m *member) bool {
	boss := c.masterMember()
	if !m.running() || !boss.running() {
		return false
	}
	for id := m.process.lastPeer; id > 0; id-- { // newest first
		if e := m.process.peers[id]; e != nil && !e.closed && !e.peer.closed {
			if far, ok := e.peer.owner.(peerSide); ok && far.p == boss.process {
				return true
			}
		}
	}
	return false
}

// level reports whether a slave is connected and ends where the master ends.
func (c *Cluster) level(m *member) bool {
	if !c.linked(m) {
		return false
	}
	own, masters := m.process.store, c.masterMember().process.store
	if own.Marks().Written != masters.Marks().Written {
		return false
	}
	ends := queueEnds(masters)
	return slices.Equal(queueEnds(own), ends)
}

func queueEnds(s *store.Store) []int64 {
	var ends []int64
	for _, q := range s.Queues() {
		if q.Next() > 0 {
			ends = append(ends, q.Next())
		}
	}
	return ends
}

// Clock implements scenarios.Cluster.
func (c *Cluster) Clock() scenarios.Clock { return clock{c.l} }

// Stage implements scenarios.Cluster.
func (c *Cluster) Stage() loadgen.Stage { return c.l }

// Driver implements scenarios.Cluster.
func (c *Cluster) Driver() driver.System { return c.system }

// QueueGroup implements scenarios.Cluster.
func (c *Cluster) QueueGroup() string { return c.name }

// Beside implements scenarios.Cluster.
func (c *Cluster) Beside() []scenarios.QueueGroup {
	var all []scenarios.QueueGroup
	for _, g := range c.beside {
		all = append(all, scenarios.QueueGroup{Name: g.name, Nodes: g.Serving()})
	}
	return all
}

// Nodes implements scenarios.Cluster.
func (c *Cluster) Nodes() []string {
	var names []string
	for _, m := range c.members {
		names = append(names, m.name)
	}
	return names
}

// Serving implements scenarios.Cluster.
func (c *Cluster) Serving() []string {
	names := []string{c.Master()}
	for _, m := range c.members {
		if m.role != master && m.running() {
			names = append(names, m.name)
		}
	}
	return names
}

// Dark implements scenarios.Cluster.
func (c *Cluster) Dark() []string {
	var names []string
	for _, m := range c.members {
		if m.host.dark {
			names = append(names, m.name)
		}
	}
	return names
}

// Master implements scenarios.Cluster.
func (c *Cluster) Master() string { return c.masterMember().name }

// LogEnd implements scenarios.Cluster.
func (c *Cluster) LogEnd(context.Context) (int64, error) {
	m := c.masterMember()
	if !m.running() {
		return 0, &scenarios.Unfit{Reason: m.name + " does not run"}
	}
	return m.process.store.Marks().Written, nil
}

// CatchUp implements scenarios.Cluster.
func (c *Cluster) CatchUp(ctx context.Context) (held []string, err error) {
	end, err := c.LogEnd(ctx)
	if err != nil {
		return nil, err
	}
	for _, m := range c.members {
		if !m.follows() {
			continue
		}
		err := c.await(ctx, m.name+" has not caught up", func() bool { return c.linked(m) && m.process.store.Marks().Written >= end })
		if err != nil {
			return held, err
		}
		held = append(held, m.name)
	}
	return held, nil
}

// Aim implements scenarios.Cluster.
func (c *Cluster) Aim(ctx context.Context, aim scenarios.Aim) (time.Duration, error) {
	d := c.masterMember().disk
	next := func() error {
		seen := d.syncs
		limited, cancel := c.Clock().WithTimeout(ctx, max(syncLimit, 2*aim.Window))
		defer cancel()
		if err := c.l.pump(limited, never, func() bool { return d.syncs > seen }); err != nil {
			return &scenarios.Unfit{Reason: fmt.Sprintf("no fsync of the commit log of %s within %v", c.Master(), syncLimit)}
		}
		return nil
	}
	if err := next(); err != nil {
		return 0, err
	}
	window := aim.Window
	if aim.Synchronous {
		first := d.synced
		if err := next(); err != nil {
			return 0, err
		}
		window = d.synced - first
	}
	if err := c.Clock().Sleep(ctx, scenarios.Phase(aim.Stratum, aim.Of, aim.U, window)); err != nil {
		return 0, err
	}
	return c.l.now - d.synced, nil
}

// syncLimit bounds the wait for an fsync of the commit log.
const syncLimit = 15 * time.Second

// Settings implements scenarios.Cluster.
func (c *Cluster) Settings() map[string]string {
	all := map[string]string{"system": "reference:" + c.profile}
	for _, g := range c.beside {
		maps.Copy(all, g.Settings())
	}
	for _, m := range c.members {
		for line := range strings.Lines(c.conf(m)) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			if key != "namesrvAddr" && key != "storePathRootDir" {
				all[m.name+"."+key] = value
			}
		}
	}
	return all
}

// CompareStores implements scenarios.Cluster. Nothing is written to files: the run can be had again.
func (c *Cluster) CompareStores(context.Context, string) ([]result.StorePair, error) {
	if err := c.Close(); err != nil {
		return nil, err
	}
	boss := c.masterMember()
	var pairs []result.StorePair
	for _, m := range c.members {
		if m == boss {
			continue
		}
		got, err := store.Compare(boss.disk.mem, m.disk.mem)
		if err != nil {
			return nil, fmt.Errorf("compare the stores of %s and %s: %w", boss.name, m.name, err)
		}
		pairs = append(pairs, scenarios.StorePairOf(boss.name, m.name, got))
	}
	return pairs, nil
}

// Close ends what still waits in virtual time.
func (c *Cluster) Close() error {
	for _, m := range c.members {
		if m.running() {
			m.process.end(false)
		}
	}
	for _, g := range c.beside {
		if err := g.Close(); err != nil {
			return err
		}
	}
	return nil
}

// rngFor draws what a fault leaves to chance.
func rngFor(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

// Index files of simulated nodes: after a crash the whole table of slots is read, which a run of a second has no time for, and
// small files are full now and then.
const (
	indexSlots   = 1 << 8
	indexEntries = 1 << 12
)
