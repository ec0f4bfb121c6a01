package durability

import (
	"fmt"
	"time"
)

// Contract is a product's answer to: flushed when, acknowledged when, readable when.
type Contract struct {
	Name  string // as the tables print it, e.g. "SYNC_MASTER+ASYNC_FLUSH inSyncReplicas=2"
	Flush Flush
	Ack   Ack
	Read  Level // consumers read below this mark of the master
	// ReadConfirmed has consumers read nothing, besides, that the SyncStateSet has not confirmed.
	ReadConfirmed bool
}

// Readable returns the physical offset below which consumers may read under m.
func (c *Contract) Readable(m *Marks) Offset {
	if c.ReadConfirmed {
		return min(m.At(c.Read), m.Confirmed)
	}
	return m.At(c.Read)
}

// Profile is the product and version whose semantics a contract follows.
type Profile string

// The profiles of the reference broker.
const (
	RocketMQ4 Profile = "rocketmq-4.9" // no inSyncReplicas; SLAVE_NOT_AVAILABLE; consumers read what is not flushed
	RocketMQ5 Profile = "rocketmq-5"   // inSyncReplicas, default 1: SYNC_MASTER acknowledges alone
	Holdfast  Profile = "holdfast"     // as rocketmq-5, consumers read below the acknowledgement, reports are verified
)

// Role is a broker's role in its group.
type Role string

// Roles. Source: BrokerRole.
const (
	AsyncMaster Role = "ASYNC_MASTER"
	SyncMaster  Role = "SYNC_MASTER"
	Slave       Role = "SLAVE"
)

// FlushType is a broker's flushDiskType.
type FlushType string

// Flush types. Source: FlushDiskType.
const (
	AsyncFlush FlushType = "ASYNC_FLUSH"
	SyncFlush  FlushType = "SYNC_FLUSH"
)

// Choice is what an operator writes into broker.conf: the settings that make up a contract. Zero durations and numbers mean
// RocketMQ's defaults, which DefaultChoice fills in.
type Choice struct {
	Profile       Profile
	Role          Role
	FlushType     FlushType
	InSync        int  // inSyncReplicas: copies in all, the master's included (profiles after 4.9)
	TransientPool bool // transientStorePoolEnable: acknowledged in the memory of the process
	Controlled    bool // a controller elects the master (Holdfast): the contract is the one that holds when it elects this node

	FlushInterval  time.Duration // flushIntervalCommitLog
	FlushPages     int           // flushCommitLogLeastPages
	FlushThorough  time.Duration // flushCommitLogThoroughInterval
	CommitInterval time.Duration // commitIntervalCommitLog
	DiskTimeout    time.Duration // syncFlushTimeout
	SlaveTimeout   time.Duration // slaveTimeout
	MaxBehind      int64         // haSlaveFallbehindMax (4.9), bytes
}

// WaitsForReplicas reports whether a put may have to wait for a replica: every SYNC_MASTER of 4.9, and one of 5 with inSyncReplicas of 2 or
// more. Source: CommitLog.handleHA, calcNeedAckNums (RocketMQ 5.3.3), CommitLog.submitReplicaRequest (4.9.8).
func (c Choice) WaitsForReplicas() bool {
	return c.Role == SyncMaster && !c.Controlled && (c.Profile == RocketMQ4 || c.InSync > 1)
}

// DefaultChoice returns RocketMQ's defaults for a profile. Source: MessageStoreConfig (RocketMQ 5.3.3, 4.9.8).
func DefaultChoice(p Profile) Choice {
	return Choice{
		Profile: p, Role: AsyncMaster, FlushType: AsyncFlush, InSync: 1,
		FlushInterval: 500 * time.Millisecond, FlushPages: 4, FlushThorough: 10 * time.Second,
		CommitInterval: 200 * time.Millisecond,
		DiskTimeout:    5 * time.Second, SlaveTimeout: 3 * time.Second, MaxBehind: 256 << 20,
	}
}

// slavePass is how often a slave of RocketMQ syncs under SYNC_FLUSH: no put asks its flusher to, so it goes by its own pauses.
// Source: GroupCommitService.run, doCommit (RocketMQ 5.3.3, 4.9.8).
const slavePass = 10 * time.Millisecond

// Contract returns the contract that the choice stands for. That of a Slave with a controller is the one of a SyncMaster: it
// may become one.
func (c Choice) Contract() Contract {
	if c.Controlled && c.Role == Slave {
		c.Role = SyncMaster
	}
	out := Contract{
		Flush: Flush{Interval: c.FlushInterval, LeastPages: c.FlushPages, Thorough: c.FlushThorough},
		Ack:   Ack{Local: LevelWritten, DiskTimeout: c.DiskTimeout, ReplicaTimeout: c.SlaveTimeout, MaxBehind: c.MaxBehind},
		Read:  LevelWritten,
	}
	if c.FlushType == SyncFlush {
		out.Flush = Flush{Group: true}
		if c.Role == Slave && c.Profile != Holdfast {
			out.Flush = Flush{Interval: slavePass}
		}
		out.Ack.Local = LevelSynced
		if c.Profile != RocketMQ4 {
			out.Read = LevelSynced
		}
	} else if c.TransientPool && c.Role != Slave {
		out.Flush.WriteInterval = c.CommitInterval
		out.Ack.Local = LevelAppended
	}
	if c.Role == SyncMaster {
		if c.Controlled {
			out.Ack.Count, out.Ack.Replicas, out.ReadConfirmed = CountInSync, c.InSync-1, true
		} else if c.Profile == RocketMQ4 {
			out.Ack.Count, out.Ack.Replicas = CountPushed, 1
		} else if c.InSync > 1 {
			out.Ack.Count, out.Ack.Replicas = CountConnections, c.InSync-1
		}
	}
	out.Name = c.name()
	return out
}

func (c Choice) name() string {
	name := fmt.Sprintf("%s+%s", c.Role, c.FlushType)
	if c.Role == SyncMaster && c.Profile != RocketMQ4 {
		name += fmt.Sprintf(" inSyncReplicas=%d", c.InSync)
	}
	if c.TransientPool && c.FlushType == AsyncFlush {
		name += " transientStorePool"
	}
	return name
}
