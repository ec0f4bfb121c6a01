package conformance

import (
	"context"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

// goClient is Apache's Go client as a column of docs/compat.md; go.mod has its version.
const goClient = "go-2.1.2"

// goCase is one feature as the Go client uses it: at the group through relays, with a topic and a group of its own.
type goCase struct {
	*server // never started: where the relays are
	topic   string
	group   string
}

// goCases are the features that the Go client has, by the name of the feature; what they return is compared with what Apache's
// broker let the client see.
var goCases = map[string]func(*testing.T, *goCase) map[string]any{
	"send-long-names":     goSync, // the client knows no other form
	"send-sync":           goSync,
	"send-async":          goAsync,
	"send-oneway":         goOneway,
	"send-batch":          goBatch,
	"send-ordered":        goOrdered,
	"send-compressed":     goCompressed,
	"send-properties":     goProperties,
	"send-too-long":       goTooLong,
	"send-new-topic":      goNewTopic,
	"send-delay-levels":   goDelayLevels,
	"push":                goPush,
	"push-tags":           goPushTags,
	"push-from-last":      goFromLast,
	"push-from-timestamp": goFromTimestamp,
	"offsets-kept":        goOffsetsKept,
	"pull":                goPulls,
	"lite-pull-subscribe": goPolls,
	"rebalance":           goRebalance,
	"broadcast":           goBroadcast,
	"orderly":             goOrderly,
	"retry":               goRetry,
	"dead-letters":        goDeadLetters,
	"request-reply":       goRequestReply,
	"own-admin":           goOwnAdmin,
}

// TestGoClient runs Apache's Go client through the features that it has, and compares what it saw and the requests that it sent
// with those at Apache's broker. It needs no Java.
func TestGoClient(t *testing.T) {
	w := startWorld(t, *systemFlag, topics([]string{goClient}))
	at := w.seenBy(goClient)
	var mu sync.Mutex
	saw := map[string]any{}
	t.Run("feature", func(t *testing.T) {
		for i := range features {
			f := &features[i]
			run := goCases[f.name]
			if run == nil || !selected(f.name) {
				continue
			}
			t.Run(f.name, func(t *testing.T) {
				t.Parallel()
				began := time.Now()
				seen := run(t, &goCase{server: &server{namesrv: at.namesrv, broker: at.master}, topic: f.topic(goClient), group: f.group(goClient)})
				if *timings {
					t.Logf("%.1f s", time.Since(began).Seconds())
				}
				mu.Lock()
				defer mu.Unlock()
				saw[f.name] = seen
			})
		}
	})
	if t.Failed() {
		return
	}
	judge(t, sight{Saw: map[string]map[string]any{goClient: saw}, Codes: w.codes()})
}

// producer is one that sends to the queue that a message names; inQueue names it.
func (c *goCase) producer(t *testing.T, options ...producer.Option) func(...*primitive.Message) string {
	t.Helper()
	p := startProducer(t, c.server, append([]producer.Option{producer.WithQueueSelector(producer.NewManualQueueSelector())}, options...)...)
	return func(msgs ...*primitive.Message) string {
		t.Helper()
		r, err := p.SendSync(context.Background(), msgs...)
		if err != nil {
			return err.Error()
		}
		return resultOf(r)
	}
}

func (c *goCase) inQueue(queue int, text string) *primitive.Message {
	m := primitive.NewMessage(c.topic, []byte(text))
	m.Queue = &primitive.MessageQueue{Topic: c.topic, BrokerName: "a", QueueId: queue}
	return m
}

// fill sends n messages to that many queues in turn, numbered from first.
func (c *goCase) fill(t *testing.T, first, n, queues int) {
	t.Helper()
	put := c.producer(t, producer.WithInstanceName(fmt.Sprint(t.Name(), c.namesrv, "-fill-", first)))
	for i := first; i < first+n; i++ {
		if got := put(c.inQueue(i%queues, fmt.Sprintf("%03d", i))); !strings.HasPrefix(got, "SEND_OK") {
			t.Fatal(got)
		}
	}
}

// resultOf returns what a producer was told, without what differs by run.
func resultOf(r *primitive.SendResult) string {
	status := []string{"SEND_OK", "FLUSH_DISK_TIMEOUT", "FLUSH_SLAVE_TIMEOUT", "SLAVE_NOT_AVAILABLE", "unknown"}[min(int(r.Status), 4)]
	ids := strings.Split(r.OffsetMsgID, ",")
	return fmt.Sprintf("%s queue %d offset %d ids %d offset ids %d of %d transaction %s region %s trace %v", status, r.MessageQueue.QueueId, r.QueueOffset,
		len(strings.Split(r.MsgID, ",")), len(ids), len(ids[0]), isSet(r.TransactionID), r.RegionID, r.TraceOn)
}

func isSet(s string) string {
	if s == "" {
		return "absent"
	}
	return "set"
}

// told returns all of a message that does not differ by run.
func told(m *primitive.MessageExt) string {
	properties := m.GetProperties()
	for _, volatile := range []string{primitive.PropertyUniqueClientMessageIdKeyIndex, primitive.PropertyOriginMessageId, primitive.PropertyCorrelationID, primitive.PropertyMessageReplyToClient, primitive.PropertyConsumeStartTime} {
		if properties[volatile] != "" {
			properties[volatile] = "set"
		}
	}
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		if name != primitive.PropertyMaxOffset && name != primitive.PropertyMinOffset { // by the moment of the pull
			pairs = append(pairs, name+"="+properties[name])
		}
	}
	body := string(m.Body)
	if len(body) > 100 {
		body = fmt.Sprintf("%d bytes, crc %x", len(body), crc32.ChecksumIEEE(m.Body))
	}
	return fmt.Sprintf("queue %d offset %d topic %s body %s flag %d sysFlag %d reconsumed %d properties {%s}",
		m.Queue.QueueId, m.QueueOffset, m.Topic, body, m.Flag, m.SysFlag, m.ReconsumeTimes, strings.Join(pairs, ", "))
}

