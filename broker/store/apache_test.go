package store

import (
	"archive/zip"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"holdfast/broker/message"
	"holdfast/broker/vfs"
)

// apacheStores were written by Apache's own brokers, ended in order or by kill -9. TestRecordStores of scenarios/cluster writes them anew.
var apacheStores = []string{"rocketmq-5.5.0-closed", "rocketmq-5.5.0-killed", "rocketmq-4.9.7-closed", "rocketmq-4.9.7-killed"}

// apacheConfig has the sizes of index files that those brokers were told; the others come from the files.
var apacheConfig = Config{ChunkBytes: 1024, MaxHashSlots: 1000, MaxIndexes: 500, IndexTags: true}

// served is what Apache's broker served from the store before it ended.
type served struct {
	Queues map[string]struct { // by "topic/queueID"
		Records int
		SHA256  string // of the records' bytes
	}
	Keys   []string // each of one message, of Orders if it begins with r, else of Payments
	Offset int64    // committed by the group fidelity for queue 1 of Orders
}

// apacheStore unpacks a store.
func apacheStore(t testing.TB, name string) (*vfs.Mem, served) {
	t.Helper()
	z, err := zip.OpenReader("testdata/" + name + ".zip")
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	mem, was := vfs.NewMem(), served{}
	for _, entry := range z.File {
		r, err := entry.Open()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err == nil && entry.Name == "served.json" {
			err = json.Unmarshal(b, &was)
		} else if err == nil {
			if err = mem.MkdirAll(path.Dir(entry.Name)); err == nil {
				err = vfs.WriteFile(mem, entry.Name, b)
			}
		}
		if err != nil {
			t.Fatalf("%s of %s: %v", entry.Name, name, err)
		}
	}
	return mem, was
}

// records returns the records of a queue as consumers get them, checked.
func records(t testing.TB, s *Store, name string) (list [][]byte) {
	t.Helper()
	topic, id, _ := strings.Cut(name, "/")
	q := mustQueue(t, s, topic, int32(number(id)))
	for from := q.Min(); from < q.Next(); {
		ranges, found := s.Lookup(q, from, Want{Count: 32, Bytes: 1 << 20, Limit: s.Marks().Written}, nil)
		if found.Load != nil {
			found.Load.Run()
			if err := s.Loaded(found.Load); err != nil {
				t.Fatal(err)
			}
			continue
		}
		var b []byte
		for _, r := range ranges {
			var err error
			if b, err = r.AppendTo(b); err != nil {
				t.Fatal(err)
			}
		}
		for len(b) > 0 {
			m, n, err := message.Decode(b, true)
			if err != nil || string(m.Topic) != topic || m.QueueID != q.id || m.QueueOffset != q.Min()+int64(len(list)) {
				t.Fatalf("%s, message %d: %+v, %v", name, len(list), m, err)
			}
			list, b = append(list, b[:n]), b[n:]
		}
		from = found.Next
	}
	return list
}

// wantServed checks that the store serves what Apache's broker did: every record byte for byte, each by its physical offset too, and each key.
func wantServed(t testing.TB, s *Store, was served) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(was.Queues)) {
		list, want := records(t, s, name), was.Queues[name]
		if got := fmt.Sprintf("%x", sha256.Sum256(slices.Concat(list...))); len(list) != want.Records || got != want.SHA256 {
			t.Errorf("%s: %d records with SHA-256 %s; Apache served %d with %s", name, len(list), got, want.Records, want.SHA256)
		}
		for _, b := range list {
			m, _, err := message.Decode(b, true)
			if err != nil {
				t.Fatal(err)
			}
			if got := byOffset(t, s, m.PhysOffset); string(got) != string(b) {
				t.Errorf("%s: another record at %d", name, m.PhysOffset)
			}
		}
	}
	missed := slices.DeleteFunc(slices.Clone(was.Keys), func(key string) bool { return found(t, s, topicOf(key), key) == 1 })
	if len(missed) > 0 {
		t.Errorf("%d of %d keys are not found: %q", len(missed), len(was.Keys), missed[:min(5, len(missed))])
	}
}

func topicOf(key string) string {
	if strings.HasPrefix(key, "r") {
		return "Orders"
	}
	return "Payments"
}

func found(t testing.TB, s *Store, topic, key string) int {
	t.Helper()
	j := s.Query(Query{Topic: topic, Key: key, Max: 64, End: 1 << 60, Limit: 1 << 60, Bytes: 1 << 20})
	if err := j.Run(); err != nil {
		t.Fatal(err)
	}
	return j.Matches().Count
}

