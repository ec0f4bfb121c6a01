package broker

import (
	"bytes"
	"container/heap"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"holdfast/broker/durability"
	"holdfast/broker/remoting"
	"holdfast/broker/replica"
	"holdfast/broker/route"
	"holdfast/broker/store"
	"holdfast/broker/vfs"
)

// groupRig is three brokers and a name server with a controller in one loop: pipes with seeded delays between them, disks in
// memory, kills, power cuts and partitions. One seed gives one history.
type groupRig struct {
	t      testing.TB
	rng    *rand.Rand
	now    time.Duration
	queue  rigEvents
	seq    int
	hosts  []*rigHost // hosts[0] is the name server
	pipes  []*rigPipe
	cut    map[[2]int]bool
	boots  int64
	cfg    func(i int) Config
	ctl    route.ControllerConfig
	conns  ConnID
	trace  []string
	failed bool
	steps  int // at this instant
}

type rigEvent struct {
	at  time.Duration
	seq int
	do  func()
}

type rigEvents []rigEvent

func (q rigEvents) Len() int { return len(q) }
func (q rigEvents) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].seq < q[j].seq
}
func (q rigEvents) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *rigEvents) Push(x any)   { *q = append(*q, x.(rigEvent)) }
func (q *rigEvents) Pop() any {
	old := *q
	e := old[len(old)-1]
	*q = old[:len(old)-1]
	return e
}

// stepper is a Node or a NameServer.
type stepper interface {
	Step(now Instant, ev *Event, out *Output)
	Intake(addr string) *Intake
	AppendReply(dst []byte, r *Reply) ([]byte, error)
}

// rigHost is a machine with its disk and, while it is up, a process.
type rigHost struct {
	rig     *groupRig
	id      int
	addr    netip.AddrPort
	fs      *vfs.Mem
	machine stepper
	node    *Node // of a broker
	store   *store.Store
	boot    int64 // 0: down
	begun   time.Duration
	wake    time.Duration
	out     Output
	stopped bool
	last    []byte // the log of a host that is down, as its page cache has it
	// conns are the ends of connections of clients and of other hosts' calls: where replies go.
	conns   map[ConnID]func(frame []byte)
	callers map[int]ConnID                  // by calling host
	pending map[int32]func(*remoting.Frame) // own calls
	lastTo  map[int]time.Duration
}

// rigPipe is a connection of the replication port.
type rigPipe struct {
	ends [2]rigEnd
	dead bool
}

type rigEnd struct {
	host *rigHost
	boot int64
	conn replica.ConnID
	buf  []byte
	last time.Duration // when what was sent to it last arrives
}

func newGroupRig(t testing.TB, seed uint64, brokers int, cfg func(i int) Config) *groupRig {
	g := &groupRig{t: t, rng: rand.New(rand.NewPCG(seed, 77)), cut: map[[2]int]bool{}, cfg: cfg,
		ctl: route.ControllerConfig{ElectAfter: 300 * time.Millisecond, Lease: 250 * time.Millisecond}}
	for i := range brokers + 1 {
		h := &rigHost{rig: g, id: i, addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)}), 9876), fs: vfs.NewMem()}
		g.hosts = append(g.hosts, h)
	}
	for _, h := range g.hosts {
		h.start()
	}
	return g
}

// groupConfig is a broker of a rig: all times short.
func groupConfig(flush durability.FlushType, inSync int) Config {
	cfg := rigConfig(durability.SyncMaster, flush, durability.Holdfast, inSync)
	cfg.Choice.Controlled, cfg.Choice.SlaveTimeout, cfg.Choice.DiskTimeout = true, 400*time.Millisecond, 400*time.Millisecond
	cfg.Choice.FlushInterval, cfg.Choice.FlushThorough = 200*time.Millisecond, time.Second
	cfg.HA = replica.Config{HeartbeatInterval: 100 * time.Millisecond, Housekeeping: 400 * time.Millisecond, ReconnectInterval: 50 * time.Millisecond, BatchBytes: 300, WindowBytes: 1000}
	cfg.BeatInterval, cfg.MaxTimeBehind, cfg.CallTimeout = 80*time.Millisecond, 500*time.Millisecond, 300*time.Millisecond
	cfg.SyncInterval, cfg.SyncFirst, cfg.RegisterInterval = 200*time.Millisecond, 10*time.Millisecond, 500*time.Millisecond
	cfg.SlaveReadEnable = true
	return cfg
}

