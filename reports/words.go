package reports

import (
	"fmt"
	"strings"

	"holdfast/reports/result"
)

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
