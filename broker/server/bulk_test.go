package server

import (
	"strings"
	"testing"

	"holdfast/broker/durability"
)

// TestBulkyAnswers has answers of more than bulkBytes made of all that ranges can be: in memory, in a file one behind the other, in a
// file with another queue's between them, short ones and long ones, and in a file that the kernel does not have.
func TestBulkyAnswers(t *testing.T) {
	body := func(queue int32, i, size int) string {
		text := label("queue %d message %d ", queue, i)
		return strings.Repeat(text, size/len(text)+1)[:size]
	}
	for _, row := range []struct {
		name     string
		queues   int32
		size     func(i int) int
		inMemory bool // the store's files are
		restart  bool
	}{
		{"in memory", 1, func(i int) int { return 20_000 + 997*i }, false, false},
		{"one behind the other", 1, func(i int) int { return 20_000 + 997*i }, false, true},
		{"long ones between others", 2, func(i int) int { return 20_000 + 997*i }, false, true},
		{"short and long ones between others", 3, func(i int) int { return 9_000 + 9_000*(i%3) }, false, true},
		{"in files that the kernel has not", 2, func(i int) int { return 20_000 + 997*i }, true, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			const messages = 30
			cfg := DefaultConfig(durability.RocketMQ5)
			cfg.Node.MaxPullBytes = 4 << 20
			cfg.Store.HotBytes, cfg.Store.ChunkBytes = 64<<10, 64<<10
			if !row.restart {
				cfg.Store.HotBytes = 8 << 20
			}
			if row.inMemory {
				cfg.Store.HotBytes = 64 << 10
			} else {
				cfg.StoreDir = t.TempDir()
			}
			s := mustStart(t, cfg)
			c := dial(t, s.Addr())
			for i := range messages {
				for q := range row.queues {
					code, _ := c.send("T", q, body(q, i, row.size(i)))
					want(t, "code", code, 0)
				}
			}
			if row.restart {
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				s = mustStart(t, cfg)
				c = dial(t, s.Addr())
			}
			for q := range row.queues {
				code, r, bodies := c.pull("T", q, 0, 0)
				want(t, "code", code, 0)
				want(t, "next", r.NextBeginOffset, messages)
				want(t, "messages", len(bodies), messages)
				for i, got := range bodies {
					if got != body(q, i, row.size(i)) {
						t.Fatalf("queue %d, message %d: %.60s... of %d bytes, want %d", q, i, got, len(got), row.size(i))
					}
				}
			}
		})
	}
}