func (g *groupRig) at(after time.Duration, do func()) {
	g.seq++
	heap.Push(&g.queue, rigEvent{g.now + after, g.seq, do})
}

// run goes on for d.
func (g *groupRig) run(d time.Duration) {
	end := g.now + d
	for len(g.queue) > 0 && g.queue[0].at <= end && !g.failed {
		e := heap.Pop(&g.queue).(rigEvent)
		if g.steps++; e.at > g.now {
			g.steps = 0
		}
		if g.steps > 100_000 {
			g.fail("time does not pass")
		}
		g.now = e.at
		e.do()
	}
	g.now = end
}

func (g *groupRig) logf(format string, args ...any) {
	if len(g.trace) > 4000 {
		g.trace = g.trace[2000:]
	}
	g.trace = append(g.trace, fmt.Sprintf("%12v ", g.now)+fmt.Sprintf(format, args...))
}

func (g *groupRig) fail(format string, args ...any) {
	if g.failed {
		return
	}
	g.failed = true
	tail := g.trace[max(0, len(g.trace)-400):]
	for _, line := range tail {
		g.t.Log(line)
	}
	g.t.Errorf(format, args...)
}

func (g *groupRig) delay(most time.Duration) time.Duration {
	return time.Duration(1 + g.rng.Int64N(int64(most)))
}

func (g *groupRig) reaches(a, b int) bool { return !g.cut[[2]int{a, b}] }

// start boots the process of h.
func (h *rigHost) start() {
	g := h.rig
	g.boots++
	h.boot, h.begun, h.wake, h.stopped = g.boots, g.now, 0, false
	h.conns, h.callers, h.lastTo = map[ConnID]func([]byte){}, map[int]ConnID{}, map[int]time.Duration{}
	h.pending = map[int32]func(*remoting.Frame){}
	h.fs.Unlock()
	if err := h.fs.MkdirAll("config"); err != nil {
		g.t.Fatal(err)
	}
	if h.id == 0 {
		if err := h.fs.SyncDir("."); err != nil {
			g.t.Fatal(err)
		}
		ns, err := NewController(route.DefaultConfig(), g.ctl, h.fs)
		if err != nil {
			g.t.Fatal(err)
		}
		h.machine = ns
	} else {
		st, r, err := store.Open(h.fs, store.Config{SegmentBytes: 4096, QueueFileBytes: 400, ChunkBytes: 1024, HotBytes: 2000, HotUnits: 16,
			CheckpointEvery: 50 * time.Millisecond, QueueSyncEvery: 200 * time.Millisecond})
		if err != nil {
			g.fail("host %d: open: %v", h.id, err)
			return
		}
		cfg := g.cfg(h.id)
		cfg.Addr, cfg.HAAddr = h.addr, netip.AddrPortFrom(h.addr.Addr(), 9877)
		cfg.Controller, cfg.NameServers, cfg.Incarnation = g.hosts[0].addr.String(), []string{g.hosts[0].addr.String()}, h.boot
		node, err := New(cfg, st, h.fs, rand.New(rand.NewPCG(uint64(h.boot), 5)))
		if err != nil {
			g.t.Fatal(err)
		}
		h.machine, h.node, h.store = node, node, st
		g.logf("host %d starts as process %d: %v, epochs %v", h.id, h.boot, r, node.control.replica.Epochs())
	}
	h.step(&Event{Kind: KindWoke})
}

