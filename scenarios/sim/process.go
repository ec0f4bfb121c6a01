package sim

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"time"

	"holdfast/broker"
	"holdfast/broker/remoting"
	"holdfast/broker/replica"
	"holdfast/broker/store"
	"holdfast/broker/vfs"
	"holdfast/scenarios/scenario"
)

// machine is a node as its driver sees it: a broker or a name server.
type machine interface {
	Step(now broker.Instant, ev *broker.Event, out *broker.Output)
	AppendReply(dst []byte, r *broker.Reply) ([]byte, error)
	Intake(addr string) *broker.Intake
}

// process is one life of a node: what package server is to a real one. It decides nothing.
type process struct {
	l       *loop
	w       *wire
	name    string
	number  uint64 // in the trace
	host    *host
	disk    *platter
	speed   *speeds
	clock   *wallClock
	machine machine
	node    *broker.Node // nil: a name server
	store   *store.Store
	seed    uint64
	stepped func() // after each Step, before anybody hears of what it decided; nil: nobody looks

	born    time.Duration
	out     broker.Output
	scratch []byte // of reply
	ended   bool
	stopped bool // in order
	failed  error
	paused  bool
	backlog []func()   // what came while it was paused
	jobs    []*diskJob // begun, and not yet at the disk
	alarm   time.Duration
	alarms  uint64
	listens []netip.AddrPort

	conns    map[broker.ConnID]*end
	peers    map[replica.ConnID]*end
	intakes  map[broker.ConnID]*intake
	streams  map[replica.ConnID][]byte // undecoded bytes of peers
	lastConn broker.ConnID
	lastPeer replica.ConnID
	lines    []*line
}

// intake is the undecoded front of a client's connection.
type intake struct {
	decoder *broker.Intake
	buf     []byte
}

// diskJob is work for the disk that has begun.
type diskJob struct {
	run  func() error
	done func(err error)
	ran  bool
	err  error
	mem  *vfs.Mem
}

// errRefusesToStart says that a store could not be opened.
var errRefusesToStart = errors.New("refuses to start")

// start opens the store and runs the node.
func (p *process) start(cfg broker.Config, layout store.Config) error {
	p.disk.mem.Unlock()
	p.disk.mem.SetTime(p.l.now)
	fsys := vfs.FS(p.disk.fs)
	if err := fsys.MkdirAll("config"); err != nil {
		return fmt.Errorf("%w: %w", errRefusesToStart, err)
	}
	// A run has few queues: with room for fewer, what a broker does with tens of thousands happens here, too.
	layout.OpenQueueFiles, layout.AuxQueues = 1+int(p.seed%4), 1+int(p.seed/4%4)
	st, recovery, err := store.Open(fsys, layout)
	if err != nil {
		return fmt.Errorf("%w: %w", errRefusesToStart, err)
	}
	p.disk.lateness() // the start of a process takes its time anyway
	p.markRecovery(&recovery)
	node, err := broker.New(cfg, st, fsys, rand.New(rand.NewPCG(p.seed, 0)))
	if err != nil {
		return fmt.Errorf("%w: %w", errRefusesToStart, err)
	}
	p.store, p.node = st, node
	p.listenTo(netip.AddrPortFrom(p.host.addr, cfg.HAAddr.Port()), p.acceptPeer)
	p.begin(node, netip.AddrPortFrom(p.host.addr, cfg.Addr.Port()))
	if p.l.trace.wanted() {
		p.l.trace.line(p.l.now, p.name, "recovered", "starts: %s", recovery.String())
	}
	return nil
}

// begin runs a machine that serves clients at an address.
func (p *process) begin(m machine, addr netip.AddrPort) {
	p.machine, p.born = m, p.l.now
	p.conns, p.peers = map[broker.ConnID]*end{}, map[replica.ConnID]*end{}
	p.intakes, p.streams = map[broker.ConnID]*intake{}, map[replica.ConnID][]byte{}
	p.listenTo(addr, p.acceptClient)
	p.step(&broker.Event{Kind: broker.KindWoke})
}

func (p *process) listenTo(addr netip.AddrPort, accept func(e *end) bool) {
	p.w.listens[addr] = &listener{host: p.host, accept: accept}
	p.listens = append(p.listens, addr)
}

