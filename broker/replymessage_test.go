package broker

import (
	"fmt"
	"testing"
	"time"

	"holdfast/broker/durability"
	"holdfast/broker/remoting"
)

// asker enters a client that waits for replies.
func (r *rig) asker(c ConnID, id string) {
	beat := remoting.Heartbeat{ClientID: id, Producers: []string{"p"}}
	r.receive(c, r.frame(remoting.RequestHeartBeat, nil, beat.Append(nil)))
}

// replyTo sends a reply on connection 1, and returns how many requests went to clients and the answers of the broker.
func (r *rig) replyTo(id string) (pushed []int32, answers []remoting.Frame) {
	r.receive(1, r.sendFrameOf(remoting.RequestSendReplyMessageV2, "DefaultCluster_REPLY_TOPIC", 0, "REPLY_TO_CLIENT\x01"+id+"\x02", "body"))
	return r.pushedAndAnswered()
}

func (r *rig) pushedAndAnswered() (pushed []int32, answers []remoting.Frame) {
	for i := range r.got {
		raw, err := r.machine.AppendReply(nil, &r.got[i])
		if err != nil {
			r.t.Fatal(err)
		}
		f, _, err := remoting.Decode(raw)
		if err != nil {
			r.t.Fatal(err)
		}
		if r.got[i].Push {
			pushed = append(pushed, f.Opaque)
		} else {
			answers = append(answers, f)
		}
	}
	return pushed, answers
}

// A client that answers no push holds up to RelaysOfOne replies, each for 10 s, and nobody else.
func TestASilentRequesterStopsNobody(t *testing.T) {
	cfg := rigConfig(durability.AsyncMaster, durability.AsyncFlush, durability.RocketMQ5, 1)
	cfg.Limits.Relays, cfg.Limits.RelaysOfOne = 100, 10
	cfg.StoreReplies = false
	r := newRig(t, cfg, nil)
	r.asker(2, "silent")
	r.asker(3, "honest")
	for i := range cfg.Limits.RelaysOfOne {
		if pushed, answers := r.replyTo("silent"); len(pushed) != 1 || len(answers) != 0 {
			t.Fatalf("reply %d: %d pushes, answers %v", i, len(pushed), answers)
		}
	}
	pushed, answers := r.replyTo("silent")
	if len(pushed) != 0 || len(answers) != 1 || answers[0].Code != remoting.ResponseSystemBusy {
		t.Fatalf("one too many: %d pushes, answers %v", len(pushed), answers)
	}
	for range 1000 {
		pushed, _ := r.replyTo("honest")
		r.receive(3, remoting.AppendReply(nil, remoting.JSON, remoting.ResponseSuccess, pushed[0], "", nil))
		if _, answers := r.pushedAndAnswered(); len(answers) != 1 || answers[0].Code != remoting.ResponseSuccess {
			t.Fatalf("an honest client's answer: %v", answers)
		}
	}
	r.got = nil
	r.after(relayTimeout)
	if _, answers := r.pushedAndAnswered(); len(answers) != cfg.Limits.RelaysOfOne {
		t.Errorf("%d answers after %v, want %d", len(answers), relayTimeout, cfg.Limits.RelaysOfOne)
	}
	if pushed, _ := r.replyTo("silent"); len(pushed) != 1 {
		t.Errorf("no push after the others are over")
	}
}

// BenchmarkReplyMessage is a reply that is pushed, stored and answered, beside so many that wait for clients that are silent.
func BenchmarkReplyMessage(b *testing.B) {
	for _, waiting := range []int{0, 10_000} {
		b.Run(fmt.Sprint(waiting, " waiting"), func(b *testing.B) {
			cfg := rigConfig(durability.AsyncMaster, durability.AsyncFlush, durability.RocketMQ5, 1)
			cfg.StoreReplies = false
			r := newRig(b, cfg, nil)
			r.asker(3, "honest")
			for i := range waiting {
				c, id := ConnID(10+i/cfg.Limits.RelaysOfOne), fmt.Sprint("silent", i/cfg.Limits.RelaysOfOne)
				r.asker(c, id)
				r.replyTo(id)
			}
			for b.Loop() {
				pushed, _ := r.replyTo("honest")
				r.receive(3, remoting.AppendReply(nil, remoting.JSON, remoting.ResponseSuccess, pushed[0], "", nil))
				r.mono += time.Microsecond
			}
		})
	}
}
