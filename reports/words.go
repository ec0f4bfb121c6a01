package reports

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"holdfast/reports/result"
)

// count writes an integer with thousands separators: 34,150.
func count(n int64) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, s = "-", s[1:]
	}
	var b strings.Builder
	for i, digit := range s {
		if i > 0 && (len(s)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(digit)
	}
	return sign + b.String()
}

// rate writes msg/s, rounded to three significant digits from 1,000 on: more would be noise.
func rate(perSecond float64) string {
	if perSecond < 1000 {
		return count(int64(math.Round(perSecond)))
	}
	unit := math.Pow(10, math.Floor(math.Log10(perSecond))-2)
	return count(int64(math.Round(perSecond/unit) * unit))
}

// millis writes a figure in ms with three significant digits: 0.21, 1.02, 12.3, 261.
func millis(ms float64) string {
	switch {
	case ms == 0:
		return "0"
	case ms < 10:
		return strconv.FormatFloat(ms, 'f', 2, 64)
	case ms < 100:
		return strconv.FormatFloat(ms, 'f', 1, 64)
	}
	return count(int64(math.Round(ms)))
}

// span writes a time with its unit: 31 us, 0.21 ms, 261 ms, 1.3 s.
func span(ms float64) string {
	if ms > 0 && ms < 0.1 {
		return strconv.FormatFloat(ms*1000, 'f', 0, 64) + " us"
	}
	if ms < 1000 {
		return millis(ms) + " ms"
	}
	return strconv.FormatFloat(ms/1000, 'f', 1, 64) + " s"
}

// lasting writes how long something takes, for people: 40 s, 2 min 50 s, 1 h 5 min.
func lasting(d time.Duration) string {
	s := int64(math.Round(d.Seconds()))
	switch {
	case s < 60:
		return fmt.Sprintf("%d s", s)
	case s < 3600:
		return strings.TrimSuffix(fmt.Sprintf("%d min %d s", s/60, s%60), " 0 s")
	}
	return strings.TrimSuffix(fmt.Sprintf("%d h %d min", s/3600, s%3600/60), " 0 min")
}

// percent writes a probability in whole percent; what is not certain is never rounded to 100%.
func percent(p float64) string {
	whole := math.Round(p * 100)
	if p < 1 {
		whole = min(whole, 99)
	}
	return strconv.FormatFloat(whole, 'f', 0, 64) + "%"
}

// plural writes 1 cut, 3 cuts.
func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return count(int64(n)) + " " + one + "s"
}

// list joins words as a sentence does: a, b and c.
func list(words []string) string {
	switch len(words) {
	case 0:
		return ""
	case 1:
		return words[0]
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}

// trial is what the trials of a fault are called.
func trial(fault string) string {
	switch fault {
	case "power":
		return "cut"
	case "kill":
		return "kill"
	}
	return "trial"
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

// recoveryTitle says in words how the system came back.
func recoveryTitle(recovery string) string {
	switch recovery {
	case "returns":
		return "the failed machine returns"
	case "promoted":
		return "the slave is promoted"
	case "":
		return "no recovery needed"
	}
	return recovery
}

// contractTitle says a contract in the words of a sentence: "SYNC_MASTER (inSyncReplicas=2) with ASYNC_FLUSH".
func contractTitle(c result.Contract) string {
	if c.BrokerRole == "" {
		return c.Name
	}
	role := c.BrokerRole
	if c.BrokerRole == "SYNC_MASTER" {
		role = fmt.Sprintf("SYNC_MASTER (inSyncReplicas=%d)", max(c.InSyncReplicas, 1))
	}
	return role + " with " + flushLabel(c)
}

// flushLabel is the flush type, with the slave's where it differs.
func flushLabel(c result.Contract) string {
	label := c.FlushDiskType
	if c.TransientStorePool {
		label += "+pool"
	}
	if c.SlaveFlushDiskType != "" && c.SlaveFlushDiskType != c.FlushDiskType {
		label += " (slave " + c.SlaveFlushDiskType + ")"
	}
	return label
}
