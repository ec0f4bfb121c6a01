package broker

import "time"

// The tables of topics and groups are saved, and topics told to the name servers, with every change while they are small: whoever
// creates a topic finds it at once. A large table costs milliseconds to write down, which a client that makes topics or groups in a
// loop would take from everybody: it is written down at most once in laterBy. After a power cut the queues of the store tell which
// topics there were (see adopt).
const (
	laterAbove = 64 // entries
	laterBy    = 100 * time.Millisecond
)

// lateTable is the state of one table's saving.
type lateTable struct {
	unsaved bool
	next    time.Duration // when it may be saved again
}

// late notes a change, and reports whether it is saved later.
func (t *lateTable) late(entries int, now time.Duration) bool {
	t.unsaved = true
	return entries > laterAbove && now < t.next
}

func (t *lateTable) saved(now time.Duration) {
	*t = lateTable{next: now + laterBy}
}

// due returns when the table is to be saved; 0 when nothing changed.
func (t *lateTable) due() time.Duration {
	if !t.unsaved {
		return 0
	}
	return max(t.next, 1)
}

func (n *Node) topicsChanged(out *Output) {
	n.topics.version.Counter++
	n.topics.version.Timestamp = n.now.Wall
	n.topics.changes++
	if !n.lateTopics.late(len(n.topics.sorted), n.now.Mono) {
		n.saveTopics(out)
	}
}

func (n *Node) saveTopics(out *Output) {
	n.lateTopics.saved(n.now.Mono)
	n.topics.saved = n.topics.changes
	table := n.topics.table()
	n.save(topicsFile, table.Append(nil), out)
	n.register(out)
}

func (n *Node) groupsChanged(out *Output) {
	n.groups.version.Counter++
	n.groups.version.Timestamp = n.now.Wall
	if !n.lateGroups.late(len(n.groups.sorted), n.now.Mono) {
		n.saveGroups(out)
	}
}

func (n *Node) saveGroups(out *Output) {
	n.lateGroups.saved(n.now.Mono)
	table := n.groups.table()
	n.save(groupsFile, table.Append(nil), out)
}

// saveLate saves what was put off: what is due, or all.
func (n *Node) saveLate(all bool, out *Output) {
	if t := n.lateTopics.due(); t != 0 && (all || n.now.Mono >= t) {
		n.saveTopics(out)
	}
	if t := n.lateGroups.due(); t != 0 && (all || n.now.Mono >= t) {
		n.saveGroups(out)
	}
}
