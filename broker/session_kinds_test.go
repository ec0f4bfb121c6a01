package broker

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"holdfast/broker/durability"
	"holdfast/broker/remoting"
	"holdfast/broker/replica"
	"holdfast/broker/route"
	"holdfast/broker/vfs"
)

// sessionKind is one kind of node that a session is played with.
type sessionKind struct {
	name       string
	replicates bool
	often      []int32
	start      func(t testing.TB, s *session)
	honest     func(s *session) // whom an honest end comes to afterwards
}

var sessionKinds = [...]sessionKind{
	{"ASYNC_MASTER", false, sessionOften, func(t testing.TB, s *session) { s.startBroker(t, durability.AsyncMaster) }, func(s *session) { s.sendAndPull(s.rest) }},
	{"SYNC_MASTER", true, sessionOften, func(t testing.TB, s *session) { s.startBroker(t, durability.SyncMaster) }, (*session).honestSlave},
	{"SLAVE", true, sessionOften, func(t testing.TB, s *session) { s.startBroker(t, durability.Slave) }, (*session).honestMaster},
	{"controlled node", true, sessionOften, func(t testing.TB, s *session) { s.startControlled(t) }, (*session).honestController},
	{"name server", false, sessionNames, func(t testing.TB, s *session) { s.startNames(t, false) }, (*session).honestBroker},
	{"controller", false, sessionNames, func(t testing.TB, s *session) { s.startNames(t, true) }, (*session).honestNode},
}

func (s *session) config(role durability.Role, profile durability.Profile, inSync int) Config {
	flush := rapid.SampledFrom([]durability.FlushType{durability.AsyncFlush, durability.SyncFlush}).Draw(s.rt, "flush")
	cfg := rigConfig(role, flush, profile, inSync)
	cfg.Limits.Topics, cfg.Limits.Groups, cfg.Limits.Polls, cfg.Limits.Waiters, cfg.Limits.OffsetKeys = 12, 16, 10, 20, 8
	return cfg
}

func (s *session) startBroker(t testing.TB, role durability.Role) {
	profile := durability.RocketMQ5
	inSync := 1
	if role == durability.SyncMaster {
		profile = rapid.SampledFrom([]durability.Profile{durability.RocketMQ5, durability.RocketMQ4}).Draw(s.rt, "profile")
		inSync = rapid.IntRange(1, 2).Draw(s.rt, "in sync")
	}
	cfg := s.config(role, profile, inSync)
	if role == durability.Slave {
		cfg.HA.MasterAddr, cfg.NameServers, cfg.SlaveReadEnable = "127.0.0.1:20912", []string{"127.0.0.1:9876"}, true
		s.startMaster(t)
	}
	s.rig = newRig(t, cfg, nil)
}

// startMaster makes the master of a slave, with a message.
func (s *session) startMaster(t testing.TB) {
	cfg := rigConfig(durability.SyncMaster, durability.AsyncFlush, durability.RocketMQ5, 1)
	cfg.Addr, cfg.HAAddr = netip.MustParseAddrPort("127.0.0.1:20911"), netip.MustParseAddrPort("127.0.0.1:20912")
	cfg.NameServers = []string{"127.0.0.1:9876"}
	names, err := NewNameServer(route.DefaultConfig(), nil)
	if err != nil {
		t.Fatal(err)
	}
	s.names, s.master = names, newRig(t, cfg, nil)
	s.master.step(&Event{Kind: KindWoke})
	s.master.receive(1, s.master.sendFrame("T", 0, "", "honest"))
	s.master.written()
}

// masterCalls has the name server answer the master.
func (s *session) masterCalls() {
	for len(s.master.calls) > 0 {
		c := s.master.calls[0]
		s.master.calls = s.master.calls[1:]
		requests, _, err := s.names.Intake("").Decode(c.Frame)
		if err != nil {
			s.rt.Fatal(err)
		}
		s.names.Step(s.master.now(), &Event{Kind: KindReceived, Conn: 8, Requests: requests}, &s.namesOn)
		for i := range s.namesOn.Replies {
			if f, _, err := remoting.Decode(s.namesOn.Replies[i].Frame); err == nil {
				s.master.step(&Event{Kind: KindAnswered, Call: c.ID, Frame: &f})
				break
			}
		}
	}
}

