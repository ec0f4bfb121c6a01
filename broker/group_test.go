package broker

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"holdfast/broker/durability"
	"holdfast/broker/message"
	"holdfast/broker/remoting"
	"holdfast/broker/store"
	"holdfast/broker/vfs"
)

// ledger is what clients were told, held against what the logs hold.
type ledger struct {
	g      *groupRig
	copies int // that an acknowledgement stands for
	acked  []*ackedPut
	read   map[int64]string // what a consumer was given, by queue offset
	next   int64            // of the consumer
	sent   int
	ok     int
	codes  map[int32]int
}

type ackedPut struct {
	body        string
	queueOffset int64
	phys        int64
	at          time.Duration
	acker       int
	gone        map[int]bool // hosts whose copy a power cut destroyed, and that have none again
	excused     bool
}

func newLedger(g *groupRig, copies int) *ledger {
	return &ledger{g: g, copies: copies, read: map[int64]string{}, codes: map[int32]int{}}
}

// put sends one message to h.
func (l *ledger) put(h *rigHost) {
	l.sent++
	body := fmt.Sprintf("m-%d-%s", l.sent, bytes.Repeat([]byte{'x'}, l.g.rng.IntN(200)))
	header := remoting.SendHeader{ProducerGroup: []byte("p"), Topic: []byte("T"), DefaultTopic: []byte("TBW102"), DefaultTopicQueueNums: 4,
		QueueID: 0, MaxReconsumeTimes: remoting.NoLimit, BornTimestamp: 1}
	l.g.request(h, remoting.RequestSendMessageV2, func(w *remoting.Writer) { header.Append(w, remoting.RequestSendMessageV2) }, []byte(body), func(f *remoting.Frame) {
		if f == nil {
			return
		}
		l.codes[f.Code]++
		switch f.Code {
		case remoting.ResponseSuccess:
			id, _ := f.Ext.Get("msgId")
			offset, _ := f.Ext.Get("queueOffset")
			n, err := strconv.ParseInt(string(offset), 10, 64)
			phys, err2 := strconv.ParseInt(string(id[len(id)-16:]), 16, 64)
			if err != nil || err2 != nil {
				l.g.fail("reply: %v %v", err, err2)
				return
			}
			l.ok++
			l.acked = append(l.acked, &ackedPut{body: body, queueOffset: n, phys: phys, at: l.g.now, acker: h.id, gone: map[int]bool{}})
		case remoting.ResponseFlushSlaveTimeout, remoting.ResponseFlushDiskTimeout, remoting.ResponseSlaveNotAvailable:
			if f.Code != remoting.ResponseFlushDiskTimeout {
				l.g.fail("answered %s, which says that the message is stored", f.CodeName())
			}
		}
	})
}

// holds reports whether h has a message in its page cache.
func (l *ledger) holds(h *rigHost, a *ackedPut) bool {
	if h.boot == 0 {
		if a.phys >= int64(len(h.last)) {
			return false
		}
		r, _, err := message.Decode(h.last[a.phys:], true)
		return err == nil && string(r.Body) == a.body && r.PhysOffset == a.phys
	}
	record, load, err := h.store.Record(a.phys, h.store.Marks().Written)
	if err != nil {
		return false
	}
	if load != nil {
		if load.Run() != nil {
			return false
		}
		record = load.Record()
	}
	r, _, err := message.Decode(record, true)
	return err == nil && string(r.Body) == a.body && r.PhysOffset == a.phys
}

// regained forgets what power cuts destroyed and replication brought back.
func (l *ledger) regained() {
	for _, a := range l.acked {
		for id := range a.gone {
			if l.holds(l.g.hosts[id], a) {
				delete(a.gone, id)
			}
		}
	}
}

// powerCut cuts the power of hosts at once, and notes what that destroyed.
func (l *ledger) powerCut(ids ...int) {
	l.destroy(func(h *rigHost) {
		h.down(true)
		l.g.logf("host %d has lost power", h.id)
	}, ids...)
}

// diskLost ends processes and empties their disks.
func (l *ledger) diskLost(id int) {
	l.destroy(func(h *rigHost) {
		h.down(false)
		h.fs = vfs.NewMem()
		l.g.logf("host %d has lost its disk", h.id)
	}, id)
}

// destroy does what destroys copies, and notes which.
func (l *ledger) destroy(strike func(*rigHost), ids ...int) {
	l.regained()
	had := map[int][]*ackedPut{}
	for _, id := range ids {
		for _, a := range l.acked {
			if l.holds(l.g.hosts[id], a) {
				had[id] = append(had[id], a)
			}
		}
	}
	for _, id := range ids {
		h := l.g.hosts[id]
		strike(h)
		st, _, err := store.Open(h.fs, store.Config{SegmentBytes: 4096, QueueFileBytes: 400, ChunkBytes: 1024})
		if err != nil {
			l.g.fail("host %d: open after a power cut: %v", id, err)
			return
		}
		h.last = l.g.logBytes(h.id, st)
		for _, a := range had[id] {
			if !l.holds(h, a) {
				a.gone[id] = true
				a.excused = a.excused || len(a.gone) >= l.copies && (l.copies > 1 || a.gone[a.acker])
			}
		}
		st.Abandon()
	}
}

