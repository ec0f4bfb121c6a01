package conformance

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"holdfast/scenarios/cluster"
)

// limitsGolden holds what Apache's brokers answer to sends beyond their limits: code and remark, by profile and case.
var limitsGolden = filepath.Join("testdata", "limits.json")

// limitsTopic has four queues.
const limitsTopic = "Limits"

// beyond is a send that no client lets through, or that a client sends by mistake.
type beyond struct {
	name   string
	code   int               // of the request; 0: SEND_MESSAGE
	fields map[string]string // what differs from an ordinary send
	body   []byte            // nil: five bytes
}

// limits are in the order in which they are sent. Topics whose names are in order are made by their first message.
func limits() []beyond {
	at := func(topic string) map[string]string { return map[string]string{"topic": topic} }
	queue := func(topic string, id int) map[string]string {
		return map[string]string{"topic": topic, "queueId": strconv.Itoa(id)}
	}
	property := func(n int) map[string]string {
		return map[string]string{"properties": uniqueKey + "p\x01" + strings.Repeat("v", n-3-len(uniqueKey)) + "\x02"}
	}
	batchTo := func(topic, properties string) map[string]string {
		return map[string]string{"topic": topic, "batch": "true", "properties": properties}
	}
	all := []beyond{
		{name: "an ordinary send"},
		{name: "body empty", body: []byte{}},
		{name: "body of 4 MiB", body: make([]byte, 4<<20)},
		{name: "body of 4 MiB and a byte", body: make([]byte, 4<<20+1)},
		{name: "body of 4 MiB and 64 KiB", body: make([]byte, 4<<20+64<<10)},
		{name: "batch of 4 MiB and a byte", code: 320, fields: batchTo(limitsTopic, ""), body: batchOf(strings.Repeat("b", 4<<20+1-22), "")},
		{name: "properties of 32767 with those that 5.5.0 adds", fields: property(32767 - len(addedBy5))},
		{name: "properties of 32768 with those that 5.5.0 adds", fields: property(32768 - len(addedBy5))},
		{name: "properties of 32767 with those that 4.9.7 adds", fields: property(32767 - len(addedBy4))},
		{name: "properties of 32768 with those that 4.9.7 adds", fields: property(32768 - len(addedBy4))},
		{name: "properties of 32767", fields: property(32767)},
		{name: "properties of 32768", fields: property(32768)},
		{name: "properties of 70000", fields: property(70000)},
		{name: "topic of 127", fields: at(strings.Repeat("t", 127))},
		{name: "topic of 128", fields: at(strings.Repeat("t", 128))},
		{name: "topic of 256", fields: at(strings.Repeat("t", 256))},
		{name: "topic blank", fields: at("  ")},
		{name: "topic empty", fields: at("")},
		{name: "topic with a dot", fields: at("a.b")},
		{name: "topic with a space", fields: at("a b")},
		{name: "topic with a slash", fields: at("a/b")},
		{name: "topic with Latin letters of two bytes", fields: at("Grüße")},
		{name: "topic with all that is allowed", fields: at("a|Z%9_-")},
		{name: "queue -1", fields: queue(limitsTopic, -1)},
		{name: "queue -7", fields: queue(limitsTopic, -7)},
		{name: "queue 3, the last", fields: queue(limitsTopic, 3)},
		{name: "queue 4, one too many", fields: queue(limitsTopic, 4)},
		{name: "queue 1000", fields: queue(limitsTopic, 1000)},
		{name: "queue 1000 of a new topic", fields: queue("LimitsNew", 1000)},
		{name: "batch", code: 320, fields: batchTo(limitsTopic, ""), body: batchOf("body", "")},
		{name: "batch to a retry topic", code: 320, fields: batchTo("%RETRY%limits", ""), body: batchOf("body", "")},
		{name: "batch to a dead letter topic", code: 320, fields: batchTo("%DLQ%limits", ""), body: batchOf("body", "")},
		{name: "batch with a delay", code: 320, fields: batchTo(limitsTopic, "DELAY\x013\x02"), body: batchOf("body", "")},
		{name: "batch with a delayed message", code: 320, fields: batchTo(limitsTopic, ""), body: batchOf("body", "DELAY\x013\x02")},
		{name: "batch cut short", code: 320, fields: batchTo(limitsTopic, ""), body: batchOf("body", "")[:10]},
		{name: "delay level -1", fields: map[string]string{"properties": "DELAY\x01-1\x02"}},
		{name: "delay level that is no number", fields: map[string]string{"properties": "DELAY\x01soon\x02"}},
	}
	reply := func(code int, name, properties string) {
		fields := at("holdfast_REPLY_TOPIC")
		fields["properties"] = properties
		all = append(all, beyond{name: name, code: code, fields: fields})
	}
	reply(325, "reply to nobody", "CORRELATION_ID\x017\x02")
	reply(325, "reply to a client that is not there", "REPLY_TO_CLIENT\x01127.0.0.1@1\x02")
	reply(324, "reply with long names", "REPLY_TO_CLIENT\x01127.0.0.1@1\x02")
	all = append(all, beyond{name: "reply without a body", code: 325, fields: at("holdfast_REPLY_TOPIC"), body: []byte{}},
		beyond{name: "reply to a topic with a dot", code: 325, fields: at("a.b")},
		beyond{name: "reply to queue 1000", code: 325, fields: queue("holdfast_REPLY_TOPIC", 1000)})
	for _, system := range []string{"TBW102", "SCHEDULE_TOPIC_XXXX", "BenchmarkTest", "RMQ_SYS_TRANS_HALF_TOPIC", "RMQ_SYS_TRACE_TOPIC",
		"RMQ_SYS_TRANS_OP_HALF_TOPIC", "TRANS_CHECK_MAX_TIME_TOPIC", "SELF_TEST_TOPIC", "OFFSET_MOVED_EVENT"} {
		all = append(all, beyond{name: "system topic " + system, fields: at(system)})
	}
	return all
}

