package rule

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"holdfast/nemesis"
)

// reorderDelay is how late a reordered packet is when the fault does not say.
const reorderDelay = 10 * time.Millisecond

// ErrNoEffect is returned for a fault that no packet could meet: the effect that a cell needs would never come.
var ErrNoEffect = errors.New("network: no two hosts are concerned")

// Of turns a network fault into rules. targets and peers are the hosts that the fault's roles stand for; no peers:
// everybody else. nodes are all broker nodes in order, all are all hosts, the name server and the clients among them.
//
// Partitions: full drops both ways between targets and peers that are no targets; one-way what targets send to those;
// isolate whatever a target sends or receives. bridge and ring are about nodes alone, which clients and the name server reach as before:
// with bridge the first target, or without one the middle node, is what the two halves of the others, in order, have in
// common; with ring each node sees those beside it, the last and the first being neighbours.
//
// All other kinds meet each packet between targets and peers once, whichever way it goes, so that a delay counts twice
// in a round trip. Without peers they also meet what targets send to each other. A rate is that of a card: each target
// has it for what it sends, and again for what it receives.
//
// It does not look at f.Off. It errs on kinds that are not the network's, and with ErrNoEffect.
func Of(f nemesis.Fault, targets, peers, nodes, all []string) ([]Rule, error) {
	var rules []Rule
	var err error
	switch f.Kind {
	case nemesis.Partition:
		rules, err = partition(f.Params.Shape, targets, peers, nodes, all)
	case nemesis.Bandwidth:
		for _, t := range targets {
			rules = append(rules, between([]string{t}, peers, all)...)
		}
	case nemesis.Delay, nemesis.Loss, nemesis.Duplicate, nemesis.Reorder, nemesis.Clog:
		rules = between(targets, peers, all)
	default:
		err = fmt.Errorf("network: the fault %q is not one of the network", f.Kind)
	}
	if err != nil {
		return nil, err
	}
	if len(rules) == 0 {
		return nil, fmt.Errorf("%w: %s of %v from %v", ErrNoEffect, f.Kind, targets, peers)
	}
	for i := range rules {
		fill(&rules[i], f.Kind, f.Params)
		rules[i].Seed = f.Seed + uint64(i)
		if err := rules[i].Validate(); err != nil {
			return nil, fmt.Errorf("fault %s: %w", f.Kind, err)
		}
	}
	return rules, nil
}

// fill gives a rule the figures of a fault.
func fill(r *Rule, kind nemesis.Kind, p nemesis.Params) {
	switch kind {
	case nemesis.Partition:
		r.Drop = true
	case nemesis.Clog:
		r.Clog = true
	case nemesis.Delay:
		r.Delay, r.Jitter, r.Distribution = p.Delay, p.Jitter, p.Distribution
	case nemesis.Loss:
		r.Loss = p.Percent
	case nemesis.Duplicate:
		r.Duplicate = p.Percent
	case nemesis.Reorder:
		r.Reorder, r.Delay = p.Percent, p.Delay
		if r.Delay == 0 {
			r.Delay = reorderDelay
		}
	case nemesis.Bandwidth:
		r.Rate = p.Rate
	}
}

// partition returns the ways that a shape cuts.
func partition(shape nemesis.Shape, targets, peers, nodes, all []string) ([]Rule, error) {
	if len(peers) == 0 {
		peers = all
	}
	peers = without(peers, targets)
	switch shape {
	case nemesis.Full, "":
		return both(targets, peers), nil
	case nemesis.OneWay:
		return ways(targets, peers), nil
	case nemesis.Isolate:
		var rules []Rule
		for i, t := range targets { // the ways to earlier targets are cut already
			rules = append(rules, both([]string{t}, without(all, targets[:i+1]))...)
		}
		return rules, nil
	case nemesis.Bridge:
		return bridge(targets, nodes)
	case nemesis.Ring:
		return ring(nodes)
	}
	return nil, fmt.Errorf("network: shape %q: want full, one-way, isolate, bridge or ring", shape)
}

func bridge(targets, nodes []string) ([]Rule, error) {
	if len(nodes) < 3 {
		return nil, fmt.Errorf("%w: a bridge needs 3 nodes, there are %d", ErrNoEffect, len(nodes))
	}
	middle := nodes[len(nodes)/2]
	if len(targets) > 0 {
		if middle = targets[0]; !slices.Contains(nodes, middle) {
			return nil, fmt.Errorf("network: the bridge %q is not a node", middle)
		}
	}
	rest := without(nodes, []string{middle})
	half := len(rest) / 2
	return both(rest[:half], rest[half:]), nil
}

func ring(nodes []string) ([]Rule, error) {
	if len(nodes) < 4 {
		return nil, fmt.Errorf("%w: in a ring of %d everybody sees everybody", ErrNoEffect, len(nodes))
	}
	var rules []Rule
	n := len(nodes)
	for i := range nodes {
		var far []string
		for j := range nodes {
			if apart := (j - i + n) % n; apart > 1 && apart < n-1 {
				far = append(far, nodes[j])
			}
		}
		rules = append(rules, ways([]string{nodes[i]}, far)...)
	}
	return rules, nil
}

// between returns both ways between targets and peers; without peers, everything that targets send or receive. No packet
// meets both rules.
func between(targets, peers, all []string) []Rule {
	if len(peers) == 0 {
		others := without(all, targets)
		if len(targets) == 1 && len(others) == 0 {
			return nil
		}
		return append(ways(targets, all), ways(others, targets)...)
	}
	return append(ways(targets, peers), ways(without(peers, targets), targets)...)
}

// both returns the ways from a to b and back.
func both(a, b []string) []Rule { return append(ways(a, b), ways(b, a)...) }

// ways returns the way from some hosts to others: nothing when there are none, since no names would mean any.
func ways(from, to []string) []Rule {
	if len(from) == 0 || len(to) == 0 {
		return nil
	}
	return []Rule{{From: slices.Clone(from), To: slices.Clone(to)}}
}

// without returns the names that are not among those taken out, in their order.
func without(names, out []string) []string {
	var left []string
	for _, n := range names {
		if !slices.Contains(out, n) {
			left = append(left, n)
		}
	}
	return left
}
