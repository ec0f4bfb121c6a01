package conformance

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

// startPush starts a push consumer of a group that puts what it gets into in.
func startPush(t *testing.T, s *server, group, name, topic, tags string, in *inbox, options ...consumer.Option) rocketmq.PushConsumer {
	t.Helper()
	return startPushFunc(t, s, group, name, topic, tags, func(_ context.Context, msgs ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		in.put(name, msgs...)
		return consumer.ConsumeSuccess, nil
	}, options...)
}

func startPushFunc(t *testing.T, s *server, group, name, topic, tags string, take func(context.Context, ...*primitive.MessageExt) (consumer.ConsumeResult, error), options ...consumer.Option) rocketmq.PushConsumer {
	t.Helper()
	c, err := rocketmq.NewPushConsumer(append([]consumer.Option{consumer.WithNameServer([]string{s.namesrv}), consumer.WithGroupName(group),
		consumer.WithInstance(name + s.namesrv), consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset)}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Subscribe(topic, consumer.MessageSelector{Type: consumer.TAG, Expression: tags}, take); err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Shutdown() })
	return c
}

func sorted(msgs []delivery) (bodies []string) {
	for _, m := range msgs {
		bodies = append(bodies, string(m.Body))
	}
	slices.Sort(bodies)
	return bodies
}

