package broker

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"holdfast/broker/durability"
	"holdfast/broker/remoting"
	"holdfast/broker/replica"
	"holdfast/broker/vfs"
)

// burst is one connection's burst of sends, decoded once: Step patches the records anew every time.
type burst struct {
	r    *rig
	ev   Event
	done Event // the end of a job

	held    []time.Duration // how long each Step took, while there is room for it
	refused int             // answers other than SEND_OK
	auxes   int             // AuxJobs that ran
}

func newBurst(t testing.TB, flush durability.FlushType, sends, bodyBytes int) *burst {
	t.Helper()
	r := newRig(t, rigConfig(durability.AsyncMaster, flush, durability.RocketMQ5, 1), vfs.OS(t.TempDir()))
	t.Cleanup(func() { r.store.Close() })
	var frames []byte
	body := string(bytes.Repeat([]byte{'x'}, bodyBytes))
	for i := range sends {
		frames = append(frames, r.sendFrame("T", int32(i%4), "UNIQ_KEY\x017F0000010000000000000000000000\x02TAGS\x01A\x02", body)...)
	}
	in := r.node.Intake("127.0.0.1:50000")
	requests, _, err := in.Decode(frames)
	if err != nil || len(requests) != sends {
		t.Fatalf("%d requests, %v", len(requests), err)
	}
	return &burst{r: r, ev: Event{Kind: KindReceived, Conn: 1, Requests: requests}}
}

// play steps the burst and all jobs that follow, and returns the number of answers.
func (b *burst) play() (answers int) {
	b.r.mono += 1000
	b.step(&b.ev, &answers)
	return answers
}

func (b *burst) step(ev *Event, answers *int) {
	out := &b.r.out
	begun := time.Now()
	b.r.node.Step(b.r.now(), ev, out)
	if len(b.held) < cap(b.held) {
		b.held = append(b.held, time.Since(begun))
	}
	*answers += len(out.Replies)
	for i := range out.Replies {
		if out.Replies[i].Code != remoting.ResponseSuccess {
			b.refused++
		}
	}
	write, sync, aux := out.Write, out.Sync, out.Aux
	if write != nil {
		b.done = Event{Kind: KindWritten, Err: write.Run()}
		b.step(&b.done, answers)
	}
	if sync != nil {
		b.done = Event{Kind: KindSynced}
		b.step(&b.done, answers)
	}
	if aux != nil {
		b.auxes++
		b.done = Event{Kind: KindAuxDone, Err: aux.Run()}
		b.step(&b.done, answers)
	}
}

// TestAPutAllocatesNothing between two jobs that bring consume queues and keys to disk, which allocate a hundred times each.
func TestAPutAllocatesNothing(t *testing.T) {
	for _, flush := range []durability.FlushType{durability.AsyncFlush, durability.SyncFlush} {
		b := newBurst(t, flush, 64, 1024)
		play := func() int {
			b.r.mono += 5 * time.Millisecond // so that what is in memory comes to disk now and then
			return b.play()
		}
		for plays := 0; b.auxes < 4 && plays < 4000; plays++ {
			play()
		}
		before := b.auxes
		if got := play(); got != 64 || b.refused > 0 || before < 4 {
			t.Fatalf("%s: %d answers of 64, %d refused, after %d jobs", flush, got, b.refused, before)
		}
		if got := testing.AllocsPerRun(20, func() { play() }); got != 0 || b.auxes != before {
			t.Errorf("%s: %v allocations for 64 puts, %d jobs beside them", flush, got, b.auxes-before)
		}
	}
}

