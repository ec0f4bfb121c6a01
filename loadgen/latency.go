package loadgen

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// The range and precision of every latency histogram. Values are nanoseconds.
const (
	latencyMin    = int64(time.Microsecond)
	latencyMax    = int64(60 * time.Second)
	latencyDigits = 3
)

// NewHistogram returns an empty histogram of nanoseconds with the range and precision of all latencies: 1 us to 60 s, 3 digits.
func NewHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(latencyMin, latencyMax, latencyDigits)
}

// Latency is what one worker, or all of them together, waited for. Values are nanoseconds; a longer one counts as 60 s.
// Operations that failed or timed out are in it, each with max(elapsed, client timeout): leaving them out would
// make the worst system look fast.
type Latency struct {
	Response *hdrhistogram.Histogram // from the intended start: what a user of a stalled system feels
	Service  *hdrhistogram.Histogram // from the actual send: what a generator that waits for the system would report
	// Late is the generator's own fault: actual send minus intended start, or minus the instant at which a slot came free
	// when all were taken by a system that does not answer.
	Late *hdrhistogram.Histogram
}

// NewLatency returns empty histograms.
func NewLatency() *Latency {
	return &Latency{NewHistogram(), NewHistogram(), NewHistogram()}
}

// Sent counts the lateness of a send that could have left at possible.
func (l *Latency) Sent(possible, sent time.Duration) {
	record(l.Late, sent-possible)
}

// Done counts an operation that was acknowledged.
func (l *Latency) Done(intended, sent, now time.Duration) {
	record(l.Response, now-intended)
	record(l.Service, now-sent)
}

// Failed counts an operation that failed or is unknown: at least the client's timeout.
func (l *Latency) Failed(intended, sent, now, timeout time.Duration) {
	record(l.Response, max(now-intended, timeout))
	record(l.Service, max(now-sent, timeout))
}

// Reset empties the histograms.
func (l *Latency) Reset() {
	l.Response.Reset()
	l.Service.Reset()
	l.Late.Reset()
}

// Merge adds what other counted.
func (l *Latency) Merge(other *Latency) {
	l.Response.Merge(other.Response)
	l.Service.Merge(other.Service)
	l.Late.Merge(other.Late)
}

// record counts d in h, clamped to its range: an error would mean a value lost in silence.
func record(h *hdrhistogram.Histogram, d time.Duration) {
	_ = h.RecordValue(min(max(int64(d), 0), latencyMax))
}
