package history

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
)

// lineParser turns lines of the JSON Lines form into events.
type lineParser struct {
	scanner
	names  *interner
	errors bool // keep error texts; the checkers do not need them
	msgs   []Msg
	cache  [256]struct {
		text string
		sym  Sym
	}
}

// Presence of the fields that must be there.
const (
	sawT = 1 << iota
	sawOp
	sawP
	sawType
	sawF
	sawValue
	sawHeader
	sawAt
	sawAll = sawT | sawOp | sawP | sawType | sawF
)

// parse reads one line into e and returns the rule that it breaks, or "". e.Msgs belongs to the parser's caller, who
// resets p.msgs when no event needs it any more.
func (p *lineParser) parse(line []byte, e *Event) string {
	p.b, p.i, p.bad = line, 0, false
	*e = Event{Offset: -1, From: -1, End: -1, Epoch: -1}
	c := p.peek()
	if c == 0 && p.i == len(p.b) {
		return "a blank line"
	}
	if c != '{' {
		if p.skip(0); p.bad {
			return "not JSON"
		}
		return "not a JSON object"
	}
	p.i++
	saw, rule := 0, ""
	if !p.next('}') {
		for {
			key := p.text()
			if p.bad || !p.next(':') {
				return "not JSON"
			}
			if wrong := p.field(key, e, &saw); wrong != "" && rule == "" {
				rule = wrong
			}
			if p.bad {
				return "not JSON"
			}
			if p.next(',') {
				continue
			}
			if p.next('}') {
				break
			}
			return "not JSON"
		}
	}
	if p.peek(); p.i != len(p.b) {
		return "not JSON"
	}
	if saw&sawHeader != 0 && saw&sawT == 0 {
		return "a second header"
	}
	if rule == "" && saw&sawAll != sawAll {
		rule = missing(saw)
	}
	if rule == "" && e.F == Send && saw&sawValue == 0 {
		rule = "a send without value"
	}
	if saw&sawAt == 0 {
		e.At = e.T
	}
	if e.F != FaultF {
		e.Fault = nil
	}
	return rule
}

func missing(saw int) string {
	var names []string
	for i, name := range []string{"t", "op", "p", "type", "f"} {
		if saw&(1<<i) == 0 {
			names = append(names, name)
		}
	}
	return "missing " + strings.Join(names, ", ")
}

// field reads the value of one field.
func (p *lineParser) field(key []byte, e *Event, saw *int) string {
	if p.null() { // as if it were absent
		return ""
	}
	switch string(key) {
	case "t":
		*saw |= sawT
		return p.nonNegative("t", &e.T)
	case "op":
		*saw |= sawOp
		return p.unsigned("op", &e.Op)
	case "p":
		*saw |= sawP
		v, ok := p.signed()
		if !ok || v < -1 || v != int64(int32(v)) {
			return "p is not an integer in [-1, 2^31)"
		}
		e.P = int32(v)
	case "type":
		*saw |= sawType
		return p.typeOf(e)
	case "f":
		*saw |= sawF
		return p.function(e)
	case "value":
		*saw |= sawValue
		return p.unsigned("value", &e.Value)
	case "at":
		*saw |= sawAt
		return p.nonNegative("at", &e.At)
	case "queue", "queueGroup":
		return p.symbol(key, &e.Queue)
	case "offset":
		return p.nonNegative("offset", &e.Offset)
	case "status":
		return p.symbol(key, &e.Status)
	case "node":
		return p.symbol(key, &e.Node)
	case "group":
		return p.symbol(key, &e.Group)
	case "error":
		if p.errors && p.peek() == '"' {
			return p.symbol(key, &e.Error)
		}
		p.skip(0)
	case "from":
		return p.nonNegative("from", &e.From)
	case "end":
		return p.nonNegative("end", &e.End)
	case "first":
		return p.nonNegative("first", &e.First)
	case "epoch":
		return p.nonNegative("epoch", &e.Epoch)
	case "msgs":
		return p.messages(e)
	case "filter":
		v, ok := p.boolean()
		if !ok {
			return "filter is not a boolean"
		}
		e.Filter = v
	case "retry":
		var v uint64
		rule := p.unsigned("retry", &v)
		e.Retry = uint16(min(v, 1<<16-1))
		return rule
	case "role":
		if p.peek() != '"' {
			p.skip(0)
			return "role is not a string"
		}
		e.Role = string(p.text())
	case "name", "nodes", "phase", "effect":
		return p.faultField(string(key), e)
	case "history":
		*saw |= sawHeader
		p.skip(0)
	default:
		p.skip(0)
	}
	return ""
}

