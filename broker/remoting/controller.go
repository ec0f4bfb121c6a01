package remoting

import (
	"fmt"
	"strconv"
	"strings"
)

// NodeHeader is the header of CONTROLLER_REGISTER_BROKER and of BROKER_HEARTBEAT to a controller: who is there, and how far
// its log is. The fields that RocketMQ has bear its names.
// Source: RegisterBrokerToControllerRequestHeader, BrokerHeartbeatRequestHeader (RocketMQ 5.3.3).
type NodeHeader struct {
	BrokerHeader        // BrokerID: as the controller gave it; 0: none yet
	HAAddr       string // where slaves reach it
	Incarnation  int64  // of the process: a registration with another one is a restart
	Clean        bool   // its store had been closed when it was opened
	Alone        bool   // as a master it waits for no slave (ASYNC_MASTER): none of them may succeed it
	Epoch        int32  // of the newest byte in its log
	MaxOffset    int64  // physical offset behind its last record
	Version      int32  // syncStateSetEpoch of the newest state that it has heard of, on which Epoch and MaxOffset follow
}

// ParseNode reads the header. It errs with ErrField.
func ParseNode(e Ext) (NodeHeader, error) {
	r := reader{ext: e}
	h := NodeHeader{
		BrokerHeader: BrokerHeader{r.str("brokerName"), r.str("brokerAddr"), r.str("clusterName"), r.integer("brokerId")},
		HAAddr:       r.str("haServerAddr"), Incarnation: r.integer("incarnation"), Clean: r.boolean("clean", false), Alone: r.boolean("alone", false),
		Epoch: r.int32("epoch"), MaxOffset: r.integer("maxOffset"), Version: r.optionalInt32("syncStateSetEpoch", 0),
	}
	return h, r.err
}

// Append appends h's fields.
func (h *NodeHeader) Append(w *Writer) {
	h.BrokerHeader.Append(w)
	w.String("haServerAddr", h.HAAddr)
	w.Int("incarnation", h.Incarnation)
	w.Bool("clean", h.Clean)
	w.Bool("alone", h.Alone)
	w.Int("epoch", int64(h.Epoch))
	w.Int("maxOffset", h.MaxOffset)
	w.Int("syncStateSetEpoch", int64(h.Version))
}

// SyncState is what a controller knows of a group: the header of its answers to CONTROLLER_REGISTER_BROKER,
// BROKER_HEARTBEAT, CONTROLLER_ALTER_SYNC_STATE_SET, CONTROLLER_ELECT_MASTER and CONTROLLER_GET_REPLICA_INFO, and of
// NOTIFY_BROKER_ROLE_CHANGED.
// Source: GetReplicaInfoResponseHeader, ElectMasterResponseHeader, NotifyBrokerRoleChangedRequestHeader (RocketMQ 5.3.3).
type SyncState struct {
	BrokerID     int64  // of the node that is told
	MasterID     int64  // 0: nobody leads
	MasterAddr   string // "" when nobody leads
	MasterHAAddr string
	MasterEpoch  int32
	Version      int32        // syncStateSetEpoch
	LeaseMS      int64        // for how long after it asked a master may go on
	Members      []SyncMember // the SyncStateSet
}

// SyncMember is a member of the SyncStateSet.
type SyncMember struct {
	ID          int64
	Incarnation int64
	Doubtful    bool
}

// Append appends s's fields.
func (s *SyncState) Append(w *Writer) {
	w.Int("brokerId", s.BrokerID)
	w.Int("masterBrokerId", s.MasterID)
	w.OptionalString("masterAddress", s.MasterAddr)
	w.OptionalString("masterHaAddress", s.MasterHAAddr)
	w.Int("masterEpoch", int64(s.MasterEpoch))
	w.Int("syncStateSetEpoch", int64(s.Version))
	w.Int("leaseMillis", s.LeaseMS)
	w.String("syncStateSet", formatMembers(s.Members))
}

// ParseSyncState reads the header. It errs with ErrField.
func ParseSyncState(e Ext) (SyncState, error) {
	r := reader{ext: e}
	s := SyncState{
		BrokerID: r.integer("brokerId"), MasterID: r.integer("masterBrokerId"),
		MasterAddr: r.optional("masterAddress"), MasterHAAddr: r.optional("masterHaAddress"),
		MasterEpoch: r.int32("masterEpoch"), Version: r.int32("syncStateSetEpoch"), LeaseMS: r.integer("leaseMillis"),
	}
	s.Members = r.members("syncStateSet")
	return s, r.err
}

// AlterSyncStateSetHeader is the header of CONTROLLER_ALTER_SYNC_STATE_SET. RocketMQ has the set in the body.
// Source: AlterSyncStateSetRequestHeader (RocketMQ 5.3.3).
type AlterSyncStateSetHeader struct {
	BrokerName  string
	MasterID    int64
	MasterEpoch int32
	Version     int32 // the request holds only while this is the controller's
	Confirmed   int64 // physical offset below which all may be acknowledged
	Members     []SyncMember
}

