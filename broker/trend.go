package broker

import (
	"time"

	"holdfast/broker/remoting"
)

// window remembers what a count was at the ends of the last steps, so that it can be told how much came in them. It is
// brought up to date by whoever adds or reads; between that it costs nothing.
type window struct {
	step  time.Duration
	ends  []uint64 // of the step with number s at s modulo len
	steps int64    // that have ended
}

// advance ends the steps that have passed; total is the count during all of them.
func (w *window) advance(now time.Duration, total uint64) {
	steps := int64(now / w.step)
	if steps == w.steps {
		return
	}
	size := int64(len(w.ends))
	for s := max(w.steps, steps-size); s < steps; s++ {
		w.ends[s%size] = total
	}
	w.steps = steps
}

// sum returns what came in the last back steps that have ended and in the running one, and how many ended ones those are:
// fewer after the start. advance was called; back < len(ends).
func (w *window) sum(total uint64, back int64) (sum uint64, ended int64) {
	if w.steps <= back {
		return total, w.steps
	}
	return total - w.ends[(w.steps-back-1)%int64(len(w.ends))], back
}

// rate returns the mean of the last back steps that have ended, in thousandths of one a second; with none, that of the
// running one.
func (w *window) rate(total uint64, now time.Duration, back int64) int64 {
	if w.steps == 0 {
		return perSecond(total, now)
	}
	size := int64(len(w.ends))
	last, before := w.ends[(w.steps-1)%size], uint64(0)
	if back = min(back, w.steps); back < w.steps {
		before = w.ends[(w.steps-1-back)%size]
	}
	return perSecond(last-before, time.Duration(back)*w.step)
}

// perSecond returns count by d in thousandths of one a second.
func perSecond(count uint64, d time.Duration) int64 {
	return int64(count) * 1_000_000 / max(1, d.Milliseconds())
}

// speed is a count with the averages over 10, 60 and 600 seconds that RocketMQ tells of.
// Source: StoreStatsService (RocketMQ 5.3.3).
type speed struct {
	total   uint64
	seconds window
}

// speedSeconds is one more than the longest of the averages.
const speedSeconds = 601

func newSpeed() speed {
	return speed{seconds: window{step: time.Second, ends: make([]uint64, speedSeconds)}}
}

func (s *speed) add(now time.Duration, count uint64) {
	s.seconds.advance(now, s.total)
	s.total += count
}

// averages returns the rates over 10, 60 and 600 seconds, or since the start, in thousandths of one a second.
func (s *speed) averages(now time.Duration) [3]int64 {
	s.seconds.advance(now, s.total)
	return [3]int64{s.seconds.rate(s.total, now, 10), s.seconds.rate(s.total, now, 60), s.seconds.rate(s.total, now, 600)}
}

// trend is a count with its sums over a minute, an hour and a day. Source: StatsItem (RocketMQ 5.3.3).
type trend struct {
	total             uint64
	minute, hour, day window
}

func newTrend() *trend {
	return &trend{
		minute: window{step: 10 * time.Second, ends: make([]uint64, 7)},
		hour:   window{step: 10 * time.Minute, ends: make([]uint64, 7)},
		day:    window{step: time.Hour, ends: make([]uint64, 25)},
	}
}

// count adds to the trend, which is made at the first message: most topics of a big broker are idle.
func (t *trend) count(now time.Duration, count int) *trend {
	if t == nil {
		t = newTrend()
	}
	t.advance(now)
	t.total += uint64(count)
	return t
}

func (t *trend) advance(now time.Duration) {
	t.minute.advance(now, t.total)
	t.hour.advance(now, t.total)
	t.day.advance(now, t.total)
}

// perSecond returns the mean of the last minute in thousandths of one a second.
func (t *trend) perSecond(now time.Duration) int64 {
	if t == nil {
		return 0
	}
	minute, _, _ := t.items(now)
	return minute.Rate
}

// items returns the sums and means of the last minute, hour and day.
func (t *trend) items(now time.Duration) (minute, hour, day remoting.StatsItem) {
	t.advance(now)
	item := func(w *window, back int64) remoting.StatsItem {
		sum, ended := w.sum(t.total, back)
		span := min(now, time.Duration(ended)*w.step+now%w.step)
		return remoting.StatsItem{Sum: int64(sum), Rate: perSecond(sum, span)}
	}
	return item(&t.minute, 6), item(&t.hour, 6), item(&t.day, 24)
}
