package history

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// TestSIGKILLKeepsWhatWasRecorded kills a writer without warning and reads back every event that it had recorded
// before it told the outside world about it.
func TestSIGKILLKeepsWhatWasRecorded(t *testing.T) {
	if dir := os.Getenv("HOLDFAST_TEST_RECORD"); dir != "" {
		recordForever(t, dir)
		return
	}
	for _, seen := range []int{1, 3000, 40000} {
		dir := t.TempDir()
		child := exec.Command(os.Args[0], "-test.run=^TestSIGKILLKeepsWhatWasRecorded$")
		child.Env = append(os.Environ(), "HOLDFAST_TEST_RECORD="+dir)
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		last := uint64(0)
		lines := bufio.NewScanner(out)
		for n := 0; n < seen && lines.Scan(); n++ {
			if v, ok := strings.CutPrefix(lines.Text(), "sent "); ok {
				if last, err = strconv.ParseUint(v, 10, 64); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := child.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = child.Wait() // killed: always an error
		if last == 0 {
			t.Fatal("the child recorded nothing")
		}
		h, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		got := map[uint64]bool{}
		for _, s := range h.Sends {
			got[s.Value] = true
			if s.Type == OK && h.Name(s.Queue) != fmt.Sprintf("a/T/%d", s.Value%300) {
				t.Fatalf("value %d in queue %s", s.Value, h.Name(s.Queue))
			}
		}
		for v := uint64(1); v <= last; v++ {
			if !got[v] {
				t.Fatalf("value %d of %d that were announced is missing", v, last)
			}
		}
		if len(h.Cut) != 0 {
			t.Errorf("a clean cut is reported as damage: %v", h.Cut)
		}
	}
}

// recordForever records an invoke, announces it, and records its completion, in small segments so that shards grow.
func recordForever(t *testing.T, dir string) {
	r, err := Create(dir, Header{Masters: map[string]string{"a": "a-0"}}, Options{SegmentBytes: segmentAlign})
	if err != nil {
		t.Fatal(err)
	}
	var shards [2]*Shard
	for i := range shards {
		if shards[i], err = r.Shard(int32(i)); err != nil {
			t.Fatal(err)
		}
	}
	for v := uint64(1); ; v++ {
		s := shards[v%2]
		e := Event{T: r.Now(), Op: s.NextOp(), P: int32(v % 2), Value: v, Type: Invoke, F: Send, Offset: -1, From: -1, End: -1, Epoch: -1}
		e.At = e.T
		s.Record(&e)
		fmt.Printf("sent %d\n", v)
		e.T, e.Type, e.Offset = r.Now(), OK, int64(v)
		e.Queue, e.Status = r.Sym(fmt.Sprintf("a/T/%d", v%300)), r.Sym("SEND_OK")
		s.Record(&e)
	}
}
