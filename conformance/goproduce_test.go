package conformance

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/rocketmq-client-go/v2/admin"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

func goSync(t *testing.T, c *goCase) map[string]any {
	put := c.producer(t)
	var results []string
	for _, text := range []string{"one", "two", "three"} {
		results = append(results, put(c.inQueue(0, text)))
	}
	return seen("results", results, "topic", c.holds(t, c.topic, 3))
}

func goAsync(t *testing.T, c *goCase) map[string]any {
	p := startProducer(t, c.server)
	answers := make(chan string, 8)
	for i := range cap(answers) {
		if err := p.SendAsync(context.Background(), func(_ context.Context, r *primitive.SendResult, err error) {
			if err != nil {
				answers <- err.Error()
				return
			}
			answers <- resultOf(r)
		}, c.inQueue(0, fmt.Sprint("async ", i))); err != nil {
			t.Fatal(err)
		}
	}
	var results []string
	for range cap(answers) {
		results = append(results, <-answers)
	}
	slices.Sort(results) // the client's goroutines send in no order
	return seen("results", results, "held", len(c.holds(t, c.topic, len(results))))
}

func goOneway(t *testing.T, c *goCase) map[string]any {
	p := startProducer(t, c.server)
	for i := range 5 {
		if err := p.SendOneWay(context.Background(), c.inQueue(0, fmt.Sprint("oneway ", i))); err != nil {
			t.Fatal(err)
		}
	}
	return seen("held", len(c.holds(t, c.topic, 5))) // the broker's threads take them in no order
}

func goBatch(t *testing.T, c *goCase) map[string]any {
	put := c.producer(t, producer.WithQueueSelector(producer.NewRoundRobinQueueSelector())) // the batch as a whole has no queue
	var msgs []*primitive.Message
	for i := range 3 {
		msgs = append(msgs, c.inQueue(0, fmt.Sprint("batch ", i)).WithTag(fmt.Sprint("Tag", i)).WithKeys([]string{fmt.Sprint("key", i)}))
	}
	three := put(msgs...)
	return seen("three", three, "one", put(c.inQueue(0, "last")), "topic", c.holds(t, c.topic, 4))
}

func goOrdered(t *testing.T, c *goCase) map[string]any {
	put := c.producer(t)
	var results []string
	for i := range 12 {
		results = append(results, put(c.inQueue(i%3, fmt.Sprintf("order %d step %d", i%3, i/3))))
	}
	return seen("results", results, "queue 0", c.holds(t, c.topic, 4))
}

func goCompressed(t *testing.T, c *goCase) map[string]any {
	put := c.producer(t)
	return seen("result", put(c.inQueue(0, strings.Repeat("compress me ", 2000))), "topic", c.holds(t, c.topic, 1))
}

func goProperties(t *testing.T, c *goCase) map[string]any {
	m := c.inQueue(0, "Grüße, 日本, 🚀").WithTag("TagA").WithKeys([]string{"k1", "k2"})
	m.WithProperty("colour", "blau \"ü\" \\ 日本 🚀")
	m.WithProperty("schlüssel", "ключ")
	m.Flag = 7
	return seen("result", c.producer(t)(m), "topic", c.holds(t, c.topic, 1))
}

// goTooLong ends with a message that is taken: the refused ones left no offset behind.
func goTooLong(t *testing.T, c *goCase) map[string]any {
	put := c.producer(t, producer.WithCompressMsgBodyOverHowmuch(1<<30))
	properties := c.inQueue(0, "short")
	properties.WithProperty("long", strings.Repeat("p", 40000))
	return seen("body", put(c.inQueue(0, noise(4<<20+1))), "properties", put(properties),
		"after", put(c.inQueue(0, "after")), "topic", c.holds(t, c.topic, 1))
}

func goNewTopic(t *testing.T, c *goCase) map[string]any {
	put := c.producer(t, producer.WithQueueSelector(producer.NewRoundRobinQueueSelector()))
	first := put(primitive.NewMessage(c.topic, []byte("first")))
	first, _, _ = strings.Cut(first, " ")
	c.listed(t, c.topic)
	r, err := c.admin(t).FetchPublishMessageQueues(context.Background(), c.topic)
	if err != nil {
		t.Fatal(err)
	}
	return seen("first", first, "queues", len(r))
}

func goDelayLevels(t *testing.T, c *goCase) map[string]any {
	put := c.producer(t)
	in := newInbox()
	startPush(t, c.server, c.group, "delayed", c.topic, "*", in)
	var results []string
	began := time.Now()
	for level := 20; level >= 1; level-- {
		r := put(c.inQueue(0, fmt.Sprint("level ", level)).WithDelayTimeLevel(level))
		r, _, _ = strings.Cut(r, " offset ") // that of its level's queue, in 4.9, or its own
		results = append(results, fmt.Sprintf("level %d %s", level, r))
	}
	came := in.wait(t, 2, 30*time.Second)
	var bodies []string
	early := false
	for i, m := range came[:2] {
		bodies = append(bodies, told(m.MessageExt))
		early = early || m.at.Sub(began) < []time.Duration{time.Second, 5 * time.Second}[i]
	}
	return seen("results", results, "came", bodies, "early", early)
}

type ownAdmin interface {
	FetchPublishMessageQueues(ctx context.Context, topic string) ([]*primitive.MessageQueue, error)
	FetchAllTopicList(ctx context.Context) (*admin.TopicList, error)
	GetAllSubscriptionGroup(ctx context.Context, addr string, within time.Duration) (*admin.SubscriptionGroupWrapper, error)
	CreateTopic(ctx context.Context, opts ...admin.OptionCreate) error
	DeleteTopic(ctx context.Context, opts ...admin.OptionDelete) error
	Close() error
}

func (c *goCase) admin(t *testing.T) ownAdmin {
	t.Helper()
	a, err := admin.NewAdmin(admin.WithResolver(primitive.NewPassthroughResolver([]string{c.namesrv})))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// goOwnAdmin makes a topic, finds it everywhere, and deletes it.
func goOwnAdmin(t *testing.T, c *goCase) map[string]any {
	a, ctx := c.admin(t), context.Background()
	said := func(err error) string {
		if err != nil {
			return err.Error()
		}
		return "ok"
	}
	listed := func(name string) any {
		list, err := a.FetchAllTopicList(ctx)
		if err != nil {
			return err.Error()
		}
		return slices.Contains(list.TopicList, name)
	}
	made := "Made" + c.topic
	saw := seen("create", said(a.CreateTopic(ctx, admin.WithTopicCreate(made), admin.WithBrokerAddrCreate(c.broker),
		admin.WithReadQueueNums(3), admin.WithWriteQueueNums(3))))
	saw["listed"] = listed(made)
	queues, err := a.FetchPublishMessageQueues(ctx, made)
	saw["queues"] = fmt.Sprint(len(queues), " ", said(err))
	groups, err := a.GetAllSubscriptionGroup(ctx, c.broker, 3*time.Second)
	saw["groups"] = said(err)
	if err == nil {
		g, has := groups.SubscriptionGroupTable["TOOLS_CONSUMER"]
		saw["a group of the system"] = fmt.Sprintf("%v enabled %v retries %d", has, g.ConsumeEnable, g.RetryMaxTimes)
	}
	saw["delete"] = said(a.DeleteTopic(ctx, admin.WithTopicDelete(made), admin.WithBrokerAddrDelete(c.broker), admin.WithNameSrvAddr([]string{c.namesrv})))
	saw["listed after"] = listed(made)
	return saw
}
