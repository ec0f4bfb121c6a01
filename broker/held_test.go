package broker

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"holdfast/broker/durability"
	"holdfast/broker/remoting"
	"holdfast/broker/store"
	"holdfast/broker/vfs"
)

// TestCreatedTopicIsAnsweredWhenRegistered holds UPDATE_AND_CREATE_TOPIC against its promise: with the answer, the topic is
// known to every name server that can be reached.
func TestCreatedTopicIsAnsweredWhenRegistered(t *testing.T) {
	fsys := vfs.NewMem()
	if err := fsys.MkdirAll("config"); err != nil {
		t.Fatal(err)
	}
	st, _, err := store.Open(fsys, store.Config{})
	if err != nil {
		t.Fatal(err)
	}
	cfg := DefaultConfig(durability.RocketMQ5)
	cfg.Addr = netip.MustParseAddrPort("127.0.0.1:10911")
	cfg.NameServers = []string{"n1", "n2"}
	n, err := New(cfg, st, fsys, rand.New(rand.NewPCG(1, 1)))
	if err != nil {
		t.Fatal(err)
	}
	var out Output
	var calls []Call
	now := Instant{Wall: 1767225600000}
	step := func(ev Event) (codes []int32) {
		t.Helper()
		now.Mono += time.Millisecond
		n.Step(now, &ev, &out)
		calls = append(calls, out.Calls...)
		for _, r := range out.Replies {
			f, _, err := remoting.Decode(r.Frame)
			if err != nil {
				t.Fatal(err)
			}
			codes = append(codes, f.Opaque)
		}
		return codes
	}
	expect := func(when string, got []int32, want ...int32) {
		t.Helper()
		if len(got) != len(want) || (len(want) > 0 && got[0] != want[0]) {
			t.Errorf("%s: answered %v, want %v", when, got, want)
		}
	}
	answer := func(err error) []int32 {
		t.Helper()
		call := calls[0]
		calls = calls[1:]
		return step(Event{Kind: KindAnswered, Call: call.ID, Frame: &remoting.Frame{Flag: remoting.FlagResponse}, Err: err})
	}
	create := func(opaque int32) Event {
		h := remoting.CreateTopicHeader{Topic: remoting.TopicConfig{Name: "T", ReadQueues: opaque, WriteQueues: opaque, Perm: 6}}
		w := remoting.Begin(nil, &remoting.Frame{Code: remoting.RequestUpdateAndCreateTopic, Opaque: opaque})
		h.Append(&w)
		f, _, _ := remoting.Decode(w.Finish(nil))
		return Event{Kind: KindReceived, Conn: 1, Requests: []Request{{Frame: f}}}
	}
	step(Event{Kind: KindOpened, Conn: 1, Addr: "127.0.0.1:1"}) // the first registrations go out
	expect("before the first registration is answered", step(create(1)))
	expect("one name server has answered the registration before", answer(nil))
	expect("the other, too: the topic goes out only now", answer(nil))
	expect("one name server knows the topic", answer(nil))
	expect("both know it", answer(nil), 1)
	expect("a change with both idle", step(create(2)))
	expect("one cannot be reached", answer(errors.New("connection refused")))
	expect("the other knows it", answer(nil), 2)
	if len(calls) != 0 {
		t.Errorf("%d calls too many", len(calls))
	}
}

// TestSendThatMakesItsTopicIsAnsweredWhenRegistered: a consumer that is started after the answer finds the route. Other sends to the topic
// are not kept back, nor is one to a topic that is known.
func TestSendThatMakesItsTopicIsAnsweredWhenRegistered(t *testing.T) {
	cfg := rigConfig(durability.AsyncMaster, durability.AsyncFlush, durability.RocketMQ5, 1)
	cfg.NameServers = []string{"n1", "n2"}
	r := newRig(t, cfg, nil)
	r.node.topics.put(remoting.TopicConfig{Name: "Known", ReadQueues: 1, WriteQueues: 1, Perm: 6})
	expect := func(when string, got []int32, want ...int32) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("%s: answered %v, want %v", when, got, want)
		}
	}
	r.step(&Event{Kind: KindOpened, Conn: 1, Addr: "127.0.0.1:1"}) // the first registrations go out
	expect("one name server has answered the first registration", r.told(nil))
	expect("both have", r.told(nil))
	expect("the send that makes T", r.sent("T")) // 1
	expect("another one to T", r.sent("T"), 2)
	expect("one name server knows T", r.told(nil))
	expect("a topic that is there from the start", r.sent("Known"), 3)
	expect("the other cannot be reached", r.told(errors.New("connection refused")), 1)
	expect("once T is known", r.sent("T"), 4)
	if len(r.calls) != 0 {
		t.Errorf("%d calls too many", len(r.calls))
	}
}

// told answers the first call of the node, and returns the sends that are answered for it.
func (r *rig) told(err error) (opaques []int32) {
	r.t.Helper()
	call := r.calls[0]
	r.calls, r.got = r.calls[1:], nil
	r.step(&Event{Kind: KindAnswered, Call: call.ID, Frame: &remoting.Frame{Flag: remoting.FlagResponse}, Err: err})
	return r.answered()
}

// sent sends a message that is written at once, and returns the sends that are answered then.
func (r *rig) sent(topic string) (opaques []int32) {
	r.t.Helper()
	r.receive(1, r.sendFrame(topic, 0, "", "m"))
	r.written()
	return r.answered()
}

// answered returns the opaques of the SEND_OK among the replies, and takes nothing else for an answer.
func (r *rig) answered() (opaques []int32) {
	r.t.Helper()
	for i := range r.got {
		if r.got[i].Kind != ReplyPut || r.got[i].Code != remoting.ResponseSuccess {
			r.t.Errorf("an answer that is no SEND_OK: %s", r.describe(&r.got[i]))
		}
		opaques = append(opaques, r.got[i].Opaque)
	}
	return opaques
}

// TestMakersDoNotHoldEachOther: who makes a topic waits for the registration that has it, not for those of others who make topics without a pause; and in a
// loop over many topics nobody waits for a table that is written down only now and then.
func TestMakersDoNotHoldEachOther(t *testing.T) {
	cfg := rigConfig(durability.AsyncMaster, durability.AsyncFlush, durability.RocketMQ5, 1)
	cfg.NameServers = []string{"n1"}
	r := newRig(t, cfg, nil)
	r.step(&Event{Kind: KindOpened, Conn: 1, Addr: "127.0.0.1:1"})
	r.told(nil)
	for i := 1; i <= 20; i++ { // a registration is always under way, and another topic always comes meanwhile
		if got := r.sent(fmt.Sprint("T", i)); len(got) != 0 {
			t.Fatalf("topic %d: answered %v before anybody knows it", i, got)
		}
		if i > 1 {
			if got := r.told(nil); !slices.Equal(got, []int32{int32(i - 1)}) {
				t.Fatalf("the registration of topic %d is answered, and so is %v", i-1, got)
			}
		}
	}
	r.told(nil)
	held := 0
	for i := range 500 {
		if len(r.sent(fmt.Sprint("T", 100+i))) == 0 {
			held++
		}
		for len(r.calls) > 0 {
			r.told(nil)
		}
		r.mono += time.Millisecond
	}
	if most := 500/100 + laterAbove + 1; held > most {
		t.Errorf("%d of 500 sends that make topics wait, want %d or fewer", held, most)
	}
}
