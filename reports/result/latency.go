package result

import (
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

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


// minAbove is how many samples must lie above a percentile for it to be stated.
const minAbove = 100

// NewLatency sums up the passes of one open loop at rate msg/s; each histogram holds nanoseconds. A percentile is the median of the
// passes' where each has enough samples above it, else that of all passes together, else absent.
func NewLatency(rate float64, passes ...*hdrhistogram.Histogram) (*Latency, error) {
	l := &Latency{Unit: "ms", Rate: rate}
	if len(passes) == 0 {
		return l, nil
	}
	first := passes[0]
	all := hdrhistogram.New(first.LowestTrackableValue(), first.HighestTrackableValue(), int(first.SignificantFigures()))
	for _, h := range passes {
		all.Merge(h)
	}
	l.Samples = all.TotalCount()
	if l.Samples == 0 {
		return l, nil
	}
	l.P50, l.P99, l.P999 = quantile(50, all, passes), quantile(99, all, passes), quantile(99.9, all, passes)
	top := milliseconds(all.Max())
	l.Max = &top
	var tails []float64
	for _, h := range passes {
		if above(99, h) {
			tails = append(tails, milliseconds(h.ValueAtQuantile(99)))
		}
	}
	if len(tails) > 1 && len(tails) == len(passes) {
		l.P99Min, _, l.P99Max = Spread(tails)
	}
	l.Curve = curve(all)
	encoded, err := all.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		return nil, fmt.Errorf("encode a latency histogram: %w", err)
	}
	l.Histogram = string(encoded)
	return l, nil
}

// curvePercentiles are those that the page plots: even steps in nines.
var curvePercentiles = []float64{0, 10, 25, 50, 60, 70, 80, 85, 90, 92.5, 95, 97, 98, 99, 99.25, 99.5, 99.7, 99.8, 99.9, 99.95, 99.97, 99.99, 99.995, 99.999}

// curve samples a distribution as far as it has samples above, and its maximum as percentile 100.
func curve(h *hdrhistogram.Histogram) []Point {
	var points []Point
	for _, p := range curvePercentiles {
		if above(p, h) {
			points = append(points, Point{p, milliseconds(h.ValueAtQuantile(p))})
		}
	}
	return append(points, Point{100, milliseconds(h.Max())})
}

// quantile returns percentile p in ms, nil when too few samples lie above it.
func quantile(p float64, all *hdrhistogram.Histogram, passes []*hdrhistogram.Histogram) *float64 {
	values := make([]float64, 0, len(passes))
	for _, h := range passes {
		if above(p, h) {
			values = append(values, milliseconds(h.ValueAtQuantile(p)))
		}
	}
	if len(values) == len(passes) {
		_, mid, _ := Spread(values)
		return &mid
	}
	if !above(p, all) {
		return nil
	}
	v := milliseconds(all.ValueAtQuantile(p))
	return &v
}

// above says whether enough samples lie above percentile p.
func above(p float64, h *hdrhistogram.Histogram) bool {
	return float64(h.TotalCount())*(100-p)/100 >= minAbove
}

func milliseconds(ns int64) float64 { return float64(ns) / float64(time.Millisecond) }
