package scenario

// Marks: named states of brokers and stores that a search in the simulator may have to reach, so that it is known to have been there.
const (
	MarkCleanClose    = "closed cleanly"
	MarkNotClosed     = "not closed"
	MarkTornTail      = "torn tail recovered"
	MarkTailRewritten = "tail written anew"
	MarkFileRemoved   = "file behind the end removed"
	MarkQueuesRebuilt = "consume queues rebuilt"
	MarkGroupCommit   = "group commit of several"
	MarkSlaveBeyond   = "slave beyond the master's end"
	MarkSlaveGivenUp  = "slave given up"
	MarkChunkRefused  = "chunk refused"
	MarkDiskFull      = "disk full"
	MarkDiskSpace     = "disk has space again"
	MarkMasterFound   = "master found"
	MarkAway          = "name server away"
	MarkHalted        = "halted"
	MarkTruncated     = "slave truncated"
	MarkElected       = "master elected"
	MarkDiskTimeout   = "answer FLUSH_DISK_TIMEOUT"
	MarkSlaveTimeout  = "answer FLUSH_SLAVE_TIMEOUT"
	MarkSlaveAbsent   = "answer SLAVE_NOT_AVAILABLE"
)

// MarkNames lists the marks.
func MarkNames() []string {
	return []string{
		MarkCleanClose, MarkNotClosed, MarkTornTail, MarkTailRewritten, MarkFileRemoved, MarkQueuesRebuilt, MarkGroupCommit, MarkSlaveBeyond,
		MarkSlaveGivenUp, MarkChunkRefused, MarkDiskFull, MarkDiskSpace, MarkMasterFound, MarkAway, MarkHalted, MarkTruncated, MarkElected,
		MarkDiskTimeout, MarkSlaveTimeout, MarkSlaveAbsent,
	}
}
