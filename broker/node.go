// Package broker holds the broker as a pure state machine: routing, puts, pulls, long polls, offsets, groups and roles.
// A Node decides in Step, from one event and its own memory; sockets, goroutines, clocks, disks and locks are the matter of
// a driver (package server, or a simulator). What an acknowledgement waits for is decided in package durability.
package broker

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"holdfast/broker/durability"
	"holdfast/broker/message"
	"holdfast/broker/remoting"
	"holdfast/broker/replica"
	"holdfast/broker/store"
	"holdfast/broker/vfs"
)

// Files of a node beside those of its store, with the names and contents that RocketMQ gives them.
const (
	topicsFile  = "config/topics.json"
	groupsFile  = "config/subscriptionGroup.json"
	offsetsFile = "config/consumerOffset.json"
	epochsFile  = "config/epochs" // with a controller
	delaysFile  = "config/delayOffset.json"
)

type nodeRole uint8

const (
	roleMaster nodeRole = iota
	roleSlave
)

// Node is a broker. It belongs to one caller at a time; AppendReply and Intake are the exceptions.
type Node struct {
	cfg         Config
	contract    durability.Contract
	store       *store.Store
	replica     replica.Replicator
	rng         *rand.Rand
	role        nodeRole
	storeHost   message.Host
	storeHostV6 bool

	now         Instant
	marks       durability.Marks
	passes      durability.Passes
	waiters     waiters
	arrivals    arrivals
	topics      topicTable
	groups      groupTable
	offsets     offsetTable
	locks       lockTable
	polls       pollTable
	conns       map[ConnID]string // addresses of the clients
	joined      map[ConnID]bool   // those that are members of groups: a connection that is not costs nothing when it ends
	calls       callTable
	saves       saveTable
	peer        master
	away        map[string]bool  // name servers whose last registration failed
	toldUpTo    map[string]int64 // of name servers: the last change of the topic table that they took, or could not be told
	stats       stats
	repOut      replica.Out
	held        []heldReply
	delayed     delayTable
	backs       []sendingBack
	inquiries   []*inquiry
	queries     []query
	producers   producerTable
	relays      relayTable
	control     *membership // nil: no controller
	confVersion remoting.DataVersion
	confAnswers []Reply // to changes of the configuration whose save has not ended
	confSaved   int     // of confAnswers: what the running save holds
	confSaving  bool
	confLater   string  // lines for the next save
	pushes      int32   // opaque of the last request to a client
	outflows    int     // counters of groups in topics
	outRest     outflow // of those beyond the limit

	lateTopics, lateGroups lateTable

	writing, syncing, auxing bool
	writtenUpto              durability.Offset // of the job that is running
	writtenGen, syncedGen    int32
	auxGen                   int32
	syncedUpto               durability.Offset
	full                     bool          // the last write found no space
	crowded                  bool          // the disk is fuller than Retention.FullPercent
	space                    Space         // as last measured
	retryWrite               time.Duration // when to try again
	readMark                 durability.Offset
	moved, movedSync         durability.Offset // written and synced marks that the replicator has been told
	cut                      cutting
	next                     schedule
	openedAt                 int64 // physical offset at which the log ended when the node began
	stopping                 bool
	halted                   error
}

// schedule is what a node does by the clock; 0 is never.
type schedule struct {
	register, sync, offsets, housekeeping, beat time.Duration
}

// housekeepingInterval is the time between two looks at clients and locks that may have expired.
const housekeepingInterval = 5 * time.Second

// New returns the node of cfg over a store that is open. fsys is the store's; the tables in its config directory are read.
// rng chooses queues for sends that name none.
func New(cfg Config, st *store.Store, fsys vfs.FS, rng *rand.Rand) (*Node, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	n := &Node{
		cfg: cfg, contract: cfg.Choice.Contract(), store: st, rng: rng,
		topics: topicTable{byName: map[string]*topic{}}, groups: groupTable{byName: map[string]*group{}},
		stats: newStats(), producers: producerTable{clients: map[string]*requester{}}, relays: relayTable{of: map[ConnID]int{}},
		offsets: offsetTable{byKey: map[string]*progress{}}, conns: map[ConnID]string{}, joined: map[ConnID]bool{}, away: map[string]bool{}, toldUpTo: map[string]int64{},
	}
	n.storeHost, n.storeHostV6 = message.HostOf(cfg.Addr)
	if cfg.Choice.Role == durability.Slave {
		n.role = roleSlave
	}
	if err := n.replicator(fsys); err != nil {
		return nil, err
	}
	if err := n.load(fsys); err != nil {
		return nil, err
	}
	n.refreshMarks()
	n.openedAt = st.Marks().Written
	n.readMark, n.moved, n.movedSync = n.contract.Readable(&n.marks), n.marks.Written, n.marks.Synced
	return n, nil
}

