package broker

import (
	"testing"

	"holdfast/broker/durability"
	"holdfast/broker/remoting"
)

// asked returns the answer to a request with those fields.
func (r *rig) asked(code int32, fields ...string) remoting.Frame {
	r.t.Helper()
	r.receive(1, r.frame(code, func(w *remoting.Writer) {
		for i := 0; i+1 < len(fields); i += 2 {
			w.String(fields[i], fields[i+1])
		}
	}, nil))
	if len(r.got) != 1 {
		r.t.Fatalf("%s: %d replies", remoting.RequestName(code), len(r.got))
	}
	f, _, err := remoting.Decode(r.got[0].Frame)
	if err != nil {
		r.t.Fatal(err)
	}
	return f
}

// TestAnswersToSlavesOfApache asks a master what a slave of RocketMQ 5 asks beside the tables.
func TestAnswersToSlavesOfApache(t *testing.T) {
	r := newRig(t, rigConfig(durability.SyncMaster, durability.AsyncFlush, durability.RocketMQ5, 1), nil)
	if f := r.asked(remoting.RequestGetAllMessageRequestMode); f.Code != remoting.ResponseSuccess || string(f.Body) != `{"messageRequestModeMap":{}}` {
		t.Errorf("request modes: got %s %s", f.CodeName(), f.Body)
	}
	for code, remark := range map[int32]string{
		remoting.RequestGetTimerCheckPoint: "The checkpoint is null", remoting.RequestGetTimerMetrics: "The timer message store is null",
	} {
		if f := r.asked(code); f.Code != remoting.ResponseSystemError || string(f.Remark) != remark {
			t.Errorf("%s: got %s %s, want SYSTEM_ERROR %s", remoting.RequestName(code), f.CodeName(), f.Remark, remark)
		}
	}
	r.receive(1, r.sendFrame("T", 0, "", "m"))
	r.written()
	f := r.asked(remoting.RequestExchangeBrokerHAInfo)
	h, err := remoting.ParseHAInfo(f.Ext)
	want := remoting.HAInfo{MasterHAAddr: "127.0.0.1:10912", MasterAddr: "127.0.0.1:10911", HasFlushOffset: true} // the log was empty when it started
	if err != nil || h != want {
		t.Errorf("HA info: got %+v, %v, want %+v", h, err, want)
	}
}

// TestSlaveIsToldOfItsMaster: a slave connects to the master that it is told of, a master to nobody.
func TestSlaveIsToldOfItsMaster(t *testing.T) {
	for role, want := range map[durability.Role]string{durability.Slave: "127.0.0.1:20912", durability.AsyncMaster: ""} {
		r := newRig(t, rigConfig(role, durability.AsyncFlush, durability.RocketMQ5, 1), nil)
		f := r.asked(remoting.RequestExchangeBrokerHAInfo, "masterHaAddress", "127.0.0.1:20912", "masterAddress", "127.0.0.1:20911")
		if f.Code != remoting.ResponseSuccess || r.out.ReplicaDial != want {
			t.Errorf("%s: got %s, dials %q, want %q", role, f.CodeName(), r.out.ReplicaDial, want)
		}
	}
}
