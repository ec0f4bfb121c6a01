package broker

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"holdfast/broker/remoting"
	"holdfast/broker/replica"
)

// A session is valid frames in any order, over several connections that open and close, while time passes and the disk does its work
// when it likes. Whatever comes, the node neither panics nor halts, every request that wants an answer gets exactly one, at the latest
// when its own deadline has passed, and an honest client is served afterwards. sessionKinds says with whom it is played.

// sessionFields are header fields of all requests, with values that have tripped brokers before.
var sessionFields = map[string][]string{
	"topic": {"T", "U", "", "%RETRY%g", "%DLQ%g", "SCHEDULE_TOPIC_XXXX", "TBW102", "a b", strings.Repeat("x", 128)}, "b": {"T", "U", "", "%RETRY%g", "%DLQ%g", "SCHEDULE_TOPIC_XXXX", strings.Repeat("x", 300)},
	"consumerGroup": {"g", "h", "", strings.Repeat("g", 256)}, "group": {"g", "h", ""}, "groupName": {"g", ""}, "a": {"p", ""}, "c": {"TBW102", "T", ""},
	"d": {"4", "0", "-1", "2147483647"}, "queueId": {"0", "1", "-1", "7", "1023", "1024", "2147483647"}, "e": {"0", "1", "-1", "99", "-2147483648"},
	"queueOffset": {"0", "1", "-1", "5", "9223372036854775807", "-9223372036854775808"}, "commitOffset": {"0", "1", "-1", "9223372036854775807"},
	"offset": {"0", "1", "57", "-1", "9223372036854775807"}, "maxMsgNums": {"32", "0", "-1", "2147483647"}, "sysFlag": {"0", "1", "2", "4", "6", "7", "-1"}, "f": {"0", "1", "4", "8", "16", "-1"},
	"suspendTimeoutMillis": {"0", "15000", "-1", "9223372036854775807"}, "subscription": {"*", "a || b", "", "||"}, "subVersion": {"0", "9"}, "expressionType": {"TAG", "SQL92", ""},
	"g": {"0", "1", "9223372036854775807"}, "h": {"0", "-1"}, "i": {"", "DELAY\x013\x02", "DELAY\x01x\x02", "TAGS\x01a\x02", "KEYS\x01k k\x02WAIT\x01false\x02", "\x01\x02", "REPLY_TO_CLIENT\x01c\x02"}, "j": {"0", "1", "16", "-1"},
	"k": {"false", "true"}, "l": {"0", "16", "-1"}, "m": {"false", "true"}, "delayLevel": {"0", "3", "-1", "99"}, "maxReconsumeTimes": {"0", "16", "-1"}, "originTopic": {"T", ""},
	"clientID": {"c", "d", ""}, "clientId": {"c", ""}, "producerGroup": {"p", ""}, "timestamp": {"0", "-1", "1700000000000", "9223372036854775807"}, "boundaryType": {"lower", "UPPER", ""},
	"key": {"k", ""}, "maxNum": {"32", "0", "-1"}, "beginTimestamp": {"0", "-1"}, "endTimestamp": {"9223372036854775807", "0"}, "msgId": {"", "00"},
	"readQueueNums": {"4", "0", "-1", "1024", "2147483647"}, "writeQueueNums": {"4", "0", "-1", "1024"}, "perm": {"6", "0", "2", "4", "-1"}, "defaultTopic": {"TBW102", ""}, "topicFilterType": {"SINGLE_TAG", ""},
	"isForce": {"true", "false"}, "jstackEnable": {"false"}, "brokerName": {"broker-a", ""}, "statsName": {"TOPIC_PUT_NUMS", ""}, "statsKey": {"T"}, "setZeroIfNotFound": {"true", "false"},
	"srcGroup": {"g"}, "destGroup": {"h"}, "consumerOffset": {"0"},
	"brokerAddr": {"127.0.0.1:20911", "127.0.0.1:30911", ""}, "clusterName": {"DefaultCluster", "C", ""}, "haServerAddr": {"127.0.0.1:20912", ""}, "brokerId": {"0", "1", "-1", "9223372036854775807"},
	"masterAddress": {"127.0.0.1:20911", ""}, "masterHaAddress": {"127.0.0.1:20912", ""}, "namespace": {"ORDER_TOPIC_CONFIG", "n", ""}, "value": {"v", ""}, "compressed": {"false", "true"}, "bodyCrc32": {"0"},
	"incarnation": {"1", "2", "-1"}, "clean": {"true", "false"}, "alone": {"true", "false"}, "epoch": {"0", "1", "-1", "2147483647"}, "maxOffset": {"0", "100", "-1", "9223372036854775807"},
	"syncStateSetEpoch": {"0", "1", "-1", "2147483647"}, "masterEpoch": {"0", "1", "2147483647"}, "masterBrokerId": {"0", "1", "2"}, "syncStateSet": {"1", "1;2", "x", ""}, "confirmOffset": {"0", "-1"},
	"enableActingMaster": {"true", "false"},
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
	registration := remoting.RegisterBrokerBody{Topics: remoting.TopicTable{Topics: []remoting.TopicConfig{{Name: "T", ReadQueues: 4, WriteQueues: 4, Perm: 6}, {Name: "U", Perm: 2}}}}
	route := remoting.RouteInfo{Queues: []remoting.QueueData{{BrokerName: "broker-a", ReadQueues: 1, WriteQueues: 1, Perm: 6}}}
	return []string{"", "x", string(registration.Append(nil)), string(route.Append(nil)), `{"counter":1,"timestamp":0,"stateVersion":0}`, string(beat.Append(nil)), string(lock.Append(nil)), `{"groupName":"h","retryQueueNums":2147483647}`, `{}`, `[]`, "brokerPermission=4\nnope=1", "brokerPermission=6",
		"\x00\x00\x00\x00", strings.Repeat("y", 5000)}
}