func byOffset(t testing.TB, s *Store, phys int64) []byte {
	t.Helper()
	b, j, err := s.Record(phys, s.Marks().Written)
	if err == nil && j != nil {
		err = j.Run()
		b = j.Record()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestApacheStores opens stores that Apache's brokers have written, serves all that they served, goes on with them and closes them.
func TestApacheStores(t *testing.T) {
	for _, name := range apacheStores {
		t.Run(name, func(t *testing.T) {
			mem, was := apacheStore(t, name)
			d, err := Dump(mem)
			if err != nil || len(d.Problems) > 0 || d.CommitLog.Records < 500 || d.CommitLog.Files < 4 || len(d.Index) < 3 || d.Checkpoint.Ours ||
				d.Abort != strings.HasSuffix(name, "killed") {
				t.Errorf("dump: %+v, %v", d, err)
			}
			s, r := mustOpen(t, mem, apacheConfig)
			if r.End != d.CommitLog.End || r.Cut != nil || r.Clean {
				t.Errorf("recovery: %v; the log ends at %d", r, d.CommitLog.End)
			}
			wantServed(t, s, was)
			b := record("Orders", 1, []byte("ours"), "KEYS\x01r-ours\x02")
			if _, o, err := s.Append(mustQueue(t, s, "Orders", 1), b, 1, d.CommitLog.LastTime); err != nil || o != int64(was.Queues["Orders/1"].Records) {
				t.Errorf("append: queue offset %d, %v", o, err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if after := wantKeys(t, mem, "closed"); after.CommitLog.Records != d.CommitLog.Records+1 {
				t.Errorf("%d records, then %d", d.CommitLog.Records, after.CommitLog.Records)
			}
			s, r = mustOpen(t, mem, apacheConfig)
			list := records(t, s, "Orders/1")
			if last := list[len(list)-1]; !r.Clean || r.Scanned > 0 || string(last) != string(byOffset(t, s, d.CommitLog.End)) || found(t, s, "Orders", "r-ours") != 1 {
				t.Errorf("opened again: %v, last record %q", r, last)
			}
			was.Queues = maps.Clone(was.Queues)
			delete(was.Queues, "Orders/1")
			wantServed(t, s, was)
		})
	}
}

// TestApacheStoreExpired: RocketMQ has removed the first files of the log, and of the queues none yet; the last units of one were not flushed.
func TestApacheStoreExpired(t *testing.T) {
	mem, was := apacheStore(t, "rocketmq-5.5.0-killed")
	for _, base := range []int64{0, 131072} {
		if err := mem.Remove(logName(base)); err != nil {
			t.Fatal(err)
		}
	}
	if err := mem.Remove("consumequeue/Orders/0/00000000000000002000"); err != nil {
		t.Fatal(err)
	}
	d, err := Dump(mem)
	if err != nil || len(d.Problems) > 0 || d.CommitLog.Min != 262144 || d.Queues[0].Unindexed != int64(was.Queues["Orders/0"].Records)-100 {
		t.Errorf("dump: %+v, %v", d, err)
	}
	s, r := mustOpen(t, mem, apacheConfig)
	if r.Min != 262144 || r.Cut != nil {
		t.Errorf("recovery: %v", r)
	}
	left, all := 0, 0
	for name, want := range was.Queues {
		topic, id, _ := strings.Cut(name, "/")
		q := mustQueue(t, s, topic, int32(number(id)))
		if n := len(records(t, s, name)); q.Next() != int64(want.Records) || q.Min()+int64(n) != q.Next() {
			t.Errorf("%s: queue [%d, %d) serves %d messages, Apache served %d", name, q.Min(), q.Next(), n, want.Records)
		} else {
			left, all = left+n, all+want.Records
		}
	}
	if left == 0 || left == all {
		t.Errorf("%d of %d messages are left", left, all)
	}
}

// TestApacheStoreHarmed changes one byte of one file: what can be made anew from the log is, what cannot is told.
func TestApacheStoreHarmed(t *testing.T) {
	const middle = "commitlog/00000000000000131072"
	for _, row := range []struct {
		name   string
		file   string // of the store, or a directory, of which the first
		off    int64  // of its byte; in the log from the begin of a record
		open   string // what Open says; "": it serves everything, as Apache did
		dumped string // a problem that dump tells; "": none, everybody reads that byte as it is, or nobody
	}{
		{"log: size", middle, 3, "left in the file|body of|size|magic|properties", "commit log: "},
		{"log: magic number", middle, 4, "magic", "commit log: "},
		{"log: checksum of the body", middle, 9, "checksum", "commit log: "},
		{"log: queue", middle, 15, "served", "consume queue Orders"},
		{"log: queue offset", middle, 27, "served", "consume queue Orders"},
		{"log: physical offset", middle, 35, "says that it stands at", "commit log: "},
		{"log: body", middle, 100, "checksum", "commit log: "},
		{"queue: physical offset", "consumequeue/Orders/0", 7, "", "consume queue Orders/0"},
		{"queue: size", "consumequeue/Orders/0", 11, "", "consume queue Orders/0"},
		{"queue: hash of the tag", "consumequeue/Orders/0", 19, "", "consume queue Orders/0"},
		{"queue: of delayed messages", "consumequeue/SCHEDULE_TOPIC_XXXX", 7, "", "consume queue SCHEDULE_TOPIC_XXXX"},
		{"index: header, first physical offset", "index", 23, "", "index file"},
		{"index: header, number of entries", "index", 39, "", "index file"},
		{"index: slot", "index", 40 + 3, "", "index file"},
		{"index: hash of an entry", "index", 40 + 4*1000 + 20 + 3, "", "index file"},
		{"index: physical offset of an entry", "index", 40 + 4*1000 + 20 + 11, "", "index file"},
		{"index: entry before an entry", "index", 40 + 4*1000 + 20 + 19, "", "index file"},
		{"checkpoint: physicMsgTimestamp", "checkpoint", 5, "", ""},
		{"checkpoint: logicsMsgTimestamp", "checkpoint", 13, "", ""},
		{"checkpoint: where our own slots would be", "checkpoint", 512, "", ""},
	} {
		for _, store := range []string{"rocketmq-5.5.0-closed", "rocketmq-4.9.7-killed"} {
			t.Run(row.name+" "+store, func(t *testing.T) {
				t.Parallel()
				mem, was := apacheStore(t, store)
				at := row.off
				if row.file == middle {
					at += firstOrder(t, mem)
				}
				flip(t, mem, row.file, at)
				d, err := Dump(mem)
				if told := strings.Join(d.Problems, "\n"); err != nil || row.dumped == "" && told != "" || !strings.Contains(told, row.dumped) {
					t.Errorf("dump: %q, %v; want %q", d.Problems, err, row.dumped)
				}
				cfg := apacheConfig
				s, r, err := Open(mem, cfg)
				if at < row.off+131072 && row.open != "" && row.open != "served" && strings.HasSuffix(store, "killed") { // RocketMQ would not look there any more
					if left, _ := Dump(mem); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), middle) || left.CommitLog.BehindEnd != d.CommitLog.BehindEnd {
						t.Fatalf("open: %v, %v; want the log left as it is", r, err)
					}
					cfg.CutCorrupt = true
					s, r, err = Open(mem, cfg)
				}
				if err != nil {
					t.Fatal(err)
				}
				if d, err := Dump(mem); row.open == "" && (err != nil || len(d.Problems) > 0) {
					t.Errorf("opened, dump: %+v, %v", d.Problems, err)
				}
				switch row.open {
				case "":
					wantServed(t, s, was)
				case "served": // nothing in the log speaks against it
				default:
					if r.Cut == nil || r.End != at-row.off+131072 || !slices.ContainsFunc(strings.Split(row.open, "|"), func(s string) bool { return strings.Contains(r.Cut.Reason, s) }) {
						t.Errorf("recovery: %v, %v; want %q", r, r.Cut, row.open)
					}
				}
			})
		}
	}
}

// firstOrder returns where in its file the first record of Orders in the second file of the log stands.
func firstOrder(t *testing.T, mem *vfs.Mem) int64 {
	t.Helper()
	r, err := OpenReader(mem)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	at, done := int64(0), errors.New("found")
	_, _, err = r.Log(func(phys int64, m *message.Record) error {
		if at = phys - 131072; at >= 0 && string(m.Topic) == "Orders" && len(m.Body) > 20 {
			return done
		}
		return nil
	})
	if !errors.Is(err, done) {
		t.Fatalf("no record: %v", err)
	}
	return at
}

// flip turns over the bits of one byte of a file, or of the first file in a directory.
func flip(t *testing.T, mem *vfs.Mem, name string, off int64) {
	t.Helper()
	for list, err := mem.List(name); err == nil && len(list) > 0; list, err = mem.List(name) {
		name += "/" + list[0]
	}
	f, err := mem.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b [1]byte
	if _, err := f.ReadAt(b[:], off); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 0xff
	if _, err := f.WriteAt(b[:], off); err != nil {
		t.Fatal(err)
	}
}
