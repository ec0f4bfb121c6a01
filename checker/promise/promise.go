// Package promise says which copies of a message an acknowledgement stands for, as data, and whether faults destroyed
// them. It does not look at what was read: whether a message is lost is for checker/loss.
// Source: contracts.md section 5.
package promise

import (
	"fmt"
	"strings"

	"holdfast/checker/history"
)

// Promise is what one status stands for.
type Promise struct {
	Acker    history.Level // of the node that acknowledged; empty: no copy
	Replicas history.Level // of every other node of the group; empty: none is promised
	InSync   int           // nodes that hold a copy when it is acknowledged, the acker too; 0: all of the group
	Copies   int           // merging: how many copies there are; 0: all of the group
	Merging  bool          // a failover keeps what any surviving copy holds
}

// Reads is what consumers are promised.
type Reads struct {
	Linearizable bool          // an answer may not miss what was acknowledged before it was asked for
	Level        history.Level // what a delivery is evidence of, on the node that delivered
}

// Set is what a system promises, by status.
type Set struct {
	byStatus map[string]Promise
	Reads    Reads
	Reason   string // why nothing is promised; empty when something is
}

// Status returns the promise of a status; false: it promises nothing under faults.
func (s Set) Status(status string) (Promise, bool) {
	p, found := s.byStatus[status]
	return p, found
}

// Of returns what a history's header states: its own promises, else those of the contract under its profile.
func Of(h history.Header) Set {
	if len(h.Promises) > 0 {
		return stated(h)
	}
	name := h.Profile.Name
	if name == "" {
		name = "rocketmq-5"
	}
	profile, known := profiles[name]
	contract, ok := parse(h.Contract)
	s := Set{Reads: Reads{Linearizable: profile.linearizable || h.Reads == "linearizable", Level: history.Memory}}
	switch {
	case h.Contract == "":
		s.Reason = "the history states neither a contract nor promises: nothing is promised under faults"
	case !ok:
		s.Reason = fmt.Sprintf("contract %q is not known: nothing is promised under faults", h.Contract)
	case !known:
		s.Reason = fmt.Sprintf("profile %q is not known: nothing is promised under faults", name)
	default:
		contract.transient = contract.transient || h.Profile.TransientStorePool
		s.byStatus = table(profile, contract, h.Profile.InSyncReplicas)
		s.Reads.Level = history.Cache
		if contract.syncFlush && profile.readsSynced {
			s.Reads.Level = history.Disk
		}
	}
	if h.ReadsLevel != "" {
		s.Reads.Level = h.ReadsLevel
	}
	if h.Reads == "prefix" {
		s.Reads.Linearizable = false
	}
	return s
}

// stated returns the promises of the header itself.
func stated(h history.Header) Set {
	s := Set{byStatus: map[string]Promise{}, Reads: Reads{Linearizable: h.Reads == "linearizable", Level: history.Memory}}
	if h.ReadsLevel != "" {
		s.Reads.Level = h.ReadsLevel
	}
	for status, p := range h.Promises {
		switch {
		case p.Copies > 0:
			s.byStatus[status] = Promise{Acker: p.Level, Replicas: p.Level, InSync: p.Copies, Copies: p.Copies, Merging: p.Merging}
		case p.Merging && p.Replicas == "":
			s.byStatus[status] = Promise{Acker: p.Acker, Copies: 1, Merging: true}
		default:
			s.byStatus[status] = Promise{Acker: p.Acker, Replicas: p.Replicas, InSync: h.Profile.InSyncReplicas, Merging: p.Merging}
		}
	}
	return s
}

// profile is what a generation of a system makes of a contract.
type profile struct {
	waitsAlways  bool // SYNC_MASTER waits for one replica, whatever inSyncReplicas says
	merging      bool
	readsSynced  bool // under SYNC_FLUSH consumers read only what is flushed
	linearizable bool // polls
}

var profiles = map[string]profile{
	"rocketmq-4.9": {waitsAlways: true},
	"rocketmq-5":   {readsSynced: true},
	"holdfast":     {merging: true, readsSynced: true, linearizable: true},
}

// contract is brokerRole and flushDiskType, read.
type contract struct {
	syncMaster, syncFlush, transient bool
}

func parse(s string) (c contract, ok bool) {
	role, flush := false, false
	for word := range strings.SplitSeq(s, "+") {
		switch strings.TrimSpace(word) {
		case "ASYNC_MASTER":
			role = true
		case "SYNC_MASTER":
			role, c.syncMaster = true, true
		case "ASYNC_FLUSH":
			flush = true
		case "SYNC_FLUSH":
			flush, c.syncFlush = true, true
		case "transientStorePool":
			c.transient = true
		default:
			return c, false
		}
	}
	return c, role && flush
}

// table is the table of contracts.md section 5.
func table(p profile, c contract, inSync int) map[string]Promise {
	local := history.Cache // a copy whose flush nobody waited for
	if c.transient && !c.syncFlush {
		local = history.Memory
	}
	ok := Promise{Acker: local, Copies: 1, InSync: 1, Merging: p.merging}
	if c.syncFlush {
		ok.Acker = history.Disk
	}
	if c.syncMaster && (p.waitsAlways || inSync >= 2) {
		ok.Replicas = history.Cache
		ok.InSync = max(2, inSync)
		if p.waitsAlways {
			ok.InSync = 2
		}
		ok.Copies = ok.InSync
	}
	disk := ok
	disk.Acker = local
	alone := Promise{Acker: local, Copies: 1, InSync: 1, Merging: p.merging}
	return map[string]Promise{
		"SEND_OK":             ok,
		"FLUSH_DISK_TIMEOUT":  disk,
		"FLUSH_SLAVE_TIMEOUT": alone,
		"SLAVE_NOT_AVAILABLE": alone,
	}
}