// down ends the process; power loses what no sync covered, and nobody hears of it.
func (h *rigHost) down(power bool) {
	g := h.rig
	if h.boot == 0 {
		return
	}
	g.logf("host %d goes down, power %t", h.id, power)
	if h.node != nil && h.store != nil {
		h.last = g.logBytes(h.id, h.store)
		h.store.Abandon()
	}
	h.boot, h.node, h.machine = 0, nil, nil
	if power {
		h.fs = h.fs.Crash(g.rng, vfs.Loss{Names: vfs.Ext4})
	}
	for _, p := range g.pipes {
		for i := range p.ends {
			if p.ends[i].host == h && !p.dead {
				p.dead = true
				if other := &p.ends[1-i]; !power {
					g.hangUp(other)
				}
			}
		}
	}
	for _, other := range g.hosts {
		if c, ok := other.callers[h.id]; ok {
			delete(other.callers, h.id)
			if boot := other.boot; !power {
				g.at(g.delay(time.Millisecond), func() { other.stepIf(boot, &Event{Kind: KindClosed, Conn: c}) })
			}
		}
	}
}

// logBytes returns what a log has been written.
func (g *groupRig) logBytes(host int, st *store.Store) (b []byte) {
	for end := st.Marks().Written; int64(len(b)) < end; {
		r, ok := st.ReadRaw(int64(len(b)), end, 1<<20)
		if !ok {
			g.fail("host %d: nothing at %d", host, len(b))
			return b
		}
		var err error
		if b, err = r.AppendTo(b); err != nil {
			g.fail("host %d: %v", host, err)
			return b
		}
	}
	return b
}

func (g *groupRig) hangUp(e *rigEnd) {
	host, boot, conn := e.host, e.boot, e.conn
	g.at(max(0, e.last-g.now)+g.delay(time.Millisecond), func() {
		host.stepIf(boot, &Event{Kind: KindReplica, Replica: replica.Event{Kind: replica.KindClosed, Conn: conn}})
	})
}

func (h *rigHost) instant() Instant {
	return Instant{Mono: h.rig.now - h.begun + 1, Wall: 1_700_000_000_000 + h.rig.now.Milliseconds()}
}

// stepIf steps the process that it was meant for.
func (h *rigHost) stepIf(boot int64, ev *Event) {
	if h.boot == boot && boot != 0 {
		h.step(ev)
	}
}

// step hands an event over and plans what follows from it.
func (h *rigHost) step(ev *Event) {
	g, out := h.rig, &h.out
	h.machine.Step(h.instant(), ev, out)
	boot := h.boot
	after := func(most time.Duration, ev func() *Event) {
		g.at(g.delay(most), func() {
			if h.boot == boot {
				h.step(ev())
			}
		})
	}
	if out.Halt != nil {
		g.fail("host %d halts: %v", h.id, out.Halt)
		return
	}
	for _, n := range out.Notes {
		g.logf("host %d: %s", h.id, n.Text)
	}
	if j := out.Write; j != nil {
		after(300*time.Microsecond, func() *Event { return &Event{Kind: KindWritten, Err: j.Run()} })
	}
	if j := out.Sync; j != nil {
		after(5*time.Millisecond, func() *Event { return &Event{Kind: KindSynced, Err: j.Run()} })
	}
	if j := out.Aux; j != nil {
		after(2*time.Millisecond, func() *Event { return &Event{Kind: KindAuxDone, Err: j.Run()} })
	}
	if j := out.Truncate; j != nil {
		g.logf("host %d truncates to %d", h.id, j.To)
		after(5*time.Millisecond, func() *Event { return &Event{Kind: KindTruncated, Err: j.Run()} })
	}
	for _, j := range out.Loads {
		after(time.Millisecond, func() *Event { j.Run(); return &Event{Kind: KindLoaded, Load: j} })
	}
	for _, s := range out.Saves {
		after(5*time.Millisecond, func() *Event { return &Event{Kind: KindSaved, Name: s.Name, Err: vfs.WriteFile(h.fs, s.Name, s.Bytes)} })
	}
	for _, c := range out.Calls {
		g.call(h, boot, c)
	}
	for i := range out.Replies {
		h.reply(&out.Replies[i])
	}
	for i := range out.Replica {
		g.ship(h, &out.Replica[i])
	}
	for _, c := range out.ReplicaClose {
		g.close(h, c)
	}
	if out.ReplicaDial != "" {
		g.dial(h, boot, out.ReplicaDial)
	}
	h.stopped = out.Stopped
	if at := h.begun + out.WakeAt - 1; out.WakeAt != 0 && (h.wake == 0 || at < h.wake || h.wake <= g.now) {
		h.wake = max(at, g.now)
		due := h.wake
		g.at(due-g.now, func() {
			if h.boot == boot && h.wake == due {
				h.wake = 0
				h.step(&Event{Kind: KindWoke})
			}
		})
	}
}

