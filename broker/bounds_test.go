package broker

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"holdfast/broker/durability"
	"holdfast/broker/remoting"
)

func boundsRig(t testing.TB, change func(*Limits)) *rig {
	cfg := rigConfig(durability.AsyncMaster, durability.AsyncFlush, durability.RocketMQ5, 1)
	change(&cfg.Limits)
	r := newRig(t, cfg, nil)
	r.step(&Event{Kind: KindWoke})
	return r
}

// TestBoundsOfRequests: what a request may carry that is read while nothing else is done.
func TestBoundsOfRequests(t *testing.T) {
	r := boundsRig(t, func(l *Limits) {
		l.ControlBytes, l.Subscriptions, l.FilterBytes, l.LocksAtOnce, l.Locks = 2000, 3, 40, 2, 3
	})
	r.receive(1, r.sendFrame("T", 0, "", "m"))
	beat := func(groups, topics int, expression string) []byte {
		h := remoting.Heartbeat{ClientID: "c"}
		for g := range groups {
			d := remoting.ConsumerData{Group: fmt.Sprintf("g%d", g), Type: remoting.ConsumePassively, Model: remoting.Clustering}
			for i := range topics {
				d.Subscriptions = append(d.Subscriptions, remoting.Subscription{Topic: fmt.Sprintf("T%d", i), Expression: expression})
			}
			h.Consumers = append(h.Consumers, d)
		}
		return r.frame(remoting.RequestHeartBeat, nil, h.Append(nil))
	}
	lock := func(from, n int) []byte {
		b := remoting.LockBatch{ConsumerGroup: "g", ClientID: "c"}
		for i := range n {
			b.Queues = append(b.Queues, remoting.MessageQueue{Topic: "T", BrokerName: "b", QueueID: int32(from + i)})
		}
		return r.frame(remoting.RequestLockBatchMQ, nil, b.Append(nil))
	}
	for _, row := range []struct {
		says  string
		frame []byte
		want  string
	}{
		{"a body of 2000 bytes", r.frame(remoting.RequestHeartBeat, nil, []byte(strings.Repeat(" ", 2000))), "malformed heartbeat"},
		{"a body of a byte more", r.frame(remoting.RequestHeartBeat, nil, []byte(strings.Repeat(" ", 2001))), "2001 bytes; 2000 are allowed for HEART_BEAT"},
		{"a message of more", r.sendFrame("T", 0, "", strings.Repeat("x", 3000)), "SUCCESS"},
		{"three groups", beat(3, 1, "*"), "SUCCESS"},
		{"four groups", beat(4, 1, "*"), "4 groups in a heartbeat; 3 are allowed"},
		{"four topics", beat(1, 4, "*"), "group g0 subscribes to 4 topics; 3 are allowed"},
		{"a long expression", beat(1, 1, strings.Repeat("a", 41)), "an expression of 41 bytes for topic T0; 40 are allowed"},
		{"a pull with a long expression", r.pullFrame("T", 0, 0, 0, strings.Repeat("a", 41)), "SUBSCRIPTION_PARSE_FAILED"},
		{"a pull with one that is not", r.pullFrame("T", 0, 0, 0, strings.Repeat("a", 40)), "PULL_RETRY_IMMEDIATELY"},
		{"two locks", lock(0, 2), "SUCCESS"},
		{"three at once", lock(0, 3), "3 queues; 2 are allowed at once"},
		{"the third and the fourth", lock(2, 2), `"lockOKMQSet":[{"brokerName":"b","queueId":2,"topic":"T"}]`},
		{"an offset of a queue that is not there", r.commitFrame("T", 8, 1), "queueId is out of range"},
		{"an offset of one that is", r.commitFrame("T", 3, 1), "SUCCESS"},
	} {
		got := r.receive(1, row.frame) + r.written()
		if !strings.Contains(got, row.want) {
			t.Errorf("%s: got %s, want %q", row.says, got, row.want)
		}
	}
}

func (r *rig) commitFrame(topic string, queueID int32, offset int64) []byte {
	h := remoting.ConsumerOffsetHeader{ConsumerGroup: []byte("g"), Topic: []byte(topic), QueueID: queueID, CommitOffset: offset}
	return r.frame(remoting.RequestUpdateConsumerOffset, func(w *remoting.Writer) { h.Append(w, remoting.RequestUpdateConsumerOffset) }, nil)
}

// TestAnsweredPullsLeaveTheirPlace: pulls with deadlines far away that were answered count no longer against the limit.
func TestAnsweredPullsLeaveTheirPlace(t *testing.T) {
	r := boundsRig(t, func(l *Limits) { l.Polls, l.QueuePolls = 200, 150 })
	r.receive(1, r.sendFrame("T", 0, "", "m"))
	r.written()
	from := int64(1)
	for round := range 20 {
		parked := 0
		for range 160 {
			r.receive(1, r.pullFrame("T", 0, from, time.Hour, "*"))
			if len(r.got) == 0 {
				parked++
			}
		}
		if parked != 150 || r.node.Parked() != 150 {
			t.Fatalf("round %d: %d pulls were parked, the node says %d; want 150", round, parked, r.node.Parked())
		}
		r.got = nil
		r.receive(2, r.sendFrame("T", 0, "", "m"))
		got := len(r.got)
		r.written()
		if got += len(r.got); r.node.Parked() != 0 {
			t.Fatalf("round %d: %d still parked, %d replies", round, r.node.Parked(), got)
		}
		from++
	}
	if n := len(r.node.polls.heap); n > 2*200 {
		t.Errorf("%d pulls are kept in memory", n)
	}
}

// TestALargeTableIsSavedLater: a client that makes topics in a loop has each of them written down with all others only so often.
// All are saved in the end, and a broker that stops saves them at once.
func TestALargeTableIsSavedLater(t *testing.T) {
	r := boundsRig(t, func(l *Limits) { l.Topics = 3000 })
	saves := 0
	for i := range 500 {
		saves += strings.Count(r.receive(1, r.sendFrame(fmt.Sprintf("T%d", i), 0, "", "m")), "save config/topics.json")
		r.written()
		r.mono += 100 * time.Microsecond
	}
	if saves > 70 {
		t.Errorf("%d saves for 500 topics", saves)
	}
	r.mono += laterBy
	if got := r.step(&Event{Kind: KindWoke}); !strings.Contains(got, "save config/topics.json") {
		t.Errorf("nothing was saved later: %s", got)
	}
	if got := r.step(&Event{Kind: KindWoke}); strings.Contains(got, "save") {
		t.Errorf("saved without a change: %s", got)
	}
	r.receive(1, r.sendFrame("last", 0, "", "m"))
	if got := r.step(&Event{Kind: KindStop}); !strings.Contains(got, "save config/topics.json") {
		t.Errorf("the last topic is not saved at the end: %s", got)
	}
}

// TestOffsetsBeyondTheLog: an offset near the largest there is ended the process, by an overflow.
func TestOffsetsBeyondTheLog(t *testing.T) {
	r := boundsRig(t, func(*Limits) {})
	r.receive(1, r.sendFrame("T", 0, "", "m"))
	r.written()
	for _, offset := range []int64{math.MaxInt64, math.MaxInt64 - 8, math.MinInt64, -1, 1 << 40} {
		if got := r.receive(1, r.frame(remoting.RequestViewMessageByID, func(w *remoting.Writer) { w.Int("offset", offset) }, nil)); !strings.Contains(got, "SYSTEM_ERROR") {
			t.Errorf("offset %d: %s", offset, got)
		}
	}
}
