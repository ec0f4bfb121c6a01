package replica

// View is what the controller says of a group. A later one has a higher Version, or a higher Epoch.
type View struct {
	ID       int64 // of this node; 0: not registered
	Epoch    int32 // of the last election; 0: none yet
	Version  int32 // of Set: rises with every change, elections included (syncStateSetEpoch)
	Master   int64 // 0: nobody leads
	MasterHA string
	Set      []Member // the SyncStateSet, by ID
}

// Member is a member of the SyncStateSet.
type Member struct {
	ID          int64
	Incarnation int64 // of its process, as it registered
	// Doubtful says that it stopped uncleanly and may have lost what it had acknowledged: it cannot be elected until the
	// master attests that this incarnation has caught up.
	Doubtful bool
}

// SetRequest asks the controller for another SyncStateSet, ALTER_SYNC_STATE_SET. It holds only while Epoch and Version are
// the controller's.
type SetRequest struct {
	Epoch   int32
	Version int32
	// Members are the wished ones. An Incarnation that is not 0 attests that it has caught up.
	Members []Member
	// Confirmed is the physical offset below which everything may have been acknowledged, and is on the master's disk if
	// a member leaves by this request: no log without it may be elected.
	Confirmed Offset
}

// newer reports whether v says something later than old.
func (v *View) newer(old *View) bool {
	return v.Epoch > old.Epoch || v.Epoch == old.Epoch && v.Version > old.Version
}

func memberOf(set []Member, id int64) *Member {
	for i := range set {
		if set[i].ID == id {
			return &set[i]
		}
	}
	return nil
}
