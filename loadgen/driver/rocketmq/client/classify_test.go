package client

import (
	"testing"

	"holdfast/broker/remoting"
	"holdfast/loadgen/driver"
)

// TestClassify holds the table of every native outcome against what the broker's source says it means.
func TestClassify(t *testing.T) {
	table := []struct {
		code   int32
		remark string
		quorum bool
		kind   driver.Kind
		status driver.Status
		why    string
	}{
		{0, "", false, driver.OK, driver.SendOK, "stored"},
		{10, "", false, driver.OK, driver.FlushDiskTimeout, "stored, the fsync was not seen in time"},
		{11, "", false, driver.OK, driver.SlaveNotAvailable, "stored, no slave to wait for"},
		{12, "", false, driver.OK, driver.FlushSlaveTimeout, "stored, the slave was not seen in time"},
		{1, "in-sync replicas not enough", false, driver.Fail, driver.NoStatus, "checked before the append"},
		{1, "in-sync replicas not enough", true, driver.Info, driver.NoStatus, "DLedger: may be a quorum timeout after the append"},
		{1, "unknown error", false, driver.Info, driver.NoStatus, "any step may have failed"},
		{1, "", false, driver.Info, driver.NoStatus, "any step may have failed"},
		{1, "not in-sync replicas not enough", false, driver.Info, driver.NoStatus, "not that remark"},
		{2, "[REJECTREQUEST]system busy", false, driver.Fail, driver.NoStatus, "a slave, or a busy page cache: refused unread"},
		{2, "[TIMEOUT_CLEAN_QUEUE]broker busy", false, driver.Fail, driver.NoStatus, "taken off the queue unread"},
		{2, "[PC_SYNCHRONIZED]broker busy", false, driver.Fail, driver.NoStatus, "the put hook, before the append"},
		{3, "", false, driver.Fail, driver.NoStatus, "no processor for it"},
		{13, "", false, driver.Fail, driver.NoStatus, "illegal: the put hook"},
		{14, "", false, driver.Fail, driver.NoStatus, "slave, shut down, disk full: the put hook"},
		{14, "", true, driver.Info, driver.NoStatus, "DLedger: a leader that stepped down after the append says so"},
		{15, "", false, driver.Fail, driver.NoStatus, "refused"},
		{16, "", false, driver.Fail, driver.NoStatus, "no permission"},
		{17, "", false, driver.Fail, driver.NoStatus, "no such topic"},
		{29, "", false, driver.Fail, driver.NoStatus, "no such queue"},
		{215, "", false, driver.Fail, driver.NoStatus, "flow control"},
		{501, "", false, driver.Fail, driver.NoStatus, "not the leader of the queue"},
		{604, "", false, driver.Fail, driver.NoStatus, "illegal operation"},
		{1500, "", false, driver.Fail, driver.NoStatus, "shutting down: refused unread"},
		{4, "", false, driver.Info, driver.NoStatus, "not an answer to a send"},
		{-1000, "", false, driver.Info, driver.NoStatus, "inside the broker, unknown"},
		{-1006, "", false, driver.Info, driver.NoStatus, "inside the broker, a timeout"},
		{2007, "", false, driver.Info, driver.NoStatus, "not an answer to a send"},
		{31337, "", false, driver.Info, driver.NoStatus, "nobody has seen it yet"},
	}
	seen := map[int32]bool{}
	for _, row := range table {
		seen[row.code] = true
		kind, status := classify(row.code, []byte(row.remark), row.quorum)
		if kind != row.kind || status != row.status {
			t.Errorf("code %d %q (%s): got %v %v, want %v %v", row.code, row.remark, row.why, kind, status, row.kind, row.status)
		}
	}
	for code := int32(-2000); code < 3000; code++ { // no other code may count as certain
		if kind, _ := classify(code, nil, false); !seen[code] && kind != driver.Info {
			t.Errorf("code %d (%s): got %v, want info: it is not in the table", code, remoting.ResponseName(code), kind)
		}
	}
}

func TestClassifyPoll(t *testing.T) {
	for code, want := range map[int32]driver.Kind{0: driver.OK, 19: driver.OK, 20: driver.OK, 21: driver.OK, 1: driver.Fail, 2: driver.Fail, 16: driver.Fail, 17: driver.Fail, 26: driver.Fail} {
		if got := classifyPoll(code); got != want {
			t.Errorf("code %d: got %v, want %v", code, got, want)
		}
	}
}

func TestRemoteErrorsAreFew(t *testing.T) {
	var l remoteErrors
	first := l.of(2, []byte("[TIMEOUT_CLEAN_QUEUE]broker busy, period in queue: 201ms"))
	second := l.of(2, []byte("[TIMEOUT_CLEAN_QUEUE]broker busy, period in queue: 305ms"))
	if first != second {
		t.Errorf("got two errors for %v", first)
	}
	if got, want := first.Error(), "SYSTEM_BUSY [TIMEOUT_CLEAN_QUEUE]"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for code := range int32(1000) {
		l.of(code, nil)
	}
	if len(l.seen) > remoteErrorsMax {
		t.Errorf("got %d errors, want at most %d", len(l.seen), remoteErrorsMax)
	}
}
