package conformance

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

func goPush(t *testing.T, c *goCase) map[string]any {
	c.fill(t, 0, 8, 4)
	in := newInbox()
	startPush(t, c.server, c.group, "push", c.topic, "*", in)
	backlog := once(in.wait(t, 8, 30*time.Second))
	c.fill(t, 8, 8, 4)
	return seen("backlog", backlog, "with news", once(in.wait(t, 16, 30*time.Second)))
}

func goPushTags(t *testing.T, c *goCase) map[string]any {
	put := c.producer(t)
	for i := range 12 {
		m := c.inQueue(i%2, fmt.Sprintf("%02d", i))
		if tag := []string{"A", "B", "C", ""}[i%4]; tag != "" {
			m.WithTag(tag)
		}
		put(m)
	}
	put(c.inQueue(0, "last").WithTag("A"))
	in := newInbox()
	startPush(t, c.server, c.group, "tags", c.topic, "A || C", in)
	return seen("bodies", once(in.wait(t, 7, 30*time.Second)))
}

// goFromLast has a new group begin at the end. The broker has it begin at 0 none the less, as long as the topic's first message
// is there: a group may come later than its messages.
func goFromLast(t *testing.T, c *goCase) map[string]any {
	return c.begin(t, "last", consumer.WithConsumeFromWhere(consumer.ConsumeFromLastOffset))
}

// goFromTimestamp has a new group begin an hour from now: at 0, too.
func goFromTimestamp(t *testing.T, c *goCase) map[string]any {
	return c.begin(t, "timestamp", consumer.WithConsumeFromWhere(consumer.ConsumeFromTimestamp),
		consumer.WithConsumeTimestamp(time.Now().Add(time.Hour).Format("20060102150405")))
}

func (c *goCase) begin(t *testing.T, name string, where ...consumer.Option) map[string]any {
	t.Helper()
	c.fill(t, 0, 4, 1)
	in := newInbox()
	startPush(t, c.server, c.group, name, c.topic, "*", in, where...)
	return seen("bodies", once(in.wait(t, 4, 30*time.Second)))
}

func goOffsetsKept(t *testing.T, c *goCase) map[string]any {
	var rounds [][]string
	for round := range 2 {
		in := newInbox()
		c.fill(t, 4*round, 4, 2)
		p := startPush(t, c.server, c.group, fmt.Sprint("round", round), c.topic, "*", in)
		rounds = append(rounds, once(in.wait(t, 4, 30*time.Second)))
		time.Sleep(300 * time.Millisecond)   // the client counts a message as consumed some time after its listener has returned
		if err := p.Shutdown(); err != nil { // commits its offsets
			t.Fatal(err)
		}
	}
	return seen("rounds", rounds)
}

// goPulls has every outcome of a pull. A pull at the end is held by the broker for longer than a case may take, so it is left out.
func goPulls(t *testing.T, c *goCase) map[string]any {
	c.fill(t, 0, 6, 1)
	p := startPull(t, c.server, c.topic)
	c.holdsBy(t, p, c.topic, 6)
	said := func(queue int, offset int64, most int) string {
		r, err := p.PullFrom(context.Background(), &primitive.MessageQueue{Topic: c.topic, BrokerName: "a", QueueId: queue}, offset, most)
		if err != nil {
			said, _, _ := strings.Cut(err.Error(), " consumer:") // and its port
			return said
		}
		return fmt.Sprintf("%d next %d of %d to %d %v", r.Status, r.NextBeginOffset, r.MinOffset, r.MaxOffset, bodiesOf(r.GetMessageExts()))
	}
	return seen("all", said(0, 0, 32), "two", said(0, 2, 2), "beyond the end", said(0, 100, 32), "beyond an empty queue", said(1, 5, 32), "no such queue", said(9, 0, 32))
}