// BenchmarkPut is how long the lock is held per put: bursts of 64, all Steps that they cause included, the jobs' own run
// not. Every put must be answered by SEND_OK: a refusal is quick. held-p99-us is of a burst's Step.
func BenchmarkPut(b *testing.B) {
	for _, size := range []int{100, 1024} {
		p := newBurst(b, durability.AsyncFlush, 64, size)
		b.Run(map[int]string{100: "100B", 1024: "1KiB"}[size], func(b *testing.B) {
			b.ReportAllocs()
			bursts := (b.N + 63) / 64
			p.held = make([]time.Duration, 0, 4*bursts)
			answers := 0
			b.ResetTimer()
			for range bursts {
				answers += p.play()
			}
			b.StopTimer()
			if answers != 64*bursts || p.refused > 0 {
				b.Fatalf("%d answers of %d puts, %d of them refusals", answers, 64*bursts, p.refused)
			}
			total := time.Duration(0)
			for _, d := range p.held {
				total += d
			}
			slices.Sort(p.held)
			b.ReportMetric(float64(total)/float64(64*bursts), "held-ns/put")
			b.ReportMetric(float64(p.held[len(p.held)*99/100])/1e3, "held-p99-us")
		})
	}
}

// BenchmarkIntake is the work outside the lock of one send: frame, header, record, checksum.
func BenchmarkIntake(b *testing.B) {
	r := newRig(b, rigConfig(durability.AsyncMaster, durability.AsyncFlush, durability.RocketMQ5, 1), nil)
	frames := bytes.Repeat(r.sendFrame("T", 1, "UNIQ_KEY\x017F0000010000000000000000000000\x02", string(make([]byte, 1024))), 64)
	in := r.node.Intake("127.0.0.1:50000")
	b.ReportAllocs()
	for i := 0; i < b.N; i += 64 {
		if _, _, err := in.Decode(frames); err != nil {
			b.Fatal(err)
		}
		in.Reset()
	}
}

// BenchmarkReply is the work outside the lock of one answer.
func BenchmarkReply(b *testing.B) {
	r := newRig(b, rigConfig(durability.AsyncMaster, durability.AsyncFlush, durability.RocketMQ5, 1), nil)
	reply := Reply{Conn: 1, Opaque: 12345, QueueID: 3, QueueOffset: 123456, PhysOffset: 1 << 33}
	reply.setUnique([]byte("7F000001162418B4AAC2088D7A5A0001"))
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf, _ = r.node.AppendReply(buf[:0], &reply)
	}
}

func TestAFullDiskRefusesAndLosesNothing(t *testing.T) {
	full := false
	fs := vfs.NewFaulty(vfs.NewMem(), func(c vfs.Call) vfs.Effect {
		if full && c.Op == vfs.OpWrite {
			return vfs.Effect{Err: vfs.ErrNoSpace}
		}
		return vfs.Effect{}
	}, nil)
	r := newRig(t, rigConfig(durability.AsyncMaster, durability.SyncFlush, durability.RocketMQ5, 1), fs)
	r.step(&Event{Kind: KindWoke})
	r.receive(1, r.sendFrame("T", 0, "", "before"))
	r.written()
	full = true
	r.receive(1, r.sendFrame("T", 0, "", "during"))
	r.written()
	r.receive(1, r.sendFrame("T", 0, "", "refused"))
	wantReply(t, "while full", r, remoting.ResponseServiceNotAvailable)
	full = false
	r.after(2 * spaceRetry)
	r.written()
	r.synced(nil)
	r.synced(nil)
	r.receive(1, r.sendFrame("T", 0, "", "after"))
	r.written()
	r.synced(nil)
	wantReply(t, "with space again", r, remoting.ResponseSuccess)
	if got := r.got[0].QueueOffset; got != 2 {
		t.Errorf("queue offset %d, want 2: before, during, after", got)
	}
}

// wantReply fails unless the last receive has got one reply, with that code.
func wantReply(t *testing.T, what string, r *rig, code int32) {
	t.Helper()
	if len(r.got) != 1 {
		t.Errorf("%s: %d replies, want 1", what, len(r.got))
		return
	}
	got := r.got[0].Code
	if raw := r.got[0].Frame; raw != nil {
		f, _, _ := remoting.Decode(raw)
		got = f.Code
	}
	if got != code {
		t.Errorf("%s: got %s, want %s", what, remoting.ResponseName(got), remoting.ResponseName(code))
	}
}