func (n *Node) replicator(fsys vfs.FS) error {
	if n.cfg.Choice.Controlled {
		return n.join(fsys)
	}
	if n.role == roleMaster && !n.cfg.HAAddr.IsValid() {
		n.replica = replica.None{}
		return nil
	}
	primary, err := replica.NewPrimary(n.cfg.haConfig())
	n.replica = primary
	return err
}

// storedQueuesMax bounds the queues of a topic of topics.json, which RocketMQ does not: room for each is made at the start.
const storedQueuesMax = 1 << 16

// load reads the tables of earlier runs, and makes a topic of every queue that the store has and topics.json has not: a
// power cut may take the small file and leave the log.
func (n *Node) load(fsys vfs.FS) error {
	for _, c := range presetTopics(&n.cfg) {
		n.topics.put(c)
	}
	for _, name := range presetGroups(&n.cfg) {
		n.groups.put(remoting.NewSubscriptionGroup(name))
	}
	var topics remoting.TopicTable
	var groups remoting.SubscriptionGroupTable
	var offsets remoting.ConsumerOffsetTable
	var levels remoting.DelayOffsetTable
	err := errors.Join(
		loadFile(fsys, topicsFile, remoting.ParseTopicTable, &topics),
		loadFile(fsys, groupsFile, remoting.ParseSubscriptionGroupTable, &groups),
		loadFile(fsys, offsetsFile, remoting.ParseConsumerOffsetTable, &offsets),
		loadFile(fsys, delaysFile, remoting.ParseDelayOffsetTable, &levels),
	)
	if err != nil {
		return err
	}
	for _, c := range topics.Topics {
		if queues := max(c.ReadQueues, c.WriteQueues); queues > storedQueuesMax {
			return fmt.Errorf("broker: read %s: %w: topic %s has %d queues, at most %d are allowed", topicsFile, remoting.ErrBody, c.Name, queues, storedQueuesMax)
		}
		n.topics.put(c)
	}
	n.topics.version = topics.DataVersion
	for _, g := range groups.Groups {
		n.groups.put(g)
	}
	n.groups.version = groups.DataVersion
	n.offsets.merge(&offsets, &n.cfg.Limits)
	n.offsets.dirty, n.offsets.version = false, offsets.DataVersion
	n.delayed.merge(&levels)
	n.delayed.dirty = false
	for _, q := range n.store.Queues() {
		n.adopt(q)
		if q.Topic() == scheduleTopic {
			if _, err := n.queue(n.scheduled(), q.ID()); err != nil {
				return err
			}
		}
	}
	return nil
}

// adopt makes sure that the topic of a stored queue has it.
func (n *Node) adopt(sq *store.Queue) {
	t := n.topics.byName[sq.Topic()]
	if t == nil {
		t = n.topics.put(remoting.TopicConfig{Name: sq.Topic(), Perm: remoting.PermRead | remoting.PermWrite})
	}
	if id := sq.ID(); id >= int32(len(t.queues)) && id < n.cfg.Limits.Queues {
		c := t.conf
		c.ReadQueues, c.WriteQueues = max(c.ReadQueues, id+1), max(c.WriteQueues, id+1)
		n.topics.put(c)
	}
}

// Intake returns the decoder of one connection's bytes. addr is the client's, as ip:port.
func (n *Node) Intake(addr string) *Intake { return newIntake(n, addr) }

// Contract returns what the node promises.
func (n *Node) Contract() durability.Contract { return n.contract }

// Leads reports whether the node serves its group as the master.
func (n *Node) Leads() bool { return n.role == roleMaster }

