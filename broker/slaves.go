package broker

import (
	"holdfast/broker/remoting"
	"holdfast/broker/replica"
)

// asksOfSlaves serves what a slave of Apache RocketMQ 5 asks of its master beside the tables, and reports whether f is that. Timer
// messages and request modes do not exist here: the answers are those of a master that has none.
// Source: SlaveSynchronize, AdminBrokerProcessor, QueryAssignmentProcessor (RocketMQ 5.5.0).
func (n *Node) asksOfSlaves(c ConnID, f *remoting.Frame, out *Output) bool {
	switch f.Code {
	case remoting.RequestGetAllMessageRequestMode:
		n.ok(c, f, remoting.AppendNoRequestModes(nil), out)
	case remoting.RequestGetTimerCheckPoint:
		n.refuse(c, f, remoting.ResponseSystemError, "The checkpoint is null", out)
	case remoting.RequestGetTimerMetrics:
		n.refuse(c, f, remoting.ResponseSystemError, "The timer message store is null", out)
	case remoting.RequestExchangeBrokerHAInfo:
		n.exchangeHA(c, f, out)
	default:
		return false
	}
	return true
}

// exchangeHA serves EXCHANGE_BROKER_HA_INFO: a slave is told where its master is, a master says where it is. A broker under a
// controller follows the controller alone. Source: AdminBrokerProcessor.updateBrokerHaInfo (RocketMQ 5.5.0).
func (n *Node) exchangeHA(c ConnID, f *remoting.Frame, out *Output) {
	h, err := remoting.ParseHAInfo(f.Ext)
	if err != nil {
		n.refuse(c, f, remoting.ResponseSystemError, err.Error(), out)
		return
	}
	var answer remoting.HAInfo
	switch {
	case h.MasterHAAddr != "":
		if n.role == roleSlave && n.control == nil {
			n.followMaster(h.MasterAddr, h.MasterHAAddr, out)
		}
	case n.role == roleMaster:
		answer = remoting.HAInfo{MasterAddr: n.cfg.Addr.String(), MasterFlushOffset: n.openedAt, HasFlushOffset: true}
		if n.cfg.HAAddr.IsValid() {
			answer.MasterHAAddr = n.cfg.HAAddr.String()
		}
	}
	if !f.IsOneway() {
		w := remoting.BeginReply(nil, f, remoting.ResponseSuccess)
		answer.Append(&w)
		n.answer(c, f, out, w.Finish(nil))
	}
}

// followMaster has a slave copy from the master that is named; an empty address is none that is known.
func (n *Node) followMaster(addr, haAddr string, out *Output) {
	if addr != "" && addr != n.peer.addr {
		n.peer.addr = addr
		note(out, false, "the master is at %s, its replication port at %s", addr, haAddr)
	}
	if haAddr != "" && haAddr != n.peer.haAddr && n.cfg.HA.MasterAddr == "" {
		n.peer.haAddr = haAddr
		n.replicaEvent(&replica.Event{Kind: replica.KindMaster, Addr: haAddr}, out)
	}
}
