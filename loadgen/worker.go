package loadgen

import (
	"math/rand/v2"
	"time"

	"holdfast/checker/history"
	"holdfast/loadgen/driver"
)

// parkMax bounds how long a worker parks without a look at its Control.
const parkMax = 20 * time.Millisecond

// completionsMax is how many outcomes are taken at a time.
const completionsMax = 1024

// Worker sends the operations of one thread, or of one coroutine of a simulator: every operation has a preallocated
// slot, and nothing is allocated per operation. Fill the exported fields, then call Run once.
type Worker struct {
	Process  int32 // client in the history
	Workload Workload
	Pacer    Pacer         // intended starts relative to Start; nil: closed loop
	Start    time.Duration // on Env's clock: no operation starts before
	Slots    int           // operations that may be under way
	Lanes    int           // connections; slot i uses connection i mod Lanes. Default 1
	First    uint64        // index of the first operation for Pacer and value; the next is Stride higher. Default stride 1
	Stride   uint64
	Value    uint64 // value of the operation with index 0
	RunID    uint64
	Rng      *rand.Rand
	Retries  int           // further sends of a message whose send certainly failed, each an operation of its own
	Timeout  time.Duration // least latency of an operation that failed
	Pause    time.Duration // rest of a slot after a failure in a closed loop
	// QueueName gives the name of a queue number in the history; nil when nothing is recorded.
	QueueName func(queue int32) string
	Control   *Control
	Latency   *Latency

	env   driver.Env
	p     driver.Producer
	route driver.Chooser // nil: there is one queue group, or the driver does not know
	rec   *scribe
	slots []op
	free  freeSlots
	rest  []rested // ring of slots that rest, by time
	index uint64   // of the next operation
	due   time.Duration
	more  bool // there is a next operation, intended at due
	body  []byte
	// message is what goes to the producer; one of its own per send would be an allocation.
	message driver.Message
	tally   tally
	mark    time.Duration // what Control.mark said last
	stop    time.Duration // what Control.stop said last; 0: go on
	stall   time.Duration
}

// op is an operation under way.
type op struct {
	intended, sent time.Duration
	id, value      uint64
	freed          time.Duration // when the operation before it ended
	queue          int32
	bodyBytes      int
	retry          uint16
	busy           bool
}

// rested is a slot that may be used again at a time.
type rested struct {
	slot  uint32
	until time.Duration
}

// Run sends until Control says stop, or the Pacer has no more, and the last outcome is known. It parks in env.Wait only.
// The error is that of opening the shard of rec; rec may be nil.
func (w *Worker) Run(env driver.Env, p driver.Producer, rec *history.Recorder) error {
	w.env, w.p = env, p
	w.route, _ = p.(driver.Chooser)
	if rec != nil {
		var err error
		if w.rec, err = newScribe(rec, w.Process); err != nil {
			return err
		}
	}
	w.prepare()
	buf := make([]driver.Completion, min(w.Slots, completionsMax))
	now := env.Now()
	for {
		w.obey()
		w.wakeRested(now)
		batch := w.index
		until := w.sendDue(now)
		if w.index != batch {
			w.free.turn()
		}
		if w.finished() {
			return nil
		}
		until = min(until, now+parkMax)
		n := env.Wait(until, buf)
		before := now
		now = env.Now()
		w.noteStall(before, until, now, n)
		w.stop = time.Duration(w.Control.stop.Load()) // outcomes that came after it are not of the window
		for i := range buf[:n] {
			w.complete(&buf[i], now)
		}
		w.Control.publish(&w.tally)
	}
}

func (w *Worker) prepare() {
	w.Stride = orDefault(w.Stride, 1)
	w.slots = make([]op, w.Slots)
	w.free = newFreeSlots(w.Slots, orDefault(w.Lanes, 1))
	w.rest = make([]rested, 0, w.Slots)
	w.index = w.First
	w.schedule()
}

// schedule looks up when the next operation is intended.
func (w *Worker) schedule() {
	if w.Pacer == nil {
		w.due, w.more = w.Start, true
		return
	}
	at, more := w.Pacer.At(w.index)
	w.due, w.more = w.Start+at, more
}

// obey takes over what Control says.
func (w *Worker) obey() {
	w.Control.parting.obey(w.p)
	w.stop = time.Duration(w.Control.stop.Load())
	if mark := time.Duration(w.Control.mark.Load()); mark != w.mark {
		w.mark = mark
		w.stall = 0
		w.Latency.Reset()
		w.tally.window = counts{}
	}
}

