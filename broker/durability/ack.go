package durability

import "time"

// Status is the outcome of a put as its response code tells it.
type Status uint8

// Outcomes of a put. All but StatusNotEnough and StatusUnconfirmed mean that the message is stored.
// Source: PutMessageStatus, SendMessageProcessor.handlePutMessageResult (RocketMQ 5.3.3).
const (
	StatusOK                Status = iota // SEND_OK
	StatusFlushDiskTimeout                // stored, not yet on this disk when the wait ended
	StatusFlushSlaveTimeout               // stored, not yet on enough replicas when the wait ended
	StatusSlaveNotAvailable               // stored, no usable replica was connected (4.9 only)
	StatusNotEnough                       // refused before the append: IN_SYNC_REPLICAS_NOT_ENOUGH
	StatusUnconfirmed                     // appended, and whether it will be kept is not known
)

// String returns RocketMQ's name of the status.
func (s Status) String() string {
	switch s {
	case StatusOK:
		return "SEND_OK"
	case StatusFlushDiskTimeout:
		return "FLUSH_DISK_TIMEOUT"
	case StatusFlushSlaveTimeout:
		return "FLUSH_SLAVE_TIMEOUT"
	case StatusSlaveNotAvailable:
		return "SLAVE_NOT_AVAILABLE"
	case StatusNotEnough:
		return "IN_SYNC_REPLICAS_NOT_ENOUGH"
	case StatusUnconfirmed:
		return "UNCONFIRMED"
	}
	return "STATUS?"
}

// Count says which acknowledgements of replicas are counted.
type Count uint8

// Ways to count.
const (
	// CountNone waits for no replica: ASYNC_MASTER, and SYNC_MASTER of RocketMQ 5 with inSyncReplicas 1.
	CountNone Count = iota
	// CountPushed waits until any slave, ever, acknowledged the offset; without a usable slave the put is answered
	// SLAVE_NOT_AVAILABLE at once. Source: CommitLog.submitReplicaRequest (RocketMQ 4.9.8).
	CountPushed
	// CountConnections waits for Replicas connections whose acknowledgement covers the offset; two connections of one slave
	// count twice. Source: CommitLog.handleHA, GroupTransferService (RocketMQ 5.3.3).
	CountConnections
	// CountInSync waits for every replica that Marks has, and for Replicas agreed members (Marks.Members) at least. A put that they do not have
	// in time is answered StatusUnconfirmed: another master may be elected from among them, which lacks it, so that nobody
	// may say that it is stored. Fewer members refuse it before the append. Source: CommitLog.handleHA with
	// allAckInSyncStateSet, AutoSwitchHAService (RocketMQ 5.3.3).
	CountInSync
)

// Ack says when a put may be acknowledged.
type Ack struct {
	Local    Level // what the node's own copy must have reached
	Count    Count // how replicas are counted
	Replicas int   // copies wanted beside the local one; [0, 32]

	DiskTimeout    time.Duration // wait for Local at LevelSynced; then FLUSH_DISK_TIMEOUT. RocketMQ: syncFlushTimeout
	ReplicaTimeout time.Duration // wait for Replicas; then FLUSH_SLAVE_TIMEOUT. RocketMQ: slaveTimeout
	MaxBehind      int64         // a slave further behind is unusable, bytes (CountPushed). RocketMQ: haSlaveFallbehindMax
	MinReplicas    int           // fewer connected replicas refuse the put before it is appended; 0 never refuses
}

// Class is what a waiter waits for: waiters of one class are released in the order of their offsets, and expire in the
// order of their arrival, so that one queue a class needs no search.
type Class uint8

// The classes, in the order in which a release pass visits them.
const (
	ClassAppended      Class = iota // own memory (transientStorePool)
	ClassWritten                    // own page cache
	ClassWrittenRemote              // own page cache and replicas
	ClassSynced                     // own disk
	ClassSyncedRemote               // own disk and replicas
	Classes                         // the number of classes
)

// Local returns the level that waiters of class c wait for on the own node.
func (c Class) Local() Level {
	switch c {
	case ClassAppended:
		return LevelAppended
	case ClassSynced, ClassSyncedRemote:
		return LevelSynced
	}
	return LevelWritten
}

// Remote reports whether waiters of class c wait for replicas.
func (c Class) Remote() bool { return c == ClassWrittenRemote || c == ClassSyncedRemote }

// Wait is the state of a waiter's wait for replicas. It is decided once: a slave that leaves after its acknowledgement, or
// acknowledges after the timeout, changes nothing.
type Wait uint8

// States of a wait.
const (
	WaitPending Wait = iota
	WaitCovered      // enough replicas acknowledged in time
	WaitLate         // the time was over first
)

