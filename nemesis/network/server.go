package network

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"holdfast/nemesis/power"
)

// The environment by which a process knows that it is a child of this package.
const (
	roleEnv    = "HOLDFAST_NETWORK_ROLE"
	roleServer = "switch"
	rttEnv     = "HOLDFAST_NETWORK_RTT"   // ns
	powerEnv   = "HOLDFAST_NETWORK_POWER" // set: there is a power line
)

// What the client passes on.
const (
	controlFD = 3
	powerFD   = 4
)

// Main runs this process as a switch if it was started as one: then ok is true, and code is what to exit with. main and
// TestMain call it before anything else.
func Main() (code int, ok bool) {
	if os.Getenv(roleEnv) != roleServer {
		return 0, false
	}
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, "network:", err)
		return 1, true
	}
	return 0, true
}

// serve answers requests until the client's end of the socket closes. The end of the process takes the devices away.
func serve() error {
	// The client decides when the network ends: an interrupt meant for the runner must not take its network away.
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGTSTP)
	unix.CloseOnExec(controlFD)
	// Every device's reader may run when it has a packet: that the kernel's scheduler decides, not Go's.
	runtime.GOMAXPROCS(runtime.NumCPU() + readersMax)
	rtt, err := strconv.ParseInt(os.Getenv(rttEnv), 10, 64)
	if err != nil {
		return fmt.Errorf("%s: %w", rttEnv, err)
	}
	var line *power.Line
	if os.Getenv(powerEnv) != "" {
		unix.CloseOnExec(powerFD)
		if line, err = power.Inherit(os.NewFile(powerFD, "power")); err != nil {
			return err
		}
	}
	conn, err := controlConn(os.NewFile(controlFD, "control"))
	if err != nil {
		return err
	}
	s, err := newSwitch(line, time.Duration(rtt)/2)
	if err != nil {
		return err
	}
	for {
		var r request
		if _, err := receiveValue(conn, &r); err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
				return nil
			}
			return fmt.Errorf("control socket: %w", err)
		}
		a, file, err := s.do(r)
		if err != nil {
			a.Error = err.Error()
		}
		err = sendValue(conn, a, file)
		if file != nil {
			file.Close()
		}
		if err != nil && !errors.Is(err, syscall.EPIPE) { // a client that has gone is noticed by the next receive
			return fmt.Errorf("control socket: %w", err)
		}
	}
}

// readersMax is how many readers may run at once beside what the processors run.
const readersMax = 16

// do carries out a request.
func (s *packetSwitch) do(r request) (reply, *os.File, error) {
	var a reply
	var file *os.File
	var err error
	switch r.Op {
	case opPing:
	case opHost, opLocal:
		file, err = s.add(r)
	case opRemove:
		err = s.remove(r.Host)
	case opRenew:
		file, err = s.renew(r.Host)
	case opDiscard:
		a.Packets, err = s.discard(r.Host)
	case opSet:
		a.ID, err = s.set(*r.Rule)
	case opClear:
		a.Counters, err = s.clear(r.ID)
	case opCounters:
		a.Counters, err = s.counters(r.ID)
	case opStats:
		a.Stats = s.stats()
	default:
		err = fmt.Errorf("unknown operation %q", r.Op)
	}
	return a, file, err
}

// add makes a host and its device.
func (s *packetSwitch) add(r request) (*os.File, error) {
	addr := r.Addr.Addr()
	switch {
	case r.Host == "":
		return nil, errors.New("a host without a name")
	case s.hosts[r.Host] != nil:
		return nil, fmt.Errorf("there is a host %q already", r.Host)
	case !addr.Is4() || r.Addr.Bits() > 31:
		return nil, fmt.Errorf("address %v: want one of IPv4 in a subnet", r.Addr)
	case s.at(addr) != nil:
		return nil, fmt.Errorf("host %q has the address %v already", s.at(addr).name, addr)
	case r.Outlet < -1 || r.Outlet >= power.Outlets:
		return nil, fmt.Errorf("outlet %d: want -1 to %d", r.Outlet, power.Outlets-1)
	}
	h := &host{name: r.Host, addr: r.Addr, local: r.Op == opLocal}
	if r.Outlet >= 0 {
		h.outlet = power.Mask(r.Outlet)
	}
	d, netns, err := s.plug(h)
	if err != nil {
		return nil, err
	}
	if err := s.attach(h, d); err != nil {
		d.close()
		if netns != nil {
			netns.Close()
		}
		return nil, err
	}
	return netns, nil
}

// plug makes a device for a host: in this namespace for a local one, else in a new one.
func (s *packetSwitch) plug(h *host) (*device, *os.File, error) {
	if h.local {
		d, err := openDevice("hf%d", h.addr)
		return d, nil, err
	}
	type made struct {
		d     *device
		netns *os.File
		err   error
	}
	result := make(chan made)
	go func() { // a thread that cannot return from the namespace ends with this goroutine
		d, netns, err := newNamespace(h.addr)
		result <- made{d, netns, err}
	}()
	m := <-result
	return m.d, m.netns, m.err
}

// renew gives a host a new device in a new namespace.
func (s *packetSwitch) renew(name string) (*os.File, error) {
	h, err := s.named(name)
	if err != nil {
		return nil, err
	}
	if h.local {
		return nil, fmt.Errorf("host %q is not in a namespace of its own", name)
	}
	s.unplug(h)
	s.purge(h)
	d, netns, err := s.plug(h)
	if err != nil {
		return nil, err
	}
	if err := s.start(h, d); err != nil {
		netns.Close()
		return nil, err
	}
	return netns, nil
}

// named returns the host of that name.
func (s *packetSwitch) named(name string) (*host, error) {
	h := s.hosts[name]
	if h == nil {
		return nil, fmt.Errorf("there is no host %q", name)
	}
	return h, nil
}

// at returns the host that has an address, or nil.
func (s *packetSwitch) at(addr netip.Addr) *host {
	return (*s.routes.Load())[addr.As4()]
}
