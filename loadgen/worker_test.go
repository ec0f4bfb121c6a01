package loadgen

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"holdfast/checker/history"
	"holdfast/loadgen/driver"
)

// fakeSystem is a system in simulated time, and its Env: each send is answered after service, one after the other if it
// is serial, and not at all within [stallFrom, stallTo).
type fakeSystem struct {
	now                time.Duration
	service            time.Duration
	serial             bool
	stallFrom, stallTo time.Duration
	refuse             error
	answer             driver.Completion // but for slot, queue and offset
	sends              []sentMessage
	queue              []driver.Completion
	at                 []time.Duration // of queue; ascending
	sleeps             int
	onSend             func(value uint64)
}

type sentMessage struct {
	at    time.Duration
	slot  uint32
	queue int32
	value uint64
	bytes int
}

func (f *fakeSystem) Now() time.Duration { return f.now }

func (f *fakeSystem) Send(slot uint32, m *driver.Message) error {
	f.sends = append(f.sends, sentMessage{f.now, slot, m.Queue, m.Value, len(m.Body)})
	if f.onSend != nil {
		f.onSend(m.Value)
	}
	if f.refuse != nil {
		return f.refuse
	}
	begin := f.now
	if n := len(f.at); f.serial && n > 0 {
		begin = max(begin, f.at[n-1])
	}
	if begin >= f.stallFrom && begin < f.stallTo {
		begin = f.stallTo
	}
	c := f.answer
	c.Slot, c.Queue, c.Offset = slot, m.Queue, int64(len(f.sends))
	f.queue, f.at = append(f.queue, c), append(f.at, begin+f.service)
	return nil
}

func (f *fakeSystem) Close() error { return nil }

func (f *fakeSystem) Wait(until time.Duration, buf []driver.Completion) int {
	if len(f.at) == 0 || f.at[0] > until {
		f.now = max(f.now, until)
		f.sleeps++
		return 0
	}
	f.now = max(f.now, f.at[0])
	n := 0
	for n < len(buf) && n < len(f.at) && f.at[n] <= f.now {
		buf[n] = f.queue[n]
		n++
	}
	f.queue, f.at = f.queue[n:], f.at[n:]
	return n
}

// newWorker returns a worker with eight slots.
func newWorker(pacer Pacer) (*Worker, *Control) {
	control := &Control{}
	return &Worker{
		Workload: &RoundRobin{Queues: 3, Body: BodyBytes{100, 200}}, Pacer: pacer, Slots: 8, Lanes: 4,
		Rng: rand.New(rand.NewPCG(1, 1)), Timeout: 8 * time.Second, Pause: 100 * time.Millisecond,
		QueueName: func(q int32) string { return "a/T/" + string(rune('0'+q)) },
		Control:   control, Latency: NewLatency(),
	}, control
}

// limited ends a pacer after n operations.
func limited(p Pacer, n uint64) Pacer {
	return PacerFunc(func(i uint64) (time.Duration, bool) {
		at, _ := p.At(i)
		return at, i < n
	})
}

// TestCoordinatedOmission is what the intended start is for. The system answers in 1 ms but for a stall of one second;
// of 1,000 operations at 1,000 a second, the few outstanding ones alone see the stall in their service time.
func TestCoordinatedOmission(t *testing.T) {
	system := &fakeSystem{service: time.Millisecond, stallFrom: 500 * time.Millisecond, stallTo: 1500 * time.Millisecond, answer: driver.Completion{Kind: driver.OK, Status: driver.SendOK}}
	w, _ := newWorker(limited(Constant{1000}, 1000))
	if err := w.Run(system, system, nil); err != nil {
		t.Fatal(err)
	}
	response, service := w.Latency.Response, w.Latency.Service
	if got := time.Duration(service.ValueAtPercentile(90)); got > 2*time.Millisecond {
		t.Errorf("service p90: got %v, want about 1ms: a generator that waits does not see the stall", got)
	}
	if got := time.Duration(response.ValueAtPercentile(75)); got < 400*time.Millisecond {
		t.Errorf("response p75: got %v, want above 400ms: half of all operations were meant to start in the stall", got)
	}
	if got := time.Duration(response.Max()); got < time.Second || got > 1100*time.Millisecond {
		t.Errorf("response maximum: got %v, want about 1s", got)
	}
	if got := w.Latency.Late.TotalCount(); got != 1000 {
		t.Errorf("got %d operations in the lateness, want 1000", got)
	}
	if got := time.Duration(w.Latency.Late.Max()); got > time.Millisecond {
		t.Errorf("got a lateness of %v: that all slots were taken is the system's fault, not the generator's", got)
	}
}