// Waiter is one put that waits for its acknowledgement.
type Waiter struct {
	End      Offset        // physical end offset of the record
	Since    time.Duration // monotonic time of the append
	Class    Class         // what it waits for
	Outcome  Status        // what a successful wait is answered: OK, or SLAVE_NOT_AVAILABLE decided at the append
	Replicas Wait          // of a remote class: the wait for replicas
}

// Admit decides before the append whether a put may be stored under m.
// Source: CommitLog.asyncPutMessage, the inSyncReplicas pre-check (RocketMQ 5.3.3).
func (a *Ack) Admit(m *Marks) Status {
	if a.MinReplicas > 0 && m.Connections < a.MinReplicas {
		return StatusNotEnough
	}
	if a.Count == CountInSync && m.Members < a.Replicas {
		return StatusNotEnough
	}
	return StatusOK
}

// Enlist returns what a put whose record ends at end has to wait for. wait is false for a message with the property
// WAIT=false: it waits for the page cache only, whatever the contract.
func (a *Ack) Enlist(m *Marks, end Offset, wait bool, now time.Duration) Waiter {
	w := Waiter{End: end, Since: now}
	local := a.Local
	if !wait && local > LevelWritten {
		local = LevelWritten
	}
	remote := false
	if wait {
		switch a.Count {
		case CountPushed:
			if m.Connections > 0 && end-m.Pushed < a.MaxBehind {
				remote = true
			} else {
				w.Outcome = StatusSlaveNotAvailable
			}
		case CountConnections:
			remote = a.Replicas > 0
		case CountInSync:
			remote = true
		}
	}
	w.Class = classOf(local, remote)
	return w
}

func classOf(local Level, remote bool) Class {
	switch {
	case local == LevelSynced && remote:
		return ClassSyncedRemote
	case local == LevelSynced:
		return ClassSynced
	case remote:
		return ClassWrittenRemote
	case local == LevelWritten:
		return ClassWritten
	}
	return ClassAppended
}

// Remote returns the offset below which the wait for replicas is over under m.
func (a *Ack) Remote(m *Marks) Offset {
	switch a.Count {
	case CountPushed:
		return m.Pushed
	case CountConnections:
		return m.ReplicasAt(a.Replicas)
	case CountInSync:
		if m.Members < a.Replicas {
			return -1
		}
		return m.ReplicasAt(len(m.Replicas))
	}
	return maxOffset
}

// Decide ends w's wait for replicas if it can be ended at now, and reports whether it is over. Within a class the waits end
// in the order of arrival, so that a caller may stop at the first that is pending.
func (a *Ack) Decide(m *Marks, w *Waiter, now time.Duration) bool {
	if !w.Class.Remote() || w.Replicas != WaitPending {
		return true
	}
	switch {
	case a.Remote(m) >= w.End:
		w.Replicas = WaitCovered
	case now-w.Since >= a.ReplicaTimeout:
		w.Replicas = WaitLate
	default:
		return false
	}
	return true
}

// Release reports whether w can be answered at now, and with what. The waits for the own disk and for replicas run side by
// side and end apart; when both fail the replicas' status wins. No status is given before the record is in the page cache
// (in memory for ClassAppended): every status promises that much.
// Source: CommitLog.handleDiskFlushAndHA (RocketMQ 5.3.3).
func (a *Ack) Release(m *Marks, w *Waiter, now time.Duration) (Status, bool) {
	decided := a.Decide(m, w, now)
	if m.At(min(w.Class.Local(), LevelWritten)) < w.End {
		return StatusOK, false
	}
	disk := StatusOK
	if w.Class.Local() == LevelSynced && m.Synced < w.End {
		if now-w.Since < a.DiskTimeout {
			return StatusOK, false
		}
		disk = StatusFlushDiskTimeout
	}
	switch {
	case !decided:
		return StatusOK, false
	case w.Replicas == WaitLate && a.Count == CountInSync:
		return StatusUnconfirmed, true
	case w.Replicas == WaitLate:
		return StatusFlushSlaveTimeout, true
	case w.Outcome != StatusOK:
		return w.Outcome, true
	}
	return disk, true
}

// Deadline returns the first instant after now at which w may be answered although no mark moves; ok is false when there
// is none.
func (a *Ack) Deadline(w *Waiter, now time.Duration) (at time.Duration, ok bool) {
	at = never
	if w.Class.Remote() && w.Replicas == WaitPending {
		at = w.Since + a.ReplicaTimeout
	}
	if disk := w.Since + a.DiskTimeout; w.Class.Local() == LevelSynced && disk > now {
		at = min(at, disk)
	}
	return at, at != never && at > now
}
