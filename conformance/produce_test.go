package conformance

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

func startProducer(t *testing.T, s *server, options ...producer.Option) rocketmq.Producer {
	t.Helper()
	p, err := rocketmq.NewProducer(append([]producer.Option{producer.WithNameServer([]string{s.namesrv}), producer.WithGroupName("producers"),
		producer.WithInstanceName(t.Name() + s.namesrv), producer.WithRetry(0)}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Shutdown() })
	return p
}

func send(t *testing.T, p rocketmq.Producer, msgs ...*primitive.Message) *primitive.SendResult {
	t.Helper()
	r, err := p.SendSync(context.Background(), msgs...)
	if err != nil {
		t.Fatal(err)
	}
	if r.Status != primitive.SendOK {
		t.Fatal(r)
	}
	return r
}

// startPull starts a consumer that pulls from queues of its own choice.
func startPull(t *testing.T, s *server, topic string) rocketmq.PullConsumer {
	t.Helper()
	c, err := rocketmq.NewPullConsumer(consumer.WithNameServer([]string{s.namesrv}), consumer.WithGroupName("pull-"+strings.ReplaceAll(t.Name(), "/", "-")), consumer.WithInstance("pull"+t.Name()+s.namesrv))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Subscribe(topic, consumer.MessageSelector{Type: consumer.TAG, Expression: "*"}); err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Shutdown() })
	return c
}

