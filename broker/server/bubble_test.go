package server

import (
	"context"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"holdfast/broker/durability"
	"holdfast/broker/remoting"
	"holdfast/broker/vfs"
)

// bubble starts a broker over pipes inside a synctest bubble; syncs of the commit log take syncTime.
func bubble(t *testing.T, change func(*Config), syncTime time.Duration) (*Server, func() *client) {
	t.Helper()
	cfg := DefaultConfig(durability.RocketMQ5)
	clients, slaves := newPipes(), newPipes()
	cfg.Listen, cfg.Log = "clients", quiet
	cfg.Bind = func(addr string) (net.Listener, error) {
		if addr == "clients" {
			return clients, nil
		}
		return slaves, nil
	}
	slow := func(c vfs.Call) bool { return c.Op == vfs.OpSync && strings.HasPrefix(c.Name, "commitlog/") }
	cfg.FS = vfs.NewFaulty(vfs.Locked(vfs.NewMem()), vfs.Always(slow, vfs.Effect{Delay: syncTime}), time.Sleep)
	change(&cfg)
	s, err := Start(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s, func() *client {
		ours, theirs := net.Pipe()
		clients.ch <- theirs
		return &client{t: t, nc: ours}
	}
}

// TestSlowFsyncDoesNotStallAsyncFlush lets every fsync take 50 ms while sends go on: under ASYNC_FLUSH none of them waits.
// The clock is that of the bubble: what is measured is waiting, not computing.
func TestSlowFsyncDoesNotStallAsyncFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, connect := bubble(t, func(c *Config) {
			c.Node.Choice.FlushInterval, c.Node.Choice.FlushPages = 1, 0 // due at every look
			c.Node.Choice.FlushThorough = 1
		}, 50*time.Millisecond)
		c := connect()
		worst := time.Duration(0)
		for range 300 {
			begun := time.Now()
			if code, _ := c.send("T", 0, "x"); code != 0 {
				t.Fatalf("code %d", code)
			}
			worst = max(worst, time.Since(begun))
			time.Sleep(time.Millisecond)
		}
		if worst > 0 {
			t.Errorf("a send waited %v for an fsync", worst)
		}
		f := c.call(remoting.RequestGetBrokerRuntimeInfo, nil, nil)
		table, err := remoting.ParseKVTable(f.Body)
		if err != nil || table.Get("flushTimes") < "3" || table.Get("flushTimeMeanMicros") < "50000" {
			t.Errorf("the test is vacuous: %v syncs of %v us", table.Get("flushTimes"), table.Get("flushTimeMeanMicros"))
		}
		c.nc.Close()
		s.Close()
	})
}

// TestGroupCommit has 20 clients send at once under SYNC_FLUSH: all are acknowledged by two syncs, not by twenty.
func TestGroupCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, connect := bubble(t, func(c *Config) { c.Node.Choice.FlushType = durability.SyncFlush }, 50*time.Millisecond)
		first := connect()
		first.send("T", 0, "x")
		begun, done := time.Now(), make(chan time.Duration)
		for range 20 {
			c := connect()
			go func() {
				c.send("T", 0, "x")
				c.nc.Close()
				done <- time.Since(begun)
			}()
		}
		for range 20 {
			if d := <-done; d > 100*time.Millisecond {
				t.Errorf("acknowledged after %v, two syncs take 100ms", d)
			}
		}
		first.nc.Close()
		s.Close()
	})
}

// TestFlushDiskTimeout holds an fsync for 7 s: the send is answered FLUSH_DISK_TIMEOUT at its 5 s, on the clock of the bubble.
func TestFlushDiskTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, connect := bubble(t, func(c *Config) { c.Node.Choice.FlushType = durability.SyncFlush }, 7*time.Second)
		c := connect()
		begun := time.Now()
		code, r := c.send("T", 0, "x")
		want(t, "code", code, remoting.ResponseFlushDiskTimeout)
		want(t, "offset", r.QueueOffset, 0)
		if d := time.Since(begun).Round(10 * time.Millisecond); d != 5*time.Second {
			t.Errorf("answered after %v, want 5s", d)
		}
		c.nc.Close()
		s.Close()
	})
}

// TestALongPollEndsAtItsTime parks two pulls with different patience.
func TestALongPollEndsAtItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, connect := bubble(t, func(*Config) {}, 0)
		c := connect()
		c.send("T", 0, "x")
		for _, patience := range []time.Duration{20 * time.Second, time.Second} {
			begun := time.Now()
			code, _, _ := c.pull("T", 0, 1, patience)
			want(t, "code", code, remoting.ResponsePullNotFound)
			if d := time.Since(begun).Round(10 * time.Millisecond); d != patience {
				t.Errorf("answered after %v, want %v", d, patience)
			}
		}
		c.nc.Close()
		s.Close()
	})
}

// TestASlowSyncDoesNotKeepAConnectionFromBeingRead asks for something else on the connection whose reader runs a sync of 7 s.
func TestASlowSyncDoesNotKeepAConnectionFromBeingRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, connect := bubble(t, func(c *Config) { c.Node.Choice.FlushType = durability.SyncFlush }, 7*time.Second)
		c := connect()
		for i := range 2 { // the second one meets a sync that is running
			c.write(sendFrame(nil, int32(1000+i), "T", 0, nil, []byte("x")))
			time.Sleep(time.Second)
		}
		begun := time.Now()
		f := c.call(remoting.RequestGetMinOffset, func(w *remoting.Writer) { w.String("topic", "T"); w.Int("queueId", 0) }, nil)
		want(t, "code", f.Code, 0)
		if d := time.Since(begun); d > 10*time.Millisecond {
			t.Errorf("answered after %v", d)
		}
		for i, after := range []time.Duration{3 * time.Second, 4 * time.Second} { // 5 s after each send
			f := c.read()
			want(t, "which", f.Opaque, int32(1000+i))
			want(t, "code", f.Code, remoting.ResponseFlushDiskTimeout)
			if d := time.Since(begun).Round(10 * time.Millisecond); d != after {
				t.Errorf("send %d answered after %v, want %v", i, d, after)
			}
		}
		c.nc.Close()
		s.Close()
	})
}
