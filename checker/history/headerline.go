package history

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// parseHeader reads the first line of a history and returns the rule that it breaks, or "".
func parseHeader(line []byte) (h Header, rule string) {
	if len(bytes.TrimSpace(line)) == 0 {
		return h, "no header"
	}
	var fields map[string]json.RawMessage
	if !json.Valid(line) {
		return h, "not JSON"
	}
	if err := json.Unmarshal(line, &fields); err != nil {
		return h, "not a JSON object"
	}
	version, found := fields["history"]
	if !found {
		return h, "no header"
	}
	if string(version) != "1" {
		return h, fmt.Sprintf("history version %s is not known; 1 is", version)
	}
	if masters, found := fields["masters"]; !found || string(masters) == "null" {
		return h, "a header without masters"
	}
	if err := json.Unmarshal(line, &h); err != nil {
		return h, "header: " + err.Error()
	}
	return h, h.rule()
}

// rule returns the rule that the header breaks, or "".
func (h *Header) rule() string {
	for _, status := range sortedNames(h.Promises) {
		p := h.Promises[status]
		if p.Copies < 0 {
			return fmt.Sprintf("header: copies of %s is negative", status)
		}
		levels := []Level{p.Level, p.Acker, p.Replicas}
		if p.Copies > 0 && p.Level == "" {
			return fmt.Sprintf("header: unknown level %q of %s", p.Level, status)
		}
		for _, level := range levels {
			if level != "" && !level.known() {
				return fmt.Sprintf("header: unknown level %q of %s", level, status)
			}
		}
	}
	if h.ReadsLevel != "" && !h.ReadsLevel.known() {
		return fmt.Sprintf("header: unknown level %q of reads", h.ReadsLevel)
	}
	if h.Reads != "" && h.Reads != "linearizable" && h.Reads != "prefix" {
		return fmt.Sprintf("header: reads are linearizable or prefix, not %q", h.Reads)
	}
	for _, queue := range sortedNames(h.Base) {
		if !IsQueue(queue) {
			return fmt.Sprintf("header: queue %q is not group/topic/id", queue)
		}
		if h.Base[queue] < 0 {
			return fmt.Sprintf("header: base of %s is not an integer in [0, 2^63)", queue)
		}
	}
	if h.Expect.MinAcks < 0 {
		return "header: minAcks is negative"
	}
	return ""
}

func (l Level) known() bool { return l == Memory || l == Cache || l == Disk }