// goPolls is the pull consumer that shares the queues of its group, and acknowledges.
func goPolls(t *testing.T, c *goCase) map[string]any {
	c.fill(t, 0, 8, 2)
	var bodies []string
	p, err := rocketmq.NewPullConsumer(consumer.WithNameServer([]string{c.namesrv}), consumer.WithGroupName(c.group), consumer.WithInstance(t.Name()+c.namesrv),
		consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Subscribe(c.topic, consumer.MessageSelector{Type: consumer.TAG, Expression: "*"}); err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Shutdown() })
	for until := time.Now().Add(30 * time.Second); len(bodies) < 8; {
		if time.Now().After(until) {
			t.Fatalf("polled %q", bodies)
		}
		r, err := p.Poll(context.Background(), time.Second)
		if err != nil {
			continue
		}
		bodies = append(bodies, bodiesOf(r.GetMsgList())...)
		p.ACK(context.Background(), r, consumer.ConsumeSuccess)
	}
	slices.Sort(bodies)
	return seen("bodies", slices.Compact(bodies))
}

// goRebalance has a second member join, and leave.
func goRebalance(t *testing.T, c *goCase) map[string]any {
	in := newInbox()
	c.fill(t, 0, 4, 4)
	startPush(t, c.server, c.group, "m1", c.topic, "*", in)
	in.wait(t, 4, 30*time.Second)
	second := startPush(t, c.server, c.group, "m2", c.topic, "*", in)
	n, shared := 4, false
	for until := time.Now().Add(45 * time.Second); !shared && time.Now().Before(until); {
		c.fill(t, n, 4, 4)
		n += 4
		for _, m := range in.waitFor(t, 45*time.Second, func(msgs []delivery) bool { return len(once(msgs)) >= n }) {
			shared = shared || m.consumer == "m2"
		}
	}
	if err := second.Shutdown(); err != nil {
		t.Fatal(err)
	}
	c.fill(t, n, 8, 4)
	n += 8
	all := in.waitFor(t, 60*time.Second, func(msgs []delivery) bool { return len(once(msgs)) >= n })
	return seen("the second member got some", shared, "all came", len(once(all)) == n)
}

func goBroadcast(t *testing.T, c *goCase) map[string]any {
	var came [][]string
	boxes := []*inbox{newInbox(), newInbox()}
	for i, in := range boxes { // the client keeps the offsets of an instance in a file: each is new
		startPush(t, c.server, c.group, fmt.Sprint("b", i, "-", os.Getpid(), "-", time.Now().UnixNano()), c.topic, "*", in, consumer.WithConsumerModel(consumer.BroadCasting))
	}
	c.fill(t, 0, 6, 2)
	for _, in := range boxes {
		came = append(came, once(in.wait(t, 6, 30*time.Second)))
	}
	return seen("bodies", came)
}

func goOrderly(t *testing.T, c *goCase) map[string]any {
	in := newInbox()
	startPush(t, c.server, c.group, "orderly", c.topic, "*", in, consumer.WithConsumerOrder(true))
	c.fill(t, 0, 24, 4)
	queues := map[string][]string{}
	for _, m := range in.wait(t, 24, 60*time.Second) {
		q := fmt.Sprint(m.Queue.QueueId)
		queues[q] = append(queues[q], string(m.Body))
	}
	return seen("queues", queues)
}

// refusing starts a consumer that refuses what was not delivered so often, and returns what it gets.
func (c *goCase) refusing(t *testing.T, until int32, options ...consumer.Option) *inbox {
	t.Helper()
	in := newInbox()
	startPushFunc(t, c.server, c.group, "refusing", c.topic, "*", func(_ context.Context, msgs ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		in.put("refusing", msgs...)
		if msgs[0].ReconsumeTimes < until {
			return consumer.ConsumeRetryLater, nil
		}
		return consumer.ConsumeSuccess, nil
	}, options...)
	return in
}