// Append appends h's fields.
func (h *AlterSyncStateSetHeader) Append(w *Writer) {
	w.String("brokerName", h.BrokerName)
	w.Int("masterBrokerId", h.MasterID)
	w.Int("masterEpoch", int64(h.MasterEpoch))
	w.Int("syncStateSetEpoch", int64(h.Version))
	w.Int("confirmOffset", h.Confirmed)
	w.String("syncStateSet", formatMembers(h.Members))
}

// ParseAlterSyncStateSet reads the header. It errs with ErrField.
func ParseAlterSyncStateSet(e Ext) (AlterSyncStateSetHeader, error) {
	r := reader{ext: e}
	h := AlterSyncStateSetHeader{BrokerName: r.str("brokerName"), MasterID: r.integer("masterBrokerId"), MasterEpoch: r.int32("masterEpoch"),
		Version: r.int32("syncStateSetEpoch"), Confirmed: r.integer("confirmOffset")}
	h.Members = r.members("syncStateSet")
	return h, r.err
}

// ElectMasterHeader is the header of CONTROLLER_ELECT_MASTER.
// Source: ElectMasterRequestHeader (RocketMQ 5.3.3).
type ElectMasterHeader struct {
	BrokerName string
	BrokerID   int64 // the wished master; 0: any
	Unclean    bool  // elect it even though acknowledged messages may be lost; RocketMQ has enableElectUncleanMaster instead
}

// Append appends h's fields.
func (h *ElectMasterHeader) Append(w *Writer) {
	w.String("brokerName", h.BrokerName)
	w.Int("brokerId", h.BrokerID)
	w.Bool("unclean", h.Unclean)
}

// ParseElectMaster reads the header. It errs with ErrField.
func ParseElectMaster(e Ext) (ElectMasterHeader, error) {
	r := reader{ext: e}
	h := ElectMasterHeader{BrokerName: r.str("brokerName"), BrokerID: r.optionalInteger("brokerId", 0), Unclean: r.boolean("unclean", false)}
	return h, r.err
}

// formatMembers writes "id:incarnation" of each, with "?" behind that of a doubtful one, separated by commas.
func formatMembers(members []SyncMember) string {
	var b []byte
	for i, m := range members {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, m.ID, 10)
		b = strconv.AppendInt(append(b, ':'), m.Incarnation, 10)
		if m.Doubtful {
			b = append(b, '?')
		}
	}
	return string(b)
}

// members reads what formatMembers wrote; ids must rise.
func (r *reader) members(key string) (members []SyncMember) {
	text := r.str(key)
	for text != "" {
		var one string
		one, text, _ = strings.Cut(text, ",")
		one, doubtful := strings.CutSuffix(one, "?")
		id, incarnation, _ := strings.Cut(one, ":")
		n, err := strconv.ParseInt(id, 10, 32)
		process, err2 := strconv.ParseInt(incarnation, 10, 64)
		if err != nil || err2 != nil || n <= 0 || len(members) > 0 && members[len(members)-1].ID >= n {
			if r.err == nil {
				r.err = fmt.Errorf("%w: %s", ErrField, key)
			}
			return nil
		}
		members = append(members, SyncMember{n, process, doubtful})
	}
	return members
}

// GroupState is one group in the body that answers CONTROLLER_GET_SYNC_STATE_DATA.
// Source: BrokerReplicasInfo (RocketMQ 5.3.3).
type GroupState struct {
	BrokerName    string
	MasterID      int64
	MasterAddr    string
	MasterEpoch   int32
	Version       int32
	InSync, Other []ReplicaState
}

// ReplicaState is one replica of a GroupState.
type ReplicaState struct {
	BrokerID int64
	Addr     string
	Alive    bool
}

// AppendGroupStates appends the body.
func AppendGroupStates(dst []byte, groups []GroupState) []byte {
	o := beginObject(dst)
	o.with("replicasInfoTable", func(dst []byte) []byte {
		table := beginObject(dst)
		for i := range groups {
			table.with(groups[i].BrokerName, groups[i].append)
		}
		return table.end()
	})
	return o.end()
}

func (g *GroupState) append(dst []byte) []byte {
	o := beginObject(dst)
	o.integer("masterBrokerId", g.MasterID)
	o.str("masterAddress", g.MasterAddr)
	o.integer("masterEpoch", int64(g.MasterEpoch))
	o.integer("syncStateSetEpoch", int64(g.Version))
	replica := func(dst []byte, s ReplicaState) []byte {
		o := beginObject(dst)
		o.str("brokerName", g.BrokerName)
		o.integer("brokerId", s.BrokerID)
		o.str("brokerAddress", s.Addr)
		o.boolean("alive", s.Alive)
		return o.end()
	}
	o.with("inSyncReplicas", func(dst []byte) []byte { return appendList(dst, g.InSync, replica) })
	o.with("notInSyncReplicas", func(dst []byte) []byte { return appendList(dst, g.Other, replica) })
	return o.end()
}