// Step takes one event and puts what follows from it into out, which is emptied first. It never blocks and never fails;
// it allocates nothing for a put.
func (n *Node) Step(now Instant, ev *Event, out *Output) {
	out.reset()
	n.now = now
	if n.halted != nil {
		out.Halt = n.halted
		return
	}
	n.take(ev, out)
	n.epilogue(ev, out)
	if n.halted != nil {
		*out = Output{Halt: n.halted, Notes: out.Notes}
	}
}

func (n *Node) take(ev *Event, out *Output) {
	switch ev.Kind {
	case KindReceived:
		for i := range ev.Requests {
			n.request(ev.Conn, &ev.Requests[i], out)
		}
	case KindOpened:
		n.conns[ev.Conn] = ev.Addr
	case KindClosed:
		n.closed(ev.Conn, out)
	case KindWritten:
		n.written(ev.Err, out)
	case KindSynced:
		n.synced(ev.Err)
	case KindAuxDone:
		n.auxDone(ev.Err, out)
	case KindSpace:
		n.measured(ev.Space, out)
	case KindTruncated:
		n.truncated(ev.Err, out)
	case KindLoaded:
		n.loaded(ev.Load, out)
	case KindSaved:
		n.saved(ev.Name, ev.Err, out)
	case KindAnswered:
		n.answered(ev, out)
	case KindReplica:
		n.replicaEvent(&ev.Replica, out)
	case KindStop:
		n.stop(out)
	}
}

// request serves one request of a client.
func (n *Node) request(c ConnID, r *Request, out *Output) {
	f := &r.Frame
	if f.IsResponse() {
		n.relayed(c, f, out)
		return
	}
	if n.stopping {
		n.refuse(c, f, remoting.ResponseServiceNotAvailable, "the broker is shutting down", out)
		return
	}
	if len(f.Body) > n.cfg.Limits.ControlBytes && !carriesMessages(f.Code) {
		n.refuse(c, f, remoting.ResponseSystemError, fmt.Sprintf("a body of %d bytes; %d are allowed for %s", len(f.Body), n.cfg.Limits.ControlBytes, remoting.RequestName(f.Code)), out)
		return
	}
	switch f.Code {
	case remoting.RequestSendMessage, remoting.RequestSendMessageV2, remoting.RequestSendBatchMessage:
		n.send(c, r, out)
	case remoting.RequestSendReplyMessage, remoting.RequestSendReplyMessageV2:
		n.sendReply(c, r, out)
	case remoting.RequestPullMessage, remoting.RequestLitePullMessage:
		n.pull(c, r, out)
	case remoting.RequestHeartBeat:
		n.heartbeat(c, r, out)
	case remoting.RequestUnregisterClient:
		n.unregister(c, f, out)
	case remoting.RequestGetConsumerListByGroup:
		n.consumerList(c, f, out)
	case remoting.RequestGetConsumerConnectionList:
		n.connections(c, f, out)
	case remoting.RequestQueryConsumerOffset:
		n.queryOffset(c, f, out)
	case remoting.RequestUpdateConsumerOffset:
		n.updateOffset(c, f, out)
	case remoting.RequestGetMaxOffset, remoting.RequestGetMinOffset, remoting.RequestSearchOffsetByTimestamp:
		n.queueOffset(c, f, out)
	case remoting.RequestQueryMessage:
		n.queryMessage(c, f, out)
	case remoting.RequestViewMessageByID:
		n.viewMessage(c, f, out)
	case remoting.RequestLockBatchMQ, remoting.RequestUnlockBatchMQ:
		n.lockBatch(c, f, out)
	case remoting.RequestConsumerSendMsgBack:
		n.sendBack(c, f, out)
	case remoting.RequestUpdateAndCreateTopic:
		n.createTopic(c, f, out)
	case remoting.RequestDeleteTopicInBroker:
		n.deleteTopic(c, f, out)
	default:
		n.admin(c, f, out)
	}
}

// closed forgets a client's connection; what it sent stays stored, its replies go nowhere.
func (n *Node) closed(c ConnID, out *Output) {
	delete(n.conns, c)
	n.polls.drop(c)
	n.dropInquiries(c)
	if n.joined[c] {
		delete(n.joined, c)
		n.leave(func(_ *group, e *client) bool { return e.conn == c }, out)
		n.leaveProducers(func(_ *producers, e *client) bool { return e.conn == c })
	}
	n.relayLost(c, out)
}

