package cluster

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
)

var record = flag.Bool("record", false, "with TestRecordStores: write the stores of Apache RocketMQ in broker/store/testdata anew")

// served is what Apache's broker served before it ended: beside the store in its archive, for whoever opens that.
type served struct {
	Queues map[string]servedQueue // by "topic/queueID"
	Keys   []string               // each of one message, of Orders if it begins with r, else of Payments
	Offset int64                  // that the group fidelity has committed for queue 1 of Orders
}

type servedQueue struct {
	Records int
	SHA256  string // of the records' bytes, one behind the other
}

// TestRecordStores has Apache's brokers write stores and end, in order and by kill -9, and keeps them in archives, which the tests of
// broker/store and broker/server open without Java.
func TestRecordStores(t *testing.T) {
	if !*record {
		t.Skip("writes test data: -args -record")
	}
	for _, version := range []string{"5.5.0", "4.9.7"} {
		for _, end := range []struct {
			name   string
			signal syscall.Signal
		}{{"closed", syscall.SIGTERM}, {"killed", syscall.SIGKILL}} {
			t.Run(version+" "+end.name, func(t *testing.T) {
				dir := filepath.Join(t.TempDir(), "store")
				if err := os.MkdirAll(dir, 0o755); err != nil {
					t.Fatal(err)
				}
				p := &program{name: RocketMQ, sys: apache(t, version), t: t}
				p.start(dir)
				keys := p.conn.fill(0)
				p.conn.await("delayed messages", func() bool { return count(p.conn.contents()) == perRound })
				p.conn.commit(7)
				p.conn.await("the checkpoint", func() bool { return settled(dir, 7, 5) })
				if end.signal == syscall.SIGKILL { // what comes last is in no checkpoint, and perhaps in no consume queue
					keys = append(keys, p.conn.fill(1)...)
				}
				p.conn.await("keys", func() bool { n, _ := p.conn.found(keys); return n == len(keys) })
				was := served{Queues: map[string]servedQueue{}, Keys: keys, Offset: 7}
				for name, records := range p.conn.contents() {
					was.Queues[name] = servedQueue{len(records), fmt.Sprintf("%x", sha256.Sum256(slices.Concat(records...)))}
				}
				p.end(end.signal)
				dumped(t, dir, RocketMQ, end.signal, perRound)
				archive(t, fmt.Sprintf("../../broker/store/testdata/rocketmq-%s-%s.zip", version, end.name), dir, was)
			})
		}
	}
}

// archive writes the files of a store that a broker reads, and what was served from it.
func archive(t *testing.T, name, dir string, was served) {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	text, err := json.MarshalIndent(was, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	add := func(name string, content []byte) {
		f, err := w.Create(name)
		if err == nil {
			_, err = f.Write(content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	add("served.json", text)
	for _, pattern := range []string{"abort", "checkpoint", "commitlog/*", "consumequeue/*/*/*", "index/*", "config/*.json"} {
		files, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			rel, err := filepath.Rel(dir, file)
			if err != nil {
				t.Fatal(err)
			}
			add(filepath.ToSlash(rel), content)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: %d bytes", name, b.Len())
}
