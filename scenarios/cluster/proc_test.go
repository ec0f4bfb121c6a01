package cluster

import (
	"net"
	"os"
	"strings"
	"testing"
)

func TestFreePorts(t *testing.T) {
	seen := map[uint16]bool{}
	for range 3 { // groups that start side by side
		nameServer, brokers, err := freePorts(localhost, 2)
		if err != nil {
			t.Fatal(err)
		}
		ports := []uint16{nameServer}
		for _, b := range brokers {
			ports = append(ports, b-fastPortBelow, b, b+haPortAbove)
		}
		for _, p := range ports {
			if seen[p] {
				t.Errorf("port %d twice in %v", p, ports)
			}
			if p >= 32768 { // one that dials a dead port of that range again and again is in the end connected to itself
				t.Errorf("port %d may be given to an outgoing connection", p)
			}
			seen[p] = true
		}
		if err := assertFree("a-0", localhost, ports); err != nil {
			t.Error(err)
		}
	}
}

func TestPortsInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).AddrPort().Port()
	if err := assertFree("a-0", localhost, []uint16{port}); err == nil || !strings.Contains(err.Error(), "needed by a-0, is in use") {
		t.Errorf("got %v, want the port in use", err)
	}
	if err := listens(os.Getpid(), port); err != nil {
		t.Errorf("this process: %v", err)
	}
	if err := listens(os.Getppid(), port); err == nil {
		t.Error("another process is taken for the one that listens")
	}
	if got, err := connected(os.Getpid(), port); got || err != nil {
		t.Errorf("connected before it is: %v, %v", got, err)
	}
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := connected(os.Getpid(), port); !got || err != nil {
		t.Errorf("not connected: %v, %v", got, err)
	}
	if err := listens(os.Getpid(), c.LocalAddr().(*net.TCPAddr).AddrPort().Port()); err == nil {
		t.Error("a connection is taken for a listener")
	}
	c.Close()
	l.Close()
	if err := listens(os.Getpid(), port); err == nil {
		t.Error("listens after the end")
	}
}

func TestParseSocket(t *testing.T) {
	for _, row := range []struct {
		line  string
		want  socket
		inode string
		ok    bool
	}{
		{"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode", socket{}, "", false},
		{"   0: 0100007F:2694 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 31337 1 0000 100", socket{tcpListen, 9876, 0}, "31337", true},
		{"  12: 0000000000000000FFFF00000100007F:A2C4 0000000000000000FFFF00000100007F:2AA0 01 00000000:00000000 00:00000000 00000000  1000        0 7 1", socket{tcpEstablished, 41668, 10912}, "7", true},
		{"   0: 0100007F 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 31337", socket{tcpListen, 0, 0}, "31337", false},
		{"", socket{}, "", false},
	} {
		got, inode, ok := parseSocket(row.line)
		if ok != row.ok || ok && (got != row.want || inode != row.inode) {
			t.Errorf("%q: got %+v %q %v, want %+v %q %v", row.line, got, inode, ok, row.want, row.inode, row.ok)
		}
	}
}

func TestUsageOf(t *testing.T) {
	u, err := UsageOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if u.AnonymousBytes < 1<<20 || u.FileBytes < 1<<20 || u.AnonymousBytes > 1<<32 || u.Threads < 2 {
		t.Errorf("got %+v, want the memory and threads of a Go process", u)
	}
	if _, err := UsageOf(-1); err == nil {
		t.Error("a process that is not there was measured")
	}
}
