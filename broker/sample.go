package broker

import (
	"cmp"
	"slices"

	"holdfast/broker/remoting"
	"holdfast/broker/store"
)

// What a node tells of itself for metrics. It comes in pages, so that whoever reads it holds the node for as long as a burst of
// puts does, however many topics there are; between two pages the node may change.

// Sample is what one number says.
type Sample struct {
	Marks      store.Marks
	Leads      bool // the master of its group
	Full       bool // the disk is full: sends are refused
	Fenced     bool // the controller was not reached in time: sends are refused
	Stopping   bool
	Halted     error
	Permission int32
	Names      int // name servers
	Away       int // of these, whose last registration failed
	Topics     int
	Groups     int
	Waiting    int // sends that wait for flush or replica
	Loading    int // pulls that wait for the disk
	Parked     int // pulls that wait for a message
	Peers      int // connections of the replication port
	Unlabelled Outflow
}

// Sample returns the present values.
func (n *Node) Sample() Sample {
	s := Sample{
		Marks: n.store.Marks(), Leads: n.role == roleMaster, Full: n.full || n.crowded, Fenced: n.control.fenced(n.now.Mono), Stopping: n.stopping, Halted: n.halted,
		Permission: n.cfg.Permission, Names: len(n.cfg.NameServers), Away: len(n.away), Topics: len(n.topics.sorted), Groups: len(n.groups.sorted),
		Waiting: n.waiters.len(), Loading: len(n.polls.loading), Parked: n.polls.live, Unlabelled: n.outRest.Outflow,
	}
	s.Peers = len(n.replica.Peers(nil))
	return s
}

// Flow is what went through one topic; with a Group, what that group got from it.
type Flow struct {
	Topic, Group string
	In           [messageTypes]Inflow // without Group
	Out          Outflow              // with Group
}

// Flows appends about max flows to dst: those of the topics behind the name after, whole topics. It returns the name to go on
// after; "" when that was all.
func (n *Node) Flows(after string, max int, dst []Flow) ([]Flow, string) {
	end := len(dst) + max
	for _, t := range behind(n.topics.sorted, after, func(t *topic) string { return t.conf.Name }) {
		if len(dst) >= end {
			return dst, after
		}
		dst = append(dst, Flow{Topic: t.conf.Name, In: t.in})
		for _, o := range t.out {
			dst = append(dst, Flow{Topic: t.conf.Name, Group: o.group, Out: o.Outflow})
		}
		after = t.conf.Name
	}
	return dst, ""
}

// Lag is how far a group is behind in a topic.
type Lag struct {
	Topic, Group string
	Messages     int64 // stored and not consumed, that is: behind the committed offsets
	InFlight     int64 // of these, handed out
	Ready        int64 // of these, not handed out yet
	Consumed     []Front
	Pulled       []Front
}

// Front is the first message of a queue that was not consumed, or not handed out.
type Front struct {
	QueueID int32
	Offset  int64 // queue offset
}

// Lags appends the lags of about max queues to dst, of the pairs behind the key after (topic@group), and returns the key to go
// on after; "" when that was all. A group is in it that has committed an offset. Retry topics are left out, as RocketMQ does.
// Source: ConsumerLagCalculator (RocketMQ 5.3.3).
func (n *Node) Lags(after string, max int, dst []Lag) ([]Lag, string) {
	for _, p := range behind(n.offsets.sorted, after, func(p *progress) string { return p.key }) {
		if max <= 0 {
			return dst, after
		}
		after = p.key
		t := n.topics.byName[p.topic]
		if t == nil || IsRetryOrDLQ(p.topic) {
			max--
			continue
		}
		max -= len(t.queues)
		dst = append(dst, n.lag(t, p))
	}
	return dst, ""
}