// when does something as soon as the process runs: at once, when it goes on, or never.
func (p *process) when(what func()) {
	switch {
	case p.ended:
	case p.paused:
		p.backlog = append(p.backlog, what)
	default:
		what()
	}
}

func (p *process) resume() {
	p.paused = false
	backlog := p.backlog
	p.backlog = nil
	for _, what := range backlog {
		p.when(what)
	}
}

// instant is the node's view of time.
func (p *process) instant() broker.Instant {
	return broker.Instant{Mono: p.l.now - p.born + 1, Wall: p.clock.wall(p.l.now)}
}

// step hands one event to the node and does what comes out, in the order in which package server would.
func (p *process) step(ev *broker.Event) {
	if p.ended {
		return
	}
	out := &p.out
	p.machine.Step(p.instant(), ev, out)
	p.note(ev, out)
	if p.stepped != nil {
		p.stepped()
	}
	if out.Halt != nil {
		p.failed = out.Halt
		p.end(false)
		return
	}
	p.runDisk(out)
	p.reply(out.Replies)
	p.ship(out.Replica)
	for _, id := range out.Close {
		if e := p.conns[id]; e != nil {
			p.dropClient(id, e)
		}
	}
	for _, id := range out.ReplicaClose {
		if e := p.peers[id]; e != nil {
			p.dropPeer(id, e)
		}
	}
	for _, call := range slices.Clone(out.Calls) {
		p.call(call)
	}
	if out.ReplicaDial != "" {
		p.follow(out.ReplicaDial)
	}
	p.arm(out.WakeAt)
	if out.Stopped && !p.stopped {
		p.stopped = true
		p.l.after(0, func() { p.end(true) })
	}
}

// arm has the node woken at its next deadline.
func (p *process) arm(at time.Duration) {
	if at == 0 {
		return
	}
	due := p.born + at - 1
	if p.alarm != 0 && p.alarm <= due && p.alarm >= p.l.now {
		return
	}
	p.alarm = max(due, p.l.now)
	p.alarms++
	alarm := p.alarms
	p.l.at(p.alarm, func() {
		if p.alarms == alarm {
			p.when(func() {
				p.alarm = 0
				p.step(&broker.Event{Kind: broker.KindWoke})
			})
		}
	})
}

// runDisk begins what is due for the disk. It reads what it needs of out before the next Step empties it.
func (p *process) runDisk(out *broker.Output) {
	s := p.speed
	if job := out.Write; job != nil {
		p.begun(s.write, job.Run, func(err error) { p.step(&broker.Event{Kind: broker.KindWritten, Err: err}) })
	}
	if job := out.Sync; job != nil {
		p.begun(s.sync, job.Run, func(err error) {
			if err == nil {
				p.disk.synced = p.l.now
				p.disk.syncs++
			}
			p.step(&broker.Event{Kind: broker.KindSynced, Err: err})
		})
	}
	if job := out.Aux; job != nil {
		p.begun(s.sync, job.Run, func(err error) { p.step(&broker.Event{Kind: broker.KindAuxDone, Err: err}) })
	}
	if job := out.Truncate; job != nil {
		p.l.trace.mark(scenario.MarkTruncated)
		p.begun(s.sync, job.Run, func(err error) { p.step(&broker.Event{Kind: broker.KindTruncated, Err: err}) })
	}
	for _, job := range slices.Clone(out.Loads) {
		p.begun(s.write, job.Run, func(error) { p.step(&broker.Event{Kind: broker.KindLoaded, Load: job}) })
	}
	for _, save := range slices.Clone(out.Saves) {
		p.begun(s.sync, func() error { return vfs.WriteFile(p.disk.fs, save.Name, save.Bytes) },
			func(err error) { p.step(&broker.Event{Kind: broker.KindSaved, Name: save.Name, Err: err}) })
	}
}

