package scenario

import (
	"fmt"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
)

// form is the form of a value: how it is read, written and described. One table of forms makes the parser, the encoder
// and the JSON Schema, so that they cannot differ.
type form interface {
	// read reads a value into what into points at, or reports what is wrong with it.
	read(r *reader, n ast.Node, into any) *place
	// write returns the value that from points at, as YAML.
	write(from any) node
	schema() schema
	// allowed says for people what may stand there.
	allowed() string
}

// schema is a piece of a JSON Schema. Maps are encoded in the order of their keys.
type schema = map[string]any

// refuse reports a value that a form does not have.
func refuse(r *reader, n ast.Node, f form, mean string) *place {
	p := &place{at: position(n)}
	r.flaw(p.at, found(n)+" found", f.allowed(), mean)
	return p
}

// words is one of a few words.
type words struct{ list []string }

func wordsOf[T ~string](list []T) words {
	var w words
	for _, x := range list {
		w.list = append(w.list, string(x))
	}
	return w
}

func (f words) read(r *reader, n ast.Node, into any) *place {
	text, ok := n.(*ast.StringNode)
	if !ok || !slices.Contains(f.list, text.Value) {
		mean := ""
		if ok {
			mean = nearest(text.Value, f.list)
		}
		return refuse(r, n, f, mean)
	}
	reflect.ValueOf(into).Elem().SetString(text.Value)
	return &place{at: position(n)}
}

func (f words) write(from any) node { return text(reflect.ValueOf(from).Elem().String()) }
func (f words) schema() schema      { return schema{"type": "string", "enum": f.list} }
func (f words) allowed() string     { return strings.Join(f.list, ", ") }

// line is a text of one line.
type line struct {
	says    string         // for people
	pattern *regexp.Regexp // the whole of it; of the syntax that Go and ECMAScript share
	max     int            // characters
}

func (f line) read(r *reader, n ast.Node, into any) *place {
	text, ok := n.(*ast.StringNode)
	if !ok || utf8.RuneCountInString(text.Value) > f.max || !f.pattern.MatchString(text.Value) {
		return refuse(r, n, f, "")
	}
	reflect.ValueOf(into).Elem().SetString(text.Value)
	return &place{at: position(n)}
}

func (f line) write(from any) node { return text(reflect.ValueOf(from).Elem().String()) }
func (f line) schema() schema {
	return schema{"type": "string", "pattern": f.pattern.String(), "maxLength": f.max}
}
func (f line) allowed() string { return f.says }

// duration is a time such as 500ms, from min to max; 0 needs no unit.
type duration struct{ min, max time.Duration }

func (f duration) read(r *reader, n ast.Node, into any) *place {
	raw := ""
	switch n := n.(type) {
	case *ast.StringNode:
		raw = n.Value
	case *ast.IntegerNode:
		if n.Token.Value == "0" {
			raw = "0"
		}
	}
	d, err := time.ParseDuration(raw)
	if err != nil || !durationForm.MatchString(raw) || d < f.min || d > f.max {
		return refuse(r, n, f, "")
	}
	*into.(*time.Duration) = d
	return &place{at: position(n)}
}

// durationPattern is the syntax of time.ParseDuration but for fractions without digits before the point.
const durationPattern = `^-?(0|([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+)$`

var durationForm = regexp.MustCompile(durationPattern)

func (f duration) write(from any) node { return text(shortDuration(*from.(*time.Duration))) }
func (f duration) schema() schema {
	return schema{"anyOf": []schema{{"type": "string", "pattern": durationPattern}, {"const": 0}}}
}
func (f duration) allowed() string {
	return fmt.Sprintf("a time from %s to %s, such as 500ms", shortDuration(f.min), shortDuration(f.max))
}

// shortDuration is d.String() without the zeroes that say nothing: 1h, not 1h0m0s.
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return strings.ReplaceAll(s, "µ", "u")
}

// integer is a whole number from min to max.
type integer struct {
	min, max int64
	unit     string
}

func (f integer) read(r *reader, n ast.Node, into any) *place {
	value, ok := whole(n)
	if !ok || value < f.min || value > f.max {
		return refuse(r, n, f, "")
	}
	setInteger(into, value)
	return &place{at: position(n)}
}

