package rocketmq

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"holdfast/broker/remoting"
	"holdfast/loadgen"
	"holdfast/loadgen/driver"
)

// systemAt returns the system whose name server and broker is b.
func systemAt(t *testing.T, b *fakeBroker, form remoting.Form) *System {
	t.Helper()
	s, err := New(Config{
		NameServers: []string{b.address()}, Groups: []string{"a"}, Nodes: map[string]string{b.address(): "a-0"}, Form: form, RunID: 9,
		DialBackoff: 5 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// until waits for cond, which other goroutines make true.
func until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for !cond() {
		if time.Now().After(deadline) {
			t.Fatalf("not within 5s: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// TestLoadOverSockets runs a closed loop over several connections and threads, with replies torn into small pieces, and
// then compares what was acknowledged with what the broker holds, by complete reads.
func TestLoadOverSockets(t *testing.T) {
	for _, form := range []remoting.Form{remoting.JSON, remoting.Binary} {
		b := newFake(t, "127.0.0.1:0")
		b.set(func() { b.chunk = 37 })
		s := systemAt(t, b, form)
		load, err := loadgen.Start(t.Context(), loadgen.Config{
			System: s, Topic: "T", Queues: 4, Connections: 3, Outstanding: 5, Threads: 2, Body: loadgen.BodyBytes{Min: 24, Max: 500}, FirstValue: 100,
		})
		if err != nil {
			t.Fatal(err)
		}
		until(t, "300 acknowledged", func() bool { return load.Snapshot().AckedTotal >= 300 })
		sum := load.Stop()
		if sum.Err != nil || sum.Failed != 0 || sum.Unknown != 0 || sum.Sent != sum.Acked["SEND_OK"] || sum.Sent < 300 {
			t.Fatalf("%v: got %+v", form, sum)
		}
		values := map[uint64]bool{}
		for q := range int32(4) {
			name := s.QueueName("T", 4, q)
			read, err := s.Admin().ReadReplica(t.Context(), "a-0", name, 0)
			if err != nil {
				t.Fatal(err)
			}
			end, err := s.Admin().MaxOffset(t.Context(), "a-0", name)
			if err != nil || end != read.End || len(read.Msgs) != int(end) {
				t.Fatalf("%s: %d messages to %d, MaxOffset %d, %v", name, len(read.Msgs), read.End, end, err)
			}
			for i, m := range read.Msgs {
				if m.Corrupt || m.Offset != int64(i) || values[m.Value] {
					t.Fatalf("%s: message %d is %+v", name, i, m)
				}
				values[m.Value] = true
			}
		}
		if int64(len(values)) != sum.Sent || !values[100] || values[99] {
			t.Errorf("%v: the broker holds %d values, %d were acknowledged", form, len(values), sum.Sent)
		}
	}
}

// TestLargeBatch is more than the kernel takes at once: what it did not take must follow, in order and once.
func TestLargeBatch(t *testing.T) {
	b := newFake(t, "127.0.0.1:0")
	s := systemAt(t, b, remoting.Binary)
	const slots, size = 120, 200_000
	p, env, err := s.Producer(t.Context(), driver.ProducerConfig{Topic: "T", Queues: 4, Slots: slots})
	if err != nil {
		t.Fatal(err)
	}
	for i := range uint32(slots) {
		m := driver.Message{Value: uint64(i), Queue: driver.AnyQueue, Body: driver.EncodeBody(nil, 9, uint64(i), size)}
		if err := p.Send(i, &m); err != nil {
			t.Fatal(err)
		}
	}
	buf := make([]driver.Completion, slots)
	for done := 0; done < slots; {
		n := env.Wait(env.Now()+5*time.Second, buf)
		if n == 0 {
			t.Fatalf("only %d of %d acknowledged", done, slots)
		}
		for _, c := range buf[:n] {
			if c.Kind != driver.OK || int(c.Queue) != int(c.Slot)%4 || c.Offset != int64(c.Slot)/4 {
				t.Fatalf("got %+v", c)
			}
		}
		done += n
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	read, err := s.Admin().ReadReplica(t.Context(), "a-0", "a/T/3", 0)
	if err != nil || len(read.Msgs) != slots/4 || read.Msgs[7].Value != 31 || read.Msgs[7].Corrupt {
		t.Errorf("got %d messages, %v", len(read.Msgs), err)
	}
}

// TestConsumer reads what was sent, and commits.
func TestConsumer(t *testing.T) {
	b := newFake(t, "127.0.0.1:0")
	s := systemAt(t, b, remoting.JSON)
	load, err := loadgen.Start(t.Context(), loadgen.Config{System: s, Topic: "T", Queues: 4, Body: loadgen.BodyBytes{Min: 24, Max: 100}})
	if err != nil {
		t.Fatal(err)
	}
	consumption, err := loadgen.Consume(t.Context(), loadgen.ConsumeConfig{System: s, Topic: "T", Queues: 4, Group: "g", Hold: time.Millisecond, Pause: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	until(t, "100 acknowledged", func() bool { return load.Snapshot().AckedTotal >= 100 })
	sent := load.Stop().Sent
	until(t, "everything consumed", func() bool { return consumption.Snapshot().Delivered == sent })
	if got, err := consumption.Stop(); err != nil || got.Corrupt != 0 || got.Failed != 0 {
		t.Errorf("got %+v, %v", got, err)
	}
}

// TestConnectionLost: what had left is unknown, the driver connects again by itself, and later sends succeed.
func TestConnectionLost(t *testing.T) {
	b := newFake(t, "127.0.0.1:0")
	b.set(func() {
		b.answer = func(n int, _ *remoting.Frame) verdict {
			if n == 20 {
				return hangUp
			}
			return ack
		}
	})
	load, err := loadgen.Start(t.Context(), loadgen.Config{
		System: systemAt(t, b, remoting.Binary), Topic: "T", Queues: 1, Outstanding: 4, Body: loadgen.BodyBytes{Min: 24, Max: 24}, FailPause: time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	until(t, "acknowledged after the loss", func() bool { return load.Snapshot().AckedTotal >= 100 })
	sum := load.Stop()
	if sum.Unknown < 1 || sum.Unknown > 4 || sum.Sent != sum.Unknown+sum.Failed+sum.Acked["SEND_OK"] {
		t.Errorf("got %+v, want one to four unknown", sum)
	}
}

// TestBrokerGoneAndBack: while there is no broker, sends fail for certain; one on the same port is found again.
func TestBrokerGoneAndBack(t *testing.T) {
	b := newFake(t, "127.0.0.1:0")
	address := b.address()
	load, err := loadgen.Start(t.Context(), loadgen.Config{
		System: systemAt(t, b, remoting.Binary), Topic: "T", Queues: 1, Rate: 2000, Body: loadgen.BodyBytes{Min: 24, Max: 24},
	})
	if err != nil {
		t.Fatal(err)
	}
	until(t, "acknowledged at first", func() bool { return load.Snapshot().AckedTotal > 0 })
	b.close()
	until(t, "failures", func() bool { return load.Snapshot().Failed > 20 })
	before := load.Snapshot().AckedTotal
	newFake(t, address)
	until(t, "acknowledged again", func() bool { return load.Snapshot().AckedTotal > before+20 })
	if sum := load.Stop(); sum.Sent != sum.Unknown+sum.Failed+sum.Acked["SEND_OK"] {
		t.Errorf("got %+v", sum)
	}
}

// TestTimeoutIsUnknown: no answer within the client's timeout.
func TestTimeoutIsUnknown(t *testing.T) {
	b := newFake(t, "127.0.0.1:0")
	b.set(func() { b.answer = func(int, *remoting.Frame) verdict { return ignore } })
	p, env, err := systemAt(t, b, remoting.JSON).Producer(t.Context(), driver.ProducerConfig{Topic: "T", Queues: 1, Slots: 2, Timeout: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Send(1, &driver.Message{Body: make([]byte, 10)}); err != nil {
		t.Fatal(err)
	}
	var buf [2]driver.Completion
	start := env.Now()
	n := env.Wait(start+5*time.Second, buf[:])
	took := env.Now() - start
	if n != 1 || buf[0].Kind != driver.Info || !errors.Is(buf[0].Err, driver.ErrTimeout) || buf[0].Slot != 1 || buf[0].Node != "a-0" {
		t.Errorf("got %d: %+v", n, buf[0])
	}
	if took < 15*time.Millisecond || took > time.Second {
		t.Errorf("after %v, want 20ms", took)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

// TestRefusalIsFail: a code that certainly did not store.
func TestRefusalIsFail(t *testing.T) {
	b := newFake(t, "127.0.0.1:0")
	b.set(func() { b.answer = func(int, *remoting.Frame) verdict { return refuse } })
	p, env, err := systemAt(t, b, remoting.JSON).Producer(t.Context(), driver.ProducerConfig{Topic: "T", Queues: 1, Slots: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Send(0, &driver.Message{Body: make([]byte, 10)}); err != nil {
		t.Fatal(err)
	}
	var buf [1]driver.Completion
	if n := env.Wait(env.Now()+5*time.Second, buf[:]); n != 1 || buf[0].Kind != driver.Fail || buf[0].Err.Error() != "SYSTEM_BUSY [REJECTREQUEST]" {
		t.Errorf("got %d: %+v", n, buf[0])
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

// TestProducerWithoutBroker ends with its context, not before and not with a producer.
func TestProducerWithoutBroker(t *testing.T) {
	b := newFake(t, "127.0.0.1:0")
	b.close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if _, _, err := systemAt(t, b, remoting.JSON).Producer(ctx, driver.ProducerConfig{Topic: "T", Queues: 1, Slots: 1}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// TestReadReplicaFromWhatIsKept: what retention removed is not read, and said to be.
func TestReadReplicaFromWhatIsKept(t *testing.T) {
	b := newFake(t, "127.0.0.1:0")
	s := systemAt(t, b, remoting.JSON)
	load, err := loadgen.Start(t.Context(), loadgen.Config{System: s, Topic: "T", Queues: 1, Body: loadgen.BodyBytes{Min: 24, Max: 24}})
	if err != nil {
		t.Fatal(err)
	}
	until(t, "20 acknowledged", func() bool { return load.Snapshot().AckedTotal >= 20 })
	sum := load.Stop()
	b.set(func() { b.first = 5 })
	read, err := s.Admin().ReadReplica(t.Context(), "a-0", "a/T/0", 0)
	if err != nil || read.First != 5 || read.End != sum.Sent || len(read.Msgs) != int(sum.Sent)-5 {
		t.Errorf("got %d messages of [%d, %d), %v", len(read.Msgs), read.First, read.End, err)
	}
	if _, err := s.Admin().ReadReplica(t.Context(), "a-0", "nonsense", 0); err == nil {
		t.Error("a queue without group and number was read")
	}
	if _, err := s.Admin().ReadReplica(t.Context(), "127.0.0.1:1", "a/T/0", 0); !errors.Is(err, driver.ErrUnavailable) {
		t.Errorf("a node that is not there: got %v", err)
	}
}

func TestCreateTopic(t *testing.T) {
	b := newFake(t, "127.0.0.1:0")
	s := systemAt(t, b, remoting.JSON)
	if err := s.Admin().CreateTopic(t.Context(), "T", 4); err != nil {
		t.Fatal(err)
	}
	b.set(func() {
		if !slices.Equal(b.topics, []string{"T"}) {
			t.Errorf("got %v", b.topics)
		}
	})
	if node, err := s.Admin().Master(t.Context(), "T", "a"); node != "a-0" || err != nil {
		t.Errorf("master: got %q, %v", node, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := s.Admin().CreateTopic(ctx, "U", 5); err == nil {
		t.Error("the route gives 4 queues; 5 were taken as created")
	}
}

func TestQueueName(t *testing.T) {
	s, err := New(Config{NameServers: []string{"n:1"}, Groups: []string{"a", "b"}})
	if err != nil {
		t.Fatal(err)
	}
	for queue, want := range map[int32]string{0: "a/T/0", 3: "a/T/3", 4: "b/T/0", 7: "b/T/3"} {
		if got := s.QueueName("T", 8, queue); got != want {
			t.Errorf("queue %d: got %s, want %s", queue, got, want)
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	for _, cfg := range []Config{{}, {NameServers: []string{"n:1"}}, {NameServers: []string{"n:1"}, Groups: []string{""}}, {NameServers: []string{"n:1"}, Groups: []string{"a"}, DialBackoff: -1}} {
		if _, err := New(cfg); !errors.Is(err, ErrConfig) {
			t.Errorf("%+v: got %v", cfg, err)
		}
	}
}