func (s *session) startControlled(t testing.TB) {
	names, err := NewController(route.DefaultConfig(), route.DefaultControllerConfig(), nil)
	if err != nil {
		t.Fatal(err)
	}
	cfg := s.config(durability.SyncMaster, durability.Holdfast, 1)
	cfg.Choice.Controlled, cfg.Controller, cfg.Incarnation = true, "127.0.0.1:9876", 1
	s.rig, s.names = newRig(t, cfg, nil), names
}

func (s *session) startNames(t testing.TB, controls bool) {
	var fsys vfs.FS
	s.rig = &rig{t: t, mono: time.Millisecond, intakes: map[ConnID]*Intake{}, fs: vfs.NewMem()}
	if err := s.fs.MkdirAll("config"); err != nil {
		t.Fatal(err)
	}
	if rapid.Bool().Draw(s.rt, "kept") {
		fsys = s.fs
	}
	cfg := route.DefaultConfig()
	cfg.Limits.Nodes, cfg.Limits.Topics, cfg.Limits.Keys = 4, 4, 3
	names, err := NewNameServer(cfg, fsys)
	if controls {
		names, err = NewController(cfg, route.DefaultControllerConfig(), fsys)
	}
	if err != nil {
		t.Fatal(err)
	}
	s.machine, s.names = names, names
}

// answerCall answers one of the node's calls: 0 nobody does, 1 an honest end, 2 somebody with anything.
func (s *session) answerCall(how int) {
	if len(s.calls) == 0 {
		return
	}
	i := 0
	if how != 0 {
		i = rapid.IntRange(0, len(s.calls)-1).Draw(s.rt, "call")
	}
	c := s.calls[i]
	s.calls = append(s.calls[:i:i], s.calls[i+1:]...)
	ev := Event{Kind: KindAnswered, Call: c.ID, Err: errDisk}
	switch {
	case how == 1:
		if f := s.asks(&c); f != nil {
			ev.Frame, ev.Err = f, nil
		}
	case how == 2 && s.kind.name != "controlled node": // who may answer for the controller may lead the node anywhere
		w := remoting.Begin(nil, &remoting.Frame{Code: rapid.SampledFrom([]int32{0, 0, 0, 1, 2007, -1}).Draw(s.rt, "answer code"), Opaque: c.ID, Flag: remoting.FlagResponse, Version: remoting.Version})
		for _, name := range []string{"masterAddr", "haServerAddr"} {
			if at := rapid.IntRange(-1, 2).Draw(s.rt, name); at >= 0 {
				w.String(name, []string{"", "127.0.0.1:20912", "nobody"}[at])
			}
		}
		f, _, err := remoting.Decode(w.Finish([]byte(rapid.SampledFrom(append(s.bodies, `{"topicConfigTable":{"T":{"readQueueNums":2147483647,"topicName":"T"}},"dataVersion":{}}`,
			`{"offsetTable":{"T@g":{0:9223372036854775807,7:-1},"@":{0:0},"T":{}}}`, `{"offsetTable":{3:-5,99:1}}`)).Draw(s.rt, "answer body"))))
		if err != nil {
			s.rt.Fatal(err)
		}
		ev.Frame, ev.Err = &f, nil
	}
	s.rig.step(&ev)
}

// asks has the name server or the master answer a call; nil when there is nobody at its address.
func (s *session) asks(c *Call) *remoting.Frame {
	replies := &s.namesOn.Replies
	if s.master != nil && c.Addr == "127.0.0.1:20911" {
		s.master.receive(7, c.Frame)
		replies = &s.master.got
	} else if requests, _, err := s.names.Intake("").Decode(c.Frame); err == nil && s.node != nil {
		s.names.Step(s.now(), &Event{Kind: KindReceived, Conn: 7, Requests: requests}, &s.namesOn)
	} else {
		return nil
	}
	for i := range *replies {
		r := &(*replies)[i]
		raw := r.Frame
		if s.master != nil && replies == &s.master.got {
			raw, _ = s.master.node.AppendReply(nil, r)
		}
		if f, _, err := remoting.Decode(raw); err == nil && f.Opaque == c.ID {
			return &f
		}
	}
	return nil
}

