package server

import (
	"testing"

	"holdfast/broker/durability"
	"holdfast/broker/store"
)

// TestWhoRunsASync: under ASYNC_FLUSH nobody waits for a sync, so that a reader must never spend its time on one.
func TestWhoRunsASync(t *testing.T) {
	for flush, inline := range map[durability.FlushType]bool{durability.AsyncFlush: false, durability.SyncFlush: true} {
		cfg := DefaultConfig(durability.RocketMQ5)
		cfg.Node.Choice.FlushType = flush
		s := mustStart(t, cfg)
		want(t, string(flush)+": readers sync", s.syncInline, inline)
	}
	s := newServer(Config{Log: quiet})
	c := &conn{s: s}
	job := &store.SyncJob{}
	want(t, "keeps reading", c.sync(s.newStepper(), job), true)
	select {
	case got := <-s.disk.sync:
		want(t, "job", got, job)
	default:
		t.Error("the reader ran the sync itself")
	}
}
