package network

import "holdfast/nemesis/network/rule"

// Rule is what the switch does to packets.
type Rule = rule.Rule

// RuleID names a rule that is in force; 1, 2, ... in the order in which they were set.
type RuleID int64

// Counters say what a rule did, in packets. A packet may count in several of them, and once in Changed.
type Counters struct {
	Matched    int64 `json:"matched"`
	Dropped    int64 `json:"dropped"` // by Drop, Loss, or because a rate's queue was full
	Delayed    int64 `json:"delayed"`
	Duplicated int64 `json:"duplicated"`
	Reordered  int64 `json:"reordered"` // that another packet did overtake
	Held       int64 `json:"held"`      // by Clog
	Limited    int64 `json:"limited"`   // that had to wait for the rate
	Changed    int64 `json:"changed"`   // to which any of these happened
	Bytes      int64 `json:"bytes"`     // of IP in Changed
}

// Affected returns how many packets the rule really changed: the effect "packets" of contracts.md.
func (c Counters) Affected() int64 { return c.Changed }

// Add returns the sum of two rules' counters.
func (c Counters) Add(d Counters) Counters {
	return Counters{
		Matched: c.Matched + d.Matched, Dropped: c.Dropped + d.Dropped, Delayed: c.Delayed + d.Delayed,
		Duplicated: c.Duplicated + d.Duplicated, Reordered: c.Reordered + d.Reordered, Held: c.Held + d.Held,
		Limited: c.Limited + d.Limited, Changed: c.Changed + d.Changed, Bytes: c.Bytes + d.Bytes,
	}
}
