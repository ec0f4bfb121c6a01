package result

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/mathext"
)

// Upper95 returns the one-sided 95% upper bound of the probability that a cut loses anything, after lossy of cuts did:
// the exact limit of Clopper and Pearson, which is 1 - 0.05^(1/cuts) for lossy = 0. It is 1 without any cut.
// Never a bound by messages: all messages of a cut share its fate.
func Upper95(lossy, cuts int) float64 {
	switch {
	case cuts <= 0 || lossy >= cuts:
		return 1
	case lossy <= 0:
		return 1 - math.Pow(0.05, 1/float64(cuts))
	}
	return mathext.InvRegIncBeta(float64(lossy+1), float64(cuts-lossy), 0.95)
}

// Spread returns the smallest, the median and the largest of values; zeroes without any. values is not changed.
func Spread(values []float64) (lo, mid, hi float64) {
	if len(values) == 0 {
		return 0, 0, 0
	}
	s := slices.Sorted(slices.Values(values))
	n := len(s)
	return s[0], (s[(n-1)/2] + s[n/2]) / 2, s[n-1]
}
