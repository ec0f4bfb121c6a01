package route

import (
	"errors"
	"time"

	"holdfast/broker/remoting"
)

// Step answers one request to the controller that came over conn with a whole frame, none for a oneway request. It returns
// false for what is no request to a controller. Besides, the caller owes it Closed, Leave and Tick.
func (c *Controller) Step(now time.Duration, conn uint64, f *remoting.Frame) (frame []byte, ok bool) {
	switch f.Code {
	case remoting.RequestControllerRegisterBroker:
		h, err := remoting.ParseNode(f.Ext)
		if err != nil {
			return done(nil, f, err), true
		}
		if err := c.excess(&h); err != nil {
			return fail(nil, f, remoting.ResponseSystemError, err.Error()), true
		}
		return stateReply(f, c.Register(now, conn, &h)), true
	case remoting.RequestBrokerHeartbeat:
		if _, given := f.Ext.Get("incarnation"); !given {
			return nil, false // to a name server
		}
		h, err := remoting.ParseNode(f.Ext)
		if err != nil {
			return done(nil, f, err), true
		}
		s, known := c.Heartbeat(now, conn, &h)
		if !known {
			return fail(nil, f, remoting.ResponseControllerBrokerNeedToBeRegistered, "register first"), true
		}
		return stateReply(f, s), true
	case remoting.RequestControllerAlterSyncStateSet:
		h, err := remoting.ParseAlterSyncStateSet(f.Ext)
		if err != nil {
			return done(nil, f, err), true
		}
		s, err := c.Alter(&h)
		return outcome(f, s, err), true
	case remoting.RequestControllerElectMaster:
		h, err := remoting.ParseElectMaster(f.Ext)
		if err != nil {
			return done(nil, f, err), true
		}
		s, err := c.Elect(now, &h)
		return outcome(f, s, err), true
	case remoting.RequestControllerGetReplicaInfo:
		h, err := remoting.ParseBrokerName(f.Ext)
		if err != nil {
			return done(nil, f, err), true
		}
		g := c.group(h.BrokerName)
		if g == nil {
			return fail(nil, f, remoting.ResponseControllerBrokerMetadataNotExist, "no such group"), true
		}
		return stateReply(f, c.state(g, 0)), true
	case remoting.RequestControllerGetSyncStateData:
		return reply(nil, f, remoting.AppendGroupStates(nil, c.States())), true
	}
	return nil, false
}

func stateReply(f *remoting.Frame, s remoting.SyncState) []byte {
	if f.IsOneway() {
		return nil
	}
	w := remoting.BeginReply(nil, f, remoting.ResponseSuccess)
	s.Append(&w)
	return w.Finish(nil)
}

// outcome answers f with a state, or with the code of an error.
func outcome(f *remoting.Frame, s remoting.SyncState, err error) []byte {
	if err == nil {
		return stateReply(f, s)
	}
	code := remoting.ResponseControllerInvalidRequest
	switch {
	case errors.Is(err, ErrFencedEpoch):
		code = remoting.ResponseControllerFencedMasterEpoch
	case errors.Is(err, ErrFencedVersion):
		code = remoting.ResponseControllerFencedSyncStateSetEpoch
	case errors.Is(err, ErrNotMaster):
		code = remoting.ResponseControllerInvalidMaster
	case errors.Is(err, ErrNotAttested):
		code = remoting.ResponseControllerInvalidReplicas
	case errors.Is(err, ErrMasterExists):
		code = remoting.ResponseControllerMasterStillExist
	case errors.Is(err, ErrNoCandidate):
		code = remoting.ResponseControllerElectMasterFailed
	}
	return fail(nil, f, code, err.Error())
}
