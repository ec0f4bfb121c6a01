package broker

import (
	"fmt"
	"time"

	"holdfast/broker/remoting"
	"holdfast/broker/replica"
	"holdfast/broker/vfs"
)

// membership is a broker's place in a group under a controller.
type membership struct {
	replica    *replica.Controlled
	id         int64 // that the controller gave; 0: not yet
	clean      bool  // the store had been closed when it was opened
	registered bool  // the controller knows this process
	// leaseUntil is until when this node may serve as a master: the controller elects no other before. It counts from when the
	// heartbeat was sent that the controller answered.
	leaseUntil time.Duration
	lapsed     bool  // the lease is over, and clients have been told
	syncTo     int64 // sync this much of the log soon, whatever the flush policy
}

// cutting is a truncation of the log. Until it has ended no other job is handed out.
type cutting struct {
	wanted, running bool
	to              int64
}

// join makes the replicator of a node that has a controller. A node begins as a slave of nobody.
func (n *Node) join(fsys vfs.FS) error {
	var identity replica.Identity
	if err := loadFile(fsys, epochsFile, replica.ParseIdentity, &identity); err != nil {
		return err
	}
	if !n.cfg.HAAddr.IsValid() {
		return fmt.Errorf("%w: a controller needs a replication port", ErrConfig)
	}
	if n.cfg.Incarnation == 0 {
		return fmt.Errorf("%w: Incarnation is 0", ErrConfig)
	}
	cfg := replica.ControlledConfig{Config: n.cfg.HA, Incarnation: n.cfg.Incarnation, MaxLag: n.cfg.MaxTimeBehind,
		Joins: n.contract.ReadConfirmed, InSync: 1}
	if cfg.Joins {
		cfg.InSync = n.contract.Ack.Replicas + 1
	}
	r, err := replica.NewControlled(cfg, identity.Epochs.Upto(n.store.Marks().Indexed))
	if err != nil {
		return err
	}
	n.role, n.replica = roleSlave, r
	n.control = &membership{replica: r, id: identity.ID, clean: n.store.Opened().Clean}
	return nil
}

// brokerID returns the id to register at name servers with: 0 for the master; below 0 as long as there is none.
func (n *Node) brokerID() int64 {
	switch {
	case n.control == nil:
		return n.cfg.BrokerID
	case n.role == roleMaster:
		return 0
	case n.control.id == 0 || !n.control.registered:
		return -1
	}
	return n.control.id
}

// fenced reports that a master's lease is over: another may be elected.
func (m *membership) fenced(now time.Duration) bool { return m != nil && now >= m.leaseUntil }

// lapse returns when the lease will be over, 0 when that is no matter.
func (m *membership) lapse() time.Duration {
	if m == nil || m.lapsed {
		return 0
	}
	return m.leaseUntil
}

// behind reports that this node does not know all that is acknowledged: under a controller all but the master, while its
// lease lasts.
func (n *Node) behind() bool {
	return n.control != nil && (n.role == roleSlave || n.control.fenced(n.now.Mono))
}

// turnAway answers a pull that would miss what the master may have.
func (n *Node) turnAway(p *poll, out *Output) {
	out.Replies = append(out.Replies, Reply{Conn: p.conn, Kind: ReplyFrame,
		Frame: remoting.AppendReply(nil, p.form, remoting.ResponseSystemBusy, p.opaque, "not the master", nil)})
}

// turnAwayAll answers all parked pulls.
func (n *Node) turnAwayAll(out *Output) {
	for _, p := range n.polls.heap {
		if p.parked {
			n.polls.unpark(p)
			n.turnAway(p, out)
		}
	}
	n.polls.sweep()
	n.arrivals.clear()
}

// attend does what the membership asks for by the clock: heartbeats, and the end of the lease.
func (n *Node) attend(out *Output) {
	m := n.control
	if m == nil {
		return
	}
	if due(n.next.beat, n.now.Mono) {
		n.beat(out)
	}
	if n.role == roleMaster && m.fenced(n.now.Mono) && !m.lapsed {
		m.lapsed = true
		note(out, true, "the controller %s was not reached in time: nothing is accepted until it is", n.cfg.Controller)
		n.turnAwayAll(out)
	}
}

