package history

import (
	"bufio"
	"os"
	"path/filepath"
	"testing"
)

// generate writes a history of n sends by clients, over queues, and returns the run's directory.
func generate(tb testing.TB, n, clients, queues int) string {
	dir := tb.TempDir()
	r, err := Create(dir, Header{Contract: "ASYNC_MASTER+ASYNC_FLUSH", Nodes: []string{"a-0"}, Masters: map[string]string{"a": "a-0"}}, Options{})
	if err != nil {
		tb.Fatal(err)
	}
	ok, node := r.Sym("SEND_OK"), r.Sym("a-0")
	names := make([]Sym, queues)
	for i := range names {
		names[i] = r.Sym("a/T/" + string(rune('0'+i)))
	}
	shards := make([]*Shard, clients)
	for i := range shards {
		if shards[i], err = r.Shard(int32(i)); err != nil {
			tb.Fatal(err)
		}
	}
	offsets := make([]int64, queues)
	t := int64(0)
	ops := make([]uint64, clients)
	for i := 0; i < n; {
		batch := min(clients, n-i)
		for c := range batch {
			t += 100
			ops[c] = shards[c].NextOp()
			e := Event{T: t, At: t, Op: ops[c], P: int32(c), Value: uint64(i + c), Type: Invoke, F: Send, Offset: -1, From: -1, End: -1, Epoch: -1}
			shards[c].Record(&e)
		}
		for c := range batch {
			t += 100
			q := (i + c) % queues
			e := Event{T: t, Op: ops[c], P: int32(c), Value: uint64(i + c), Type: OK, F: Send, Queue: names[q], Status: ok, Node: node,
				Offset: offsets[q], From: -1, End: -1, Epoch: -1}
			offsets[q]++
			shards[c].Record(&e)
		}
		i += batch
	}
	log := make([]Msg, 3*batchMsgs) // large enough to be handed over
	for i := range log {
		log[i] = Msg{Offset: int64(i), Value: uint64(i)}
	}
	for _, msgs := range [][]Msg{{}, log[:1], {log[0], {Offset: 2, Value: 9, Corrupt: true}}, log, log[1:], log[2:]} {
		t += 100
		e := Event{T: t, At: t, Op: shards[0].NextOp(), Type: Invoke, F: Poll, Queue: names[0], Group: r.Sym("g"), Offset: -1, From: 0, End: -1, Epoch: -1}
		shards[0].Record(&e)
		e.T, e.Type, e.Msgs, e.End = t+50, OK, msgs, 1
		shards[0].Record(&e)
	}
	if err := r.Close(); err != nil {
		tb.Fatal(err)
	}
	return dir
}

// toLines writes the JSON Lines form of the history in dir beside it.
func toLines(tb testing.TB, dir string) string {
	path := filepath.Join(dir, "history.jsonl")
	file, err := os.Create(path)
	if err != nil {
		tb.Fatal(err)
	}
	w := bufio.NewWriterSize(file, 1<<20)
	var buf []byte
	err = Walk(dir, func(h Header) error {
		_, err := w.Write(AppendHeader(nil, h))
		return err
	}, func(name func(Sym) string, e *Event) error {
		buf = AppendLine(buf[:0], name, e)
		_, err := w.Write(buf)
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		tb.Fatal(err)
	}
	if err := file.Close(); err != nil {
		tb.Fatal(err)
	}
	return path
}

func BenchmarkOpen(b *testing.B) {
	const n = 2_000_000
	dir := generate(b, n, 64, 8)
	lines := toLines(b, dir)
	for _, c := range []struct{ name, path string }{{"binary", dir}, {"lines", lines}} {
		b.Run(c.name, func(b *testing.B) {
			for range b.N {
				h, err := Open(c.path)
				if err != nil {
					b.Fatal(err)
				}
				if len(h.Sends) != n {
					b.Fatal(len(h.Sends))
				}
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mops/s")
		})
	}
}
