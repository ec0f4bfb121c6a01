package result

// Throughput is what a closed loop reached.
type Throughput struct {
	Acked  float64   `json:"acked"` // median of Passes
	Unit   string    `json:"unit"`  // always msg/s
	Passes []float64 `json:"passes,omitzero"`
	Min    float64   `json:"min,omitzero"` // of Passes
	Max    float64   `json:"max,omitzero"`
}

// NewThroughput sums up the passes of a closed loop, each in acknowledged msg/s.
func NewThroughput(passes []float64) *Throughput {
	lo, mid, hi := Spread(passes)
	return &Throughput{Acked: mid, Unit: "msg/s", Passes: passes, Min: lo, Max: hi}
}

// Latency is the response time from the intended start, failures included as max(elapsed, client timeout), at one
// offered rate. A percentile with fewer than 100 samples above it is absent.
type Latency struct {
	P50  *float64 `json:"p50,omitzero"`
	P99  *float64 `json:"p99,omitzero"`
	P999 *float64 `json:"p999,omitzero"`
	Max  *float64 `json:"max,omitzero"`
	Unit string   `json:"unit"` // always ms: of P50 to Max, and of Curve

	Rate      float64 `json:"rate"`               // msg/s offered, common to all rows
	Samples   int64   `json:"samples,omitzero"`   // sends over all passes
	P99Min    float64 `json:"p99Min,omitzero"`    // of the passes' p99
	P99Max    float64 `json:"p99Max,omitzero"`    // of the passes' p99
	Curve     []Point `json:"curve,omitzero"`     // ascending percentiles, for plots
	Histogram string  `json:"histogram,omitzero"` // HdrHistogram V2 log form (base64) over all passes; values in ns
}

// Point is one percentile of a latency distribution.
type Point struct {
	Percentile float64 `json:"p"`  // [0, 100]
	Value      float64 `json:"ms"` // at or below
}

// Stolen is which share [0, 1] of the processors' time the host of a virtual machine gave to others while the cell was measured: the
// largest of the passes. What is not known is absent.
type Stolen struct {
	Saturation *float64 `json:"saturation,omitzero"` // during the closed loops
	Latency    *float64 `json:"latency,omitzero"`    // during the open loops
}

// Lateness is how far behind its intended starts the generator sent.
type Lateness struct {
	P99  float64 `json:"p99"`
	Max  float64 `json:"max"`
	Unit string  `json:"unit"` // always ms
}
