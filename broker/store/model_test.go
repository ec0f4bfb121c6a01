package store

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"holdfast/broker/message"
	"holdfast/broker/vfs"
)

// record returns one message as Append takes it.
func record(topic string, queueID int32, body []byte, props string) []byte {
	return message.Append(nil, &message.Record{QueueID: queueID, BornTimestamp: 1, Body: body, Topic: []byte(topic), Properties: []byte(props)})
}

// machine is a store over a disk that can lose power, beside what it must hold: the log as it was appended.
type machine struct {
	t    *rapid.T
	mem  *vfs.Mem
	cfg  Config
	s    *Store
	now  time.Duration
	log  []byte     // from physical offset 0
	ends []int64    // of records in log
	msgs []modelMsg // in log, by end
	// What the store said: never to be lost by the end of the process, or by a power cut.
	written, synced int64
	lent            []lentRange
	rebuilt         bool  // Open may build the consume queues anew
	min             int64 // the log begins here, or may begin here when Open has the choice
	expired         int64 // ... for good
}

// lentRange is memory that the store gave to a reader, and what was in it.
type lentRange struct{ mem, was []byte }

type modelMsg struct {
	topic       string
	queueID     int32
	queueOffset int64
	phys, end   int64
	tags        int64
	at          int64 // store time
	keys        []string
}

func smallConfig(t *rapid.T) Config {
	return Config{
		SegmentBytes:    rapid.SampledFrom([]int64{512, 1000, 4096}).Draw(t, "segment"),
		QueueFileBytes:  rapid.SampledFrom([]int64{40, 100, 6000}).Draw(t, "queueFile"),
		ChunkBytes:      rapid.SampledFrom([]int{64, 256, 4096}).Draw(t, "chunk"),
		HotBytes:        rapid.SampledFrom([]int64{1, 300, 100000}).Draw(t, "hot"),
		MaxHashSlots:    rapid.SampledFrom([]int32{1, 7, 40_000}).Draw(t, "slots"),
		MaxIndexes:      rapid.SampledFrom([]int32{2, 9, 300}).Draw(t, "indexes"),
		IndexTags:       rapid.Bool().Draw(t, "tags"),
		HotUnits:        rapid.SampledFrom([]int{1, 8, 1000}).Draw(t, "hotUnits"),
		CheckpointEvery: time.Second,
		AuxQueues:       rapid.SampledFrom([]int{1, 2, 2048}).Draw(t, "auxQueues"),
		OpenQueueFiles:  rapid.SampledFrom([]int{1, 3, 512}).Draw(t, "openQueueFiles"),
		QueueSyncEvery:  rapid.SampledFrom([]time.Duration{1, 3 * time.Second}).Draw(t, "queueSync"),
	}
}

func (m *machine) open() {
	s, r, err := Open(m.mem, m.cfg)
	if err != nil {
		m.t.Fatalf("open: %v (%v)", err, r)
	}
	m.s = s
	end := s.Marks().Appended
	if d, err := Dump(m.mem); err != nil || len(d.Problems) > 0 || d.CommitLog.End != end || d.CommitLog.BehindEnd > 0 || d.Unlisted > 0 || r.Rebuilt && !m.rebuilt {
		m.t.Fatalf("opened: %v, %+v, %v", r, d, err)
	}
	if end < m.synced {
		m.t.Fatalf("the log was synced up to %d and ends at %d: %v", m.synced, end, r)
	}
	if got := s.Marks().Min; got < m.expired || got > m.min {
		m.t.Fatalf("the log begins at %d, what lies below %d had expired, and nothing from %d on", got, m.expired, m.min)
	}
	m.min, m.expired = s.Marks().Min, s.Marks().Min
	m.cut(end)
	m.written, m.synced = end, end
	m.check()
}

// cut makes end the end of the model's log; it must be the end of a record, or of a file.
func (m *machine) cut(end int64) {
	if end > int64(len(m.log)) {
		m.t.Fatalf("the log ends at %d, only %d bytes were appended", end, len(m.log))
	}
	n := 0
	for n < len(m.ends) && m.ends[n] <= end {
		n++
	}
	if n > 0 && m.ends[n-1] != end && end%m.s.cfg.SegmentBytes != 0 || n == 0 && end != 0 {
		m.t.Fatalf("the log ends at %d, within a record", end)
	}
	m.log, m.ends, m.msgs = m.log[:end], m.ends[:n], m.msgs[:n]
}

