package checker

import (
	"fmt"
	"strings"

	"holdfast/checker/evidence"
	"holdfast/checker/history"
	"holdfast/checker/loss"
	"holdfast/checker/promise"
)

// doubts returns why a history cannot tell whether anything was kept: a fault that had no effect, too few
// acknowledgements, a log that nobody read to its end.
// Source: contracts.md sections 3 (Effects, Losses) and 5.
func doubts(ev *evidence.Evidence, lost *loss.Result) []string {
	h := ev.H
	out := append([]string{}, h.Cut...)
	acked := int64(0)
	for _, n := range lost.Acked {
		acked += n
	}
	if acked == 0 {
		out = append(out, "nothing was acknowledged")
	} else if acked < h.Header.Expect.MinAcks {
		out = append(out, fmt.Sprintf("%d messages were acknowledged, expected are at least %d", acked, h.Header.Expect.MinAcks))
	}
	for i := range h.Faults {
		out = append(out, doubt(&h.Faults[i])...)
	}
	for i, queue := range lost.Unread {
		if i == 10 {
			out = append(out, fmt.Sprintf("no complete read of %d more queues", len(lost.Unread)-i))
			break
		}
		group, _, _ := strings.Cut(queue, "/")
		out = append(out, fmt.Sprintf("no complete read of %s by %s, which serves it at the end: two that agree on the end are needed, after the last send and heal",
			queue, orUnknown(ev.Groups[group].Final())))
	}
	return out
}

func orUnknown(node string) string {
	if node == "" {
		return "an unknown node"
	}
	return node
}

// doubt returns what is missing for a fault to have been what it is called.
func doubt(f *history.FaultOp) []string {
	var out []string
	name := fmt.Sprintf("%s of %s", f.Name, strings.Join(f.Nodes, ", "))
	if len(f.Nodes) == 0 {
		name = f.Name
	}
	if promise.Stops(f.Name) && f.Down < 0 {
		out = append(out, name+": nothing says that it took effect (no down line)")
	} else if !affected(f) {
		out = append(out, fmt.Sprintf("%s: no effect was measured (%s)", name, strings.Join(guards(f.Name), " or ")))
	}
	if f.Heal < 0 {
		out = append(out, name+": it was not healed")
	}
	return out
}

// affected says that one of the figures that guard a fault is there and not zero.
func affected(f *history.FaultOp) bool {
	for _, key := range guards(f.Name) {
		if f.Effect[key] > 0 {
			return true
		}
	}
	return false
}

// guardsOf lists the figures of which a fault must have one, by the beginning of its name.
var guardsOf = []struct {
	names []string
	keys  []string
}{
	{[]string{"kill", "power"}, []string{"processes"}},
	{[]string{"disk-lost"}, []string{"files"}},
	{[]string{"pause", "clock"}, []string{"ms"}},
	{[]string{"partition", "isolate", "bridge", "one-way", "clients-from", "master-from", "network", "net-", "packet", "delay", "jitter",
		"loss", "duplicat", "reorder", "bandwidth", "clog"}, []string{"packets"}},
	{[]string{"fsync", "write", "read", "disk", "bit-flip", "torn"}, []string{"calls", "bytes"}},
}

// guards returns the figures of which a fault must have one; of a fault that is not known, any.
func guards(fault string) []string {
	for _, g := range guardsOf {
		for _, name := range g.names {
			if strings.HasPrefix(fault, name) {
				return g.keys
			}
		}
	}
	return []string{"processes", "files", "ms", "packets", "calls", "bytes"}
}
