// Package rule says what may be done to packets between hosts, and turns a network fault whose roles are resolved into such rules. It is
// data: the packet switch, or a simulator, does it.
package rule

import (
	"fmt"
	"slices"
	"time"
)

// Rule does something to the packets that go from one of some hosts to one of some others. Several rules may meet one
// packet: it is dropped when one of them drops it, held until none holds it, and otherwise late by the sum of delays.
type Rule struct {
	From, To []string // names of hosts; empty: any

	Drop bool // all packets
	Clog bool // hold all packets until the rule is cleared, then let them go in order

	Delay        time.Duration // of each packet, one way; with Reorder of the chosen packets alone
	Jitter       time.Duration // spread around Delay; never below zero, and packets keep their order
	Distribution string        // of Jitter: uniform (default; within Delay +- Jitter), normal or pareto (Jitter is the deviation)

	Loss      float64 // percent of packets that are dropped, [0, 100]
	Duplicate float64 // percent of packets that arrive twice
	Reorder   float64 // percent of packets that are late by Delay while others overtake them

	Rate int64 // bytes/s of all packets of the rule together; 0: no limit

	Seed uint64 // of what chance decides; the n-th packet from a to b always meets the same fate
}

// Validate names the field that is out of range.
func (r Rule) Validate() error {
	for _, p := range []struct {
		name    string
		percent float64
	}{{"Loss", r.Loss}, {"Duplicate", r.Duplicate}, {"Reorder", r.Reorder}} {
		if !(p.percent >= 0 && p.percent <= 100) {
			return fmt.Errorf("network: %s %v: want 0 to 100 percent", p.name, p.percent)
		}
	}
	switch {
	case r.Delay < 0 || r.Jitter < 0:
		return fmt.Errorf("network: Delay %v, Jitter %v: want no negative ones", r.Delay, r.Jitter)
	case !slices.Contains([]string{"", "uniform", "normal", "pareto"}, r.Distribution):
		return fmt.Errorf("network: Distribution %q: want uniform, normal or pareto", r.Distribution)
	case r.Rate < 0:
		return fmt.Errorf("network: Rate %d: want bytes per second, 0 for no limit", r.Rate)
	case r.Reorder > 0 && r.Delay == 0:
		return fmt.Errorf("network: Reorder needs a Delay: how late the chosen packets are")
	case !r.Drop && !r.Clog && r.Delay == 0 && r.Jitter == 0 && r.Loss == 0 && r.Duplicate == 0 && r.Reorder == 0 && r.Rate == 0:
		return fmt.Errorf("network: the rule does nothing")
	}
	return nil
}

// Single reports whether the rule is about packets as a wire carries them, so that no larger segments may pass.
func (r Rule) Single() bool { return r.Loss > 0 || r.Duplicate > 0 || r.Reorder > 0 || r.Rate > 0 }

// Matches reports whether the rule is about packets from one host to another.
func (r Rule) Matches(from, to string) bool {
	return (len(r.From) == 0 || slices.Contains(r.From, from)) && (len(r.To) == 0 || slices.Contains(r.To, to))
}