// sendDue starts every operation that is due and has a slot, and returns when it wants to look again.
func (w *Worker) sendDue(now time.Duration) time.Duration {
	for w.stop == 0 && w.more && w.due <= now {
		if w.Pacer != nil && w.Control.rest.Load() {
			w.index += w.Stride
			w.schedule()
			continue
		}
		if w.free.n == 0 {
			return w.nextRested() // late operations keep their intended start
		}
		w.send(w.free.pop(), now)
		w.index += w.Stride
		w.schedule()
	}
	until := w.nextRested()
	if w.stop == 0 && w.more {
		until = min(until, w.due)
	}
	return until
}

// send starts one operation in slot. The invoke is in the history before the message goes to the producer.
func (w *Worker) send(slot uint32, now time.Duration) {
	next := w.Workload.Next(w.Rng)
	o := &w.slots[slot]
	*o = op{intended: now, sent: now, value: w.Value + w.index, queue: next.Queue, bodyBytes: next.BodyBytes, busy: true, freed: o.freed}
	if w.Pacer != nil {
		o.intended = w.due
		if o.intended >= w.mark {
			w.Latency.Sent(max(o.intended, o.freed), now)
		}
	}
	w.begin(slot, now)
}

// begin sends the message of a slot, for the first time or again.
func (w *Worker) begin(slot uint32, now time.Duration) {
	o := &w.slots[slot]
	if w.route != nil && o.queue >= 0 {
		o.queue = w.route.Choose(o.queue)
	}
	w.body = driver.EncodeBody(w.body, w.RunID, o.value, o.bodyBytes)
	if w.rec != nil {
		w.rec.invokeSend(o, w.QueueName)
	}
	w.tally.total.sent++
	w.message = driver.Message{Value: o.value, Queue: o.queue, Body: w.body}
	if err := w.p.Send(slot, &w.message); err != nil {
		w.complete(&driver.Completion{Slot: slot, Kind: driver.Fail, Queue: o.queue, Offset: -1, Err: err}, now)
	}
}

// again sends the message of a slot once more: it certainly is nowhere. What is unknown is not sent again, for it may be somewhere.
func (w *Worker) again(slot uint32, now time.Duration) {
	o := &w.slots[slot]
	o.busy, o.sent = true, now
	o.retry++
	w.begin(slot, now)
}

// complete takes the outcome of an operation.
func (w *Worker) complete(c *driver.Completion, now time.Duration) {
	o := &w.slots[c.Slot]
	if !o.busy {
		return // a driver that completes twice must not free a slot twice
	}
	o.busy, o.freed = false, now
	if w.rec != nil {
		w.rec.completeSend(o, c, now, w.QueueName)
	}
	w.tally.add(c, now >= w.mark && (w.stop == 0 || now < w.stop))
	if c.Kind == driver.OK {
		if o.intended >= w.mark {
			w.Latency.Done(o.intended, o.sent, now)
		}
		w.free.push(c.Slot)
		return
	}
	if c.Kind == driver.Fail && int(o.retry) < w.Retries {
		w.again(c.Slot, now)
		return
	}
	if o.intended >= w.mark {
		w.Latency.Failed(o.intended, o.sent, now, w.Timeout)
	}
	if w.Pacer != nil {
		w.free.push(c.Slot)
		return
	}
	w.rest = append(w.rest, rested{c.Slot, now + w.Pause}) // else a closed loop would spin on a system that is gone
}

// wakeRested frees the slots whose rest is over.
func (w *Worker) wakeRested(now time.Duration) {
	n := 0
	for n < len(w.rest) && w.rest[n].until <= now {
		w.free.push(w.rest[n].slot)
		n++
	}
	if n > 0 {
		w.rest = append(w.rest[:0], w.rest[n:]...)
	}
}

// nextRested returns when the next slot's rest is over; for ever when none rests.
func (w *Worker) nextRested() time.Duration {
	if len(w.rest) == 0 {
		return 1 << 62
	}
	return w.rest[0].until
}

// finished reports whether nothing is left to send and nothing is under way.
func (w *Worker) finished() bool {
	return (w.stop != 0 || !w.more) && w.free.n+len(w.rest) == len(w.slots)
}

// noteStall keeps the longest time for which this worker did not run although it wanted to.
func (w *Worker) noteStall(before, until, now time.Duration, completions int) {
	late := now - max(until, before)
	if completions == 0 && late > w.stall {
		w.stall = late
	}
}