func (h *rigHost) reply(r *Reply) {
	to := h.conns[r.Conn]
	if to == nil {
		return
	}
	frame, err := h.machine.AppendReply(nil, r)
	if err != nil {
		h.rig.fail("host %d: %v", h.id, err)
		return
	}
	to(frame)
}

func (g *groupRig) hostAt(addr string) *rigHost {
	ap := netip.MustParseAddrPort(addr)
	for _, h := range g.hosts {
		if h.addr.Addr() == ap.Addr() {
			return h
		}
	}
	return nil
}

// call carries a request of one host to another, and its answer back.
func (g *groupRig) call(h *rigHost, boot int64, c Call) {
	answered := false
	answer := func(f *remoting.Frame, err error) {
		if !answered {
			answered = true
			h.stepIf(boot, &Event{Kind: KindAnswered, Call: c.ID, Frame: f, Err: err})
		}
	}
	g.at(c.Timeout, func() { answer(nil, errDisk) })
	to := g.hostAt(c.Addr)
	arrive := max(g.now+g.delay(2*time.Millisecond), h.lastTo[to.id]+1)
	h.lastTo[to.id] = arrive
	g.at(arrive-g.now, func() {
		switch {
		case !g.reaches(h.id, to.id), h.boot != boot:
			return
		case to.boot == 0:
			answer(nil, errDisk)
			return
		}
		conn, ok := to.callers[h.id]
		if !ok {
			conn = g.callConn(h, to)
		}
		h.pending[c.ID] = func(f *remoting.Frame) {
			g.at(g.delay(2*time.Millisecond), func() {
				if g.reaches(to.id, h.id) {
					answer(f, nil)
				}
			})
		}
		to.receive(conn, c.Frame)
	})
}

// callConn makes the connection over which h calls to.
func (g *groupRig) callConn(h, to *rigHost) ConnID {
	g.conns++
	to.callers[h.id] = g.conns
	boot := h.boot
	to.conns[g.conns] = func(frame []byte) {
		f, _, err := remoting.Decode(bytes.Clone(frame))
		if err != nil {
			g.fail("reply: %v", err)
			return
		}
		if answered := h.pending[f.Opaque]; h.boot == boot && answered != nil {
			delete(h.pending, f.Opaque)
			answered(&f)
		}
	}
	return g.conns
}

func (h *rigHost) receive(conn ConnID, frame []byte) {
	in := h.machine.Intake("10.0.0.9:1000")
	requests, _, err := in.Decode(bytes.Clone(frame))
	if err != nil {
		h.rig.fail("host %d: %v", h.id, err)
		return
	}
	h.step(&Event{Kind: KindReceived, Conn: conn, Requests: requests})
}

// request is a client's request to a host; done gets the answer, nil when there is none in time.
func (g *groupRig) request(h *rigHost, code int32, fields func(*remoting.Writer), body []byte, done func(f *remoting.Frame)) {
	g.conns++
	conn, answered := g.conns, false
	finish := func(f *remoting.Frame) {
		if !answered {
			answered = true
			done(f)
		}
	}
	w := remoting.Begin(nil, &remoting.Frame{Code: code, Opaque: int32(conn), Version: remoting.Version, Language: remoting.Go})
	if fields != nil {
		fields(&w)
	}
	frame := w.Finish(body)
	g.at(time.Second, func() { finish(nil) })
	g.at(g.delay(time.Millisecond), func() {
		if h.boot == 0 {
			return
		}
		h.conns[conn] = func(frame []byte) {
			f, _, err := remoting.Decode(bytes.Clone(frame))
			if err != nil {
				g.fail("reply: %v", err)
				return
			}
			finish(&f) // at the instant at which it leaves: a power cut may follow before it arrives
		}
		h.receive(conn, frame)
	})
}

