package sim

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"holdfast/nemesis/network/rule"
)

// wire is the network: hosts, the ways between them and the rules that are in force. A lost packet is a late one, as TCP makes it; a
// partition lets bytes wait; the end of a process resets its connections, and the end of its power says nothing to anybody.
type wire struct {
	l       *loop
	hosts   []*host
	ways    []way // from * len(hosts) + to
	latency [2]time.Duration
	ends    uint64 // connections' ends ever
	listens map[netip.AddrPort]*listener
}

// host is a machine. Its connections do not survive a boot.
type host struct {
	index int
	name  string
	addr  netip.Addr
	dark  bool // without power
	boot  int
	life  int    // processes that began here: what an earlier one had sent is discarded, as the packet switch does
	ends  []*end // open, by age
}

// way is one direction between two hosts.
type way struct {
	rules []*ruleInForce
	held  []*end // that wait until the way is open
}

type ruleInForce struct {
	rule.Rule
	packets int64
	until   time.Duration // rate: the time at which what was admitted has passed
}

type listener struct {
	host   *host
	accept func(e *end) bool
}

// endpoint is who owns an end of a connection.
type endpoint interface {
	received(e *end, b []byte)
	hungUp(e *end)
}

// end is one side of a connection.
type end struct {
	w        *wire
	id       uint64
	host     *host
	boot     int // of the host, when it was made
	life     int // likewise
	peer     *end
	owner    endpoint
	number   uint64        // the owner's
	closed   bool          // by this side, or by a reset
	last     time.Duration // when the last chunk sent arrives
	waiting  [][]byte      // chunks that the way does not let through; nil is the end of the stream
	flying   int           // bytes sent and not arrived
	thirsty  func()        // called once when there is room again
	listed   bool          // among the held ends of its way
	resetDue bool
}

const (
	mtu          = 1448
	retransmit   = 200 * time.Millisecond // the least timeout of TCP
	sendBuffer   = 256 << 10
	synRetry     = time.Second
	retryMax     = 2 * time.Second
	reorderGives = 3 * time.Millisecond
)

func newWire(l *loop, names []string, latency [2]time.Duration) *wire {
	w := &wire{l: l, latency: latency, listens: map[netip.AddrPort]*listener{}}
	for i, name := range names {
		w.hosts = append(w.hosts, &host{index: i, name: name, addr: netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)})})
	}
	w.ways = make([]way, len(names)*len(names))
	return w
}

func (w *wire) way(from, to *host) *way { return &w.ways[from.index*len(w.hosts)+to.index] }

// cut reports whether nothing passes the way, and counts what is stopped.
func (y *way) cut(packets int64) bool {
	stopped := false
	for _, r := range y.rules {
		if r.Drop || r.Clog {
			r.packets += packets
			stopped = true
		}
	}
	return stopped
}

// delay is what the rules of the way add to a chunk.
func (w *wire) delay(y *way, size int) time.Duration {
	l, total := w.l, time.Duration(0)
	packets := int64((size + mtu - 1) / mtu)
	for _, r := range y.rules {
		if r.Delay > 0 && r.Reorder == 0 {
			r.packets += packets
			total += max(0, l.draw(r.Delay-r.Jitter, r.Delay+r.Jitter))
		}
		for range packets {
			switch {
			case r.Loss > 0 && l.rng.Float64()*100 < r.Loss:
				r.packets++
				total += retransmit << min(l.rng.IntN(2), 1)
			case r.Duplicate > 0 && l.rng.Float64()*100 < r.Duplicate:
				r.packets++ // the second copy is dropped by the receiver
			case r.Reorder > 0 && l.rng.Float64()*100 < r.Reorder:
				r.packets++
				total += l.draw(0, max(r.Delay, reorderGives))
			}
		}
		if r.Rate > 0 {
			r.packets += packets
			r.until = max(r.until, l.now) + time.Duration(int64(size)*int64(time.Second)/r.Rate)
			total += r.until - l.now
		}
	}
	return total
}

