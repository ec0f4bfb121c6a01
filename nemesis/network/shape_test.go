package network

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"holdfast/nemesis"
	"holdfast/nemesis/network/rule"
)

// The hosts of the partition tests: five nodes, and two others.
var (
	nodes = []string{"n1", "n2", "n3", "n4", "n5"}
	all   = []string{"n1", "n2", "n3", "n4", "n5", "namesrv", "clients"}
)

// shapeCase is a partition and who reaches whom under it: a row a sender, a column a receiver, both in the order of all.
type shapeCase struct {
	name           string
	shape          nemesis.Shape
	targets, peers []string
	want           string
}

var shapeCases = []shapeCase{
	{"full: two from one", nemesis.Full, []string{"n1", "n2"}, []string{"n3"}, `
		. + - + + + +
		+ . - + + + +
		- - . + + + +
		+ + + . + + +
		+ + + + . + +
		+ + + + + . +
		+ + + + + + .`},
	{"full: two from everybody else", nemesis.Full, []string{"n1", "n2"}, nil, `
		. + - - - - -
		+ . - - - - -
		- - . + + + +
		- - + . + + +
		- - + + . + +
		- - + + + . +
		- - + + + + .`},
	{"full: a node from the clients", nemesis.Full, []string{"n1"}, []string{"clients"}, `
		. + + + + + -
		+ . + + + + +
		+ + . + + + +
		+ + + . + + +
		+ + + + . + +
		+ + + + + . +
		- + + + + + .`},
	{"one-way: what a node sends to two", nemesis.OneWay, []string{"n1"}, []string{"n2", "n3"}, `
		. - - + + + +
		+ . + + + + +
		+ + . + + + +
		+ + + . + + +
		+ + + + . + +
		+ + + + + . +
		+ + + + + + .`},
	{"one-way: what two send to everybody else", nemesis.OneWay, []string{"n4", "n5"}, nil, `
		. + + + + + +
		+ . + + + + +
		+ + . + + + +
		- - - . + - -
		- - - + . - -
		+ + + + + . +
		+ + + + + + .`},
	{"isolate: two nodes, from each other, too", nemesis.Isolate, []string{"n2", "n4"}, nil, `
		. - + - + + +
		- . - - - - -
		+ - . - + + +
		- - - . - - -
		+ - + - . + +
		+ - + - + . +
		+ - + - + + .`},
	{"bridge: the middle node", nemesis.Bridge, nil, nil, `
		. + + - - + +
		+ . + - - + +
		+ + . + + + +
		- - + . + + +
		- - + + . + +
		+ + + + + . +
		+ + + + + + .`},
	{"bridge: the target", nemesis.Bridge, []string{"n5"}, nil, `
		. + - - + + +
		+ . - - + + +
		- - . + + + +
		- - + . + + +
		+ + + + . + +
		+ + + + + . +
		+ + + + + + .`},
	{"ring", nemesis.Ring, nil, nil, `
		. + - - + + +
		+ . + - - + +
		- + . + - + +
		- - + . + + +
		+ - - + . + +
		+ + + + + . +
		+ + + + + + .`},
}

// TestShapes holds who reaches whom under each partition by packets that pass or do not, and that everybody reaches
// everybody once it has ended.
func TestShapes(t *testing.T) {
	m := newMatrix(newRig(t, Config{}, all...))
	for _, tt := range shapeCases {
		rules, err := rule.Of(nemesis.Fault{Kind: nemesis.Partition, Params: nemesis.Params{Shape: tt.shape}}, tt.targets, tt.peers, nodes, all)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		pairsOf(t, tt.name, rules)
		var ids []RuleID
		for _, r := range rules {
			ids = append(ids, m.r.set(r))
		}
		want := strings.ReplaceAll(strings.TrimSpace(tt.want), "\t", "")
		got := m.reach(ids)
		if got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", tt.name, got, want)
		}
		var sum Counters
		for _, id := range ids {
			sum = sum.Add(m.r.clear(id))
		}
		if cut := int64(strings.Count(want, "-")); sum.Dropped != cut || sum.Affected() != cut {
			t.Errorf("%s: counters %+v, want %d packets dropped", tt.name, sum, cut)
		}
		if got := m.reach(nil); strings.Contains(got, "-") {
			t.Errorf("%s, ended: got\n%s", tt.name, got)
		}
	}
}

