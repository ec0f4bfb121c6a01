package scenarios

import (
	"testing"
	"time"

	"holdfast/checker/history"
	"holdfast/reports/result"
)

// TestAvailability counts messages, not tries, and looks for the gap from the fault on.
func TestAvailability(t *testing.T) {
	ms := int64(time.Millisecond)
	send := func(value uint64, typ history.Type, at int64) history.SendOp {
		return history.SendOp{Value: value, Type: typ, Invoke: (at - 1) * ms, Return: at * ms}
	}
	h := &history.History{
		Faults: []history.FaultOp{{Start: 1000 * ms}},
		Sends: []history.SendOp{
			send(1, history.OK, 500), // a pause before the fault is none of it
			send(2, history.OK, 1100),
			send(3, history.Fail, 1200), send(3, history.OK, 1900), // a retry succeeded
			send(4, history.Fail, 1210), send(4, history.Fail, 1220), // none did
			send(5, history.Fail, 1230), send(5, history.Info, 1240), // one may have
			{Value: 6, Invoke: 1300 * ms, Return: history.Never}, // never answered
			send(7, history.OK, 2000),
		},
		LastSend: 2100 * ms,
	}
	got := availability(h)
	if want := (result.Availability{GapMS: 800, Failed: 1, Unknown: 2}); got == nil || *got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	h.LastSend = 9000 * ms // sends went on, and none succeeded
	if got := availability(h); got.GapMS != 7000 {
		t.Errorf("got a gap of %v ms, want 7000: the end counts", got.GapMS)
	}
	if got := availability(&history.History{Sends: h.Sends}); got != nil {
		t.Errorf("without a fault: got %+v", got)
	}
}