// hop draws how long a packet is on its way.
func (w *wire) hop(from, to *host) time.Duration {
	if from == to {
		return w.l.draw(w.latency[0]/4, w.latency[0]/2)
	}
	return w.l.draw(w.latency[0], w.latency[1])
}

// newEnd makes one side of a connection.
func (w *wire) newEnd(h *host, owner endpoint) *end {
	w.ends++
	e := &end{w: w, id: w.ends, host: h, boot: h.boot, life: h.life, owner: owner}
	h.ends = append(h.ends, e)
	return e
}

// dial connects owner, on host from, to an address: answer is called with the end, or with nil when the connection was refused. It is never
// called when nobody answers. The attempt ends when over says so.
func (w *wire) dial(from *host, owner endpoint, to netip.AddrPort, over func() bool, answer func(e *end)) {
	target := w.hostOf(to.Addr())
	if over() || target == nil || from.dark {
		return
	}
	if w.way(from, target).cut(1) || w.way(target, from).cut(0) || target.dark {
		w.l.after(synRetry, func() { w.dial(from, owner, to, over, answer) })
		return
	}
	w.l.after(w.hop(from, target)+w.delay(w.way(from, target), 1), func() { w.syn(from, owner, to, over, answer) })
}

// syn arrives at the target.
func (w *wire) syn(from *host, owner endpoint, to netip.AddrPort, over func() bool, answer func(e *end)) {
	target := w.hostOf(to.Addr())
	if target.dark || from.dark {
		w.l.after(synRetry, func() { w.dial(from, owner, to, over, answer) })
		return
	}
	back := w.hop(target, from)
	listener := w.listens[to]
	if listener == nil {
		w.l.after(back, func() {
			if !over() {
				answer(nil)
			}
		})
		return
	}
	near, far := w.newEnd(from, owner), w.newEnd(target, nil)
	near.peer, far.peer = far, near
	far.last = w.l.now + back // nothing overtakes the answer
	if !listener.accept(far) {
		near.forget()
		far.forget()
		w.l.after(back, func() {
			if !over() {
				answer(nil)
			}
		})
		return
	}
	w.l.after(back, func() {
		switch {
		case over():
			near.close()
		case near.closed:
			answer(nil)
		default:
			answer(near)
		}
	})
}

func (w *wire) hostOf(a netip.Addr) *host {
	for _, h := range w.hosts {
		if h.addr == a {
			return h
		}
	}
	return nil
}

// send gives bytes to the kernel of the end's host; they are the connection's from now on.
func (e *end) send(b []byte) {
	if e.closed || len(b) == 0 {
		return
	}
	e.flying += len(b)
	e.push(b)
}

// push sends a chunk, or lets it wait. nil is the end of the stream.
func (e *end) push(b []byte) {
	w := e.w
	y := w.way(e.host, e.peer.host)
	if len(e.waiting) > 0 {
		y.cut(int64(len(b)/mtu + 1))
		e.waiting = append(e.waiting, b)
		return
	}
	switch {
	case e.host.dark:
		return // whoever runs there is dead, too
	case y.cut(int64(len(b)/mtu + 1)), e.peer.host.dark:
		e.waiting = append(e.waiting, b)
		if !e.listed {
			e.listed = true
			y.held = append(y.held, e)
		}
		return
	}
	arrives := max(w.l.now+w.hop(e.host, e.peer.host)+w.delay(y, len(b)), e.last+1)
	e.last = arrives
	if t := w.l.trace; t.keep {
		t.moves = append(t.moves, Move{At: w.l.now, Node: e.host.name, To: e.peer.host.name, Till: arrives, Kind: "message", Text: fmt.Sprintf("%d bytes", len(b))})
	}
	w.l.at(arrives, func() { e.arrive(b) })
}

