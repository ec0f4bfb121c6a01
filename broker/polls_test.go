package broker

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"holdfast/broker/durability"
	"holdfast/broker/remoting"
	"holdfast/broker/replica"
)

// waiting is a master and its slave with pulls that wait at both.
type waiting struct {
	master, slave *rig
	sent          int64  // physical offset up to which the slave was sent the log
	wire          []byte // what the slave has not taken yet
}

const waitingLink = replica.ConnID(9)

func newWaiting(t *rapid.T, tb testing.TB) *waiting {
	flush := rapid.SampledFrom([]durability.FlushType{durability.SyncFlush, durability.AsyncFlush}).Draw(t, "flush")
	profile := rapid.SampledFrom([]durability.Profile{durability.RocketMQ4, durability.RocketMQ5}).Draw(t, "profile")
	w := &waiting{master: newRig(tb, rigConfig(durability.AsyncMaster, flush, profile, 1), nil)}
	cfg := rigConfig(durability.Slave, flush, profile, 1)
	cfg.SlaveReadEnable = true
	w.slave = newRig(tb, cfg, nil)
	for _, r := range []*rig{w.master, w.slave} {
		r.step(&Event{Kind: KindWoke})
		r.receive(1, r.sendFrame("T", 0, "", "first")) // the slave refuses it
		r.written()
		r.synced(nil)
	}
	w.slave.node.topics.put(w.master.node.topics.get([]byte("T")).conf)
	w.slave.slave(replica.KindConnected, waitingLink, nil)
	return w
}

// Send appends a message; now and then in the same events as another one.
func (w *waiting) Send(t *rapid.T) {
	queue, tag := rapid.SampledFrom([]int32{0, 0, 1}).Draw(t, "queue"), rapid.SampledFrom([]string{"A", "B"}).Draw(t, "tag")
	frames := w.master.sendFrame("T", queue, "TAGS\x01"+tag+"\x02", "m")
	if rapid.Bool().Draw(t, "two") {
		frames = append(frames, w.master.sendFrame("T", 0, "", "n")...)
	}
	w.master.receive(1, frames)
}

// Follow has two messages come one behind the other while a pull waits that may want the second only.
func (w *waiting) Follow(t *rapid.T) {
	w.Pull(t)
	for range 2 {
		w.Send(t)
	}
	for range rapid.IntRange(0, 3).Draw(t, "writes") {
		w.master.written()
		if rapid.Bool().Draw(t, "synced") {
			w.master.synced(nil)
		}
	}
}

// side draws one of the two nodes.
func (w *waiting) side(t *rapid.T) *rig {
	if rapid.Bool().Draw(t, "slave") {
		return w.slave
	}
	return w.master
}

// Pull asks for what is at the end of what may be read, or near it.
func (w *waiting) Pull(t *rapid.T) {
	r := w.side(t)
	queue := rapid.SampledFrom([]int32{0, 0, 0, 1}).Draw(t, "queue")
	from := int64(0)
	if q := r.node.queueFor([]byte("T"), queue); q != nil {
		from = max(0, r.node.visible(q)-rapid.SampledFrom([]int64{0, 0, 0, 1}).Draw(t, "back"))
	}
	tag := rapid.SampledFrom([]string{"*", "A", "B", "B"}).Draw(t, "tag")
	suspend := rapid.SampledFrom([]time.Duration{0, time.Second, 20 * time.Second, 20 * time.Second}).Draw(t, "suspend")
	conn := ConnID(rapid.IntRange(2, 4).Draw(t, "conn"))
	r.receive(conn, r.pullFrame("T", queue, from, suspend, tag))
}

func (w *waiting) Written(t *rapid.T) { w.side(t).written() }
func (w *waiting) Synced(t *rapid.T)  { w.side(t).synced(nil) }

func (w *waiting) Time(t *rapid.T) {
	w.side(t).after(rapid.SampledFrom([]time.Duration{time.Millisecond, time.Second, 11 * time.Second}).Draw(t, "time"))
	if w.slave.node.replica.Peers(nil) == nil { // a master that is silent for long is given up
		w.slave.slave(replica.KindConnected, waitingLink, nil)
		w.wire, w.sent = nil, w.slave.store.Marks().Appended
	}
}

