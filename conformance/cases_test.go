package conformance

import (
	"strings"

	"holdfast/scenarios/cluster"
)

// feature is something that a client does with the broker: a row of docs/compat.md, and a case of the witness of that name.
type feature struct {
	name   string // of the case
	title  string
	queues int  // of its topic; 0: nobody creates it
	alone  bool // changes what the whole virtual machine does
	goOnly bool // Java has mqadmin for it
}

var features = []feature{
	{name: "send-long-names", title: "send with SEND_MESSAGE (long header names)", queues: 1, alone: true},
	{name: "send-binary", title: "headers in the ROCKETMQ binary form: send, batch, pull, push", queues: 1, alone: true},
	{name: "send-sync", title: "send, synchronously", queues: 1},
	{name: "send-async", title: "send, asynchronously", queues: 1},
	{name: "send-oneway", title: "send, oneway", queues: 1},
	{name: "send-batch", title: "send a batch", queues: 1},
	{name: "send-ordered", title: "send to queues by a selector", queues: 3},
	{name: "send-compressed", title: "compressed bodies (zlib; 5.5.0: LZ4, ZSTD)", queues: 1},
	{name: "send-properties", title: "properties, keys, tags, flag, unicode", queues: 1},
	{name: "send-too-long", title: "bodies and properties that are too long", queues: 1},
	{name: "send-new-topic", title: "a topic made by its first message"},
	{name: "send-delay-levels", title: "delay levels: 18 and beyond, none early", queues: 1},
	{name: "push", title: "push consumer: backlog and news of four queues", queues: 4},
	{name: "push-tags", title: "push consumer by tags (A || C)", queues: 2},
	{name: "push-from-last", title: "a new group from the last offset", queues: 1},
	{name: "push-from-timestamp", title: "a new group from a timestamp", queues: 1},
	{name: "offsets-kept", title: "a group goes on where it was", queues: 2},
	{name: "pull", title: "pull consumer: every outcome, offsets", queues: 2},
	{name: "search-by-time", title: "search of an offset by time", queues: 2},
	{name: "lite-pull-assign", title: "lite pull consumer: assign and seek", queues: 1},
	{name: "lite-pull-subscribe", title: "lite pull consumer: subscribe and commit", queues: 2},
	{name: "rebalance", title: "members join, leave and crash", queues: 4},
	{name: "broadcast", title: "broadcasting", queues: 2},
	{name: "orderly", title: "orderly consumers with queue locks", queues: 4},
	{name: "retry", title: "a refused message comes again after 10 s", queues: 1},
	{name: "dead-letters", title: "maxReconsumeTimes and dead letters", queues: 1},
	{name: "request-reply", title: "request and reply", queues: 1},
	{name: "own-admin", title: "topics and groups by the client's own admin", goOnly: true},
	{name: "query", title: "query by key, by unique id, by offset id", queues: 1},
	{name: "read-slave", title: "consuming goes on at the slave when the master is gone, and back", queues: 2},
}

// topic returns the name of a case's topic for a client, and group that of its group: clients do not meet.
func (f *feature) topic(client string) string { return camel(f.name) + "_" + mark(client) }
func (f *feature) group(client string) string { return "group-" + f.name + "-" + mark(client) }

// mark returns what names of a client end with: java-4.9.7 is java497.
func mark(client string) string { return strings.NewReplacer("-", "", ".", "").Replace(client) }

func camel(name string) (s string) {
	for part := range strings.SplitSeq(name, "-") {
		s += strings.ToUpper(part[:1]) + part[1:]
	}
	return s
}

// topics returns the topics of all cases for these clients.
func topics(clients []string) (all []cluster.Topic) {
	for _, client := range clients {
		for i := range features {
			if f := &features[i]; f.queues > 0 {
				all = append(all, cluster.Topic{Name: f.topic(client), Queues: f.queues})
			}
		}
		all = append(all, cluster.Topic{Name: adminTopic(client), Queues: 2})
	}
	return all
}

// pairs returns what the witness is told for the case.
func (f *feature) pairs(client string, at place, more ...string) []string {
	return append([]string{"ns=" + at.namesrv, "broker=a", "topic=" + f.topic(client), "group=" + f.group(client)}, more...)
}

// javaFeatures runs all cases of a client and returns what it saw, by case.
func javaFeatures(w *world, j *witness, client string) map[string]any {
	at := w.seenBy(client)
	saw := map[string]any{}
	waits := map[string]func() map[string]any{}
	for i := range features {
		f := &features[i]
		switch {
		case f.name == "read-slave" || f.goOnly || !selected(f.name):
		case f.alone:
			saw[f.name] = j.run(f.name, f.pairs(client, at)...)
		default:
			waits[f.name] = j.begin(f.name, f.pairs(client, at)...)
		}
	}
	for name, wait := range waits {
		saw[name] = wait()
	}
	return saw
}

// readSlave has every client consume with the master, without it and with it again, and adds what they saw.
func readSlave(w *world, clients map[string]*witness, saw map[string]map[string]any) {
	f := &features[len(features)-1]
	if !selected(f.name) {
		return
	}
	at := map[string]place{}
	for client := range clients {
		at[client] = w.seenBy(client)
		saw[client][f.name] = map[string]any{}
	}
	step := func(name, what, group string, more ...string) {
		waits := map[string]func() map[string]any{}
		for client, j := range clients {
			pairs := append(f.pairs(client, at[client], more...), "group="+f.group(client)+group)
			waits[client] = j.begin(what, pairs...)
		}
		for client, wait := range waits {
			saw[client][f.name].(map[string]any)[name] = wait()
		}
	}
	step("1 a group at the master", "start", "", "count=0")
	step("2 messages", "send", "", "first=0", "count=4", "queues=2")
	step("3 come", "await", "", "count=4")
	w.caughtUp()
	w.stopMaster()
	step("4 a new group at the slave", "start", "-slave", "count=4")
	w.startMaster()
	step("5 messages", "send", "", "first=4", "count=4", "queues=2")
	step("6 come from the master again", "await", "", "count=8")
	step("7 and to the new group", "await", "-slave", "count=8")
	step("8 stop", "stop", "")
	step("9 stop", "stop", "-slave")
}
