package broker

import (
	"errors"

	"holdfast/broker/remoting"
	"holdfast/broker/replica"
	"holdfast/broker/store"
)

// replicaEvent hands one event of the replication port to the replicator and does what it decides.
func (n *Node) replicaEvent(ev *replica.Event, out *Output) {
	ev.Log = n.log()
	n.repOut.Reset()
	n.replica.Step(n.now.Mono, ev, &n.repOut)
	out.Consumed = n.repOut.Consumed
	n.carryOut(out)
}

// replicate tells the replicator that the log has moved, or that its time has come.
func (n *Node) replicate(out *Output) {
	if !n.cfg.HAAddr.IsValid() && n.role == roleMaster {
		return
	}
	woke := due(n.repOut.WakeAt, n.now.Mono)
	synced := n.control != nil && n.marks.Synced != n.movedSync
	if !woke && !synced && n.marks.Written == n.moved && !n.firstStep() {
		return
	}
	n.moved, n.movedSync = n.marks.Written, n.marks.Synced
	ev := replica.Event{Kind: replica.KindMoved, Log: n.log()}
	if woke {
		ev.Kind = replica.KindWoke
	}
	n.repOut.Reset()
	n.replica.Step(n.now.Mono, &ev, &n.repOut)
	n.carryOut(out)
	n.replica.Marks(&n.marks)
}

// firstStep reports, once, that the replicator has not been stepped yet: a slave with a set address dials at once.
func (n *Node) firstStep() bool {
	first := !n.peer.started
	n.peer.started = true
	return first
}

func (n *Node) log() replica.Log {
	m := n.store.Marks()
	return replica.Log{Min: m.Min, Written: m.Written, Whole: m.Indexed, Appended: m.Appended, Synced: m.Synced, Bad: n.store.Bad() != nil, FileBytes: n.store.Config().SegmentBytes}
}

// carryOut applies what the replicator decided.
func (n *Node) carryOut(out *Output) {
	r := &n.repOut
	for _, note_ := range r.Notes {
		note(out, true, note_.Text, note_.A, note_.B)
	}
	for i := range r.Envelopes {
		n.transfer(&r.Envelopes[i], out)
	}
	out.ReplicaClose = append(out.ReplicaClose, r.Close...)
	if r.Dial != "" {
		out.ReplicaDial = r.Dial
	}
	for _, c := range r.Apply {
		if err := n.apply(c); err != nil {
			note(out, true, "chunk for %d: %v", c.At, err)
			for _, p := range n.replica.Peers(nil) {
				out.ReplicaClose = append(out.ReplicaClose, p.Conn)
			}
			break
		}
	}
	n.carryOutControlled(out)
}

// apply appends a chunk of the master's log. A log that turns out to be another one than the master's is noted once.
func (n *Node) apply(c replica.Chunk) error {
	err := n.store.AppendRaw(c.At, c.Data)
	if err != nil && errors.Is(err, store.ErrFailed) {
		n.halt("append of replicated bytes", err)
	}
	return err
}

// transfer puts an envelope out with the ranges of the log that belong behind its header.
func (n *Node) transfer(e *replica.Envelope, out *Output) {
	t := Transfer{Conn: e.Conn, Header: e.Header, Len: e.Len}
	if len(e.Body) > 0 {
		t.Ranges = append(t.Ranges, store.Range{Mem: e.Body, Len: len(e.Body)})
	}
	limit := n.store.Marks().Written
	for from, end := e.From, e.From+int64(e.Size); from < end; {
		r, ok := n.store.ReadRaw(from, limit, int(end-from))
		if !ok {
			n.halt("read of the commit log for a slave", errors.New("bytes below the written mark are not there"))
			return
		}
		t.Ranges = append(t.Ranges, r)
		from += int64(r.Len)
	}
	out.Replica = append(out.Replica, t)
}

// haStatus serves GET_BROKER_HA_STATUS. Source: DefaultHAService.getRuntimeInfo (RocketMQ 5.3.3).
func (n *Node) haStatus(c ConnID, f *remoting.Frame, out *Output) {
	h := remoting.HARuntimeInfo{Master: n.role == roleMaster}
	wall := func(mono int64) int64 { return n.now.Wall - (int64(n.now.Mono)-mono)/1_000_000 }
	for _, p := range n.replica.Peers(nil) {
		if n.role == roleSlave {
			h.Client = remoting.HAClient{
				MasterAddr: p.Addr, MaxOffset: n.marks.Written, Activated: true,
				LastReadTimestamp: wall(int64(p.LastRead)), LastWriteTimestamp: wall(int64(p.LastSent)),
			}
			continue
		}
		inSync := n.marks.Written-p.Acked < n.cfg.Choice.MaxBehind
		if inSync {
			h.InSyncSlaves++
		}
		h.Connections = append(h.Connections, remoting.HAConnection{
			Addr: p.Addr, SlaveAckOffset: p.Acked, Diff: n.marks.Written - p.Acked, InSync: inSync, TransferFromOffset: p.Next,
		})
	}
	if n.role == roleMaster {
		h.MaxOffset = n.marks.Written
	}
	n.ok(c, f, h.Append(nil), out)
}
