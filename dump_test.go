package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"holdfast/broker/message"
	"holdfast/broker/store"
	"holdfast/broker/vfs"
)

// storeOf makes a store with n messages in a directory of its own, closed.
func storeOf(t *testing.T, n int) string {
	dir := t.TempDir()
	s, _, err := store.Open(vfs.OS(dir), store.Config{SegmentBytes: 4096})
	if err != nil {
		t.Fatal(err)
	}
	q, err := s.Queue("Orders", 3)
	if err != nil {
		t.Fatal(err)
	}
	for range n {
		r := message.Append(nil, &message.Record{Topic: []byte("Orders"), QueueID: 3, Body: []byte("body")})
		if _, _, err := s.Append(q, r, 1, 1_700_000_000_000); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestDump(t *testing.T) {
	dir := storeOf(t, 3)
	var out bytes.Buffer
	if err := dump(&out, dir, false); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"[0, 303): 3 records in 1 files of 4096 bytes", "2023-11-14T22:13:20.000Z", "on disk      commit log up to 303", "closed       yes\n", "Orders  3      0    3    3      3        0            yes"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in:\n%s", want, out.String())
		}
	}
	f, err := vfs.OS(dir).Open("commitlog/00000000000000000000")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte("BODY"), 101+88); err != nil {
		t.Fatal(err)
	}
	out.Reset()
	if err := dump(&out, dir, true); err != nil {
		t.Fatal(err)
	}
	var sum store.Summary
	if err := json.Unmarshal(out.Bytes(), &sum); err != nil {
		t.Fatal(err)
	}
	if l, q := sum.CommitLog, sum.Queues[0]; l.Records != 1 || l.End != 101 || l.BehindEnd != 200 || !strings.Contains(l.Bad, "checksum") || q.Units != 3 || q.Differs == "" || len(sum.Problems) != 3 {
		t.Errorf("corrupt second record: %+v", sum)
	}
}

func TestDumpOfNoStore(t *testing.T) {
	for _, dir := range []string{t.TempDir(), "/nonexistent", "dump.go"} {
		if err := dump(&bytes.Buffer{}, dir, false); err == nil || exitCode(err, false) != exitUsage || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %v", dir, err)
		}
	}
}