// epilogue ends every Step: policies are asked once for all that happened, so that no last group is left waiting.
func (n *Node) epilogue(ev *Event, out *Output) {
	n.refreshMarks()
	n.clock(out)
	if ev.Kind == KindWoke {
		n.goOnAll(out)
	}
	n.replicate(out)
	n.disk(out)
	if n.control != nil {
		n.confirmDelayed()
	}
	out.Replies = n.waiters.release(&n.contract.Ack, &n.marks, n.now.Mono, out.Replies)
	n.holdMakers(out)
	n.wakePolls(out)
	n.stopped(out)
	out.WakeAt = n.wakeAt()
}

// refreshMarks reads the marks of the store and of the replicas.
func (n *Node) refreshMarks() {
	m := n.store.Marks()
	n.marks.Gen, n.marks.Appended, n.marks.Written, n.marks.Synced = m.Gen, m.Appended, m.Written, m.Synced
	n.marks.Epoch = n.replica.Epoch()
	n.replica.Marks(&n.marks)
}

// clock does what is due by the clock.
func (n *Node) clock(out *Output) {
	now := n.now.Mono
	if n.stats.boot == 0 {
		n.stats.boot = n.now.Wall
		n.next = schedule{offsets: now + n.cfg.OffsetsInterval, housekeeping: now + housekeepingInterval}
		n.register(out)
		if n.control != nil {
			n.next.beat = now
		}
		if n.role == roleSlave {
			n.next.sync = now + n.cfg.SyncFirst
		}
	}
	if due(n.next.register, now) {
		n.register(out)
	}
	if due(n.next.sync, now) {
		n.synchronise(out)
	}
	if due(n.next.offsets, now) {
		n.next.offsets = now + n.cfg.OffsetsInterval
		n.saveOffsets(out)
	}
	if due(n.next.housekeeping, now) {
		n.next.housekeeping = now + housekeepingInterval
		n.locks.expire(now)
		n.leave(func(_ *group, e *client) bool { return now-e.seen >= n.cfg.ChannelExpired }, out)
		n.leaveProducers(func(_ *producers, e *client) bool { return now-e.seen >= n.cfg.ChannelExpired })
		n.stats.newDay(n.now.Wall)
	}
	n.saveLate(false, out)
	n.attend(out)
	n.relayTimeouts(out)
	n.expirePolls(out)
	n.deliverDue(out)
}

func due(at, now time.Duration) bool { return at != 0 && now >= at }

// wakeAt returns the earliest of all deadlines.
func (n *Node) wakeAt() time.Duration {
	at := earlier(n.next.register, n.next.sync)
	at = earlier(at, earlier(n.next.offsets, n.next.housekeeping))
	at = earlier(at, earlier(n.lateTopics.due(), n.lateGroups.due()))
	at = earlier(at, n.repOut.WakeAt)
	at = earlier(at, n.next.beat)
	if n.role == roleMaster {
		at = earlier(at, n.control.lapse())
	}
	at = earlier(at, n.polls.deadline())
	at = earlier(at, n.relays.deadline())
	if n.inquiriesDue() {
		at = earlier(at, n.now.Mono+1)
	}
	at = earlier(at, n.waiters.deadline(&n.contract.Ack, n.now.Mono))
	if !n.control.fenced(n.now.Mono) {
		at = earlier(at, n.delayed.nextDue())
	}
	if n.cut.wanted {
		return at // until the log is cut nothing is handed out, and the end of whatever runs decides anew
	}
	at = earlier(at, n.retryWrite)
	at = earlier(at, n.store.AuxDue())
	if flush, ok := n.contract.Flush.Next(&n.marks, &n.passes, n.writing || n.retryWrite != 0, n.syncing); ok {
		at = earlier(at, max(flush, 1))
	}
	return at
}

// halt stops the node for good: what it would say from now on could not be trusted.
func (n *Node) halt(doing string, err error) {
	if n.halted == nil {
		n.halted = fmt.Errorf("broker: %s: %w", doing, err)
	}
}

// note adds a remark for the log.
func note(out *Output, bad bool, format string, args ...any) {
	out.Notes = append(out.Notes, Note{Text: fmt.Sprintf(format, args...), Bad: bad})
}
