package network

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"holdfast/nemesis/power"
	"holdfast/scenarios/cluster/sandbox"
)

// impossible says why the tests cannot make namespaces; nil when they run in a sandbox.
var impossible error

func TestMain(m *testing.M) {
	if code, ok := Main(); ok {
		os.Exit(code)
	}
	if code, ok := sandbox.Main(); ok {
		os.Exit(code)
	}
	if err := os.Setenv("GORACE", "atexit_sleep_ms=0 "+os.Getenv("GORACE")); err != nil { // else each switch takes a second to end
		panic(err)
	}
	if act := os.Getenv(actEnv); act != "" {
		os.Exit(runAct(act))
	}
	if !sandbox.Inside() {
		if impossible = sandbox.Probe(); impossible == nil {
			code, err := sandbox.Enter()
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				code = 1
			}
			os.Exit(code)
		}
	}
	os.Exit(m.Run())
}

// rig is a switch with hosts.
type rig struct {
	t     testing.TB
	c     *Client
	line  *power.Line
	names []string
	spaces
}

// spaces are the namespaces of hosts.
type spaces map[string]*os.File

// patience bounds what a test waits for when it fails.
const patience = 5 * time.Second

// newRig starts a switch with hosts at 10.0.0.1, 10.0.0.2, ..., plugged in at outlets 0, 1, ...
func newRig(t testing.TB, cfg Config, names ...string) *rig {
	t.Helper()
	if impossible != nil {
		t.Skip(impossible)
	}
	line, err := power.New()
	if err != nil {
		t.Fatal(err)
	}
	cfg.Power = line
	c, err := Start(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, c: c, line: line, names: names, spaces: spaces{}}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		for _, ns := range r.spaces {
			ns.Close()
		}
		if err := line.Close(); err != nil {
			t.Error(err)
		}
	})
	for i, name := range names {
		ns, err := c.AddHost(name, netip.PrefixFrom(r.addr(name), 24), i)
		if err != nil {
			t.Fatal(err)
		}
		r.spaces[name] = ns
	}
	return r
}

func (r *rig) addr(name string) netip.Addr {
	for i, n := range r.names {
		if n == name {
			return netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)})
		}
	}
	r.t.Fatalf("no host %q", name)
	return netip.Addr{}
}

// in calls f on a thread in the host's namespace. Sockets that f makes stay there.
func (r *rig) in(name string, f func() error) {
	r.t.Helper()
	if err := within(r.spaces[name], f); err != nil {
		r.t.Fatalf("in %s: %v", name, err)
	}
}

// udp returns a socket of the host, at a port of the kernel's choice.
func (r *rig) udp(name string) *net.UDPConn {
	r.t.Helper()
	c, err := listenWithin(r.spaces[name], r.addr(name))
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	return c
}

// listen returns a TCP listener of the host.
func (r *rig) listen(name string) *net.TCPListener {
	r.t.Helper()
	var l *net.TCPListener
	r.in(name, func() (err error) {
		l, err = net.ListenTCP("tcp4", &net.TCPAddr{IP: r.addr(name).AsSlice()})
		return err
	})
	r.t.Cleanup(func() { l.Close() })
	return l
}

// tcp returns both ends of a connection.
func (r *rig) tcp(from, to string) (dialed, accepted *net.TCPConn) {
	r.t.Helper()
	l := r.listen(to)
	r.in(from, func() error {
		c, err := net.DialTimeout("tcp4", l.Addr().String(), patience)
		if err == nil {
			dialed = c.(*net.TCPConn)
		}
		return err
	})
	accepted, err := l.AcceptTCP()
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { dialed.Close(); accepted.Close() })
	return dialed, accepted
}

func (r *rig) set(rule Rule) RuleID {
	r.t.Helper()
	id, err := r.c.Set(rule)
	if err != nil {
		r.t.Fatal(err)
	}
	return id
}

func (r *rig) clear(id RuleID) Counters {
	r.t.Helper()
	c, err := r.c.Clear(id)
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

// checksumErrors returns how many packets with a wrong checksum the host's kernel has seen.
func (r *rig) checksumErrors(name string) int {
	r.t.Helper()
	sum := 0
	r.in(name, func() error {
		b, err := os.ReadFile("/proc/thread-self/net/snmp")
		if err != nil {
			return err
		}
		var header []string
		for line := range strings.Lines(string(b)) {
			fields := strings.Fields(line)
			if header == nil {
				header = fields
				continue
			}
			for i, name := range header {
				if name == "InCsumErrors" {
					n, err := strconv.Atoi(fields[i])
					if err != nil {
						return err
					}
					sum += n
				}
			}
			header = nil
		}
		return nil
	})
	return sum
}

// udpHere returns a socket in the namespace of the tests.
func (r *rig) udpHere(addr netip.Addr) *net.UDPConn {
	r.t.Helper()
	c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, 0)))
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}