// TestFailuresAreInTheLatency: leaving out what timed out makes the worst system look best.
func TestFailuresAreInTheLatency(t *testing.T) {
	for _, kind := range []driver.Kind{driver.Fail, driver.Info} {
		system := &fakeSystem{service: time.Millisecond, answer: driver.Completion{Kind: kind, Err: errors.New("no")}}
		w, _ := newWorker(limited(Constant{1000}, 50))
		if err := w.Run(system, system, nil); err != nil {
			t.Fatal(err)
		}
		if got := time.Duration(w.Latency.Response.Min()); w.Latency.Response.TotalCount() != 50 || got < 7990*time.Millisecond {
			t.Errorf("%v: got %d operations, the fastest %v, want 50 of at least the timeout of 8s", kind, w.Latency.Response.TotalCount(), got)
		}
	}
}

func TestOpenLoopStartsWhatIsDue(t *testing.T) {
	system := &fakeSystem{service: 100 * time.Microsecond, answer: driver.Completion{Kind: driver.OK, Status: driver.SendOK}}
	w, _ := newWorker(limited(Constant{1000}, 100))
	w.Value = 5
	if err := w.Run(system, system, nil); err != nil {
		t.Fatal(err)
	}
	for i, s := range system.sends {
		if s.at != time.Duration(i)*time.Millisecond || s.value != uint64(i)+5 || s.queue != int32(i%3) || s.bytes < 100 || s.bytes > 200 {
			t.Fatalf("operation %d: got %+v", i, s)
		}
		if i >= 8 && s.slot%4 != (system.sends[i-1].slot+1)%4 {
			t.Fatalf("operation %d: connection %d after %d: they do not take turns", i, s.slot%4, system.sends[i-1].slot%4)
		}
	}
	if len(system.sends) != 100 {
		t.Errorf("got %d sends, want 100", len(system.sends))
	}
}

// TestQuietLeavesOut what is due meanwhile, and nothing else: it is neither sent late nor counted.
func TestQuietLeavesOut(t *testing.T) {
	system := &fakeSystem{service: 100 * time.Microsecond, answer: driver.Completion{Kind: driver.OK, Status: driver.SendOK}}
	w, control := newWorker(limited(Constant{1000}, 100))
	system.onSend = func(value uint64) { control.Quiet(value == 29) }
	w.Pacer = PacerFunc(func(i uint64) (time.Duration, bool) {
		if i == 60 {
			control.Quiet(false)
		}
		at, _ := Constant{1000}.At(i)
		return at, i < 100
	})
	if err := w.Run(system, system, nil); err != nil {
		t.Fatal(err)
	}
	for i, s := range system.sends {
		want := uint64(i)
		if i >= 30 {
			want += 30
		}
		if s.value != want || s.at != time.Duration(want)*time.Millisecond {
			t.Fatalf("send %d: got %+v, want value %d when it was due", i, s, want)
		}
	}
	if len(system.sends) != 70 {
		t.Errorf("got %d sends, want 70", len(system.sends))
	}
}

// TestClosedLoopKeepsAllSlotsBusy, and stops when told, with everything that was under way known.
func TestClosedLoopKeepsAllSlotsBusy(t *testing.T) {
	system := &fakeSystem{service: time.Millisecond, answer: driver.Completion{Kind: driver.OK, Status: driver.SendOK}}
	w, control := newWorker(nil)
	stop := 100 * time.Millisecond
	env := envFunc{system, func() {
		if system.now >= stop {
			control.Stop(stop)
		}
	}}
	if err := w.Run(env, system, nil); err != nil {
		t.Fatal(err)
	}
	if n := len(system.sends); n < 8*99 || n > 8*101 {
		t.Errorf("got %d sends, want 8 in each of 100 ms", n)
	}
	if w.tally.total.ackedTotal() != int64(len(system.sends)) || len(system.queue) != 0 {
		t.Errorf("got %d acknowledged of %d", w.tally.total.ackedTotal(), len(system.sends))
	}
	if got, want := w.tally.window.ackedTotal(), w.tally.total.ackedTotal()-8; got != want {
		t.Errorf("got %d within the window, want %d: 8 came after the stop", got, want)
	}
}