func (w *waiting) Close(t *rapid.T) {
	w.side(t).step(&Event{Kind: KindClosed, Conn: ConnID(rapid.IntRange(2, 4).Draw(t, "conn"))})
}

// Chunk has the slave get some more of the master's log, perhaps the front of a record only.
func (w *waiting) Chunk(t *rapid.T) {
	size := rapid.SampledFrom([]int{1, 100, 1000}).Draw(t, "bytes")
	if r, ok := w.master.store.ReadRaw(w.sent, w.master.store.Marks().Written, size); ok {
		w.wire = binary.BigEndian.AppendUint64(w.wire, uint64(w.sent))
		w.wire = binary.BigEndian.AppendUint32(w.wire, uint32(r.Len))
		var err error
		if w.wire, err = r.AppendTo(w.wire); err != nil {
			t.Fatal(err)
		}
		w.sent += int64(r.Len)
	}
	w.slave.node.Step(w.slave.now(), &Event{Kind: KindReplica, Replica: replica.Event{Kind: replica.KindReceived, Conn: waitingLink, Data: w.wire}}, &w.slave.out)
	w.wire = slices.Clone(w.wire[w.slave.out.Consumed:])
	if w.slave.out.Write != nil {
		w.slave.write = w.slave.out.Write
	}
	if w.slave.out.Sync != nil {
		w.slave.sync = w.slave.out.Sync
	}
	w.slave.step(&Event{Kind: KindWoke})
}

// forgotten says what is wrong with the pulls that wait, if anything is.
func forgotten(n *Node) error {
	live := 0
	for i, p := range n.polls.heap {
		if i > 0 && p.deadline < n.polls.heap[(i-1)/2].deadline {
			return fmt.Errorf("the heap is none at %d", i)
		}
		if !p.parked {
			continue
		}
		live++
		times := 0
		for _, other := range p.queue.polls {
			if other == p {
				times++
			}
		}
		if times != 1 || slices.Index(n.polls.heap, p) != i {
			return fmt.Errorf("a pull of queue %d is %d times in its list", p.queue.id, times)
		}
		if p.deadline <= n.now.Mono {
			return fmt.Errorf("a pull of queue %d waits beyond its time", p.queue.id)
		}
		high := n.visible(p.queue)
		if _, found := n.store.Lookup(p.queue.store, p.from, n.wanted(p), nil); found.Count > 0 || found.Load != nil || found.Next < high {
			return fmt.Errorf("a pull of queue %d from %d waits and %d may be read: %+v", p.queue.id, p.from, high, found)
		}
	}
	if live != n.polls.live {
		return fmt.Errorf("%d pulls wait, %d are counted", live, n.polls.live)
	}
	for _, topic := range n.topics.sorted {
		for _, q := range topic.queues {
			if q == nil {
				continue
			}
			for _, p := range q.polls {
				if p.parked && !slices.Contains(n.polls.heap, p) {
					return fmt.Errorf("a pull of queue %d is not in the heap", q.id)
				}
			}
		}
	}
	return nil
}

// No pull is forgotten: after each event there is nothing to read for those that wait, at the master and at the slave, and each is in
// the table and in the list of its queue.
func TestNoPullIsForgotten(t *testing.T) {
	parked, woken := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		w := newWaiting(rt, t)
		before := 0
		rt.Repeat(map[string]func(*rapid.T){
			"send": w.Send, "send more": w.Send, "pull": w.Pull, "pull more": w.Pull, "follow": w.Follow, "written": w.Written, "written too": w.Written, "synced": w.Synced, "chunk": w.Chunk, "time": w.Time, "close": w.Close,
			"": func(rt *rapid.T) {
				for _, r := range []*rig{w.master, w.slave} {
					if err := forgotten(r.node); err != nil {
						rt.Fatalf("node %d: %v", r.node.cfg.BrokerID, err)
					}
				}
				now := w.master.node.Parked() + w.slave.node.Parked()
				parked, woken, before = parked+max(0, now-before), woken+max(0, before-now), now
			},
		})
	})
	if parked < 50 || woken < 25 {
		t.Errorf("%d pulls were parked and %d left: nothing is tested", parked, woken)
	}
}