// begun has the disk do a job and the node hear of it later. The disk does it at the first instant or at the last: a cut in between finds
// it done or not.
func (p *process) begun(took [2]time.Duration, run func() error, done func(err error)) {
	d := p.l.draw(took[0], took[1])
	j := &diskJob{run: run, done: done, mem: p.disk.mem}
	if p.l.chance(50) {
		p.do(j)
		p.l.after(d+p.disk.lateness(), func() { p.finish(j) })
		return
	}
	p.jobs = append(p.jobs, j)
	p.l.after(d, func() {
		if j.ran || j.mem != p.disk.mem || p.ended {
			return
		}
		p.do(j)
		if late := p.disk.lateness(); late > 0 {
			p.l.after(late, func() { p.finish(j) })
			return
		}
		p.finish(j)
	})
}

// do has the disk do a job now.
func (p *process) do(j *diskJob) {
	p.disk.mem.SetTime(p.l.now)
	j.ran, j.err = true, j.run()
}

func (p *process) finish(j *diskJob) {
	p.jobs = slices.DeleteFunc(p.jobs, func(other *diskJob) bool { return other == j })
	p.when(func() { j.done(j.err) })
}

// end ends the process: in order, or as SIGKILL does. What the kernel had begun for it is done, or not.
func (p *process) end(inOrder bool) {
	if p.ended {
		return
	}
	p.ended = true
	if !p.host.dark {
		for _, j := range p.jobs {
			if !j.ran && (inOrder || p.l.chance(50)) {
				p.do(j)
			}
		}
	}
	if inOrder && p.store != nil {
		p.disk.mem.SetTime(p.l.now)
		p.failed = p.store.Close()
	}
	for _, addr := range p.listens {
		delete(p.w.listens, addr)
	}
	for _, e := range slices.Clone(p.host.ends) {
		if owner, ok := e.owner.(interface{ of() *process }); ok && owner.of() == p {
			e.close()
		}
	}
	p.disk.mem.Unlock()
}

// line is the connection to another node that this one asks. It is kept open: a name server forgets a broker whose connection ends.
type line struct {
	p       *process
	addr    string
	end     *end
	dials   int
	dialing bool
	queue   []byte // frames that wait for the connection
	buf     []byte
	pending []int32 // calls that wait for an answer
}

func (k *line) of() *process { return k.p }

// Errors that a node is told of.
var (
	errNoAnswer = errors.New("no answer in time")
	errHungUp   = errors.New("the connection ended before the answer")
	errNobody   = errors.New("connection refused")
)

// call sends a request to another node and hands its outcome to this one.
func (p *process) call(call broker.Call) {
	k := p.lineTo(call.Addr)
	k.pending = append(k.pending, call.ID)
	p.l.after(call.Timeout, func() {
		if k.take(call.ID) {
			p.answer(call.ID, nil, errNoAnswer)
		}
	})
	if k.end != nil {
		k.end.send(slices.Clone(call.Frame))
		return
	}
	k.queue = append(k.queue, call.Frame...)
	if !k.dialing {
		k.dial(call.Timeout)
	}
}

func (p *process) lineTo(addr string) *line {
	for _, k := range p.lines {
		if k.addr == addr {
			return k
		}
	}
	k := &line{p: p, addr: addr}
	p.lines = append(p.lines, k)
	return k
}

func (k *line) dial(limit time.Duration) {
	to, err := netip.ParseAddrPort(k.addr)
	if err != nil {
		k.fail(err)
		return
	}
	k.dialing = true
	k.dials++
	attempt := k.dials
	over := func() bool { return k.p.ended || k.dials != attempt }
	k.p.l.after(limit, func() {
		if k.dials == attempt && k.dialing {
			k.dials++
			k.fail(errNoAnswer)
		}
	})
	k.p.w.dial(k.p.host, k, to, over, func(e *end) {
		k.dialing = false
		if e == nil {
			k.fail(errNobody)
			return
		}
		k.end, k.buf = e, nil
		e.send(k.queue)
		k.queue = nil
	})
}

// fail ends all calls that wait.
func (k *line) fail(err error) {
	k.dialing, k.end, k.queue = false, nil, nil
	pending := k.pending
	k.pending = nil
	for _, id := range pending {
		k.p.answer(id, nil, err)
	}
}

func (k *line) take(id int32) bool {
	i := slices.Index(k.pending, id)
	if i < 0 {
		return false
	}
	k.pending = slices.Delete(k.pending, i, i+1)
	return true
}