// TestSecondCompletionIsNobodys: a driver that answers twice must not free a slot twice, nor count twice.
func TestSecondCompletionIsNobodys(t *testing.T) {
	system := &fakeSystem{service: time.Millisecond, answer: driver.Completion{Kind: driver.OK, Status: driver.SendOK}}
	w, _ := newWorker(limited(Constant{100}, 50))
	env := envFunc{system, func() {
		if len(system.queue) > 0 {
			system.queue, system.at = append(system.queue, system.queue[0]), append(system.at, system.at[0])
		}
	}}
	if err := w.Run(env, system, nil); err != nil {
		t.Fatal(err)
	}
	if w.tally.total.ackedTotal() != 50 || w.free.n != 8 {
		t.Errorf("got %d acknowledged of 50, %d free slots of 8", w.tally.total.ackedTotal(), w.free.n)
	}
}

// anyQueue leaves the queue to the driver.
type anyQueue struct{}

func (anyQueue) Next(*rand.Rand) Op { return Op{Queue: driver.AnyQueue, BodyBytes: 50} }

// TestUnknownQueueIsNotRecorded: where the outcome of an operation that named no queue is unknown, the history names none either.
func TestUnknownQueueIsNotRecorded(t *testing.T) {
	dir := t.TempDir()
	rec := newRecorder(t, dir)
	system := &fakeSystem{service: time.Millisecond, answer: driver.Completion{Kind: driver.OK, Status: driver.SendOK}}
	w, _ := newWorker(limited(Constant{1_000_000}, 10))
	w.Workload = anyQueue{}
	w.QueueName = func(int32) string { return "a/T/0" }
	env := envFunc{system, func() {
		for i := range system.queue {
			if system.queue[i].Queue = 0; system.queue[i].Slot%2 == 1 {
				system.queue[i].Kind, system.queue[i].Status = driver.Info, driver.NoStatus
			}
		}
	}}
	if err := w.Run(env, system, rec); err != nil {
		t.Fatal(err)
	}
	if err := rec.Close(); err != nil {
		t.Fatal(err)
	}
	for _, e := range eventsOf(t, dir) {
		if (e.Queue != 0) != (e.Type == history.OK) {
			t.Errorf("got queue %d in %+v", e.Queue, e)
		}
	}
}

// envFunc calls look before each Wait.
type envFunc struct {
	*fakeSystem
	look func()
}

func (e envFunc) Wait(until time.Duration, buf []driver.Completion) int {
	e.look()
	return e.fakeSystem.Wait(until, buf)
}

// TestClosedLoopRestsAfterFailure: a system that is gone must not be asked a million times a second.
func TestClosedLoopRestsAfterFailure(t *testing.T) {
	system := &fakeSystem{refuse: driver.ErrNotConnected}
	w, control := newWorker(nil)
	env := envFunc{system, func() {
		if system.now >= time.Second {
			control.Stop(time.Second)
		}
	}}
	if err := w.Run(env, system, nil); err != nil {
		t.Fatal(err)
	}
	if n := len(system.sends); n < 8*9 || n > 8*12 {
		t.Errorf("got %d attempts in 1 s, want one in 100 ms for each of 8 slots", n)
	}
	if system.sleeps > 200 {
		t.Errorf("got %d wake-ups in 1 s", system.sleeps)
	}
}

// TestMarkLeavesTheWarmUpOut counts and measures only what was intended to start after the mark.
func TestMarkLeavesTheWarmUpOut(t *testing.T) {
	system := &fakeSystem{service: time.Millisecond, stallFrom: 0, stallTo: 100 * time.Millisecond, answer: driver.Completion{Kind: driver.OK, Status: driver.SendOK}}
	w, control := newWorker(limited(Constant{1000}, 1000))
	marked := false
	env := envFunc{system, func() {
		if !marked && system.now >= 300*time.Millisecond {
			control.Mark(system.now)
			marked = true
		}
	}}
	if err := w.Run(env, system, nil); err != nil {
		t.Fatal(err)
	}
	if got := time.Duration(w.Latency.Response.Max()); got > 2*time.Millisecond {
		t.Errorf("got %v after the mark, want 1ms: the stall came before", got)
	}
	if n := w.tally.window.ackedTotal(); n < 690 || n > 701 {
		t.Errorf("got %d acknowledgements in the window, want about 700", n)
	}
	if n := w.tally.total.ackedTotal(); n != 1000 {
		t.Errorf("got %d acknowledgements in all, want 1000", n)
	}
}

