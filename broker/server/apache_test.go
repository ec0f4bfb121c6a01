package server

import (
	"archive/zip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"holdfast/broker/durability"
	"holdfast/broker/message"
	"holdfast/broker/remoting"
	"holdfast/broker/store"
	"holdfast/broker/vfs"
)

// servedByApache is what Apache's broker served from a store before it ended.
type servedByApache struct {
	Queues map[string]struct { // by "topic/queueID"
		Records int
		SHA256  string // of the records' bytes
	}
	Keys   []string // each of one message, of Orders if it begins with r, else of Payments
	Offset int64    // committed by the group fidelity for queue 1 of Orders
}

// apacheBroker is the configuration of the reference broker over a store that Apache's broker has written.
func apacheBroker(t *testing.T, version, end string) (Config, servedByApache) {
	t.Helper()
	z, err := zip.OpenReader("../store/testdata/rocketmq-" + version + "-" + end + ".zip")
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	profile := durability.RocketMQ5
	if version < "5" {
		profile = durability.RocketMQ4
	}
	cfg := DefaultConfig(profile)
	cfg.StoreDir = t.TempDir()
	cfg.Store.MaxHashSlots, cfg.Store.MaxIndexes = 1000, 500
	cfg.Node.Retention.Hours, cfg.Node.Retention.UsedPercent, cfg.Node.Retention.ForcePercent, cfg.Node.Retention.FullPercent = 0, 100, 100, 100
	if err := os.CopyFS(cfg.StoreDir, z); err != nil {
		t.Fatal(err)
	}
	var was servedByApache
	text, err := os.ReadFile(filepath.Join(cfg.StoreDir, "served.json"))
	if err == nil {
		err = json.Unmarshal(text, &was)
	}
	if err != nil {
		t.Fatal(err)
	}
	return cfg, was
}

// queueRecords pulls a queue to its end.
func (c *client) queueRecords(topic string, queueID int32) (records [][]byte) {
	c.t.Helper()
	for {
		h := remoting.PullHeader{ConsumerGroup: []byte("reader"), Topic: []byte(topic), QueueID: queueID, QueueOffset: int64(len(records)), MaxMsgNums: 32,
			SysFlag: remoting.PullSubscription, Subscription: []byte("*")}
		f := c.call(remoting.RequestPullMessage, h.Append, nil)
		if f.Code != 0 {
			return records
		}
		for b := f.Body; len(b) > 0; {
			_, n, err := message.Decode(b, true)
			if err != nil {
				c.t.Fatal(err)
			}
			records, b = append(records, b[:n]), b[n:]
		}
	}
}

// wantServed checks that the broker serves what Apache's did: by queue, by physical offset and by key, and the consumer's offset.
// Delayed messages that were due since may follow.
func (c *client) wantServed(was servedByApache) {
	t := c.t
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(was.Queues)) {
		topic, id, _ := strings.Cut(name, "/")
		queueID, err := strconv.Atoi(id)
		if err != nil {
			t.Fatal(err)
		}
		records, q := c.queueRecords(topic, int32(queueID)), was.Queues[name]
		if len(records) < q.Records {
			t.Errorf("%s: %d records, Apache served %d", name, len(records), q.Records)
			continue
		}
		want(t, name, fmt.Sprintf("%x", sha256.Sum256(slices.Concat(records[:q.Records]...))), q.SHA256)
		for _, b := range records[:q.Records] {
			m, _, err := message.Decode(b, true)
			if err != nil {
				t.Fatal(err)
			}
			h := remoting.ViewMessageHeader{Topic: topic, Offset: m.PhysOffset}
			if f := c.call(remoting.RequestViewMessageByID, h.Append, nil); f.Code != 0 || string(f.Body) != string(b) {
				t.Errorf("%s: another message at %d: code %d, %s", name, m.PhysOffset, f.Code, f.Remark)
			}
		}
	}
	for _, key := range was.Keys {
		topic := "Payments"
		if key[0] == 'r' {
			topic = "Orders"
		}
		h := remoting.QueryMessageHeader{Topic: topic, Key: key, MaxNum: 32, End: 1 << 60}
		f := c.call(remoting.RequestQueryMessage, h.Append, nil)
		if r, n, err := message.Decode(f.Body, true); err != nil || n != len(f.Body) || !strings.Contains(string(r.Properties), key) {
			t.Errorf("key %s: code %d, %s, %d bytes, %v", key, f.Code, f.Remark, len(f.Body), err)
		}
	}
	h := remoting.ConsumerOffsetHeader{ConsumerGroup: []byte("fidelity"), Topic: []byte("Orders"), QueueID: 1}
	f := c.call(remoting.RequestQueryConsumerOffset, func(w *remoting.Writer) { h.Append(w, remoting.RequestQueryConsumerOffset) }, nil)
	offset, err := remoting.ParseOffsetReply(f.Ext)
	want(t, fmt.Sprint("consumer offset, ", err), offset, was.Offset)
}

// TestStoresOfApache serves stores that Apache's brokers have written, goes on with them, is restarted, and leaves what dump finds right.
func TestStoresOfApache(t *testing.T) {
	for _, version := range []string{"5.5.0", "4.9.7"} {
		for _, end := range []string{"closed", "killed"} {
			t.Run(version+" "+end, func(t *testing.T) {
				t.Parallel()
				cfg, was := apacheBroker(t, version, end)
				s := mustStart(t, cfg)
				c := dial(t, s.Addr())
				c.wantServed(was)
				code, r := c.send("Orders", 1, "ours")
				want(t, "code", code, 0)
				want(t, "queue offset", r.QueueOffset, int64(was.Queues["Orders/1"].Records))
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				s = mustStart(t, cfg)
				c = dial(t, s.Addr())
				c.wantServed(was)
				if _, _, bodies := c.pull("Orders", 1, r.QueueOffset, 0); !slices.Equal(bodies, []string{"ours"}) {
					t.Errorf("got %q behind Apache's messages", bodies)
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				if d, err := store.Dump(vfs.OS(cfg.StoreDir)); err != nil || len(d.Problems) > 0 || d.Abort || d.Unlisted > 0 || !d.Checkpoint.Clean {
					t.Errorf("dump: %+v, %v", d, err)
				}
			})
		}
	}
}

// TestConfigOfApacheHarmed: a table that is no JSON keeps the broker from starting, with the name of its file, unless RocketMQ's backup of
// it is whole; one byte of text in it is what is served.
func TestConfigOfApacheHarmed(t *testing.T) {
	for _, name := range []string{"topics.json", "subscriptionGroup.json", "consumerOffset.json", "delayOffset.json"} {
		t.Run(name, func(t *testing.T) {
			cfg, _ := apacheBroker(t, "5.5.0", "closed")
			file := filepath.Join(cfg.StoreDir, "config", name)
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			text[0] ^= 0xff
			if err := os.WriteFile(file, text, 0o644); err != nil {
				t.Fatal(err)
			}
			cfg.Listen, cfg.Log = "127.0.0.1:0", testLog(t)
			s, err := Start(t.Context(), cfg)
			if err == nil {
				s.Close()
			}
			if err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("start: %v", err)
			}
		})
	}
}