// check compares everything that the store can be asked for with the model.
func (m *machine) check() {
	marks := m.s.Marks()
	if marks.Appended != int64(len(m.log)) {
		m.t.Fatalf("appended %d, want %d", marks.Appended, len(m.log))
	}
	if got := m.readRaw(m.min, marks.Written); !bytes.Equal(got, m.log[m.min:marks.Written]) {
		at := 0
		for at < len(got) && got[at] == m.log[m.min:][at] {
			at++
		}
		m.t.Fatalf("log differs at %d, below %d: %x, want %x", at, marks.Written, got[at:], m.log[m.min:][at:])
	}
	if got := m.readRaw(m.min, marks.Appended); !bytes.Equal(got, m.log[m.min:]) {
		m.t.Fatalf("log differs below %d", marks.Appended)
	}
	for _, l := range m.lent {
		if !bytes.Equal(l.mem, l.was) {
			m.t.Fatal("the memory of a reader was written to")
		}
	}
	perQueue, first := map[queueKey]int64{}, map[queueKey]int64{}
	for _, msg := range m.msgs {
		key := queueKey{msg.topic, msg.queueID}
		if msg.queueOffset != perQueue[key] {
			m.t.Fatalf("model: %v", msg)
		}
		perQueue[key]++
		if msg.phys < m.min {
			first[key]++
		}
	}
	if m.s.expire.to != 0 {
		return // queues begin where they did until the job has run
	}
	for _, q := range m.s.Queues() {
		if key := (queueKey{q.topic, q.id}); q.Min() != first[key] {
			m.t.Fatalf("queue %s/%d begins at %d, want %d", q.topic, q.id, q.Min(), first[key])
		}
		if q.Next() != perQueue[queueKey{q.topic, q.id}] {
			m.t.Fatalf("queue %s/%d is [%d, %d), want [0, %d)", q.topic, q.id, q.Min(), q.Next(), perQueue[queueKey{q.topic, q.id}])
		}
		delete(perQueue, queueKey{q.topic, q.id})
	}
	if len(perQueue) > 0 {
		m.t.Fatalf("queues missing: %v", perQueue)
	}
}

func (m *machine) readRaw(from, limit int64) []byte {
	var b []byte
	for from < limit {
		r, ok := m.s.ReadRaw(from, limit, 300)
		if !ok {
			m.t.Fatalf("nothing at %d below %d", from, limit)
		}
		if r.Phys/m.s.cfg.SegmentBytes != (r.Phys+int64(r.Len)-1)/m.s.cfg.SegmentBytes {
			m.t.Fatalf("[%d, +%d) crosses a file of %d", r.Phys, r.Len, m.s.cfg.SegmentBytes)
		}
		var err error
		if b, err = r.AppendTo(b); err != nil {
			m.t.Fatal(err)
		}
		from += int64(r.Len)
	}
	return b
}

func (m *machine) Append(t *rapid.T) {
	topic, id := rapid.SampledFrom([]string{"T", "U"}).Draw(t, "topic"), rapid.Int32Range(0, 1).Draw(t, "queue")
	n := rapid.IntRange(1, 3).Draw(t, "n")
	q, err := m.s.Queue(topic, id)
	if err != nil {
		t.Fatal(err)
	}
	var b []byte
	var sizes []int64
	var keys [][]string
	tag := rapid.SampledFrom([]string{"", "TAGS\x01a\x02", "TAGS\x01b\x02"}).Draw(t, "tag")
	for range n {
		size := rapid.SampledFrom([]int{0, 1, 20, 21, 50}).Draw(t, "body")
		unique := fmt.Sprintf("u%d.%d", len(m.log), len(keys))
		words := rapid.SampledFrom([]string{"", "k1", "k1 k2", " k2  k3 "}).Draw(t, "keys")
		r := record(topic, id, bytes.Repeat([]byte{byte(len(m.log))}, size), tag+"KEYS\x01"+words+"\x02UNIQ_KEY\x01"+unique+"\x02")
		keys = append(keys, append(strings.Fields(words), unique))
		b, sizes = append(b, r...), append(sizes, int64(len(r)))
	}
	next := q.Next()
	now := 1000 + 100*int64(len(m.log))
	phys, queueOffset, err := m.s.Append(q, b, n, now)
	if int64(len(b)) > m.s.cfg.SegmentBytes-blankBytes {
		if !errors.Is(err, ErrTooLong) {
			t.Fatalf("append of %d bytes: %v", len(b), err)
		}
		return
	}
	if err != nil || queueOffset != next || phys < int64(len(m.log)) {
		t.Fatalf("append: phys %d, queue offset %d (want %d), %v", phys, queueOffset, next, err)
	}
	if gap := phys - int64(len(m.log)); gap > 0 { // a BLANK record and zeroes
		blank := message.AppendBlank(nil, int(gap))
		m.log = append(m.log, append(blank, make([]byte, gap)...)[:gap]...)
	}
	m.log = append(m.log, b...)
	for i, size := range sizes {
		m.msgs = append(m.msgs, modelMsg{topic, id, queueOffset, phys, phys + size, message.TagsCode([]byte(tag)), now, keys[i]})
		phys, queueOffset = phys+size, queueOffset+1
		m.ends = append(m.ends, phys)
	}
}

