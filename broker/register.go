package broker

import (
	"time"

	"holdfast/broker/remoting"
)

// callTable is the requests to other nodes that have not been answered.
type callTable struct {
	last    int32
	pending []pendingCall
}

type pendingCall struct {
	id     int32
	code   int32
	addr   string
	again  bool  // what was sent is out of date: to be sent again when answered
	change int64 // of a registration: the last change of the topic table that is in it
	sent   time.Duration
}

func (t *callTable) len() int { return len(t.pending) }

// take removes and returns the call that was answered.
func (t *callTable) take(id int32) (pendingCall, bool) {
	for i, p := range t.pending {
		if p.id == id {
			t.pending = append(t.pending[:i], t.pending[i+1:]...)
			return p, true
		}
	}
	return pendingCall{}, false
}

func (t *callTable) pendingFor(code int32, addr string) *pendingCall {
	for i := range t.pending {
		if p := &t.pending[i]; p.code == code && p.addr == addr {
			return p
		}
	}
	return nil
}

// call sends a request to another node. One request of a code is outstanding for an address.
func (n *Node) call(addr string, code int32, fields func(*remoting.Writer), body []byte, out *Output) {
	n.calls.last++
	id := n.calls.last
	w := remoting.Begin(nil, &remoting.Frame{Code: code, Opaque: id, Version: remoting.Version, Language: remoting.Go})
	if fields != nil {
		fields(&w)
	}
	n.calls.pending = append(n.calls.pending, pendingCall{id: id, code: code, addr: addr, sent: n.now.Mono})
	timeout := n.cfg.CallTimeout
	if n.control != nil && addr == n.cfg.Controller {
		timeout = min(timeout, n.cfg.BeatInterval)
	}
	if n.stopping {
		timeout = min(timeout, farewellTimeout)
	}
	out.Calls = append(out.Calls, Call{ID: id, Addr: addr, Frame: w.Finish(body), Timeout: timeout})
}

// master is what a slave knows of its master.
type master struct {
	addr    string // where clients reach it
	haAddr  string // where slaves reach it
	started bool
}

// register tells every name server what this broker has: every RegisterInterval, and at once when topics change.
// Source: BrokerController.registerBrokerAll (RocketMQ 5.3.3).
func (n *Node) register(out *Output) {
	if n.stopping || n.stats.boot == 0 || n.brokerID() < 0 {
		n.next.register = 0
		return
	}
	n.next.register = n.now.Mono + n.cfg.RegisterInterval
	if n.role == roleSlave && n.peer.addr == "" {
		n.next.register = n.now.Mono + min(n.cfg.RegisterInterval, registerRetry) // it hears of its master this way only
	}
	for _, addr := range n.cfg.NameServers {
		n.registerAt(addr, out)
	}
}

// registerAt tells one name server, now or as soon as it has answered the last registration. Which one is to be told again
// is kept for each: kept for all together, two name servers that answer in turn were told again for ever.
func (n *Node) registerAt(addr string, out *Output) {
	if p := n.calls.pendingFor(remoting.RequestRegisterBroker, addr); p != nil {
		p.again = true
		return
	}
	h := remoting.RegisterBrokerHeader{
		BrokerName: n.cfg.BrokerName, BrokerAddr: n.cfg.clientAddr(), ClusterName: n.cfg.ClusterName, BrokerID: n.brokerID(),
		HAServerAddr: n.cfg.slaveAddr(),
	}
	body := remoting.RegisterBrokerBody{Topics: n.topics.table()}
	for i := range body.Topics.Topics {
		body.Topics.Topics[i].Perm = permitted(body.Topics.Topics[i].Perm, n.cfg.Permission)
	}
	n.call(addr, remoting.RequestRegisterBroker, h.Append, body.Append(nil), out)
	n.calls.pending[len(n.calls.pending)-1].change = n.topics.changes
}

// permitted returns a topic's perm as routes tell it: with what the broker permits. Source: BrokerController.registerBrokerAll (5.3.3).
func permitted(perm, broker int32) int32 {
	if all := remoting.PermRead | remoting.PermWrite; broker&all == all {
		return perm
	}
	return perm & broker
}

// farewellTimeout bounds what a broker that stops waits for a name server that may be gone.
const farewellTimeout = 500 * time.Millisecond

// unregisterBroker takes the broker off the name servers, so that clients need not wait for its connection to break.
func (n *Node) unregisterBroker(out *Output) {
	if n.brokerID() < 0 {
		return
	}
	h := remoting.BrokerHeader{BrokerName: n.cfg.BrokerName, BrokerAddr: n.cfg.clientAddr(), ClusterName: n.cfg.ClusterName, BrokerID: n.brokerID()}
	for _, addr := range n.cfg.NameServers {
		n.call(addr, remoting.RequestUnregisterBroker, h.Append, nil, out)
	}
}

// registerRetry is the pause before a name server that could not be reached is tried again, unless the regular
// registration comes first: a name server may start after its brokers.
const registerRetry = time.Second