func (p *lineParser) nonNegative(name string, v *int64) string {
	u, ok := p.integer()
	*v = int64(u)
	if !ok {
		return name + " is not an integer in [0, 2^63)"
	}
	return ""
}

func (p *lineParser) unsigned(name string, v *uint64) string {
	u, ok := p.integer()
	*v = u
	if !ok {
		return name + " is not an integer in [0, 2^63)"
	}
	return ""
}

func (p *lineParser) typeOf(e *Event) string {
	if p.peek() == '"' {
		text := p.text()
		for t := Invoke; t <= Info; t++ {
			if string(text) == typeNames[t] {
				e.Type = t
				return ""
			}
		}
		return fmt.Sprintf("unknown type %q", text)
	}
	p.skip(0)
	return "unknown type"
}

func (p *lineParser) function(e *Event) string {
	if p.peek() == '"' {
		text := p.text()
		for f := Send; f <= CaughtUp; f++ {
			if string(text) == functionNames[f] {
				e.F = f
				return ""
			}
		}
		return fmt.Sprintf("unknown f %q", text)
	}
	p.skip(0)
	return "unknown f"
}

func (p *lineParser) symbol(key []byte, v *Sym) string {
	if p.peek() != '"' {
		p.skip(0)
		return string(key) + " is not a string"
	}
	text := p.text()
	if len(text) == 0 {
		*v = 0
		return ""
	}
	slot := &p.cache[(uint(len(text))*31+uint(text[len(text)-1])*7+uint(text[len(text)/2]))%uint(len(p.cache))]
	if slot.text != string(text) {
		slot.sym = p.names.sym(text)
		slot.text = string(text)
	}
	*v = slot.sym
	return ""
}

// messages reads [[offset, value], [offset, value, "corrupt"], ...].
func (p *lineParser) messages(e *Event) string {
	if p.peek() != '[' {
		p.skip(0)
		return "msgs is not an array"
	}
	p.i++
	from, rule := len(p.msgs), ""
	p.members(']', func() {
		var m Msg
		if p.peek() != '[' {
			p.skip(0)
			rule = "a message is not [offset, value]"
			return
		}
		p.i++
		n := 0
		p.members(']', func() {
			if wrong := p.part(n, &m); wrong != "" {
				rule = wrong
			}
			n++
		})
		if n < 2 {
			rule = "a message is not [offset, value]"
		}
		p.msgs = append(p.msgs, m)
	})
	e.Msgs = p.msgs[from:len(p.msgs):len(p.msgs)]
	if e.Msgs == nil {
		e.Msgs = []Msg{}
	}
	return rule
}

// part reads element n of a message.
func (p *lineParser) part(n int, m *Msg) string {
	ok := true
	switch n {
	case 0:
		var v uint64
		v, ok = p.integer()
		m.Offset = int64(v)
	case 1:
		if !p.null() {
			m.Value, ok = p.integer()
		}
	case 2:
		ok = p.peek() == '"'
		if ok {
			ok = string(p.text()) == "corrupt"
		} else {
			p.skip(0)
		}
		m.Corrupt = ok
	default:
		p.skip(0)
		ok = false
	}
	if !ok {
		return "a message is not [offset, value] or [offset, value, \"corrupt\"] of integers in [0, 2^63)"
	}
	return ""
}

// faultField reads a field that only faults have; other lines may have others by these names.
func (p *lineParser) faultField(key string, e *Event) string {
	p.peek()
	from := p.i
	if p.skip(0); p.bad {
		return ""
	}
	if e.Fault == nil {
		e.Fault = &FaultStep{}
	}
	raw := p.b[from:p.i]
	var err error
	switch key {
	case "name":
		err = json.Unmarshal(raw, &e.Fault.Name)
	case "nodes":
		err = json.Unmarshal(raw, &e.Fault.Nodes)
	case "phase":
		err = json.Unmarshal(raw, &e.Fault.Phase)
	case "effect":
		e.Fault.Effect, err = parseEffect(raw)
	}
	if err != nil {
		e.Fault.malformed = key
	}
	return ""
}

// parseEffect reads measured figures. Fractions are rounded away from zero: something happened. What is no number is
// another field, unknown here.
func parseEffect(raw []byte) (map[string]int64, error) {
	var fields map[string]any
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, err
	}
	effect := make(map[string]int64, len(fields))
	for key, v := range fields {
		if f, ok := v.(float64); ok && f < math.MaxInt64 {
			effect[key] = int64(math.Ceil(f))
		}
	}
	return effect, nil
}
