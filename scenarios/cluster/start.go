package cluster

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"holdfast/nemesis/process"
)

// How often a condition is asked for.
const (
	pollNode  = 10 * time.Millisecond // of one's own machine: start of a process
	pollGroup = 50 * time.Millisecond // over the wire: routes, offsets
)

// Main classes of Apache RocketMQ. Source: distribution/bin (RocketMQ 5.3.3).
const (
	nameServerClass = "org.apache.rocketmq.namesrv.NamesrvStartup"
	brokerClass     = "org.apache.rocketmq.broker.BrokerStartup"
)

// Start starts name server, master and slave. It returns when the route is known, the topics are there and the slave has
// caught up. On an error everything that was started is ended.
func (g *Group) Start(ctx context.Context) error {
	err := g.start(ctx)
	if err != nil {
		g.Close()
	}
	return err
}

func (g *Group) start(ctx context.Context) error {
	for _, n := range g.Brokers() {
		if g.opt.Mounts[n.Name] != "" {
			continue
		}
		if err := g.Seed(n.Store); err != nil {
			return err
		}
	}
	for _, batch := range g.startOrder() {
		for _, n := range batch {
			if err := g.launch(n); err != nil {
				return err
			}
		}
		for _, n := range batch {
			if err := g.ready(ctx, n); err != nil {
				return err
			}
		}
	}
	if err := g.AwaitMaster(ctx); err != nil {
		return err
	}
	for _, n := range g.Brokers() {
		if err := n.saveEffective(ctx); err != nil {
			return err
		}
	}
	return g.CaughtUp(ctx)
}

// startOrder returns the nodes to start side by side, batch after batch. RocketMQ 5 starts all at once: its slave, wherever its
// master is, first tries to reach it 5 s later. In 4.9 and the reference each node finds what it looks for if that is there before it.
func (g *Group) startOrder() [][]*Node {
	own := g.nodes
	if g.opt.Under != nil {
		own = g.Brokers()
	}
	if g.System.Name == RocketMQ && g.System.Profile == "rocketmq-5" && len(g.opt.Systems) == 0 {
		return [][]*Node{own}
	}
	var batches [][]*Node
	for i := range own {
		batches = append(batches, own[i:i+1])
	}
	return batches
}

// StartNode starts one node that does not run, with its present configuration, and returns when its own process answers.
func (g *Group) StartNode(ctx context.Context, name string) error {
	n := g.Node(name)
	if err := g.launch(n); err != nil {
		return err
	}
	return g.ready(ctx, n)
}

// ready returns when the node's own process answers. A slave is then told where its master is.
func (g *Group) ready(ctx context.Context, n *Node) error {
	if err := n.await(ctx, pollNode, "answering on "+n.Addr.String(), n.answers); err != nil {
		return err
	}
	apache := n.System.Name == RocketMQ || g.Master().System.Name == RocketMQ
	if m := g.Master(); n.Role == Slave && !g.elects() && m.Running() && apache {
		return n.await(ctx, pollNode, "told of its master", func(ctx context.Context) error { return introduce(ctx, n, m) })
	}
	return nil
}

// launch starts the node's process and does not wait for it.
func (g *Group) launch(n *Node) error {
	if n.Running() {
		return broken("%s runs already", n.Name)
	}
	if g.opt.Site == nil { // a host of its own has no other listeners
		if err := assertFree(n.Name, localhost, n.ports()); err != nil {
			return broken("%w", err)
		}
	}
	if err := g.writeFiles(n); err != nil {
		return broken("%s: %w", n.Name, err)
	}
	started, err := process.Start(g.command(n))
	if err != nil {
		return broken("%w", err)
	}
	n.process, n.rival = started, false
	return nil
}