// cutLog truncates the log when the node wants it.
func (s *session) cutLog() string {
	if s.truncate == nil || s.write != nil || s.sync != nil {
		return ""
	}
	job := s.truncate
	s.truncate = nil
	return s.rig.step(&Event{Kind: KindTruncated, Err: job.Run()})
}

// replication is what a peer of the replication port does, or who claims to be one.
func (s *session) replication() {
	if len(s.peers) == 0 || len(s.peers) < 4 && rapid.IntRange(0, 3).Draw(s.rt, "peer") == 0 {
		s.join(rapid.Bool().Draw(s.rt, "as dialed"))
		return
	}
	c := rapid.SampledFrom(s.peers).Draw(s.rt, "which")
	switch rapid.IntRange(0, 5).Draw(s.rt, "does") {
	case 0:
		s.leave(c)
	case 1:
		s.replica(replica.Event{Kind: replica.KindDrained, Conn: c})
	case 2:
		s.sends(c, rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(s.rt, "bytes"))
	case 3: // a report
		at := rapid.SampledFrom([]int64{0, 1, s.store.Marks().Written, s.store.Marks().Written + 1, 1 << 40, 1<<63 - 1, -1}).Draw(s.rt, "report")
		s.sends(c, binary.BigEndian.AppendUint64(nil, uint64(at)))
	case 4: // a chunk
		at := rapid.SampledFrom([]int64{0, s.store.Marks().Appended, s.store.Marks().Appended + 1, 1<<63 - 1, -1}).Draw(s.rt, "at")
		size := rapid.SampledFrom([]int32{0, 5, 60, 1<<31 - 1, -1, 4<<20 + 1}).Draw(s.rt, "size")
		b := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(nil, uint64(at)), uint32(size))
		s.sends(c, append(b, make([]byte, min(max(0, size), 60))...))
	default: // of a controlled group: a greeting, a report, a chunk
		b := binary.BigEndian.AppendUint32(nil, rapid.Uint32Range(0, 4).Draw(s.rt, "message"))
		b = binary.BigEndian.AppendUint32(b, rapid.SampledFrom([]uint32{28, 32, 44, 0, 1, 1<<32 - 1}).Draw(s.rt, "length"))
		for range rapid.IntRange(0, 6).Draw(s.rt, "words") {
			b = binary.BigEndian.AppendUint64(b, rapid.SampledFrom([]uint64{0, 1, 2, 1 << 32, 1<<63 - 1, 1<<64 - 1}).Draw(s.rt, "word"))
		}
		s.sends(c, b)
	}
}

// join makes a connection of the replication port. The one that the node dialed is there when it has dialed.
func (s *session) join(asDialed bool) replica.ConnID {
	s.last++
	c := replica.ConnID(s.last)
	if asDialed && s.dialed == "" {
		asDialed = false
	}
	if asDialed {
		s.dialed = ""
	} else if s.kind.name == "SLAVE" {
		s.replica(replica.Event{Kind: replica.KindRefused})
		s.dialed = ""
		return c
	}
	s.peers = append(s.peers, c)
	s.replica(replica.Event{Kind: replica.KindConnected, Conn: c, Addr: "127.0.0.1:60000", Dialed: asDialed})
	return c
}

func (s *session) leave(c replica.ConnID) {
	for i, p := range s.peers {
		if p == c {
			s.peers = append(s.peers[:i:i], s.peers[i+1:]...)
			delete(s.peerBuf, c)
			s.replica(replica.Event{Kind: replica.KindClosed, Conn: c})
			return
		}
	}
}

// sends hands bytes over as the driver does: with what was not used before them. A peer that the node hangs up on is gone.
func (s *session) sends(c replica.ConnID, b []byte) string {
	buf := append(s.peerBuf[c], b...)
	trace := s.replica(replica.Event{Kind: replica.KindReceived, Conn: c, Data: buf})
	used := s.consumed
	if used < 0 || used > len(buf) {
		s.rt.Fatalf("%d of %d bytes were used", used, len(buf))
	}
	s.peerBuf[c] = append([]byte(nil), buf[used:]...)
	return trace
}