// sessionCodes are the requests that RocketMQ knows, and a few that nobody does.
var sessionCodes = func() (codes []int32) {
	for code := int32(10); code < 2000; code++ {
		if remoting.RequestName(code) != "" {
			codes = append(codes, code)
		}
	}
	return append(codes, -1, 0, 9999, 2147483647)
}()

// sessionOften are the requests that clients make most.
var sessionOften = []int32{remoting.RequestSendMessageV2, remoting.RequestSendMessageV2, remoting.RequestPullMessage, remoting.RequestPullMessage, remoting.RequestHeartBeat,
	remoting.RequestUpdateConsumerOffset, remoting.RequestConsumerSendMsgBack, remoting.RequestLockBatchMQ, remoting.RequestUpdateAndCreateTopic, remoting.RequestDeleteTopicInBroker,
	remoting.RequestSendReplyMessage, remoting.RequestSendReplyMessageV2}

// sessionNames are those that brokers and tools make most of a name server and a controller.
var sessionNames = []int32{remoting.RequestRegisterBroker, remoting.RequestUnregisterBroker, remoting.RequestPutKVConfig, remoting.RequestPutKVConfig, remoting.RequestDeleteKVConfig,
	remoting.RequestGetRouteInfoByTopic, remoting.RequestRegisterTopicInNameServer, remoting.RequestControllerRegisterBroker, remoting.RequestBrokerHeartbeat,
	remoting.RequestControllerAlterSyncStateSet, remoting.RequestControllerElectMaster}

// session is the state of one.
type session struct {
	*rig
	rt     *rapid.T
	kind   *sessionKind
	bodies []string
	owed   map[int32]ConnID // requests without an answer, by opaque
	pushed []int32          // requests to clients, which may have been answered
	open   []ConnID
	last   ConnID

	names   *NameServer      // that answers the node's calls
	namesOn Output           // of names
	master  *rig             // of a slave
	peers   []replica.ConnID // of the replication port
	peerBuf map[replica.ConnID][]byte
	// consumed is what the last event of the replication port used.
	consumed int
}

func playSession(t testing.TB, rt *rapid.T) {
	kind := &sessionKinds[rapid.IntRange(0, len(sessionKinds)-1).Draw(rt, "kind")]
	s := &session{rt: rt, kind: kind, bodies: sessionBodies(), owed: map[int32]ConnID{}, peerBuf: map[replica.ConnID][]byte{}}
	kind.start(t, s)
	s.rig.step(&Event{Kind: KindWoke})
	s.connect()
	for range rapid.IntRange(1, 60).Draw(rt, "steps") {
		s.act()
		s.check()
	}
	s.settle()
	if len(s.owed) > 0 {
		rt.Fatalf("requests without an answer of a %s: %v", kind.name, s.owed)
	}
	kind.honest(s)
}

func (s *session) connect() {
	s.last++
	s.open = append(s.open, s.last)
	s.rig.step(&Event{Kind: KindOpened, Conn: s.last, Addr: "127.0.0.1:50000"})
}

func (s *session) act() {
	switch rapid.IntRange(0, 12).Draw(s.rt, "act") {
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
	case 5:
		s.answerCall(rapid.IntRange(0, 2).Draw(s.rt, "answer"))
	case 6, 7:
		if s.kind.replicates {
			s.replication()
			break
		}
		s.request()
	default:
		s.request()
	}
	s.cutLog()
}

