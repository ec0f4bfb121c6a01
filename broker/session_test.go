package broker

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"holdfast/broker/durability"
	"holdfast/broker/remoting"
)

// A session is valid frames in any order, over several connections that open and close, while time passes and the disk does its work
// when it likes. Whatever comes, the node neither panics nor halts, every request that wants an answer gets exactly one, at the latest
// when its own deadline has passed, and an honest client is served afterwards.

// sessionFields are header fields of all requests, with values that have tripped brokers before.
var sessionFields = map[string][]string{
	"topic": {"T", "U", "", "%RETRY%g", "%DLQ%g", "SCHEDULE_TOPIC_XXXX", "TBW102", "a b", strings.Repeat("x", 128)}, "b": {"T", "U", "", "%RETRY%g", "%DLQ%g", "SCHEDULE_TOPIC_XXXX", strings.Repeat("x", 300)},
	"consumerGroup": {"g", "h", "", strings.Repeat("g", 256)}, "group": {"g", "h", ""}, "groupName": {"g", ""}, "a": {"p", ""}, "c": {"TBW102", "T", ""},
	"d": {"4", "0", "-1", "2147483647"}, "queueId": {"0", "1", "-1", "7", "1023", "1024", "2147483647"}, "e": {"0", "1", "-1", "99", "-2147483648"},
	"queueOffset": {"0", "1", "-1", "5", "9223372036854775807", "-9223372036854775808"}, "commitOffset": {"0", "1", "-1", "9223372036854775807"},
	"offset": {"0", "1", "57", "-1", "9223372036854775807"}, "maxMsgNums": {"32", "0", "-1", "2147483647"}, "sysFlag": {"0", "1", "2", "4", "6", "7", "-1"}, "f": {"0", "1", "4", "8", "16", "-1"},
	"suspendTimeoutMillis": {"0", "15000", "-1", "9223372036854775807"}, "subscription": {"*", "a || b", "", "||"}, "subVersion": {"0", "9"}, "expressionType": {"TAG", "SQL92", ""},
	"g": {"0", "1", "9223372036854775807"}, "h": {"0", "-1"}, "i": {"", "DELAY\x013\x02", "DELAY\x01x\x02", "TAGS\x01a\x02", "KEYS\x01k k\x02WAIT\x01false\x02", "\x01\x02"}, "j": {"0", "1", "16", "-1"},
	"k": {"false", "true"}, "l": {"0", "16", "-1"}, "m": {"false", "true"}, "delayLevel": {"0", "3", "-1", "99"}, "maxReconsumeTimes": {"0", "16", "-1"}, "originTopic": {"T", ""},
	"clientID": {"c", "d", ""}, "clientId": {"c", ""}, "producerGroup": {"p", ""}, "timestamp": {"0", "-1", "1700000000000", "9223372036854775807"}, "boundaryType": {"lower", "UPPER", ""},
	"key": {"k", ""}, "maxNum": {"32", "0", "-1"}, "beginTimestamp": {"0", "-1"}, "endTimestamp": {"9223372036854775807", "0"}, "msgId": {"", "00"},
	"readQueueNums": {"4", "0", "-1", "1024", "2147483647"}, "writeQueueNums": {"4", "0", "-1", "1024"}, "perm": {"6", "0", "2", "4", "-1"}, "defaultTopic": {"TBW102", ""}, "topicFilterType": {"SINGLE_TAG", ""},
	"isForce": {"true", "false"}, "jstackEnable": {"false"}, "brokerName": {"broker-a", ""}, "statsName": {"TOPIC_PUT_NUMS", ""}, "statsKey": {"T"}, "setZeroIfNotFound": {"true", "false"},
	"srcGroup": {"g"}, "destGroup": {"h"}, "consumerOffset": {"0"},
}

