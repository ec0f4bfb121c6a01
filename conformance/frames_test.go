package conformance

import (
	"context"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/admin"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
	"github.com/apache/rocketmq-client-go/v2/rlog"
)

var rewrite = flag.Bool("rewrite", false, "store the captured frames as the new goldens of the broker's codec")

const goldens = "../broker/remoting/testdata/rocketmq-client-go-2.1.2"

func TestMain(m *testing.M) {
	flag.Parse()
	rlog.SetLogLevel("fatal")
	code := m.Run()
	if built != "" {
		_ = os.RemoveAll(built)
	}
	os.Exit(code)
}

// TestFrames records one frame of each request kind that Apache's client sends, and holds the goldens against them: the
// same members, fields and kinds of bodies, whatever their values.
func TestFrames(t *testing.T) {
	c := startCapture(t)
	captureProducer(t, c)
	captureConsumer(t, c, "pushed", false)
	captureConsumer(t, c, "ordered", true)
	captureAdmin(t, c)
	for _, g := range []struct {
		name    string
		code, n int
	}{
		{"route", 105, 0}, {"send", 10, 0}, {"send-tagged", 10, 1}, {"send-compressed", 10, 2}, {"send-async", 10, 3}, {"send-oneway", 10, 4},
		{"send-batch", 320, 0}, {"heartbeat-producer", 34, 0}, {"consumer-list", 38, 0}, {"query-offset", 14, 0},
		{"send-back", 36, 0}, {"lock", 41, 0}, {"create-topic", 17, 0}, {"delete-topic", 215, 0},
	} {
		hold(t, g.name, c.wait(g.code, g.n))
	}
	captured := func(f *frame) bool { return f.ExtFields["topic"] == "Captured" }
	hold(t, "pull", c.find(11, captured))
	hold(t, "update-offset", c.find(15, captured))
	hold(t, "heartbeat-consumer", c.find(34, func(f *frame) bool { return strings.Contains(string(f.body), "consumeType") }))
}

// find returns the first request with that code that is wanted.
func (c *capture) find(code int, wanted func(*frame) bool) *frame {
	for n := 0; ; n++ {
		if f := c.wait(code, n); wanted(f) {
			return f
		}
	}
}

// hold compares a captured frame with its golden, or stores it as such.
func hold(t *testing.T, name string, got *frame) {
	t.Helper()
	path := filepath.Join(goldens, name+".frame")
	if *rewrite {
		if err := os.MkdirAll(goldens, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got.raw, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want, err := parseFrame(raw)
	if err != nil {
		t.Fatal(err)
	}
	fields := func(f *frame) []string { return slices.Sorted(maps.Keys(f.ExtFields)) }
	if got.Code != want.Code || got.Flag != want.Flag || got.Language != want.Language || got.Version != want.Version ||
		!slices.Equal(fields(got), fields(want)) || (len(got.body) == 0) != (len(want.body) == 0) {
		t.Errorf("%s: the client sends\n%s\nthe golden is\n%s", name, got.raw, raw)
	}
}

func captureProducer(t *testing.T, c *capture) {
	t.Helper()
	p, err := rocketmq.NewProducer(producer.WithNameServer([]string{c.addr}), producer.WithGroupName("producers"),
		producer.WithInstanceName(t.Name()), producer.WithRetry(0))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	defer p.Shutdown()
	ctx := context.Background()
	plain := func() *primitive.Message { return primitive.NewMessage("Captured", []byte("hello")) }
	tagged := plain().WithTag("TagA").WithKeys([]string{"k1", "k2"})
	tagged.WithProperty("colour", "blue")
	for _, m := range []*primitive.Message{plain(), tagged, primitive.NewMessage("Captured", make([]byte, 10000))} {
		if _, err := p.SendSync(ctx, m); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan error, 1)
	if err := p.SendAsync(ctx, func(_ context.Context, _ *primitive.SendResult, err error) { done <- err }, plain()); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if err := p.SendOneWay(ctx, plain()); err != nil {
		t.Fatal(err)
	}
	c.wait(10, 4)
	if _, err := p.SendSync(ctx, plain(), plain().WithTag("TagB")); err != nil {
		t.Fatal(err)
	}
	c.wait(34, 0)
}

func captureConsumer(t *testing.T, c *capture, group string, ordered bool) {
	t.Helper()
	p, err := rocketmq.NewPushConsumer(consumer.WithNameServer([]string{c.addr}), consumer.WithGroupName(group), consumer.WithInstance(t.Name()+group),
		consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset), consumer.WithConsumerOrder(ordered))
	if err != nil {
		t.Fatal(err)
	}
	first := true // one message is handed out, perhaps again
	err = p.Subscribe("Captured", consumer.MessageSelector{Type: consumer.TAG, Expression: "TagA || TagB"},
		func(context.Context, ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
			if first && !ordered {
				first = false
				return consumer.ConsumeRetryLater, nil
			}
			return consumer.ConsumeSuccess, nil
		})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	if ordered {
		c.wait(41, 0)
	} else {
		c.wait(36, 0)
	}
	c.wait(15, 0)
	if err := p.Shutdown(); err != nil {
		t.Fatal(err)
	}
}

func captureAdmin(t *testing.T, c *capture) {
	t.Helper()
	a, err := admin.NewAdmin(admin.WithResolver(primitive.NewPassthroughResolver([]string{c.addr})))
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if err := a.CreateTopic(context.Background(), admin.WithTopicCreate("Created"), admin.WithBrokerAddrCreate(c.addr)); err != nil {
		t.Fatal(err)
	}
	if err := a.DeleteTopic(context.Background(), admin.WithTopicDelete("Created"), admin.WithBrokerAddrDelete(c.addr), admin.WithNameSrvAddr([]string{c.addr})); err != nil {
		t.Fatal(err)
	}
}
