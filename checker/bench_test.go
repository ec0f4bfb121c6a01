package checker_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"testing"

	"holdfast/checker"
	"holdfast/checker/history"
)

// record writes a history of n sends by clients to queues, with a poll for each 16 sends and two complete reads a queue.
func record(tb testing.TB, n, clients, queues int) string {
	tb.Helper()
	dir := tb.TempDir()
	r, err := history.Create(dir, history.Header{Contract: "ASYNC_MASTER+SYNC_FLUSH", Nodes: []string{"a-0"}, Masters: map[string]string{"a": "a-0"}}, history.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	g := generator{r: r, rng: rand.New(rand.NewPCG(1, 2)), logs: make([][]uint64, queues), ok: r.Sym("SEND_OK"), node: r.Sym("a-0"), group: r.Sym("g")}
	for i := range queues {
		g.queues = append(g.queues, r.Sym(fmt.Sprintf("a/T/%d", i)))
	}
	for c := range clients {
		s, err := r.Shard(int32(c))
		if err != nil {
			tb.Fatal(err)
		}
		g.shards = append(g.shards, s)
	}
	for g.sent < n {
		g.round(n)
	}
	g.drain()
	if err := r.Close(); err != nil {
		tb.Fatal(err)
	}
	return dir
}

type generator struct {
	r               *history.Recorder
	rng             *rand.Rand
	shards          []*history.Shard
	logs            [][]uint64
	queues          []history.Sym
	ok, node, group history.Sym
	t               int64
	sent            int
}

func (g *generator) record(s *history.Shard, e history.Event) {
	g.t += 20
	e.T, e.At = g.t, g.t
	s.Record(&e)
}

// round lets every client send once; they overlap.
func (g *generator) round(n int) {
	ops := make([]uint64, len(g.shards))
	first := g.sent
	for c, s := range g.shards {
		if g.sent < n {
			ops[c] = s.NextOp()
			g.record(s, history.Event{Op: ops[c], P: int32(c), Type: history.Invoke, F: history.Send, Value: uint64(g.sent), Offset: -1, From: -1, End: -1, Epoch: -1})
			g.sent++
		}
	}
	for c := range g.sent - first {
		q := g.rng.IntN(len(g.queues))
		v := uint64(first + c)
		g.record(g.shards[c], history.Event{Op: ops[c], P: int32(c), Type: history.OK, F: history.Send, Value: v, Queue: g.queues[q], Status: g.ok, Node: g.node,
			Offset: int64(len(g.logs[q])), From: -1, End: -1, Epoch: -1})
		g.logs[q] = append(g.logs[q], v)
		if v%16 == 15 {
			g.fetch(g.shards[c], int32(c), q, history.Poll, max(0, len(g.logs[q])-16))
		}
	}
}

// fetch answers a poll or a read of queue q.
func (g *generator) fetch(s *history.Shard, p int32, q int, f history.F, from int) {
	e := history.Event{Op: s.NextOp(), P: p, Type: history.Invoke, F: f, Queue: g.queues[q], Offset: -1, From: int64(from), End: -1, Epoch: -1}
	if f == history.Read {
		e.Node = g.node
	} else {
		e.Group = g.group
	}
	g.record(s, e)
	e.Type, e.End = history.OK, int64(len(g.logs[q]))
	e.Msgs = make([]history.Msg, 0, len(g.logs[q])-from)
	for o := from; o < len(g.logs[q]); o++ {
		e.Msgs = append(e.Msgs, history.Msg{Offset: int64(o), Value: g.logs[q][o]})
	}
	g.record(s, e)
}

func (g *generator) drain() {
	for q := range g.queues {
		for range 2 {
			g.fetch(g.shards[0], 0, q, history.Read, 0)
		}
	}
}

// BenchmarkCheck judges 10 M operations from the binary file.
func BenchmarkCheck(b *testing.B) {
	const n = 10_000_000
	for _, clients := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			path := filepath.Join(record(b, n, clients, 8), history.FileName)
			runtime.GC()
			b.ResetTimer()
			for range b.N {
				h, err := history.Open(path)
				if err != nil {
					b.Fatal(err)
				}
				read := b.Elapsed()
				r := checker.Check(h)
				if r.Verdict != checker.Kept || r.Linearizable != checker.Valid {
					b.Fatal(r.Text())
				}
				b.ReportMetric(read.Seconds()/float64(b.N), "s-reading")
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mops/s")
		})
	}
}