// A pull whose filter refuses one message after the other is woken by the one that it wants, however many came before.
func TestFilteredPullIsWokenInTime(t *testing.T) {
	r := newRig(t, rigConfig(durability.AsyncMaster, durability.AsyncFlush, durability.RocketMQ5, 1), nil)
	send := func(tag string, times int) {
		var frames []byte
		for range times {
			frames = append(frames, r.sendFrame("T", 0, "TAGS\x01"+tag+"\x02", "m")...)
		}
		r.receive(1, frames)
		r.written()
	}
	send("A", 1)
	r.receive(2, r.pullFrame("T", 0, 1, 20*time.Second, "B"))
	if r.node.Parked() != 1 {
		t.Fatal("the pull does not wait")
	}
	for range 17 { // a lookup passes 16,000 messages by
		send("A", 1000)
	}
	if r.node.Parked() != 1 {
		t.Fatal("the pull was answered")
	}
	r.got = nil
	send("B", 1)
	answer := r.got[len(r.got)-1]
	if answer.Conn != 2 || answer.Code != remoting.ResponseSuccess || answer.Pull.Header.NextBeginOffset != 17_002 {
		t.Errorf("got %+v for the message that it waits for", answer)
	}
}

// A slave never moves a consumer, and passes nothing by: what it lacks the master has. A client that is told that its offset has moved
// would drop the queue for 10 s.
func TestSlaveMovesNobody(t *testing.T) {
	m := newRig(t, rigConfig(durability.AsyncMaster, durability.AsyncFlush, durability.RocketMQ5, 1), nil)
	cfg := rigConfig(durability.Slave, durability.AsyncFlush, durability.RocketMQ5, 1)
	cfg.SlaveReadEnable = true
	s := newRig(t, cfg, nil)
	for range 3 {
		m.receive(1, m.sendFrame("T", 0, "", strings.Repeat("m", 400_000)))
		m.written()
	}
	s.step(&Event{Kind: KindWoke})
	s.node.topics.put(m.node.topics.get([]byte("T")).conf)
	pull := func(from int64) {
		t.Helper()
		s.receive(2, s.pullFrame("T", 0, from, 20*time.Second, "*"))
	}
	told := func(what string, next int64) {
		t.Helper()
		if len(s.got) == 0 {
			t.Errorf("%s: not answered", what)
		} else if a := s.got[0]; a.Code != remoting.ResponsePullRetryImmediately || a.Pull.Header.NextBeginOffset != next || a.Pull.Header.SuggestWhichBrokerID != 0 {
			t.Errorf("%s: code %d, %+v", what, a.Code, a.Pull.Header)
		}
	}
	pull(2)
	told("a pull beyond the slave's end", 2)
	pull(0)
	if s.node.Parked() != 1 {
		t.Fatal("a pull at the end does not wait")
	}
	var b []byte
	for at, end := int64(1<<20), m.store.Marks().Written; at < end; at = 1<<20 + int64(len(b)) { // a fresh slave gets the last file: the third message alone
		part, ok := m.store.ReadRaw(at, end, 1<<20)
		if !ok {
			t.Fatalf("nothing at %d", at)
		}
		var err error
		if b, err = part.AppendTo(b); err != nil {
			t.Fatal(err)
		}
	}
	s.slave(replica.KindConnected, waitingLink, nil)
	header := binary.BigEndian.AppendUint64(nil, 1<<20)
	s.got = nil
	s.slave(replica.KindReceived, waitingLink, append(binary.BigEndian.AppendUint32(header, uint32(len(b))), b...))
	s.written()
	told("a pull that waited below what the slave has", 0)
	pull(1)
	told("a pull below what the slave has", 1)
}