func (s *session) replica(ev replica.Event) string {
	s.consumed = 0
	s.machine.Step(s.now(), &Event{Kind: KindReplica, Replica: ev}, &s.out)
	s.consumed = s.out.Consumed
	hung := append([]replica.ConnID(nil), s.out.ReplicaClose...)
	trace := s.collect()
	for _, c := range hung {
		s.leave(c)
	}
	return trace
}

// sendAndPull is what a client does that knows nothing of the others. finish lets the send be acknowledged.
func (s *session) sendAndPull(finish func() string) {
	s.connect()
	c := s.last
	s.receive(c, s.frame(remoting.RequestUpdateBrokerConfig, nil, []byte("brokerPermission=6")))
	for _, t := range s.node.topics.sorted {
		if t.conf.Perm&6 != 6 || forbiddenTopic([]byte(t.conf.Name)) || !validTopic([]byte(t.conf.Name)) || t.conf.WriteQueues < 1 || t.conf.ReadQueues < 1 || IsRetryOrDLQ(t.conf.Name) {
			continue
		}
		name, body := t.conf.Name, "honest"
		trace := s.receive(c, s.sendFrame(name, 0, "", body)) + finish()
		at := int64(-1)
		if _, found, ok := strings.Cut(trace, "queueOffset="); ok {
			fmt.Sscan(found, &at)
		}
		if !strings.Contains(trace, "SUCCESS") || at < 0 {
			s.rt.Fatalf("a %s and an honest send to %s: %s", s.kind.name, name, trace)
		}
		if trace := s.receive(c, s.pullFrame(name, 0, at, 0, "*")); !strings.Contains(trace, fmt.Sprintf("[%d %s]", at, body)) {
			s.rt.Fatalf("a %s and an honest pull of %s from %d: %s", s.kind.name, name, at, trace)
		}
		return
	}
	s.rt.Fatal("no topic is left for an honest client")
}

// honestSlave sends to a SYNC_MASTER that has one slave, which reports what it is sent.
func (s *session) honestSlave() {
	for len(s.peers) > 0 {
		s.leave(s.peers[0])
	}
	c := s.join(false)
	report := func() string {
		return s.sends(c, binary.BigEndian.AppendUint64(nil, uint64(s.store.Marks().Written)))
	}
	report()
	s.sendAndPull(func() string { return s.rest() + report() + s.rest() })
}

// honestMaster has a slave follow a master. One that took bytes of a false master before has another log than it, and nothing compares
// the two under the rocketmq profiles; it is still to answer.
func (s *session) honestMaster() {
	for len(s.peers) > 0 {
		s.leave(s.peers[0])
	}
	c := ConnID(0)
	alone := s.store.Marks().Appended == 0
	up := replica.ConnID(0)
	for i := range 40 {
		s.mono += 6 * time.Second
		s.master.mono = s.mono
		s.rig.step(&Event{Kind: KindWoke})
		s.master.step(&Event{Kind: KindWoke})
		s.masterCalls()
		for len(s.calls) > 0 {
			s.answerHonestly()
		}
		if s.dialed != "" {
			up = s.join(true)
			s.master.slave(replica.KindConnected, up, nil)
		}
		s.carry(up)
		s.rest()
		if i == 20 {
			s.connect()
			c = s.last
		}
	}
	trace := s.receive(c, s.pullFrame("T", 0, 0, 0, "*"))
	if len(s.got) != 1 || alone && !strings.Contains(trace, "[0 honest]") {
		s.rt.Fatalf("a slave of an honest master has %d bytes, the master %d; a pull: %s", s.store.Marks().Written, s.master.store.Marks().Written, trace)
	}
}

func (s *session) answerHonestly() {
	c := s.calls[0]
	s.calls = s.calls[1:]
	ev := Event{Kind: KindAnswered, Call: c.ID, Err: errDisk}
	if f := s.asks(&c); f != nil {
		ev.Frame, ev.Err = f, nil
	}
	s.rig.step(&ev)
}