func (m *machine) Write(*rapid.T) {
	if j := m.s.TakeWrite(); j != nil {
		m.s.Written(j.Gen, j.Upto, j.Run())
		m.written = max(m.written, j.Upto)
	}
}

// SyncBesideWrite syncs what was written when the sync began, while more is written.
func (m *machine) SyncBesideWrite(*rapid.T) {
	j := m.s.TakeSync()
	if j == nil {
		return
	}
	err := j.Run()
	m.Write(nil)
	m.s.Synced(j.Gen, j.Upto, err)
	m.synced = m.s.Marks().Synced
}

func (m *machine) Aux(t *rapid.T) {
	m.now += rapid.SampledFrom([]time.Duration{1, time.Second, 4 * time.Second}).Draw(t, "wait")
	m.mem.SetTime(m.now)
	j := m.s.TakeAux(m.now)
	if j == nil {
		return
	}
	if j.slot.synced > m.synced {
		t.Fatalf("checkpoint %d beyond synced %d", j.slot.synced, m.synced)
	}
	expiry := j.expiry.to
	err := j.Run()
	m.Write(nil)
	m.s.AuxDone(j.Gen, err)
	if err != nil {
		t.Fatal(err)
	}
	m.expired = max(m.expired, expiry)
}

func (m *machine) Lookup(t *rapid.T) {
	if len(m.s.Queues()) == 0 {
		return
	}
	q := rapid.SampledFrom(m.s.Queues()).Draw(t, "queue")
	marks := m.s.Marks()
	want := Want{
		Count: rapid.IntRange(1, 5).Draw(t, "count"),
		Bytes: rapid.SampledFrom([]int{1, 200, 100000}).Draw(t, "bytes"),
		Limit: rapid.SampledFrom([]int64{marks.Synced, marks.Written, marks.Appended}).Draw(t, "limit"),
	}
	if rapid.Bool().Draw(t, "filtered") {
		want.Tags = []int64{message.TagsCode([]byte("TAGS\x01a\x02"))}
	}
	from := rapid.Int64Range(q.Min(), q.Next()).Draw(t, "from")
	ranges, found := m.s.Lookup(q, from, want, nil)
	if found.Load != nil {
		if err := found.Load.Run(); err != nil {
			t.Fatal(err)
		}
		if err := m.s.Loaded(found.Load); err != nil {
			t.Fatal(err)
		}
		if ranges, found = m.s.Lookup(q, from, want, nil); found.Load != nil {
			t.Fatal("loaded, and asks for it again")
		}
	}
	var got []byte
	for _, r := range ranges {
		var err error
		m.lent = append(m.lent, lentRange{r.Mem, bytes.Clone(r.Mem)})
		if got, err = r.AppendTo(got); err != nil {
			t.Fatal(err)
		}
	}
	exp, n, visible := m.expect(q, from, want, found)
	if !bytes.Equal(got, exp) || n != found.Count || found.Bytes != len(exp) {
		t.Fatalf("lookup of %s/%d from %d, %+v: %d messages, %d bytes, want %d, %d; %+v", q.topic, q.id, from, want, found.Count, len(got), n, len(exp), found)
	}
	if m.s.expire.to == 0 && q.hot.min == 0 && q.Max(want.Limit) != max(visible, q.Min()) {
		t.Fatalf("Max(%d) = %d, want %d", want.Limit, q.Max(want.Limit), visible)
	}
}

// expect returns what a Lookup must find up to the queue offset that it says it has come to, at least one message if
// there is one and it passed nothing by, and how far the queue is visible.
func (m *machine) expect(q *Queue, from int64, want Want, found Found) (b []byte, n int, visible int64) {
	first := false // a message that must be found was passed
	for _, msg := range m.msgs {
		if msg.topic != q.topic || msg.queueID != q.id || msg.phys < m.min || msg.end > want.Limit {
			continue
		}
		visible = msg.queueOffset + 1
		if msg.queueOffset < from || len(want.Tags) > 0 && msg.tags != want.Tags[0] {
			continue
		}
		if msg.queueOffset < found.Next {
			b, n = append(b, m.log[msg.phys:msg.end]...), n+1
		} else if n == 0 && found.Next == from && !first {
			first = true
			b, n = append(b, m.log[msg.phys:msg.end]...), 1
		}
	}
	return b, n, visible
}

