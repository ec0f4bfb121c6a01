package scenarios

import "time"

// Flush windows that a power cut is spread over. Source: contracts.md section 5 (RPO).
const (
	WindowUnderLoad  = 500 * time.Millisecond // flushIntervalCommitLog
	WindowAtATrickle = 10 * time.Second       // flushCommitLogThoroughInterval: fewer than 4 dirty pages a pass
)

// Phase returns how long after the last fsync of the commit log cut i of k (0 <= i < k) falls, in a window of length T:
// ((i+u)/k) x T. The strata make k cuts cover the window evenly; u in [0, 1) is drawn from the seed, so that
// no broker's timer can hide between them.
func Phase(i, k int, u float64, window time.Duration) time.Duration {
	return time.Duration((float64(i) + u) / float64(k) * float64(window))
}