// whole returns the value of a whole number that fits.
func whole(n ast.Node) (int64, bool) {
	number, ok := n.(*ast.IntegerNode)
	if !ok {
		return 0, false
	}
	switch v := number.Value.(type) {
	case int64:
		return v, true
	case uint64:
		return int64(v), v <= math.MaxInt64
	}
	return 0, false
}

func setInteger(into any, value int64) {
	switch into := into.(type) {
	case *int:
		*into = int(value)
	case *int64:
		*into = value
	case *uint64:
		*into = uint64(value)
	default:
		panic(fmt.Sprintf("scenario: no integer: %T", into))
	}
}

func (f integer) write(from any) node {
	return node{scalar: fmt.Sprint(reflect.ValueOf(from).Elem().Interface())}
}
func (f integer) schema() schema {
	return schema{"type": "integer", "minimum": f.min, "maximum": f.max}
}
func (f integer) allowed() string {
	return strings.TrimSpace(fmt.Sprintf("a whole number from %d to %d %s", f.min, f.max, f.unit))
}

// size is a number of bytes from min to max, with or without a unit.
type size struct{ min, max int64 }

var sizeUnits = []struct {
	suffix string
	bytes  int64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

func (f size) read(r *reader, n ast.Node, into any) *place {
	value, ok := whole(n)
	if text, isText := n.(*ast.StringNode); isText {
		value, ok = parseSize(text.Value)
	}
	if !ok || value < f.min || value > f.max {
		return refuse(r, n, f, "")
	}
	setInteger(into, value)
	return &place{at: position(n)}
}

const sizePattern = `^[0-9]{1,18}(B|KiB|MiB|GiB)$`

var sizeForm = regexp.MustCompile(sizePattern)

func parseSize(s string) (int64, bool) {
	if !sizeForm.MatchString(s) {
		return 0, false
	}
	for _, u := range sizeUnits {
		if digits, has := strings.CutSuffix(s, u.suffix); has {
			n, err := strconv.ParseInt(digits, 10, 64)
			return n * u.bytes, err == nil && n <= math.MaxInt64/u.bytes
		}
	}
	return 0, false
}

func (f size) write(from any) node {
	n := reflect.ValueOf(from).Elem().Int()
	for _, u := range sizeUnits[:3] {
		if n != 0 && n%u.bytes == 0 && n/u.bytes > 1 {
			return text(fmt.Sprint(n/u.bytes) + u.suffix)
		}
	}
	return node{scalar: fmt.Sprint(n)}
}

func (f size) schema() schema {
	return schema{"anyOf": []schema{{"type": "integer", "minimum": f.min, "maximum": f.max}, {"type": "string", "pattern": sizePattern}}}
}
func (f size) allowed() string {
	return fmt.Sprintf("bytes from %d to %d, also as 4KiB, 1MiB", f.min, f.max)
}

// number is a number from min to max, or above min.
type number struct {
	min, max float64
	above    bool
}

func (f number) read(r *reader, n ast.Node, into any) *place {
	value := math.NaN()
	if v, ok := whole(n); ok {
		value = float64(v)
	} else if v, ok := n.(*ast.FloatNode); ok {
		value = v.Value
	}
	if !(value >= f.min && value <= f.max) || f.above && value == f.min {
		return refuse(r, n, f, "")
	}
	*into.(*float64) = value
	return &place{at: position(n)}
}

func (f number) write(from any) node {
	return node{scalar: strconv.FormatFloat(*from.(*float64), 'f', -1, 64)}
}

func (f number) schema() schema {
	s := schema{"type": "number", "minimum": f.min, "maximum": f.max}
	if f.above {
		delete(s, "minimum")
		s["exclusiveMinimum"] = f.min
	}
	return s
}

func (f number) allowed() string {
	from := "from"
	if f.above {
		from = "above"
	}
	return fmt.Sprintf("a number %s %v to %v", from, f.min, f.max)
}

// boolean is true or false.
type boolean struct{}

func (f boolean) read(r *reader, n ast.Node, into any) *place {
	b, ok := n.(*ast.BoolNode)
	if !ok {
		return refuse(r, n, f, "")
	}
	*into.(*bool) = b.Value
	return &place{at: position(n)}
}

func (boolean) write(from any) node { return node{scalar: strconv.FormatBool(*from.(*bool))} }
func (boolean) schema() schema      { return schema{"type": "boolean"} }
func (boolean) allowed() string     { return "true, false" }
