package cluster

import (
	"context"
	"errors"
	"testing"
	"time"

	"holdfast/reports/result"
)

// TestRocketMQElects kills the leader of a group that elects, and waits for another one without touching anything.
func TestRocketMQElects(t *testing.T) {
	for _, mode := range []string{Controller, DLedger} {
		t.Run(mode, func(t *testing.T) {
			sys := apache(t, "5.5.0")
			ctx, cancel := context.WithTimeout(t.Context(), 110*time.Second)
			defer cancel()
			brokers := map[string]int{Controller: 2, DLedger: 3}[mode]
			g, err := New(sys, result.Contract{BrokerRole: "SYNC_MASTER", FlushDiskType: "ASYNC_FLUSH", InSyncReplicas: 2},
				Options{Dir: t.TempDir(), Brokers: brokers, Mode: mode, Brief: true, Topics: []Topic{{Name: "T", Queues: 1}}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := g.Close(); err != nil {
					t.Error(err)
				}
			})
			if err := g.Start(ctx); err != nil {
				t.Fatal(err)
			}
			old := g.Master()
			began := time.Now()
			if err := old.Kill(ctx); err != nil {
				t.Fatal(err)
			}
			for {
				next, err := g.leader(ctx)
				if err == nil && next != nil && next != old {
					t.Logf("%s leads after %v, %s led before", next.Name, time.Since(began), old.Name)
					break
				}
				if ctx.Err() != nil {
					t.Fatal(errors.Join(ctx.Err(), err))
				}
				time.Sleep(pollGroup)
			}
			if err := g.StartNode(ctx, old.Name); err != nil {
				t.Fatalf("the old leader does not come back: %v", err)
			}
		})
	}
}