// Query looks for a key, in the index files and behind them.
func (m *machine) Query(t *rapid.T) {
	q := Query{Topic: rapid.SampledFrom([]string{"T", "U"}).Draw(t, "topic"), Max: rapid.SampledFrom([]int{1, 3, 64}).Draw(t, "max"), End: 1 << 50, Bytes: 1 << 20}
	q.Key = rapid.SampledFrom([]string{"k1", "k2", "k3"}).Draw(t, "key")
	if len(m.msgs) > 0 && rapid.Bool().Draw(t, "unique") {
		keys := rapid.SampledFrom(m.msgs).Draw(t, "message").keys
		q.Key = keys[len(keys)-1]
	}
	marks := m.s.Marks()
	q.Limit = rapid.SampledFrom([]int64{marks.Synced, marks.Written}).Draw(t, "limit")
	j := m.s.Query(q)
	if err := j.Run(); err != nil {
		t.Fatal(err)
	}
	if err := m.s.Loaded(j); err != nil {
		t.Fatal(err)
	}
	var want []byte
	n := 0
	for i := len(m.msgs) - 1; i >= 0 && n < q.Max; i-- {
		if msg := m.msgs[i]; msg.topic == q.Topic && msg.phys >= m.min && msg.end <= q.Limit && slices.Contains(msg.keys, q.Key) {
			want, n = append(bytes.Clone(m.log[msg.phys:msg.end]), want...), n+1
		}
	}
	if got := j.Matches(); got.Count != n || !bytes.Equal(got.Records, want) {
		t.Fatalf("query %+v: got %d, want %d messages", q, got.Count, n)
	}
}

// Expire removes files at the begin of the log, at once or with the next job.
func (m *machine) Expire(t *rapid.T) {
	before := rapid.SampledFrom([]int64{0, 1 << 50}).Draw(t, "before")
	if len(m.msgs) > 0 && before > 0 {
		before = rapid.SampledFrom(m.msgs).Draw(t, "message").at
	}
	to := m.s.Expirable(before, rapid.IntRange(1, 3).Draw(t, "files"), before == 0)
	for _, msg := range m.msgs {
		if before > 0 && msg.phys >= m.min && msg.phys < to && msg.at >= before {
			t.Fatalf("message of %d at %d, the log may be cut at %d", msg.at, msg.phys, to)
		}
	}
	m.s.Expire(to)
	held := m.min
	m.min = max(m.min, to)
	if rapid.Bool().Draw(t, "later") || to == held {
		return
	}
	m.Aux(t)
	m.expired = m.min
}

// Kill ends the process: what was written is there, nothing more need be.
func (m *machine) Kill(*rapid.T) {
	m.mem.Unlock()
	if m.written > m.synced {
		m.synced = m.written // for this one time: the page cache survives
	}
	m.open()
}

// PowerCut loses what no sync covered, but for survivors. It garbles nothing: no checksum covers the properties of
// a record, so that garbage there passes for properties (see FuzzOpen).
func (m *machine) PowerCut(t *rapid.T) {
	loss := vfs.Loss{
		KeepPercent: rapid.SampledFrom([]int{0, 0, 50, 90, 100}).Draw(t, "keep"),
		Granule:     rapid.SampledFrom([]int{0, 512}).Draw(t, "granule"),
		Tear:        rapid.Bool().Draw(t, "tear"),
		Reorder:     rapid.Bool().Draw(t, "reorder"),
		Names:       rapid.SampledFrom([]vfs.NamesModel{vfs.Ext4, vfs.Posix}).Draw(t, "names"),
	}
	seed := rapid.Uint64().Draw(t, "seed")
	rng := rand.New(rand.NewPCG(seed, 1))
	m.mem = m.mem.Crash(rng, loss)
	m.open()
	if rapid.Bool().Draw(t, "again") { // nothing that Open found may depend on the page cache
		m.mem = m.mem.Crash(rng, vfs.Loss{Names: loss.Names})
		end := m.s.Marks().Appended
		m.open()
		if got := m.s.Marks().Appended; got != end {
			t.Fatalf("opened at %d, after another power cut at %d", end, got)
		}
	}
}

func (m *machine) Restart(t *rapid.T) {
	if err := m.s.Close(); err != nil {
		t.Fatal(err)
	}
	m.synced = int64(len(m.log))
	if rapid.Bool().Draw(t, "power") {
		m.mem = m.mem.Crash(rand.New(rand.NewPCG(1, 1)), vfs.Loss{Names: vfs.Posix})
	}
	m.open()
}

// Everything that a store promises, between any two operations and jobs: nothing synced is lost, what is recovered is a
// prefix of what was appended, consume queues agree with it, and so again after a second power cut.
func TestStoreAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &machine{t: t, mem: vfs.NewMem(), cfg: smallConfig(t)}
		m.open()
		t.Repeat(map[string]func(*rapid.T){
			"append": m.Append, "append again": m.Append, "write": m.Write, "sync": m.SyncBesideWrite, "aux": m.Aux,
			"lookup": m.Lookup, "query": m.Query, "expire": m.Expire, "kill": m.Kill, "power": m.PowerCut, "restart": m.Restart, "": func(*rapid.T) { m.check() },
		})
	})
}
