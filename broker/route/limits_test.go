package route

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"holdfast/broker/remoting"
)

func bounded(change func(*Limits)) *Registry {
	cfg := DefaultConfig()
	change(&cfg.Limits)
	return New(cfg)
}

// TestRegistrationsAreBounded: what a registration brings beyond a limit is refused with the number and the limit, nothing of it is kept,
// and who is there already goes on.
func TestRegistrationsAreBounded(t *testing.T) {
	long := strings.Repeat("x", 21)
	for _, row := range []struct {
		says  string
		limit func(*Limits)
		last  node
		want  string // "" when it is taken
	}{
		{"the third broker of two", func(l *Limits) { l.Nodes = 2 }, node{name: "c", addr: "3:1"}, "3 brokers, the limit is 2"},
		{"a broker again", func(l *Limits) { l.Nodes = 2 }, node{name: "b", addr: "2:1"}, ""},
		{"a fifth topic", func(l *Limits) { l.Topics = 4 }, node{name: "b", addr: "2:1", counter: 1, topics: []string{"A", "B", "C", "D", "E"}}, "5 topics, the limit is 4"},
		{"the fourth", func(l *Limits) { l.Topics = 4 }, node{name: "b", addr: "2:1", counter: 1, topics: []string{"A", "B", "C", "D"}}, ""},
		{"a sixth entry", func(l *Limits) { l.Entries = 5 }, node{name: "c", addr: "3:1"}, "6 queue entries of topics in broker groups, the limit is 5"},
		{"the fifth", func(l *Limits) { l.Entries = 5 }, node{name: "b", addr: "2:1", counter: 1, topics: []string{"A", "B", "C"}}, ""},
		{"a long name of a topic", func(l *Limits) { l.NameBytes = 20 }, node{name: "c", addr: "3:1", topics: []string{"A", long}}, "21 bytes in the name of a topic, the limit is 20"},
		{"a long name of a group", func(l *Limits) { l.NameBytes = 20 }, node{name: long, addr: "3:1"}, "21 bytes in a name or an address, the limit is 20"},
	} {
		r := bounded(row.limit)
		for _, n := range []node{{name: "a", addr: "1:1"}, {name: "b", addr: "2:1"}} {
			if _, err := n.register(t, r, time.Second); err != nil {
				t.Fatalf("%s: %v", row.says, err)
			}
		}
		before := fmt.Sprint(r.live, r.groups, r.topics)
		_, err := row.last.register(t, r, 2*time.Second)
		switch {
		case row.want == "" && err != nil:
			t.Errorf("%s: %v", row.says, err)
		case row.want != "" && (!errors.Is(err, ErrLimit) || !strings.Contains(err.Error(), row.want)):
			t.Errorf("%s: got %v, want %q", row.says, err, row.want)
		case row.want != "" && fmt.Sprint(r.live, r.groups, r.topics) != before:
			t.Errorf("%s: something of it was kept", row.says)
		}
	}
}

// TestTheControllerIsBounded: a node too many is refused, one that is known comes back, and no id makes the next one overflow.
func TestTheControllerIsBounded(t *testing.T) {
	cfg := DefaultControllerConfig()
	cfg.Limits = DefaultLimits()
	cfg.Limits.Nodes, cfg.Limits.NameBytes = 2, 20
	c, err := NewController(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		says, group, addr string
		id                int64
		want              string
	}{
		{"the first", "a", "1:1", 0, ""},
		{"an id that has no next one", "b", "2:1", 1<<63 - 1, "brokerId 9223372036854775807"},
		{"a long name", strings.Repeat("b", 21), "2:1", 0, "21 bytes"},
		{"the second", "b", "2:1", nodeIDMax, ""},
		{"the third", "a", "3:1", 0, "3 brokers, the limit is 2"},
		{"the first again", "a", "1:1", 0, ""},
	} {
		h := remoting.NodeHeader{BrokerHeader: remoting.BrokerHeader{BrokerName: row.group, BrokerAddr: row.addr, ClusterName: "C", BrokerID: row.id}, Incarnation: 1}
		w := remoting.Begin(nil, &remoting.Frame{Code: remoting.RequestControllerRegisterBroker, Opaque: 1})
		h.Append(&w)
		f, _, _ := remoting.Decode(w.Finish(nil))
		frame, _ := c.Step(time.Second, 1, &f)
		got, _, _ := remoting.Decode(frame)
		if (got.Code == 0) != (row.want == "") || !strings.Contains(string(got.Remark), row.want) {
			t.Errorf("%s: got %d %q, want %q", row.says, got.Code, got.Remark, row.want)
		}
	}
}

// TestTablesAreBounded: the other two ways to make a name server keep something.
func TestTablesAreBounded(t *testing.T) {
	r := bounded(func(l *Limits) { l.Topics, l.Entries, l.Keys, l.KVBytes = 3, 4, 2, 20 })
	for _, n := range []node{{name: "a", addr: "1:1"}, {name: "b", addr: "2:1", topics: []string{"A", "A2"}}} {
		if _, err := n.register(t, r, time.Second); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.RegisterTopic("D", []remoting.QueueData{{BrokerName: "a"}}); !errors.Is(err, ErrLimit) {
		t.Errorf("a fourth topic: %v", err)
	}
	if _, err := r.RegisterTopic("B", []remoting.QueueData{{BrokerName: "b"}}); !errors.Is(err, ErrLimit) {
		t.Errorf("a fifth entry: %v", err)
	}
	if _, err := r.RegisterTopic("A", []remoting.QueueData{{BrokerName: "a", Perm: 2}, {BrokerName: "b", Perm: 2}}); err != nil {
		t.Errorf("entries that are there: %v", err)
	}
	put := func(key, value, want string) {
		t.Helper()
		h := remoting.KVHeader{Namespace: "n", Key: key, Value: value}
		w := remoting.Begin(nil, &remoting.Frame{Code: remoting.RequestPutKVConfig, Opaque: 1})
		h.Append(&w)
		f, _, _ := remoting.Decode(w.Finish(nil))
		got, _, _ := remoting.Decode(r.Step(0, 1, &f, nil))
		if (got.Code == 0) != (want == "") || !strings.Contains(string(got.Remark), want) {
			t.Errorf("key %s: got %d %q, want %q", key, got.Code, got.Remark, want)
		}
	}
	put("k", "12345678", "")
	put("l", "12345678", "")
	put("l", "123456789", "21 bytes in the KV table, the limit is 20")
	put("m", "1", "3 keys in the KV table, the limit is 2")
	put("k", "1", "")
	put("l", "123456789", "")
}
