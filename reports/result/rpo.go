package result

import (
	"math"
	"slices"
)

// RPO is the distribution of acknowledged messages lost over the cuts that had their effect: the cut is the trial.
type RPO struct {
	Median    float64  `json:"median"`       // messages lost a cut
	P90       *float64 `json:"p90,omitzero"` // messages; of quantileCuts or more
	Max       int64    `json:"max"`          // messages
	LossyCuts int      `json:"lossyCuts"`    // cuts that lost anything
	Cuts      int      `json:"cuts"`
	Upper95   float64  `json:"upper95"` // upper bound at 95% of the probability that a cut loses anything, (0, 1]

	// The prediction beside it, of the cuts that have one.
	Predicted     *float64 `json:"predicted,omitzero"`     // messages a cut, from the bytes written since the last fsync began; median
	PredictedCuts int      `json:"predictedCuts,omitzero"` // cuts that have a prediction
	Agreeing      int      `json:"agreeing,omitzero"`      // of them: cuts whose loss Agrees
	Ratio         *float64 `json:"ratio,omitzero"`         // lost / predicted, of predictions above 0; median
}

// quantileCuts is the number of cuts from which on a 90th percentile says more than the maximum.
const quantileCuts = 10

// NewRPO sums up the messages lost by each cut that had its effect; nil without any.
func NewRPO(lost []int64) *RPO {
	if len(lost) == 0 {
		return nil
	}
	r := &RPO{Cuts: len(lost)}
	values := make([]float64, len(lost))
	for i, n := range lost {
		values[i] = float64(n)
		r.Max = max(r.Max, n)
		if n > 0 {
			r.LossyCuts++
		}
	}
	_, r.Median, _ = Spread(values)
	if len(values) >= quantileCuts {
		r.P90 = new(Quantile(values, 0.9))
	}
	r.Upper95 = Upper95(r.LossyCuts, r.Cuts)
	return r
}

// PoolRPO sums up the trials that had their effect, with what was predicted for them; nil without any. An inconclusive trial
// proves nothing and is left out.
func PoolRPO(trials []Trial) *RPO {
	var lost []int64
	var predicted, ratios []float64
	agreeing := 0
	for _, t := range trials {
		if t.Verdict == Inconclusive {
			continue
		}
		n := Sum(t.Lost)
		lost = append(lost, n)
		if t.Predicted == nil {
			continue
		}
		predicted = append(predicted, *t.Predicted)
		if Agrees(n, *t.Predicted) {
			agreeing++
		}
		if *t.Predicted > 0 {
			ratios = append(ratios, float64(n) / *t.Predicted)
		}
	}
	r := NewRPO(lost)
	if r == nil || len(predicted) == 0 {
		return r
	}
	r.PredictedCuts, r.Agreeing = len(predicted), agreeing
	_, mid, _ := Spread(predicted)
	r.Predicted = &mid
	if len(ratios) > 0 {
		_, ratio, _ := Spread(ratios)
		r.Ratio = &ratio
	}
	return r
}

// Agrees says whether a loss is what was predicted, in messages: within three standard deviations of a Poisson count, which
// leaves room for what was written and not yet acknowledged at the cut, and for bodies of varying size.
func Agrees(lost int64, predicted float64) bool {
	return math.Abs(float64(lost)-predicted) <= 3*math.Sqrt(predicted)
}

// Quantile returns the smallest of values at or below which a share q, (0, 1], of them lies; 0 without any. values is not changed.
func Quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(values))
	return s[max(int(math.Ceil(q*float64(len(s))))-1, 0)]
}

// RTO is the time from the fault to service again, the largest over the trials.
type RTO struct {
	MS         float64 `json:"ms"`                  // to the first OK send
	DeliveryMS float64 `json:"deliveryMs,omitzero"` // to the first delivery
	MedianMS   float64 `json:"medianMs,omitzero"`   // to the first OK send
}

// PoolRTO sums up the trials that ran alone on the machine and had their effect; nil without any that served again. Trials that
// ran beside others waited for the processor too, and are not asked.
func PoolRTO(trials []Trial) *RTO {
	var sends []float64
	r := &RTO{}
	for _, t := range trials {
		if !t.Alone || t.Verdict == Inconclusive || t.RTOMS <= 0 {
			continue
		}
		sends = append(sends, t.RTOMS)
		r.DeliveryMS = max(r.DeliveryMS, t.DeliveryRTOMS)
	}
	if len(sends) == 0 {
		return nil
	}
	_, r.MedianMS, r.MS = Spread(sends)
	return r
}

// AskedRTO says whether any trial of the cell ran alone on the machine, so that its RTO means something.
func (c *Cell) AskedRTO() bool {
	return slices.ContainsFunc(c.Trials, func(t Trial) bool { return t.Alone })
}