func (n *Node) lag(t *topic, p *progress) Lag {
	l := Lag{Topic: p.topic, Group: p.group}
	var pulled []int64
	if at, found := t.outflowAt([]byte(p.group)); found {
		pulled = t.out[at].pulled
	}
	for id, committed := range p.offsets {
		if id >= len(t.queues) || t.queues[id] == nil || committed < 0 {
			continue
		}
		end := n.visible(t.queues[id])
		committed = min(max(committed, t.queues[id].store.Min()), end)
		next := committed
		if id < len(pulled) {
			next = min(max(committed, pulled[id]), end)
		}
		l.Messages, l.InFlight, l.Ready = l.Messages+end-committed, l.InFlight+next-committed, l.Ready+end-next
		if committed < end {
			l.Consumed = append(l.Consumed, Front{int32(id), committed})
		}
		if next < end {
			l.Pulled = append(l.Pulled, Front{int32(id), next})
		}
	}
	return l
}

// Record returns where the record of the first message from f on is, or what must be read first: that is to be run and given to
// the next call. ok is false when there is none.
func (n *Node) Record(topic string, f Front, loaded *store.LoadJob) (r store.Range, load *store.LoadJob, ok bool) {
	q := n.queueFor([]byte(topic), f.QueueID)
	if q == nil || loaded != nil && n.store.Loaded(loaded) != nil {
		return store.Range{}, nil, false
	}
	ranges, found := n.store.Lookup(q.store, f.Offset, store.Want{Count: 1, Bytes: 1, Limit: n.contract.Readable(&n.marks)}, nil)
	if found.Load != nil {
		return store.Range{}, found.Load, true
	}
	if found.Count == 0 {
		return store.Range{}, nil, false
	}
	return ranges[0], nil, true
}

// Oldest returns where the first bytes of the commit log are; ok is false when there are none.
func (n *Node) Oldest(bytes int) (r store.Range, ok bool) {
	m := n.store.Marks()
	if m.Min+int64(bytes) > m.Written {
		return store.Range{}, false
	}
	return n.store.ReadRaw(m.Min, m.Written, bytes)
}

// Members counts the consumers, or the producers, of a group that have one language and version.
type Members struct {
	Group    string
	Push     bool // its members push, otherwise they pull
	Language remoting.Language
	Version  int16
	Count    int
}

// Members appends those of the groups behind the name after, until about max members were counted, and returns the name to go
// on after; "" when that was all.
func (n *Node) Members(after string, max int, dst []Members) ([]Members, string) {
	for _, g := range behind(n.groups.sorted, after, func(g *group) string { return g.conf.Name }) {
		if max <= 0 {
			return dst, after
		}
		after = g.conf.Name
		max -= 1 + len(g.clients)
		dst = g.count(Members{Group: g.conf.Name, Push: g.data.Type == remoting.ConsumePassively}, dst)
	}
	return dst, ""
}

// Producers is Members of the producer groups; nobody of them has Push.
func (n *Node) Producers(after string, max int, dst []Members) ([]Members, string) {
	for _, p := range behind(n.producers.sorted, after, func(p *producers) string { return p.name }) {
		if max <= 0 {
			return dst, after
		}
		after = p.name
		max -= 1 + len(p.clients)
		dst = p.count(Members{Group: p.name}, dst)
	}
	return dst, ""
}

// count appends of to dst, once for every language and version that members have.
func (g *members) count(of Members, dst []Members) []Members {
	first := len(dst)
	for _, c := range g.clients {
		at := slices.IndexFunc(dst[first:], func(m Members) bool { return m.Language == c.language && m.Version == c.version })
		if at < 0 {
			at = len(dst) - first
			of.Language, of.Version = c.language, c.version
			dst = append(dst, of)
		}
		dst[first+at].Count++
	}
	return dst
}

// behind returns the elements of a sorted list whose name is greater than after; all of them for "".
func behind[T any](list []T, after string, name func(T) string) []T {
	if after == "" {
		return list
	}
	at, found := slices.BinarySearchFunc(list, after, func(e T, after string) int { return cmp.Compare(name(e), after) })
	if found {
		at++
	}
	return list[at:]
}