func goRetry(t *testing.T, c *goCase) map[string]any {
	in := c.refusing(t, 1)
	c.producer(t)(c.inQueue(0, "again").WithTag("TagA").WithKeys([]string{"key"}))
	var came []string
	all := in.wait(t, 2, 60*time.Second)
	for _, m := range all {
		came = append(came, told(m.MessageExt))
	}
	return seen("came", came, "early", all[1].at.Sub(all[0].at) < 9*time.Second)
}

func goDeadLetters(t *testing.T, c *goCase) map[string]any {
	in := c.refusing(t, 100, consumer.WithMaxReconsumeTimes(1))
	c.producer(t)(c.inQueue(0, "dead").WithTag("TagA").WithKeys([]string{"key"}))
	in.wait(t, 2, 60*time.Second)
	dead := "%DLQ%" + c.group
	c.listed(t, dead)
	return seen("dead", c.holds(t, dead, 1))
}

// listed waits until the name server knows a topic: the client gives up at once where it does not.
func (c *goCase) listed(t *testing.T, topic string) {
	t.Helper()
	a := c.admin(t)
	for until := time.Now().Add(30 * time.Second); time.Now().Before(until); time.Sleep(100 * time.Millisecond) {
		if list, err := a.FetchAllTopicList(context.Background()); err == nil && slices.Contains(list.TopicList, topic) {
			return
		}
	}
	t.Fatalf("the name server does not know %s", topic)
}

// goRequestReply asks and is answered. CreateReplyMessage takes the body for properties and leaves the message without one, which Apache's
// broker answers with an exception of Java: of that the code alone can be compared. The next answers have their body set by hand. And the
// client sends no heartbeat before it asks, although it means to: the broker does not know it before its first one, after a second.
func goRequestReply(t *testing.T, c *goCase) map[string]any {
	p := startProducer(t, c.server)
	replied := make(chan string, 8)
	startPushFunc(t, c.server, c.group, "replier", c.topic, "*", func(ctx context.Context, msgs ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		for _, m := range msgs {
			answer, err := consumer.CreateReplyMessage(m, nil)
			if err != nil {
				replied <- err.Error()
				continue
			}
			_, err = p.SendSync(ctx, answer)
			code, _, _ := strings.Cut(fmt.Sprint(err), ", DESC")
			answer.Body = []byte("reply to " + string(m.Body))
			r, err := p.SendSync(ctx, answer)
			for until := time.Now().Add(5 * time.Second); err != nil && strings.HasSuffix(err.Error(), "not found.") && time.Now().Before(until); {
				time.Sleep(100 * time.Millisecond)
				r, err = p.SendSync(ctx, answer)
			}
			if err != nil {
				replied <- code + ", then " + err.Error()
				continue
			}
			said, _, _ := strings.Cut(resultOf(r), " offset ") // what was not passed on is stored, too
			replied <- code + ", then " + said
		}
		return consumer.ConsumeSuccess, nil
	})
	asker := startRequester(t, c.server)
	m, err := asker.Request(context.Background(), 10*time.Second, primitive.NewMessage(c.topic, []byte("a question")))
	if err != nil {
		said, _, _ := strings.Cut(err.Error(), ",")
		return seen("failed", said, "replier", <-replied)
	}
	properties := m.GetProperties()
	for _, volatile := range []string{"CORRELATION_ID", "REPLY_TO_CLIENT", "PUSH_REPLY_TIME", "ARRIVE_TIME", "UNIQ_KEY"} {
		properties[volatile] = isSet(properties[volatile])
	}
	return seen("reply", string(m.Body), "properties", properties, "topic", m.Topic, "replier", <-replied)
}

// startRequester starts the producer that waits for replies, another than the one that sends them.
func startRequester(t *testing.T, s *server) rocketmq.Producer {
	t.Helper()
	return startProducer(t, s, producer.WithInstanceName(t.Name()+s.namesrv+"-asks"), producer.WithGroupName("askers"))
}