// answered takes the answer of another node.
func (n *Node) answered(ev *Event, out *Output) {
	p, ok := n.calls.take(ev.Call)
	if !ok {
		return
	}
	if ev.Err == nil && ev.Frame.Code != remoting.ResponseSuccess {
		note(out, true, "%s answers %s: %s %s", p.addr, remoting.RequestName(p.code), remoting.ResponseName(ev.Frame.Code), ev.Frame.Remark)
	}
	failed := ev.Err != nil || ev.Frame.Code != remoting.ResponseSuccess
	switch p.code {
	case remoting.RequestRegisterBroker:
		n.toldUpTo[p.addr] = p.change // or it was not to be told
		n.registered(ev, &p, failed, out)
		n.releaseHeld(false, out)
	case remoting.RequestGetAllTopicConfig:
		n.masterTopics(ev, failed, out)
	case remoting.RequestGetAllConsumerOffset:
		n.masterOffsets(ev, failed)
	case remoting.RequestGetAllDelayOffset:
		n.masterDelays(ev, failed)
	case remoting.RequestGetAllSubscriptionGroupConfig:
		n.masterGroups(ev, failed, out)
	case remoting.RequestControllerRegisterBroker, remoting.RequestBrokerHeartbeat, remoting.RequestControllerAlterSyncStateSet:
		n.controllerAnswered(ev, &p, failed, out)
	}
}

// registered takes a name server's answer; a slave learns its master from it.
func (n *Node) registered(ev *Event, p *pendingCall, failed bool, out *Output) {
	if failed {
		if ev.Err != nil && !n.away[p.addr] {
			note(out, true, "name server %s was not reached, clients cannot find this broker there; tried again every %v: %v", p.addr, registerRetry, ev.Err)
		}
		n.away[p.addr] = true
		n.next.register = min(n.next.register, n.now.Mono+registerRetry)
		return
	}
	if n.away[p.addr] {
		delete(n.away, p.addr)
		note(out, true, "name server %s was reached: registered", p.addr)
	}
	if n.role == roleSlave && n.control == nil {
		reply := remoting.ParseRegisterBrokerReply(ev.Frame.Ext)
		n.followMaster(reply.MasterAddr, reply.HAServerAddr, out)
	}
	if p.again && !n.stopping {
		n.registerAt(p.addr, out)
	}
}

// synchronise copies topics, groups and offsets from the master.
// Source: SlaveSynchronize.syncAll (RocketMQ 5.3.3).
func (n *Node) synchronise(out *Output) {
	n.next.sync = n.now.Mono + n.cfg.SyncInterval
	if n.role == roleMaster {
		n.next.sync = 0
		return
	}
	if n.peer.addr == "" {
		n.next.sync = n.now.Mono + min(n.cfg.SyncInterval, time.Second)
		return
	}
	for _, code := range []int32{remoting.RequestGetAllTopicConfig, remoting.RequestGetAllSubscriptionGroupConfig, remoting.RequestGetAllConsumerOffset,
		remoting.RequestGetAllDelayOffset} {
		if n.calls.pendingFor(code, n.peer.addr) == nil {
			n.call(n.peer.addr, code, nil, nil, out)
		}
	}
}

// masterTopics makes the topics those of the master: what was deleted there is forgotten here.
// Source: SlaveSynchronize.syncTopicConfig (RocketMQ 5.3.3).
func (n *Node) masterTopics(ev *Event, failed bool, out *Output) {
	if failed || n.role == roleMaster {
		return
	}
	table, err := remoting.ParseTopicTable(ev.Frame.Body)
	if err != nil || table.DataVersion == n.topics.version {
		return
	}
	for _, name := range missing(n.topics.sorted, table.Topics, func(t *topic) string { return t.conf.Name }, func(c remoting.TopicConfig) string { return c.Name }) {
		if !IsSystemTopic(name) {
			n.forgetTopic(name, out)
		}
	}
	for _, c := range table.Topics {
		if len(n.topics.sorted) < n.cfg.Limits.Topics && max(c.ReadQueues, c.WriteQueues) <= n.cfg.Limits.Queues {
			n.topics.put(c)
		}
	}
	n.topics.version = table.DataVersion
	own := n.topics.table()
	n.save(topicsFile, own.Append(nil), out)
	n.register(out)
}

// missing returns the names in own that are not among those of the master.
func missing[O, M any](own []O, master []M, ownName func(O) string, masterName func(M) string) (names []string) {
	there := make(map[string]bool, len(master))
	for _, m := range master {
		there[masterName(m)] = true
	}
	for _, o := range own {
		if name := ownName(o); !there[name] {
			names = append(names, name)
		}
	}
	return names
}

// masterGroups makes the groups those of the master.
func (n *Node) masterGroups(ev *Event, failed bool, out *Output) {
	if failed || n.role == roleMaster {
		return
	}
	table, err := remoting.ParseSubscriptionGroupTable(ev.Frame.Body)
	if err != nil || table.DataVersion == n.groups.version {
		return
	}
	for _, name := range missing(n.groups.sorted, table.Groups, func(g *group) string { return g.conf.Name }, func(g remoting.SubscriptionGroup) string { return g.Name }) {
		n.dropGroup(name)
	}
	for _, g := range table.Groups {
		if n.groups.byName[g.Name] != nil || len(n.groups.sorted) < n.cfg.Limits.Groups {
			n.groups.put(g)
		}
	}
	n.groups.version = table.DataVersion
	own := n.groups.table()
	n.save(groupsFile, own.Append(nil), out)
}

func (n *Node) masterOffsets(ev *Event, failed bool) {
	if failed || n.role == roleMaster {
		return
	}
	if table, err := remoting.ParseConsumerOffsetTable(ev.Frame.Body); err == nil {
		n.offsets.merge(&table, &n.cfg.Limits)
	}
}

func (n *Node) masterDelays(ev *Event, failed bool) {
	if failed || n.role == roleMaster {
		return
	}
	if table, err := remoting.ParseDelayOffsetTable(ev.Frame.Body); err == nil {
		n.delayed.merge(&table)
	}
}
