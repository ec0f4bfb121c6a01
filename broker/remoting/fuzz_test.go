package remoting

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// fields makes parsers of headers alike.
func fields[T any](parse func(Ext) (T, error)) func(int32, Ext) error {
	return func(_ int32, e Ext) error {
		_, err := parse(e)
		return err
	}
}

// headers lists every parser of a header.
var headers = []func(code int32, e Ext) error{
	fields(ParseAlterSyncStateSet), fields(ParseBroker), fields(ParseBrokerHeartbeat), fields(ParseBrokerName), fields(ParseCheckTransaction),
	fields(ParseClient), fields(ParseCloneOffset), fields(ParseCluster), fields(ParseConsumeQueue), fields(ParseConsumeStats),
	fields(ParseConsumerGroup), fields(ParseConsumerStatus), fields(ParseCreateTopic), fields(ParseDeleteGroup), fields(ParseElectMaster),
	fields(ParseEndTransaction), fields(ParseGroup), fields(ParseHAInfo), fields(ParseMemberGroup), fields(ParseNode), fields(ParseOffsetReply),
	fields(ParseProducerGroup), fields(ParseQueryMessage), fields(ParseQueryMessageReply), fields(ParseRegisterBroker), fields(ParseResetOffset),
	fields(ParseSendBack), fields(ParseStats), fields(ParseSyncState), fields(ParseTimeSpan), fields(ParseTopic), fields(ParseUnregisterClient),
	fields(ParseViewMessage),
	func(_ int32, e Ext) error { ParseBrokerConsumeStats(e); return nil },
	func(_ int32, e Ext) error { ParseDataVersionReply(e); return nil },
	func(_ int32, e Ext) error { ParseRegisterBrokerReply(e); return nil },
	func(_ int32, e Ext) error { return ParsePullReply(e, new(PullReply)) },
	func(_ int32, e Ext) error { return ParseSendReply(e, new(SendReply)) },
	func(code int32, e Ext) error { return ParseConsumerOffset(code, e, new(ConsumerOffsetHeader)) },
	func(code int32, e Ext) error { return ParseQueue(code, e, new(QueueHeader)) },
	func(code int32, e Ext) error { _, err := ParseKV(code, e); return err },
	func(_ int32, e Ext) error { _, err := ParsePull(e, new(PullHeader), nil); return err },
	func(code int32, e Ext) error { _, err := ParseSend(code, e, new(SendHeader), nil); return err },
}

// FuzzFields holds every header parser against hostile fields of frames of both forms: it errs with ErrField, or not at all.
func FuzzFields(f *testing.F) {
	for _, form := range []Form{JSON, Binary} {
		f.Add(exampleSend(form, RequestSendMessageV2))
		w := Begin(nil, &Frame{Code: RequestQueryMessage, Form: form})
		(&QueryMessageHeader{Topic: "T", Key: "k", MaxNum: 1 << 30, Begin: -1, End: 1<<63 - 1}).Append(&w)
		f.Add(w.Finish(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		in, n, err := Decode(b)
		if err != nil || n == 0 {
			return
		}
		for i, parse := range headers {
			if err := parse(in.Code, in.Ext); err != nil && !errors.Is(err, ErrField) {
				t.Errorf("parser %d: %v is no ErrField", i, err)
			}
		}
	})
}

// FuzzBodies holds every body parser against hostile bytes.
func FuzzBodies(f *testing.F) {
	parsers := []func(body []byte) (any, error){parser1(ParseClientStatus), parser1(ParseCreateTopics), parser1(ParseKVConfig), parser1(ParseSubscriptionGroups)}
	for _, c := range bodies {
		parsers = append(parsers, c.parse)
	}
	for i := range parsers {
		for _, c := range bodies {
			f.Add(uint8(i), c.bytes)
		}
	}
	f.Add(uint8(1), []byte(`{"topicConfigList":[{"topicName":"T","readQueueNums":-1}]}`))
	f.Add(uint8(10), []byte(`{"brokerDatas":[{"brokerAddrs":{0:"a"}}]}`))
	f.Fuzz(func(t *testing.T, i uint8, body []byte) {
		if _, err := parsers[int(i)%len(parsers)](body); err != nil && !errors.Is(err, ErrBody) {
			t.Fatal(err)
		}
	})
}

// TestEveryParserIsFuzzed: a parser that is in neither list is not held against hostile bytes.
func TestEveryParserIsFuzzed(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var code, lists strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case !strings.HasSuffix(file, "_test.go"):
			code.Write(text)
		case file == "fuzz_test.go" || file == "body_test.go":
			lists.Write(text)
		}
	}
	parsers := regexp.MustCompile(`(?m)^func (Parse\w+)\(`).FindAllStringSubmatch(code.String(), -1)
	for _, p := range parsers {
		if !regexp.MustCompile(`\b` + p[1] + `\b`).MatchString(lists.String()) {
			t.Errorf("%s is in no list of the fuzz targets", p[1])
		}
	}
	if len(parsers) < 60 {
		t.Errorf("%d parsers were found", len(parsers))
	}
}
