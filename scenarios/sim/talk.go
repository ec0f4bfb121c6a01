package sim

import (
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"holdfast/broker/message"
	"holdfast/broker/remoting"
)

// talk is requests by message (RocketMQ's request-reply) beside the load of a run: an asker waits for replies, at every broker, and a replier
// sends them to one after the other, also to those that are no master or are gone. What is held against the brokers: a reply goes to the asker
// and is answered at most once, and SUCCESS means that the asker has taken it.
type talk struct {
	l        *loop
	w        *wire
	repliers []*talkLine
	last     int32           // reply that was sent
	replies  map[int32]*fate // by reply, which is also the opaque of its request
	fault    string          // the first promise that was broken
}

// fate is what became of a reply.
type fate struct{ pushed, taken, answered bool }

// talkLine is the connection of the asker, or of the replier, with one broker.
type talkLine struct {
	t       *talk
	m       *member
	to      netip.AddrPort
	asker   bool
	end     *end
	attempt uint64
	in      []byte
}

const (
	talkerID      = "asker@sim"
	talkTopic     = "holdfast_REPLY_TOPIC"
	talkBeat      = 5 * time.Second
	talkAgain     = 200 * time.Millisecond // after a connection has ended
	talkDialLimit = 2 * time.Second
)

// Marks of a talk.
const (
	markReplyTaken   = "reply taken and answered"
	markReplyRefused = "reply not taken and answered"
)

// startTalk has asker and replier connect to all brokers.
func startTalk(c *Cluster) *talk {
	t := &talk{l: c.l, w: c.w, replies: map[int32]*fate{}}
	for _, m := range c.members {
		asker, replier := &talkLine{t: t, m: m, to: c.address(m), asker: true}, &talkLine{t: t, m: m, to: c.address(m)}
		t.repliers = append(t.repliers, replier)
		asker.connect()
		replier.connect()
	}
	t.l.after(t.pause(), t.reply)
	return t
}

func (t *talk) pause() time.Duration { return t.l.draw(10*time.Millisecond, 150*time.Millisecond) }

func (t *talk) broken(format string, args ...any) {
	if t.fault == "" {
		t.fault = fmt.Sprintf("at %v: ", t.l.now) + fmt.Sprintf(format, args...)
	}
}

// reply sends the next reply on a connection of the replier.
func (t *talk) reply() {
	t.l.after(t.pause(), t.reply)
	k := t.repliers[t.l.rng.IntN(len(t.repliers))]
	if k.end == nil {
		return
	}
	t.last++
	t.replies[t.last] = &fate{}
	properties := message.AppendProperty(nil, message.PropertyReplyToClient, talkerID)
	h := remoting.SendHeader{ProducerGroup: []byte("repliers"), Topic: []byte(talkTopic), DefaultTopic: []byte("TBW102"), DefaultTopicQueueNums: 1,
		Properties: properties, MaxReconsumeTimes: remoting.NoLimit, BornTimestamp: t.l.now.Milliseconds()}
	const code = remoting.RequestSendReplyMessageV2
	k.send(code, t.last, func(w *remoting.Writer) { h.Append(w, code) }, strconv.AppendInt(nil, int64(t.last), 10))
}

func (k *talkLine) send(code, opaque int32, fields func(*remoting.Writer), body []byte) {
	w := remoting.Begin(nil, &remoting.Frame{Code: code, Opaque: opaque, Version: remoting.Version, Language: remoting.Go})
	if fields != nil {
		fields(&w)
	}
	k.end.send(w.Finish(body))
}

// connect tries until somebody answers.
func (k *talkLine) connect() {
	t := k.t
	k.attempt++
	attempt := k.attempt
	k.again(talkDialLimit)
	t.w.dial(t.w.hosts[1], k, k.to, func() bool { return k.attempt != attempt }, func(e *end) {
		if k.end = e; e == nil {
			k.again(talkAgain)
		} else if k.asker {
			k.beat(e)
		}
	})
}

// again connects after a while, unless there is a connection by then, or another attempt.
func (k *talkLine) again(after time.Duration) {
	attempt := k.attempt
	k.t.l.after(after, func() {
		if k.end == nil && k.attempt == attempt {
			k.connect()
		}
	})
}

// beat says who waits for replies, and says it again now and then.
func (k *talkLine) beat(e *end) {
	if k.end != e {
		return
	}
	beat := remoting.Heartbeat{ClientID: talkerID, Producers: []string{"askers"}}
	k.send(remoting.RequestHeartBeat, 0, nil, beat.Append(nil))
	k.t.l.after(talkBeat, func() { k.beat(e) })
}

func (k *talkLine) hungUp(e *end) {
	if k.end == e {
		k.hangUp()
	}
}

// hangUp forgets the connection, and makes another one soon.
func (k *talkLine) hangUp() {
	k.end, k.in = nil, nil
	k.again(talkAgain)
}

func (k *talkLine) received(e *end, b []byte) {
	if k.end != e {
		return
	}
	k.in = append(k.in, b...)
	for k.end == e {
		f, size, err := remoting.Decode(k.in)
		if err != nil {
			k.t.broken("%s sends what is no frame: %v", k.m.name, err)
			return
		}
		if size == 0 {
			return
		}
		switch {
		case !f.IsResponse():
			k.pushed(&f)
		case !k.asker:
			k.answered(&f)
		}
		if k.end == e {
			k.in = append(k.in[:0], k.in[size:]...)
		}
	}
}

// pushed is what the asker does with a reply: mostly takes it, at once or when the broker has given up; refuses it, says nothing, or hangs up.
func (k *talkLine) pushed(f *remoting.Frame) {
	t := k.t
	reply, err := strconv.ParseInt(string(f.Body), 10, 32)
	id := int32(reply)
	got := t.replies[id]
	if err != nil || got == nil || f.Code != remoting.RequestPushReplyMessageToClient || !k.asker {
		t.broken("%s asks for %s with the body %q, which nobody sent", k.m.name, f.CodeName(), f.Body)
		return
	}
	if got.pushed {
		t.broken("%s hands out reply %d twice", k.m.name, id)
	}
	got.pushed = true
	end, opaque, form := k.end, f.Opaque, f.Form
	answer := func(code int32) {
		if k.end != end {
			return
		}
		got.taken = got.taken || code == remoting.ResponseSuccess
		end.send(remoting.AppendReply(nil, form, code, opaque, "", nil))
	}
	switch n := t.l.rng.IntN(20); {
	case n == 0:
		end.close()
		k.hangUp()
	case n == 1:
		answer(remoting.ResponseSystemError)
	case n == 2:
	case n < 6:
		t.l.after(t.l.draw(time.Second, 12*time.Second), func() { answer(remoting.ResponseSuccess) })
	default:
		answer(remoting.ResponseSuccess)
	}
}

// answered holds the answer to a reply against what became of it.
func (k *talkLine) answered(f *remoting.Frame) {
	t, id := k.t, f.Opaque
	got := t.replies[id]
	if got == nil {
		t.broken("%s answers %d, which nobody sent", k.m.name, id)
		return
	}
	switch {
	case got.answered:
		t.broken("%s answers reply %d twice", k.m.name, id)
	case f.Code == remoting.ResponseSuccess && !got.taken:
		t.broken("%s answers reply %d with SUCCESS, and the asker has not taken it", k.m.name, id)
	case f.Code == remoting.ResponseSuccess:
		t.l.trace.mark(markReplyTaken)
	default:
		t.l.trace.mark(markReplyRefused)
	}
	got.answered = true
}