var sessionFieldNames = func() (names []string) {
	for name := range sessionFields {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}()

// sessionBodies are bodies that requests have.
func sessionBodies() []string {
	beat := remoting.Heartbeat{ClientID: "c", Producers: []string{"p"}, Consumers: []remoting.ConsumerData{{Group: "g", Type: remoting.ConsumePassively, Model: remoting.Clustering,
		Subscriptions: []remoting.Subscription{{Topic: "T", Expression: "*"}, {Topic: "U", Expression: "a"}}}}}
	lock := remoting.LockBatch{ConsumerGroup: "g", ClientID: "c", Queues: []remoting.MessageQueue{{Topic: "T", BrokerName: "b", QueueID: 1}}}
	return []string{"", "x", string(beat.Append(nil)), string(lock.Append(nil)), `{"groupName":"h","retryQueueNums":2147483647}`, `{}`, `[]`, "brokerPermission=4\nnope=1", "brokerPermission=6",
		"\x00\x00\x00\x00", strings.Repeat("y", 5000)}
}

// sessionCodes are the requests that RocketMQ knows, and a few that nobody does.
var sessionCodes = func() (codes []int32) {
	for code := int32(10); code < 420; code++ {
		if remoting.RequestName(code) != "" {
			codes = append(codes, code)
		}
	}
	return append(codes, -1, 0, 9999, 2147483647)
}()

// sessionOften are the requests that clients make most.
var sessionOften = []int32{remoting.RequestSendMessageV2, remoting.RequestSendMessageV2, remoting.RequestPullMessage, remoting.RequestPullMessage, remoting.RequestHeartBeat,
	remoting.RequestUpdateConsumerOffset, remoting.RequestConsumerSendMsgBack, remoting.RequestLockBatchMQ, remoting.RequestUpdateAndCreateTopic, remoting.RequestDeleteTopicInBroker}

// session is the state of one.
type session struct {
	*rig
	rt     *rapid.T
	bodies []string
	owed   map[int32]ConnID // requests without an answer, by opaque
	open   []ConnID
	last   ConnID
}

func playSession(t testing.TB, rt *rapid.T) {
	flush := rapid.SampledFrom([]durability.FlushType{durability.AsyncFlush, durability.SyncFlush}).Draw(rt, "flush")
	cfg := rigConfig(durability.AsyncMaster, flush, durability.RocketMQ5, 1)
	cfg.Limits.Topics, cfg.Limits.Groups, cfg.Limits.Polls, cfg.Limits.Waiters, cfg.Limits.OffsetKeys = 12, 8, 10, 20, 8
	s := &session{rig: newRig(t, cfg, nil), rt: rt, bodies: sessionBodies(), owed: map[int32]ConnID{}}
	s.rig.step(&Event{Kind: KindWoke})
	s.connect()
	for range rapid.IntRange(1, 60).Draw(rt, "steps") {
		s.act()
		s.check()
	}
	s.settle()
	if len(s.owed) > 0 {
		rt.Fatalf("requests without an answer: %v", s.owed)
	}
	s.honest()
}

func (s *session) connect() {
	s.last++
	s.open = append(s.open, s.last)
	s.rig.step(&Event{Kind: KindOpened, Conn: s.last, Addr: "127.0.0.1:50000"})
}

func (s *session) act() {
	switch rapid.IntRange(0, 9).Draw(s.rt, "act") {
	case 0:
		s.connect()
	case 1:
		if len(s.open) > 1 {
			i := rapid.IntRange(0, len(s.open)-1).Draw(s.rt, "closed")
			gone := s.open[i]
			s.open = slices.Delete(s.open, i, i+1)
			s.rig.step(&Event{Kind: KindClosed, Conn: gone})
			for opaque, c := range s.owed {
				if c == gone {
					delete(s.owed, opaque)
				}
			}
		}
	case 2:
		s.mono += time.Duration(rapid.Int64Range(0, int64(20*time.Second)).Draw(s.rt, "pass"))
		s.rig.step(&Event{Kind: KindWoke})
	case 3:
		if s.write != nil {
			s.written()
		}
	case 4:
		if s.sync != nil {
			s.synced(nil)
		}
	default:
		s.request()
	}
}

// request sends a burst of one to three requests.
func (s *session) request() {
	c := rapid.SampledFrom(s.open).Draw(s.rt, "conn")
	var burst []byte
	for range rapid.IntRange(1, 3).Draw(s.rt, "burst") {
		codes := sessionCodes
		if rapid.Bool().Draw(s.rt, "often") {
			codes = sessionOften
		}
		s.opaque++
		f := remoting.Frame{Code: rapid.SampledFrom(codes).Draw(s.rt, "code"), Opaque: s.opaque, Version: remoting.Version, Language: remoting.Go}
		switch rapid.IntRange(0, 9).Draw(s.rt, "flag") {
		case 0:
			f.Flag = remoting.FlagOneway
		case 1:
			f.Flag = remoting.FlagResponse
		default:
			s.owed[s.opaque] = c
		}
		if rapid.IntRange(0, 4).Draw(s.rt, "form") == 0 {
			f.Form = remoting.Binary
		}
		w := remoting.Begin(nil, &f)
		for _, name := range sessionFieldNames {
			if i := rapid.IntRange(-1, len(sessionFields[name])-1).Draw(s.rt, name); i >= 0 {
				w.String(name, sessionFields[name][i])
			}
		}
		burst = append(burst, w.Finish([]byte(rapid.SampledFrom(s.bodies).Draw(s.rt, "body")))...)
	}
	in := s.intakes[c]
	if in == nil {
		in = s.node.Intake("127.0.0.1:50000")
		s.intakes[c] = in
	}
	requests, n, err := in.Decode(burst)
	if err != nil || n != len(burst) {
		s.rt.Fatalf("decode: %d of %d bytes, %v", n, len(burst), err)
	}
	s.rig.step(&Event{Kind: KindReceived, Conn: c, Requests: requests})
	in.Reset()
}

// check takes the answers that came.
func (s *session) check() {
	if s.node.halted != nil {
		s.rt.Fatalf("halted: %v", s.node.halted)
	}
	got := s.got
	s.got = nil
	for i := range got {
		r := &got[i]
		if r.Push || r.Conn == 0 || !slices.Contains(s.open, r.Conn) {
			continue
		}
		raw, err := s.node.AppendReply(nil, r)
		if err != nil {
			s.rt.Fatal(err)
		}
		f, size, err := remoting.Decode(raw)
		if err != nil || size != len(raw) || !f.IsResponse() {
			s.rt.Fatalf("no answer: %v, %d of %d bytes, %+v", err, size, len(raw), f)
		}
		if c, ok := s.owed[f.Opaque]; !ok || c != r.Conn {
			s.rt.Fatalf("connection %d is answered %d %s, which it did not ask or was told before", r.Conn, f.Opaque, f.Remark)
		}
		delete(s.owed, f.Opaque)
	}
	m := &s.node.marks
	if m.Synced > m.Written || m.Written > m.Appended {
		s.rt.Fatalf("marks: synced %d, written %d, appended %d", m.Synced, m.Written, m.Appended)
	}
	limits, sample := &s.node.cfg.Limits, s.node.Sample()
	if sample.Topics > limits.Topics+8 || sample.Groups > limits.Groups+8 || sample.Parked > limits.Polls || sample.Waiting > limits.Waiters {
		s.rt.Fatalf("beyond the limits: %+v", sample)
	}
}

// settle lets the disk do all its work, and every deadline pass.
func (s *session) settle() {
	for range 40 {
		for s.write != nil || s.sync != nil {
			if s.write != nil {
				s.written()
			}
			if s.sync != nil {
				s.synced(nil)
			}
			s.check()
		}
		s.mono += time.Minute
		s.rig.step(&Event{Kind: KindWoke})
		s.check()
	}
}

// honest sends and pulls what a client does that knows nothing of the others.
func (s *session) honest() {
	s.connect()
	c := s.last
	s.got = nil
	s.receive(c, s.frame(remoting.RequestUpdateBrokerConfig, nil, []byte("brokerPermission=6")))
	var sent bool
	for i := range s.node.topics.sorted {
		t := s.node.topics.sorted[i]
		if t.conf.Perm&6 != 6 || forbiddenTopic([]byte(t.conf.Name)) || !validTopic([]byte(t.conf.Name)) || t.conf.WriteQueues < 1 || t.conf.ReadQueues < 1 || IsRetryOrDLQ(t.conf.Name) {
			continue
		}
		trace := s.receive(c, s.sendFrame(t.conf.Name, 0, "", "honest"))
		for s.write != nil || s.sync != nil {
			if s.write != nil {
				trace += s.written()
			}
			if s.sync != nil {
				trace += s.synced(nil)
			}
		}
		if !strings.Contains(trace, "SUCCESS") {
			s.rt.Fatalf("an honest send to %s: %s", t.conf.Name, trace)
		}
		sent = true
		break
	}
	if !sent {
		s.rt.Fatal("no topic is left for an honest client")
	}
}

func TestSession(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) { playSession(t, rt) })
}

func FuzzSession(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		rapid.MakeFuzz(func(rt *rapid.T) { playSession(t, rt) })(t, data)
	})
}