// arrive hands a chunk to the peer.
func (e *end) arrive(b []byte) {
	p := e.peer
	if p.host.dark || p.boot != p.host.boot { // the packet finds nobody, or a machine that knows nothing of it
		if !p.host.dark {
			e.reset()
		}
		return
	}
	if b != nil && (e.host.dark || e.life != e.host.life) {
		return
	}
	e.flying -= len(b)
	if e.thirsty != nil && e.flying < sendBuffer/2 {
		call := e.thirsty
		e.thirsty = nil
		call()
	}
	if p.closed {
		if b != nil {
			e.reset() // sent to a socket that is closed
		}
		return
	}
	if b == nil {
		p.forget()
		p.owner.hungUp(p)
		return
	}
	e.w.l.trace.bytes(e.w.l.now, p.id, b)
	p.owner.received(p, b)
}

// reset tells the owner, a hop later, that the peer's machine does not know the connection.
func (e *end) reset() {
	if e.closed || e.resetDue {
		return
	}
	e.resetDue = true
	e.w.l.after(e.w.hop(e.peer.host, e.host), func() {
		if !e.closed && !e.host.dark && e.boot == e.host.boot {
			e.forget()
			e.owner.hungUp(e)
		}
	})
}

// close ends the connection from this side, as the end of the process does: what was sent before arrives before.
func (e *end) close() {
	if e.closed {
		return
	}
	e.forget()
	e.push(nil)
}

// forget takes the end off its host.
func (e *end) forget() {
	e.closed = true
	if i := slices.Index(e.host.ends, e); i >= 0 {
		e.host.ends = slices.Delete(e.host.ends, i, i+1)
	}
}

// full reports whether the kernel takes nothing more; then room is called once when it does.
func (e *end) full(room func()) bool {
	if e.flying < sendBuffer {
		return false
	}
	e.thirsty = room
	return true
}

// open lets what waits on a way go on, a retransmission later, if nothing keeps it.
func (w *wire) open(from, to *host) {
	y := w.way(from, to)
	held := y.held
	y.held = nil
	for _, e := range held {
		e.listed = false
		w.l.after(w.l.draw(0, retryMax), e.flush)
	}
}

// flush sends what has waited.
func (e *end) flush() {
	waiting := e.waiting
	e.waiting = nil
	for _, b := range waiting {
		e.push(b)
	}
}

// set puts rules in force, and returns what ends them and how many packets they met.
func (w *wire) set(rules []rule.Rule) (clear func() int64) {
	var mine []*ruleInForce
	for _, r := range rules {
		in := &ruleInForce{Rule: r}
		mine = append(mine, in)
		w.each(in, func(y *way) { y.rules = append(y.rules, in) })
	}
	return func() int64 {
		packets := int64(0)
		for _, in := range mine {
			packets += in.packets
			w.each(in, func(y *way) { y.rules = slices.DeleteFunc(y.rules, func(r *ruleInForce) bool { return r == in }) })
		}
		for _, from := range w.hosts {
			for _, to := range w.hosts {
				w.open(from, to)
			}
		}
		return packets
	}
}

// each calls f with every way that a rule is for.
func (w *wire) each(r *ruleInForce, f func(y *way)) {
	for _, from := range w.hosts {
		for _, to := range w.hosts {
			if from != to && (len(r.From) == 0 || slices.Contains(r.From, from.name)) && (len(r.To) == 0 || slices.Contains(r.To, to.name)) {
				f(w.way(from, to))
			}
		}
	}
}

// blackout takes a host's power: its connections are gone, and nobody is told.
func (w *wire) blackout(h *host) {
	h.dark = true
	for _, e := range h.ends {
		e.closed = true
	}
	h.ends = nil
}

// boot gives a host its power back.
func (w *wire) boot(h *host) {
	h.dark = false
	h.boot++
	for _, from := range w.hosts {
		w.open(from, h)
	}
}