func TestLimitsAreReached(t *testing.T) {
	for _, tc := range []struct {
		what  string
		limit func(*Limits)
		do    func(*rig)
		code  int32
	}{
		{"waiters", func(l *Limits) { l.Waiters = 1 }, func(r *rig) {
			r.receive(1, r.sendFrame("T", 0, "", "a"))
			r.receive(1, r.sendFrame("T", 0, "", "b"))
		}, remoting.ResponseSystemBusy},
		{"topics", func(l *Limits) { l.Topics = 5 }, func(r *rig) { r.receive(1, r.sendFrame("T", 0, "", "a")) }, remoting.ResponseTopicNotExist},
		{"groups", func(l *Limits) { l.Groups = 0 }, func(r *rig) {
			r.receive(1, r.sendFrame("T", 0, "", "a"))
			r.receive(1, r.pullFrame("T", 0, 0, 0, "*"))
		}, remoting.ResponseSubscriptionGroupNotExist},
		{"polls", func(l *Limits) { l.Polls = 0 }, func(r *rig) {
			r.receive(1, r.sendFrame("T", 0, "", "a"))
			r.receive(1, r.pullFrame("T", 0, 0, 1e9, "*"))
		}, remoting.ResponsePullNotFound},
		{"offsets", func(l *Limits) { l.OffsetKeys = 0 }, func(r *rig) {
			r.receive(1, r.sendFrame("T", 0, "", "a"))
			r.receive(1, r.frame(remoting.RequestUpdateConsumerOffset, func(w *remoting.Writer) {
				h := remoting.ConsumerOffsetHeader{ConsumerGroup: []byte("g"), Topic: []byte("T")}
				h.Append(w, remoting.RequestUpdateConsumerOffset)
			}, nil))
		}, remoting.ResponseSystemBusy},
	} {
		cfg := rigConfig(durability.AsyncMaster, durability.AsyncFlush, durability.RocketMQ5, 1)
		tc.limit(&cfg.Limits)
		r := newRig(t, cfg, nil)
		tc.do(r)
		wantReply(t, tc.what, r, tc.code)
	}
}

func TestTopicsComeBackFromTheLog(t *testing.T) {
	fs := vfs.NewMem()
	cfg := rigConfig(durability.AsyncMaster, durability.SyncFlush, durability.RocketMQ5, 1)
	r := newRig(t, cfg, fs)
	r.receive(1, r.sendFrame("T", 3, "", "kept"))
	r.written()
	r.synced(nil)
	if err := r.store.Close(); err != nil {
		t.Fatal(err)
	}
	if err := fs.Remove(topicsFile); err != nil {
		t.Fatal(err)
	}
	again := newRig(t, cfg, fs)
	defer again.store.Close()
	again.receive(1, again.pullFrame("T", 3, 0, 0, "*"))
	wantReply(t, "pull of a topic that only the log knows", again, remoting.ResponseSuccess)
}

// TestASlaveStopsWithinARecord stops a slave to which the master has sent the front of a record only.
func TestASlaveStopsWithinARecord(t *testing.T) {
	master := newRig(t, rigConfig(durability.SyncMaster, durability.AsyncFlush, durability.RocketMQ5, 1), nil)
	master.receive(1, master.sendFrame("T", 0, "", "whole"))
	master.receive(1, master.sendFrame("T", 0, "", "cut"))
	master.written()
	master.written()
	end := master.store.Marks().Written
	log, ok := master.store.ReadRaw(0, end, int(end)-10)
	if !ok {
		t.Fatal("nothing to send")
	}
	cfg := rigConfig(durability.Slave, durability.AsyncFlush, durability.RocketMQ5, 1)
	cfg.HA.MasterAddr = "127.0.0.1:1"
	s := newRig(t, cfg, nil)
	s.step(&Event{Kind: KindWoke})
	s.slave(replica.KindConnected, 1, nil)
	chunk := binary.BigEndian.AppendUint32(make([]byte, 8), uint32(log.Len))
	s.slave(replica.KindReceived, 1, append(chunk, log.Mem...))
	s.written()
	if m := s.store.Marks(); m.Written == m.Appended || m.Written == 0 {
		t.Fatalf("the test is vacuous: %+v", m)
	}
	s.step(&Event{Kind: KindStop})
	s.synced(nil)
	if !s.out.Stopped {
		t.Errorf("not stopped: %+v", s.store.Marks())
	}
}
