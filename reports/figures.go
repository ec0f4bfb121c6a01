package reports

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// count writes an integer with thousands separators: 34,150.
func count(n int64) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, s = "-", s[1:]
	}
	var b strings.Builder
	for i, digit := range s {
		if i > 0 && (len(s)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(digit)
	}
	return sign + b.String()
}

// rate writes msg/s, rounded to three significant digits from 1,000 on: more would be noise.
func rate(perSecond float64) string {
	if perSecond < 1000 {
		return count(int64(math.Round(perSecond)))
	}
	unit := math.Pow(10, math.Floor(math.Log10(perSecond))-2)
	return count(int64(math.Round(perSecond/unit) * unit))
}

// millis writes a figure in ms with three significant digits: 0.21, 1.02, 12.3, 261.
func millis(ms float64) string {
	switch {
	case ms == 0:
		return "0"
	case ms < 10:
		return strconv.FormatFloat(ms, 'f', 2, 64)
	case ms < 100:
		return strconv.FormatFloat(ms, 'f', 1, 64)
	}
	return count(int64(math.Round(ms)))
}

// span writes a time with its unit: 31 us, 0.21 ms, 261 ms, 1.3 s.
func span(ms float64) string {
	if ms > 0 && ms < 0.1 {
		return strconv.FormatFloat(ms*1000, 'f', 0, 64) + " us"
	}
	if ms < 1000 {
		return millis(ms) + " ms"
	}
	return strconv.FormatFloat(ms/1000, 'f', 1, 64) + " s"
}

// lasting writes how long something takes, for people: 40 s, 2 min 50 s, 1 h 5 min.
func lasting(d time.Duration) string {
	s := int64(math.Round(d.Seconds()))
	switch {
	case s < 60:
		return fmt.Sprintf("%d s", s)
	case s < 3600:
		return strings.TrimSuffix(fmt.Sprintf("%d min %d s", s/60, s%60), " 0 s")
	}
	return strings.TrimSuffix(fmt.Sprintf("%d h %d min", s/3600, s%3600/60), " 0 min")
}

// percent writes a probability in whole percent; what is not certain is never rounded to 100%.
func percent(p float64) string {
	whole := math.Round(p * 100)
	if p < 1 {
		whole = min(whole, 99)
	}
	return strconv.FormatFloat(whole, 'f', 0, 64) + "%"
}