// beat shows the controller that this node lives, or who it is.
func (n *Node) beat(out *Output) {
	n.next.beat = n.now.Mono + n.cfg.BeatInterval
	m := n.control
	code := remoting.RequestBrokerHeartbeat
	if !m.registered {
		code = remoting.RequestControllerRegisterBroker
	}
	if n.stopping {
		return
	}
	if p := n.calls.pendingFor(code, n.cfg.Controller); p != nil {
		p.again = true
		return
	}
	log := n.log()
	h := remoting.NodeHeader{
		BrokerHeader: remoting.BrokerHeader{BrokerName: n.cfg.BrokerName, BrokerAddr: n.cfg.clientAddr(), ClusterName: n.cfg.ClusterName, BrokerID: m.id},
		HAAddr:       n.cfg.slaveAddr(), Incarnation: n.cfg.Incarnation, Clean: m.clean, Alone: !n.contract.ReadConfirmed,
	}
	h.Epoch, h.MaxOffset = m.replica.Reached(&log)
	h.Version = m.replica.View().Version
	n.call(n.cfg.Controller, code, h.Append, nil, out)
}

// controllerAnswered takes the controller's answer.
func (n *Node) controllerAnswered(ev *Event, p *pendingCall, failed bool, out *Output) {
	m := n.control
	if m == nil {
		return
	}
	if p.again {
		n.next.beat = n.now.Mono
	}
	if !failed {
		s, err := remoting.ParseSyncState(ev.Frame.Ext)
		if err == nil {
			n.told(&s, p, out)
			return
		}
		note(out, true, "the controller's answer: %v", err)
	}
	switch {
	case p.code == remoting.RequestControllerAlterSyncStateSet:
		n.replicaEvent(&replica.Event{Kind: replica.KindRefusedSet}, out)
		n.next.beat = n.now.Mono // it may have been another's view that was out of date
	case ev.Err == nil && ev.Frame.Code == remoting.ResponseControllerBrokerNeedToBeRegistered:
		m.registered, n.next.beat = false, n.now.Mono
	}
}

// told takes what the controller says. The lease counts from when it was asked; an answer to another request gives none.
func (n *Node) told(s *remoting.SyncState, p *pendingCall, out *Output) {
	m := n.control
	if p.code == remoting.RequestControllerRegisterBroker {
		first := !m.registered
		m.registered = true
		if m.id != s.BrokerID {
			m.id = s.BrokerID
			n.saveIdentity(out)
		}
		if first {
			n.register(out)
		}
	}
	if p.code != remoting.RequestControllerAlterSyncStateSet && s.MasterID == m.id && m.id != 0 {
		m.leaseUntil = max(m.leaseUntil, p.sent+time.Duration(s.LeaseMS)*time.Millisecond)
		m.lapsed = m.fenced(n.now.Mono)
	}
	n.look(s, out)
}

// roleChanged serves NOTIFY_BROKER_ROLE_CHANGED: the controller tells of an election at once. The lease comes with the
// heartbeat that follows. What is for an earlier process of this node, which the controller did not know to be dead, is refused: it
// may have had a log that this one has lost.
func (n *Node) roleChanged(c ConnID, f *remoting.Frame, out *Output) {
	s, err := remoting.ParseSyncState(f.Ext)
	if n.control == nil || err != nil || !n.control.registered || s.BrokerID != n.control.id || !n.meant(&s) {
		n.refuse(c, f, remoting.ResponseSystemError, "not a replica of this controller", out)
		return
	}
	n.look(&s, out)
	n.ok(c, f, nil, out)
	n.beat(out)
}

// meant reports whether a view is of this process, and not of an earlier one of its node.
func (n *Node) meant(s *remoting.SyncState) bool {
	for _, m := range s.Members {
		if m.ID == n.control.id {
			return m.Incarnation == n.cfg.Incarnation
		}
	}
	return true
}

// look hands a view to the replicator.
func (n *Node) look(s *remoting.SyncState, out *Output) {
	v := replica.View{ID: n.control.id, Epoch: s.MasterEpoch, Version: s.Version, Master: s.MasterID, MasterHA: s.MasterHAAddr}
	for _, m := range s.Members {
		v.Set = append(v.Set, replica.Member(m))
	}
	n.replicaEvent(&replica.Event{Kind: replica.KindView, View: v}, out)
	if now := n.control.replica.View(); now.Epoch == s.MasterEpoch && s.MasterID != n.control.id {
		n.peer.addr = s.MasterAddr
	}
}