// poll reads at an offset of h. What is served must stay; what was acknowledged before may not be missed.
func (l *ledger) poll(h *rigHost, from int64) {
	asked := l.g.now
	header := remoting.PullHeader{ConsumerGroup: []byte("g"), Topic: []byte("T"), QueueID: 0, QueueOffset: from, MaxMsgNums: 8,
		SysFlag: remoting.PullSubscription, Subscription: []byte("*")}
	l.g.request(h, remoting.RequestPullMessage, header.Append, nil, func(f *remoting.Frame) {
		if f == nil {
			return
		}
		switch f.Code {
		case remoting.ResponsePullNotFound, remoting.ResponsePullOffsetMoved, remoting.ResponsePullRetryImmediately:
			for _, a := range l.acked {
				if a.queueOffset == from && a.at < asked && !a.excused {
					l.g.fail("host %d answers %s (%s) at %d, where %.10s was acknowledged", h.id, f.CodeName(), f.Remark, from, a.body)
				}
			}
		case remoting.ResponseSuccess:
			for body := f.Body; len(body) > 0; {
				r, n, err := message.Decode(body, true)
				if err != nil {
					l.g.fail("pull: %v", err)
					return
				}
				body = body[n:]
				l.read[r.QueueOffset] = string(r.Body)
				l.next = max(l.next, r.QueueOffset+1)
			}
		}
	})
}

// load keeps clients going for d: one message every few milliseconds, most of them to whoever serves.
func (l *ledger) load(d time.Duration) {
	g := l.g
	end := g.now + d
	var tick func()
	tick = func() {
		if g.now >= end {
			return
		}
		h := g.hosts[1+g.rng.IntN(len(g.hosts)-1)]
		masters := g.masters()
		if len(masters) > 1 {
			g.fail("hosts %d and %d are masters at once", masters[0].id, masters[1].id)
		}
		if len(masters) > 0 && g.rng.IntN(8) > 0 {
			h = masters[0]
		}
		l.put(h)
		if g.rng.IntN(3) == 0 {
			from := l.next
			if len(l.acked) > 0 && g.rng.IntN(3) == 0 {
				from = l.acked[g.rng.IntN(len(l.acked))].queueOffset
			}
			l.poll(h, from)
		}
		g.at(g.delay(8*time.Millisecond), tick)
	}
	tick()
}

// settle heals everything and waits until all brokers hold the same log.
func (l *ledger) settle() {
	g := l.g
	for a := range g.hosts {
		for b := range a {
			if g.cut[[2]int{a, b}] {
				g.isolate(a, b, false)
			}
		}
	}
	for _, h := range g.hosts {
		if h.boot == 0 {
			h.start()
		}
	}
	for range 100 {
		g.run(100 * time.Millisecond)
		if l.level() || g.failed {
			break
		}
	}
	if !l.level() {
		for _, h := range g.hosts[1:] {
			g.logf("host %d: role %d, %+v, view %+v, up %d, marks %+v", h.id, h.node.role, h.store.Marks(), *h.node.control.replica.View(), len(h.node.replica.Peers(nil)), h.node.marks)
		}
		g.fail("the group does not come to rest: %d masters; %s", len(g.masters()), g.hosts[0].machine.(*NameServer).controller.Metadata())
	}
}

func (l *ledger) level() bool {
	g := l.g
	if len(g.masters()) != 1 {
		return false
	}
	m := g.masters()[0].store.Marks().Written
	for _, h := range g.hosts[1:] {
		if h.boot == 0 || h.store.Marks().Written != m || h.store.Marks().Indexed != m {
			return false
		}
	}
	if g.cfg(1).Choice.Role == durability.AsyncMaster {
		return true
	}
	return len(g.masters()[0].node.marks.Replicas) == len(g.hosts)-2
}

// check holds what clients were told against the logs of a group at rest.
func (l *ledger) check() {
	g := l.g
	if g.failed {
		return
	}
	before := l.ok
	for range 20 {
		l.put(g.masters()[0])
		g.run(50 * time.Millisecond)
	}
	if l.ok-before < 20 {
		g.fail("healed, and only %d of 20 sends were acknowledged: %v", l.ok-before, l.codes)
	}
	g.run(300 * time.Millisecond)
	first := g.logBytes(1, g.hosts[1].store)
	for _, h := range g.hosts[2:] {
		if b := g.logBytes(h.id, h.store); !bytes.Equal(first, b) {
			g.fail("the logs of hosts 1 and %d differ: %d and %d bytes", h.id, len(first), len(b))
		}
	}
	excused := map[int64]bool{}
	for _, a := range l.acked {
		if a.excused {
			excused[a.queueOffset] = true
			continue
		}
		for _, h := range g.hosts[1:] {
			if !l.holds(h, a) {
				g.fail("%.12s was acknowledged at %v at %d (queue offset %d) and is lost on host %d; destroyed on %v", a.body, a.at, a.phys, a.queueOffset, h.id, a.gone)
				return
			}
		}
	}
}