func (g *groupRig) dial(h *rigHost, boot int64, addr string) {
	to := g.hostAt(addr)
	g.at(g.delay(2*time.Millisecond), func() {
		if h.boot != boot {
			return
		}
		if to.boot == 0 || !g.reaches(h.id, to.id) || !g.reaches(to.id, h.id) {
			h.step(&Event{Kind: KindReplica, Replica: replica.Event{Kind: replica.KindRefused}})
			return
		}
		g.conns += 2
		p := &rigPipe{ends: [2]rigEnd{{host: h, boot: boot, conn: replica.ConnID(g.conns)}, {host: to, boot: to.boot, conn: replica.ConnID(g.conns + 1)}}}
		g.conns++
		g.pipes = append(g.pipes, p)
		to.step(&Event{Kind: KindReplica, Replica: replica.Event{Kind: replica.KindConnected, Conn: p.ends[1].conn, Addr: h.addr.String()}})
		h.stepIf(boot, &Event{Kind: KindReplica, Replica: replica.Event{Kind: replica.KindConnected, Conn: p.ends[0].conn, Addr: addr, Dialed: true}})
	})
}

func (g *groupRig) pipe(h *rigHost, c replica.ConnID) (p *rigPipe, own, other *rigEnd) {
	for _, p := range g.pipes {
		for i := range p.ends {
			if p.ends[i].host == h && p.ends[i].conn == c {
				return p, &p.ends[i], &p.ends[1-i]
			}
		}
	}
	return nil, nil, nil
}

// ship carries bytes to the other end, cut anywhere.
func (g *groupRig) ship(h *rigHost, t *Transfer) {
	p, own, other := g.pipe(h, t.Conn)
	if p == nil || p.dead {
		return
	}
	b := bytes.Clone(t.Header[:t.Len])
	for _, r := range t.Ranges {
		var err error
		if b, err = r.AppendTo(b); err != nil {
			g.fail("host %d: read of the log for a peer: %v", h.id, err)
			return
		}
	}
	if conn, boot := own.conn, own.boot; len(t.Ranges) > 0 {
		g.at(g.delay(500*time.Microsecond), func() {
			h.stepIf(boot, &Event{Kind: KindReplica, Replica: replica.Event{Kind: replica.KindDrained, Conn: conn}})
		})
	}
	for len(b) > 0 {
		part := b[:1+g.rng.IntN(len(b))]
		b = b[len(part):]
		other.last = max(other.last+1, g.now+g.delay(2*time.Millisecond))
		g.at(other.last-g.now, func() {
			if p.dead || !g.reaches(h.id, other.host.id) {
				return // a partition for good: what is lost breaks the connection when it is noticed
			}
			other.buf = append(other.buf, part...)
			if other.host.boot != other.boot {
				return
			}
			other.host.step(&Event{Kind: KindReplica, Replica: replica.Event{Kind: replica.KindReceived, Conn: other.conn, Data: other.buf}})
			other.buf = append([]byte(nil), other.buf[min(len(other.buf), other.host.out.Consumed):]...)
		})
	}
}

func (g *groupRig) close(h *rigHost, c replica.ConnID) {
	p, own, other := g.pipe(h, c)
	if p == nil || p.dead {
		return
	}
	p.dead = true
	g.hangUp(own)
	if g.reaches(h.id, other.host.id) {
		g.hangUp(other)
	}
}

// isolate cuts both ways between a and b, or heals; what a healed connection missed ends it.
func (g *groupRig) isolate(a, b int, cut bool) {
	g.logf("hosts %d and %d: cut %t", a, b, cut)
	g.cut[[2]int{a, b}], g.cut[[2]int{b, a}] = cut, cut
	if cut {
		return
	}
	for _, p := range g.pipes {
		if x, y := p.ends[0].host.id, p.ends[1].host.id; !p.dead && (x == a && y == b || x == b && y == a) {
			p.dead = true
			g.hangUp(&p.ends[0])
			g.hangUp(&p.ends[1])
		}
	}
}

// masters returns the brokers that serve as a master.
func (g *groupRig) masters() (all []*rigHost) {
	for _, h := range g.hosts[1:] {
		if h.boot != 0 && h.node.role == roleMaster && !h.node.stopping && !h.node.control.fenced(h.instant().Mono) {
			all = append(all, h)
		}
	}
	return all
}