// carry takes what slave and master have for each other over their connection.
func (s *session) carry(c replica.ConnID) {
	for range 4 {
		own, theirs := s.shipped, s.master.shipped
		s.shipped, s.master.shipped = nil, nil
		for _, t := range own {
			if t.Conn == c {
				s.master.slave(replica.KindReceived, c, t.Header[:t.Len])
			}
		}
		for _, t := range theirs {
			b := append([]byte(nil), t.Header[:t.Len]...)
			for _, r := range t.Ranges {
				b, _ = r.AppendTo(b)
			}
			if t.Conn == c && len(s.peers) > 0 {
				s.sends(c, b)
				s.master.slave(replica.KindDrained, c, nil)
			}
		}
		s.rest()
	}
}

// honestController has a controller make the node the master of its group, alone.
func (s *session) honestController() {
	for range 60 {
		s.mono += 500 * time.Millisecond
		s.rig.step(&Event{Kind: KindWoke})
		for len(s.calls) > 0 {
			s.answerHonestly()
		}
		s.rest()
		if s.node.role == roleMaster && !s.node.control.fenced(s.mono) {
			s.sendAndPull(s.rest)
			return
		}
	}
	s.rt.Fatal("the node is not elected")
}

// ask is a request to a name server, and its answer.
func (s *session) ask(code int32, fields func(*remoting.Writer), body []byte) remoting.Frame {
	s.receive(s.last, s.frame(code, fields, body))
	if len(s.got) != 1 {
		s.rt.Fatalf("%s: %d answers", remoting.RequestName(code), len(s.got))
	}
	f, _, err := remoting.Decode(s.got[0].Frame)
	if err != nil || f.Code != 0 {
		s.rt.Fatalf("a %s answers %s: %d %s, %v", s.kind.name, remoting.RequestName(code), f.Code, f.Remark, err)
	}
	return f
}

// honestBroker registers, and a client finds it.
func (s *session) honestBroker() {
	s.connect()
	h := remoting.RegisterBrokerHeader{BrokerName: "honest", BrokerAddr: "127.0.0.1:40911", ClusterName: "DefaultCluster"}
	body := remoting.RegisterBrokerBody{Topics: remoting.TopicTable{Topics: []remoting.TopicConfig{{Name: "H1", ReadQueues: 1, WriteQueues: 1, Perm: 6}, {Name: "H2", Perm: 6}}}}
	s.ask(remoting.RequestRegisterBroker, h.Append, body.Append(nil))
	f := s.ask(remoting.RequestGetRouteInfoByTopic, func(w *remoting.Writer) { w.String("topic", "H1") }, nil)
	info, err := remoting.ParseRouteInfo(f.Body)
	if err != nil || len(info.Brokers) != 1 || len(info.Brokers[0].Addrs) != 1 || info.Brokers[0].Addrs[0].Addr != h.BrokerAddr {
		s.rt.Fatalf("route: %s, %v", f.Body, err)
	}
}

// honestNode is elected in a group of its own, and registers as a broker does.
func (s *session) honestNode() {
	s.connect()
	h := remoting.NodeHeader{BrokerHeader: remoting.BrokerHeader{BrokerName: "honest", BrokerAddr: "127.0.0.1:40911", ClusterName: "DefaultCluster"}, HAAddr: "127.0.0.1:40912", Incarnation: 5}
	code := remoting.RequestControllerRegisterBroker
	for range 20 {
		f := s.ask(code, h.Append, nil)
		state, err := remoting.ParseSyncState(f.Ext)
		if err != nil {
			s.rt.Fatal(err)
		}
		if state.MasterID == state.BrokerID && state.BrokerID > 0 {
			s.honestBroker()
			return
		}
		h.BrokerID, h.Version, code = state.BrokerID, state.Version, remoting.RequestBrokerHeartbeat
		s.mono += time.Second
		s.rig.step(&Event{Kind: KindWoke})
	}
	s.rt.Fatal("an honest node is not elected")
}