func (k *line) received(e *end, b []byte) {
	if e != k.end {
		return
	}
	k.buf = append(k.buf, b...)
	for {
		frame, size, err := remoting.Decode(k.buf)
		if err != nil {
			k.end.close()
			k.fail(err)
			return
		}
		if size == 0 {
			return
		}
		own, _, _ := remoting.Decode(slices.Clone(k.buf[:size]))
		k.buf = k.buf[size:]
		if k.take(frame.Opaque) {
			k.p.answer(own.Opaque, &own, nil)
		}
	}
}

func (k *line) hungUp(e *end) {
	if e == k.end {
		k.fail(errHungUp)
	}
}

// answer tells the node how a call ended.
func (p *process) answer(id int32, frame *remoting.Frame, err error) {
	p.when(func() { p.step(&broker.Event{Kind: broker.KindAnswered, Call: id, Frame: frame, Err: err}) })
}

// note takes a Step into the trace.
func (p *process) note(ev *broker.Event, out *broker.Output) {
	t := p.l.trace
	t.mix(uint64(p.l.now), p.number, uint64(ev.Kind), uint64(len(out.Replies)), uint64(len(out.Replica)), uint64(out.WakeAt))
	if out.Write != nil {
		t.mix(1, uint64(out.Write.Upto))
	}
	if out.Sync != nil {
		t.mix(2, uint64(out.Sync.Upto))
	}
	if ev.Kind == broker.KindSynced && len(out.Replies) > 1 {
		t.mark(scenario.MarkGroupCommit)
	}
	p.markReplies(out.Replies)
	p.markNotes(out)
	if t.wanted() {
		if text := describe(ev, out); text != "" {
			t.line(p.l.now, p.name, "step", "%s", text)
		}
	}
}

// markReplies counts the statuses that were reached, and the sends that were refused for the state of the broker.
func (p *process) markReplies(replies []broker.Reply) {
	for i := range replies {
		switch r := &replies[i]; {
		case r.Kind == broker.ReplyPut && r.Code != remoting.ResponseSuccess:
			p.l.trace.mark("answer " + remoting.ResponseName(r.Code))
		case r.Kind == broker.ReplyFrame && !r.Push:
			if f, _, err := remoting.Decode(r.Frame); err == nil && f.Code == remoting.ResponseServiceNotAvailable {
				p.l.trace.mark(markRefused)
			}
		}
	}
}

// markedNotes are remarks of nodes that stand for a state.
var markedNotes = []struct{ prefix, mark string }{
	{"slave reports", scenario.MarkSlaveBeyond},
	{"slave silent", scenario.MarkSlaveGivenUp},
	{"a slave ends at", markSlaveBelow},
	{"the disk is full", scenario.MarkDiskFull},
	{"the disk has space again", scenario.MarkDiskSpace},
	{"chunk for", scenario.MarkChunkRefused},
	{"the master is at", scenario.MarkMasterFound},
	{"name server", scenario.MarkAway},
}

func (p *process) markNotes(out *broker.Output) {
	for _, n := range out.Notes {
		for _, m := range markedNotes {
			if strings.HasPrefix(n.Text, m.prefix) {
				p.l.trace.mark(m.mark)
			}
		}
	}
	if out.Halt != nil {
		p.l.trace.mark(scenario.MarkHalted)
	}
}

// markRecovery counts what the store found.
func (p *process) markRecovery(r *store.Recovery) {
	t := p.l.trace
	t.mix(uint64(r.End), uint64(r.Trusted), uint64(r.Records), uint64(r.CutBytes))
	for _, m := range []struct {
		reached bool
		mark    string
	}{
		{r.Clean, scenario.MarkCleanClose}, {!r.Clean, scenario.MarkNotClosed}, {r.CutBytes > 0, scenario.MarkTornTail},
		{r.Rewritten > 0, scenario.MarkTailRewritten}, {r.Removed > 0, scenario.MarkFileRemoved}, {r.Rebuilt, scenario.MarkQueuesRebuilt},
	} {
		if m.reached {
			t.mark(m.mark)
		}
	}
}
