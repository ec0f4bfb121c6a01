package server

import (
	"time"

	"holdfast/broker"
	"holdfast/broker/replica"
	"holdfast/broker/store"
)

// stepper is what one goroutine needs to step the node and to do what came out. Its slices are reused.
type stepper struct {
	s      *Server
	drain  []*conn // outboxes that this goroutine has to empty
	ship   []*peer
	close  []*conn
	hangUp []*peer
	write  *store.WriteJob
	sync   *store.SyncJob
	aux    *store.AuxJob
	cut    *store.TruncateJob
	loads  []*store.LoadJob
	calls  []broker.Call
	saves  []broker.Save
	dial   string
	notes  []broker.Note

	consumed int
	replies  []byte // scratch of the drainer
	follow   *stepper
	handOff  bool // transfers are left to the writers of their peers
}

func (s *Server) newStepper() *stepper { return &stepper{s: s} }

// step hands one event to the node and does what comes out; disk jobs are left to their threads.
func (st *stepper) step(ev *broker.Event) {
	st.decide(ev)
	st.carryOut()
}

// stepReceived is step for a goroutine that reads a socket and has nothing better to do than the write that its own burst
// made due: a change of threads costs more than the write. A second write is the write thread's, so that nobody is kept
// from reading for long. A sync that is due is returned: who waits for it may run it, too (see conn.sync).
func (st *stepper) stepReceived(ev *broker.Event) (used int, sync *store.SyncJob) {
	st.decide(ev)
	write := st.write
	st.write, used = nil, st.consumed
	if write == nil {
		sync, st.sync = st.sync, nil
		st.carryOut()
		return used, sync
	}
	st.carryOut()
	st.decide(&broker.Event{Kind: broker.KindWritten, Err: write.Run()})
	sync, st.sync = st.sync, nil
	st.carryOut()
	return used, sync
}

// decide runs one Step under the lock and takes its output apart: everything that has an order is appended to an outbox
// while the lock is held.
func (st *stepper) decide(ev *broker.Event) {
	s := st.s
	st.reset()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed != nil || s.closing {
		return
	}
	at := s.now()
	s.node.Step(at, ev, &s.out)
	out := &s.out
	st.notes = append(st.notes, out.Notes...)
	if out.Halt != nil {
		s.failLocked(out.Halt)
		return
	}
	s.post(st, out)
	st.write, st.sync, st.aux, st.cut = out.Write, out.Sync, out.Aux, out.Truncate
	st.loads = append(st.loads, out.Loads...)
	st.calls = append(st.calls, out.Calls...)
	st.saves = append(st.saves, out.Saves...)
	st.dial, st.consumed = out.ReplicaDial, out.Consumed
	s.arm(out.WakeAt)
	if out.Stopped && !s.stopped {
		s.stopped = true
		close(s.done)
	}
	if len(ev.Requests) > 0 {
		s.holds.add(time.Since(s.begun)-at.Mono, len(ev.Requests))
	}
}

// post moves replies and transfers to the outboxes; an outbox that had no drainer gets this goroutine.
func (s *Server) post(st *stepper, out *broker.Output) {
	for i := range out.Replies {
		r := &out.Replies[i]
		if c := s.conns.get(r.Conn); c != nil && c.post(r) {
			st.drain = append(st.drain, c)
		}
	}
	for i := range out.Replica {
		if p := s.peers.get(out.Replica[i].Conn); p != nil && p.post(&out.Replica[i]) {
			st.ship = append(st.ship, p)
		}
	}
	for _, id := range out.Close {
		if c := s.conns.get(id); c != nil {
			st.close = append(st.close, c)
		}
	}
	for _, id := range out.ReplicaClose {
		if p := s.peers.get(id); p != nil {
			st.hangUp = append(st.hangUp, p)
		}
	}
}

// shipTo writes what waits for a peer if the kernel takes it at once, and tells the node; the batch that this makes due, and
// whatever does not fit, is left to the peer's own writer, so that nobody is kept from reading.
func (st *stepper) shipTo(p *peer) {
	if st.handOff {
		p.wake()
		return
	}
	if p.tryShip() {
		if st.follow == nil {
			st.follow = st.s.newStepper()
			st.follow.handOff = true
		}
		st.follow.step(p.event(replica.KindDrained, "", nil))
	}
}

func (st *stepper) reset() {
	st.drain, st.ship, st.close, st.hangUp = st.drain[:0], st.ship[:0], st.close[:0], st.hangUp[:0]
	st.loads, st.calls, st.saves, st.notes = st.loads[:0], st.calls[:0], st.saves[:0], st.notes[:0]
	st.write, st.sync, st.aux, st.cut, st.dial, st.consumed = nil, nil, nil, nil, "", 0
}

// carryOut does what decide left to be done, what others wait for longest first.
func (st *stepper) carryOut() {
	s := st.s
	if st.write != nil {
		s.disk.write <- st.write
	}
	if st.sync != nil {
		s.disk.sync <- st.sync
	}
	if st.aux != nil {
		s.disk.aux <- st.aux
	}
	if job := st.cut; job != nil {
		s.spawn(func() { s.truncate(job) })
	}
	for _, p := range st.ship {
		st.shipTo(p)
	}
	for _, c := range st.drain {
		st.replies = c.drain(st.replies)
	}
	for _, c := range st.close {
		c.close()
	}
	for _, p := range st.hangUp {
		p.close()
	}
	for _, job := range st.loads {
		s.spawn(func() { s.load(job) })
	}
	for _, save := range st.saves {
		s.spawn(func() { s.save(save) })
	}
	for _, call := range st.calls {
		s.spawn(func() { s.calls.do(call) })
	}
	if st.dial != "" {
		addr := st.dial
		s.spawn(func() { s.follow(addr) })
	}
	for _, n := range st.notes {
		if n.Bad {
			s.log.Warn(n.Text)
		} else {
			s.log.Info(n.Text)
		}
	}
}

// arm sets the timer to the node's next deadline. A timer that fires too early costs a Step that finds nothing; setting
// it anew for every put would cost more.
func (s *Server) arm(at time.Duration) {
	if at == 0 || s.armed != 0 && s.armed <= at || s.closing {
		return
	}
	s.armed = at
	s.timer.Reset(time.Until(s.begun.Add(at)))
}

func (s *Server) woke() {
	s.mu.Lock()
	s.armed = 0
	closing := s.closing
	if !closing {
		s.workers.Add(1) // before Close can wait for the workers
	}
	s.mu.Unlock()
	if !closing {
		defer s.workers.Done()
		s.newStepper().step(&broker.Event{Kind: broker.KindWoke})
	}
}