// matrix finds out who reaches whom.
type matrix struct {
	r     *rig
	conns []*net.UDPConn // by host

	mu    sync.Mutex
	round byte
	got   map[[2]int]bool // (from, to) of the round's packets
}

func newMatrix(r *rig) *matrix {
	m := &matrix{r: r, got: map[[2]int]bool{}}
	for to, name := range r.names {
		c := r.udp(name)
		m.conns = append(m.conns, c)
		go func() {
			b := make([]byte, 16)
			for {
				if _, err := c.Read(b); err != nil {
					return
				}
				m.mu.Lock()
				if b[0] == m.round {
					m.got[[2]int{int(binary.BigEndian.Uint16(b[1:])), to}] = true
				}
				m.mu.Unlock()
			}
		}()
	}
	return m
}

// reach has each host send a packet to each other one, waits until all have arrived or have been dropped by the rules,
// and draws who has got whose.
func (m *matrix) reach(ids []RuleID) string {
	m.r.t.Helper()
	m.mu.Lock()
	m.round++
	clear(m.got)
	m.mu.Unlock()
	pairs := 0
	for i, from := range m.conns {
		for j, to := range m.conns {
			if i == j {
				continue
			}
			pairs++
			b := binary.BigEndian.AppendUint16([]byte{m.round}, uint16(i))
			if _, err := from.WriteTo(b, to.LocalAddr()); err != nil {
				m.r.t.Fatal(err)
			}
		}
	}
	eventually(m.r.t, func() bool {
		settled := 0
		for _, id := range ids {
			c, err := m.r.c.Counters(id)
			if err != nil {
				m.r.t.Fatal(err)
			}
			settled += int(c.Dropped)
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		return settled+len(m.got) == pairs
	})
	m.mu.Lock()
	defer m.mu.Unlock()
	var rows []string
	for i := range m.conns {
		var row []string
		for j := range m.conns {
			mark := "-"
			switch {
			case i == j:
				mark = "."
			case m.got[[2]int{i, j}]:
				mark = "+"
			}
			row = append(row, mark)
		}
		rows = append(rows, strings.Join(row, " "))
	}
	return strings.Join(rows, "\n")
}

// TestFaultsAsRules holds that no packet between two hosts meets two rules of a fault, which of them meet one, and the
// figures in them.
func TestFaultsAsRules(t *testing.T) {
	ms := time.Millisecond
	for _, tt := range []struct {
		name           string
		fault          nemesis.Fault
		targets, peers []string
		pairs          int // (from, to) that a rule meets
		rules          int
		figures        Rule
	}{
		{"delay of one", nemesis.Fault{Kind: nemesis.Delay, Params: nemesis.Params{Delay: ms, Jitter: 2 * ms, Distribution: "pareto"}},
			[]string{"n1"}, nil, 12, 2, Rule{Delay: ms, Jitter: 2 * ms, Distribution: "pareto"}},
		{"delay of all nodes", nemesis.Fault{Kind: nemesis.Delay, Params: nemesis.Params{Delay: ms}}, nodes, nil, 40, 2, Rule{Delay: ms}},
		{"delay of all hosts", nemesis.Fault{Kind: nemesis.Delay, Params: nemesis.Params{Delay: ms}}, all, nil, 42, 1, Rule{Delay: ms}},
		{"loss between one and all nodes, itself among them", nemesis.Fault{Kind: nemesis.Loss, Params: nemesis.Params{Percent: 3}},
			[]string{"n1"}, nodes, 8, 2, Rule{Loss: 3}},
		{"loss between two and all nodes, both among them", nemesis.Fault{Kind: nemesis.Loss, Params: nemesis.Params{Percent: 3}},
			[]string{"n1", "n2"}, nodes, 14, 2, Rule{Loss: 3}},
		{"duplicate", nemesis.Fault{Kind: nemesis.Duplicate, Params: nemesis.Params{Percent: 3}}, []string{"n1"}, []string{"n2"}, 2, 2, Rule{Duplicate: 3}},
		{"reorder", nemesis.Fault{Kind: nemesis.Reorder, Params: nemesis.Params{Percent: 3}}, []string{"n1"}, []string{"n2"}, 2, 2,
			Rule{Reorder: 3, Delay: 10 * time.Millisecond}},
		{"clog", nemesis.Fault{Kind: nemesis.Clog}, []string{"n1", "n2"}, []string{"clients"}, 4, 2, Rule{Clog: true}},
		{"bandwidth of one", nemesis.Fault{Kind: nemesis.Bandwidth, Params: nemesis.Params{Rate: 1000}}, []string{"n1"}, nil, 12, 2, Rule{Rate: 1000}},
	} {
		tt.fault.Seed = 5
		rules, err := rule.Of(tt.fault, tt.targets, tt.peers, nodes, all)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if met := pairsOf(t, tt.name, rules); met != tt.pairs || len(rules) != tt.rules {
			t.Errorf("%s: %d rules for %d pairs of hosts, want %d for %d", tt.name, len(rules), met, tt.rules, tt.pairs)
		}
		for i, r := range rules {
			if want := tt.fault.Seed + uint64(i); r.Seed != want {
				t.Errorf("%s: rule %d has the seed %d, want %d", tt.name, i, r.Seed, want)
			}
			r.From, r.To, r.Seed = nil, nil, 0
			if fmt.Sprint(r) != fmt.Sprint(tt.figures) {
				t.Errorf("%s: figures %+v, want %+v", tt.name, r, tt.figures)
			}
		}
	}
}

// pairsOf returns how many (from, to) the rules meet, and holds that none meets two of them.
func pairsOf(t *testing.T, name string, rules []Rule) int {
	pairs := 0
	for _, from := range all {
		for _, to := range all {
			met := 0
			for _, r := range rules {
				if from != to && r.Matches(from, to) {
					met++
				}
			}
			pairs += min(met, 1)
			if met > 1 {
				t.Errorf("%s: a packet from %s to %s meets %d rules", name, from, to, met)
			}
		}
	}
	return pairs
}

// TestFaultsRefused holds that a fault without any packet to meet, or of another kind, is an error.
func TestFaultsRefused(t *testing.T) {
	partition := func(s nemesis.Shape) nemesis.Fault {
		return nemesis.Fault{Kind: nemesis.Partition, Params: nemesis.Params{Shape: s}}
	}
	for _, tt := range []struct {
		name           string
		fault          nemesis.Fault
		targets, peers []string
		nodes          []string
		noEffect       bool
	}{
		{"everybody from everybody else", partition(nemesis.Full), all, nil, nodes, true},
		{"a node from itself", partition(nemesis.OneWay), []string{"n1"}, []string{"n1"}, nodes, true},
		{"a ring of three", partition(nemesis.Ring), nil, nil, nodes[:3], true},
		{"a bridge of two", partition(nemesis.Bridge), nil, nil, nodes[:2], true},
		{"no targets", nemesis.Fault{Kind: nemesis.Clog}, nil, []string{"n1"}, nodes, true},
		{"a bridge that is no node", partition(nemesis.Bridge), []string{"clients"}, nil, nodes, false},
		{"an unknown shape", partition("star"), []string{"n1"}, nil, nodes, false},
		{"a process fault", nemesis.Fault{Kind: nemesis.Kill}, []string{"n1"}, nil, nodes, false},
		{"a share of 101 %", nemesis.Fault{Kind: nemesis.Loss, Params: nemesis.Params{Percent: 101}}, []string{"n1"}, nil, nodes, false},
		{"a delay of nothing", nemesis.Fault{Kind: nemesis.Delay}, []string{"n1"}, nil, nodes, false},
	} {
		rules, err := rule.Of(tt.fault, tt.targets, tt.peers, tt.nodes, slices.Concat(tt.nodes, all[len(nodes):]))
		if err == nil || errors.Is(err, rule.ErrNoEffect) != tt.noEffect {
			t.Errorf("%s: got %v and %v, no effect wanted: %v", tt.name, rules, err, tt.noEffect)
		}
	}
}