// carryOutControlled applies what only a Controlled decides.
func (n *Node) carryOutControlled(out *Output) {
	r := &n.repOut
	if n.control == nil {
		return
	}
	if r.Cut {
		n.cut.wanted, n.cut.to = true, r.Truncate
	}
	if r.Save {
		n.saveEpochs(r.Epochs, out)
	}
	n.control.syncTo = max(n.control.syncTo, r.SyncTo)
	if r.Ask != nil {
		n.ask(r.Ask, out)
	}
	switch role := n.replica.Role(); {
	case role == replica.RoleMaster && n.role == roleSlave:
		n.enthroned(out)
	case role == replica.RoleSlave && n.role == roleMaster:
		n.deposed(out)
	}
}

// syncWanted reports that more is to be synced than the flush policy asks for.
func (n *Node) syncWanted() bool { return n.control != nil && n.control.syncTo > n.marks.Synced }

func (n *Node) saveIdentity(out *Output) { n.saveEpochs(n.control.replica.Epochs(), out) }

func (n *Node) saveEpochs(epochs replica.Epochs, out *Output) {
	i := replica.Identity{ID: n.control.id, Epochs: epochs}
	n.save(epochsFile, i.Append(nil), out)
}

// epochsSaved goes on when the newest epochs are durable. A node that cannot save them can neither lead nor follow.
func (n *Node) epochsSaved(err error, out *Output) {
	if err != nil {
		n.halt("save of "+epochsFile, err)
		return
	}
	n.replicaEvent(&replica.Event{Kind: replica.KindSaved}, out)
}

func (n *Node) ask(r *replica.SetRequest, out *Output) {
	h := remoting.AlterSyncStateSetHeader{BrokerName: n.cfg.BrokerName, MasterID: n.control.id, MasterEpoch: r.Epoch, Version: r.Version, Confirmed: r.Confirmed}
	for _, m := range r.Members {
		h.Members = append(h.Members, remoting.SyncMember(m))
	}
	n.call(n.cfg.Controller, remoting.RequestControllerAlterSyncStateSet, h.Append, nil, out)
}

// truncate hands the truncation out once every other job has ended.
func (n *Node) truncate(out *Output) {
	if n.cut.running || n.writing || n.syncing || n.auxing {
		return
	}
	j, err := n.store.TakeTruncate(n.cut.to)
	if err != nil {
		n.halt("truncation", err)
		return
	}
	out.Truncate, n.cut.running = j, true
	n.cut.to = int64(j.Gen)
}

// truncated goes on with a log that was cut.
func (n *Node) truncated(err error, out *Output) {
	n.store.Truncated(int32(n.cut.to), err)
	n.cut = cutting{}
	if err != nil {
		n.halt("truncation", err)
		return
	}
	n.refreshMarks()
	n.control.syncTo = 0
	n.arrivals.clear()
	n.moved, n.movedSync = n.marks.Written, n.marks.Synced
	n.replicaEvent(&replica.Event{Kind: replica.KindTruncated}, out)
}

// enthroned begins to serve as the master: the epoch is durable.
func (n *Node) enthroned(out *Output) {
	n.role = roleMaster
	n.peer.addr = ""
	for _, q := range n.store.Queues() {
		n.adopt(q) // of topics that the last master had not told of yet
		if q.Topic() == scheduleTopic {
			if _, err := n.queue(n.scheduled(), q.ID()); err != nil {
				n.halt("queues of delayed messages", err)
			}
		}
	}
	n.topics.version.StateVersion = int64(n.replica.Epoch()) // a name server that has a registration of an older master prefers this
	n.refreshMarks()
	n.delayed.restart(n.scheduled())
	n.readMark = -1
	n.register(out)
	n.beat(out)
}

// deposed ends to serve as the master. What waits for its acknowledgement may be kept by the next master, or cut off.
func (n *Node) deposed(out *Output) {
	n.role = roleSlave
	note(out, true, "no longer the master: %d sends are answered that their outcome is not known", n.waiters.len())
	out.Replies = n.waiters.giveUp(remoting.ResponseSystemError, out.Replies)
	n.turnAwayAll(out)
	n.delayed.restart(n.scheduled())
	n.control.leaseUntil, n.control.lapsed = 0, false
	n.refreshMarks()
	n.next.sync = n.now.Mono + n.cfg.SyncFirst
	n.register(out)
}
