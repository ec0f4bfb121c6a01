package nemesis

import (
	"fmt"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// param is one figure: its name in files, its text, and what is allowed.
type param struct {
	name  string
	text  func(p *Params) string // "" when it is not given
	check func(k Kind, p *Params) (allowed string, ok bool)
}

// params is the table of figures, in the order of Params' fields.
var params = []param{
	{"shape", func(p *Params) string { return string(p.Shape) }, func(_ Kind, p *Params) (string, bool) {
		return list(Shapes()), slices.Contains(Shapes(), p.Shape)
	}},
	{"peer", func(p *Params) string { return string(p.Peer) }, func(_ Kind, p *Params) (string, bool) {
		switch p.Shape {
		case Isolate, Bridge, Ring:
			return "none with shape " + string(p.Shape), p.Peer == ""
		}
		return list(Peers()), p.Peer == "" || slices.Contains(Peers(), p.Peer)
	}},
	{"percent", func(p *Params) string { return decimal(p.Percent) }, func(_ Kind, p *Params) (string, bool) {
		return "above 0 to 100", p.Percent > 0 && p.Percent <= 100
	}},
	{"delay", func(p *Params) string { return span(p.Delay) }, checkDelay},
	{"jitter", func(p *Params) string { return span(p.Jitter) }, func(_ Kind, p *Params) (string, bool) {
		return "0s to " + short(DelayMax), p.Jitter >= 0 && p.Jitter <= DelayMax
	}},
	{"distribution", func(p *Params) string { return p.Distribution }, func(_ Kind, p *Params) (string, bool) {
		return list(Distributions()), slices.Contains(Distributions(), p.Distribution)
	}},
	{"rate", func(p *Params) string { return count(p.Rate) }, func(_ Kind, p *Params) (string, bool) {
		return fmt.Sprintf("1 to %d bytes/s", int64(RateMax)), p.Rate > 0 && p.Rate <= RateMax
	}},
	{"path", func(p *Params) string { return p.Path }, func(_ Kind, p *Params) (string, bool) {
		return "a path below the store, without ..", localPath(p.Path)
	}},
	{"times", func(p *Params) string { return count(int64(p.Times)) }, func(_ Kind, p *Params) (string, bool) {
		return fmt.Sprintf("0 (all) to %d", TimesMax), p.Times >= 0 && p.Times <= TimesMax
	}},
	{"pages", func(p *Params) string { return p.Pages }, func(_ Kind, p *Params) (string, bool) {
		return list(PageFates()), slices.Contains(PageFates(), p.Pages)
	}},
	{"bytes", func(p *Params) string { return count(p.Bytes) }, func(k Kind, p *Params) (string, bool) {
		least := int64(0)
		if k == BitFlip {
			least = 1
		}
		return fmt.Sprintf("%d to %d", least, int64(BytesMax)), p.Bytes >= least && p.Bytes <= BytesMax
	}},
	{"ppm", func(p *Params) string { return decimal(p.PPM) }, func(_ Kind, p *Params) (string, bool) {
		return fmt.Sprintf("-%d to %d, not 0", PPMMax, PPMMax), p.PPM != 0 && math.Abs(p.PPM) <= PPMMax
	}},
	{"version", func(p *Params) string { return p.Version }, func(_ Kind, p *Params) (string, bool) {
		return "a version, such as 5.5.0", p.Version != "" && len(p.Version) <= PathMax && !strings.ContainsAny(p.Version, " \t\r\n")
	}},
	{"after", func(p *Params) string { return span(p.After) }, func(_ Kind, p *Params) (string, bool) {
		return "0s to " + short(LengthMax), p.After >= 0 && p.After <= LengthMax
	}},
	{"window", func(p *Params) string { return span(p.Window) }, func(_ Kind, p *Params) (string, bool) {
		return "0s to " + short(LengthMax), p.Window >= 0 && p.Window <= LengthMax
	}},
	{"survive", func(p *Params) string { return p.Survive.String() }, func(_ Kind, p *Params) (string, bool) {
		return "percent 0 to 100", p.Survive.Percent >= 0 && p.Survive.Percent <= 100
	}},
}

func checkDelay(k Kind, p *Params) (string, bool) {
	if k == ClockJump {
		return fmt.Sprintf("-%s to %s, not 0s", short(JumpMax), short(JumpMax)), p.Delay != 0 && p.Delay >= -JumpMax && p.Delay <= JumpMax
	}
	return "above 0s to " + short(DelayMax), p.Delay > 0 && p.Delay <= DelayMax
}

// localPath says whether p stays below the directory that it is relative to; empty is that directory itself.
func localPath(p string) bool {
	return len(p) <= PathMax && !path.IsAbs(p) && !slices.Contains(strings.Split(p, "/"), "..") && !strings.ContainsRune(p, 0)
}

// String lists what survives beyond the model, "" for nothing.
func (s Survive) String() string {
	var words []string
	if s.Percent != 0 {
		words = append(words, strconv.Itoa(s.Percent)+"%")
	}
	for _, w := range []struct {
		on   bool
		word string
	}{{s.Writeback, "writeback"}, {s.Tear, "tear"}, {s.Reorder, "reorder"}} {
		if w.on {
			words = append(words, w.word)
		}
	}
	return strings.Join(words, "+")
}

// list joins words for a reader: a, b, c.
func list[T ~string](words []T) string {
	text := make([]string, len(words))
	for i, w := range words {
		text[i] = string(w)
	}
	return strings.Join(text, ", ")
}

func decimal(x float64) string {
	if x == 0 {
		return ""
	}
	return strconv.FormatFloat(x, 'f', -1, 64)
}

func count(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

func span(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return short(d)
}

// short is d.String() without the zeroes that say nothing: 1h, not 1h0m0s.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
