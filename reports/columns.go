package reports

import (
	"strings"

	"holdfast/reports/result"
)

// columnWords is what reports call a column.
type columnWords struct {
	name   string // as --faults takes it
	head   string // of a column of a table: short lines
	title  string // of a table: what was done, and how the system came back
	clause string // of a sentence: when ...
	short  string // of the evidence of a claim: what was lost "by" it
}

// columns are the words of the columns of the matrix, in print order. What is not listed, such as the scenario of a user, gets words by
// its fault or its name.
var columns = []columnWords{
	{"kill-returns", "kill master\nit returns", "kill -9 of the master, it returns",
		"when the master was killed (kill -9) and returned", "kill -9"},
	{"power-returns", "power master\nit returns", "power loss of the master, it returns",
		"when the master lost power and returned", "power loss"},
	{"power-promoted", "power master\nslave promoted", "power loss of the master, the slave is promoted",
		"when the master lost power and the slave was promoted", "power loss"},
	{"power-returns-then-promoted", "power master\nit returns, writes go on,\nkilled, slave promoted",
		"power loss of the master, it returns, writes go on, it is killed, the slave is promoted",
		"when the master lost power, returned, took writes and was killed, and the slave was promoted", "power loss and kill -9 in a row"},
	{"power-all", "power all\nthey return", "power loss of all nodes, they return",
		"when all nodes lost power at one instant and returned", "power loss of all nodes"},
	{"disk-lost-promoted", "master's disk lost\nslave promoted", "loss of the master's disk, the slave is promoted",
		"when the master lost its disk and the slave was promoted", "loss of the disk"},
	{"disk-lost-returns", "master's disk lost\nit returns empty", "loss of the master's disk, it returns empty",
		"when the master lost its disk and returned empty", "loss of the disk"},
	{"partition-slave", "master cut off\nfrom the slave", "the master is cut off from the slave",
		"when the master was cut off from the slave", "a partition"},
	{"isolate-master", "master cut off\nwith its clients", "the master is cut off with its clients",
		"when the master was cut off with its clients", "a partition"},
	{"slow-slave", "slow slave", "the slave is slow", "while the slave was slow", "a slow slave"},
	{"fsync-error", "fsync error\nof the master", "an fsync of the master fails", "when an fsync of the master failed", "an fsync error"},
	{"trickle", "power master\nat a trickle", "power loss of the master at a trickle of load, it returns",
		"when the master lost power at a trickle of load and returned", "power at a trickle"},
	{"master-away", "master killed\naway for 5 s", "kill -9 of the only master, it returns after 5 s",
		"when the only master was killed and returned after 5 s", "kill -9"},
	{"another-group-takes-over", "1 of 2 masters\nkilled, away for 5 s", "kill -9 of one of two masters, it returns after 5 s",
		"when one of two masters was killed and returned after 5 s", "kill -9"},
	{"master-dark", "master without\npower for 5 s", "power loss of the only master, it returns after 5 s",
		"when the only master lost power and returned after 5 s", "power loss"},
	{"another-group-takes-over-dark", "1 of 2 masters\nwithout power for 5 s", "power loss of one of two masters, it returns after 5 s",
		"when one of two masters lost power and returned after 5 s", "power loss"},
}

// faultColumn is one fault with its target and recovery, or a scenario.
type faultColumn struct {
	name                    string // as --faults takes it
	fault, target, recovery string // of a scenario: of its first fault
}

// columnOf is the column that a cell stands in.
func columnOf(c *result.Cell) faultColumn {
	return faultColumn{c.Column(), c.Fault, c.Target, c.Recovery}
}

func (f faultColumn) title() string  { return f.words().title }
func (f faultColumn) clause() string { return f.words().clause }
func (f faultColumn) head() string   { return f.words().head }

// headline is the title as the first words of a line. A name stays as it is.
func (f faultColumn) headline() string {
	title := f.title()
	if title == f.name {
		return title
	}
	return strings.ToUpper(title[:1]) + title[1:]
}

// words looks the column up, and composes its words where it is not known: of its fault, or of a name that somebody gave it.
func (f faultColumn) words() columnWords {
	if i := knownColumn(f.name); i < len(columns) {
		return columns[i]
	}
	if f.name != result.Column(f.fault, f.target, f.recovery) {
		return columnWords{f.name, stack(f.name), f.name, "under " + f.name, f.name}
	}
	return columnWords{f.name, faultHead(f.fault, f.target, f.recovery), faultTitle(f.fault, f.target, f.recovery),
		faultClause(f.fault, f.target, f.recovery), faultWord(f.fault)}
}

// knownColumn is the index of a column's words, and behind all for one that is not listed.
func knownColumn(name string) int {
	for i, w := range columns {
		if w.name == name {
			return i
		}
	}
	return len(columns)
}

// stack breaks a name after its hyphens into lines of about a dozen columns, as heads have them.
func stack(name string) string {
	const lineMax = 14
	var b strings.Builder
	at := 0
	for part := range strings.SplitAfterSeq(name, "-") {
		if at > 0 && at+len(part) > lineMax {
			b.WriteByte('\n')
			at = 0
		}
		b.WriteString(part)
		at += len(part)
	}
	return b.String()
}

// faultTitle says in words what was done and how the system came back: "power loss of the master, it returns".
func faultTitle(fault, target, recovery string) string {
	title := faultWord(fault)
	many := target == "all"
	switch {
	case many:
		title += " of all nodes"
	case target != "":
		title += " of the " + target
	}
	switch {
	case recovery == "returns" && many:
		title += ", they return"
	case recovery == "returns":
		title += ", it returns"
	case recovery == "promoted":
		title += ", the slave is promoted"
	case recovery != "":
		title += ", " + recovery
	}
	return title
}

// faultClause says what happened, for a sentence: "when the master lost power and returned".
func faultClause(fault, target, recovery string) string {
	who, verb := "the "+target, "was"
	switch target {
	case "all":
		who, verb = "all nodes", "were"
	case "":
		who = "a node"
	}
	what := map[string]string{
		"kill":      verb + " killed (kill -9)",
		"power":     "lost power",
		"disk-lost": "lost the disk",
		"pause":     verb + " paused",
	}[fault]
	if what == "" {
		what = "suffered " + fault
	}
	if target == "all" && fault == "power" {
		what += " at one instant"
	}
	switch recovery {
	case "returns":
		what += " and returned"
	case "promoted":
		what += " and the slave was promoted"
	}
	return "when " + who + " " + what
}

// faultHead is faultTitle in two short lines, for the head of a column.
func faultHead(fault, target, recovery string) string {
	head := fault
	if target != "" {
		head += " " + target
	}
	switch {
	case recovery == "returns" && target == "all":
		return head + "\nthey return"
	case recovery == "returns":
		return head + "\nit returns"
	case recovery == "promoted":
		return head + "\nslave promoted"
	}
	return head + "\n" + recovery
}

func faultWord(fault string) string {
	switch fault {
	case "kill":
		return "kill -9"
	case "power":
		return "power loss"
	case "disk-lost":
		return "loss of the disk"
	}
	return fault
}