func TestPushConsumerGetsTheBacklogAndNews(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	s.createTopic(t, "Push", 4)
	p := startProducer(t, s)
	var want []string
	produce := func(n int) {
		for range n {
			text := fmt.Sprintf("%03d", len(want))
			want = append(want, text)
			send(t, p, primitive.NewMessage("Push", []byte(text)))
		}
	}
	produce(50)
	in := newInbox()
	startPush(t, s, "pushed", "c1", "Push", "*", in)
	in.wait(t, 50, 30*time.Second)
	// The consumer has parked its pulls by now, or does so in a moment: what is sent wakes them.
	for range 10 {
		produce(1)
		sent := time.Now()
		msgs := in.wait(t, len(want), 5*time.Second)
		if took := msgs[len(msgs)-1].at.Sub(sent); took > time.Second {
			t.Errorf("a new message took %v: long polls are not woken", took)
		}
	}
	if got := sorted(in.wait(t, len(want), time.Second)); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestTagsAreFiltered(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	s.createTopic(t, "Tags", 2)
	p := startProducer(t, s)
	in := newInbox()
	startPush(t, s, "tagged", "c1", "Tags", "TagA || TagC", in)
	var want []string
	for i := range 60 {
		tag := []string{"TagA", "TagB", "TagC", ""}[i%4]
		m := primitive.NewMessage("Tags", fmt.Appendf(nil, "%02d %s", i, tag))
		if tag != "" {
			m.WithTag(tag)
		}
		if tag == "TagA" || tag == "TagC" {
			want = append(want, string(m.Body))
		}
		send(t, p, m)
	}
	send(t, p, primitive.NewMessage("Tags", []byte("99 last")).WithTag("TagA"), primitive.NewMessage("Tags", []byte("99 last")).WithTag("TagA"))
	want = append(want, "99 last", "99 last")
	if got := sorted(in.wait(t, len(want), 30*time.Second)); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestOrderedConsumer(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	s.createTopic(t, "Order", 4)
	p := startProducer(t, s, producer.WithQueueSelector(producer.NewHashQueueSelector()))
	in := newInbox()
	startPush(t, s, "ordered", "c1", "Order", "*", in, consumer.WithConsumerOrder(true))
	const keys, each = 8, 20
	for i := range keys * each {
		send(t, p, primitive.NewMessage("Order", fmt.Appendf(nil, "%d", i)).WithShardingKey(fmt.Sprint(i%keys)))
	}
	last := map[int]int64{}
	for _, m := range in.wait(t, keys*each, 40*time.Second) {
		q := m.Queue.QueueId
		if before, ok := last[q]; ok && m.QueueOffset != before+1 {
			t.Errorf("queue %d: offset %d after %d", q, m.QueueOffset, before)
		}
		last[q] = m.QueueOffset
	}
	if len(last) < 2 {
		t.Errorf("queues %v: the selector did not spread the keys", last)
	}
}

func TestGroupMembersShareTheQueues(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	s.createTopic(t, "Shared", 4)
	p := startProducer(t, s)
	in := newInbox()
	startPush(t, s, "shared", "c1", "Shared", "*", in)
	send(t, p, primitive.NewMessage("Shared", []byte("first")))
	in.wait(t, 1, 30*time.Second)
	second := startPush(t, s, "shared", "c2", "Shared", "*", in)
	// The broker tells both of the change; the queues are shared as soon as the second one gets some.
	n := 1
	until := time.Now().Add(30 * time.Second)
	for shared := false; !shared; {
		if time.Now().After(until) {
			t.Fatal("the second consumer never got a message")
		}
		for range 4 {
			n++
			send(t, p, primitive.NewMessage("Shared", fmt.Appendf(nil, "%d", n)))
		}
		for _, m := range in.wait(t, n, 30*time.Second) {
			shared = shared || m.consumer == "c2"
		}
	}
	// And back again when it leaves.
	if err := second.Shutdown(); err != nil {
		t.Fatal(err)
	}
	for range 8 {
		n++
		send(t, p, primitive.NewMessage("Shared", fmt.Appendf(nil, "%d", n)))
	}
	// A message may come twice when queues change hands; none may be missing.
	in.waitFor(t, 60*time.Second, func(msgs []delivery) bool {
		values := map[string]bool{}
		for _, m := range msgs {
			values[string(m.Body)] = true
		}
		return len(values) == n
	})
}

func TestGroupGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := start(t, dir)
	s.createTopic(t, "Progress", 1)
	p := startProducer(t, s)
	for i := range 5 {
		send(t, p, primitive.NewMessage("Progress", fmt.Appendf(nil, "%d", i)))
	}
	in := newInbox()
	c := startPush(t, s, "progress", "c1", "Progress", "*", in)
	in.wait(t, 5, 30*time.Second)
	if err := c.Shutdown(); err != nil { // commits its offsets
		t.Fatal(err)
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	s = start(t, dir)
	send(t, startProducer(t, s), primitive.NewMessage("Progress", []byte("new")))
	in = newInbox()
	startPush(t, s, "progress", "c2", "Progress", "*", in)
	if got := in.wait(t, 1, 30*time.Second); string(got[0].Body) != "new" {
		t.Errorf("the first message after a restart is %q", got[0].Body)
	}
}

func TestBroadcastReachesEveryConsumer(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	s.createTopic(t, "Broadcast", 2)
	boxes := []*inbox{newInbox(), newInbox()}
	for i, in := range boxes {
		startPush(t, s, "broadcast", fmt.Sprint("c", i), "Broadcast", "*", in, consumer.WithConsumerModel(consumer.BroadCasting))
	}
	p := startProducer(t, s)
	for i := range 10 {
		send(t, p, primitive.NewMessage("Broadcast", fmt.Appendf(nil, "%d", i)))
	}
	for _, in := range boxes {
		in.wait(t, 10, 30*time.Second)
	}
}

func TestRefusedMessageComesAgain(t *testing.T) {
	if testing.Short() {
		t.Skip("the first redelivery comes after 10 s")
	}
	t.Parallel()
	s := start(t, t.TempDir())
	s.createTopic(t, "Again", 1)
	in := newInbox()
	startPushFunc(t, s, "again", "c1", "Again", "*", func(_ context.Context, msgs ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		in.put("c1", msgs...)
		if msgs[0].ReconsumeTimes == 0 {
			return consumer.ConsumeRetryLater, nil
		}
		return consumer.ConsumeSuccess, nil
	})
	began := time.Now()
	send(t, startProducer(t, s), primitive.NewMessage("Again", []byte("once more")).WithKeys([]string{"k"}))
	got := in.wait(t, 2, 60*time.Second)[1]
	if string(got.Body) != "once more" || got.ReconsumeTimes != 1 || got.GetKeys() != "k" || got.Topic != "Again" {
		t.Errorf("redelivered: %s", got)
	}
	if took := got.at.Sub(began); took < 9*time.Second {
		t.Errorf("redelivered after %v: the third delay level is 10 s", took)
	}
}

func TestDelayedMessage(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	s.createTopic(t, "Delayed", 1)
	in := newInbox()
	startPush(t, s, "delayed", "c1", "Delayed", "*", in)
	p := startProducer(t, s)
	began := time.Now()
	send(t, p, primitive.NewMessage("Delayed", []byte("in five seconds")).WithDelayTimeLevel(2))
	send(t, p, primitive.NewMessage("Delayed", []byte("in a second")).WithDelayTimeLevel(1))
	send(t, p, primitive.NewMessage("Delayed", []byte("now")))
	for i, want := range []struct {
		body  string
		after time.Duration
	}{{"now", 0}, {"in a second", time.Second}, {"in five seconds", 5 * time.Second}} {
		got := in.wait(t, i+1, 20*time.Second)[i]
		if took := got.at.Sub(began); string(got.Body) != want.body || took < want.after || took > want.after+time.Second {
			t.Errorf("got %q after %v, want %q after %v", got.Body, took, want.body, want.after)
		}
	}
}
