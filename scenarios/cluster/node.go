package cluster

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"holdfast/broker/remoting"
	"holdfast/nemesis/process"
)

// Role is what a node is in its group now.
type Role string

// Roles of nodes.
const (
	NameServer Role = "namesrv"
	Master     Role = "master"
	Slave      Role = "slave"
)

// Node is one process of a group, running or not. Its fields are set by New; only the group changes them.
type Node struct {
	Name   string         // ns, a-0, a-1: the name of the history
	Role   Role           // changes by Promote
	Addr   netip.AddrPort // where clients reach it
	System System         // that runs there; a rolling upgrade changes it
	Store  string         // store directory as the process sees it; empty for a name server. May be a mount: only the node touches it
	Home   string         // configuration, logs and crash reports of the process; never a mount
	Log    string         // file of its standard output and error

	brokerID int
	outlet   int  // of its cluster's power line: kept when its role changes
	rival    bool // runs on as the master that it was, beside the one that was promoted
	haPort   uint16
	settings Settings
	process  process.Process
}

// Process returns the running process, or the last one that ran; nil before the first start. A nemesis signals it.
func (n *Node) Process() process.Process { return n.process }

// follows reports whether the node runs as a slave, so that it is to hold what the master holds.
func (n *Node) follows() bool { return n.Role == Slave && !n.rival && n.Running() }

// Running reports whether the node's process has been started and has not ended.
func (n *Node) Running() bool { return n.process != nil && process.Alive(n.process) }

// ports lists what the node will listen on.
func (n *Node) ports() []uint16 {
	ports := []uint16{n.Addr.Port()}
	if n.Role != NameServer {
		ports = append(ports, n.haPort, n.Addr.Port()-fastPortBelow)
	}
	return ports
}

// confPath returns the file that the node is configured by.
func (n *Node) confPath() string { return filepath.Join(n.Home, n.Name+".conf") }

// await polls check every so often until it returns nil, the node dies, or ctx ends. The error of the deadline carries the
// last answer of check and the end of the node's log: what a user needs to see.
func (n *Node) await(ctx context.Context, every time.Duration, what string, check func(context.Context) error) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	var last error
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		if last == nil || ctx.Err() == nil { // not that the deadline cut the last question short
			last = err
		}
		select {
		case <-n.process.Done():
			return broken("%s: its process ended before it was %s: %w\n%s", n.Name, what, last, logTail(n.Log))
		case <-ctx.Done():
			return broken("%s: not %s: %w; last: %w\n%s", n.Name, what, ctx.Err(), last, logTail(n.Log))
		case <-tick.C:
		}
	}
}

// answers returns nil when the node's own process listens on its port and answers a request, whatever it says.
func (n *Node) answers(ctx context.Context) error {
	if err := listens(n.process.PID(), n.Addr.Port()); err != nil {
		return err
	}
	code := remoting.RequestGetBrokerRuntimeInfo
	if n.Role == NameServer {
		code = remoting.RequestGetBrokerClusterInfo
	}
	_, err := call(ctx, n.Addr.String(), code)
	return err
}

// Kill ends the node's process by SIGKILL and waits until it has gone. A node that does not run is no error.
func (n *Node) Kill(ctx context.Context) error {
	if n.process == nil {
		return nil
	}
	if _, err := process.Kill(ctx, n.process); err != nil {
		return broken("kill %s: %w", n.Name, err)
	}
	return nil
}

// stopPatience is for how long a node may take to stop: Apache RocketMQ was seen to need 12 to 34 s.
const stopPatience = 45 * time.Second

// Stop asks the node's process to end and waits until it has gone; a process that does not is an error, and killed.
func (n *Node) Stop(ctx context.Context) error {
	if !n.Running() {
		return nil
	}
	stopped, err := process.Stop(ctx, n.process, stopPatience)
	if err == nil && !stopped.Graceful {
		err = fmt.Errorf("it did not end within %v and was killed", stopPatience)
	}
	if err != nil {
		return broken("stop %s: %w", n.Name, err)
	}
	return nil
}

// logTail returns the last lines of a node's log, indented, for an error.
func logTail(path string) string {
	const lines = 12
	text, err := os.ReadFile(path)
	if err != nil {
		return "  " + err.Error()
	}
	all := strings.Split(strings.TrimSpace(string(text)), "\n")
	all = all[max(0, len(all)-lines):]
	return fmt.Sprintf("  %s:\n  | %s", path, strings.Join(all, "\n  | "))
}
