package broker

import (
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"holdfast/broker/durability"
	"holdfast/broker/message"
	"holdfast/broker/remoting"
	"holdfast/broker/store"
	"holdfast/broker/vfs"
)

// bench is a master whose disk does at once what it is asked for, and one client.
type bench struct {
	t       *testing.T
	fsys    *vfs.Mem
	store   *store.Store
	node    *Node
	intake  *Intake
	now     Instant
	wake    time.Duration
	replies []remoting.Frame // since the last request
	opaque  int32
}

// newBench returns a master without a store, or over the store of an earlier one, with the topic T of one queue.
func newBench(t *testing.T, fsys *vfs.Mem, now Instant) *bench {
	t.Helper()
	b := &bench{t: t, fsys: fsys, now: now}
	if fsys == nil {
		b.fsys = vfs.NewMem()
		if err := b.fsys.MkdirAll("config"); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if b.store, _, err = store.Open(b.fsys, store.Config{SegmentBytes: 1 << 20, MaxAppendBytes: 1 << 19, HotBytes: 1 << 10, ChunkBytes: 1 << 12}); err != nil {
		t.Fatal(err)
	}
	cfg := DefaultConfig(durability.RocketMQ5)
	cfg.Addr = netip.MustParseAddrPort("127.0.0.1:10911")
	if b.node, err = New(cfg, b.store, b.fsys, rand.New(rand.NewPCG(1, 1))); err != nil {
		t.Fatal(err)
	}
	b.intake = b.node.Intake("127.0.0.1:40000")
	b.step(&Event{Kind: KindOpened, Conn: 1, Addr: "127.0.0.1:40000"})
	h := remoting.CreateTopicHeader{Topic: remoting.TopicConfig{Name: "T", ReadQueues: 1, WriteQueues: 1, Perm: 6}}
	b.request(remoting.RequestUpdateAndCreateTopic, h.Append, nil)
	return b
}

// step takes one event and all that follows from it at this instant.
func (b *bench) step(ev *Event) {
	b.t.Helper()
	for queue := []*Event{ev}; len(queue) > 0; queue = queue[1:] {
		var out Output
		b.node.Step(b.now, queue[0], &out)
		if out.Halt != nil {
			b.t.Fatal(out.Halt)
		}
		b.wake = out.WakeAt
		for i := range out.Replies {
			frame, err := b.node.AppendReply(nil, &out.Replies[i])
			if err != nil {
				b.t.Fatal(err)
			}
			f, _, err := remoting.Decode(frame)
			if err != nil {
				b.t.Fatal(err)
			}
			b.replies = append(b.replies, f)
		}
		if out.Write != nil {
			queue = append(queue, &Event{Kind: KindWritten, Err: out.Write.Run()})
		}
		if out.Sync != nil {
			queue = append(queue, &Event{Kind: KindSynced, Err: out.Sync.Run()})
		}
		if out.Aux != nil {
			queue = append(queue, &Event{Kind: KindAuxDone, Err: out.Aux.Run()})
		}
		for _, job := range out.Loads {
			_ = job.Run()
			queue = append(queue, &Event{Kind: KindLoaded, Load: job})
		}
		for _, s := range out.Saves {
			queue = append(queue, &Event{Kind: KindSaved, Name: s.Name, Err: vfs.WriteFile(b.fsys, s.Name, s.Bytes)})
		}
	}
}

// pass lets time go by, waking the node whenever it asks for it.
func (b *bench) pass(d time.Duration) {
	b.t.Helper()
	for end := b.now.Mono + d; b.now.Mono < end; {
		next := end
		if b.wake > b.now.Mono {
			next = min(end, b.wake)
		}
		b.now.Wall += (next - b.now.Mono).Milliseconds()
		b.now.Mono = next
		b.step(&Event{Kind: KindWoke})
	}
}

// request sends one request and returns the code of its answer.
func (b *bench) request(code int32, fields func(*remoting.Writer), body []byte) int32 {
	b.t.Helper()
	b.opaque++
	w := remoting.Begin(nil, &remoting.Frame{Code: code, Opaque: b.opaque})
	fields(&w)
	b.intake.Reset()
	requests, _, err := b.intake.Decode(w.Finish(body))
	if err != nil {
		b.t.Fatal(err)
	}
	b.replies = nil
	b.step(&Event{Kind: KindReceived, Conn: 1, Requests: requests})
	for i := 0; len(b.replies) == 0 && i < 100; i++ {
		b.pass(10 * time.Millisecond)
	}
	if len(b.replies) != 1 || b.replies[0].Opaque != b.opaque {
		b.t.Fatalf("%s: answers %+v", remoting.RequestName(code), b.replies)
	}
	return b.replies[0].Code
}

func (b *bench) send(body, properties string) int32 {
	b.t.Helper()
	h := remoting.SendHeader{ProducerGroup: []byte("p"), Topic: []byte("T"), DefaultTopic: []byte("TBW102"), DefaultTopicQueueNums: 1,
		Properties: []byte(properties), MaxReconsumeTimes: remoting.NoLimit}
	return b.request(remoting.RequestSendMessageV2, func(w *remoting.Writer) { h.Append(w, remoting.RequestSendMessageV2) }, []byte(body))
}

// read returns all messages of queue 0 of a topic.
func (b *bench) read(topic string) (records []message.Record) {
	b.t.Helper()
	h := remoting.PullHeader{ConsumerGroup: []byte("g"), Topic: []byte(topic), MaxMsgNums: 32, SysFlag: remoting.PullSubscription, Subscription: []byte("*")}
	if b.request(remoting.RequestPullMessage, h.Append, nil) != remoting.ResponseSuccess {
		return nil
	}
	for body := b.replies[0].Body; len(body) > 0; {
		r, n, err := message.Decode(body, true)
		if err != nil {
			b.t.Fatal(err)
		}
		records, body = append(records, r), body[n:]
	}
	return records
}

// fail gives a message back as a consumer of group g.
func (b *bench) fail(physOffset int64, level int32) int32 {
	b.t.Helper()
	h := remoting.SendBackHeader{Offset: physOffset, Group: "g", DelayLevel: level, MaxReconsumeTimes: remoting.NoLimit}
	return b.request(remoting.RequestConsumerSendMsgBack, h.Append, nil)
}

// restart stops the node as an operator does and starts another one over its store, a minute later.
func (b *bench) restart() *bench {
	b.t.Helper()
	b.step(&Event{Kind: KindStop})
	if err := b.store.Close(); err != nil {
		b.t.Fatal(err)
	}
	return newBench(b.t, b.fsys, Instant{Mono: time.Millisecond, Wall: b.now.Wall + 60_000})
}

var begin = Instant{Mono: time.Millisecond, Wall: 1767225600000}

func TestDelayedMessageComesInTime(t *testing.T) {
	b := newBench(t, nil, begin)
	for _, m := range []struct{ body, properties string }{{"two", "DELAY\x012\x02"}, {"one", "DELAY\x011\x02TAGS\x01A\x02"}, {"none", "DELAY\x010\x02"}} {
		if code := b.send(m.body, m.properties); code != remoting.ResponseSuccess {
			t.Fatalf("send: %d", code)
		}
	}
	expect := func(when string, want ...string) {
		t.Helper()
		var got []string
		for _, r := range b.read("T") {
			got = append(got, string(r.Body))
		}
		if strings.Join(got, ",") != strings.Join(want, ",") {
			t.Errorf("%s: got %q, want %q", when, got, want)
		}
	}
	expect("at once", "none")
	b.pass(900 * time.Millisecond)
	expect("before a second has passed", "none")
	b.pass(200 * time.Millisecond)
	expect("after a second", "none", "one")
	b.pass(3600 * time.Millisecond)
	expect("before five", "none", "one")
	b.pass(500 * time.Millisecond)
	expect("after five", "none", "one", "two")
	b.pass(10 * time.Minute)
	expect("once and for all", "none", "one", "two")
	one := b.read("T")[1]
	if level, _ := message.Property(one.Properties, message.PropertyDelay); string(level) != "1" || message.TagsCode(one.Properties) != int64(message.HashCode("A")) || one.QueueID != 0 {
		t.Errorf("delivered: %+v %q", one, one.Properties)
	}
}

func TestDelayedMessageOutlivesARestart(t *testing.T) {
	b := newBench(t, nil, begin)
	b.send("soon", "DELAY\x011\x02")
	b.pass(2 * time.Second)
	b.send("late", "DELAY\x016\x02") // two minutes
	b.send("while down", "DELAY\x014\x02")
	b = b.restart()
	b.pass(time.Second)
	if got := b.read("T"); len(got) != 2 || string(got[1].Body) != "while down" {
		t.Errorf("a second after the restart: %d messages", len(got))
	}
	b.pass(55 * time.Second)
	if got := b.read("T"); len(got) != 2 {
		t.Errorf("before its time: %d messages", len(got))
	}
	b.pass(10 * time.Second)
	if got := b.read("T"); len(got) != 3 || string(got[2].Body) != "late" {
		t.Errorf("after two minutes: %d messages", len(got))
	}
}

// TestDelayedMessagesUnderABackwardClock sets the wall clock back while several messages of one level wait: each must still come
// when its delay has passed, not one delay after the one before it.
func TestDelayedMessagesUnderABackwardClock(t *testing.T) {
	for _, tt := range []struct {
		says    string
		restart bool
	}{{"an hour", false}, {"an hour, and the broker starts anew", true}} {
		b := newBench(t, nil, begin)
		const n, apart = 5, 500 * time.Millisecond
		for range n {
			b.send("late", "DELAY\x013\x02") // 10 s
			b.pass(apart)
		}
		b.now.Wall -= time.Hour.Milliseconds()
		first := delays[2] - n*apart
		if tt.restart {
			b, first = b.restart(), delays[2] // nobody knows any more when it was sent
		}
		b.send("after", "DELAY\x013\x02")
		b.pass(first - apart/2)
		for i := range n {
			if got := len(b.read("T")); got != i {
				t.Fatalf("%s: %d delivered before the time of message %d", tt.says, got, i)
			}
			b.pass(apart)
		}
		if got := len(b.read("T")); got < n {
			t.Errorf("%s: %d of %d delivered", tt.says, got, n)
		}
		b.pass(delays[2])
		if got := b.read("T"); len(got) != n+1 || string(got[n].Body) != "after" {
			t.Errorf("%s: %d messages in the end, want %d", tt.says, len(got), n+1)
		}
	}
}

func TestManyDelayedMessagesFromFiles(t *testing.T) {
	b := newBench(t, nil, begin) // a hot region of 1 KiB: nearly all must be read from files
	const n = 3 * deliverMax
	for range n {
		b.send(strings.Repeat("x", 100), "DELAY\x013\x02")
	}
	b.pass(12 * time.Second)
	if got := b.node.topics.byName["T"].queues[0].store.Next(); got != n {
		t.Errorf("%d of %d delivered", got, n)
	}
}

func TestSentBackMessageIsRetriedAndBuried(t *testing.T) {
	b := newBench(t, nil, begin)
	b.send("fails", "TAGS\x01A\x02")
	b.send(strings.Repeat("later messages", 1000), "") // the first one is no longer in memory
	first := b.read("T")[0]
	if code := b.fail(first.PhysOffset+1, 0); code != remoting.ResponseSystemError {
		t.Errorf("an offset inside a record: %d", code)
	}
	if code := b.fail(1<<40, 0); code != remoting.ResponseSystemError {
		t.Errorf("an offset beyond the log: %d", code)
	}
	b.send(string(message.Append(nil, &first)), "") // a body that is a record
	if code := b.fail(b.read("T")[2].PhysOffset+88, 0); code != remoting.ResponseSystemError {
		t.Errorf("a record inside a body: %d", code)
	}
	phys := first.PhysOffset
	for try := range int32(2) {
		if code := b.fail(phys, 0); code != remoting.ResponseSuccess {
			t.Fatalf("try %d: %d", try, code)
		}
		b.pass(delays[firstRetryLevel+try-1] - 500*time.Millisecond)
		if got := b.read("%RETRY%g"); len(got) != int(try) {
			t.Fatalf("try %d came too early", try)
		}
		b.pass(time.Second)
		got := b.read("%RETRY%g")
		if len(got) != int(try)+1 {
			t.Fatalf("try %d did not come", try)
		}
		r := got[try]
		topic, _ := message.Property(r.Properties, message.PropertyRetryTopic)
		origin, _ := message.Property(r.Properties, message.PropertyOriginMessageID)
		if want := message.AppendOffsetID(nil, &first.StoreHost, false, first.PhysOffset); string(r.Body) != "fails" || r.ReconsumeTimes != try+1 || string(topic) != "T" || string(origin) != string(want) {
			t.Errorf("try %d: %+v %q", try, r, r.Properties)
		}
		phys = r.PhysOffset
	}
	if code := b.fail(phys, -1); code != remoting.ResponseSuccess {
		t.Errorf("burial: %d", code)
	}
	if got := b.read("%DLQ%g"); len(got) != 1 || string(got[0].Body) != "fails" {
		t.Errorf("%d dead letters", len(got))
	}
}

func TestHalfMessagesAreRefused(t *testing.T) {
	b := newBench(t, nil, begin)
	h := remoting.SendHeader{ProducerGroup: []byte("p"), Topic: []byte("T"), DefaultTopic: []byte("TBW102"), SysFlag: message.SysPrepared}
	code := b.request(remoting.RequestSendMessageV2, func(w *remoting.Writer) { h.Append(w, remoting.RequestSendMessageV2) }, []byte("half"))
	if code != remoting.ResponseNoPermission {
		t.Errorf("got %s", remoting.ResponseName(code))
	}
}

func TestTopicConfigIsTold(t *testing.T) {
	b := newBench(t, nil, begin)
	known, unknown := remoting.TopicHeader{Topic: "T"}, remoting.TopicHeader{Topic: "U"}
	if code := b.request(remoting.RequestGetTopicConfig, known.Append, nil); code != remoting.ResponseSuccess {
		t.Fatalf("got %s", remoting.ResponseName(code))
	}
	const want = `{"attributes":{},"order":false,"perm":6,"readQueueNums":1,"topicFilterType":"SINGLE_TAG","topicName":"T","topicSysFlag":0,"writeQueueNums":1}`
	if got := string(b.replies[0].Body); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if code := b.request(remoting.RequestGetTopicConfig, unknown.Append, nil); code != remoting.ResponseTopicNotExist {
		t.Errorf("unknown topic: %s", remoting.ResponseName(code))
	}
}
