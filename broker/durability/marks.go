// Package durability holds what a log and its replicas have reached, and the policies that read it: when to flush, when a
// put may be acknowledged, how far consumers may read. Policies are data, interpreted by pure arithmetic over the marks, so
// that every contract of every product is one row of a table. The package owns no log, no timer and no waiter queue.
package durability

import "time"

// Offset is a physical offset of the commit log, in bytes.
type Offset = int64

// Level says how far a copy has come on its node. A higher level includes the lower ones.
type Level uint8

// Levels of a copy.
const (
	LevelNone     Level = iota // no copy is asked for
	LevelAppended              // in the memory of the process: dies with the process
	LevelWritten               // in the page cache of the kernel: dies with the power
	LevelSynced                // on the disk: dies with the disk
)

// String returns the level's name as reports print it.
func (l Level) String() string {
	switch l {
	case LevelNone:
		return "none"
	case LevelAppended:
		return "appended"
	case LevelWritten:
		return "written"
	case LevelSynced:
		return "synced"
	}
	return "level?"
}

// Marks are the watermarks of one log and of its replicas: everything below a mark has reached that mark's level.
// Invariant: Synced <= Written <= Appended.
type Marks struct {
	Epoch    int32  // the master's epoch; 0 in classic HA
	Gen      int32  // generation of the log: rises with every truncation
	Appended Offset // end of what is in memory
	Written  Offset // end of what the kernel has
	Synced   Offset // end of what an fsync covered

	// Replicas are the acknowledgements that reached the master, sorted by ID; with epochs those of the SyncStateSet but the
	// master, whether connected or not. The slice belongs to the caller of Marks' producer and is reused.
	Replicas []Replica
	// Pushed is the largest offset that any slave ever acknowledged; it never falls, not even when the slave is replaced.
	// Source: HAService.push2SlaveMaxOffset (RocketMQ 4.9.8).
	Pushed Offset
	// Connections is the number of connected slaves, those that have not reported yet included.
	Connections int
	// Members is how many of Replicas are in the SyncStateSet by the controller's word: one that has been asked for is waited for, but
	// nobody would wait for it in an election, so that it makes no copy that was promised.
	Members int
	// Confirmed is the end of what consumers may read where the contract counts the SyncStateSet (Contract.ReadConfirmed): every
	// member has it. It never falls while the epoch lasts.
	Confirmed Offset
}

// Replica is what the master knows of one replica.
type Replica struct {
	ID    int32  // the connection (classic HA) or the replica (epochs); distinct within Marks
	Acked Offset // the replica's log end as it reported it (in this epoch); -1 before the first report
}

// At returns the end of what has reached level l on the log's own node.
func (m *Marks) At(l Level) Offset {
	switch l {
	case LevelSynced:
		return m.Synced
	case LevelWritten:
		return m.Written
	}
	return m.Appended
}

// ReplicasAt returns the offset below which at least k replicas acknowledged; -1 when fewer than k have reported.
// k = 0 asks nothing and returns the largest offset. It does not allocate.
func (m *Marks) ReplicasAt(k int) Offset {
	if k <= 0 {
		return maxOffset
	}
	if k > len(m.Replicas) {
		return -1
	}
	// The k-th largest by counting: a log has a handful of replicas, sorting them would cost more.
	best := Offset(-1)
	for i := range m.Replicas {
		candidate := m.Replicas[i].Acked
		if candidate <= best {
			continue
		}
		reached := 0
		for j := range m.Replicas {
			if m.Replicas[j].Acked >= candidate {
				reached++
			}
		}
		if reached >= k {
			best = candidate
		}
	}
	return best
}

// maxOffset is beyond every log.
const maxOffset = Offset(1<<63 - 1)

// never is a deadline that no clock reaches.
const never = time.Duration(1<<63 - 1)
