package cluster

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/prometheus/procfs"
)

// States of a socket in /proc/net/tcp. Source: include/net/tcp_states.h (Linux).
const (
	tcpEstablished = 1
	tcpListen      = 10
)

// listens returns nil when the process itself, not another that was left over, listens on the TCP port.
func listens(pid int, port uint16) error {
	own, err := sockets(pid, func(s socket) bool { return s.state == tcpListen && s.localPort == port })
	if err != nil {
		return err
	}
	if !own {
		return fmt.Errorf("process %d does not listen on port %d", pid, port)
	}
	return nil
}

// connected reports whether the process has an open connection to the TCP port of some host.
func connected(pid int, port uint16) (bool, error) {
	return sockets(pid, func(s socket) bool { return s.state == tcpEstablished && s.remotePort == port })
}

type socket struct {
	state                 uint8
	localPort, remotePort uint16
}

// sockets reports whether the process owns a TCP socket that match accepts, in the network namespace of the process.
func sockets(pid int, match func(socket) bool) (bool, error) {
	proc, err := procfs.NewProc(pid)
	if err != nil {
		return false, err
	}
	targets, err := proc.FileDescriptorTargets()
	if err != nil {
		return false, err
	}
	own := make(map[string]bool, len(targets))
	for _, target := range targets {
		own[target] = strings.HasPrefix(target, "socket:")
	}
	for _, table := range []string{"tcp", "tcp6"} {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, table))
		if errors.Is(err, os.ErrNotExist) {
			continue // a kernel without IPv6
		}
		if err != nil {
			return false, err
		}
		for line := range strings.Lines(string(text)) {
			if s, inode, ok := parseSocket(line); ok && match(s) && own["socket:["+inode+"]"] {
				return true, nil
			}
		}
	}
	return false, nil
}

// parseSocket reads a line of /proc/net/tcp or tcp6; the heading is none.
// Source: Documentation/networking/proc_net_tcp.rst (Linux): "sl local_address rem_address st ... uid timeout inode".
func parseSocket(line string) (s socket, inode string, ok bool) {
	fields := strings.Fields(line)
	if len(fields) < 10 || fields[0] == "sl" {
		return socket{}, "", false
	}
	port := func(address string) uint16 {
		_, hex, _ := strings.Cut(address, ":")
		v, err := strconv.ParseUint(hex, 16, 16)
		ok = ok && err == nil
		return uint16(v)
	}
	ok = true
	s = socket{localPort: port(fields[1]), remotePort: port(fields[2])}
	state, err := strconv.ParseUint(fields[3], 16, 8)
	s.state = uint8(state)
	return s, fields[9], ok && err == nil
}

// Usage is what a process was measured to need.
type Usage struct {
	CPUSeconds     float64 // user and system, since its start
	AnonymousBytes int64   // resident memory of its own
	FileBytes      int64   // resident pages of files, mapped store files among them
	Threads        int
}

// UsageOf measures a process now.
func UsageOf(pid int) (Usage, error) {
	proc, err := procfs.NewProc(pid)
	if err != nil {
		return Usage{}, err
	}
	stat, err := proc.Stat()
	if err != nil {
		return Usage{}, err
	}
	status, err := proc.NewStatus()
	if err != nil {
		return Usage{}, err
	}
	return Usage{
		CPUSeconds:     stat.CPUTime(),
		AnonymousBytes: int64(status.RssAnon),
		FileBytes:      int64(status.RssFile + status.RssShmem),
		Threads:        stat.NumThreads,
	}, nil
}
