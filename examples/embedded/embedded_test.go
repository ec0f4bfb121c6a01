// Package embedded shows how a program tests its own RocketMQ code against the reference broker, in the test's process. It is a
// module of its own, as that program would be.
package embedded

import (
	"context"
	"log/slog"
	"testing"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/admin"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
	"github.com/apache/rocketmq-client-go/v2/rlog"

	"holdfast/broker/durability"
	"holdfast/broker/server"
)

// startRocketMQ starts a RocketMQ with a topic, which ends with the test, and returns the address of its name server.
func startRocketMQ(t *testing.T, topic string) string {
	t.Helper()
	cfg := server.DefaultConfig(durability.RocketMQ5)
	cfg.Log = slog.New(slog.DiscardHandler)
	s, err := server.StartStandalone(t.Context(), "", cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	a, err := admin.NewAdmin(admin.WithResolver(primitive.NewPassthroughResolver([]string{s.NamesAddr()})))
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if err := a.CreateTopic(t.Context(), admin.WithTopicCreate(topic), admin.WithBrokerAddrCreate(s.Broker.Addr())); err != nil {
		t.Fatal(err)
	}
	return s.NamesAddr()
}

func TestOrdersAreConsumed(t *testing.T) {
	rlog.SetLogLevel("error")
	names := primitive.NamesrvAddr{startRocketMQ(t, "orders")}

	p, err := rocketmq.NewProducer(producer.WithNameServer(names), producer.WithGroupName("shop"))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	defer p.Shutdown()
	sent, err := p.SendSync(context.Background(), primitive.NewMessage("orders", []byte("one tea")).WithTag("drinks"))
	if err != nil || sent.Status != primitive.SendOK {
		t.Fatalf("send: %v, %v", sent, err)
	}

	c, err := rocketmq.NewPushConsumer(consumer.WithNameServer(names), consumer.WithGroupName("kitchen"), consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset))
	if err != nil {
		t.Fatal(err)
	}
	bodies := make(chan string, 1)
	err = c.Subscribe("orders", consumer.MessageSelector{Type: consumer.TAG, Expression: "drinks"},
		func(_ context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
			for _, m := range messages {
				bodies <- string(m.Body)
			}
			return consumer.ConsumeSuccess, nil
		})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer c.Shutdown()
	if got := <-bodies; got != "one tea" {
		t.Errorf("consumed %q", got)
	}
}
