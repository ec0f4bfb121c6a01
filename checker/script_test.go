package checker_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"holdfast/checker"
	"holdfast/checker/history"
)

// script turns a short form of a history into JSON Lines. One operation a line; times in ns:
//
//	10-20 send 1 a/T/0@0 [STATUS] [key=value ...]   an ok send; STATUS is SEND_OK by default
//	10-20 info 2 [a/T/0]                             of unknown outcome; "10-" has no completion
//	10-20 fail 3
//	30-40 poll a/T/0 from=0 0:1 1:2 2:3x end=3 group=g   x: corrupt
//	50-60 read a-0 a/T/0 from=0 0:1 end=1
//	final a-0 a/T/0 0:1 end=1                        two complete reads after everything
//	70,71,80,90 power a-0 processes=1                start, down, restart, heal; "-" leaves a phase out
//	70 role a a-1 master
//	80 caught-up a a-1
//
// Every field can be set by key=value; values are strings but p, from, end, first, offset, retry and filter.
func script(header, text string) string {
	type line struct {
		t    int64
		text string
	}
	var lines []line
	final := int64(1_000_000_000)
	op := 0
	add := func(t int64, fields map[string]any) {
		fields["t"], fields["op"] = t, op
		b, err := json.Marshal(fields)
		if err != nil {
			panic(err)
		}
		lines = append(lines, line{t, string(b)})
	}
	for row := range strings.Lines(text) {
		words := strings.Fields(row)
		if len(words) == 0 {
			continue
		}
		op++
		if words[0] == "final" {
			for range 2 {
				pair(add, append([]string{fmt.Sprintf("%d-%d", final, final+5), "read"}, append(words[1:], "from=0")...))
				final += 10
				op++
			}
			continue
		}
		switch words[1] {
		case "role":
			t, _ := strconv.ParseInt(words[0], 10, 64)
			add(t, map[string]any{"p": -1, "type": "info", "f": "role", "queueGroup": words[2], "node": words[3], "role": words[4]})
		case "caught-up":
			t, _ := strconv.ParseInt(words[0], 10, 64)
			add(t, map[string]any{"p": -1, "type": "info", "f": "caught-up", "queueGroup": words[2], "node": words[3]})
		case "send", "info", "fail", "poll", "read":
			pair(add, words)
		default:
			fault(add, words)
		}
	}
	slices.SortStableFunc(lines, func(a, b line) int { return cmp.Compare(a.t, b.t) })
	var b strings.Builder
	for _, field := range []string{`"nodes":["a-0","a-1"]`, `"masters":{"a":"a-0"}`} {
		if name, _, _ := strings.Cut(field, ":"); !strings.Contains(header, name) {
			header = strings.TrimSuffix(field+","+header, ",")
		}
	}
	fmt.Fprintf(&b, `{"history":1,%s}`+"\n", header)
	for _, l := range lines {
		b.WriteString(l.text + "\n")
	}
	return b.String()
}

// pair adds an invoke and its completion.
func pair(add func(int64, map[string]any), words []string) {
	from, to, _ := strings.Cut(words[0], "-")
	invoke, completion := map[string]any{"p": 1, "type": "invoke"}, map[string]any{"p": 1, "type": "ok"}
	set := func(key string, v any) { invoke[key], completion[key] = v, v }
	rest := words[2:]
	switch words[1] {
	case "send", "info", "fail":
		set("f", "send")
		v, err := strconv.ParseUint(rest[0], 10, 64)
		if err != nil {
			panic(err)
		}
		set("value", v)
		if words[1] != "send" {
			completion["type"] = words[1]
		}
		rest = rest[1:]
	case "poll":
		set("f", "poll")
		completion["msgs"] = [][]any{}
	case "read":
		set("f", "read")
		set("node", rest[0])
		completion["msgs"] = [][]any{}
		rest = rest[1:]
	}
	for _, w := range rest {
		field(w, words[1], set, completion)
	}
	if words[1] == "send" && completion["status"] == nil {
		completion["status"] = "SEND_OK"
	}
	t, err := strconv.ParseInt(from, 10, 64)
	if err != nil {
		panic(err)
	}
	add(t, invoke)
	if to == "" {
		return
	}
	if t, err = strconv.ParseInt(to, 10, 64); err != nil {
		panic(err)
	}
	add(t, completion)
}

// field sets what one word says.
func field(w, kind string, set func(string, any), completion map[string]any) {
	if key, v, ok := strings.Cut(w, "="); ok {
		if n, err := strconv.ParseInt(v, 10, 64); err == nil {
			if key == "p" || key == "from" || key == "retry" {
				set(key, n)
			} else {
				completion[key] = n
			}
			return
		}
		switch {
		case key == "filter":
			completion[key] = true
		case key == "group":
			set(key, v)
		default:
			completion[key] = v
		}
		return
	}
	if o, v, ok := strings.Cut(w, ":"); ok {
		offset, err := strconv.ParseInt(o, 10, 64)
		if err != nil {
			panic(err)
		}
		text, corrupt := strings.CutSuffix(v, "x")
		n, err := strconv.ParseUint("0"+text, 10, 64)
		if err != nil {
			panic(err)
		}
		msg := []any{offset, n}
		if corrupt {
			msg = append(msg, "corrupt")
		}
		completion["msgs"] = append(completion["msgs"].([][]any), msg)
		return
	}
	if strings.Contains(w, "/") {
		queue, offset, acked := strings.Cut(w, "@")
		if !acked {
			set("queue", queue)
			return
		}
		completion["queue"] = queue
		n, err := strconv.ParseInt(offset, 10, 64)
		if err != nil {
			panic(err)
		}
		completion["offset"] = n
		return
	}
	if kind != "send" {
		panic("what is " + w)
	}
	completion["status"] = w
}

// fault adds the phases of a fault.
func fault(add func(int64, map[string]any), words []string) {
	times := strings.Split(words[0], ",")
	effect := map[string]int64{}
	for _, w := range words[3:] {
		key, v, _ := strings.Cut(w, "=")
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			panic(err)
		}
		effect[key] = n
	}
	phases := []string{"start", "down", "restart", "heal"}
	if len(times) == 2 {
		phases = []string{"start", "heal"}
	}
	told := false
	for i, phase := range phases {
		t, err := strconv.ParseInt(times[i], 10, 64)
		if err != nil {
			continue
		}
		fields := map[string]any{"p": -1, "type": "info", "f": "fault", "name": words[1], "nodes": strings.Split(words[2], ","), "phase": phase}
		if (phase == "down" || phase == "heal") && !told && len(effect) > 0 {
			fields["effect"], told = effect, true
		}
		add(t, fields)
	}
}

// judge reads and checks a script.
func judge(t *testing.T, header, text string) checker.Result {
	t.Helper()
	lines := script(header, text)
	h, err := history.ReadLines("script", strings.NewReader(lines))
	if err != nil {
		t.Fatalf("%v\n%s", err, lines)
	}
	return checker.Check(h)
}
