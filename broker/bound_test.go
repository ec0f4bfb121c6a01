package broker

import (
	"fmt"
	"testing"

	"holdfast/broker/durability"
	"holdfast/broker/remoting"
)

// manyTopics returns a node with topics of eight queues that a group has offsets in, and messages in the first queues.
func manyTopics(t testing.TB, topics int) *rig {
	cfg := rigConfig(durability.AsyncMaster, durability.AsyncFlush, durability.RocketMQ5, 1)
	cfg.Limits.Topics = topics + 100
	r := newRig(t, cfg, nil)
	r.step(&Event{Kind: KindWoke})
	for i := range topics {
		name := fmt.Sprintf("T%05d", i)
		r.node.topics.put(remoting.TopicConfig{Name: name, ReadQueues: 8, WriteQueues: 8, Perm: 6})
		for q := range int32(8) {
			r.node.offsets.set([]byte(name), []byte("g"), q, 1, cfg.Limits.OffsetKeys)
		}
	}
	r.node.groups.put(remoting.NewSubscriptionGroup("g"))
	for i := range 100 {
		r.receive(1, r.sendFrame(fmt.Sprintf("T%05d", i), 0, "", "x"))
		for r.write != nil {
			r.written()
		}
	}
	return r
}

// TestInquiriesAreServedInShares asks for the progress of a group in 10,000 topics of 8 queues: the answer needs many steps, none of
// which looks at more than a share, other requests are answered between them, and it is whole in the end.
func TestInquiriesAreServedInShares(t *testing.T) {
	const topics, queues = 10_000, 8
	r := manyTopics(t, topics)
	for _, code := range []int32{remoting.RequestGetConsumeStats, remoting.RequestGetBrokerConsumeStats} {
		frame := r.frame(code, func(w *remoting.Writer) {
			w.String("consumerGroup", "g")
			w.String("isOrder", "false")
		}, nil)
		r.receive(2, frame)
		steps := 0
		for ; len(r.got) == 0; steps++ {
			if len(r.node.inquiries) != 1 || r.out.WakeAt > r.mono+1 {
				t.Fatalf("%s: %d inquiries, next step at %v, now %v", remoting.RequestName(code), len(r.node.inquiries), r.out.WakeAt, r.mono)
			}
			if most := inquiryStep + queues; len(r.node.inquiries[0].questions) > most {
				t.Fatalf("%s: %d questions at once, at most %d", remoting.RequestName(code), len(r.node.inquiries[0].questions), most)
			}
			if steps == 3 {
				r.receive(3, r.frame(remoting.RequestGetMaxOffset, func(w *remoting.Writer) {
					w.String("topic", "T00001")
					w.Int("queueId", 0)
				}, nil))
				if len(r.got) != 1 || r.got[0].Conn != 3 {
					t.Fatalf("%s: another request is not answered beside it: %v", remoting.RequestName(code), r.got)
				}
				r.got = nil
			}
			r.mono++
			r.step(&Event{Kind: KindWoke})
		}
		if least := topics * queues / 512; steps < least { // a number of its own: a share that grows must not pass
			t.Errorf("%s: answered in %d steps, at least %d were to be expected", remoting.RequestName(code), steps, least)
		}
		raw, err := r.node.AppendReply(nil, &r.got[0])
		if err != nil {
			t.Fatal(err)
		}
		f, _, err := remoting.Decode(raw)
		if err != nil || f.Code != remoting.ResponseSuccess {
			t.Fatalf("%s: %v %s", remoting.RequestName(code), err, f.CodeName())
		}
		if code == remoting.RequestGetConsumeStats {
			stats, err := remoting.ParseConsumeStatsBody(f.Body)
			if err != nil || len(stats.Queues) != topics*queues {
				t.Errorf("%d queues %v, want %d", len(stats.Queues), err, topics*queues)
			}
			timed := 0
			for _, q := range stats.Queues {
				if q.LastTimestamp > 0 {
					timed++
				}
			}
			if timed != 100 {
				t.Errorf("%d queues with the time of the last message consumed, want 100", timed)
			}
		}
	}
}

// TestInquiriesAreLimited asks more than may be outstanding, and forgets those of a connection that ends.
func TestInquiriesAreLimited(t *testing.T) {
	r := manyTopics(t, 500)
	r.node.cfg.Limits.Inquiries = 2
	ask := func(c ConnID) {
		r.receive(c, r.frame(remoting.RequestGetConsumeStats, func(w *remoting.Writer) { w.String("consumerGroup", "g") }, nil))
	}
	ask(2)
	ask(3)
	ask(4)
	if len(r.got) != 1 {
		t.Fatalf("%d replies", len(r.got))
	}
	if f, _, _ := remoting.Decode(r.got[0].Frame); f.Code != remoting.ResponseSystemBusy {
		t.Errorf("got %s, want SYSTEM_BUSY", f.CodeName())
	}
	r.step(&Event{Kind: KindClosed, Conn: 2})
	if len(r.node.inquiries) != 1 || r.node.inquiries[0].conn != 3 {
		t.Errorf("%d inquiries after a close, want the one of connection 3", len(r.node.inquiries))
	}
}

// BenchmarkAdminStep measures the longest that a step for an operator's request holds the node, at 10,000 topics, against a put.
func BenchmarkAdminStep(b *testing.B) {
	r := manyTopics(b, 10_000)
	for _, code := range []int32{remoting.RequestGetConsumeStats, remoting.RequestGetAllTopicConfig, remoting.RequestGetAllConsumerOffset} {
		b.Run(remoting.RequestName(code), func(b *testing.B) {
			for b.Loop() {
				in := r.node.Intake("127.0.0.1:1")
				requests, _, err := in.Decode(r.frame(code, func(w *remoting.Writer) { w.String("consumerGroup", "g") }, nil))
				if err != nil {
					b.Fatal(err)
				}
				r.node.inquiries = nil
				r.node.Step(r.now(), &Event{Kind: KindReceived, Conn: 2, Requests: requests}, &r.out)
			}
		})
	}
}
