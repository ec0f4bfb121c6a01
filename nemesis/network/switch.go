package network

import (
	"fmt"
	"maps"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"holdfast/nemesis/power"
)

// packetSwitch is the switch process. Each device has a reader, a goroutine that takes packets and, on a lane without
// rules, hands each to its destination at once; else the rule table decides, and what must wait goes through the queue
// to the dispatcher. hosts and routes change by requests alone, which come one at a time.
type packetSwitch struct {
	line  *power.Line // nil: everybody has power
	half  time.Duration
	began time.Time
	meter meter
	pool  packets
	hosts map[string]*host

	routes atomic.Pointer[map[[4]byte]*host]

	mu    sync.Mutex // of what follows, and of the flows of all lanes
	table table
	queue *queue
	lanes map[*flow]*lane
	alarm int           // eventfd: the dispatcher is to look again
	sleep time.Duration // until when it sleeps
}

// host is one end of the network.
type host struct {
	name   string
	addr   netip.Prefix
	local  bool
	outlet uint64 // its bit of the power line, 0: none
	lanes  atomic.Pointer[map[*host]*lane]
	single bool // segments must not pass whole

	gate   sync.RWMutex // against the device's end while a packet is written to it
	device *device      // nil: unplugged
}

// lane is the way from one host to another.
type lane struct {
	from, to *host
	flow     *flow
	direct   atomic.Bool // no rule, no base delay, nothing in the queue: packets pass straight
}

func newSwitch(line *power.Line, half time.Duration) (*packetSwitch, error) {
	alarm, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	s := &packetSwitch{line: line, half: half, began: time.Now(), hosts: map[string]*host{}, lanes: map[*flow]*lane{}, queue: newQueue(), alarm: alarm, sleep: forever}
	s.routes.Store(&map[[4]byte]*host{})
	go s.meter.watch()
	go s.dispatch()
	return s, nil
}

// forever is later than any packet is due.
const forever = time.Duration(1<<63 - 1)

func (s *packetSwitch) now() time.Duration { return time.Since(s.began) }

// attach puts a new host on the network.
func (s *packetSwitch) attach(h *host, d *device) error {
	s.mu.Lock()
	s.hosts[h.name] = h
	s.lay()
	s.mu.Unlock()
	if err := s.start(h, d); err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.forget(h)
		return err
	}
	return nil
}

// lay makes the routes and lanes that the hosts need. s.mu is held.
func (s *packetSwitch) lay() {
	routes := map[[4]byte]*host{}
	for _, from := range s.hosts {
		routes[from.addr.Addr().As4()] = from
		lanes := map[*host]*lane{}
		for _, to := range s.hosts {
			if old := from.lanes.Load(); old != nil && (*old)[to] != nil {
				lanes[to] = (*old)[to]
			} else if from != to {
				l := &lane{from: from, to: to, flow: s.table.addFlow(from.name, to.name)}
				s.lanes[l.flow] = l
				s.straighten(l)
				lanes[to] = l
			}
		}
		from.lanes.Store(&lanes)
	}
	s.routes.Store(&routes)
}

// straighten makes a lane direct when nothing stands against it. s.mu is held.
func (s *packetSwitch) straighten(l *lane) {
	f := l.flow
	l.direct.Store(s.half == 0 && len(f.streams) == 0 && f.waiting == 0)
}

// start lets packets pass a host's device.
func (s *packetSwitch) start(h *host, d *device) error {
	s.mu.Lock()
	h.single = s.table.single(h.name)
	single := h.single
	s.mu.Unlock()
	if single {
		if err := d.setWhole(false); err != nil {
			d.close()
			return err
		}
	}
	h.gate.Lock()
	h.device = d
	h.gate.Unlock()
	go s.carry(h, d)
	return nil
}

// unplug takes a host's device away.
func (s *packetSwitch) unplug(h *host) {
	h.gate.Lock()
	d := h.device
	h.device = nil
	h.gate.Unlock()
	if d != nil {
		d.stop()
		d.close()
	}
}

// remove takes a host away.
func (s *packetSwitch) remove(name string) error {
	h, err := s.named(name)
	if err != nil {
		return err
	}
	s.unplug(h)
	s.purge(h)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(h)
	return nil
}

// forget takes a host out of the routes and lanes. s.mu is held.
func (s *packetSwitch) forget(h *host) {
	delete(s.hosts, h.name)
	s.table.removeHost(h.name)
	maps.DeleteFunc(s.lanes, func(_ *flow, l *lane) bool { return l.from == h || l.to == h })
	s.lay()
}
