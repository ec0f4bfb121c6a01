package history

import (
	"encoding/json"
	"slices"
	"strconv"
)

// AppendHeader appends the header line of the JSON Lines form.
func AppendHeader(dst []byte, h Header) []byte {
	h.Version = 1
	if h.Masters == nil {
		h.Masters = map[string]string{}
	}
	text, err := json.Marshal(h)
	if err != nil {
		panic(err) // only strings, numbers and maps of them
	}
	return append(append(dst, text...), '\n')
}

// AppendLine appends e as a line of the JSON Lines form.
func AppendLine(dst []byte, name func(Sym) string, e *Event) []byte {
	integer := func(key string, v int64) {
		dst = strconv.AppendInt(append(append(append(dst, `,"`...), key...), `":`...), v, 10)
	}
	text := func(key, v string) { dst = appendText(append(append(append(dst, `,"`...), key...), `":`...), v) }
	symbol := func(key string, s Sym) {
		if s != 0 {
			text(key, name(s))
		}
	}
	optional := func(key string, v int64) {
		if v >= 0 {
			integer(key, v)
		}
	}
	dst = strconv.AppendInt(append(dst, `{"t":`...), e.T, 10)
	integer("op", int64(e.Op))
	integer("p", int64(e.P))
	text("type", typeNames[e.Type])
	text("f", functionNames[e.F])
	if e.F == Send {
		integer("value", int64(e.Value))
	}
	if e.At != e.T && e.At > 0 && e.Type == Invoke {
		integer("at", e.At)
	}
	if e.Retry > 0 {
		integer("retry", int64(e.Retry))
	}
	symbol("node", e.Node)
	if e.F == Role || e.F == CaughtUp {
		symbol("queueGroup", e.Queue)
	} else {
		symbol("queue", e.Queue)
	}
	optional("from", e.From)
	optional("offset", e.Offset)
	symbol("status", e.Status)
	dst = appendMsgs(dst, e.Msgs)
	optional("end", e.End)
	if e.First > 0 {
		integer("first", e.First)
	}
	optional("epoch", e.Epoch)
	if e.Filter {
		dst = append(dst, `,"filter":true`...)
	}
	symbol("group", e.Group)
	if e.Role != "" {
		text("role", e.Role)
	}
	dst = appendFault(dst, e.Fault)
	symbol("error", e.Error)
	return append(dst, "}\n"...)
}

func appendMsgs(dst []byte, msgs []Msg) []byte {
	if msgs == nil {
		return dst
	}
	dst = append(dst, `,"msgs":[`...)
	for i, m := range msgs {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendInt(append(dst, '['), m.Offset, 10)
		dst = strconv.AppendUint(append(dst, ','), m.Value, 10)
		if m.Corrupt {
			dst = append(dst, `,"corrupt"`...)
		}
		dst = append(dst, ']')
	}
	return append(dst, ']')
}

func appendFault(dst []byte, f *FaultStep) []byte {
	if f == nil {
		return dst
	}
	dst = appendText(append(dst, `,"name":`...), f.Name)
	nodes, err := json.Marshal(slices.Concat([]string{}, f.Nodes))
	if err != nil {
		panic(err) // strings always marshal
	}
	dst = append(append(dst, `,"nodes":`...), nodes...)
	dst = appendText(append(dst, `,"phase":`...), f.Phase)
	if f.Effect == nil {
		return dst
	}
	effect, err := json.Marshal(f.Effect)
	if err != nil {
		panic(err) // a map of integers always marshals
	}
	return append(append(dst, `,"effect":`...), effect...)
}