// A group without faults elects one master, brings the others into the SyncStateSet and acknowledges.
func TestGroupServes(t *testing.T) {
	g := newGroupRig(t, 1, 3, func(int) Config { return groupConfig(durability.AsyncFlush, 2) })
	l := newLedger(g, 2)
	g.run(500 * time.Millisecond)
	l.load(time.Second)
	g.run(1500 * time.Millisecond)
	if l.ok < 150 {
		t.Errorf("%d of %d sends were acknowledged: %v", l.ok, l.sent, l.codes)
	}
	l.settle()
	l.check()
	if int64(l.ok) > l.next+int64(len(g.masters()[0].node.arrivals.items))+40 {
		t.Errorf("%d acknowledged, consumers came to %d", l.ok, l.next)
	}
}

// groupSeeds is how many histories TestGroupKeepsWhatItAcknowledged plays.
func groupSeeds(t *testing.T) (from, to uint64) {
	if s := os.Getenv("HOLDFAST_GROUP_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n, n + 1
	}
	if os.Getenv("HOLDFAST_LONG") != "" {
		return 1, 600
	}
	return 1, 9
}

// strike does one fault to the group, and undoes it some time later.
func (l *ledger) strike() {
	g := l.g
	pick := func() int { return 1 + g.rng.IntN(len(g.hosts)-1) }
	if m := g.masters(); len(m) > 0 && g.rng.IntN(2) == 0 {
		id := m[0].id
		pick = func() int { return id }
	}
	down := 20*time.Millisecond + time.Duration(g.rng.Int64N(int64(1500*time.Millisecond)))
	up := func(h *rigHost) {
		g.at(down, func() {
			if h.boot == 0 {
				h.start()
			}
		})
	}
	switch h := g.hosts[pick()]; g.rng.IntN(9) {
	case 8:
		l.diskLost(h.id)
		up(h)
	case 0, 1:
		h.down(false)
		up(h)
	case 2, 3:
		l.powerCut(h.id)
		up(h)
	case 4:
		var ids []int
		for _, h := range g.hosts[1:] {
			if g.rng.IntN(4) > 0 {
				ids = append(ids, h.id)
			}
		}
		l.powerCut(ids...)
		for _, id := range ids {
			down = 20*time.Millisecond + time.Duration(g.rng.Int64N(int64(800*time.Millisecond)))
			up(g.hosts[id])
		}
	case 5:
		other := g.rng.IntN(len(g.hosts))
		if other == h.id {
			other = 0
		}
		g.isolate(h.id, other, true)
		g.at(down, func() { g.isolate(h.id, other, false) })
	case 6:
		if h.boot != 0 {
			g.logf("host %d stops in order", h.id)
			l.stop(h, h.boot)
			up(h)
		}
	case 7:
		g.hosts[0].down(false)
		up(g.hosts[0])
	}
}

// stop ends a process in order.
func (l *ledger) stop(h *rigHost, boot int64) {
	h.step(&Event{Kind: KindStop})
	var wait func()
	wait = func() {
		switch {
		case h.boot != boot:
		case h.stopped:
			st := h.store
			h.last, h.store = l.g.logBytes(h.id, st), nil
			if err := st.Close(); err != nil {
				l.g.fail("host %d: close: %v", h.id, err)
			}
			h.down(false)
		default:
			l.g.at(time.Millisecond, wait)
		}
	}
	wait()
}

// Whatever fails, what was acknowledged is kept as long as one of the promised copies is, no two masters serve at once,
// nobody misses what was acknowledged, and, once all is healed, the logs agree and the group serves.
func TestGroupKeepsWhatItAcknowledged(t *testing.T) {
	from, to := groupSeeds(t)
	acked, excused, elections := 0, 0, 0
	for seed := from; seed < to && !t.Failed(); seed++ {
		flush, inSync, brokers := durability.AsyncFlush, 2, 3
		switch seed % 4 {
		case 1:
			flush = durability.SyncFlush
		case 2:
			brokers = 2
		case 3:
			inSync = 1
		}
		role := durability.SyncMaster
		if seed%12 == 0 {
			role, inSync = durability.AsyncMaster, 1
		}
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			g := newGroupRig(t, seed, brokers, func(int) Config {
				cfg := groupConfig(flush, inSync)
				cfg.Choice.Role = role
				return cfg
			})
			l := newLedger(g, inSync)
			g.run(500 * time.Millisecond)
			l.load(6 * time.Second)
			for range 1 + g.rng.IntN(6) {
				g.run(50*time.Millisecond + g.delay(time.Second))
				l.strike()
			}
			g.run(max(0, 6500*time.Millisecond-g.now))
			l.settle()
			l.check()
			for _, a := range l.acked {
				if acked++; a.excused {
					excused++
				}
			}
			if !t.Failed() {
				elections += int(g.masters()[0].node.replica.Epoch())
			}
		})
	}
	t.Logf("%d acknowledged, %d of them excused, %d elections", acked, excused, elections)
}