// Properties that a broker of the cluster holdfast adds to each message. 5.5.0 adds a UNIQ_KEY, too, where there is none.
const (
	addedBy5  = "MSG_REGION\x01DefaultRegion\x02TRACE_ON\x01true\x02CLUSTER\x01holdfast\x02"
	addedBy4  = "CLUSTER\x01holdfast" // the last separator is left out
	uniqueKey = "UNIQ_KEY\x017F000001162418B4AAC2088D7A5A0001\x02"
)

// batchOf is a batch of one message.
func batchOf(body, properties string) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(22+len(body)+len(properties)))
	b = binary.BigEndian.AppendUint32(b, 0)
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE([]byte(body))&0x7FFFFFFF)
	b = binary.BigEndian.AppendUint32(b, 0)
	b = append(binary.BigEndian.AppendUint32(b, uint32(len(body))), body...)
	return append(binary.BigEndian.AppendUint16(b, uint16(len(properties))), properties...)
}

// TestLimits sends what is beyond the limits, in frames of its own, and compares code and remark with those of Apache's 5.5.0 and 4.9.7.
func TestLimits(t *testing.T) {
	systems := map[string]string{"rocketmq-5": "reference", "rocketmq-4.9": "reference:rocketmq-4.9"}
	if *recordFlag {
		systems = map[string]string{prepared(t, *systemFlag).Profile: *systemFlag}
	} else if *systemFlag != "reference" {
		t.Skip("the reference broker has both profiles; others are recorded")
	}
	want := loadLimits(t)
	for _, profile := range slices.Sorted(maps.Keys(systems)) {
		t.Run(profile, func(t *testing.T) {
			got := answersTo(t, startBrokers(t, systems[profile], 1, []cluster.Topic{{Name: limitsTopic, Queues: 4}}))
			if *recordFlag {
				want[profile] = got
				if err := os.WriteFile(limitsGolden, jsonOf(t, want), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if len(want[profile]) != len(got) {
				t.Errorf("%d cases in %s, %d here", len(want[profile]), limitsGolden, len(got))
			}
			for _, l := range limits() {
				if !alike(got[l.name], want[profile][l.name]) {
					t.Errorf("%s:\n  answered         %s\n  by Apache's own  %s", l.name, got[l.name], want[profile][l.name])
				}
			}
		})
	}
}

func loadLimits(t *testing.T) map[string]map[string]string {
	t.Helper()
	all := map[string]map[string]string{}
	text, err := os.ReadFile(limitsGolden)
	switch {
	case *recordFlag && errors.Is(err, fs.ErrNotExist):
		return all
	case err == nil:
		err = json.Unmarshal(text, &all)
	}
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// answersTo returns code and remark by case.
func answersTo(t *testing.T, w *world) map[string]string {
	t.Helper()
	conn, err := net.Dial("tcp", w.group.Master().Addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	all := map[string]string{}
	for i, l := range limits() {
		f := &frame{Code: 10, Language: "JAVA", Version: 401, Opaque: int32(i + 1), body: []byte("hello"), ExtFields: map[string]string{
			"producerGroup": "limits", "topic": limitsTopic, "defaultTopic": "TBW102", "defaultTopicQueueNums": "4", "queueId": "0", "sysFlag": "0",
			"bornTimestamp": "1700000000000", "flag": "0", "properties": "", "reconsumeTimes": "0", "unitMode": "false", "maxReconsumeTimes": "16", "batch": "false",
		}}
		maps.Copy(f.ExtFields, l.fields)
		switch l.code {
		case 0:
		case 324:
			f.Code = l.code
		default:
			f.Code, f.ExtFields = l.code, shortNames(f.ExtFields)
		}
		if l.body != nil {
			f.body = l.body
		}
		_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
		if err := f.write(conn); err != nil {
			t.Fatalf("%s: %v", l.name, err)
		}
		answer, err := readFrame(conn)
		if err != nil {
			t.Fatalf("%s: no answer: %v", l.name, err)
		}
		if answer.Opaque != f.Opaque {
			t.Fatalf("%s: answer %d to request %d", l.name, answer.Opaque, f.Opaque)
		}
		all[l.name] = strings.TrimSpace(fmt.Sprint(answer.Code, " ", comparableRemark(answer.Remark)))
	}
	return all
}

// shortNames returns the header of SEND_MESSAGE as that of SEND_BATCH_MESSAGE.
func shortNames(fields map[string]string) map[string]string {
	short := map[string]string{}
	for i, name := range []string{"producerGroup", "topic", "defaultTopic", "defaultTopicQueueNums", "queueId", "sysFlag", "bornTimestamp", "flag", "properties",
		"reconsumeTimes", "unitMode", "maxReconsumeTimes", "batch"} {
		short[string(rune('a'+i))] = fields[name]
	}
	return short
}

var (
	ownPort   = regexp.MustCompile(`127\.0\.0\.1:\d+`)
	exception = regexp.MustCompile(`^(\d+) java\.`)
)

// comparableRemark is what a remark says, without the port of the sender and what Java says below the first line.
func comparableRemark(remark string) string {
	line, _, _ := strings.Cut(remark, "\n")
	return ownPort.ReplaceAllString(line, "127.0.0.1:PORT")
}

// alike compares answers. Where Apache's broker fails by an exception of Java, only the code can be the same.
func alike(got, want string) bool {
	if m := exception.FindStringSubmatch(want); m != nil {
		code, remark, _ := strings.Cut(got, " ")
		return code == m[1] && remark != ""
	}
	return got == want
}