// request sends a burst of one to three requests.
func (s *session) request() {
	c := rapid.SampledFrom(s.open).Draw(s.rt, "conn")
	var burst []byte
	for range rapid.IntRange(1, 3).Draw(s.rt, "burst") {
		if s.node != nil && rapid.IntRange(0, 3).Draw(s.rt, "well formed") == 0 {
			burst = append(burst, s.wellFormed(c)...)
			continue
		}
		codes := sessionCodes
		if rapid.Bool().Draw(s.rt, "often") {
			codes = s.kind.often
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
		in = s.machine.Intake("127.0.0.1:50000")
		s.intakes[c] = in
	}
	requests, n, err := in.Decode(burst)
	if err != nil || n != len(burst) {
		s.rt.Fatalf("decode: %d of %d bytes, %v", n, len(burst), err)
	}
	s.rig.step(&Event{Kind: KindReceived, Conn: c, Requests: requests})
	in.Reset()
}

// wellFormed is a send, a pull, a reply message or an answer as clients make them: of fields drawn one by one hardly any would be.
func (s *session) wellFormed(c ConnID) (frame []byte) {
	topic := rapid.SampledFrom([]string{"T", "U"}).Draw(s.rt, "topic")
	queueID := rapid.Int32Range(0, 1).Draw(s.rt, "queue")
	switch what := rapid.IntRange(0, 6).Draw(s.rt, "what"); {
	case what == 0 && len(s.pushed) > 0:
		to := rapid.SampledFrom(s.pushed).Draw(s.rt, "answers")
		return remoting.AppendReply(nil, remoting.JSON, rapid.Int32Range(0, 1).Draw(s.rt, "says"), to, "", nil)
	case what == 0:
		beat := remoting.Heartbeat{ClientID: "c", Producers: []string{"p"}}
		frame = s.frame(remoting.RequestHeartBeat, nil, beat.Append(nil))
	case what == 1:
		frame = s.sendFrameOf(remoting.RequestSendReplyMessageV2, topic, queueID, rapid.SampledFrom([]string{"REPLY_TO_CLIENT\x01c\x02", "REPLY_TO_CLIENT\x01d\x02", ""}).Draw(s.rt, "properties"), "r")
	case what <= 3:
		frame = s.sendFrame(topic, queueID, rapid.SampledFrom([]string{"", "TAGS\x01a\x02", "DELAY\x013\x02"}).Draw(s.rt, "properties"), "m")
	default:
		suspend := rapid.SampledFrom([]time.Duration{0, time.Second, time.Minute, 10 * time.Minute}).Draw(s.rt, "suspend")
		frame = s.pullFrame(topic, queueID, rapid.Int64Range(0, 3).Draw(s.rt, "from"), suspend, rapid.SampledFrom([]string{"*", "a"}).Draw(s.rt, "tags"))
	}
	s.owed[s.opaque] = c
	return frame
}

// check takes the answers that came.
func (s *session) check() {
	if s.out.Halt != nil {
		s.rt.Fatalf("a %s halts: %v", s.kind.name, s.out.Halt)
	}
	got := s.got
	s.got = nil
	for i := range got {
		r := &got[i]
		if f, _, err := remoting.Decode(r.Frame); r.Push && err == nil {
			s.pushed = append(s.pushed, f.Opaque)
		}
		if r.Push || r.Conn == 0 || !slices.Contains(s.open, r.Conn) {
			continue
		}
		raw, err := s.machine.AppendReply(nil, r)
		if err != nil {
			s.rt.Fatal(err)
		}
		f, size, err := remoting.Decode(raw)
		if err != nil || size != len(raw) || !f.IsResponse() {
			s.rt.Fatalf("no answer: %v, %d of %d bytes, %+v", err, size, len(raw), f)
		}
		if c, ok := s.owed[f.Opaque]; !ok || c != r.Conn {
			s.rt.Fatalf("a %s answers connection %d request %d: %s %s; it did not ask, or was told before", s.kind.name, r.Conn, f.Opaque, f.CodeName(), f.Remark)
		}
		delete(s.owed, f.Opaque)
	}
	if s.node == nil {
		return
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

// settle lets the disk do all its work, every call fail, and every deadline pass.
func (s *session) settle() {
	for range 40 {
		s.rest()
		for len(s.calls) > 0 {
			s.answerCall(0)
			s.check()
		}
		s.mono += time.Minute
		s.rig.step(&Event{Kind: KindWoke})
		s.check()
	}
}

// rest lets the disk do all its work.
func (s *session) rest() (trace string) {
	for s.write != nil || s.sync != nil || s.truncate != nil {
		if s.write != nil {
			trace += s.written()
		}
		if s.sync != nil {
			trace += s.synced(nil)
		}
		trace += s.cutLog()
	}
	return trace
}

func TestSession(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) { playSession(t, rt) })
}

func FuzzSession(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		rapid.MakeFuzz(func(rt *rapid.T) { playSession(t, rt) })(t, data)
	})
}
