package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"

	"holdfast/broker/message"
	"holdfast/broker/remoting"
	"holdfast/nemesis/clock"
)

// TestClockOfABrokerProcess skews the wall clock of a real broker: the store times of its messages, as a consumer sees them, must
// be off by what was set, and by what the clock says was measured. This also holds the two descriptions of the page, of the one
// who sets and of the one who reads, against each other.
func TestClockOfABrokerProcess(t *testing.T) {
	c, err := clock.Create(filepath.Join(t.TempDir(), "clock"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	broker, _ := startClocked(t, c)
	if err := broker.send("0"); err != nil { // creates the topic
		t.Fatal(err)
	}
	offset := int64(1)
	var began, begun time.Time // around the instant from which the clock drifts
	still := func(skew time.Duration) func() (low, high time.Duration) {
		return func() (low, high time.Duration) { return skew, skew }
	}
	for _, step := range []struct {
		says   string
		change func() error
		skew   func() (low, high time.Duration) // what must have come of it by now
	}{
		{"a fresh page", func() error { return nil }, still(0)},
		{"an hour ahead", func() error { return c.Jump(time.Hour) }, still(time.Hour)},
		{"a day back", func() error { return c.Jump(-24 * time.Hour) }, still(-23 * time.Hour)},
		{"at double speed", func() (err error) {
			began, err, begun = time.Now(), c.Drift(1e6), time.Now()
			return err
		}, func() (low, high time.Duration) {
			return -23*time.Hour + time.Since(begun), -23*time.Hour + time.Since(began)
		}},
		{"right again", c.Reset, still(0)},
	} {
		if err := step.change(); err != nil {
			t.Fatal(err)
		}
		before := time.Now()
		low, _ := step.skew()
		if err := broker.send(step.says); err != nil {
			t.Fatal(err)
		}
		measured := c.Skew()
		_, high := step.skew()
		after := time.Now()
		if c.Readings() == 0 {
			t.Errorf("%s: the broker did not look at its clock", step.says)
		}
		const digit = time.Millisecond // store times and measured skews are whole ones
		stored := broker.storeTime(t, offset, step.says)
		if stored.Before(before.Add(low-digit)) || stored.After(after.Add(high)) {
			t.Errorf("%s: stored at %v, want within [%v, %v]", step.says, stored, before.Add(low), after.Add(high))
		}
		if measured < low-digit || measured > high+digit {
			t.Errorf("%s: measured %v, want %v to %v", step.says, measured, low, high)
		}
		offset++
	}
}

// TestBrokerUnderAWildClock sends while the wall clock jumps back and forth by up to a day, and kills the broker in between: every
// message must be there, once and in order, and searches by time must end at an offset of the queue, however the store times run.
func TestBrokerUnderAWildClock(t *testing.T) {
	c, err := clock.Create(filepath.Join(t.TempDir(), "clock"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	store := t.TempDir()
	rng := rand.New(rand.NewPCG(1, 0))
	const lives, sends = 3, 100
	sent, backwards := int64(0), 0
	for range lives {
		broker, kill := startClocked(t, c, "--store", store)
		for range sends {
			jump := time.Duration(rng.Int64N(2*int64(24*time.Hour))) - 24*time.Hour
			if err := c.Jump(jump - c.Skew()); err != nil { // around the real time
				t.Fatal(err)
			}
			if err := broker.send(fmt.Sprint(sent)); err != nil {
				t.Fatal(err)
			}
			sent++
		}
		var last time.Time
		for i := range sent {
			at := broker.storeTime(t, i, fmt.Sprint(i))
			if at.Before(last) {
				backwards++
			}
			last = at
			if found := broker.search(t, at); found < 0 || found > sent {
				t.Errorf("search for %v: offset %d of %d", at, found, sent)
			}
		}
		kill()
	}
	if backwards < lives*sends/4 {
		t.Errorf("vacuous: the clock went back %d times", backwards)
	}
}

// clocked is a broker process that reads a clock, and a connection to it.
type clocked struct {
	conn   net.Conn
	opaque int32
}

var readyBroker = regexp.MustCompile(`broker=(\S+)`)

// startClocked starts a broker and returns when it has looked at its clock. It is killed by the returned function, or by the end of
// the test.
func startClocked(t *testing.T, c *clock.Clock, args ...string) (b *clocked, kill func()) {
	t.Helper()
	cmd := command(t, append([]string{"broker", "--standalone", "--listen", "127.0.0.1:0"}, args...)...)
	cmd.Env = append(cmd.Env, c.Env())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed
	})
	t.Cleanup(kill)
	line, err := bufio.NewReader(out).ReadString('\n')
	match := readyBroker.FindStringSubmatch(line)
	if match == nil {
		t.Fatalf("the broker said %q, %v", line, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := c.Await(ctx); err != nil { // its first event came before it was ready
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", match[1])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &clocked{conn: conn}, kill
}

// call sends a request and returns its answer.
func (c *clocked) call(code int32, header func(*remoting.Writer), body string) (remoting.Frame, error) {
	c.opaque++
	w := remoting.Begin(nil, &remoting.Frame{Code: code, Opaque: c.opaque, Version: remoting.Version, Language: remoting.Go})
	header(&w)
	if _, err := c.conn.Write(w.Finish([]byte(body))); err != nil {
		return remoting.Frame{}, err
	}
	for {
		head := make([]byte, 4)
		if _, err := io.ReadFull(c.conn, head); err != nil {
			return remoting.Frame{}, err
		}
		b := append(head, make([]byte, binary.BigEndian.Uint32(head))...)
		if _, err := io.ReadFull(c.conn, b[4:]); err != nil {
			return remoting.Frame{}, err
		}
		f, _, err := remoting.Decode(b)
		if err != nil || f.IsResponse() && f.Opaque == c.opaque {
			return f, err
		}
	}
}

// send stores a message in queue 0 of topic T.
func (c *clocked) send(body string) error {
	h := remoting.SendHeader{ProducerGroup: []byte("p"), Topic: []byte("T"), DefaultTopic: []byte("TBW102"), DefaultTopicQueueNums: 1,
		MaxReconsumeTimes: remoting.NoLimit}
	f, err := c.call(remoting.RequestSendMessageV2, func(w *remoting.Writer) { h.Append(w, remoting.RequestSendMessageV2) }, body)
	if err == nil && f.Code != remoting.ResponseSuccess {
		err = fmt.Errorf("send: %s %s", remoting.ResponseName(f.Code), f.Remark)
	}
	return err
}

// storeTime pulls the message at a queue offset, which must have that body, and returns when the broker says it was stored.
func (c *clocked) storeTime(t *testing.T, queueOffset int64, body string) time.Time {
	t.Helper()
	h := remoting.PullHeader{ConsumerGroup: []byte("g"), Topic: []byte("T"), QueueOffset: queueOffset, MaxMsgNums: 1,
		SysFlag: remoting.PullSubscription, Subscription: []byte("*")}
	f, err := c.call(remoting.RequestPullMessage, h.Append, "")
	if err != nil || f.Code != remoting.ResponseSuccess {
		t.Fatalf("pull of %d: %s %s, %v", queueOffset, remoting.ResponseName(f.Code), f.Remark, err)
	}
	r, _, err := message.Decode(f.Body, true)
	if err != nil || string(r.Body) != body {
		t.Fatalf("pull of %d: %q, %v; want %q", queueOffset, r.Body, err, body)
	}
	return time.UnixMilli(r.StoreTimestamp)
}

// search returns the offset in queue 0 of topic T that the broker finds for an instant.
func (c *clocked) search(t *testing.T, at time.Time) int64 {
	t.Helper()
	f, err := c.call(remoting.RequestSearchOffsetByTimestamp, func(w *remoting.Writer) {
		w.String("topic", "T")
		w.Int("queueId", 0)
		w.Int("timestamp", at.UnixMilli())
	}, "")
	if err != nil || f.Code != remoting.ResponseSuccess {
		t.Fatalf("search: %s %s, %v", remoting.ResponseName(f.Code), f.Remark, err)
	}
	offset, err := remoting.ParseOffsetReply(f.Ext)
	if err != nil {
		t.Fatal(err)
	}
	return offset
}