// pull reads a queue from an offset.
func pull(t *testing.T, c rocketmq.PullConsumer, topic string, queue int, from int64, most int) *primitive.PullResult {
	t.Helper()
	r, err := c.PullFrom(context.Background(), &primitive.MessageQueue{Topic: topic, BrokerName: "broker-a", QueueId: queue}, from, most)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func bodiesOf(msgs []*primitive.MessageExt) (bodies []string) {
	for _, m := range msgs {
		bodies = append(bodies, string(m.Body))
	}
	return bodies
}

func TestSendKindsAndPull(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	s.createTopic(t, "Kinds", 1)
	p := startProducer(t, s)
	var want []string
	text := func(name string) *primitive.Message {
		want = append(want, name)
		return primitive.NewMessage("Kinds", []byte(name))
	}

	first := send(t, p, text("sync"))
	if first.QueueOffset != 0 || first.MessageQueue.QueueId != 0 || len(first.OffsetMsgID) != 32 || first.MsgID == "" {
		t.Errorf("sync: %+v", first)
	}
	done := make(chan *primitive.SendResult, 1)
	if err := p.SendAsync(context.Background(), func(_ context.Context, r *primitive.SendResult, err error) {
		if err != nil {
			t.Error(err)
		}
		done <- r
	}, text("async")); err != nil {
		t.Fatal(err)
	}
	if r := <-done; r == nil || r.QueueOffset != 1 || r.Status != primitive.SendOK {
		t.Errorf("async: %+v", r)
	}
	if err := p.SendOneWay(context.Background(), text("oneway")); err != nil {
		t.Fatal(err)
	}
	batch := send(t, p, text("batch 0"), text("batch 1"), text("batch 2"))
	if batch.QueueOffset != 3 || len(bytes.Split([]byte(batch.OffsetMsgID), []byte{','})) != 3 {
		t.Errorf("batch: %+v", batch)
	}
	if last := send(t, p, text("last")); last.QueueOffset != 6 {
		t.Errorf("last: %+v", last)
	}

	c := startPull(t, s, "Kinds")
	r := pull(t, c, "Kinds", 0, 0, 32)
	if got := bodiesOf(r.GetMessageExts()); r.Status != primitive.PullFound || !slices.Equal(got, want) || r.NextBeginOffset != 7 || r.MinOffset != 0 || r.MaxOffset != 7 {
		t.Errorf("pull: %+v %q, want %q", r, got, want)
	}
	for i, m := range r.GetMessageExts() {
		if m.QueueOffset != int64(i) || m.Topic != "Kinds" || m.StoreTimestamp < m.BornTimestamp-1000 || m.BodyCRC == 0 {
			t.Errorf("message %d: %+v", i, m)
		}
	}
	if got := bodiesOf(pull(t, c, "Kinds", 0, 2, 2).GetMessageExts()); !slices.Equal(got, want[2:4]) {
		t.Errorf("pull of two: %q", got)
	}
	if r := pull(t, c, "Kinds", 0, 100, 32); r.Status != primitive.PullOffsetIllegal || r.NextBeginOffset != 7 {
		t.Errorf("pull beyond the end: %+v", r)
	}
}

func TestPropertiesTagsAndCompression(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	s.createTopic(t, "Rich", 1)
	p := startProducer(t, s)
	large := bytes.Repeat([]byte("compress me "), 2000)
	rich := primitive.NewMessage("Rich", large).WithTag("TagA").WithKeys([]string{"k1", "k2"})
	rich.WithProperty("colour", "blue \"\\ 日本")
	rich.Flag = 7
	r := send(t, p, rich)

	got := pull(t, startPull(t, s, "Rich"), "Rich", 0, 0, 32).GetMessageExts()
	if len(got) != 1 {
		t.Fatalf("%d messages", len(got))
	}
	m := got[0]
	if !bytes.Equal(m.Body, large) || m.GetTags() != "TagA" || m.GetKeys() != "k1 k2" || m.GetProperty("colour") != "blue \"\\ 日本" || m.Flag != 7 || m.MsgId != r.MsgID || m.OffsetMsgId != r.OffsetMsgID {
		t.Errorf("got %s", m)
	}
}

func TestQueuesAndAutomaticTopics(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	p := startProducer(t, s, producer.WithQueueSelector(producer.NewHashQueueSelector()))
	offsets := map[int]int64{}
	for i := range 40 {
		m := primitive.NewMessage("Automatic", fmt.Appendf(nil, "%d", i)).WithShardingKey(fmt.Sprint(i % 10))
		r := send(t, p, m)
		q := r.MessageQueue.QueueId
		if r.QueueOffset != offsets[q] {
			t.Errorf("message %d: offset %d in queue %d, want %d", i, r.QueueOffset, q, offsets[q])
		}
		offsets[q]++
	}
	if len(offsets) < 2 {
		t.Errorf("a topic made by itself has queues %v", offsets)
	}
	c := startPull(t, s, "Automatic")
	sum := 0
	for q, n := range offsets {
		r := pull(t, c, "Automatic", q, 0, 32)
		if sum += len(r.GetMessageExts()); int64(len(r.GetMessageExts())) != n {
			t.Errorf("queue %d: %d messages, want %d", q, len(r.GetMessageExts()), n)
		}
	}
	if sum != 40 {
		t.Errorf("%d messages", sum)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	s.createTopic(t, "Refusals", 1)
	p := startProducer(t, s, producer.WithCompressMsgBodyOverHowmuch(1<<30))
	for name, m := range map[string]*primitive.Message{
		"no body":             primitive.NewMessage("Refusals", nil),
		"body too long":       primitive.NewMessage("Refusals", make([]byte, 4<<20+1)),
		"properties too long": primitive.NewMessage("Refusals", []byte("x")).WithKeys([]string{string(bytes.Repeat([]byte("k"), 40000))}),
	} {
		if r, err := p.SendSync(context.Background(), m); err == nil {
			t.Errorf("%s: accepted: %v", name, r)
		}
	}
	if r := send(t, p, primitive.NewMessage("Refusals", []byte("after"))); r.QueueOffset != 0 {
		t.Errorf("a refused message took an offset: %+v", r)
	}
}

func TestMessagesOutliveARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	before := start(t, dir)
	before.createTopic(t, "Durable", 2)
	p := startProducer(t, before)
	for i := range 20 {
		send(t, p, primitive.NewMessage("Durable", fmt.Appendf(nil, "%d", i)))
	}
	if err := before.stop(); err != nil {
		t.Fatal(err)
	}
	after := start(t, dir)
	c := startPull(t, after, "Durable")
	sum := 0
	for q := range 2 {
		sum += len(pull(t, c, "Durable", q, 0, 32).GetMessageExts())
	}
	if sum != 20 {
		t.Errorf("%d of 20 messages after a restart", sum)
	}
	began := time.Now()
	if r := send(t, startProducer(t, after), primitive.NewMessage("Durable", []byte("new"))); r.QueueOffset != 10 {
		t.Errorf("first offset after the restart %d after %v", r.QueueOffset, time.Since(began))
	}
}