// holds returns what queue 0 of a topic holds once there are n messages.
func (c *goCase) holds(t *testing.T, topic string, n int) (all []string) {
	t.Helper()
	return c.holdsBy(t, startPull(t, c.server, topic), topic, n)
}

func (c *goCase) holdsBy(t *testing.T, puller rocketmq.PullConsumer, topic string, n int) (all []string) {
	t.Helper()
	until := time.Now().Add(30 * time.Second)
	for int64(len(all)) < int64(n) {
		if time.Now().After(until) {
			t.Fatalf("%s holds %d of %d messages", topic, len(all), n)
		}
		r, err := puller.PullFrom(context.Background(), &primitive.MessageQueue{Topic: topic, BrokerName: "a"}, int64(len(all)), 32)
		if err != nil || r.Status != primitive.PullFound { // the consume queue of Apache's broker comes a moment later
			time.Sleep(100 * time.Millisecond)
			continue
		}
		for _, m := range r.GetMessageExts() {
			all = append(all, told(m))
		}
	}
	return all
}

// seen returns pairs as a map.
func seen(pairs ...any) map[string]any {
	m := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i].(string)] = pairs[i+1]
	}
	return m
}

// once returns the values without those that came twice, sorted: queues that change hands may deliver again.
func once(msgs []delivery) []string { return slices.Compact(sorted(msgs)) }

// noise is what no algorithm makes shorter.
func noise(n int) string {
	var b strings.Builder
	state := uint32(1)
	for b.Len() < n {
		state = state*1664525 + 1013904223
		b.WriteString(hex.EncodeToString([]byte{byte(state >> 24), byte(state >> 16)}))
	}
	return b.String()[:n]
}