// writeFiles writes what the node's program reads outside its store.
func (g *Group) writeFiles(n *Node) error {
	if err := os.MkdirAll(filepath.Join(n.Home, "conf"), 0o755); err != nil {
		return err
	}
	if n.Role == NameServer {
		n.settings = Settings{{"listenPort", strconv.Itoa(int(n.Addr.Port()))}}
		if n.System.Profile == "rocketmq-5" {
			n.settings = append(n.settings, Setting{"bindAddress", n.Addr.Addr().String()})
		}
		if g.opt.Mode == Controller {
			n.settings = append(n.settings, g.controllerSettings(n)...)
		}
	} else {
		n.settings = g.brokerSettings(n)
	}
	if n.System.Name == RocketMQ {
		if err := os.MkdirAll(filepath.Join(n.Home, scratchDir), 0o755); err != nil {
			return err
		}
		for _, file := range []string{"logback_namesrv.xml", "logback_broker.xml"} { // 4.9 refuses to start without
			if err := os.WriteFile(filepath.Join(n.Home, "conf", file), []byte(logback), 0o644); err != nil {
				return err
			}
		}
	}
	return os.WriteFile(n.confPath(), []byte(n.settings.String()), 0o644)
}

// logback is the logging configuration of 4.9: everything from WARN on to the standard output, which is the node's log.
const logback = `<configuration>
  <appender name="OUT" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%d{HH:mm:ss.SSS} %p %t - %m%n</pattern></encoder>
  </appender>
  <root level="WARN"><appender-ref ref="OUT"/></root>
</configuration>
`

// command returns how the node's program is started.
func (g *Group) command(n *Node) process.Command {
	c := process.Command{Name: n.Name, Dir: "/", Log: n.Log, Env: g.opt.Env[n.Name]}
	if g.opt.Site != nil {
		c.NetNS = g.opt.Site.NetNS(n.Name)
	}
	if n.System.Name == Reference {
		program := n.System.Binary
		if program == "" {
			program = ownProgram()
		}
		c.Argv = []string{program, "broker", "-c", n.confPath(), "-n", g.NameServer()}
		if n.Role == NameServer {
			c.Argv = []string{program, "namesrv", "--listen", n.Addr.String()}
			if g.opt.Mode == Controller {
				c.Argv = append(c.Argv, "--controller", "--store", filepath.Join(n.Home, "controller"))
			}
		}
		if address := g.metrics(n); address != "" {
			c.Argv = append(c.Argv, "--metrics", address)
		}
		return c
	}
	j := n.System.java
	home := n.System.Home
	if home == "" {
		home = n.Home
	}
	c.Env = append(slices.Clone(c.Env), "ROCKETMQ_HOME="+home, "NAMESRV_ADDR="+g.NameServer())
	class := brokerClass
	if n.Role == NameServer {
		class = nameServerClass
	}
	c.Argv = append([]string{j.program}, j.flags(g.machine(n), n.Home, home)...)
	c.Argv = append(c.Argv, "-cp", filepath.Join(j.jars, "*"), class, "-c", n.confPath())
	return c
}

// metrics is where a node serves its metrics; empty: nowhere.
func (g *Group) metrics(n *Node) string {
	if !g.opt.Metrics || n.System.Name != Reference {
		return ""
	}
	return netip.AddrPortFrom(n.Addr.Addr(), n.metricsPort()).String()
}

// machine is how a node's virtual machine is sized.
func (g *Group) machine(n *Node) machine {
	if n.Role == NameServer {
		return g.listing(n, nameServerMachine)
	}
	switch {
	case g.opt.Brief:
		return g.listing(n, briefMachine)
	case n.System.Tuned:
		return g.listing(n, tunedMachine)
	}
	return g.listing(n, brokerMachine)
}

// listing adds what has the node list its classes, where that is asked for.
func (g *Group) listing(n *Node, size machine) machine {
	if !g.opt.listClasses {
		return size
	}
	return slices.Concat(size, machine{"-XX:DumpLoadedClassList=" + filepath.Join(n.Home, classListFile)})
}

// ownProgram returns the running executable, which has the reference broker's commands.
func ownProgram() string {
	path, err := os.Executable()
	if err != nil {
		panic(fmt.Sprintf("cluster: own executable: %v", err)) // not on any system that this runs on
	}
	return path
}