// TestInvokeIsRecordedBeforeTheSend: what a broker has received must be in the history, whenever the harness dies.
func TestInvokeIsRecordedBeforeTheSend(t *testing.T) {
	dir := t.TempDir()
	rec := newRecorder(t, dir)
	system := &fakeSystem{service: time.Millisecond, answer: driver.Completion{Kind: driver.OK, Status: driver.SlaveNotAvailable, Node: "a-0"}}
	w, _ := newWorker(limited(Constant{1000}, 20))
	system.onSend = func(value uint64) {
		found := false
		walk(t, dir, func(e *history.Event) { found = found || e.Value == value && e.Type == history.Invoke })
		if !found {
			t.Errorf("message %d was sent, and is not in the history", value)
		}
	}
	w.Process = 4
	w.Start = time.Millisecond
	if err := w.Run(system, system, rec); err != nil {
		t.Fatal(err)
	}
	if err := rec.Close(); err != nil {
		t.Fatal(err)
	}
	open := map[uint64]history.Event{}
	invokes := 0
	for _, e := range eventsOf(t, dir) {
		if e.Type == history.Invoke {
			invokes++
			open[e.Op] = e
			continue
		}
		begin, ok := open[e.Op]
		if !ok || e.Type != history.OK || e.Value != begin.Value || e.Queue != begin.Queue || e.Offset < 0 || e.P != 4 || e.T < begin.T || e.F != history.Send {
			t.Errorf("got %+v after %+v", e, begin)
		}
		delete(open, e.Op)
	}
	if invokes != 20 || len(open) != 0 {
		t.Errorf("got %d invokes and %d without an outcome, want 20 and 0", invokes, len(open))
	}
}

// moodySystem refuses sends to some queues before they leave, and says which queue it would rather have.
type moodySystem struct {
	fakeSystem
	closed map[int32]bool
	rather map[int32]int32
}

func (m *moodySystem) Send(slot uint32, msg *driver.Message) error {
	if m.closed[msg.Queue] {
		m.refuse = driver.ErrNotConnected
		defer func() { m.refuse = nil }()
	}
	return m.fakeSystem.Send(slot, msg)
}

func (m *moodySystem) Choose(queue int32) int32 {
	if other, named := m.rather[queue]; named {
		return other
	}
	return queue
}

// TestRetryIsAnOperationOfItsOwn: what certainly failed is sent again, with its value, marked; what is unknown is not, and what fails
// too often is given up.
func TestRetryIsAnOperationOfItsOwn(t *testing.T) {
	for _, row := range []struct {
		says          string
		system        moodySystem
		sends, failed int
		retried       int
	}{
		{"queue 0 is closed, and nothing better is known", moodySystem{closed: map[int32]bool{0: true}}, 10 + 4*2, 4 * 3, 4 * 2},
		{"queue 0 is closed, and the driver knows", moodySystem{closed: map[int32]bool{0: true}, rather: map[int32]int32{0: 1}}, 10, 0, 0},
		{"unknown", moodySystem{fakeSystem: fakeSystem{answer: driver.Completion{Kind: driver.Info, Err: driver.ErrClosed}}}, 10, 0, 0},
	} {
		if row.system.answer.Kind == 0 {
			row.system.answer = driver.Completion{Kind: driver.OK, Status: driver.SendOK}
		}
		row.system.service = time.Millisecond
		dir := t.TempDir()
		rec := newRecorder(t, dir)
		w, _ := newWorker(limited(Constant{1000}, 10))
		w.Retries = 2
		if err := w.Run(&row.system, &row.system, rec); err != nil {
			t.Fatal(err)
		}
		if err := rec.Close(); err != nil {
			t.Fatal(err)
		}
		h, err := history.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		failed, retried, values := 0, 0, map[uint64]bool{}
		for _, s := range h.Sends {
			values[s.Value] = true
			if s.Type == history.Fail {
				failed++
			}
			if s.Retry {
				retried++
			}
		}
		if len(h.Sends) != row.sends || failed != row.failed || retried != row.retried || len(values) != 10 {
			t.Errorf("%s: got %d sends of %d values, %d failed, %d retries; want %d of 10, %d, %d", row.says, len(h.Sends), len(values), failed, retried, row.sends, row.failed, row.retried)
		}
	}
}
